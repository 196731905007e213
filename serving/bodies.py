"""From the bytes of a request to a checked wire model; every refusal names the field.

orjson reads the body: it refuses NaN, infinity, invalid UTF-8 and depths beyond its bound. It also
refuses a lone surrogate escape ("\\ud83d", half an emoji that a client cut in two). That one is
common and harmless, so such a body is read again with U+FFFD in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from fastapi import Request
from pydantic import BaseModel
from starlette.types import Receive

from router.deadline import Deadline

from .config import ServerConfig
from .errors import ApiError, bad_request
from .refusals import parse

__all__ = ["MAX_DEPTH", "read_json", "read_model", "receive_body", "receive_json"]

MAX_DEPTH = 64  # objects and lists inside one field; tools and schemas stay far below
_DRAIN_FACTOR = 4  # up to how many times the limit is read, so that the client gets its answer
_HIGH = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rb"%b(?!%b)|%b(?<!%b%b)" % (_HIGH, _LOW, _LOW, _HIGH, _LOW))
_BACKSLASH = b"\xff\xff"  # stands for an escaped one; it is in no UTF-8

_Model = TypeVar("_Model", bound=BaseModel)


async def read_model(request: Request, model: type[_Model], limits: ServerConfig) -> _Model:
    """The request's body as `model`; raises ApiError (400, 408, 413, 415) on anything else."""
    return parse(model, await read_json(request, limits))


async def read_json(request: Request, limits: ServerConfig) -> dict[str, Any]:
    """The request's body, which has to be one JSON object."""
    return await receive_json(request.headers, request.receive, limits)


async def receive_json(
    headers: Mapping[str, str], receive: Receive, limits: ServerConfig
) -> dict[str, Any]:
    """`read_json` for who has no request: header names are in lower case."""
    _check_headers(headers)
    try:
        with Deadline(limits.body_timeout_s):
            body = await receive_body(receive, max_bytes=limits.max_body_bytes)
    except TimeoutError:
        message = f"the body did not arrive within {limits.body_timeout_s} s"
        told = {"connection": "close"}
        raise ApiError(408, message, code="request_timeout", headers=told) from None
    if not body:
        raise bad_request("the body is empty; send a JSON object", code="invalid_json")
    content = _decode(body)
    if not isinstance(content, dict):
        raise bad_request("the body must be a JSON object", code="invalid_json")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:  # else nothing in it can be so deep
        _refuse_depth(content)
    return content


async def receive_body(receive: Receive, *, max_bytes: int) -> bytes:
    """The body's bytes, counted as they come, whatever Content-Length says.

    Past the limit it reads on for a while and throws away what comes: a client that is still
    sending when the connection closes would see a reset instead of the 413.
    """
    chunks: list[bytes] = []
    size, more = 0, True
    while more and size <= max_bytes * _DRAIN_FACTOR:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise bad_request("the body ended early", code="invalid_json")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
    if size > max_bytes:
        text = f"the body is larger than {max_bytes} bytes"
        raise ApiError(413, text, code="body_too_large", headers={"connection": "close"})
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _check_headers(headers: Mapping[str, str]) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        message = "send the body as Content-Type: application/json"
        raise ApiError(415, message, code="unsupported_media_type", param="content-type")
    if headers.get("content-encoding", "identity").lower() != "identity":
        message = "send the body without a Content-Encoding"
        raise ApiError(415, message, code="unsupported_media_type", param="content-encoding")


def _decode(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        repaired = _without_lone_surrogates(body)
        if repaired is not None:
            try:
                return orjson.loads(repaired)
            except orjson.JSONDecodeError:
                pass  # something else is wrong too, and the first refusal is as good
        raise _invalid_json(body, exc) from None  # the original holds the body


def _without_lone_surrogates(body: bytes) -> bytes | None:
    """The body with U+FFFD in their place; None where there are none, or it is no UTF-8 anyway.

    In a few passes over the whole, without a call for each escape: a large body has millions.
    """
    if _BACKSLASH[:1] in body:
        return None
    marked = body.replace(rb"\\", _BACKSLASH)  # so that every backslash left begins an escape
    repaired, count = _LONE.subn(rb"\\ufffd", marked)
    return repaired.replace(_BACKSLASH, rb"\\") if count else None


def _invalid_json(body: bytes, refusal: orjson.JSONDecodeError) -> ApiError:
    """Where the fault lies, but nothing of what stands there."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as exc:
        return bad_request(f"the body is not UTF-8 (byte {exc.start})", code="invalid_json")
    where = f"line {refusal.lineno}, column {refusal.colno}"
    return bad_request(f"the body is not JSON: {refusal.msg} ({where})", code="invalid_json")


def _refuse_depth(content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, dict | list) and _is_too_deep(value):
            raise bad_request(
                f"{name[:64]!r} is nested more than {MAX_DEPTH} levels deep", param=name[:64]
            )


def _is_too_deep(value: Any) -> bool:
    """Whether lists and objects nest deeper than MAX_DEPTH; level by level, so nothing recurses."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
