"""Which requests may be answered from a cache, and which of them are the same. Pure.

Two requests are the same when all is the same that can change an answer: who asks, whom, in which
dialect, every parameter and every message. The order of keys in a JSON object tells nothing, except
in the schema of an answer, whose order the answer follows.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from router.chat import ChatRequest

from ..config import CacheConfig
from .store import EntryKeys
from .wording import Wording, read_wording

__all__ = ["PROVIDERS_TEMPERATURE", "CacheAsk", "ask_of", "tenant_of"]

PROVIDERS_TEMPERATURE: Final = 1.0
"""What providers sample at when nobody says otherwise."""

_FORMAT: Final = 1  # of the keys; another number makes every entry there is unreachable
_KEY_BYTES: Final = 32

# Labels and routes that leave the answer as it is.
_IGNORED: Final = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream_options",
        "user",
    }
)
# The answer acts, looks at the world of now, or is more than text. A false or empty one asks for
# nothing.
_UNCACHEABLE: Final = (
    "audio",
    "container",
    "functions",
    "logprobs",
    "mcp_servers",
    "plugins",
    "tools",
    "top_logprobs",
    "web_search_options",
)
_TOOL_FIELDS: Final = ("function_call", "tool_calls")
_TOOL_PARTS: Final = ("tool_use", "tool_result")
_IN_ORDER: Final = ("output_config", "response_format")


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheAsk:
    """A request that may be answered from the cache of `cascade`. `text` is its last message where
    wording may be looked at, and `wording` how that is worded."""

    cascade: str
    keys: EntryKeys
    text: str | None = None
    wording: Wording | None = None


def ask_of(
    request: ChatRequest,
    *,
    key_id: str,
    cascade: str,
    revision: str,
    config: CacheConfig,
    user: str = "",
    target_quality: float | None = None,
    temperature: float = PROVIDERS_TEMPERATURE,
) -> CacheAsk | None:
    """What is looked up for a request; None where it may not be answered from a cache.

    `revision` is what else decides upon answers: the artifact, the cascade's settings. `user` is
    '' where all users of a key share their answers. `temperature` is what a request that names
    none is sampled at; above the configuration's maximum no request is cached, whatever its seed.
    """
    if not (config.exact or config.semantic) or not _is_cacheable(request, config, temperature):
        return None
    *earlier, last = request.messages
    params = {name: value for name, value in request.params.items() if name not in _IGNORED}
    in_order = [params.pop(name, None) for name in _IN_ORDER]
    asker = [_FORMAT, key_id, user, cascade, revision, request.dialect, target_quality]
    try:
        context = hashlib.blake2b(_sorted([*asker, params, earlier]), digest_size=_KEY_BYTES)
        context.update(_as_written(in_order))
        exact = context.copy()
        exact.update(_sorted(["exact", last]))
        text, around = _text_of(last) if config.semantic else (None, ())
        wording = None if text is None else read_wording(text)
        alike = None
        if wording is not None:
            context.update(_sorted(["alike", around, wording.form]))
            alike = context.digest()
    except orjson.JSONEncodeError:
        return None  # no JSON, such as half a surrogate pair: there is no telling what it equals
    keys = EntryKeys(tenant=tenant_of(key_id), exact=exact.digest(), alike=alike)
    if wording is None:
        return CacheAsk(cascade=cascade, keys=keys)
    return CacheAsk(cascade=cascade, keys=keys, text=text, wording=wording)


def tenant_of(key_id: str) -> str:
    """What a key's entries are filed under: hexadecimal, whatever the id is made of."""
    return hashlib.blake2b(key_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _is_cacheable(request: ChatRequest, config: CacheConfig, temperature: float) -> bool:
    params = request.params
    if any(params.get(name) for name in _UNCACHEABLE):
        return False
    if params.get("n", 1) != 1 or params.get("modalities", ["text"]) != ["text"]:
        return False
    asked = params.get("temperature", temperature)
    if isinstance(asked, bool) or not isinstance(asked, int | float) or not math.isfinite(asked):
        return False
    return asked <= config.max_temperature and not any(map(_is_about_tools, request.messages))


def _is_about_tools(message: Mapping[str, Any]) -> bool:
    if message.get("role") in ("tool", "function") or any(map(message.get, _TOOL_FIELDS)):
        return True
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(part, Mapping) and part.get("type") in _TOOL_PARTS for part in content
    )


def _text_of(message: Mapping[str, Any]) -> tuple[str | None, tuple[Any, ...]]:
    """The text of a user's message, and all else that is in it; no text where it has parts of other
    kinds, or more than one."""
    around = {name: value for name, value in message.items() if name != "content"}
    content, part = message.get("content"), None
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], Mapping):
        part = {name: value for name, value in content[0].items() if name != "text"}
        content = content[0].get("text") if part.get("type") == "text" else None
    if message.get("role") != "user" or not isinstance(content, str):
        return None, ()
    return content, (around, part)


def _sorted(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SORT_KEYS)


def _as_written(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    """What orjson does not take by itself: read-only mappings."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")
