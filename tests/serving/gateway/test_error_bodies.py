"""Errors have the shape of who reads them, and name what is to be done about them."""

from __future__ import annotations

import json

import pytest

from serving.errors import ApiError
from serving.gateway.writers import error_body, stream_writer
from tests.serving.gateway.reading import events_in


def test_openais_errors() -> None:
    error = ApiError(400, "'n' must be 1", code="invalid_value", param="n")
    assert json.loads(error_body(error, "openai", request_id="slc_1")) == {
        "error": {
            "message": "'n' must be 1",
            "type": "invalid_request_error",
            "param": "n",
            "code": "invalid_value",
        }
    }


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "timeout_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropics_errors_have_its_own_types(status: int, kind: str) -> None:
    error = ApiError(status, "no", code="some_code", param="model")
    told = {"type": kind, "message": "no", "param": "model", "code": "some_code"}
    body = {"type": "error", "error": told, "request_id": "slc_1"}
    assert json.loads(error_body(error, "anthropic", request_id="slc_1")) == body
    assert json.loads(error_body(error, "anthropic")) == {**body, "request_id": None}


def test_anthropics_errors_after_the_start_are_events() -> None:
    error = ApiError(504, "no answer", code="upstream_timeout", kind="upstream_error")
    (told,) = events_in(stream_writer("anthropic", {}, request_id="slc_1").failure(error))
    assert told["type"] == "error"
    assert told["error"]["type"] == "timeout_error"
    assert told["request_id"] == "slc_1"
