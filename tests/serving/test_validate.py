"""POST /v1/validate: verdicts and the checks behind them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from serving.replies import ValidateReply

PROMPT = "What is 17 + 25? End with the number."


async def judge(client: httpx.AsyncClient, **body: Any) -> ValidateReply:
    response = await client.post("/v1/validate", json={"prompt": PROMPT, **body})
    assert response.status_code == 200, response.text
    reply = ValidateReply.model_validate(response.json())
    assert 0 <= reply.p_acceptable <= 1
    assert reply.latency_ms > 0
    return reply


async def test_a_draft_is_judged(client: httpx.AsyncClient) -> None:
    reply = await judge(client, draft="17 + 25 = 42", model="gpt-4o-mini")
    assert {"empty", "refusal", "arithmetic"} <= {check.name for check in reply.checks}
    assert all(check.passed is not False for check in reply.checks)


@pytest.mark.parametrize(
    ("extra", "check"),
    [
        pytest.param({"draft": ""}, "empty", id="empty"),
        pytest.param(
            {"draft": "not json", "response_format": {"type": "json_object"}},
            "format_json",
            id="not JSON",
        ),
        pytest.param(
            {"draft": "42", "finish_reason": "content_filter"}, "content_filter", id="filtered"
        ),
    ],
)
async def test_a_hard_check_that_fails_rejects_the_draft(
    client: httpx.AsyncClient, extra: dict[str, Any], check: str
) -> None:
    reply = await judge(client, **extra)
    assert not reply.accept
    assert [one.name for one in reply.checks if one.passed is False and one.name == check]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"peers": ["It is 42."]}, id="peers as texts"),
        pytest.param({"peers": [{"draft": "42", "model": "gemini-1.5-flash"}]}, id="peers named"),
        pytest.param({"peers": []}, id="no peers"),
        pytest.param({"logprobs": [-0.1, 0, -3.5]}, id="logprobs"),
        pytest.param({"logprobs": []}, id="no logprobs"),
        pytest.param(
            {"logprobs": {"content": [{"token": "42", "logprob": -0.01, "bytes": None}]}},
            id="logprobs as OpenAI sends them",
        ),
        pytest.param({"model": "nobody-knows"}, id="unknown model"),
        pytest.param({"finish_reason": "length"}, id="cut off"),
        pytest.param(
            {
                "tools": [{"type": "function", "function": {"name": "add"}}],
                "tool_calls": [
                    {"type": "function", "function": {"name": "add", "arguments": "{}"}}
                ],
            },
            id="tool calls",
        ),
        pytest.param({"response_format": {"type": "text"}}, id="plain text"),
    ],
)
async def test_every_form_of_evidence_is_taken(
    client: httpx.AsyncClient, extra: dict[str, Any]
) -> None:
    await judge(client, draft="The answer is 42.", **extra)


async def test_messages_do_as_well_as_a_prompt(client: httpx.AsyncClient) -> None:
    body = {"messages": [{"role": "user", "content": PROMPT}], "draft": "42"}
    response = await client.post("/v1/validate", json=body)
    assert response.status_code == 200, response.text


async def test_too_many_peers_are_refused(client: httpx.AsyncClient, error_of: Any) -> None:
    body = {"prompt": PROMPT, "draft": "42", "peers": ["42"] * 9}
    error_of(await client.post("/v1/validate", json=body), 400, "peers")


@pytest.mark.parametrize(
    ("extra", "param"),
    [
        ({}, "draft"),
        ({"draft": None}, "draft"),
        ({"draft": 42}, "draft"),
        ({"draft": "x", "model": 3}, "model"),
        ({"draft": "x", "model": ""}, "model"),
        ({"draft": "x", "peers": "y"}, "peers"),
        ({"draft": "x", "peers": ["y", 3]}, "peers[1]"),
        ({"draft": "x", "peers": [{"draft": 3}]}, "peers[0].draft"),
        ({"draft": "x", "peers": [{"text": "z"}]}, "peers[0].text"),
        ({"draft": "x", "logprobs": [0.5]}, "logprobs[0]"),
        ({"draft": "x", "logprobs": [-1, "a"]}, "logprobs[1]"),
        ({"draft": "x", "logprobs": [-1, None]}, "logprobs[1]"),
        ({"draft": "x", "response_format": "json"}, "response_format"),
        ({"draft": "x", "finish_reason": 1}, "finish_reason"),
        ({"draft": "x", "tool_calls": [1]}, "tool_calls[0]"),
        ({"draft": "x", "messages": [{"role": "user", "content": "y"}]}, "messages"),
    ],
)
async def test_what_is_wrong_is_named(
    client: httpx.AsyncClient, error_of: Any, extra: dict[str, Any], param: str
) -> None:
    error_of(await client.post("/v1/validate", json={"prompt": PROMPT, **extra}), 400, param)
