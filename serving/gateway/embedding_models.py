"""Upstream models for embeddings: a request is passed through, and what it costs is counted."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from yarl import URL

from router.budget import upper_bound_tokens
from router.chat import ChatRequest, Completion
from router.config import ModelConfig
from router.errors import ConfigError, UpstreamError
from router.providers.catalogue import find_provider
from router.providers.circuit import CircuitBreaker
from router.providers.endpoint import Endpoint, resolve_endpoints
from router.providers.failures import circuit_error
from router.providers.meter import CUT_OFF
from router.providers.retry import backoff_s
from router.providers.transport import Transport
from router.store.purse import Purse

from .embedding_exchange import Embedded, exchange_embeddings

__all__ = ["EmbeddingModel", "EmbeddingModels"]

_PATH: Final = "/embeddings"
_LEASE_MARGIN_S: Final = 60.0


class EmbeddingModels:
    """The configured models by name. Raises ConfigError as `EmbeddingModel` does."""

    def __init__(
        self,
        configs: Sequence[ModelConfig],
        transport: Transport,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._models = {
            config.name: EmbeddingModel(config, transport, environ=environ) for config in configs
        }

    def find(self, name: str) -> EmbeddingModel | None:
        """The model of that name; None when there is none."""
        return self._models.get(name)


@dataclass(kw_only=True)
class _Lane:
    endpoint: Endpoint
    url: URL
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)


class EmbeddingModel:
    """One model: its endpoints tried in order, each with retries and a circuit breaker. Raises
    ConfigError for a provider that has no embeddings, or whose key is missing."""

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
        self.config = config
        self._transport = transport
        self._lanes = [_Lane(endpoint=one, url=_url(one)) for one in endpoints]
        self._random = Random()

    async def embed(self, body: Mapping[str, Any], purse: Purse) -> Embedded:
        """The provider's answer to `body`, which says everything but the model.

        Raises UpstreamError when no endpoint answers, BudgetExceededError, ConfigError where a
        budget needs a price that is not known, and StoreError.
        """
        failed: list[UpstreamError] = []
        for lane in self._lanes:
            retries = 0
            while True:
                outcome = await self._try(lane, body, purse)
                if isinstance(outcome, Embedded):
                    return outcome
                failed.append(outcome)
                if not outcome.retryable or retries == self.config.max_retries:
                    break
                delay_s = backoff_s(retries, self._random, retry_after_s=outcome.retry_after_s)
                if delay_s is None:
                    break
                await asyncio.sleep(delay_s)
                retries += 1
        raise _last_that_says_something(failed)

    async def _try(
        self, lane: _Lane, body: Mapping[str, Any], purse: Purse
    ) -> Embedded | UpstreamError:
        """One HTTP call, or none while the circuit is open."""
        endpoint, now = lane.endpoint, time.monotonic()
        if not lane.breaker.allow(now):
            return circuit_error(endpoint, lane.breaker.wait_s(now))
        sent = {**endpoint.params, **body, "model": endpoint.upstream_model}
        try:
            reservation = await purse.reserve(
                upper_bound_usd=_upper_bound_usd(endpoint, sent) if purse.limited else None,
                model=endpoint.model,
                provider=endpoint.provider,
                lease_s=self.config.timeout.total_s + _LEASE_MARGIN_S,
            )
        except BaseException:
            lane.breaker.abandon()
            raise
        start = time.perf_counter()
        try:
            sender = await self._transport.sender()
            embedded = await exchange_embeddings(
                sender, endpoint, lane.url, sent, self.config.timeout
            )
        except UpstreamError as error:
            if error.retryable:
                lane.breaker.fail(time.monotonic())
            else:
                lane.breaker.abandon()
            if error.cause in CUT_OFF:
                await purse.settle(reservation, None, completion=None)
            else:
                await purse.release(reservation)
            return error
        except BaseException:
            lane.breaker.abandon()
            await purse.settle(reservation, None, completion=None)
            raise
        lane.breaker.succeed()
        latency_ms = (time.perf_counter() - start) * 1000
        paid_for = _for_the_ledger(endpoint, embedded, latency_ms)
        await purse.settle(reservation, embedded.cost_usd, completion=paid_for)
        return embedded


def _url(endpoint: Endpoint) -> URL:
    """Where embeddings are, beside the chat completions."""
    if find_provider(endpoint.provider, api_base="-").dialect != "openai":
        raise ConfigError(
            f"{endpoint.provider} has no embeddings; remove model {endpoint.model!r} from "
            "'embeddings'",
            param="embeddings",
        )
    path = endpoint.url.raw_path.removesuffix(endpoint.wire.path) + _PATH
    return endpoint.url.with_path(path, encoded=True, keep_query=True)


def _upper_bound_usd(endpoint: Endpoint, sent: Mapping[str, Any]) -> float:
    price = endpoint.price({})
    if price is None:
        raise ConfigError(
            f"no price is known for model {endpoint.model!r} at {endpoint.provider}, and a budget "
            "needs one; give the model a 'cost', or 'input_cost' and 'output_cost'",
            param="cost",
        )
    return price.upper_bound_usd(upper_bound_tokens(ChatRequest(messages=(), params=sent)), 0)


def _for_the_ledger(endpoint: Endpoint, embedded: Embedded, latency_ms: float) -> Completion:
    """A call as a purse counts it: there is no text in it, only tokens that were read."""
    return Completion(
        text="",
        model=endpoint.model,
        provider=embedded.provider,
        usage=embedded.usage,
        cost_usd=embedded.cost_usd,
        reply={},
        latency_ms=latency_ms,
    )


def _last_that_says_something(failed: Sequence[UpstreamError]) -> UpstreamError:
    told = [error for error in failed if error.cause != "circuit_open"] or failed
    return told[-1]
