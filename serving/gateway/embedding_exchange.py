"""One HTTP call for embeddings to one endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from yarl import URL

from router.chat import Usage
from router.config import TimeoutConfig
from router.errors import UpstreamError
from router.providers.endpoint import Endpoint
from router.providers.exchange import MAX_ERROR_BYTES
from router.providers.failures import connection_error, reply_error, status_error, timeout_error
from router.providers.http import HttpReply, HttpSender, TransportError
from router.providers.retry import read_retry_after
from router.providers.usage import MAX_TOKENS

__all__ = ["Embedded", "exchange_embeddings"]

_MAX_REPLY_BYTES: Final = 128 * 2**20  # 2,048 vectors of 3,072 numbers in base64 are 33 MiB
_ERROR_BODY_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """A provider's answer. `body` is as it came; `usage` and `cost_usd` are None where they are
    not known."""

    body: bytes = field(repr=False)
    provider: str
    usage: Usage | None
    cost_usd: float | None


async def exchange_embeddings(
    sender: HttpSender,
    endpoint: Endpoint,
    url: URL,
    sent: Mapping[str, Any],
    timeout: TimeoutConfig,
) -> Embedded:
    """What the endpoint answers to the body `sent`; raises UpstreamError. When cancelled the
    connection is closed."""
    try:
        async with asyncio.timeout(timeout.total_s):
            reply = await sender.post(
                url,
                headers=endpoint.headers,
                body=orjson.dumps(sent, default=dict),
                proxy=endpoint.proxy,
                connect_s=timeout.connect_s,
            )
            try:
                if not 200 <= reply.status < 300:
                    raise await _refusal(endpoint, reply)
                return _read(endpoint, await _body(endpoint, reply), reply.status)
            finally:
                await reply.aclose()
    except TransportError as exc:
        raise connection_error(endpoint, exc, connect_s=timeout.connect_s) from exc
    except TimeoutError as exc:
        raise timeout_error(endpoint, "whole answer", timeout.total_s) from exc


async def _body(endpoint: Endpoint, reply: HttpReply) -> bytes:
    found = bytearray()
    while chunk := await reply.read():
        found += chunk
        if len(found) > _MAX_REPLY_BYTES:
            said = f"it is larger than {_MAX_REPLY_BYTES // 2**20} MiB"
            raise reply_error(endpoint, said, "too_large", status=reply.status)
    return bytes(found)


async def _refusal(endpoint: Endpoint, reply: HttpReply) -> UpstreamError:
    body, code, message = bytearray(), "", ""
    with suppress(TimeoutError, TransportError):  # the status says enough
        async with asyncio.timeout(_ERROR_BODY_S):
            while len(body) < MAX_ERROR_BYTES and (chunk := await reply.read()):
                body += chunk
    with suppress(orjson.JSONDecodeError):  # a proxy's page, or cut off
        message, code = endpoint.wire.error_message(orjson.loads(body))
    retry_after_s = read_retry_after(reply.headers, datetime.now(UTC))
    error = status_error(endpoint, reply.status, code, retry_after_s=retry_after_s)
    error.provider_message = message
    return error


def _read(endpoint: Endpoint, body: bytes, status: int) -> Embedded:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:  # whose message may quote it
        said = "the body is not JSON, or cut off"
        raise reply_error(endpoint, said, "protocol", status=status) from None
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise reply_error(endpoint, "'data' is not a list", "protocol", status=status)
    usage = _usage(found.get("usage"))
    price = endpoint.price({})
    return Embedded(
        body=body,
        provider=endpoint.provider,
        usage=usage,
        cost_usd=None if price is None or usage is None else price.cost_usd(usage),
    )


def _usage(found: Any) -> Usage | None:
    count = found.get("prompt_tokens") if isinstance(found, Mapping) else None
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_TOKENS:
        return None
    return Usage(prompt_tokens=count, completion_tokens=0)
