"""Random bodies, near the documented shapes and far from them: answered or refused, never 5xx."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.replies import ErrorReply, RouteBatchReply, RouteReply, ValidateReply
from serving.wire import RouteRequest, ValidateRequest

TEXT = st.text(max_size=300) | st.sampled_from(["", "hi", "gpt-4o", "\ud800", "{" * 50])
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUE = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
ROLE = st.sampled_from(["system", "user", "assistant", "tool", "wizard"])
PART = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT | VALUE}) | VALUE
MESSAGE = st.fixed_dictionaries({"role": ROLE, "content": TEXT | st.lists(PART, max_size=3)})
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "prompt": TEXT,
    "prompts": st.lists(TEXT, max_size=4),
    "messages": st.lists(MESSAGE, max_size=4),
    "models": st.lists(TEXT, max_size=4),
    "target_quality": st.floats(-0.5, 1.5),
    "draft": TEXT,
    "model": TEXT,
    "peers": st.lists(TEXT | st.fixed_dictionaries({"draft": TEXT}), max_size=3),
    "logprobs": st.lists(st.floats(-20, 0.1), max_size=8),
    "finish_reason": st.sampled_from(["stop", "length", "content_filter"]) | TEXT,
    "response_format": VALUE
    | st.fixed_dictionaries(
        {
            "type": st.just("json_schema"),
            "json_schema": st.fixed_dictionaries({"schema": VALUE}) | VALUE,
        }
    ),
    "tools": st.lists(
        st.fixed_dictionaries({"type": st.just("function"), "function": VALUE}), max_size=2
    ),
    "tool_calls": st.lists(
        st.fixed_dictionaries({"type": st.just("function"), "function": VALUE}), max_size=2
    ),
}


def bodies(model: Any, needed: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects whose fields are mostly what they should be."""
    fields = {name: LIKELY[name] | VALUE for name in model.model_fields}
    return st.fixed_dictionaries(
        {name: LIKELY[name] for name in needed},
        optional={name: value for name, value in fields.items() if name not in needed},
    )


def send(http: httpx.Client, path: str, body: Any) -> httpx.Response:
    # json.dumps writes lone surrogates as escapes and NaN as a bare word: both reach the service.
    return http.post(
        path, content=json.dumps(body).encode(), headers={"content-type": "application/json"}
    )


def check(response: httpx.Response, *replies: Any) -> None:
    assert response.status_code in (200, 400), response.text
    if response.status_code == 400:
        ErrorReply.model_validate(response.json())
        return
    content = response.json()
    reply = replies[-1] if "results" in content else replies[0]
    reply.model_validate(content)


@settings(max_examples=150)
@given(body=bodies(RouteRequest, {"prompt"}) | bodies(RouteRequest, {"messages"}) | VALUE)
def test_route_answers_or_refuses(http: httpx.Client, body: Any) -> None:
    check(send(http, "/v1/route", body), RouteReply, RouteBatchReply)


@settings(max_examples=150)
@given(
    body=bodies(ValidateRequest, {"prompt", "draft"})
    | bodies(ValidateRequest, {"messages", "draft"})
    | VALUE
)
def test_validate_answers_or_refuses(http: httpx.Client, body: Any) -> None:
    check(send(http, "/v1/validate", body), ValidateReply)


@settings(max_examples=100)
@given(body=st.binary(max_size=200))
def test_bytes_are_refused_or_read(http: httpx.Client, body: bytes) -> None:
    response = http.post("/v1/route", content=body, headers={"content-type": "application/json"})
    check(response, RouteReply, RouteBatchReply)


@settings(max_examples=60)
@given(prompt=st.text(min_size=1).filter(str.strip))
def test_every_text_that_says_something_is_routed(http: httpx.Client, prompt: str) -> None:
    assert send(http, "/v1/route", {"prompt": prompt}).status_code == 200
