"""POST /v1/chat/completions and /v1/messages: from the head of a request to its admission.

These are plain ASGI applications: on this path, where every tenth of a millisecond is the caller's,
a framework's handling of parameters and responses would cost as much as a prediction.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from starlette.types import Receive, Scope, Send

from router.chat import Dialect
from router.errors import SluiceError

from ..bodies import receive_json
from ..errors import ApiError, internal_error
from ..service import Service
from .answering import Answering
from .asks import read_ask
from .failures import api_error, shutting_down
from .gateway import new_request_id
from .outcomes import Case
from .presence import Presence
from .replies import plain_headers
from .sender import Sender
from .tab import Tab

__all__ = ["ChatEndpoint"]

_TELL_WITHIN_S: Final = 5.0


class ChatEndpoint:
    """Answers the requests of one dialect, as an ASGI application."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect: Dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service: Service = scope["app"].state.service
        sender = Sender(send, self._dialect, new_request_id())
        try:
            await self._serve(service, scope, receive, sender)
        except asyncio.CancelledError:
            await _refuse(sender, shutting_down())
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told in the dialect
            if isinstance(exc, SluiceError):
                error = api_error(exc)
            elif isinstance(exc, ApiError):
                error = exc
            else:
                error = internal_error(exc, scope["method"], scope["path"])
            if not sender.has_outcome:
                service.metrics.count_error(error.code)
            await _refuse(sender, error)

    async def _serve(
        self, service: Service, scope: Scope, receive: Receive, sender: Sender
    ) -> None:
        gateway = service.gateway
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        if gateway.tracing is not None:
            gateway.tracing.note_caller(headers)
        tenant = await gateway.access.identify(headers)
        sender.extra += plain_headers(await gateway.rate_limits.admit(tenant))
        body = await receive_json(headers, receive, service.settings)
        user_header = gateway.config.auth.user_header
        ask = read_ask(body, headers, self._dialect, user_header=user_header)
        now = time.time()
        tab = Tab(
            gateway.allowances,
            gateway.limits(tenant, ask.user),
            at=now,
            recorded_within_s=gateway.config.limits.request_timeout_s,
        )
        case = Case(
            request_id=sender.request_id,
            dialect=self._dialect,
            tenant=tenant,
            ask=ask,
            route=gateway.route(ask.model, tenant),
            tab=tab,
            keeps_text=gateway.config.store.store_text,
            at=now,
        )
        presence, admitted = Presence(receive), False
        try:
            await gateway.admission.enter(tenant.key_id)
            admitted = True
            await Answering(gateway, case, sender, presence).answer()
        except asyncio.CancelledError:
            if not presence.left:
                raise  # the service is going down
            presence.forget()
        finally:
            presence.close()
            tab.close()
            if admitted:
                gateway.admission.leave()
            await gateway.rate_limits.count_tokens(tenant, tab.tokens)


async def _refuse(sender: Sender, error: ApiError) -> None:
    """Tell the client, unless it does not even take that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_TELL_WITHIN_S):
            await sender.refuse(error)
