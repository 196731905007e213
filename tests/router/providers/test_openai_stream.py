"""Streams that OpenAI would not send, put together all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.chat import ChatRequest
from router.providers.openai_stream import OpenAIReader
from router.providers.openai_wire import OpenAIWire
from router.providers.wire import WireError


def read(*deltas: dict[str, Any], finish_reason: str | None = "stop") -> tuple[Any, list[Any]]:
    """The message that these deltas of one choice make, and the deltas as they are passed on."""
    reader, passed_on = OpenAIReader(), []
    for delta in deltas:
        for out in reader.feed("message", json.dumps({"choices": [{"delta": delta}]})):
            passed_on.append(out.chunk["choices"][0]["delta"])
    reader.feed("message", json.dumps({"choices": [{"finish_reason": finish_reason}]}))
    return reader.reply().reply["choices"][0]["message"], passed_on


def call(arguments: str | None = None, *, name: str | None = None, **more: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{**more, "function": {k: v for k, v in function.items() if v}}]}


def made(message: Any) -> list[tuple[str, str, str]]:
    return [
        (one["id"], one["function"]["name"], one["function"]["arguments"])
        for one in message["tool_calls"]
    ]


A, B = '{"city": "Paris"}', '{"city": "Rome"}'
BOTH = [("a", "weather", A), ("b", "weather", B)]


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param(
            [
                call(index=0, id="a", name="weather"),
                call(A[:5], index=0),
                call(A[5:], index=0),
                call(index=1, id="b", name="weather"),
                call(B, index=1),
            ],
            id="as OpenAI does",
        ),
        pytest.param(
            [call(A, index=0, id="a", name="weather"), call(B, index=0, id="b", name="weather")],
            id="one index for two calls",
        ),
        pytest.param(
            [
                call(index=0, id="a", name="weather"),
                call(A, index=0),
                call(index=0, id="b", name="weather"),
                call(B[:3], index=0),
                call(B[3:], index=0),
            ],
            id="one index for two calls, in pieces",
        ),
        pytest.param(
            [call(A[:4], id="a", name="weather"), call(A[4:]), call(B, id="b", name="weather")],
            id="no index",
        ),
        pytest.param(
            [
                call(A[:4], index=0, id="a", name="weather"),
                call(A[4:], index=0, id="a", name="weather"),
                call(B, index=1, id="b", name="weather"),
            ],
            id="id and name repeated",
        ),
        pytest.param(
            [
                call(A[:4], index=0, id="a", name="weather"),
                call(A[4:], index=0, id="another-for-each-piece"),
                call(B, index=1, id="b", name="weather"),
            ],
            id="a new id for each piece",
        ),
        pytest.param(
            [
                call(index=0, id="a", name="weather"),
                call(index=1, id="b", name="weather"),
                call(A[:4], index=0),
                call(B, index=1),
                call(A[4:], index=0),
            ],
            id="interleaved",
        ),
    ],
)
def test_two_calls(deltas: list[dict[str, Any]]) -> None:
    message, passed_on = read(*deltas)
    assert made(message) == BOTH
    pieces = {0: "", 1: ""}
    for delta in passed_on:
        for one in delta["tool_calls"]:
            pieces[one["index"]] += one["function"].get("arguments") or ""
    assert pieces == {0: A, 1: B}, "who puts the deltas together by index gets the same"


def test_two_calls_without_ids() -> None:
    message, _ = read(call(A, index=0, name="weather"), call(B, index=0, name="weather"))
    assert made(message) == [("call_0", "weather", A), ("call_1", "weather", B)]


def test_a_call_without_arguments() -> None:
    message, _ = read(
        {"tool_calls": [{"index": 0, "function": {"name": "now"}}]}, {"content": None}
    )
    assert made(message) == [("call_0", "now", "{}")]


def test_arguments_as_null_and_as_an_object() -> None:
    first = {"index": 0, "id": "a", "function": {"name": "weather", "arguments": None}}
    second = {"index": 0, "function": {"arguments": {"city": "Paris"}}}
    message, _ = read({"tool_calls": [first]}, {"tool_calls": [second]}, {"tool_calls": None})
    assert json.loads(made(message)[0][2]) == {"city": "Paris"}


def test_a_tool_of_another_kind() -> None:
    pieces = [
        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "shell", "input": "ls"}},
        {"index": 0, "custom": {"input": " -l"}},
    ]
    message, _ = read(*({"tool_calls": [piece]} for piece in pieces))
    custom = {"name": "shell", "input": "ls -l"}
    assert message["tool_calls"] == [{"id": "a", "type": "custom", "custom": custom}]


def test_fields_nobody_has_heard_of_are_put_together() -> None:
    message, _ = read(
        {"role": "assistant", "reasoning_content": "Let ", "details": [{"a": 1}], "n": 1},
        {"reasoning_content": "me see.", "details": [{"b": 2}], "n": 2, "nothing": None},
        {"content": "Par", "extra": {"x": "1", "y": 1}},
        {"content": "is", "extra": {"x": "2"}},
    )
    assert message == {
        "role": "assistant",
        "content": "Paris",
        "reasoning_content": "Let me see.",
        "details": [{"a": 1}, {"b": 2}],
        "n": 2,
        "nothing": None,
        "extra": {"x": "12", "y": 1},
    }


def test_several_choices_logprobs_and_the_head() -> None:
    reader = OpenAIReader()
    for index, text in ((1, "Rome"), (0, "Par"), (0, "is")):
        logprobs = {"content": [{"token": text, "logprob": -1.0}], "refusal": None}
        choice = {"index": index, "delta": {"content": text}, "logprobs": logprobs}
        chunk = {"id": f"c-{text}", "model": "m-1", "created": 5, "choices": [choice]}
        (delta,) = reader.feed("message", json.dumps(chunk))
        assert delta.content == ("" if index else text)
    ends = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1)]
    reader.feed("message", json.dumps({"system_fingerprint": "fp", "choices": ends}))
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    reader.feed("message", json.dumps({"choices": [], "usage": usage}))
    reply = reader.reply().reply
    assert [choice["message"]["content"] for choice in reply["choices"]] == ["Paris", "Rome"]
    assert [len(choice["logprobs"]["content"]) for choice in reply["choices"]] == [2, 1]
    assert (reply["id"], reply["created"], reply["model"]) == ("c-Rome", 5, "m-1")
    assert (reply["system_fingerprint"], reply["usage"]) == ("fp", usage)


def test_a_stream_with_one_choice_unfinished_is_cut_off() -> None:
    reader = OpenAIReader()
    choices = [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}, {"index": 1}]
    reader.feed("message", json.dumps({"choices": choices}))
    assert not reader.done
    with pytest.raises(WireError) as caught:
        reader.reply()
    assert caught.value.cause == "disconnected"


def test_after_done_nothing_counts() -> None:
    reader = OpenAIReader()
    reader.feed("message", json.dumps({"choices": [{"delta": {"content": "a"}}]}))
    reader.feed("message", " [DONE] ")
    assert reader.done
    assert list(reader.feed("message", "nonsense")) == []
    assert reader.reply().reply["choices"][0]["finish_reason"] == "stop"


def test_long_streams_are_put_together_in_linear_time() -> None:
    piece = json.dumps({"choices": [{"delta": {"content": "x" * 20}}]})
    reader = OpenAIReader()
    for _ in range(20_000):
        reader.feed("message", piece)
    reader.feed("message", "[DONE]")
    assert len(reader.reply().reply["choices"][0]["message"]["content"]) == 400_000


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"error": {"message": "m", "code": "c", "type": "t"}}, ("m", "c")),
        ({"error": {"message": "m", "code": None, "type": "t"}}, ("m", "t")),
        ([{"error": {"message": "m", "code": 400, "status": "INVALID"}}], ("m", "400")),
        ({"error": "m"}, ("m", "")),
        ({"object": "error", "message": "m", "type": "t"}, ("m", "t")),
        ({"detail": [1]}, ("", "")),
        ([], ("", "")),
        (None, ("", "")),
        ({"error": {"message": 1, "code": {}}}, ("", "")),
    ],
)
def test_error_bodies(body: Any, found: tuple[str, str]) -> None:
    assert OpenAIWire().error_message(body) == found


def test_the_callers_request_is_not_touched() -> None:
    request = ChatRequest.of("Hi", {"stream_options": {"x": 1}, "tools": []})
    given = json.dumps([request.messages, request.params])
    body = OpenAIWire().body(request, model="m", stream=True, max_tokens=5, ask_logprobs=True)
    assert json.dumps([request.messages, request.params]) == given
    assert "max_tokens" not in body
    assert body["logprobs"] is True


def test_a_request_in_anthropics_dialect_is_translated() -> None:
    request = ChatRequest.of("Hi", {"system": "Be brief.", "max_tokens": 7}, dialect="anthropic")
    body = OpenAIWire().body(request, model="m", stream=False, max_tokens=None, ask_logprobs=False)
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "system" not in body
