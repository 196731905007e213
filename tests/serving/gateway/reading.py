"""What writers write for the answers of real agents, and what official clients make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2
import openai

from router.agent.agent import CascadeAgent
from router.agent.events import ChunkEvent, DoneEvent
from router.chat import ChatRequest, Completion, Dialect
from serving.gateway.writers import stream_writer

__all__ = ["Told", "anthropic_message", "events_in", "openai_completion", "tell"]

TRAILER = {"x-sluice-cost-usd": "0.000022"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """A stream as its client gets it: what comes before the outcome is recorded, and after."""

    before: bytes
    end: bytes
    completion: Completion
    live: bool

    @property
    def body(self) -> bytes:
        return self.before + self.end


async def tell(
    agent: CascadeAgent,
    messages: Any = "Hi?",
    params: Mapping[str, Any] | None = None,
    *,
    dialect: Dialect = "openai",
) -> Told:
    """Stream a request to an agent as the gateway does."""
    request = ChatRequest.of(messages, params, dialect=dialect)
    writer = stream_writer(dialect, request.params)
    pieces: list[bytes] = []
    completion = None
    async for event in agent.events(request):
        if isinstance(event, ChunkEvent) and event.delta is not None:
            pieces.append(writer.live(event.delta))
        elif isinstance(event, DoneEvent):
            completion = event.result.completion
    assert completion is not None
    live = bool(pieces)
    if not live:
        pieces.append(writer.whole(completion))
    end = writer.end(completion, TRAILER)
    return Told(before=b"".join(pieces), end=end, completion=completion, live=live)


def events_in(body: bytes) -> list[Any]:
    """The data of all events, parsed; "[DONE]" as it is. Each event has to be well framed."""
    assert body.endswith(b"\n\n")
    found = []
    for block in body[:-2].split(b"\n\n"):
        lines = block.split(b"\n")
        if lines[0].startswith(b":"):
            assert len(lines) == 1
            continue
        name = None
        if lines[0].startswith(b"event: "):
            name = lines.pop(0).removeprefix(b"event: ").decode()
        (line,) = lines
        assert line.startswith(b"data: ")
        data = line.removeprefix(b"data: ")
        found.append("[DONE]" if data == b"[DONE]" else json.loads(data))
        if name is not None:
            assert found[-1]["type"] == name
    return found


def openai_completion(body: bytes, **request: Any) -> Any:
    """What OpenAI's client puts together from a stream."""
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: _stream(body)))
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1/v1", http_client=http)
    asked: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    with client, client.chat.completions.stream(**{**asked, **request}) as stream:
        try:
            return stream.get_final_completion()
        except openai.LengthFinishReasonError as exc:  # it has been read all the same
            return exc.completion


def anthropic_message(body: bytes) -> Any:
    """What Anthropic's client puts together from a stream."""
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: _stream(body)))
    client = anthropic.Anthropic(api_key="k", base_url="http://127.0.0.1", http_client=http)
    asked: list[Any] = [{"role": "user", "content": "Hi"}]
    with client, client.messages.stream(model="m", messages=asked, max_tokens=9) as stream:
        return stream.get_final_message()


def _stream(body: bytes) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)
