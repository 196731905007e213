"""Conversations stay where they are well off: which models have seen one, and whether it escalated.

A conversation is recognised by what was sent last: the messages before the newest answer are those
of the call that got it. So nothing has to be named, a branch of a conversation is one of its own,
and two that merely begin alike are told apart. A caller's own id does as well. Pure but for the
memory it keeps; time is an argument.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from .chat import ChatRequest

__all__ = ["Affinities", "Conversation"]

_CACHE_S: Final = 300.0  # how long providers keep a prompt's beginning, at least
_FORGET_S: Final = 86_400.0
_MAX_CONVERSATIONS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """What is known of a conversation: whether any turn has escalated, and how many tokens of it
    each model has read or written, and when (seconds)."""

    escalated: bool = False
    seen: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    def cached_tokens(self, model: str, now: float) -> int:
        """Tokens of its beginning that `model`'s provider may still have in its prompt cache."""
        tokens, at = self.seen.get(model, (0, 0.0))
        return tokens if now - at <= _CACHE_S else 0


class Affinities:
    """Conversations by what was sent last; the oldest are forgotten. Safe between threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Conversation, float]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, request: ChatRequest, conversation_id: str | None, now: float) -> Conversation:
        """What is known of the conversation that `request` goes on with."""
        key = _key_before(request, conversation_id)
        found = None if key is None else self._known.get(key)
        if found is None or now - found[1] > _FORGET_S:
            return Conversation()
        return found[0]

    def remember(
        self,
        request: ChatRequest,
        conversation_id: str | None,
        known: Conversation,
        *,
        escalated: bool,
        seen: Mapping[str, int],
        now: float,
    ) -> None:
        """Add what this turn has shown: `seen` are tokens read and written, by model."""
        added = {model: (tokens, now) for model, tokens in seen.items()}
        turn = Conversation(escalated=known.escalated or escalated, seen={**known.seen, **added})
        key = _key(request, len(request.messages), conversation_id)
        with self._lock:
            self._known[key] = (turn, now)
            self._known.move_to_end(key)
            while len(self._known) > _MAX_CONVERSATIONS:
                self._known.popitem(last=False)


def _key_before(request: ChatRequest, conversation_id: str | None) -> bytes | None:
    """The key of the call that got the newest answer in `request`; None in a first turn."""
    if conversation_id is not None:
        return _key(request, 0, conversation_id)
    for index in range(len(request.messages) - 1, -1, -1):
        if request.messages[index].get("role") == "assistant":
            return _key(request, index, None)
    return None


def _key(request: ChatRequest, n_messages: int, conversation_id: str | None) -> bytes:
    said: Any = conversation_id
    if said is None:
        said = [request.params.get("system"), request.messages[:n_messages]]
    written = orjson.dumps(said, default=str, option=orjson.OPT_NON_STR_KEYS)
    return hashlib.blake2b(written, digest_size=16).digest()
