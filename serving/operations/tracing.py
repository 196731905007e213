"""OpenTelemetry spans of finished requests (extra `otel`), after its conventions for generative AI.

A request is a server span, each call to a model a client span within it. Spans are made when all is
over, with the times at which things happened: while a request runs nothing is traced. No span holds
anything of a prompt, an answer or a user. Tokens stand on the calls alone, as those who add them up
would count them twice otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from router.extras import require_extra
from router.money import to_usd
from router.records.outcome import CallRecord, Outcome

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

__all__ = ["Tracing"]

_LOG = logging.getLogger("sluice.tracing")

_PATH: Final = "/v1/traces"
_ROUTES: Final = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
# Where the conventions have a name of their own for a provider.
_PROVIDERS: Final = {"gemini": "gcp.gemini", "mistral": "mistral_ai", "xai": "x_ai"}
_CALLER_HEADERS: Final = ("traceparent", "tracestate")
_CLOSE_S: Final = 3.0

_caller: ContextVar[dict[str, str]] = ContextVar("sluice_trace_caller")


class Tracing:
    """Sends spans to a collector, from a thread and in batches; what it cannot send it drops.

    `endpoint` is the collector's address with or without /v1/traces. Headers for it, sampling and
    the size of batches come from OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_TRACES_SAMPLER, OTEL_BSP_...). Raises UsageError when the extra is not installed.
    """

    def __init__(self, endpoint: str, *, service_name: str, version: str) -> None:
        require_extra("tracing", "otel")
        self._provider = _open_provider(endpoint, service_name, version)
        self._tracer = self._provider.get_tracer("sluice", version)

    def note_caller(self, headers: Mapping[str, str]) -> None:
        """Remember, for the current task and those it starts, whose trace this request belongs to.
        Names of headers are in lower case."""
        if "traceparent" in headers:
            _caller.set({name: headers[name] for name in _CALLER_HEADERS if name in headers})

    def record(self, outcome: Outcome, calls: Sequence[CallRecord] = ()) -> None:
        """The spans of one finished request."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, set_span_in_context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        caller = _caller.get({})
        end_ns = _nanoseconds(outcome.at + outcome.latency_ms / 1000)
        span = self._tracer.start_span(
            f"chat {outcome.cascade or outcome.model or ''}".rstrip(),
            context=TraceContextTextMapPropagator().extract(caller, Context()),
            kind=SpanKind.SERVER,
            attributes=_describe_request(outcome),
            start_time=_nanoseconds(outcome.at),
        )
        if span.is_recording():
            within = set_span_in_context(span)
            for call in calls:
                made = self._tracer.start_span(
                    f"chat {call.model}",
                    context=within,
                    kind=SpanKind.CLIENT,
                    attributes=_describe_call(call),
                    start_time=_nanoseconds(call.at),
                )
                lasted_s = None if call.latency_ms is None else call.latency_ms / 1000
                made.end(end_ns if lasted_s is None else _nanoseconds(call.at + lasted_s))
        if outcome.status != "ok":
            _mark_failed(span, outcome)
        span.end(end_ns)

    async def aclose(self) -> None:
        """Send what waits, for some seconds at most."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """The same, for a thread."""
        # By itself it may take half a minute when the collector does not answer.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        if closing.is_alive():
            _LOG.warning("the collector did not take the last spans in time; they are dropped")


def _open_provider(endpoint: str, service_name: str, version: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    path = urlsplit(endpoint).path.rstrip("/")
    url = endpoint.rstrip("/") + ("" if path.endswith(_PATH) else _PATH)
    resource = Resource.create({"service.name": service_name, "service.version": version})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return provider


def _describe_request(outcome: Outcome) -> dict[str, Any]:
    saved_nano = None
    if outcome.baseline_nano is not None:
        saved_nano = outcome.baseline_nano - outcome.cost_nano
    return _known(
        {
            "gen_ai.operation.name": "chat",
            **_provider(outcome.provider),
            "gen_ai.request.model": outcome.requested_model,
            "gen_ai.request.stream": outcome.streamed,
            "gen_ai.response.model": outcome.model,
            "gen_ai.response.id": outcome.request_id,
            "gen_ai.response.time_to_first_chunk": _seconds(outcome.first_token_ms),
            "http.request.method": "POST",
            "http.route": _ROUTES.get(outcome.dialect),
            "http.response.status_code": outcome.http_status,
            "sluice.key_id": outcome.key_id or None,
            "sluice.cascade": outcome.cascade or None,
            "sluice.action": outcome.action,
            "sluice.cached": outcome.cached,
            "sluice.domain": outcome.domain,
            "sluice.artifact": outcome.artifact,
            "sluice.p_success": outcome.p_success,
            "sluice.p_acceptable": outcome.p_acceptable,
            "sluice.drafts_agree": outcome.drafts_agree,
            "sluice.cost_usd": to_usd(outcome.cost_nano),
            "sluice.saved_usd": None if saved_nano is None else to_usd(saved_nano),
            "sluice.overhead_ms": outcome.overhead_ms,
        }
    )


def _describe_call(call: CallRecord) -> dict[str, Any]:
    return _known(
        {
            "gen_ai.operation.name": "chat",
            **_provider(call.provider),
            "gen_ai.request.model": call.model,
            "gen_ai.response.model": call.model,
            "gen_ai.usage.input_tokens": call.input_tokens,
            "gen_ai.usage.output_tokens": call.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
            "sluice.cost_usd": to_usd(call.charged_nano),
        }
    )


def _provider(name: str | None) -> dict[str, str | None]:
    """Under its name of today and, for those who look there, its former one."""
    known = _PROVIDERS.get(name, name) if name else None
    return {"gen_ai.provider.name": known, "gen_ai.system": known}


def _mark_failed(span: Span, outcome: Outcome) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", outcome.error_code or outcome.status)
    span.set_status(Status(StatusCode.ERROR))


def _known(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(at: float) -> int:
    return int(at * 1_000_000_000)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
