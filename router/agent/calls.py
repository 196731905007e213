"""The calls of one run: ask, count, and pass on what streams. The cascade's provider.

Every dollar goes through here: what an HTTP call might cost at most is reserved before it is made,
and what it did cost is settled after it, cancelled or not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, Protocol

from ..budget import output_bound, upper_bound_tokens
from ..cascade import exhausted
from ..chat import Attempt, ChatRequest, Completion, Delta
from ..errors import ConfigError, InputError, UpstreamError
from ..money import to_usd
from ..prices import Price
from ..providers.endpoint import Endpoint
from ..providers.meter import CUT_OFF
from ..records.entries import MOST_NANO
from ..sandbox.evidence import execution_check
from ..sandbox.sandbox import Sandbox
from ..store.purse import Purse
from ..types import Query
from .roster import Member, Roster

__all__ = ["BrokenStreamError", "CallListener", "Calls"]

_DRAFT_PATIENCE_S: Final = 1.0  # with a drafter that is busy: another model is at hand
_LEASE_MARGIN_S: Final = 60.0  # beyond the longest that a call may take
_MOST_USD: Final = to_usd(MOST_NANO)
_BOUNDING_PARAMS: Final = ("max_tokens", "max_completion_tokens", "n")


class BrokenStreamError(Exception):
    """A stream broke after parts of it had been passed on: no other model may go on with it."""

    def __init__(self, error: UpstreamError) -> None:
        super().__init__(str(error))
        self.error = error


class CallListener(Protocol):
    """Who is told of a run's calls."""

    def answered(self, completion: Completion) -> None:
        """A call brought an answer, and is paid for."""
        ...

    async def passed_on(self, model: str, delta: Delta) -> None:
        """A piece of the run's answer, as it comes."""
        ...


class Calls:
    """Asks models for one request. With `live`, what is sure to be the answer is passed on to
    `listener` as it comes: the verifier's, or what `complete_at_once` is asked for."""

    def __init__(
        self,
        request: ChatRequest,
        roster: Roster,
        listener: CallListener,
        *,
        verifier: str,
        live: bool,
        purse: Purse | None,
        sandbox: Sandbox | None,
    ) -> None:
        self.completions: list[Completion] = []
        self.attempts: list[Attempt] = []
        self._request = request
        self._roster = roster
        self._listener = listener
        self._verifier = verifier
        self._live = live
        self._purse = purse
        self._sandbox = sandbox
        self._waiting = _Stopwatch()
        self._passed_on = False
        self._failed: dict[str, UpstreamError] = {}

    @property
    def waited_ms(self) -> float:
        """Time spent waiting for models; calls side by side count once."""
        return self._waiting.total_s * 1000

    async def complete(self, query: Query, model: str) -> Completion:
        """The model's answer, or that of a fallback when all of its endpoints fail."""
        if model in self._failed:
            raise self._failed[model]
        final = model == self._verifier
        fallbacks = [
            name
            for name in self._roster.member(model).config.fallbacks
            if final or name != self._verifier  # whose turn is still to come
        ]
        failed: list[UpstreamError] = []
        for name in (model, *fallbacks):
            try:
                completion = await self._ask(name, drafting=not final, live=final and self._live)
            except UpstreamError as exc:
                failed.append(exc)
            else:
                return completion if final else await self._tried(query, completion)
        raise failed[0] if len(failed) == 1 else exhausted(failed)

    async def complete_at_once(self, query: Query, model: str) -> Completion | None:
        """A draft that is passed on as it comes, and so is the answer; None when the model failed
        before there was anything to pass on. It is not asked again in this run then."""
        try:
            return await self._tried(query, await self._ask(model, drafting=True, live=True))
        except UpstreamError as exc:
            self._failed[model] = exc
            return None

    async def _tried(self, query: Query, draft: Completion) -> Completion:
        """The draft with what running it showed."""
        if self._sandbox is None:
            return draft
        check = await execution_check(self._sandbox, query, draft)
        return draft if check is None else replace(draft, checks=(check,))

    async def _ask(self, name: str, *, drafting: bool, live: bool) -> Completion:
        member = self._roster.member(name)
        meter = _Meter(self, member, self._request, self._purse)
        meter.check()
        self._waiting.start()
        try:
            completion = await member.client.complete(
                self._request,
                ask_logprobs=drafting and not live and member.client.gives_logprobs,
                on_delta=self._pass_on(name) if live else None,
                meter=meter,
                patience_s=_DRAFT_PATIENCE_S if drafting else math.inf,
            )
        except UpstreamError as exc:
            self.attempts.extend(exc.calls)
            if self._passed_on:
                raise BrokenStreamError(exc) from None
            raise
        except (ConfigError, InputError) as exc:
            # This model cannot be asked so; another may.
            raise UpstreamError(
                str(exc), model=name, provider=member.config.provider, cause="bad_request"
            ) from exc
        finally:
            self._waiting.stop()
        self.attempts.extend(completion.attempts)
        return completion

    def answered(self, completion: Completion) -> None:
        """An answer came, and counts whatever becomes of it."""
        self.completions.append(completion)
        self._listener.answered(completion)

    def _pass_on(self, model: str) -> Callable[[Delta], Awaitable[None]]:
        async def pass_on(delta: Delta) -> None:
            self._passed_on = True
            await self._listener.passed_on(model, delta)

        return pass_on


