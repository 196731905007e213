"""The log: JSON lines that say what happened and nothing of what was asked."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import time
import timeit
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from router.errors import StoreError
from serving.operations.logs import Level, configure_logging, log_loop_error
from serving.operations.request_log import log_request
from tests.serving.operations.made_up_outcome import DRAFT_CALL, outcome

ROOT = Path(__file__).resolve().parents[3]
LOGGERS = ("", "sluice", "uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
Configure = Callable[..., io.StringIO]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configures logging into a text; everything is as it was afterwards."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [
        (logger.handlers, logger.level, logger.propagate, logger.filters) for logger in loggers
    ]
    hooks = (sys.excepthook, sys.unraisablehook)

    def start(level: Level = "info", *, json: bool = True) -> io.StringIO:
        stream = io.StringIO()
        configure_logging(level, json=json, stream=stream)
        return stream

    yield start
    logging.captureWarnings(False)
    sys.excepthook, sys.unraisablehook = hooks
    for logger, (handlers, level, propagate, filters) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate, logger.filters = handlers, propagate, filters
        logger.setLevel(level)


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("sluice.server").warning("it is %s\n", "late", extra={"seconds": 3})
    [entry] = entries(stream)
    assert entry.pop("ts").endswith("Z")
    assert entry == {
        "level": "warning",
        "logger": "sluice.server",
        "message": "it is late",
        "seconds": 3,
    }


def test_the_level_is_for_our_own_lines(configure: Configure) -> None:
    stream = configure("info")
    for name in ("sluice.serving", "httpx", "uvicorn.error"):
        logging.getLogger(name).info("told")
        logging.getLogger(name).debug("not told")
    assert [entry["logger"] for entry in entries(stream)] == ["sluice.serving"]
    stream = configure("error")
    logging.getLogger("sluice.serving").warning("not told")
    logging.getLogger("uvicorn.error").warning("told")
    assert [entry["logger"] for entry in entries(stream)] == ["uvicorn.error"]


def test_an_exception_is_told_by_type_and_place_but_not_by_text(configure: Configure) -> None:
    stream = configure()
    try:
        try:
            raise KeyError("the secret prompt")
        except KeyError as exc:
            raise ValueError("the secret answer") from exc
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    assert "secret" not in stream.getvalue()
    [entry] = entries(stream)
    error = entry["error"]
    assert error["type"] == "builtins.ValueError"
    assert "text" not in error
    assert error["places"][0].startswith(f"{__file__}:")
    assert error["cause"]["type"] == "builtins.KeyError"


def test_our_own_errors_and_the_systems_may_speak(configure: Configure) -> None:
    stream = configure()
    error = StoreError("the store is locked")
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    logging.getLogger("sluice").error("failed", exc_info=error)
    [entry] = entries(stream)
    assert entry["error"]["text"] == "the store is locked"
    assert entry["error"]["cause"]["text"] == "[Errno 111] Connection refused"


def test_groups_of_errors_are_told_one_by_one(configure: Configure) -> None:
    stream = configure()
    group = ExceptionGroup("secret", [ValueError("secret"), StoreError("locked")])
    logging.getLogger("sluice").error("failed", exc_info=group)
    [entry] = entries(stream)
    assert [one["type"] for one in entry["error"]["exceptions"]] == [
        "builtins.ValueError",
        "router.errors.StoreError",
    ]
    assert "secret" not in stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("Authorization: Bearer abcdef123456", "Bearer ***"),
        ("tried sk-proj-abcdefghijk", "tried sk-***"),
        ("x-api-key: abcdefgh", "x-api-key: ***"),
        ('{"api_key": "abcdefgh"}', "***"),
        ("SLUICE_ADMIN_KEY=abcdefgh", "SLUICE_ADMIN_KEY=***"),
        ("postgresql://ann:abcdefgh@db/sluice", "postgresql://ann:***@db/sluice"),
        ("redis://:abcdefgh@cache", "redis://:***@cache"),
        ("key=AIzaSyabcdefghijklmnop", "key=***"),
        ("gave AIzaSyabcdefghijklmnopq", "gave AIza***"),
        ("password is 'x', secret=abcdefgh", "secret=***"),
    ],
)
def test_what_looks_like_a_key_is_masked(
    configure: Configure, as_json: bool, line: str, told: str
) -> None:
    stream = configure(json=as_json)
    logging.getLogger("sluice").error("%s", line, extra={"more": line})
    text = stream.getvalue()
    assert "abcdef" not in text
    assert text.count(told) == 2 or as_json


def test_what_only_sounds_like_a_key_is_not(configure: Configure) -> None:
    stream = configure()
    line = "key_id=key_12345678 input_tokens: 123456789 monkey: bananas, risk-management"
    logging.getLogger("sluice").error("%s", line)
    assert entries(stream)[0]["message"] == line


def test_masking_takes_no_longer_for_long_lines_that_mean_harm(configure: Configure) -> None:
    stream = configure()
    began = time.monotonic()
    for piece in ("key-", "a-", "token=", "://a:", "bearer ", "sk-", "eyJ."):
        logging.getLogger("sluice").error("%s", piece * 20_000)
    assert time.monotonic() - began < 5
    assert len(entries(stream)) == 7


def test_a_request_is_one_line_of_figures(configure: Configure) -> None:
    stream = configure()
    log_request(outcome(), (DRAFT_CALL,))
    log_request(
        outcome(status="failed", http_status=502, error_code="upstream_failed", action=None)
    )
    answered, failed = entries(stream)
    assert answered["logger"] == "sluice.requests"
    assert answered["request_id"] == outcome().request_id
    assert (answered["action"], answered["calls"]) == ("accepted", 1)
    assert answered["cost_usd"] == pytest.approx(0.0000384)
    assert answered["saved_usd"] == pytest.approx(0.0006016)
    assert (failed["http_status"], failed["error_code"]) == (502, "upstream_failed")
    for word in ("secret", "ann@example.org", "client wrote"):
        assert word not in stream.getvalue()


def test_requests_are_not_told_above_their_level(configure: Configure) -> None:
    stream = configure("warning")
    log_request(outcome())
    assert stream.getvalue() == ""


@pytest.mark.parametrize("as_json", [True, False])
def test_a_request_line_is_cheap(configure: Configure, as_json: bool) -> None:
    configure(json=as_json)
    told = outcome()
    best_s = min(timeit.repeat(lambda: log_request(told), number=500, repeat=7)) / 500
    assert best_s < 40e-6  # 13 and 17 us on a quiet machine


def test_lines_for_the_eye_are_one_line_each(configure: Configure) -> None:
    stream = configure(json=False)
    logging.getLogger("sluice").warning("two\nlines \x1b[31m", extra={"name_of": "a\rb"})
    [line] = stream.getvalue().splitlines()
    assert line.endswith(r"WARNING sluice: two\nlines \x1b[31m name_of=a\rb")
    logging.getLogger("sluice").error("failed", exc_info=StoreError("locked"))
    assert "  error router.errors.StoreError: locked" in stream.getvalue()


def test_warnings_and_lost_errors_come_out_as_lines(configure: Configure) -> None:
    stream = configure()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old secret", DeprecationWarning, stacklevel=1)
    loop = asyncio.new_event_loop()
    log_loop_error(loop, {"message": "never retrieved", "exception": ValueError("secret")})
    loop.close()
    sys.excepthook(ValueError, ValueError("secret"), None)
    told = entries(stream)
    assert [entry["logger"] for entry in told] == ["py.warnings", "sluice.server", "sluice.server"]
    assert told[0]["message"].startswith(f"DeprecationWarning at {__file__}:")
    assert "secret" not in stream.getvalue()


def test_a_line_that_cannot_be_written_out_is_told_without_what_it_held(
    configure: Configure,
) -> None:
    stream = configure()
    logging.getLogger("sluice.serving").error("%d", "secret")
    [entry] = entries(stream)
    assert entry["message"] == "a line of the logger 'sluice.serving' could not be written"
    assert "secret" not in stream.getvalue()


def test_cancelled_requests_are_not_told_one_by_one(configure: Configure) -> None:
    stream = configure()
    logging.getLogger("uvicorn.error").error("x", exc_info=asyncio.CancelledError())
    assert stream.getvalue() == ""


def test_a_log_that_is_gone_is_no_reason_to_fail() -> None:
    program = (
        "import logging, os, sys\n"
        "from serving.operations.logs import configure_logging\n"
        "configure_logging('info', json=True)\n"
        "os.close(2)\n"
        "logging.getLogger('sluice').error('x')\n"
        "print('still here')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "still here\n"
