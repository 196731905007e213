"""The calls of one run: reserve, ask, settle, and pass on what streams. The cascade's provider.

Every dollar goes through here: what a call might cost at most is reserved before it is made, and
what it did cost is settled after it, cancelled or not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from ..budget import output_bound, upper_bound_tokens
from ..cascade import exhausted
from ..chat import Attempt, ChatRequest, Completion, Delta
from ..errors import ConfigError, InputError, UpstreamError
from ..sandbox.evidence import execution_check
from ..sandbox.sandbox import Sandbox
from ..store.spending import Spending
from ..types import Query
from .roster import Member, Roster

__all__ = ["BrokenStreamError", "Calls"]

_CUT_OFF: Final = frozenset(
    {"content_filter", "disconnected", "empty", "protocol", "timeout", "too_large"}
)
_LEASE_MARGIN_S: Final = 60.0  # beyond the longest that a call may take


class BrokenStreamError(Exception):
    """A stream broke after parts of it had been passed on: no other model may go on with it."""

    def __init__(self, error: UpstreamError) -> None:
        super().__init__(str(error))
        self.error = error


class Calls:
    """Asks models for one request. `streams` says which model's answer may be passed on as it
    comes, to `on_delta`; `on_completion` is told of each answer that came."""

    def __init__(
        self,
        request: ChatRequest,
        roster: Roster,
        *,
        verifier: str,
        user: str | None = None,
        spending: Spending | None = None,
        sandbox: Sandbox | None = None,
        streams: Callable[[str], bool] = lambda model: False,
        on_delta: Callable[[str, Delta], Awaitable[None]] | None = None,
        on_completion: Callable[[Completion], None] | None = None,
    ) -> None:
        self.completions: list[Completion] = []
        self.attempts: list[Attempt] = []
        self._request = request
        self._roster = roster
        self._verifier = verifier
        self._user = user
        self._spending = spending
        self._sandbox = sandbox
        self._streams = streams
        self._on_delta = on_delta
        self._on_completion = on_completion
        self._waiting = _Stopwatch()
        self._passed_on = False

    @property
    def waited_ms(self) -> float:
        """Time spent waiting for models; calls side by side count once."""
        return self._waiting.total_s * 1000

    async def complete(self, query: Query, model: str) -> Completion:
        """The model's answer, or that of a fallback when all of its endpoints fail."""
        failed: list[UpstreamError] = []
        for name in (model, *self._roster.member(model).config.fallbacks):
            try:
                completion = await self._ask(self._roster.member(name), as_model=model)
            except UpstreamError as exc:
                self.attempts.extend(exc.calls)
                if self._passed_on:
                    raise BrokenStreamError(exc) from exc
                failed.append(exc)
            else:
                return await self._tried(query, completion, model)
        raise failed[0] if len(failed) == 1 else exhausted(failed)

    async def _tried(self, query: Query, completion: Completion, model: str) -> Completion:
        """The draft with what running it showed; the verifier's answer is not run."""
        if self._sandbox is None or model == self._verifier:
            return completion
        check = await execution_check(self._sandbox, query, completion)
        return completion if check is None else replace(completion, checks=(check,))

    async def _ask(self, member: Member, *, as_model: str) -> Completion:
        if self._spending is None:
            completion = await self._call(member, as_model)
        else:
            completion = await self._call_on_budget(self._spending, member, as_model)
        self.completions.append(completion)
        self.attempts.extend(completion.attempts)
        if self._on_completion is not None:
            self._on_completion(completion)
        return completion

    async def _call_on_budget(
        self, spending: Spending, member: Member, as_model: str
    ) -> Completion:
        reservation = await spending.reserve(
            upper_bound_usd=self._upper_bound_usd(member),
            model=member.name,
            user=self._user,
            lease_s=_longest_s(member) + _LEASE_MARGIN_S,
        )
        try:
            completion = await self._call(member, as_model)
        except BaseException as exc:
            if _may_have_cost(exc):
                await spending.settle(reservation, None)
            else:
                await spending.release(reservation)
            raise
        await spending.settle(reservation, completion.cost_usd)
        return completion

    async def _call(self, member: Member, as_model: str) -> Completion:
        client = member.client
        live = self._on_delta is not None and self._streams(as_model)
        ask_logprobs = as_model != self._verifier and client.gives_logprobs
        self._waiting.start()
        try:
            completion = await client.complete(
                self._request,
                ask_logprobs=ask_logprobs and not live,
                on_delta=self._pass_on(member.name) if live else None,
            )
        except (ConfigError, InputError) as exc:
            # This model cannot be asked so; another may.
            raise UpstreamError(
                str(exc), model=member.name, provider=member.config.provider, cause="bad_request"
            ) from exc
        finally:
            self._waiting.stop()
        price = member.price_for(self._request.params)
        if price is member.price or price is None or completion.usage is None:
            return completion
        return replace(completion, cost_usd=price.cost_usd(completion.usage))

    def _pass_on(self, model: str) -> Callable[[Delta], Awaitable[None]]:
        async def pass_on(delta: Delta) -> None:
            self._passed_on = True
            assert self._on_delta is not None
            await self._on_delta(model, delta)

        return pass_on

    def _upper_bound_usd(self, member: Member) -> float:
        """The most that one call can cost; ConfigError when that cannot be said."""
        params = {**member.config.params, **self._request.params}  # as they are sent
        request = replace(self._request, params=params)
        written = output_bound(request, member.max_output)
        if member.price is None:
            raise ConfigError(
                f"no price is known for model {member.name!r}, and a budget needs one; give the "
                "model a 'cost', or 'input_cost' and 'output_cost'",
                param="cost",
            )
        if written is None:
            raise ConfigError(
                f"how much model {member.name!r} can write is not known, and a budget needs a "
                "bound; give the model 'max_tokens', or the call",
                param="max_tokens",
            )
        return member.price.upper_bound_usd(upper_bound_tokens(request), written)


class _Stopwatch:
    """Wall time during which at least one call is under way."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._running = 0
        self._since = 0.0

    def start(self) -> None:
        if self._running == 0:
            self._since = time.perf_counter()
        self._running += 1

    def stop(self) -> None:
        self._running -= 1
        if self._running == 0:
            self.total_s += time.perf_counter() - self._since


def _longest_s(member: Member) -> float:
    """The longest that all attempts of a call may take."""
    config = member.config
    tries = (1 + config.max_retries) * (1 + len(config.endpoints))
    return tries * (config.timeout.total_s + 20.0)


def _may_have_cost(exc: BaseException) -> bool:
    """Whether a provider may charge for a call that gave no answer: it was cut off, not refused,
    at one try at least."""
    if isinstance(exc, UpstreamError):
        return any(one.error is not None and one.error.cause in _CUT_OFF for one in exc.calls)
    return isinstance(exc, asyncio.CancelledError)
