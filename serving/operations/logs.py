"""The log: one JSON object a line on stderr, or plain lines for a person who watches.

No line holds anything of a request or an answer. An exception is told by its type and the places
it went through; its text only where it is one of ours, which never hold such things.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
import warnings
from types import TracebackType
from typing import IO, Any, Final, Literal

import orjson

from router.errors import SluiceError

from ..errors import ApiError
from .secrets_mask import mask_secrets

__all__ = [
    "REQUESTS",
    "JsonFormatter",
    "Level",
    "PlainFormatter",
    "configure_logging",
    "describe_error",
    "log_loop_error",
]

REQUESTS: Final = "sluice.requests"
"""The logger of finished requests: figures and names from the configuration, nothing to mask."""

Level = Literal["debug", "info", "warning", "error"]

_LOG = logging.getLogger("sluice.server")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_NOT_OURS: Final = frozenset({"color_message"})  # uvicorn's, a copy of the message in colours
_MAX_PLACES: Final = 30
_MAX_CAUSES: Final = 5
_MAX_TEXT: Final = 2000
# What its own errors say is never of a request: addresses, files, reasons of the system.
_SAFE: Final = (SluiceError, ApiError, OSError)


def configure_logging(level: Level, *, json: bool, stream: IO[str] | None = None) -> None:
    """Send every log line of this process to `stream` (stderr), warnings and what nobody caught
    too. `level` is for Sluice's own lines; libraries are heard from "warning" on, as below it they
    tell of requests."""
    handler = _Handler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if json else PlainFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sluice").setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").filters = [_drop_cancelled]
    warnings.showwarning = _log_warning
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread_error
    sys.unraisablehook = _log_unraisable


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """What is warned of and where, without the text: a library's may quote what it was given."""
    logging.getLogger("py.warnings").warning("%s at %s:%d", category.__name__, filename, lineno)


def log_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what asyncio found nobody to tell; its own way prints the exception's text."""
    error = context.get("exception")
    _LOG.error("%s", context.get("message", "an error in the event loop"), exc_info=error)


class _Handler(logging.StreamHandler[IO[str]]):
    """What cannot be written must not be the end of a request; logging's own way of saying so
    prints what was to be logged."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exc_info()[1]
        if isinstance(error, OSError | ValueError) or record.name == _LOG.name:
            return  # the stream is gone or closed: nowhere is left to say so
        _LOG.error("a line of the logger %r could not be written", record.name, exc_info=error)


class JsonFormatter(logging.Formatter):
    """One JSON object: ts (UTC), level, logger, message, what `extra` held, error."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "ts": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().rstrip(),
            **_extra(record),
        }
        if record.exc_info is not None and record.exc_info[1] is not None:
            entry["error"] = describe_error(record.exc_info[1])
        line = orjson.dumps(entry, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        return (line if record.name == REQUESTS else mask_secrets(line)).decode()


class PlainFormatter(logging.Formatter):
    """One line for the eye; an exception's places follow, indented."""

    def format(self, record: logging.LogRecord) -> str:
        message = _one_line(record.getMessage().rstrip())
        line = f"{_timestamp(record.created)} {record.levelname:<7} {record.name}: {message}"
        for name, value in _extra(record).items():
            line += f" {name}={_one_line(str(value))}"
        if record.exc_info is not None and record.exc_info[1] is not None:
            line += _plain_error(describe_error(record.exc_info[1]))
        encoded = line.encode("utf-8", "backslashreplace")
        return (encoded if record.name == REQUESTS else mask_secrets(encoded)).decode()


def describe_error(error: BaseException, *, depth: int = 0) -> dict[str, Any]:
    """An exception's type, the places from its raising outwards, its causes and, if safe, text."""
    kind = type(error)
    told: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, _SAFE):
        told["text"] = str(error)[:_MAX_TEXT]
    told["places"] = [
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__, limit=-_MAX_PLACES))
    ]
    if depth >= _MAX_CAUSES:
        return told
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        told["cause"] = describe_error(cause, depth=depth + 1)
    if isinstance(error, BaseExceptionGroup):
        inner = error.exceptions[:_MAX_CAUSES]
        told["exceptions"] = [describe_error(one, depth=depth + 1) for one in inner]
    return told


def _plain_error(told: dict[str, Any], word: str = "error") -> str:
    line = f"\n  {word} {told['type']}"
    if "text" in told:
        line += f": {_one_line(told['text'])}"
    line += "".join(f"\n    {place}" for place in told["places"])
    if "cause" in told:
        line += _plain_error(told["cause"], "because of")
    return line + "".join(_plain_error(one, "and") for one in told.get("exceptions", ()))


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    fields = vars(record)
    return {
        name: fields[name] for name in fields if name not in _STANDARD and name not in _NOT_OURS
    }


def _plain(value: Any) -> str:
    return str(value)[:_MAX_TEXT]


def _one_line(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


_last_second: tuple[int, str] = (0, "")


def _timestamp(at: float) -> str:
    """ISO 8601 in UTC with milliseconds; the same second is written out once."""
    global _last_second
    second = int(at)
    known, text = _last_second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _last_second = (second, text)
    return f"{text}.{int((at - second) * 1000):03d}Z"


def _drop_cancelled(record: logging.LogRecord) -> bool:
    """Uvicorn tells of each request that it cancels; the server has told of all by then."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    _LOG.critical("uncaught exception", exc_info=(kind, error, trace))


def _log_thread_error(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        name = told.thread.name if told.thread is not None else "?"
        error = (told.exc_type, told.exc_value, told.exc_traceback)
        _LOG.error("uncaught exception in thread %s", name, exc_info=error)


def _log_unraisable(told: Any) -> None:
    _LOG.error(
        "%s", told.err_msg or "an exception nobody could be told of", exc_info=told.exc_value
    )
