"""Conversations between the dialects: what goes where, what stays and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from router.chat import ChatRequest
from router.errors import InputError
from router.providers.translate.reply import openai_reply
from router.providers.translate.request import Translated, to_anthropic, to_openai

USER = {"role": "user", "content": "Hello"}
CACHED = {"cache_control": {"type": "ephemeral"}}


def ask(*messages: dict[str, Any], **params: Any) -> Translated:
    """The Anthropic body of an OpenAI request with a limit."""
    request = ChatRequest(messages=messages or (USER,), params=params)
    return to_anthropic(request, max_tokens=100)


def retell(*messages: dict[str, Any], **params: Any) -> ChatRequest:
    """The OpenAI request of an Anthropic one."""
    request = ChatRequest(messages=messages or (USER,), params=params, dialect="anthropic")
    return to_openai(request)


def test_system_messages_go_to_the_front_wherever_they_stood() -> None:
    body = ask(
        {"role": "system", "content": [{"type": "text", "text": "One.", **CACHED}]},
        USER,
        {"role": "developer", "content": "Two."},
        {"role": "assistant", "content": "Hi"},
    ).body
    assert body["system"] == [
        {"type": "text", "text": "One.", **CACHED},
        {"type": "text", "text": "Two."},
    ]
    assert body["messages"] == [USER, {"role": "assistant", "content": "Hi"}]


def test_a_system_prompt_of_blocks_becomes_a_message_of_parts() -> None:
    blocks = [{"type": "text", "text": "One."}, {"type": "text", "text": "Two.", **CACHED}]
    assert retell(system=blocks).messages == ({"role": "system", "content": blocks}, USER)
    assert retell(system="Be brief.").messages[0] == {"role": "system", "content": "Be brief."}


def test_neighbours_of_one_role_become_one_turn_and_empty_messages_go() -> None:
    body = ask(
        USER,
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": " "}]},
        {"role": "user", "content": "You there?"},
    ).body
    texts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": "You there?"}]
    assert body["messages"] == [{"role": "user", "content": texts}]


def test_a_conversation_that_says_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="'messages' must hold") as caught:
        ask({"role": "user", "content": ""})
    assert caught.value.param == "messages"


def test_thinking_that_anthropic_has_not_signed_is_not_sent_to_it() -> None:
    unsigned = {"type": "thinking", "thinking": "Hm.", "signature": ""}
    text = {"type": "text", "text": "Hi"}
    turn = {"role": "assistant", "content": [unsigned, text]}
    request = ChatRequest(messages=(USER, turn, USER), dialect="anthropic")
    translated = to_anthropic(request, max_tokens=9)
    assert translated.body["messages"] == [USER, {"role": "assistant", "content": [text]}, USER]
    assert translated.dropped == ("messages[1].content",)
    openai_turn = {"role": "assistant", "content": "Hi", "reasoning_content": "Hm."}
    assert ask(USER, openai_turn).dropped == ("messages[1].reasoning_content",)


def test_blocks_whose_order_openai_cannot_say_come_back_as_they_were() -> None:
    blocks = [
        {"type": "text", "text": "Searching."},
        {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []},
        {"type": "text", "text": "Found."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        {"type": "text", "text": "Bye."},
    ]
    turn = {"role": "assistant", "content": blocks}
    message = retell(USER, turn).messages[1]
    assert [call["id"] for call in message["tool_calls"]] == ["toolu_1"]
    assert ask(USER, dict(message)).body["messages"][1] == turn
    edited = {**message, "content": "Edited."}
    assert ask(USER, edited).body["messages"][1]["content"] == [
        {"type": "text", "text": "Edited."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    ]


def calling(arguments: Any) -> dict[str, Any]:
    """An assistant message with one call."""
    function = {"name": "f", "arguments": arguments}
    call = {"id": "c", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (calling('{"a": 1'), "messages[1].tool_calls[0].function.arguments"),
        (calling("[1]"), "messages[1].tool_calls[0].function.arguments"),
        (calling('{"a": NaN}'), "messages[1].tool_calls[0].function.arguments"),
        ({"role": "function", "name": "f", "content": "1"}, "messages[1].role"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "messages[1].function_call"),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
            "messages[1].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "f-1"}}]},
            "messages[1].content[0].file.file_id",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,x"}}]},
            "messages[1].content[0].image_url.url",
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_data": "JVBE"}}]},
            "messages[1].content[0].file.file_data",
        ),
        ({"role": "user", "content": [{"type": "text"}]}, "messages[1].content[0].text"),
    ],
)
def test_a_message_anthropic_cannot_take_is_refused_by_name(message: Any, param: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(USER, message)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "f"}}, "source.file_id"),
        ({"type": "image", "source": {"type": "odd"}}, "source.type"),
        ({"type": "image"}, "source"),
        ({"type": "document", "source": {"type": "base64", "data": "x"}}, "source.media_type"),
    ],
)
def test_a_block_openai_cannot_take_is_refused_by_name(block: Any, param: str) -> None:
    with pytest.raises(InputError) as caught:
        retell({"role": "user", "content": [block]})
    assert caught.value.param == f"messages[0].content[0].{param}"


def test_arguments_that_are_missing_are_none() -> None:
    for arguments in ("", None, "{}"):
        block = ask(USER, calling(arguments)).body["messages"][1]["content"][0]
        assert block == {"type": "tool_use", "id": "c", "name": "f", "input": {}}


def test_hints_without_a_counterpart_are_named() -> None:
    image = {"url": "https://a.example/b", "detail": "high"}
    part = {"type": "image_url", "image_url": image, "prompt_cache_breakpoint": {"mode": "x"}}
    assert ask({"role": "user", "content": [part]}).dropped == (
        "messages[0].content[0].prompt_cache_breakpoint",
        "messages[0].content[0].image_url.detail",
    )


def test_a_refusal_is_told_as_text() -> None:
    parts = [{"type": "refusal", "refusal": "I cannot."}]
    expected = {"role": "assistant", "content": "I cannot."}
    assert ask(USER, {"role": "assistant", "content": parts}).body["messages"][1] == expected
    turn = {"role": "assistant", "content": None, "refusal": "I cannot."}
    assert ask(USER, turn).body["messages"][1] == expected


def test_an_answer_of_anthropics_goes_back_as_openais_client_hands_it_on() -> None:
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "One."},
        {"type": "text", "text": "Two."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]
    native = {
        "id": "msg_1",
        "model": "claude-x",
        "content": blocks,
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }
    reply = ChatCompletion.model_validate(openai_reply(native, created=17))
    turn = reply.choices[0].message.model_dump()
    translated = ask(USER, turn, {"role": "tool", "tool_call_id": "toolu_1", "content": "2"})
    assert translated.body["messages"][1] == {"role": "assistant", "content": blocks}
    assert translated.dropped == ()


def test_what_other_providers_say_of_their_reasoning_is_left_out_and_named() -> None:
    turn = {"role": "assistant", "content": "4", "reasoning": "2 + 2", "parsed": {"a": 4}}
    translated = ask(USER, turn)
    assert translated.body["messages"][1] == {"role": "assistant", "content": "4"}
    assert translated.dropped == ("messages[1].reasoning",)


def test_arguments_may_be_an_object_already() -> None:
    block = ask(USER, calling({"a": 1})).body["messages"][1]["content"][0]
    assert block["input"] == {"a": 1}
