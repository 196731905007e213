"""Agents with a sandbox: what running a draft's code shows decides about the draft."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.agent.results import RunResult
from router.errors import SandboxError
from router.sandbox import Execution, LocalSandbox, SandboxLimits
from router.types import Check
from tests.agents import ACCEPT_ALL, ALWAYS_PAIRS, DIRECT, REJECT_ALL, by_model
from tests.upstream import Upstream, answer

MakeAgent = Callable[..., CascadeAgent]
PROMPT = """Write a Python function double(n). It must pass:
assert double(2) == 4
assert double(-1) == -2
"""


def code(body: str) -> str:
    return f"Here it is:\n```python\ndef double(n):\n    return {body}\n```\n"


RIGHT, WRONG, CRASHING = code("2 * n"), code("n ** 2"), code("m * 2")
VERIFIED = "Use n + n."


class Recorder:
    """A sandbox that remembers what it ran, and does what `inner` does."""

    def __init__(self, inner: LocalSandbox | None = None) -> None:
        self.ran: list[str] = []
        self._inner = inner

    async def run(self, program: str) -> Execution:
        self.ran.append(program)
        if self._inner is None:
            raise SandboxError("it is out of order")
        return await self._inner.run(program)


@pytest.fixture(scope="module")
def local() -> LocalSandbox:
    try:
        return LocalSandbox(SandboxLimits(timeout_s=5.0))
    except SandboxError as exc:
        pytest.skip(f"no local sandbox here: {exc}")


def executed(result: RunResult, draft: int = 0) -> list[Check]:
    return [one for one in result.verdicts[draft].checks if one.name == "execution"]


@pytest.mark.parametrize("draft", [CRASHING, WRONG], ids=["crashing", "wrong"])
async def test_a_draft_that_fails_when_run_is_rejected_however_probable(
    make_agent: MakeAgent, upstream: Upstream, local: LocalSandbox, draft: str
) -> None:
    upstream.then(by_model(small=answer(draft), large=answer(VERIFIED)))
    result = await make_agent(sandbox=local, policy=ACCEPT_ALL).run(PROMPT)
    assert (result.action, result.content) == ("escalated", VERIFIED)
    (check,) = executed(result)
    assert check.passed is False
    assert (result.verdicts[0].accept, result.verdicts[0].p_acceptable) == (False, 0.0)


async def test_a_draft_that_meets_the_prompts_examples_is_accepted_and_says_why(
    make_agent: MakeAgent, upstream: Upstream, local: LocalSandbox
) -> None:
    upstream.then(by_model(small=answer(RIGHT), large=answer(VERIFIED)))
    tried = await make_agent(sandbox=local, policy=ACCEPT_ALL).run(PROMPT)
    assert (tried.action, tried.content) == ("accepted", RIGHT)
    (check,) = executed(tried)
    assert (check.passed, check.value) == (True, 1.0)
    assert check.detail == "2 of 2 examples in the query hold"
    untried = await make_agent(policy=ACCEPT_ALL).run(PROMPT)
    assert tried.verdicts[0].p_acceptable > untried.verdicts[0].p_acceptable
    assert tried.overhead_ms < tried.latency_ms


async def test_nothing_is_run_without_a_sandbox(
    make_agent: MakeAgent, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forbidden(*_: Any, **__: Any) -> Execution:
        raise AssertionError("a program was run")

    monkeypatch.setattr(LocalSandbox, "run", forbidden)
    upstream.then(by_model(small=answer(CRASHING), large=answer(VERIFIED)))
    result = await make_agent(policy=ACCEPT_ALL).run(PROMPT)
    assert (result.action, result.content) == ("accepted", CRASHING)
    assert executed(result) == []
    assert result.drafts[0].checks == ()


async def test_only_the_draft_that_holds_is_taken_from_two(
    make_agent: MakeAgent, upstream: Upstream, local: LocalSandbox
) -> None:
    upstream.then(by_model(small=answer(CRASHING), other=answer(RIGHT), large=answer(VERIFIED)))
    agent = make_agent("small", "other", "large", sandbox=local, policy=ALWAYS_PAIRS)
    result = await agent.run(PROMPT)
    assert (result.model_used, result.content) == ("other", RIGHT)
    assert [executed(result, draft)[0].passed for draft in (0, 1)] == [False, True]
    assert [one.accept for one in result.verdicts] == [False, True]


async def test_only_drafts_with_code_are_run_and_never_the_verifiers_answer(
    make_agent: MakeAgent, upstream: Upstream, local: LocalSandbox
) -> None:
    sandbox = Recorder(local)
    upstream.then(answer(RIGHT))
    await make_agent(sandbox=sandbox, policy=DIRECT).run(PROMPT)
    assert sandbox.ran == []
    upstream.then(answer("Double it by adding it to itself."))
    result = await make_agent(sandbox=sandbox, policy=REJECT_ALL).run(PROMPT)
    assert sandbox.ran == []
    assert executed(result) == []
    upstream.then(by_model(small=answer(RIGHT), large=answer(RIGHT)))
    await make_agent(sandbox=sandbox, policy=REJECT_ALL).run(PROMPT)
    assert len(sandbox.ran) == 1


async def test_a_sandbox_that_is_out_of_order_says_so_and_counts_against_nobody(
    make_agent: MakeAgent, upstream: Upstream
) -> None:
    upstream.then(by_model(small=answer(CRASHING), large=answer(VERIFIED)))
    result = await make_agent(sandbox=Recorder(), policy=ACCEPT_ALL).run(PROMPT)
    assert (result.action, result.content) == ("accepted", CRASHING)
    (check,) = executed(result)
    assert (check.passed, check.detail) == (None, "not run: it is out of order")


async def test_a_draft_is_run_once_in_a_stream_too(
    make_agent: MakeAgent, upstream: Upstream, local: LocalSandbox
) -> None:
    sandbox = Recorder(local)
    upstream.then(by_model(small=answer(CRASHING), large=answer(VERIFIED)))
    agent = make_agent(sandbox=sandbox, policy=ACCEPT_ALL)
    text = "".join([event.content async for event in agent.stream(PROMPT)])
    assert text == VERIFIED
    assert len(sandbox.ran) == 1
