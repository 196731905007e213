"""POST /v1/embeddings: by an upstream model, or by the artifact's own encoder."""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request

from router.engine import Engine
from router.errors import BudgetExceededError, SluiceError, StoreError, UsageError
from router.records.outcome import Outcome
from router.types import Query

from ..access.tenants import Tenant
from ..bodies import read_json
from ..config import ENCODER_MODEL
from ..errors import ApiError, bad_request
from ..service import Service
from .embedding_asks import EmbeddingAsk, read_embedding_ask, read_encoder_ask
from .failures import api_error, deadline_error
from .pieces import to_json
from .plain_replies import Reply
from .presence import Presence
from .replies import outcome_headers, plain_headers
from .tab import Tab

__all__ = ["EmbeddingsEndpoint"]

_LOG = logging.getLogger("sluice.serving")
_OWN: Final = "sluice"  # who provides the encoder
_LEFT: Final = 499


@dataclass(kw_only=True)
class _Case:
    """One request under way."""

    request_id: str
    tenant: Tenant
    ask: EmbeddingAsk
    tab: Tab
    keeps_text: bool
    at: float
    started: float = field(default_factory=time.perf_counter)
    waited_ms: float = 0.0

    def outcome(self, **found: Any) -> Outcome:
        """What came of it; there is no domain, no plan and no draft in it."""
        elapsed_ms = (time.perf_counter() - self.started) * 1000
        return Outcome(
            request_id=self.request_id,
            at=self.at,
            key_id=self.tenant.key_id,
            user=self.ask.user,
            cascade="",
            requested_model=self.ask.model,
            dialect="openai",
            streamed=False,
            cost_nano=self.tab.charged_nano,
            unpriced=self.tab.unpriced,
            latency_ms=elapsed_ms,
            overhead_ms=max(0.0, elapsed_ms - self.waited_ms),
            prompt=to_json(self.ask.body).decode() if self.keeps_text else None,
            **found,
        )

    def success(self, *, provider: str, tokens: int | None, artifact: str | None = None) -> Outcome:
        """The outcome of a request that is answered."""
        return self.outcome(
            status="ok",
            http_status=200,
            action="bypass",
            model=self.ask.model,
            provider=provider,
            artifact=artifact,
            input_tokens=tokens,
            output_tokens=None if tokens is None else 0,
        )


