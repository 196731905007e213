"""The examples of docs/serving.md are requests that work, and answers of that shape."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
TEXT = PAGE.read_text(encoding="utf-8")
# Each request, with the answer that stands under it, if one does.
EXAMPLES = re.findall(r"```http\n(\w+) (\S+)\n(.*?)```(?:\n\n```json\n(.*?)```)?", TEXT, re.DOTALL)


def shape(value: Any) -> Any:
    """`value` with its numbers and texts replaced by what they are."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return "number" if type(value) in (int, float) else type(value).__name__


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 6


@pytest.mark.parametrize(("method", "path", "body", "answer"), EXAMPLES)
async def test_an_example_works(
    method: str, path: str, body: str, answer: str, client: httpx.AsyncClient
) -> None:
    content = body.strip().encode() or None
    headers = {"content-type": "application/json"} if content else {}
    response = await client.request(method, path, content=content, headers=headers)
    expected = json.loads(answer) if answer else None
    if expected is not None and "error" in expected:
        assert response.status_code == 400
        assert response.json() == expected
        return
    assert response.status_code == 200, response.text
    if expected is not None:
        assert shape(response.json()) == shape(expected)
