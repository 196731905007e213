"""LangChain's ChatOpenAI, pointed at the gateway."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.behaviours import answer, answer_anthropic
from tests.serving.clients.running_gateway import RunningGateway
from tests.serving.clients.said import CALL, LONG, USE, bytewise, vectors
from tests.upstream import Upstream

PROMPT = "How warm is it in Zürich?"
ARGUMENTS = {"city": "Zürich 🌦️", "days": 3}


class Weather(BaseModel):
    """The weather of some days."""

    city: str
    days: int


@tool
def weather(city: str, days: int) -> str:
    """The weather of some days."""
    return f"{city}: 31 degrees for {days} days"


@pytest.fixture(params=["auto", "large", "claude-large"])
def chat(
    gateway: RunningGateway, key: str, upstream: Upstream, request: pytest.FixtureRequest
) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=gateway.url, api_key=SecretStr(key), model=request.param, max_retries=0
    )


def speak(chat: ChatOpenAI, text: str | None, *, calls: bool = False) -> Any:
    if chat.model_name.startswith("claude"):
        return answer_anthropic(text, tool_uses=[USE] if calls else [])
    return answer(text, tool_calls=[CALL] if calls else [])


def test_invoke(chat: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(speak(chat, LONG))
    found = chat.invoke(PROMPT)
    assert found.content == LONG
    assert found.usage_metadata is not None
    assert found.usage_metadata["total_tokens"] == 17
    assert found.response_metadata["finish_reason"] == "stop"


def test_stream(chat: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(bytewise(speak(chat, LONG)))
    whole: AIMessageChunk | None = None
    pieces = 0
    for piece in chat.stream(PROMPT, stream_usage=True):
        assert isinstance(piece, AIMessageChunk)
        whole = piece if whole is None else whole + piece
        pieces += bool(piece.content)
    assert whole is not None
    assert whole.content == LONG
    assert pieces >= 1
    assert whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 5


def test_tools_in_a_conversation(chat: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(speak(chat, None, calls=True), speak(chat, "It is 31 degrees."))
    bound = chat.bind_tools([weather])
    asked = HumanMessage(PROMPT)
    first = bound.invoke([asked])
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("weather", ARGUMENTS)
    result = weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert bound.invoke([asked, first, result]).content == "It is 31 degrees."


def test_streamed_tool_calls_are_put_together(chat: ChatOpenAI, upstream: Upstream) -> None:
    upstream.then(bytewise(speak(chat, "Let me look.", calls=True)))
    whole: Any = None
    for piece in chat.bind_tools([weather]).stream(PROMPT):
        whole = piece if whole is None else whole + piece
    (call,) = whole.tool_calls
    assert (call["name"], call["args"]) == ("weather", ARGUMENTS)
    assert whole.content == "Let me look."


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output(chat: ChatOpenAI, upstream: Upstream, method: Any) -> None:
    called = method == "function_calling"
    if called:
        call = {**CALL, "function": {**CALL["function"], "name": "Weather"}}
        use = {**USE, "name": "Weather"}
        native = chat.model_name.startswith("claude")
        upstream.then(
            answer_anthropic(None, tool_uses=[use]) if native else answer(None, tool_calls=[call])
        )
    else:
        upstream.then(speak(chat, '{"city": "Zürich 🌦️", "days": 3}'))
    found = chat.with_structured_output(Weather, method=method).invoke(PROMPT)
    assert found == Weather(**ARGUMENTS)


async def test_without_blocking(gateway: RunningGateway, key: str, upstream: Upstream) -> None:
    upstream.then(answer("It is 42."))
    chat = ChatOpenAI(base_url=gateway.url, api_key=SecretStr(key), model="drafts", max_retries=0)
    assert (await chat.ainvoke(PROMPT)).content == "It is 42."
    text = "".join([str(piece.content) async for piece in chat.astream(PROMPT)])
    assert text == "It is 42."
    await chat.root_async_client.close()


def test_errors_are_the_clients_own(gateway: RunningGateway, key: str) -> None:
    chat = ChatOpenAI(base_url=gateway.url, api_key=SecretStr(key), model="gpt-99", max_retries=0)
    with pytest.raises(openai.NotFoundError):
        chat.invoke(PROMPT)


def test_embeddings(gateway: RunningGateway, key: str, upstream: Upstream) -> None:
    upstream.then(vectors)
    given: dict[str, Any] = {
        "base_url": gateway.url,
        "api_key": SecretStr(key),
        "check_embedding_ctx_length": False,  # it would send token ids of OpenAI's vocabulary
    }
    found = OpenAIEmbeddings(model="embed", **given).embed_documents(["one", "two"])
    assert found == [[0.0, 0.5, -2.0], [1.0, 0.5, -2.0]]
    assert len(OpenAIEmbeddings(model="sluice-encoder", **given).embed_query("Hi?")) == 256
