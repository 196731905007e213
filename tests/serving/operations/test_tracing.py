"""Spans as a collector gets them: over HTTP, in OTLP's protobuf."""

from __future__ import annotations

import asyncio
import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from serving.operations.tracing import Tracing
from tests.serving.operations.made_up_outcome import DRAFT_CALL, VERIFIER_CALL, outcome

ROOT = Path(__file__).resolve().parents[3]
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


class Collector:
    """A receiver of OTLP over HTTP on loopback."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                collector.headers.append({k.lower(): v for k, v in self.headers.items()})
                collector.paths.append(self.path)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def resource(self) -> dict[str, Any]:
        return values(self.requests[0].resource_spans[0].resource.attributes)


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    with found.server:
        thread = threading.Thread(target=found.server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        found.server.shutdown()
        thread.join()


def open_tracing(endpoint: str) -> Tracing:
    return Tracing(endpoint, service_name="sluice-test", version="1.2.3")


def values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


async def test_a_request_is_a_server_span_with_its_calls_within(collector: Collector) -> None:
    tracing = open_tracing(collector.url)
    tracing.record(outcome(), (DRAFT_CALL, VERIFIER_CALL))
    await tracing.aclose()
    assert collector.paths == ["/v1/traces"]
    assert collector.resource()["service.name"] == "sluice-test"
    assert collector.resource()["service.version"] == "1.2.3"
    spans = {span.name: span for span in collector.spans}
    request, draft = spans["chat auto"], spans["chat gpt-4o-mini"]
    assert request.kind == Span.SPAN_KIND_SERVER
    assert request.parent_span_id == b""
    for name in ("chat gpt-4o-mini", "chat gpt-4o"):
        assert spans[name].kind == Span.SPAN_KIND_CLIENT
        assert spans[name].parent_span_id == request.span_id
        assert spans[name].trace_id == request.trace_id
    at = 1_764_000_000_250_000_000
    assert request.start_time_unix_nano == pytest.approx(at, abs=1000)
    assert request.end_time_unix_nano - request.start_time_unix_nano == pytest.approx(
        812_500_000, abs=1000
    )
    assert draft.end_time_unix_nano - draft.start_time_unix_nano == pytest.approx(
        800_000_000, abs=1000
    )


async def test_attributes_follow_the_conventions(collector: Collector) -> None:
    tracing = open_tracing(f"{collector.url}/v1/traces/")
    tracing.record(outcome(provider="gemini"), (DRAFT_CALL,))
    await tracing.aclose()
    spans = {span.name: values(span.attributes) for span in collector.spans}
    request, call = spans["chat auto"], spans["chat gpt-4o-mini"]
    assert request["gen_ai.operation.name"] == call["gen_ai.operation.name"] == "chat"
    assert request["gen_ai.provider.name"] == request["gen_ai.system"] == "gcp.gemini"
    assert request["gen_ai.response.model"] == "gpt-4o-mini"
    assert request["gen_ai.response.time_to_first_chunk"] == pytest.approx(0.301)
    assert request["http.route"] == "/v1/chat/completions"
    assert request["http.response.status_code"] == 200
    assert request["sluice.action"] == "accepted"
    assert request["sluice.domain"] == "CODE"
    assert request["sluice.p_success"] == pytest.approx(0.93)
    assert request["sluice.cost_usd"] == pytest.approx(0.0000384)
    assert request["sluice.saved_usd"] == pytest.approx(0.0006016)
    assert call["gen_ai.provider.name"] == "openai"
    assert call["gen_ai.request.model"] == "gpt-4o-mini"
    assert call["gen_ai.usage.input_tokens"] == 120
    assert call["gen_ai.usage.output_tokens"] == 34
    assert call["gen_ai.usage.cache_read.input_tokens"] == 64
    assert not any(name.startswith("gen_ai.usage") for name in request)


async def test_nothing_of_the_content_or_the_user_is_sent(collector: Collector) -> None:
    tracing = open_tracing(collector.url)
    tracing.record(outcome(), (DRAFT_CALL,))
    await tracing.aclose()
    sent = b"".join(request.SerializeToString() for request in collector.requests)
    assert b"slc_" in sent
    assert b"secret" not in sent
    assert b"ann@example.org" not in sent


async def test_a_failure_is_an_error_with_its_code(collector: Collector) -> None:
    tracing = open_tracing(collector.url)
    failed = outcome(
        status="failed", http_status=504, error_code="upstream_timeout", model=None, action=None
    )
    cut_off = [DRAFT_CALL, VERIFIER_CALL]
    tracing.record(failed, cut_off)
    await tracing.aclose()
    [request] = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert request.status.code == Status.STATUS_CODE_ERROR
    assert values(request.attributes)["error.type"] == "upstream_timeout"
    assert "gen_ai.response.model" not in values(request.attributes)


async def test_the_callers_trace_goes_on(collector: Collector) -> None:
    tracing = open_tracing(collector.url)

    async def request(flags: str) -> None:
        tracing.note_caller({"traceparent": f"00-{TRACE}-{PARENT}-{flags}", "tracestate": "a=b"})
        await asyncio.create_task(answer())

    async def answer() -> None:
        tracing.record(outcome(), (DRAFT_CALL,))

    # Each in a task of its own, as the server does it: one caller is not another's.
    await asyncio.create_task(request("01"))
    await asyncio.create_task(request("00"))  # which its caller does not sample
    await asyncio.create_task(answer())
    await tracing.aclose()
    requests = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert len(requests) == 2
    traced, own = requests
    assert (traced.trace_id.hex(), traced.parent_span_id.hex()) == (TRACE, PARENT)
    assert traced.trace_state == "a=b"
    assert own.parent_span_id == b""
    assert own.trace_id != traced.trace_id


async def test_a_traceparent_that_is_none_is_ignored(collector: Collector) -> None:
    tracing = open_tracing(collector.url)

    async def request() -> None:
        tracing.note_caller({"traceparent": "\x00 not one"})
        tracing.record(outcome())

    await asyncio.create_task(request())
    await tracing.aclose()
    [span] = collector.spans
    assert span.parent_span_id == b""


async def test_headers_for_the_collector_come_from_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc")
    tracing = open_tracing(collector.url)
    tracing.record(outcome())
    await tracing.aclose()
    assert collector.headers[0]["authorization"] == "Basic abc"


def test_a_collector_that_does_not_answer_does_not_hold_up_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = open_tracing(f"http://127.0.0.1:{silent.getsockname()[1]}")
        tracing.record(outcome())
        began = time.monotonic()
        tracing.close()
        assert time.monotonic() - began < 5
    assert "did not take the last spans in time" in caplog.text


def test_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'opentelemetry':\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "import router.extras\n"
        "router.extras.find_spec = lambda name: None if name == 'opentelemetry' else found(name)\n"
        "from serving.operations.tracing import Tracing\n"
        "try:\n"
        "    Tracing('http://127.0.0.1:1', service_name='x', version='1')\n"
        "except router.extras.UsageError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == (
        "tracing needs the extra 'otel': pip install 'sluice-router[otel]'"
    )
    assert done.stderr == ""
