"""What the provider says in these tests: calls, long texts, vectors."""

from __future__ import annotations

import base64
import struct
from typing import Any

from tests.behaviours import Behaviour, Received, Script, send_json

__all__ = ["CALL", "LONG", "SCHEMA", "TOOLS", "USE", "bytewise", "vectors"]

LONG = "Das Wetter 🌦️ in Zürich: 今天很好 — naïve café, 👩‍👩‍👧‍👦 and more.\n\n" * 40
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of some days.",
            "parameters": SCHEMA,
            "strict": True,
        },
    }
]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Zürich 🌦️", "days": 3}'},
}
USE = {"id": "toolu_1", "name": "weather", "input": {"city": "Zürich 🌦️", "days": 3}}


def bytewise(behaviour: Behaviour, *, size: int = 7) -> Behaviour:
    """The same, in pieces of so many bytes, which cut events and characters anywhere."""

    def behave(request: Received) -> Script:
        script = behaviour(request)
        whole = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        return Script(content_type=script.content_type, pieces=pieces)

    return behave


def vectors(request: Received) -> Script:
    """Embeddings of as many inputs as there are: [index, 0.5, -2.0] each, as OpenAI gives them."""
    given = request.body["input"]
    data = []
    for index in range(len(given) if isinstance(given, list) else 1):
        numbers: Any = [float(index), 0.5, -2.0]
        if request.body.get("encoding_format") == "base64":
            numbers = base64.b64encode(struct.pack("<3f", *numbers)).decode()
        data.append({"object": "embedding", "index": index, "embedding": numbers})
    usage = {"prompt_tokens": 8, "total_tokens": 8}
    body = {"object": "list", "data": data, "model": request.body["model"], "usage": usage}
    return send_json(body)(request)
