"""POST /v1/chat/completions and /v1/messages: from the head of a request to its admission.

These are plain ASGI applications: on this path, where every tenth of a millisecond is the caller's,
a framework's handling of parameters and responses would cost as much as a prediction.
"""

from __future__ import annotations

import asyncio

from starlette.types import Receive, Scope, Send

from router.chat import Dialect
from router.errors import SluiceError

from ..bodies import receive_json
from ..errors import ApiError, internal_error
from ..service import Service
from .answering import Answering
from .asks import read_ask
from .failures import api_error
from .gateway import new_request_id
from .outcomes import Case
from .presence import Presence
from .replies import plain_headers
from .sender import Sender
from .tab import Tab

__all__ = ["ChatEndpoint"]


class ChatEndpoint:
    """Answers the requests of one dialect, as an ASGI application."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect: Dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service: Service = scope["app"].state.service
        sender = Sender(send, self._dialect, new_request_id())
        try:
            await self._serve(service, scope, receive, sender)
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told in the dialect
            if isinstance(exc, SluiceError):
                error = api_error(exc)
            elif isinstance(exc, ApiError):
                error = exc
            else:
                error = internal_error(exc, scope["method"], scope["path"])
            if not sender.has_outcome:
                service.metrics.count_error(error.code)
            await sender.refuse(error)

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
        body = await receive_json(headers, receive, service.settings)
        user_header = gateway.config.auth.user_header
        ask = read_ask(body, headers, self._dialect, user_header=user_header)
        case = Case(
            request_id=sender.request_id,
            dialect=self._dialect,
            tenant=tenant,
            ask=ask,
            route=gateway.route(ask.model, tenant),
            tab=Tab(gateway.allowances, gateway.limits(tenant, ask.user)),
            keeps_text=gateway.config.store.store_text,
        )
        sender.extra += plain_headers(await gateway.rate_limits.admit(tenant))
        await gateway.admission.enter(tenant.key_id)
        presence = Presence(receive)
        try:
            await Answering(gateway, case, sender, presence).answer()
        except asyncio.CancelledError:
            if not presence.left:
                raise  # the service is going down
            presence.forget()
        finally:
            presence.close()
            case.tab.close()
            gateway.admission.leave()
            await gateway.rate_limits.count_tokens(tenant, case.tab.tokens)
