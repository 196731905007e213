"""What the official clients make of a stream, read from the bytes that they would get."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import httpx2
import openai
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

__all__ = ["read_with_anthropic", "read_with_openai"]

ASK: list[Any] = [{"role": "user", "content": "Hi"}]


def read_with_openai(chunks: Sequence[dict[str, Any]]) -> Any:
    """What the official client makes of the chunks as server-sent events."""
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    body = "".join([*lines, "data: [DONE]\n\n"])
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: _events(body)))
    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=http)
    with client, client.chat.completions.stream(model="m", messages=ASK) as stream:
        try:
            return stream.get_final_completion()
        except openai.LengthFinishReasonError as exc:  # it has been read all the same
            return exc.completion


def read_with_anthropic(events: Sequence[dict[str, Any]]) -> Message:
    """What the official client makes of the events."""
    adapter: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
    for event in events:
        if event["type"] != "ping":  # the client skips them by their name
            adapter.validate_python(event)
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: _events(body)))
    client = anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1", http_client=http)
    with client, client.messages.stream(model="m", messages=ASK, max_tokens=9) as stream:
        return stream.get_final_message()


def _events(body: str) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=body)
