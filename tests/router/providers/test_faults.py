"""Everything a provider can do wrong ends in an error that says so, or in the right answer."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import trustme

from router.config import TimeoutConfig
from tests.upstream import (
    Behaviour,
    Upstream,
    answer,
    cut,
    drip,
    fail,
    fail_host_lookups,
    hang,
    hang_midway,
    refused_url,
    send,
    send_events,
    send_json,
)

from .conftest import KEY, PROMPT, Ask

QUICK = TimeoutConfig(connect_s=1, first_token_s=0.1, total_s=0.2)


def completion(message: Any, finish_reason: str | None = "stop", **more: Any) -> Any:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    return {**head, "choices": [choice], **more}


def chunk(delta: Any, finish_reason: str | None = None, **more: Any) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**head, "choices": [choice], **more}


async def test_connection_refused(asking: Ask) -> None:
    async with asking(refused_url()) as ask:
        error = await ask.fail()
        assert error.cause == "connect"
        assert "refused" in str(error)


async def test_unknown_host(asking: Ask) -> None:
    with fail_host_lookups():
        async with asking("http://models.invalid/v1") as ask:
            error = await ask.fail()
    assert error.cause == "connect"
    assert "cannot resolve host models.invalid" in str(error)


async def test_certificate_of_an_unknown_authority(asking: Ask) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Upstream(tls=context) as upstream:
        async with asking(upstream) as ask:
            error = await ask.fail()
            assert error.cause == "tls"
            assert "certificate" in str(error)
    assert not upstream.requests


async def test_https_to_a_server_that_speaks_http(asking: Ask) -> None:
    def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asking(f"https://127.0.0.1:{port}/v1") as ask:
            assert (await ask.fail()).cause == "tls"


async def test_a_connection_that_is_never_made(asking: Ask) -> None:
    with Upstream() as upstream:  # waits for a request, and the client for a handshake
        url = upstream.url.replace("http://", "https://")
        async with asking(url, timeout=TimeoutConfig(connect_s=0.1)) as ask:
            error = await ask.fail()
            assert error.cause == "timeout"
            assert "no connection within 0.1 s" in str(error)
            assert await upstream.all_closed()


async def test_a_server_that_does_not_speak_http(asking: Ask) -> None:
    class Greeter(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            transport.write(b"220 mail.example.com ESMTP\r\n\r\n")

    loop = asyncio.get_running_loop()
    async with await loop.create_server(Greeter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asking(f"http://127.0.0.1:{port}/v1") as ask:
            assert (await ask.fail()).cause == "protocol"


@pytest.mark.parametrize(
    ("status", "code", "cause"),
    [
        (400, "invalid_request_error", "bad_request"),
        (400, "content_policy_violation", "content_filter"),
        (401, "invalid_api_key", "auth"),
        (403, "", "auth"),
        (404, "model_not_found", "not_found"),
        (408, "", "timeout"),
        (413, "", "bad_request"),
        (422, "", "bad_request"),
        (429, "rate_limit_exceeded", "rate_limit"),
        (500, "server_error", "server"),
        (503, "", "server"),
        (529, "overloaded_error", "server"),
    ],
)
async def test_statuses(asking: Ask, status: int, code: str, cause: str) -> None:
    with Upstream(fail(status, code, message=f"{PROMPT} {KEY}")) as upstream:
        async with asking(upstream) as ask:
            error = await ask.fail()
    assert (error.cause, error.status) == (cause, status)
    assert f"status {status}" in str(error)
    assert code in str(error)


@pytest.mark.parametrize(
    "code",
    [f"{PROMPT}", f"bad-{KEY}", "x" * 61, "<b>no</b>"],
    ids=["prompt", "key", "long", "html"],
)
async def test_a_code_that_could_hold_anything_is_not_repeated(asking: Ask, code: str) -> None:
    with Upstream(fail(400, code)) as upstream:
        async with asking(upstream) as ask:
            assert code not in str(await ask.fail())


async def test_rate_limit_says_how_long(asking: Ask) -> None:
    with Upstream(fail(429, retry_after="120")) as upstream:
        async with asking(upstream, max_retries=3) as ask:
            error = await ask.fail()
    assert error.retry_after_s == 120
    assert len(upstream.requests) == 1, "nobody waits two minutes"


async def test_rate_limit_is_waited_out(asking: Ask) -> None:
    with Upstream(fail(429, retry_after_ms="20"), answer("Paris.")) as upstream:
        async with asking(upstream, max_retries=1) as ask:
            result = await ask()
    assert result.text == "Paris."
    assert [attempt.status for attempt in result.attempts] == [429, 200]
    assert result.latency_ms >= 20


async def test_503_and_then_fine(asking: Ask) -> None:
    with Upstream(fail(503), answer("Paris.")) as upstream:
        async with asking(upstream, max_retries=1) as ask:
            result = await ask()
    assert result.text == "Paris."
    first, second = result.attempts
    assert first.error is not None
    assert first.error.cause == "server"
    assert second.error is None


async def test_hang_before_headers(asking: Ask) -> None:
    with Upstream(hang()) as upstream:
        async with asking(upstream, timeout=QUICK) as ask:
            error = await ask.fail()
            assert error.cause == "timeout"
            assert ("first token" if ask.streaming else "whole answer") in str(error)
            assert await upstream.all_closed()


async def test_hang_midway(asking: Ask) -> None:
    with Upstream(hang_midway(answer("one two three four"))) as upstream:
        async with asking(upstream, timeout=QUICK, max_retries=1) as ask:
            error = await ask.fail()
            assert error.cause == "timeout"
            assert "whole answer within 0.2 s" in str(error)
            assert await upstream.all_closed()
            assert bool(ask.deltas) is ask.streaming
    assert len(upstream.requests) == (1 if ask.streaming else 2), "what was said is not said again"


async def test_slow_drip(asking: Ask) -> None:
    with Upstream(drip(answer("one two three"), pause_s=0.005)) as upstream:
        async with asking(upstream, timeout=QUICK) as ask:
            assert (await ask.fail()).cause == "timeout"
            assert await upstream.all_closed()


async def test_a_drip_that_ends_in_time_is_an_answer(asking: Ask) -> None:
    with Upstream(drip(answer("one two"), pause_s=0)) as upstream:
        async with asking(upstream) as ask:
            assert (await ask()).text == "one two"


async def test_broken_off(asking: Ask) -> None:
    with Upstream(cut(answer("one two three four"))) as upstream:
        async with asking(upstream) as ask:
            error = await ask.fail()
            assert error.cause == "disconnected"
            assert error.retryable


async def test_broken_off_and_then_fine(asking: Ask) -> None:
    with Upstream(cut(answer("one two three four")), answer("Paris.")) as upstream:
        async with asking(upstream, max_retries=1) as ask:
            if not ask.streaming:
                assert (await ask()).text == "Paris."
                return
            assert (await ask.fail()).cause == "disconnected"
            said = "".join(delta.content for delta in ask.deltas)
            assert "one two three four".startswith(said), "one answer, never two spliced"
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (send(b'{"choices": [{"mess'), "protocol"),
        (send(b""), "protocol"),
        (send(b"[]"), "protocol"),
        (send_json({}), "protocol"),
        (send_json({"choices": None}), "protocol"),
        (send_json({"choices": [7]}), "protocol"),
        (send_json(completion("text")), "protocol"),
        (send_json(completion({"content": 7})), "protocol"),
        (send_json(completion({"tool_calls": [{"function": {}}]})), "protocol"),
        (send_json({"choices": []}), "empty"),
        (send_json(completion({"role": "assistant", "content": None})), "empty"),
        (send_json(completion({"role": "assistant", "content": " \n"})), "empty"),
        (send_json(completion({"content": "", "tool_calls": []}, "length")), "empty"),
        (send_json(completion({"content": "Par"}, "content_filter")), "content_filter"),
        (send_json({"error": {"message": PROMPT, "code": 429}}), "rate_limit"),
        (send_json({"error": {"message": PROMPT, "code": "boom"}}), "server"),
        (send(b"<html>Sign in</html>", content_type="text/html"), "protocol"),
        (send(b"Paris.", content_type="text/plain"), "protocol"),
        (send(b"", status=302, content_type="text/html", location="/login"), "protocol"),
        (send(b"", status=204), "protocol"),
    ],
)
async def test_replies_that_hold_no_answer(asking: Ask, reply: Behaviour, cause: str) -> None:
    with Upstream(reply) as upstream:
        async with asking(upstream) as ask:
            assert (await ask.fail()).cause == cause
            assert not ask.deltas
    assert len(upstream.requests) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    ("reply", "cause", "said"),
    [
        (send_events(done=False), "disconnected", ""),
        (send_events(), "empty", ""),
        (send_events(b": keep-alive\n\n"), "empty", ""),
        (send_events(chunk({"content": "Par"}), done=False), "disconnected", "Par"),
        (
            send_events(chunk({"content": "Par"}), b'data: {"choi', done=False),
            "disconnected",
            "Par",
        ),
        (send_events(chunk({"content": "Par"}), b'data: {"choi\n\n'), "protocol", "Par"),
        (send_events(chunk({"content": "Par"}), b"data: 7\n\n"), "protocol", "Par"),
        (send_events({"choices": 7}), "protocol", ""),
        (send_events(chunk(7)), "protocol", ""),
        (send_events(chunk({"content": 7})), "protocol", ""),
        (send_events(chunk({"tool_calls": [7]})), "protocol", ""),
        (send_events(chunk({"role": "assistant"}), chunk({}, "stop")), "empty", ""),
        (send_events(chunk({"content": ""}), chunk({}, "length")), "empty", ""),
        (
            send_events(chunk({"content": "Par"}), chunk({}, "content_filter")),
            "content_filter",
            "Par",
        ),
        (send_events(chunk({"content": "Par"}), {"error": {"code": 502}}), "server", "Par"),
        (
            send_events(chunk({"content": "Par"}), b'event: error\ndata: {"message": "no"}\n\n'),
            "server",
            "Par",
        ),
    ],
)
async def test_streams_that_hold_no_whole_answer(
    asking: Ask, reply: Behaviour, cause: str, said: str
) -> None:
    with Upstream(reply) as upstream:
        async with asking(upstream) as ask:
            assert (await ask.fail()).cause == cause
            assert "".join(delta.content for delta in ask.deltas) == said * ask.streaming


async def test_a_huge_body_is_not_read_to_its_end(
    asking: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.providers.exchange.MAX_REPLY_BYTES", 2**20)
    with Upstream(send(b'{"x": "' + b"x" * 2**21)) as upstream:
        async with asking(upstream) as ask:
            error = await ask.fail()
            assert error.cause == "too_large"
            assert "1 MiB" in str(error)


async def test_a_huge_event_is_not_read_to_its_end(asking: Ask) -> None:
    with Upstream(send_events(b"data: " + b"x" * (17 * 2**20))) as upstream:
        async with asking(upstream) as ask:
            assert (await ask.fail()).cause == "too_large"


async def test_an_endless_error_body_is_not_waited_for(
    asking: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.providers.exchange._ERROR_BODY_S", 0.05)
    with Upstream(hang_midway(fail(500, "server_error"))) as upstream:
        async with asking(upstream) as ask:
            assert (await ask.fail()).cause == "server"


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": "many", "completion_tokens": "few"},
        {"prompt_tokens": 1.5, "completion_tokens": True},
        {"prompt_tokens": 10**12, "completion_tokens": 5},
        {"completion_tokens": 5},
        [],
        "none",
    ],
)
async def test_wrong_usage_is_no_usage(asking: Ask, usage: Any) -> None:
    with Upstream(answer("Paris.", usage=usage)) as upstream:
        async with asking(upstream) as ask:
            result = await ask()
    assert result.text == "Paris."
    assert result.usage is None
    assert (result.input_tokens, result.output_tokens, result.cost_usd) == (None, None, None)
    assert "usage" not in result.reply


async def test_a_server_may_close_connections_that_idle(asking: Ask) -> None:
    with Upstream() as upstream:
        async with asking(upstream, max_retries=1) as ask:
            await ask()
            upstream.drop_connections()
            assert await upstream.all_closed()
            assert (await ask()).text == "Hello."


async def test_cancelling_closes_the_connection_at_once(asking: Ask) -> None:
    for behaviour in (hang(), hang_midway(answer("one two three four"))):
        with Upstream(behaviour) as upstream:
            async with asking(upstream) as ask:
                task = asyncio.create_task(ask())
                while not upstream.requests:
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await upstream.all_closed(within_s=0.5)


async def test_cancelling_between_retries(asking: Ask) -> None:
    with Upstream(fail(429, retry_after="15")) as upstream:
        async with asking(upstream, max_retries=3) as ask:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await ask()
    assert len(upstream.requests) == 1
