"""The FastAPI application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from . import (
    routes_admin,
    routes_analytics,
    routes_dashboard,
    routes_embeddings,
    routes_feedback,
    routes_health,
    routes_models,
    routes_route,
    routes_validate,
)
from .errors import install_error_handlers
from .gateway.chat import ChatEndpoint
from .metrics import MeasuredApp
from .openapi import install_openapi
from .service import Service
from .version import installed_version

__all__ = ["create_app"]

_CHAT = (
    Route("/v1/chat/completions", ChatEndpoint("openai"), methods=["POST"]),
    Route("/v1/messages", ChatEndpoint("anthropic"), methods=["POST"]),
)
_ROUTES = (
    routes_route,
    routes_validate,
    routes_models,
    routes_embeddings,
    routes_feedback,
    routes_analytics,
    routes_admin,
    routes_health,
    routes_dashboard,
)


def create_app(service: Service) -> FastAPI:
    """An application that serves `service`, which is loaded at its start unless it is already.

    While it loads the application already answers: /health/live says alive, /health/ready and the
    routes that need the artifact or the store say 503.
    """
    app = _Application(
        service,
        title="Sluice",
        summary="A learned router for LLM calls.",
        version=installed_version(),
        lifespan=_lifespan,
        docs_url=None,  # both pages load scripts from elsewhere; /openapi.json stays
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.router.routes.extend(_CHAT)
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.add_middleware(MeasuredApp, metrics=service.metrics)
    install_error_handlers(app)
    install_openapi(app)
    return app


class _Application(FastAPI):
    """Takes requests to the chat endpoints straight to them: the layers that the framework puts
    around every route (measured: .05 ms) have nothing to do for those."""

    def __init__(self, service: Service, **settings: Any) -> None:
        super().__init__(**settings)
        self._straight = {
            route.path: (route, MeasuredApp(route.endpoint, service.metrics)) for route in _CHAT
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        straight = self._straight.get(scope["path"]) if scope["type"] == "http" else None
        if straight is None or scope["method"] != "POST":
            await super().__call__(scope, receive, send)
            return
        scope["app"], (scope["route"], endpoint) = self, straight
        await endpoint(scope, receive, send)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    loading = None if service.is_loaded else asyncio.create_task(asyncio.to_thread(service.load))
    app.state.loading = loading
    upkeep = asyncio.create_task(service.keep_up(loading))
    yield
    if loading is not None:
        await asyncio.wait({loading})  # whoever started the service looks at how it went
    upkeep.cancel()
    await asyncio.wait({upkeep})
    await service.aclose()
