"""Whatever a server puts into a field, official clients parse what is passed on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from router.providers.openai_reply import read_completion
from router.providers.openai_stream import OpenAIReader
from router.providers.wire import WireError

ODD = (None, "odd", 7, 1.5, True, [], {}, [7], {"x": 1})
TOKEN = {"token": "a", "logprob": -0.1, "bytes": [97]}
LOGPROBS = {"content": [{**TOKEN, "top_logprobs": [TOKEN]}], "refusal": None}
CITED = {"start_index": 0, "end_index": 1, "title": "t", "url": "u"}
AUDIO = {"id": "a", "data": "aGk=", "expires_at": 1, "transcript": "Hi"}
FUNCTION = {"name": "f", "arguments": "{}"}
CALL = {"id": "1", "type": "function", "function": FUNCTION}
SPOKEN = {"role": "assistant", "content": "Hi", "refusal": None, "audio": AUDIO}
MESSAGE = {
    **SPOKEN,
    "annotations": [{"type": "url_citation", "url_citation": CITED}],
    "function_call": FUNCTION,
    "tool_calls": [CALL, {"id": "2", "type": "custom", "custom": {"name": "c", "input": ""}}],
}
HEAD = {
    "id": "c",
    "created": 1,
    "model": "m",
    "service_tier": "default",
    "system_fingerprint": "fp",
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}
CHOICE = {"index": 0, "finish_reason": "stop", "logprobs": LOGPROBS}
WHOLE = {
    **HEAD,
    "object": "chat.completion",
    "metadata": {"a": "b"},
    "choices": [{**CHOICE, "message": MESSAGE}],
}
CHUNK = {
    **HEAD,
    "object": "chat.completion.chunk",
    "choices": [
        {
            **CHOICE,
            "delta": {**SPOKEN, "function_call": FUNCTION, "tool_calls": [{"index": 0, **CALL}]},
        }
    ],
}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside a JSON value."""
    if at:
        yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


def with_odd_value(value: Any, at: tuple[Any, ...], odd: Any) -> Any:
    changed = json.loads(json.dumps(value))
    holder = changed
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = deepcopy(odd)
    return changed


def misfits(value: Any, read: Callable[[Any], object]) -> list[tuple[str, Any]]:
    """Where an odd value makes `read` raise what no caller expects."""
    found = []
    for at in places(value):
        for odd in ODD:
            try:
                with suppress(WireError):
                    read(with_odd_value(value, at, odd))
            except (ValueError, TypeError, KeyError, AttributeError):
                found.append((".".join(map(str, at)), odd))
    return found


def test_completions() -> None:
    assert misfits(WHOLE, lambda body: ChatCompletion.model_validate(read_completion(body))) == []


def test_chunks() -> None:
    def read(chunk: Any) -> None:
        reader = OpenAIReader()
        (delta,) = reader.feed("", json.dumps(chunk))
        ChatCompletionChunk.model_validate(delta.chunk)
        reader.feed("", "[DONE]")
        ChatCompletion.model_validate(reader.reply().reply)

    assert misfits(CHUNK, read) == []


def test_what_fits_is_left_as_it_came() -> None:
    assert read_completion(deepcopy(WHOLE)) == WHOLE
    (delta,) = OpenAIReader().feed("", json.dumps(CHUNK))
    assert delta.chunk == CHUNK


def test_what_does_not_fit_is_kept_under_a_name_of_its_own() -> None:
    parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]
    files = [{"type": "file", "file": {"hash": "1"}}]
    message = {"content": parts, "annotations": files}
    choice = {"message": message, "logprobs": [-0.1], "finish_reason": "stop"}
    found = read_completion({"service_tier": "on_demand", "choices": [choice]})
    assert found["provider_service_tier"] == "on_demand"
    assert "service_tier" not in found
    assert found["choices"][0]["provider_logprobs"] == [-0.1]
    assert found["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hi",
        "provider_content": parts,
        "provider_annotations": files,
    }


def test_parts_of_a_streamed_content_are_kept_together() -> None:
    reader = OpenAIReader()
    parts = [{"type": "thinking", "thinking": [{"text": piece}]} for piece in ("Hm", ".")]
    deltas = [{"content": [part]} for part in parts] + [{"content": "Pa"}, {"content": "ris."}]
    said = [
        delta.content
        for piece in deltas
        for delta in reader.feed("", json.dumps({"choices": [{"delta": piece}]}))
    ]
    reader.feed("", "[DONE]")
    message = reader.reply().reply["choices"][0]["message"]
    assert said == ["", "", "Pa", "ris."]
    assert (message["content"], message["provider_content"]) == ("Paris.", parts)
