"""Everything a provider can do wrong, to a drafter and to a verifier: the next model answers, or an
error names model, provider and cause; and nothing is left behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
import trustme

from router.agent.agent import CascadeAgent
from router.agent.events import DoneEvent
from router.agent.results import RunResult
from router.config import QualityConfig, TimeoutConfig
from router.errors import CascadeExhaustedError, UpstreamError
from tests.agents import ACCEPT_ALL, REJECT_ALL, by_model, model
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

MakeAgent = Callable[..., CascadeAgent]
Mode = Literal["run", "stream", "optimistic"]
PROMPT = "What is 6 times 7?"
RIGHT = "It is fine, the answer is 42."
BAD = "A bad one that must never be the answer to this."
QUICK = TimeoutConfig(connect_s=1, first_token_s=0.1, total_s=0.15)


def chunk(delta: Any, finish_reason: str | None = None) -> Any:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def whole(message: Any, finish_reason: str = "stop") -> Behaviour:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return send_json({"object": "chat.completion", "choices": [choice]})


@contextmanager
def served(behaviour: Behaviour) -> Iterator[str]:
    with Upstream(behaviour) as upstream:
        yield upstream.url


@contextmanager
def untrusted() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Upstream(answer(BAD), tls=context) as upstream:
        yield upstream.url


@contextmanager
def unresolved() -> Iterator[str]:
    with fail_host_lookups():
        yield "http://models.invalid/v1"


@contextmanager
def refused() -> Iterator[str]:
    yield refused_url()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a model, and what a call of it fails with. `begun`: parts of a streamed
    answer come before that."""

    cause: str
    does: Behaviour | None = None
    address: Callable[[], Any] | None = None
    begun: bool = False
    config: dict[str, Any] = field(default_factory=dict)


FAULTS = {
    "connection refused": Fault(cause="connect", address=refused),
    "unknown host": Fault(cause="connect", address=unresolved),
    "untrusted certificate": Fault(cause="tls", address=untrusted),
    "401": Fault(cause="auth", does=fail(401, "invalid_api_key")),
    "404 model": Fault(cause="not_found", does=fail(404, "model_not_found")),
    "429 for too long": Fault(
        cause="rate_limit", does=fail(429, retry_after="120"), config={"max_retries": 2}
    ),
    "500": Fault(cause="server", does=fail(500)),
    "503 for ever": Fault(cause="server", does=fail(503)),
    "hang before headers": Fault(cause="timeout", does=hang(), config={"timeout": QUICK}),
    "hang midway": Fault(
        cause="timeout", does=hang_midway(answer(BAD)), begun=True, config={"timeout": QUICK}
    ),
    "slow drip": Fault(
        cause="timeout", does=drip(answer(BAD), pause_s=0.01), config={"timeout": QUICK}
    ),
    "broken off": Fault(cause="disconnected", does=cut(answer(BAD)), begun=True),
    "truncated JSON": Fault(cause="protocol", does=send(b'{"choices": [{"mess')),
    "truncated SSE": Fault(
        cause="disconnected",
        does=send_events(chunk({"content": BAD}), done=False),
        begun=True,
    ),
    "SSE cut in an event": Fault(
        cause="disconnected",
        does=send_events(chunk({"content": BAD}), b'data: {"choi', done=False, end="cut"),
        begun=True,
    ),
    "wrong content type": Fault(
        cause="protocol", does=send(b"<html>Sign in</html>", content_type="text/html")
    ),
    "empty choices": Fault(cause="empty", does=send_json({"choices": []})),
    "null content": Fault(cause="empty", does=whole({"role": "assistant", "content": None})),
    "an empty stream": Fault(cause="empty", does=send_events()),
    "an error in a 200": Fault(cause="server", does=send_json({"error": {"message": BAD}})),
    "huge body": Fault(cause="too_large", does=send(b'{"x": "' + b"x" * 2**18)),
    "content filter": Fault(cause="content_filter", does=whole({"content": BAD}, "content_filter")),
    "content filter in a stream": Fault(
        cause="content_filter",
        does=send_events(chunk({"content": BAD}), chunk({}, "content_filter")),
        begun=True,
    ),
}
every_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


@pytest.fixture(autouse=True)
def _small_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.providers.exchange.MAX_REPLY_BYTES", 2**17)


