"""`sluice serve` with faults in it, for what they leave in the log.

    python -m tests.serving.hardening.faulty_gateway CONFIG PORT

A prompt that says "fault:NAME" sets one off, whose exception quotes the prompt.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from functools import partial, wraps
from pathlib import Path
from typing import Any

from router.agent.runs import Runner
from router.engine import Engine
from serving import routes_feedback
from serving.config import load_gateway_config
from serving.gateway.embedding_models import EmbeddingModel
from serving.gateway.openai_writer import OpenAIWriter
from serving.gateway.recorder import Recorder
from serving.server import run

__all__ = ["FAULTS"]

FAULTS = (
    *("raise", "chain", "group", "task", "thread", "callback", "warn", "unraisable"),
    *("stream", "record"),
)
_later: set[str] = set()  # faults of what comes after a run has begun
_tasks: set[asyncio.Task[None]] = set()


class _Quotes:
    """Fails where nobody can be told."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __del__(self) -> None:
        raise RuntimeError(self._text)


def _raise(text: str) -> None:
    raise RuntimeError(text)


async def _fail(text: str) -> None:
    raise RuntimeError(text)


def _set_off(text: str) -> None:
    if "fault:raise" in text:
        raise RuntimeError(text)
    if "fault:chain" in text:
        try:
            raise KeyError(text)
        except KeyError as exc:
            raise ValueError(text) from exc
    if "fault:group" in text:
        raise ExceptionGroup(text, [RuntimeError(text), ValueError(text)])
    if "fault:task" in text:
        _tasks.add(asyncio.create_task(_fail(text)))
        asyncio.get_running_loop().call_later(0.1, _tasks.clear)
    if "fault:thread" in text:
        threading.Thread(target=_raise, args=(text,), name="faulty").start()
    if "fault:callback" in text:
        asyncio.get_running_loop().call_soon(_raise, text)
    if "fault:warn" in text:
        warnings.warn(text, stacklevel=2)
    if "fault:unraisable" in text:
        _Quotes(text)
    _later.update(name for name in ("stream", "record") if f"fault:{name}" in text)


def _install() -> None:
    begin, live, record = Runner.begin, OpenAIWriter.live, Recorder.record
    route, validate, embed = Engine.route, Engine.validate, EmbeddingModel.embed
    label = routes_feedback.record_label

    @wraps(begin)
    def faulty_begin(self: Any, request: Any, *args: Any, **more: Any) -> Any:
        _set_off(str(request.messages))
        return begin(self, request, *args, **more)

    @wraps(live)
    def faulty_live(self: Any, delta: Any) -> bytes:
        said = live(self, delta)
        if "stream" in _later and delta.content:
            _later.discard("stream")
            raise RuntimeError(delta.content)
        return said

    @wraps(record)
    async def faulty_record(self: Any, *args: Any, **more: Any) -> None:
        if "record" in _later:
            _later.discard("record")
            raise RuntimeError(repr(args))
        await record(self, *args, **more)

    def faulty(call: Any, of: Any) -> Any:
        @wraps(call)
        def wrapped(*args: Any, **more: Any) -> Any:
            text = of(*args, **more)
            if "fault:" in text:
                raise RuntimeError(text)
            return call(*args, **more)

        return wrapped

    Runner.begin = faulty_begin  # type: ignore[method-assign]
    OpenAIWriter.live = faulty_live  # type: ignore[method-assign]
    Recorder.record = faulty_record  # type: ignore[method-assign]
    Engine.route = faulty(route, lambda _, query, **__: query.text)  # type: ignore[method-assign]
    Engine.validate = faulty(  # type: ignore[method-assign]
        validate, lambda _, query, draft, **__: f"{query.text} {draft.text}"
    )
    EmbeddingModel.embed = faulty(embed, lambda _, body, *__: str(body))  # type: ignore[method-assign]
    routes_feedback.record_label = faulty(label, lambda *_, label, **__: str(label.comment))  # type: ignore[attr-defined]


if __name__ == "__main__":
    _install()
    run(partial(load_gateway_config, Path(sys.argv[1]), options={"server.port": int(sys.argv[2])}))
