"""One configured model: its endpoints tried in order, each with retries and a circuit breaker."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

import orjson

from ..chat import Attempt, ChatRequest, Completion, Delta
from ..config import ModelConfig
from ..errors import InputError, UpstreamError
from ..prices import Price
from .circuit import CircuitBreaker, CircuitState
from .completion import build_completion, hide_logprobs
from .endpoint import Endpoint, resolve_endpoints
from .exchange import Exchange, OnDelta
from .failures import circuit_error
from .meter import Meter
from .retry import backoff_s
from .transport import Transport

__all__ = ["ModelClient"]


@dataclass(kw_only=True)
class _Lane:
    """An endpoint and what experience says of it."""

    endpoint: Endpoint
    logprobs: bool
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)


@dataclass(kw_only=True)
class _Call:
    """One `complete` under way."""

    request: ChatRequest
    ask_logprobs: bool
    on_delta: OnDelta | None
    meter: Meter | None
    patience_s: float
    start: float = field(default_factory=time.perf_counter)
    attempts: list[Attempt] = field(default_factory=list)
    passed_on: bool = False  # what was said cannot be unsaid: no retry from here on

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.start) * 1000


class ModelClient:
    """Asks one model. Safe to share between tasks and event loops.

    Raises ConfigError when a provider is unknown or wants a key that
    neither the configuration nor `environ` (by default the process's) has.
    """

    def __init__(
        self,
        config: ModelConfig,
        transport: Transport,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        endpoints = resolve_endpoints(
            config,
            os.environ if environ is None else environ,
            use_proxies=not transport.finds_proxies,
        )
        self.name = config.name
        self.config = config
        self._transport = transport
        self._lanes = [_Lane(endpoint=one, logprobs=one.logprobs) for one in endpoints]
        self._random = Random()

    @property
    def endpoint(self) -> Endpoint:
        """The first place that is asked."""
        return self._lanes[0].endpoint

    @property
    def gives_logprobs(self) -> bool:
        """Whether the first endpoint returns log-probabilities, as far as is known by now."""
        return self._lanes[0].logprobs

    def circuits(self, now: float) -> tuple[tuple[Endpoint, CircuitState], ...]:
        """Each endpoint in the order in which they are asked, and whether it is left alone; `now`
        is of the monotonic clock."""
        return tuple((lane.endpoint, lane.breaker.state(now)) for lane in self._lanes)

    def dropped(self, request: ChatRequest) -> tuple[str, ...]:
        """The names of the request's fields that the first endpoint is not sent, as its format
        has nothing like them ("seed"); raises InputError as `complete` does."""
        return self._lanes[0].endpoint.wire.dropped(request)

    async def complete(
        self,
        request: ChatRequest,
        *,
        ask_logprobs: bool = False,
        on_delta: OnDelta | None = None,
        meter: Meter | None = None,
        patience_s: float = math.inf,
    ) -> Completion:
        """The model's answer; with `on_delta` streamed, each delta awaited as it arrives. `meter`
        is told of every HTTP call, and may forbid it. An endpoint that would have to be waited for
        longer than `patience_s` is not asked again.

        Raises UpstreamError, whose `calls` are all that was tried, and InputError for a request
        that JSON or the provider's format cannot hold. Once a delta has been passed on nothing is
        tried again.
        """
        call = _Call(
            request=request,
            ask_logprobs=ask_logprobs,
            on_delta=on_delta,
            meter=meter,
            patience_s=patience_s,
        )
        for lane in self._lanes:
            completion = await self._ask(lane, call)
            if completion is not None:
                return completion
            if call.passed_on:
                break
        raise _failure(call.attempts)

    async def _ask(self, lane: _Lane, call: _Call) -> Completion | None:
        """The answer of one endpoint, asked again while that makes sense; None when it failed."""
        said = "logprobs" in call.request.params or "logprobs" in lane.endpoint.params
        wanted = call.ask_logprobs and lane.logprobs and not said
        add_logprobs = wanted
        retries = 0
        while True:
            outcome = await self._try(lane, call, add_logprobs)
            if isinstance(outcome, Completion):
                if wanted and not add_logprobs:
                    lane.logprobs = False  # they were what it refused
                return outcome
            if call.passed_on:
                return None
            if add_logprobs and outcome.cause == "bad_request":
                add_logprobs = False
                continue
            if not outcome.retryable or retries == self.config.max_retries:
                return None
            delay_s = backoff_s(retries, self._random, retry_after_s=outcome.retry_after_s)
            if delay_s is None or delay_s > call.patience_s:
                return None
            await asyncio.sleep(delay_s)
            retries += 1

    async def _try(
        self, lane: _Lane, call: _Call, add_logprobs: bool
    ) -> Completion | UpstreamError:
        """One HTTP call, or none while the circuit is open; either way it is an attempt."""
        body = self._body(lane.endpoint, call, add_logprobs)
        now = time.monotonic()
        if not lane.breaker.allow(now):
            error = circuit_error(lane.endpoint, lane.breaker.wait_s(now))
            call.attempts.append(_skipped(lane.endpoint, error))
            return error
        price = lane.endpoint.price(call.request.params)
        if call.meter is None:
            return await self._exchange(lane, call, body, add_logprobs, price)
        try:
            opened = await call.meter.open(lane.endpoint, price)
        except BaseException:
            lane.breaker.abandon()
            raise
        try:
            outcome = await self._exchange(lane, call, body, add_logprobs, price)
        except BaseException as exc:
            await call.meter.close(opened, completion=None, error=exc)
            raise
        if isinstance(outcome, Completion):
            await call.meter.close(opened, completion=outcome, error=None)
        else:
            await call.meter.close(opened, completion=None, error=outcome)
        return outcome

    async def _exchange(
        self, lane: _Lane, call: _Call, body: bytes, add_logprobs: bool, price: Price | None
    ) -> Completion | UpstreamError:
        """One HTTP call."""
        on_delta = _without_logprobs(call.on_delta) if add_logprobs else call.on_delta
        offset_ms = call.elapsed_ms()
        sender = await self._transport.sender()
        exchange = Exchange(sender, lane.endpoint, self.config.timeout, on_delta=on_delta)
        try:
            reply = await exchange.run(body)
        except UpstreamError as error:
            if error.retryable:
                lane.breaker.fail(time.monotonic())
            else:
                lane.breaker.abandon()
            call.attempts.append(exchange.attempt(error))
            call.passed_on = exchange.passed_on
            return error
        except BaseException:  # cancelled, or on_delta's own
            lane.breaker.abandon()
            raise
        lane.breaker.succeed()
        call.attempts.append(exchange.attempt())
        first_ms = exchange.first_token_ms
        return build_completion(
            reply,
            lane.endpoint,
            price=price,
            keep_logprobs=not add_logprobs,
            latency_ms=call.elapsed_ms(),
            first_token_ms=None if first_ms is None else offset_ms + first_ms,
            attempts=call.attempts,
        )

    def _body(self, endpoint: Endpoint, call: _Call, add_logprobs: bool) -> bytes:
        body = endpoint.wire.body(
            call.request,
            model=endpoint.upstream_model,
            stream=call.on_delta is not None,
            max_tokens=endpoint.max_tokens,
            ask_logprobs=add_logprobs,
            defaults=endpoint.params,
        )
        try:
            return orjson.dumps(body, default=_as_json)
        except orjson.JSONEncodeError:
            # Not `from exc`: its message may quote the request.
            raise InputError("the request holds a value that JSON cannot") from None


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _without_logprobs(on_delta: OnDelta | None) -> OnDelta | None:
    if on_delta is None:
        return None

    async def pass_on(delta: Delta) -> None:
        await on_delta(hide_logprobs(delta))

    return pass_on


def _skipped(endpoint: Endpoint, error: UpstreamError) -> Attempt:
    return Attempt(
        model=endpoint.model,
        provider=endpoint.provider,
        endpoint=endpoint.origin,
        latency_ms=0.0,
        error=error,
    )


def _failure(attempts: Sequence[Attempt]) -> UpstreamError:
    """The last error that says something, as a new one: were it itself among its own calls, the
    circle would keep its traceback alive."""
    errors = [attempt.error for attempt in attempts if attempt.error is not None]
    told = [error for error in errors if error.cause != "circuit_open"] or errors
    last = told[-1]
    count = f" ({len(attempts)} calls)" if len(attempts) > 1 else ""
    places = _told_of_each(attempts)
    message = str(last) if len(places) == 1 else f"{last.model} at {', '.join(places)}"
    error = UpstreamError(
        f"{message}{count}",
        model=last.model,
        provider=last.provider,
        cause=last.cause,
        status=last.status,
        retry_after_s=last.retry_after_s,
    )
    error.calls = tuple(attempts)
    error.provider_message = last.provider_message
    return error


def _told_of_each(attempts: Sequence[Attempt]) -> list[str]:
    """Each endpoint in the order in which they were asked, and its last error that says something:
    the first may be the one that has to be put right."""
    told: dict[tuple[str, str | None], UpstreamError] = {}
    for attempt in attempts:
        place, error = (attempt.provider, attempt.endpoint), attempt.error
        if error is not None and (place not in told or error.cause != "circuit_open"):
            told[place] = error
    return [
        f"{provider} ({origin}; {error.cause}: {str(error).rpartition('): ')[2]})"
        for (provider, origin), error in told.items()
    ]
