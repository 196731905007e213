"""Conversations stay where they are well off: which models have seen one, and whether it escalated.

A conversation is recognised by its texts up to the newest answer, so nothing has to be named: a
branch is a conversation of its own, and two that get different answers are told apart. A caller's
own id does as well. Pure but for the memory it keeps; time is an argument.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .types import Message, Query

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


_UNKNOWN: Final = Conversation()


class Affinities:
    """Conversations by what was sent last; the oldest are forgotten. Safe between threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Conversation, float]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(
        self, query: Query, conversation_id: str | None, now: float, *, tenant: str = ""
    ) -> Conversation:
        """What is known of the conversation that `query` goes on with; `tenant` has conversations
        of its own, whatever others say or call theirs."""
        key = _key_before(query, conversation_id, tenant)
        found = None if key is None else self._known.get(key)
        if found is None or now - found[1] > _FORGET_S:
            return _UNKNOWN
        return found[0]

    def remember(
        self,
        query: Query,
        answer: str,
        conversation_id: str | None,
        known: Conversation,
        *,
        escalated: bool,
        seen: Mapping[str, int],
        now: float,
        tenant: str = "",
    ) -> None:
        """Add what this turn, which ended in `answer`, has shown: `seen` are tokens read and
        written, by model."""
        added = {model: (tokens, now) for model, tokens in seen.items()}
        turn = Conversation(escalated=known.escalated or escalated, seen={**known.seen, **added})
        answered = (*query.messages, Message(role="assistant", content=answer))
        key = _key(answered, conversation_id, tenant)
        with self._lock:
            self._known[key] = (turn, now)
            self._known.move_to_end(key)
            while len(self._known) > _MAX_CONVERSATIONS:
                self._known.popitem(last=False)


def _key_before(query: Query, conversation_id: str | None, tenant: str) -> bytes | None:
    """The key of the turn that got the newest answer in `query`; None in a first turn."""
    if conversation_id is not None:
        return _key((), conversation_id, tenant)
    for index in range(len(query.messages) - 1, -1, -1):
        if query.messages[index].role == "assistant":
            return _key(query.messages[: index + 1], None, tenant)
    return None


def _key(messages: Sequence[Message], conversation_id: str | None, tenant: str) -> bytes:
    parts = [conversation_id] if conversation_id is not None else _texts(messages)
    written = [part.encode("utf-8", "surrogatepass") for part in (tenant, *parts)]
    sized = [piece for one in written for piece in (len(one).to_bytes(8, "little"), one)]
    return hashlib.blake2b(b"".join(sized), digest_size=16).digest()


def _texts(messages: Sequence[Message]) -> list[str]:
    return [text for message in messages for text in (message.role, message.content)]