async def ask(agent: CascadeAgent, mode: Mode, said: list[str], **params: Any) -> RunResult:
    """The result of one query; `said` takes the pieces that a streaming caller got."""
    if mode == "run":
        result = await agent.run(PROMPT, **params)
        said.append(result.content)
        return result
    policy: Literal["buffered", "optimistic"] = "optimistic" if mode == "optimistic" else "buffered"
    done = None
    async for event in agent.stream(PROMPT, stream_policy=policy, **params):
        said.append(event.content)
        if isinstance(event, DoneEvent):
            done = event.result
    assert done is not None
    return done


@asynccontextmanager
async def faulty(
    make_agent: MakeAgent, name: Literal["small", "large"], fault: Fault, **options: Any
) -> AsyncIterator[CascadeAgent]:
    """An agent whose model `name` has the fault while the other is fine; at the end it has left no
    task and no open connection."""
    other = "large" if name == "small" else "small"
    before = asyncio.all_tasks()
    with ExitStack() as stack:
        fine = stack.enter_context(Upstream(answer(RIGHT)))
        bad = stack.enter_context(Upstream(fault.does or hang()))
        url = stack.enter_context(fault.address()) if fault.address else bad.url
        models = [model(name, url, **fault.config), model(other, fine.url)]
        agent = make_agent(models=models, **options)
        yield agent
        await agent.aclose()
        assert asyncio.all_tasks() == before
        assert await fine.all_closed()
        assert await bad.all_closed()


@every_fault
@pytest.mark.parametrize("mode", ["run", "stream", "optimistic"])
async def test_a_drafter_that_fails_is_replaced(
    make_agent: MakeAgent, fault: Fault, mode: Mode
) -> None:
    said: list[str] = []
    quality = QualityConfig(optimistic_above=0.0)
    async with faulty(make_agent, "small", fault, policy=ACCEPT_ALL, quality=quality) as agent:
        if mode == "optimistic" and fault.begun:  # what was passed on cannot be taken back
            with pytest.raises(UpstreamError) as caught:
                await ask(agent, mode, said)
            assert (caught.value.model, caught.value.cause) == ("small", fault.cause)
            assert BAD.startswith("".join(said))
            return
        result = await ask(agent, mode, said)
    assert "".join(said) == result.content == RIGHT
    assert (result.model_used, result.action) == ("large", "direct")
    assert [(one.model, one.error is None) for one in result.attempts] == [
        ("small", False),
        ("large", True),
    ]
    error = result.attempts[0].error
    assert error is not None
    assert (error.model, error.provider, error.cause) == ("small", "custom", fault.cause)
    assert (result.attempts[0].model, result.attempts[0].provider) == ("small", "custom")
    assert result.total_cost == result.verifier_cost


@every_fault
@pytest.mark.parametrize("mode", ["run", "stream"])
async def test_a_verifier_that_fails_is_an_error_and_the_rejected_draft_no_answer(
    make_agent: MakeAgent, fault: Fault, mode: Mode
) -> None:
    said: list[str] = []
    async with faulty(make_agent, "large", fault, policy=REJECT_ALL) as agent:
        with pytest.raises(UpstreamError) as caught:
            await ask(agent, mode, said)
        found = agent.get_analytics()
    error = caught.value
    assert (error.model, error.provider, error.cause) == ("large", "custom", fault.cause)
    assert "large" in str(error)
    assert RIGHT not in "".join(said)
    assert PROMPT not in str(error)
    if mode == "stream" and fault.begun:
        assert BAD.startswith("".join(said))
    else:
        assert "".join(said) == ""
        assert isinstance(error, CascadeExhaustedError)
        named = [(one.model, one.provider, one.cause) for one in error.attempts]
        assert named == [("large", "custom", fault.cause)]
        assert "large (custom: " in str(error)
    assert (found.runs, found.failed_runs) == (0, 1)


def tries(first: Behaviour, then: Behaviour) -> Fault:
    calls = iter((first, then))
    return Fault(cause="", does=lambda request: next(calls)(request), config={"max_retries": 1})


@pytest.mark.parametrize("mode", ["run", "stream"])
@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize("first", [fail(429, retry_after="0.05"), fail(503)], ids=["429", "503"])
async def test_a_short_trouble_is_waited_out(
    make_agent: MakeAgent, first: Behaviour, name: Literal["small", "large"], mode: Mode
) -> None:
    policy = ACCEPT_ALL if name == "small" else REJECT_ALL
    said: list[str] = []
    fault = tries(first, answer("It took two calls, the answer is 42."))
    async with faulty(make_agent, name, fault, policy=policy) as agent:
        result = await ask(agent, mode, said)
    assert "".join(said) == result.content == "It took two calls, the answer is 42."
    assert result.model_used == name
    own = [one for one in result.attempts if one.model == name]
    assert [one.error is None for one in own] == [False, True]
    assert own[1].status == 200
    assert result.latency_ms > 50