class EmbeddingsEndpoint:
    """Answers requests to one service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gateway = service.gateway

    async def answer(self, request: Request, request_id: str) -> Reply:
        """The vectors as JSON; raises ApiError or SluiceError. What was asked of a provider is
        recorded, whatever came of it."""
        gateway = self._gateway
        if gateway.tracing is not None:
            gateway.tracing.note_caller(request.headers)
        tenant = await gateway.access.identify(request.headers)
        body = await read_json(request, self._service.settings)
        user_header = gateway.config.auth.user_header
        ask = read_embedding_ask(body, request.headers, user_header=user_header)
        self._check_may_use(ask.model, tenant)
        now = time.time()
        case = _Case(
            request_id=request_id,
            tenant=tenant,
            ask=ask,
            tab=Tab(
                gateway.allowances,
                gateway.limits(tenant, ask.user),
                at=now,
                recorded_within_s=gateway.config.limits.request_timeout_s,
            ),
            keeps_text=gateway.config.store.store_text,
            at=now,
        )
        headers = plain_headers(await gateway.rate_limits.admit(tenant))
        await gateway.admission.enter(tenant.key_id)
        presence = Presence(request.receive)
        try:
            reply, own = await self._answer(case, presence)
        except asyncio.CancelledError:
            if not presence.left:
                raise  # the service is going down
            presence.forget()
            raise ApiError(_LEFT, "the client has left", code="client_left") from None
        finally:
            presence.close()
            case.tab.close()
            gateway.admission.leave()
            await gateway.rate_limits.count_tokens(tenant, case.tab.tokens)
        return reply, [*headers, *own]

    def _check_may_use(self, model: str, tenant: Tenant) -> None:
        known = model == ENCODER_MODEL or self._gateway.embeddings.find(model) is not None
        if not (known and tenant.may_use_model(model)):
            message = "there is no such model for embeddings; GET /v1/models lists what there is"
            raise ApiError(404, message, code="model_not_found", param="model")

    async def _answer(self, case: _Case, presence: Presence) -> Reply:
        limit_s = self._gateway.config.limits.request_timeout_s
        embed = self._encode if case.ask.model == ENCODER_MODEL else self._ask
        try:
            async with asyncio.timeout(limit_s):
                body, outcome = await embed(case)
        except TimeoutError as exc:
            error = deadline_error(limit_s)
            await self._keep_failure(case, "failed", error.status, error.code)
            raise error from exc
        except asyncio.CancelledError:
            http_status, code = (_LEFT, "client_left") if presence.left else (503, "shutdown")
            await self._keep_failure(case, "cancelled", http_status, code)
            raise
        except (SluiceError, ApiError) as exc:
            refused = isinstance(exc, UsageError | BudgetExceededError | StoreError | ApiError)
            if case.tab.calls or not refused:
                told = exc if isinstance(exc, ApiError) else api_error(exc)
                await self._keep_failure(case, "failed", told.status, told.code)
            raise
        except Exception:  # a mistake of ours, and what was paid counts all the same
            await self._keep_failure(case, "failed", 500, "internal_error")
            raise
        await self._record(outcome, case.tab)
        headers = outcome_headers(outcome, overhead_ms=outcome.overhead_ms or 0.0)
        return body, [(name, value) for name, value in headers if value]

    async def _keep_failure(
        self, case: _Case, status: str, http_status: int, error_code: str
    ) -> None:
        outcome = case.outcome(status=status, http_status=http_status, error_code=error_code)
        with suppress(StoreError):  # which is logged, and the error at hand says more
            await self._record(outcome, case.tab)

    async def _record(self, outcome: Outcome, tab: Tab) -> None:
        try:
            await self._gateway.recorder.record(outcome, tab)
        except StoreError as exc:
            _LOG.error(
                "the outcome of %s (%d nano-USD) is lost: %s",
                *(outcome.request_id, outcome.cost_nano, exc),
            )
            raise

    async def _ask(self, case: _Case) -> tuple[bytes, Outcome]:
        model = self._gateway.embeddings.find(case.ask.model)
        assert model is not None  # it was looked for before
        start = time.perf_counter()
        try:
            embedded = await model.embed(case.ask.body, case.tab)
        finally:
            case.waited_ms = (time.perf_counter() - start) * 1000
        tokens = None if embedded.usage is None else embedded.usage.prompt_tokens
        return embedded.body, case.success(provider=embedded.provider, tokens=tokens)

    async def _encode(self, case: _Case) -> tuple[bytes, Outcome]:
        engine = self._service.engine
        wanted = read_encoder_ask(case.ask, max_inputs=self._service.settings.max_batch)
        if wanted.dimensions is not None:
            _check_dimensions(engine, wanted.dimensions)
        body, tokens = await asyncio.to_thread(
            _encode, engine, wanted.texts, as_base64=wanted.as_base64
        )
        return body, case.success(provider=_OWN, tokens=tokens, artifact=engine.version)


def _check_dimensions(engine: Engine, wanted: int) -> None:
    dimension = len(engine.predict(Query.from_prompt("-"), ()).embedding)
    if wanted != dimension:
        message = f"'dimensions' can only be {dimension}: {ENCODER_MODEL!r} has no other vectors"
        raise bad_request(message, param="dimensions")


def _encode(engine: Engine, texts: Sequence[str], *, as_base64: bool) -> tuple[bytes, int]:
    """(the reply's body, how many tokens were read)."""
    data, tokens = [], 0
    for index, text in enumerate(texts):
        prediction = engine.predict(Query.from_prompt(text), ())
        vector = prediction.embedding.astype("<f4")
        told = base64.b64encode(vector.tobytes()).decode() if as_base64 else vector.tolist()
        data.append({"object": "embedding", "index": index, "embedding": told})
        tokens += round(prediction.input_tokens)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    body = {"object": "list", "data": data, "model": ENCODER_MODEL, "usage": usage}
    return to_json(body), tokens
