"""What of LangChain's messages goes to the models: all that a model reads, in OpenAI's shape."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from router.errors import InputError
from router.langchain.messages import to_openai_messages

CALL = {"name": "add", "args": {"a": 1, "b": "zwei"}, "id": "c1", "type": "tool_call"}
SENT_CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1, "b": "zwei"}'},
}
PIXEL = "iVBORw0KGgo="
IMAGE_PART = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}


def only(message: BaseMessage) -> dict[str, Any]:
    (found,) = to_openai_messages([message])
    return found


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("Be brief."), {"role": "system", "content": "Be brief."}),
        (
            SystemMessage("Be brief.", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "developer", "content": "Be brief."},
        ),
        (HumanMessage("Hi", name="Ann"), {"role": "user", "content": "Hi", "name": "Ann"}),
        (AIMessage("Hello", name="bot"), {"role": "assistant", "content": "Hello", "name": "bot"}),
        (AIMessage(""), {"role": "assistant", "content": ""}),
        (ChatMessage("Hi", role="user"), {"role": "user", "content": "Hi"}),
        (FunctionMessage("3", name="add"), {"role": "function", "content": "3", "name": "add"}),
        (
            AIMessage("", tool_calls=[CALL]),
            {"role": "assistant", "content": None, "tool_calls": [SENT_CALL]},
        ),
        (
            AIMessage("I add.", tool_calls=[CALL]),
            {"role": "assistant", "content": "I add.", "tool_calls": [SENT_CALL]},
        ),
    ],
)
def test_every_kind_of_message_is_said(message: BaseMessage, expected: dict[str, Any]) -> None:
    assert only(message) == expected


def test_a_tools_result_goes_without_its_artifact() -> None:
    message = ToolMessage(
        "no such file", tool_call_id="c1", name="read", status="error", artifact={"raw": [1]}
    )
    assert only(message) == {
        "role": "tool",
        "tool_call_id": "c1",
        "name": "read",
        "content": "no such file",
    }


def test_what_a_tool_shows_follows_the_last_result() -> None:
    """OpenAI takes pictures from users only."""
    found = to_openai_messages(
        [
            ToolMessage([IMAGE_PART, {"type": "text", "text": "A plot."}], tool_call_id="c1"),
            ToolMessage("3", tool_call_id="c2"),
        ]
    )
    assert [message["role"] for message in found] == ["tool", "tool", "user"]
    assert found[0]["content"] == [{"type": "text", "text": "A plot."}]
    assert found[2]["content"] == [IMAGE_PART]


def test_calls_that_could_not_be_read_are_sent_back() -> None:
    """Without them their results would answer nothing."""
    broken = {"name": "add", "args": '{"a": ', "id": "c2", "error": None}
    found = only(AIMessage("", tool_calls=[CALL], invalid_tool_calls=[broken]))
    assert [call["id"] for call in found["tool_calls"]] == ["c1", "c2"]
    assert found["tool_calls"][1]["function"]["arguments"] == '{"a": '


def test_fields_of_a_call_beside_openais_come_back() -> None:
    signature = {"google": {"thought_signature": "abc"}}
    raw = {**SENT_CALL, "extra_content": signature}
    found = only(AIMessage("", tool_calls=[CALL], additional_kwargs={"tool_calls": [raw]}))
    assert found["tool_calls"] == [raw]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ("plain", {"type": "text", "text": "plain"}),
        ({"type": "text", "text": "a", "id": "lc_1", "index": 0}, {"type": "text", "text": "a"}),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        ),
        (
            {"type": "text", "text": "a", "extras": {"cache_control": {"type": "ephemeral"}}},
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        ),
        (
            {"type": "text-plain", "text": "a", "mime_type": "text/plain"},
            {"type": "text", "text": "a"},
        ),
        (IMAGE_PART, IMAGE_PART),
        ({"type": "image", "base64": PIXEL, "mime_type": "image/png"}, IMAGE_PART),
        (
            {"type": "image", "source_type": "base64", "data": PIXEL, "mime_type": "image/png"},
            IMAGE_PART,
        ),
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PIXEL},
            },
            IMAGE_PART,
        ),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        ),
        (
            {"type": "image", "url": "https://x.test/a.png"},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        ),
        (
            {"type": "audio", "base64": "UklG", "mime_type": "audio/wav"},
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
        ),
        (
            {"type": "audio", "base64": "SUQz", "mime_type": "audio/mpeg"},
            {"type": "input_audio", "input_audio": {"data": "SUQz", "format": "mp3"}},
        ),
        (
            {"type": "file", "base64": "JVBE", "mime_type": "application/pdf"},
            {
                "type": "file",
                "file": {
                    "file_data": "data:application/pdf;base64,JVBE",
                    "filename": "document.pdf",
                },
            },
        ),
        (
            {"type": "file", "base64": "JVBE", "mime_type": "application/pdf", "filename": "a.pdf"},
            {
                "type": "file",
                "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
            },
        ),
        (
            {"type": "file", "url": "https://x.test/a.pdf"},
            {"type": "file", "file": {"file_data": "https://x.test/a.pdf"}},
        ),
        ({"type": "file", "file_id": "file-1"}, {"type": "file", "file": {"file_id": "file-1"}}),
        ({"type": "non_standard", "value": IMAGE_PART}, IMAGE_PART),
        ({"type": "video_url", "video_url": {"url": "https://x.test/a.mp4"}},) * 2,
    ],
)
def test_every_kind_of_block_is_said(block: Any, part: dict[str, Any]) -> None:
    first = {"type": "text", "text": "See:"}
    assert only(HumanMessage([first, block]))["content"] == [first, part]


def test_one_bare_text_is_a_string() -> None:
    assert only(HumanMessage([{"type": "text", "text": "Hi"}]))["content"] == "Hi"


def test_an_assistants_texts_are_one() -> None:
    blocks = [
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "text", "text": "Good "},
        {"type": "tool_call", "id": "c1", "name": "add", "args": CALL["args"]},
        {"type": "text", "text": "day."},
    ]
    assert only(AIMessage(blocks, tool_calls=[CALL])) == {
        "role": "assistant",
        "content": "Good day.",
        "tool_calls": [SENT_CALL],
    }


def test_anthropics_histories_are_understood() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    use = {"type": "tool_use", "id": "c1", "name": "add", "input": CALL["args"]}
    result = {
        "type": "tool_result",
        "tool_use_id": "c1",
        "content": [{"type": "text", "text": "3"}],
    }
    found = to_openai_messages(
        [
            AIMessage([{**thinking, "index": 0}, {"type": "text", "text": "I add."}, use]),
            HumanMessage([result, {"type": "text", "text": "Is it right?"}]),
        ]
    )
    assert found == [
        {
            "role": "assistant",
            "content": "I add.",
            "tool_calls": [SENT_CALL],
            "thinking_blocks": [thinking],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "user", "content": "Is it right?"},
    ]


def test_a_refusal_of_another_integration_stays_one() -> None:
    found = only(AIMessage("", additional_kwargs={"refusal": "I will not."}))
    assert found == {"role": "assistant", "content": None, "refusal": "I will not."}


@pytest.mark.parametrize(
    ("message", "where"),
    [
        (HumanMessage(["a", {"type": "video", "base64": "secret"}]), "messages[0].content[1]"),
        (HumanMessage([{"type": "image", "secret": "secret"}]), "messages[0].content[0]"),
        (RemoveMessage(id="secret"), "messages[0]"),
    ],
)
def test_what_cannot_be_said_is_named_and_not_quoted(message: BaseMessage, where: str) -> None:
    with pytest.raises(InputError) as caught:
        to_openai_messages([message])
    assert caught.value.param == where
    assert where in str(caught.value)
    assert "secret" not in str(caught.value)
