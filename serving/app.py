"""The FastAPI application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from fastapi import FastAPI
from starlette.routing import Route

from router.extras import DISTRIBUTION

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

__all__ = ["create_app", "installed_version"]

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
    app = FastAPI(
        title="Sluice",
        summary="A learned router for LLM calls.",
        version=installed_version(),
        lifespan=_lifespan,
        docs_url=None,  # both pages load scripts from elsewhere; /openapi.json stays
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    app.router.routes.extend(_CHAT)  # before all others: they are asked most
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.add_middleware(MeasuredApp, metrics=service.metrics)
    install_error_handlers(app)
    install_openapi(app)
    return app


def installed_version() -> str:
    """The distribution's version, or "0+checkout" in a checkout that is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+checkout"


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