async def test_a_drafter_that_is_busy_for_long_is_not_waited_for(make_agent: MakeAgent) -> None:
    fault = Fault(cause="rate_limit", does=fail(429, retry_after="7"), config={"max_retries": 2})
    async with faulty(make_agent, "small", fault, policy=ACCEPT_ALL) as agent:
        result = await ask(agent, "run", [])
    assert result.model_used == "large"
    assert result.latency_ms < 3_000
    assert sum(one.model == "small" for one in result.attempts) == 1


@pytest.mark.parametrize("mode", ["run", "stream"])
@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": -3, "completion_tokens": "few"}, {"prompt_tokens": 10**12}, None],
    ids=["nonsense", "absurd", "none"],
)
async def test_a_wrong_usage_is_an_answer_of_unknown_cost(
    make_agent: MakeAgent, usage: Any, name: Literal["small", "large"], mode: Mode
) -> None:
    policy = ACCEPT_ALL if name == "small" else REJECT_ALL
    fault = Fault(cause="", does=answer("The answer is 42.", usage=usage))
    async with faulty(make_agent, name, fault, policy=policy) as agent:
        result = await ask(agent, mode, [])
        found = agent.get_analytics()
    assert (result.content, result.model_used) == ("The answer is 42.", name)
    assert (result.usage, result.total_cost) == (None, None)
    assert result.warnings == (f"{name}: the provider gave no usage, so the cost is not known",)
    assert (found.runs, found.unpriced_runs, found.total_cost) == (1, 1, 0.0)


@pytest.mark.parametrize("mode", ["run", "stream"])
@pytest.mark.parametrize("name", ["small", "large"])
async def test_two_tool_calls_with_one_index_are_two_calls(
    make_agent: MakeAgent, name: Literal["small", "large"], mode: Mode
) -> None:
    def begun(call_id: str, city: str) -> Any:
        function = {"name": "weather", "arguments": f'{{"city": "{city}"}}'}
        return chunk({"tool_calls": [{"index": 0, "id": call_id, "function": function}]})

    events = send_events(begun("a", "Rome"), begun("b", "Oslo"), chunk({}, "tool_calls"))
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }
    tools = [{"type": "function", "function": {"name": "weather", "parameters": schema}}]
    policy = ACCEPT_ALL if name == "small" else REJECT_ALL
    async with faulty(make_agent, name, Fault(cause="", does=events), policy=policy) as agent:
        result = await ask(agent, mode, [], tools=tools)
    assert result.model_used == name
    calls = [(call["id"], call["function"]["arguments"]) for call in result.tool_calls]
    assert calls == [("a", '{"city": "Rome"}'), ("b", '{"city": "Oslo"}')]


async def test_a_broken_circuit_is_an_attempt_that_was_not_made(make_agent: MakeAgent) -> None:
    fault = Fault(cause="server", does=fail(500))
    async with faulty(make_agent, "small", fault, policy=ACCEPT_ALL) as agent:
        causes = [
            (await agent.run(f"{PROMPT} {turn}")).attempts[0].error.cause  # type: ignore[union-attr]
            for turn in range(6)
        ]
    assert causes == ["server"] * 5 + ["circuit_open"]


async def test_a_fallback_that_fails_too_is_named_beside_its_model(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(401), other=fail(500), large=fail(404)))
    models = [
        model("small", upstream.url, fallbacks=("other",)),
        model("other", upstream.url),
        model("large", upstream.url, fallbacks=("other",)),
    ]
    with pytest.raises(CascadeExhaustedError, match=r"small .* other .* large .* other ") as caught:
        await make_agent(models=models).run(PROMPT, models=["small", "large"])
    named = [(one.model, one.cause) for one in caught.value.attempts]
    assert named == [
        ("small", "auth"),
        ("other", "server"),
        ("large", "not_found"),
        ("other", "server"),
    ]
    assert [call.model for call in caught.value.calls] == [name for name, _ in named]


async def test_every_model_of_a_chain_that_fails_is_named(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=fail(401), other=fail(500), large=fail(404)))
    with pytest.raises(CascadeExhaustedError) as caught:
        await make_agent("small", "other", "large").run(PROMPT)
    named = [(one.model, one.provider, one.cause) for one in caught.value.attempts]
    assert named == [
        ("small", "custom", "auth"),
        ("other", "custom", "server"),
        ("large", "custom", "not_found"),
    ]
