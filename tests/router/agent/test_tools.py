"""Tools through a cascade: what is passed on, which calls of a draft are believed, who agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent
from router.agent.results import RunResult
from router.types import Check
from tests.agents import ACCEPT_ALL, ALWAYS_PAIRS, DIRECT, REJECT_ALL, by_model
from tests.upstream import Upstream, answer

MakeAgent = Callable[..., CascadeAgent]
PROMPT = "How warm is it in Rome?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": name, "description": "?", "parameters": SCHEMA}}
    for name in ("weather", "tides")
]


def call(name: str = "weather", arguments: Any = None, *, call_id: str = "c1") -> dict[str, Any]:
    given = {"city": "Rome"} if arguments is None else arguments
    written = given if isinstance(given, str) else json.dumps(given)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": written}}


def check(result: RunResult, name: str, *, draft: int = 0) -> Check:
    return next(one for one in result.verdicts[draft].checks if one.name == name)


async def test_tools_and_tool_choice_arrive_untouched_at_every_model(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    given = {
        "tools": [*TOOLS, {"type": "web_search", "web_search": {"a_field_nobody_knows": [1]}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": False,
    }
    await make_agent(policy=REJECT_ALL).run(PROMPT, **given)
    assert len(upstream.bodies) == 2
    for body in upstream.bodies:
        assert {name: body[name] for name in given} == given


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (call("climate"), "'climate' is not an offered tool"),
        (call(arguments={"days": 2}), "city"),
        (call(arguments={"city": 7}), "string"),
        (call(arguments={"city": "Rome", "country": "Italy"}), "country"),
        (call(arguments='{"city": "Ro'), "not JSON"),
        (call(arguments="[1, 2]"), "not an object"),
    ],
    ids=["unknown tool", "missing", "wrong type", "unknown argument", "no JSON", "no object"],
)
async def test_a_draft_that_calls_wrongly_is_rejected_however_probable(
    make_agent: MakeAgent, upstream: Upstream, bad: dict[str, Any], said: str
) -> None:
    upstream.then(
        by_model(
            small=answer(None, tool_calls=[call(call_id="c0"), bad]),
            large=answer(None, tool_calls=[call("tides")]),
        )
    )
    result = await make_agent(policy=ACCEPT_ALL).run(PROMPT, tools=TOOLS)
    assert (result.action, result.model_used) == ("escalated", "large")
    assert [one["function"]["name"] for one in result.tool_calls] == ["tides"]
    (verdict,) = result.verdicts
    assert (verdict.accept, verdict.p_acceptable) == (False, 0.0)
    failed = check(result, "tool_calls")
    assert failed.passed is False
    assert said in failed.detail


@pytest.mark.parametrize(
    "calls",
    [
        [call()],
        [call(arguments={"city": "Rome", "days": 3})],
        [call(call_id="a"), call(arguments={"city": "Oslo"}, call_id="b"), call("tides")],
    ],
    ids=["one", "optional argument", "parallel"],
)
async def test_a_draft_that_calls_rightly_is_accepted(
    make_agent: MakeAgent, upstream: Upstream, calls: list[dict[str, Any]]
) -> None:
    upstream.then(answer(None, tool_calls=calls))
    result = await make_agent(policy=ACCEPT_ALL).run(PROMPT, tools=TOOLS)
    assert (result.action, result.model_used, result.content) == ("accepted", "small", "")
    assert list(result.tool_calls) == calls
    assert result.finish_reason == "tool_calls"
    assert check(result, "tool_calls").passed is True
    assert check(result, "empty").passed is True
    assert [body["model"] for body in upstream.bodies] == ["small"]


async def test_a_draft_that_talks_and_calls_is_judged_by_its_calls(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(
        by_model(
            small=answer("Let me look.", tool_calls=[call("climate")]), large=answer("It is warm.")
        )
    )
    result = await make_agent(policy=ACCEPT_ALL).run(PROMPT, tools=TOOLS)
    assert (result.content, result.model_used) == ("It is warm.", "large")


async def test_drafts_that_call_the_same_agree_and_others_do_not(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    one = [call(arguments={"city": "Rome", "days": 2}, call_id="a"), call("tides", call_id="b")]
    same = [call("tides", call_id="x"), call(arguments='{"days":2,  "city":"Rome"}', call_id="y")]
    differ = [call(arguments={"city": "Oslo", "days": 2}), call("tides")]
    agent = make_agent("small", "other", "large", policy=ALWAYS_PAIRS)
    upstream.then(by_model(small=answer(None, tool_calls=one), other=answer(None, tool_calls=same)))
    agreed = await agent.run(PROMPT, tools=TOOLS)
    upstream.then(
        by_model(small=answer(None, tool_calls=one), other=answer(None, tool_calls=differ))
    )
    disagreed = await agent.run(PROMPT, tools=TOOLS)
    assert agreed.action == "consensus"
    assert [check(agreed, "agreement", draft=i).passed for i in (0, 1)] == [True, True]
    assert [check(disagreed, "agreement", draft=i).passed for i in (0, 1)] == [False, False]
    assert agreed.verdicts[0].p_acceptable > disagreed.verdicts[0].p_acceptable + 0.1


async def test_results_of_tools_arrive_in_later_turns(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(answer(None, tool_calls=[call()]))
    agent = make_agent()
    first = await agent.run(PROMPT, tools=TOOLS)
    upstream.then(answer("It is 31 degrees."))
    turn = [
        {"role": "user", "content": PROMPT},
        dict(first.message),
        {"role": "tool", "tool_call_id": "c1", "content": '{"degrees": 31}'},
    ]
    second = await agent.run(turn, tools=TOOLS)
    assert second.content == "It is 31 degrees."
    assert upstream.bodies[-1]["messages"] == turn
    assert upstream.bodies[-1]["messages"][1]["tool_calls"] == [call()]


@pytest.mark.parametrize("policy", [ACCEPT_ALL, DIRECT, REJECT_ALL], ids=["draft", "live", "late"])
async def test_parallel_calls_stream_as_deltas_that_add_up_to_the_calls(
    make_agent: MakeAgent, upstream: Upstream, policy: Any
) -> None:
    calls = [call(call_id="a"), call("tides", {"city": "Oslo", "days": 1}, call_id="b")]
    upstream.then(answer("Looking.", tool_calls=calls))
    text, found, done = "", {}, None
    async for event in make_agent(policy=policy).stream(PROMPT, tools=TOOLS):
        text += event.content
        if isinstance(event, ChunkEvent):
            if event.delta is not None:
                ChatCompletionChunk.model_validate(event.delta.chunk)
            for delta in event.tool_calls:
                function = delta["function"]
                known = found.setdefault(delta["index"], {"name": "", "arguments": ""})
                known["name"] += function.get("name") or ""
                known["arguments"] += function.get("arguments") or ""
        done = event.result if isinstance(event, DoneEvent) else None
    assert done is not None
    assert text == done.content == "Looking."
    assert [found[index] for index in sorted(found)] == [one["function"] for one in calls]
    assert list(done.tool_calls) == calls


async def test_a_call_that_the_verifier_makes_is_passed_on_as_it_is(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    """Who called wrongly is the last resort: the caller sees what it said, not an error."""
    upstream.then(answer(None, tool_calls=[call("climate")]))
    result = await make_agent(policy=DIRECT).run(PROMPT, tools=TOOLS)
    assert [one["function"]["name"] for one in result.tool_calls] == ["climate"]
