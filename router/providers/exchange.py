"""One HTTP call to one endpoint, from request to whole reply."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, cast

import orjson

from ..chat import Attempt, Delta
from ..config import TimeoutConfig
from ..deadline import Deadline
from ..errors import UpstreamCause, UpstreamError
from .endpoint import Endpoint
from .failures import connection_error, reply_error, status_error, timeout_error
from .http import HttpReply, HttpSender, TransportError
from .openai_stream import whole_delta
from .retry import read_retry_after
from .server_events import EventDecoder
from .wire import Reply, WireError

__all__ = ["MAX_ERROR_BYTES", "MAX_REPLY_BYTES", "Exchange", "OnDelta"]

MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
MAX_ERROR_BYTES: Final = 64 * 1024
_CONTENT_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")
_ERROR_BODY_S = 5.0
_MAX_MESSAGE_CHARS = 2_000
_DRAIN_S = 0.1

OnDelta = Callable[[Delta], Awaitable[None]]


class Exchange:
    """Sends a body, reads what comes back in the form it comes in, and keeps the times; used once.

    A stream may be answered with a whole reply and the other way round: `on_delta` is told of
    every delta, a whole reply being one.
    """

    def __init__(
        self,
        sender: HttpSender,
        endpoint: Endpoint,
        timeout: TimeoutConfig,
        *,
        on_delta: OnDelta | None,
    ) -> None:
        self.passed_on = False  # whether `on_delta` was told of anything
        self.first_token_ms: float | None = None
        self._sender = sender
        self._endpoint = endpoint
        self._timeout = timeout
        self._on_delta = on_delta
        self._held_back: list[Delta] = []
        self._start = time.perf_counter()
        self._status: int | None = None
        self._begun = on_delta is None  # until then first_token_s is the limit

    async def run(self, body: bytes) -> Reply:
        """The whole reply; raises UpstreamError. When cancelled the connection is closed."""
        total_s, first_token_s = self._timeout.total_s, self._timeout.first_token_s
        limit_s = total_s if self._begun else min(first_token_s, total_s)
        try:
            with Deadline(limit_s) as clock:
                return await self._send(body, clock)
        except TransportError as exc:
            connect_s = self._timeout.connect_s
            raise connection_error(self._endpoint, exc, connect_s=connect_s) from exc
        except TimeoutError as exc:
            if not clock.has_passed:
                raise  # on_delta's own
            if self._begun:
                raise timeout_error(self._endpoint, "whole answer", total_s) from exc
            raise timeout_error(self._endpoint, "first token", limit_s) from exc
        except WireError as exc:
            cause = cast(UpstreamCause, exc.cause)
            raise reply_error(self._endpoint, str(exc), cause, status=self._status) from exc

    def attempt(self, error: UpstreamError | None = None) -> Attempt:
        """What is kept of this call, now that it is over."""
        return Attempt(
            model=self._endpoint.model,
            provider=self._endpoint.provider,
            endpoint=self._endpoint.origin,
            latency_ms=self._elapsed_ms(),
            first_token_ms=self.first_token_ms,
            status=self._status,
            error=error,
        )

    async def _send(self, body: bytes, clock: Deadline) -> Reply:
        # The clock is the only limit once there is a connection: unlike a read timeout, no slow
        # drip can reset it.
        response = await self._sender.post(
            self._endpoint.url,
            headers=self._endpoint.headers,
            body=body,
            proxy=self._endpoint.proxy,
            connect_s=self._timeout.connect_s,
        )
        try:
            self._status = response.status
            if not 200 <= response.status < 300:
                raise await self._refusal(response)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/event-stream":
                return await self._read_stream(response, clock)
            if kind == "application/json" or kind.endswith("+json") or not kind:
                return await self._read_whole(response, clock)
            named = f" {kind}" if _CONTENT_TYPE.fullmatch(kind) else ""
            raise WireError(f"its content type{named} is neither JSON nor an event stream")
        finally:
            await response.aclose()

    async def _read_whole(self, response: HttpReply, clock: Deadline) -> Reply:
        self._begin(clock)
        body = bytearray()
        while chunk := await response.read():
            body += chunk
            _check_size(len(body))
        reply = self._endpoint.wire.read_reply(_parse(body))
        if self._on_delta is not None:
            await self._pass_on(whole_delta(reply))
            await self._flush()
        return reply

    async def _read_stream(self, response: HttpReply, clock: Deadline) -> Reply:
        decoder, reader = EventDecoder(), self._endpoint.wire.reader()
        size = 0
        while not reader.done and (chunk := await response.read()):
            size += len(chunk)
            _check_size(size)
            for event in decoder.feed(chunk):
                self._begin(clock)
                for delta in reader.feed(event.event, event.data):
                    await self._pass_on(delta)
        reply = reader.reply()
        await self._flush()
        await _drain(response)
        return reply

    def _begin(self, clock: Deadline) -> None:
        """The answer has begun: from here on only the total counts."""
        if not self._begun:
            self._begun = True
            clock.move(self._timeout.total_s - self._elapsed_ms() / 1000)

    async def _pass_on(self, delta: Delta) -> None:
        """Pass a delta on, once there is something of an answer: until then another call may
        still take this one's place."""
        if self.first_token_ms is None and (delta.content or delta.tool_calls):
            self.first_token_ms = self._elapsed_ms()
        if self._on_delta is None:
            return
        self._held_back.append(delta)
        if self.passed_on or delta.says_something:
            await self._flush()

    async def _flush(self) -> None:
        held_back, self._held_back = self._held_back, []
        if self._on_delta is not None:
            for delta in held_back:
                self.passed_on = True
                await self._on_delta(delta)

    async def _refusal(self, response: HttpReply) -> UpstreamError:
        body, code, message = bytearray(), "", ""
        with suppress(TimeoutError, TransportError):  # the status says enough
            async with asyncio.timeout(_ERROR_BODY_S):
                while len(body) < MAX_ERROR_BYTES and (chunk := await response.read()):
                    body += chunk
        with suppress(orjson.JSONDecodeError):  # a proxy's page, or cut off
            message, code = self._endpoint.wire.error_message(orjson.loads(body))
        retry_after_s = read_retry_after(response.headers, datetime.now(UTC))
        error = status_error(self._endpoint, response.status, code, retry_after_s=retry_after_s)
        error.provider_message = message[:_MAX_MESSAGE_CHARS]
        return error

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._start) * 1000


async def _drain(response: HttpReply) -> None:
    """Read to the end of a body whose answer is complete, so that the connection can serve again;
    one that does not end at once is closed instead."""
    with suppress(TimeoutError, TransportError):
        async with asyncio.timeout(_DRAIN_S):
            while await response.read():
                pass


def _check_size(size: int) -> None:
    if size > MAX_REPLY_BYTES:
        limit = MAX_REPLY_BYTES // 2**20
        raise WireError(f"it is larger than {limit} MiB", cause="too_large")


def _parse(body: bytearray) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise WireError("the body is not JSON, or cut off") from exc
