"""The response cache of a gateway: off unless a cascade says otherwise, and each for itself.

    ask = cache.ask(request, cascade=..., key_id=..., artifact=...)
    found = ask and await cache.find(ask, embed=...)
    ...
    await cache.keep(ask, result, request_id=...)

Requests that are the same and under way at the same time each go to a model: none waits for, fails
with or is cut off with another's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import orjson

from router.agent.results import RunResult
from router.chat import ChatRequest
from router.extras import require_extra
from router.types import Embedding

from ..config import CacheConfig, CascadeSettings, GatewayConfig
from .asks import PROVIDERS_TEMPERATURE, CacheAsk, ask_of, tenant_of
from .entries import CachedAnswer, Entry, is_worth_keeping, pack_entry, read_entry
from .memory_store import MemoryStore
from .store import Store
from .wording import read_wording

__all__ = ["ResponseCache", "Shelf"]


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The cache of one cascade. `settings` tells the cascade's settings apart from others;
    `temperature` is what it samples at when a request names none."""

    config: CacheConfig
    store: Store
    settings: str = ""
    temperature: float = PROVIDERS_TEMPERATURE


class ResponseCache:
    """Answers given before, by cascade; a cascade without a shelf has no cache. `clock` is in Unix
    seconds."""

    def __init__(
        self, shelves: Mapping[str, Shelf], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._shelves = dict(shelves)
        self._clock = clock

    @classmethod
    def from_config(cls, config: GatewayConfig) -> ResponseCache | None:
        """The cache that a configuration asks for, in Redis where there is one; None where no
        cascade has one. Raises UsageError when the extra for Redis is missing."""
        asked = {
            name: settings
            for name, settings in config.serving_cascades.items()
            if settings.cache.exact or settings.cache.semantic
        }
        if not asked:
            return None
        make = _store_maker(config)
        return cls(
            {
                name: Shelf(
                    config=settings.cache,
                    store=make(settings.cache),
                    settings=_fingerprint(settings, config),
                    temperature=_temperature(settings, config),
                )
                for name, settings in asked.items()
            }
        )

    def ask(
        self,
        request: ChatRequest,
        *,
        cascade: str,
        key_id: str,
        artifact: str,
        user: str = "",
        target_quality: float | None = None,
        no_cache: bool = False,
    ) -> CacheAsk | None:
        """What to look up for a request; None where it is not to be answered from a cache.

        `user` is '' where the users of a key share its answers. `no_cache` is the caller's wish
        for an answer of its own, which is not kept either.
        """
        shelf = self._shelves.get(cascade)
        if shelf is None or no_cache:
            return None
        return ask_of(
            request,
            key_id=key_id,
            cascade=cascade,
            revision=f"{artifact}/{shelf.settings}",
            config=shelf.config,
            user=user,
            target_quality=target_quality,
            temperature=shelf.temperature,
        )

    async def find(self, ask: CacheAsk, embed: Callable[[], Embedding]) -> CachedAnswer | None:
        """An answer to this very request or, where the cascade has it so, to one that means the
        same. `embed` makes the embedding of the request's query (float32 [d], unit norm, as in its
        prediction); it is called only when an answer to another wording is at hand."""
        shelf = self._shelves[ask.cascade]
        found = await shelf.store.find(ask.keys)
        if found is None:
            return None
        kind, content = found
        entry = read_entry(ask.keys, kind, content)
        if entry is None:
            return None
        if kind == "semantic" and not _means_same(ask, entry, embed, shelf.config.threshold):
            return None
        return entry.answer

    async def keep(self, ask: CacheAsk, result: RunResult, *, request_id: str) -> bool:
        """Keep an answer for those who ask the same; whether it was worth keeping."""
        if not is_worth_keeping(result):
            return False
        entry = pack_entry(
            ask.keys, result, request_id=request_id, kept_at=self._clock(), asked=ask.text
        )
        if entry is None:
            return False
        await self._shelves[ask.cascade].store.keep(ask.keys, entry)
        return True

    async def forget(self, key_id: str) -> None:
        """Drop all answers kept for a key; StoreError when that cannot be done."""
        for shelf in self._shelves.values():
            await shelf.store.forget(tenant_of(key_id))

    async def aclose(self) -> None:
        """Close connections."""
        for shelf in self._shelves.values():
            await shelf.store.aclose()


def _means_same(
    ask: CacheAsk, entry: Entry, embed: Callable[[], Embedding], threshold: float
) -> bool:
    """Whether an entry's question means what is asked; one of another format or artifact never
    does."""
    if ask.wording is None or entry.asked is None or entry.embedding is None:
        return False
    wording = read_wording(entry.asked)
    if wording is None or not ask.wording.asks_same(wording):
        return False
    embedding = embed()
    if embedding.shape != entry.embedding.shape:
        return False
    return float(np.dot(embedding, entry.embedding)) >= threshold


def _store_maker(config: GatewayConfig) -> Callable[[CacheConfig], Store]:
    if config.redis is None:
        return lambda cache: MemoryStore(max_entries=cache.max_entries, ttl_s=cache.ttl_s)
    require_extra("a response cache in Redis", "redis")
    from .redis_store import RedisLink, RedisStore

    link = RedisLink(config.redis.url.get_secret_value())
    prefix = config.redis.prefix
    return lambda cache: RedisStore(link, prefix=prefix, ttl_s=cache.ttl_s)


def _fingerprint(settings: CascadeSettings, config: GatewayConfig) -> str:
    """What tells apart two configurations of a cascade that may answer otherwise."""
    asked = _asked(settings, config)
    own = settings.model_dump(mode="json", exclude={"cache"})
    models = [one.model_dump(mode="json") for one in config.models if one.name in asked]
    written = orjson.dumps([own, models], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(written, digest_size=8).hexdigest()


def _temperature(settings: CascadeSettings, config: GatewayConfig) -> float:
    """The highest temperature that a request which names none may be sampled at."""
    asked = _asked(settings, config)
    given = [
        model.params.get("temperature", PROVIDERS_TEMPERATURE)
        for model in config.models
        if model.name in asked
    ]
    numbers = [value for value in given if isinstance(value, int | float)]
    return max(numbers) if len(numbers) == len(given) and numbers else PROVIDERS_TEMPERATURE


def _asked(settings: CascadeSettings, config: GatewayConfig) -> set[str]:
    """The models that may answer for a cascade, fallbacks included."""
    names = set(settings.names)
    by_name = {model.name: model for model in config.models}
    waiting = list(names)
    while waiting:
        for other in by_name[waiting.pop()].fallbacks:
            if other not in names:
                names.add(other)
                waiting.append(other)
    return names
