"""Ollama and vLLM on 127.0.0.1, as far as their lists of models go."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.behaviours import Received, Script
from tests.upstream import Upstream

__all__ = ["nobody", "ollama", "ollama_entry", "serving", "vllm", "vllm_entry"]


def nobody() -> Mapping[str, str]:
    """An environment in which no local server answers."""
    return {"OLLAMA_HOST": "127.0.0.1:1", "VLLM_BASE_URL": "http://127.0.0.1:1/v1"}


@contextmanager
def serving(
    path: str, content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Iterator[Upstream]:
    """A server that has `content` at `path` and nothing elsewhere."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()

    def play(request: Received) -> Script:
        if request.path != path:
            return Script(status=404, pieces=(b"{}",))
        return Script(status=status, pieces=(body,), headers=headers or {})

    with Upstream(play) as upstream:
        yield upstream


@contextmanager
def ollama(*entries: Mapping[str, Any], **options: Any) -> Iterator[Upstream]:
    """Ollama with these models."""
    with serving("/api/tags", {"models": list(entries)}, **options) as upstream:
        yield upstream


@contextmanager
def vllm(*entries: Mapping[str, Any], **options: Any) -> Iterator[Upstream]:
    """vLLM with these models."""
    content = {"object": "list", "data": list(entries)}
    with serving("/v1/models", content, **options) as upstream:
        yield upstream


def ollama_entry(
    name: str, size: str = "", *, family: str = "llama", families: Sequence[str] = (), **more: Any
) -> Mapping[str, Any]:
    """A model as /api/tags lists it."""
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-10-03T23:34:03.409490317-07:00",
        "size": 3_338_801_804,
        "digest": "a2af6cc3eb7fa8be8504abaf9b04e88f17a119ec3f04a3addf55f92841195f5a",
        "details": {
            "format": "gguf",
            "family": family,
            "families": list(families) or [family],
            "parameter_size": size,
            "quantization_level": "Q4_K_M",
        },
        **more,
    }


def vllm_entry(name: str, *, root: str | None = None, **more: Any) -> Mapping[str, Any]:
    """A model as vLLM's /v1/models lists it."""
    return {
        "id": name,
        "object": "model",
        "created": 1_756_885_796,
        "owned_by": "vllm",
        "root": root or name,
        "parent": None,
        "max_model_len": 8192,
        "permission": [],
        **more,
    }
