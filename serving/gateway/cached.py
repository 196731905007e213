"""One request's use of the response cache: looked up before anything else, kept at the end."""

from __future__ import annotations

from router.agent.results import RunResult
from router.types import Embedding

from ..response_cache import CachedAnswer, ResponseCache
from .outcomes import Case

__all__ = ["CacheUse"]


class CacheUse:
    """What one case may take from the cache and leave in it; nothing where there is none, or none
    for such a request."""

    def __init__(self, cache: ResponseCache | None, case: Case) -> None:
        self._cache = cache
        self._case = case
        ask = case.ask
        self._ask = None
        if cache is not None and not case.route.is_bypass:
            self._ask = cache.ask(
                ask.request,
                cascade=case.route.cascade,
                key_id=case.tenant.key_id,
                artifact=case.route.engine.version,
                target_quality=ask.target_quality,
                no_cache=ask.no_cache,
            )

    async def find(self) -> CachedAnswer | None:
        """An answer that was given before."""
        if self._cache is None or self._ask is None:
            return None
        return await self._cache.find(self._ask, self._embed)

    async def keep(self, result: RunResult) -> None:
        """Leave an answer for those who ask the same."""
        if self._cache is not None and self._ask is not None:
            await self._cache.keep(self._ask, result, request_id=self._case.request_id)

    def _embed(self) -> Embedding:
        route = self._case.route
        names = route.runner.decider.roster.names
        return route.engine.predict(self._case.ask.request.query(), names).embedding