class _Meter:
    """Holds the HTTP calls to one model to the budget, where there is one."""

    def __init__(
        self,
        calls: Calls,
        member: Member,
        request: ChatRequest,
        purse: Purse | None,
    ) -> None:
        self._calls = calls
        self._member = member
        self._sent = _as_sent(request, member)
        self._purse = purse
        self._bound: tuple[Endpoint, Price | None, float] | None = None  # the last one reckoned

    def check(self) -> None:
        """Raise ConfigError unless it can be said what a call may cost, where it has to be, and
        InputError where that is more than any budget can count."""
        if self._purse is not None and self._purse.limited:
            self._upper_bound_usd(self._member.client.endpoint, self._member.price_for(self._sent))

    async def open(self, endpoint: Endpoint, price: Price | None) -> Any:
        purse = self._purse
        if purse is None:
            return None
        return await purse.reserve(
            upper_bound_usd=self._upper_bound_usd(endpoint, price) if purse.limited else None,
            model=self._member.name,
            provider=endpoint.provider,
            lease_s=self._member.config.timeout.total_s + _LEASE_MARGIN_S,
        )

    async def close(
        self, opened: Any, *, completion: Completion | None, error: BaseException | None
    ) -> None:
        if completion is not None:
            self._calls.answered(completion)
        purse = self._purse
        if purse is None:
            return
        if completion is not None:
            await purse.settle(opened, completion.cost_usd, completion=completion)
        elif isinstance(error, UpstreamError) and error.cause not in CUT_OFF:
            await purse.release(opened)
        else:  # cut off, cancelled: it may be charged for
            await purse.settle(opened, None, completion=None)

    def _upper_bound_usd(self, endpoint: Endpoint, price: Price | None) -> float:
        """The most that one call can cost; ConfigError when that cannot be said, InputError when
        it is out of all bounds."""
        known = self._bound
        if known is None or known[0] is not endpoint or known[1] != price:
            bound_usd = self._reckon_upper_bound_usd(endpoint, price)
            known = self._bound = (endpoint, price, bound_usd)
        return known[2]

    def _reckon_upper_bound_usd(self, endpoint: Endpoint, price: Price | None) -> float:
        name = self._member.name
        if price is None:
            raise ConfigError(
                f"no price is known for model {name!r} at {endpoint.provider}, and a budget needs "
                "one; give the model a 'cost', or 'input_cost' and 'output_cost'",
                param="cost",
            )
        written = output_bound(self._sent, endpoint.max_output)
        if written is None and price.output_cost == 0.0:
            written = 0  # however much it is
        if written is None:
            raise ConfigError(
                f"how much model {name!r} can write is not known, and a budget needs a bound; give "
                "the model 'max_tokens', or the call",
                param="max_tokens",
            )
        bound_usd = price.upper_bound_usd(self._read, written)
        if bound_usd > _MOST_USD:
            field = _largest_of(_BOUNDING_PARAMS, self._sent.params)
            raise InputError(
                f"{field!r} is too large: the call might cost more than {_MOST_USD:,.0f} USD, and "
                "no budget allows that; ask for fewer tokens",
                param=field,
            )
        return bound_usd

    @cached_property
    def _read(self) -> int:
        """The most tokens that the request can be; counted once for all tries."""
        return upper_bound_tokens(self._sent)


def _as_sent(request: ChatRequest, member: Member) -> ChatRequest:
    """The request with the parameters that the model adds."""
    params = member.params(request)
    return request if params is request.params else replace(request, params=params)


def _largest_of(names: Sequence[str], params: Mapping[str, Any]) -> str:
    """The name whose parameter is the largest number, else the first."""
    given = [name for name in names if isinstance(params.get(name), int)]
    return max(given, key=lambda name: params[name], default=names[0])


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
