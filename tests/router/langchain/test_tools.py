"""Tools over `CascadeChatModel`: how they are bound, called, streamed and answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from router.errors import InputError
from router.langchain import CascadeChatModel
from router.langchain.tools import to_tool
from tests.agents import DIRECT, by_model
from tests.behaviours import answer, send_events, send_json
from tests.upstream import Upstream

MakeModel = Callable[..., CascadeChatModel]
PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"It rains in {city}."


class Search(BaseModel):
    """Search the web."""

    query: str = Field(description="what to look for")


def call(arguments: str, call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    function = {"name": "weather", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function, **more}


def calling(*arguments: str, text: str | None = None) -> Any:
    calls = [call(one, f"call_{index}") for index, one in enumerate(arguments)]
    return answer(text, tool_calls=calls)


async def joined(model: Any, prompt: Any) -> AIMessageChunk:
    chunks = [chunk async for chunk in model.astream(prompt)]
    full = chunks[0]
    for chunk in chunks[1:]:
        full = full + chunk
    return full


async def test_a_tool_is_called_answered_and_the_conversation_goes_on(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(calling(PARIS), answer("In Paris it rains today."))
    model = make_model().bind_tools([weather])
    question = HumanMessage("What is the weather in Paris?")
    asking = await model.ainvoke([question])
    assert asking.tool_calls == [
        {"name": "weather", "args": {"city": "Paris"}, "id": "call_0", "type": "tool_call"}
    ]
    assert asking.response_metadata["finish_reason"] == "tool_calls"
    result = weather.invoke(asking.tool_calls[0])
    told = await model.ainvoke([question, asking, result])
    assert told.content == "In Paris it rains today."
    _, assistant, answered = upstream.bodies[-1]["messages"]
    assert assistant["tool_calls"] == [call(PARIS, "call_0")]
    assert answered["tool_call_id"] == "call_0"
    assert answered["content"] == "It rains in Paris."


@pytest.mark.parametrize("policy", [None, DIRECT])
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_streamed_calls_add_up_to_the_message(
    make_model: MakeModel, upstream: Upstream, policy: Any, output_version: str
) -> None:
    upstream.then(calling(PARIS, ROME, text="Let me look."))
    options = {} if policy is None else {"policy": policy}
    model = make_model(output_version=output_version, **options).bind_tools([weather])
    whole = await model.ainvoke("Weather in Paris and Rome?")
    full = await joined(model, "Weather in Paris and Rome?")
    assert full.tool_calls == whole.tool_calls
    assert [one["args"]["city"] for one in whole.tool_calls] == ["Paris", "Rome"]
    assert full.text == whole.text == "Let me look."
    said = [block["type"] for block in full.content_blocks]
    assert said == ["text", "tool_call", "tool_call"]


async def test_calls_stream_piece_by_piece(make_model: MakeModel, upstream: Upstream) -> None:
    upstream.then(calling(PARIS))
    model = make_model(policy=DIRECT).bind_tools([weather])
    pieces = [chunk.tool_call_chunks async for chunk in model.astream("Weather in Paris?")]
    arguments = [one[0]["args"] for one in pieces if one]
    assert len(arguments) > 2
    assert "".join(arguments) == PARIS


async def test_names_and_ids_that_a_server_repeats_are_said_once(
    make_model: MakeModel, upstream: Upstream
) -> None:
    def delta(arguments: str, reason: str | None = None) -> dict[str, Any]:
        made = {"tool_calls": [{"index": 0, **call(arguments)}]}
        return {"choices": [{"index": 0, "delta": made, "finish_reason": reason}]}

    upstream.then(send_events(delta('{"city": '), delta('"Paris"}', "tool_calls")))
    full = await joined(make_model(policy=DIRECT).bind_tools([weather]), "Weather in Paris?")
    assert full.tool_calls == [
        {"name": "weather", "args": {"city": "Paris"}, "id": "call_1", "type": "tool_call"}
    ]


async def test_arguments_that_are_no_object_make_an_invalid_call(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(calling('{"city": '))
    message = await make_model(policy=DIRECT).bind_tools([weather]).ainvoke("Weather?")
    assert message.tool_calls == []
    assert message.invalid_tool_calls[0]["args"] == '{"city": '


async def test_a_draft_whose_call_breaks_the_schema_is_not_the_answer(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(by_model(small=calling('{"town": "Paris"}'), large=calling(PARIS)))
    message = await make_model().bind_tools([weather]).ainvoke("Weather in Paris?")
    assert message.response_metadata["model_name"] == "large"
    assert message.tool_calls[0]["args"] == {"city": "Paris"}


async def test_what_only_one_provider_knows_comes_back_with_the_next_turn(
    make_model: MakeModel, upstream: Upstream
) -> None:
    signed = call(PARIS, extra_content={"google": {"thought_signature": "abc"}})
    said = {"role": "assistant", "content": None, "tool_calls": [signed]}
    upstream.then(send_json({"choices": [{"message": said}]}), answer("It rains."))
    model = make_model(policy=DIRECT).bind_tools([weather])
    first = await model.ainvoke("Weather in Paris?")
    await model.ainvoke(["Weather in Paris?", first, weather.invoke(first.tool_calls[0])])
    assert upstream.bodies[-1]["messages"][1]["tool_calls"] == [signed]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, None),
        (False, None),
        (True, "required"),
        ("any", "required"),
        ("required", "required"),
        ("auto", "auto"),
        ("none", "none"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        ({"type": "any"}, "required"),
        (
            {"type": "tool", "name": "weather"},
            {"type": "function", "function": {"name": "weather"}},
        ),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"type": "function", "function": {"name": "weather"}},
        ),
    ],
)
async def test_a_tool_choice_is_sent_in_openais_words(
    make_model: MakeModel, upstream: Upstream, choice: Any, sent: Any
) -> None:
    upstream.then(calling(PARIS))
    await make_model().bind_tools([weather, Search], tool_choice=choice).ainvoke("Weather?")
    assert upstream.bodies[0].get("tool_choice") == sent


def test_an_unknown_choice_and_what_is_no_tool_are_refused(make_model: MakeModel) -> None:
    model = make_model()
    with pytest.raises(InputError, match="did you mean 'weather'"):
        model.bind_tools([weather], tool_choice="wether")
    with pytest.raises(InputError, match=r"tools\[1\]"):
        model.bind_tools([weather, {"type": "object", "properties": {}}])


async def test_tools_of_every_kind_are_sent_and_further_options_with_them(
    make_model: MakeModel, upstream: Upstream
) -> None:
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    own = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    upstream.then(answer("No tool is needed here."))
    model = make_model().bind_tools(
        [weather, Search, add, own], strict=True, parallel_tool_calls=False
    )
    await model.ainvoke("Hello there")
    body = upstream.bodies[0]
    assert body["parallel_tool_calls"] is False
    *functions, last = body["tools"]
    assert last == own
    assert [one["function"]["name"] for one in functions] == ["weather", "Search", "add"]
    assert all(one["function"]["strict"] for one in functions)
    assert functions[0]["function"]["parameters"]["required"] == ["city"]


def test_hints_of_other_providers_stay_on_a_tool() -> None:
    hint = {"cache_control": {"type": "ephemeral"}}
    schema = {"type": "object", "properties": {}}
    found = to_tool({"name": "look", "input_schema": schema, **hint}, "tools[0]", strict=None)
    assert found == {
        **hint,
        "type": "function",
        "function": {"name": "look", "parameters": schema},
    }

    @tool(extras=hint)
    def look() -> str:
        """Look."""
        return ""

    assert to_tool(look, "tools[0]", strict=None)["cache_control"] == hint["cache_control"]


async def test_a_message_survives_being_written_down(
    make_model: MakeModel, upstream: Upstream
) -> None:
    upstream.then(calling(PARIS))
    message = await make_model().bind_tools([weather]).ainvoke("Weather in Paris?")
    again = AIMessage.model_validate(json.loads(message.model_dump_json()))
    assert again == message
