"""One admitted request: answered by cache or cascade, and recorded before the answer is whole."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Final

from router.agent.decisions import RunOptions
from router.agent.events import ChunkEvent, DoneEvent, EscalationEvent
from router.agent.results import RunResult
from router.agent.runs import Run
from router.agent.streams import stream_events
from router.agent.telling import Listener
from router.chat import Completion
from router.deadline import Deadline
from router.errors import BudgetExceededError, SluiceError, StoreError, UsageError
from router.records.outcome import Outcome
from router.types import Prediction

from ..errors import ApiError
from .cached import CacheUse
from .failures import api_error, deadline_error
from .gateway import Gateway
from .outcomes import Case, describe_cached, describe_failure, describe_result
from .presence import Presence
from .replies import describe_costs, live_headers, outcome_headers
from .sender import Sender
from .writers import StreamWriter, reply_body, stream_writer

__all__ = ["Answering"]

_LOG = logging.getLogger("sluice.serving")
_LEFT: Final = 499  # what nginx calls a request whose client has left


class Answering:
    """The way from a case to its reply. Whatever happens to it on the way is recorded once."""

    def __init__(self, gateway: Gateway, case: Case, sender: Sender, presence: Presence) -> None:
        self._gateway = gateway
        self._case = case
        self._sender = sender
        self._presence = presence
        self._limit_s = gateway.config.limits.request_timeout_s
        self._deadline = Deadline(self._limit_s)
        self._cache = CacheUse(gateway.cache, case)

    async def answer(self) -> None:
        """Send the answer; raises ApiError where there is none, or not the whole of it."""
        try:
            with self._deadline:
                await self._answer()
        except TimeoutError as exc:
            raise deadline_error(self._limit_s) from exc

    async def _answer(self) -> None:
        try:
            if await self._answer_from_cache():
                return
            await (self._stream() if self._case.ask.streamed else self._whole())
        except BaseException as exc:
            await self._keep_failure(exc)
            if isinstance(exc, SluiceError):
                raise api_error(exc) from exc
            raise

    # -- the ways to answer ----------------------------------------------------------------------

    async def _whole(self) -> None:
        prediction = await self._predict()
        result = await self._begin(None, prediction=prediction).answer()
        body = reply_body(result.completion, self._case.dialect)
        outcome = describe_result(self._case, result)
        await self._record(outcome)
        await self._send_whole(body, outcome)
        self._presence.close()
        await self._cache.keep(result)

    async def _stream(self) -> None:
        writer = self._writer()
        result: RunResult | None = None
        escalated = False
        prediction = await self._predict()
        events = stream_events(partial(self._begin, prediction=prediction))
        try:
            async for event in events:
                if isinstance(event, ChunkEvent):
                    piece = b"" if event.delta is None else writer.live(event.delta)
                    if piece and not self._sender.started:
                        headers = live_headers(self._case, event.model, escalated=escalated)
                        await self._sender.begin(writer, headers)
                    if piece:
                        await self._sender.piece(piece)
                elif isinstance(event, EscalationEvent):
                    escalated = True
                elif isinstance(event, DoneEvent):
                    result = event.result
        finally:
            await events.aclose()
        assert result is not None  # the stream raises otherwise
        held_back = b"" if self._sender.started else writer.whole(result.completion)
        outcome = describe_result(self._case, result)
        rest = held_back + self._end(writer, result.completion, outcome)
        await self._record(outcome)
        await self._send_rest(writer, rest, outcome)
        self._presence.close()
        await self._cache.keep(result)

    async def _answer_from_cache(self) -> bool:
        found = await self._cache.find()
        if found is None:
            return False
        case = self._case
        outcome = describe_cached(case, found)
        if case.ask.streamed:
            writer = self._writer()
            rest = writer.whole(found.completion) + self._end(writer, found.completion, outcome)
            await self._record(outcome)
            await self._send_rest(writer, rest, outcome)
        else:
            body = reply_body(found.completion, case.dialect)
            await self._record(outcome)
            await self._send_whole(body, outcome)
        return True

    # -- what they share -------------------------------------------------------------------------

    async def _predict(self) -> Prediction:
        """The prediction, made together with those of others who ask the same cascade just now."""
        return await self._case.route.predictions.ask(self._case.ask.request.query())

    def _begin(self, listener: Listener | None, *, prediction: Prediction) -> Run:
        case, ask = self._case, self._case.ask
        quality = None
        if ask.target_quality is not None:
            update = {"target_quality": ask.target_quality}
            quality = case.route.quality.model_copy(update=update)
        options = RunOptions(
            quality=quality,
            user=ask.user or None,
            conversation=ask.conversation,
            tenant=case.tenant.key_id,
            purse=case.tab,
            request_id=case.request_id,
        )
        case.run = case.route.runner.begin(ask.request, options, listener, prediction=prediction)
        return case.run

    async def _send_whole(self, body: bytes, outcome: Outcome) -> None:
        headers = outcome_headers(outcome, overhead_ms=self._case.overhead_ms)
        await self._sender.whole(body, headers)

    async def _send_rest(self, writer: StreamWriter, rest: bytes, outcome: Outcome) -> None:
        """What a stream has not sent yet, to its end."""
        if not self._sender.started:
            headers = outcome_headers(outcome, overhead_ms=self._case.overhead_ms)
            await self._sender.begin(writer, headers)
        await self._sender.end(rest)

    def _end(self, writer: StreamWriter, completion: Completion, outcome: Outcome) -> bytes:
        """What says that a stream is complete; made before anything is recorded, as it may fail."""
        trailer = describe_costs(outcome, overhead_ms=self._case.overhead_ms)
        return writer.end(completion, trailer)

    def _writer(self) -> StreamWriter:
        case = self._case
        params = case.ask.request.params
        return stream_writer(case.dialect, params, request_id=case.request_id)

    async def _record(self, outcome: Outcome) -> None:
        run = self._case.run
        self._sender.has_outcome = True  # or it is lost: another attempt would not fare better
        try:
            await self._gateway.recorder.record(
                outcome, self._case.tab, () if run is None else run.calls.attempts
            )
        except StoreError as exc:
            _LOG.error(
                "the outcome of %s (%d nano-USD) is lost: %s",
                *(outcome.request_id, outcome.cost_nano, exc),
            )
            raise

    async def _keep_failure(self, error: BaseException) -> None:
        """Record what came of a request without an answer. One that was refused before anybody
        was asked is no outcome: nothing was learned or paid."""
        refused = isinstance(error, UsageError | BudgetExceededError | StoreError)
        if self._sender.has_outcome or (refused and not self._case.tab.calls):
            return
        failure = self._failure(error)
        if failure.status == "failed":
            _LOG.warning("%s failed (%s): %s", failure.request_id, failure.error_code, _why(error))
        with suppress(StoreError):  # which is logged, and the error at hand says more
            await self._record(failure)

    def _failure(self, error: BaseException) -> Outcome:
        if isinstance(error, SluiceError | ApiError):
            told = api_error(error) if isinstance(error, SluiceError) else error
            return describe_failure(
                self._case, status="failed", http_status=told.status, error_code=told.code
            )
        if not isinstance(error, asyncio.CancelledError):
            return describe_failure(
                self._case, status="failed", http_status=500, error_code="internal_error"
            )
        if self._deadline.has_passed:
            return describe_failure(
                self._case, status="failed", http_status=504, error_code="upstream_timeout"
            )
        left = self._presence.left
        return describe_failure(
            self._case,
            status="cancelled",
            http_status=_LEFT if left else 503,
            error_code="client_left" if left else "shutdown",
        )


def _why(error: BaseException) -> str:
    """What may stand in a log: our own errors quote no request, of others only the kind."""
    return str(error) if isinstance(error, SluiceError | ApiError) else type(error).__name__
