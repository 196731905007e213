"""An application with the admin routes alone, and a service with what they ask for."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import BaseModel

from router.agent.roster import ModelPool
from router.config import EndpointConfig, ModelConfig
from router.engine import Engine
from router.providers.transport import Transport
from router.records.database import Database
from serving import routes_admin
from serving.access.access import Access
from serving.config import GatewayBudget, GatewayConfig
from serving.errors import install_error_handlers
from serving.service import Service

__all__ = ["ROUTES", "app_of", "client_of", "content_of", "error_in"]

ROUTES = [
    ("POST", "/admin/keys"),
    ("GET", "/admin/keys"),
    ("GET", "/admin/keys/0123456789abcdef"),
    ("PATCH", "/admin/keys/0123456789abcdef"),
    ("DELETE", "/admin/keys/0123456789abcdef"),
    ("GET", "/admin/budgets"),
    ("GET", "/admin/models"),
]


class StandIn(Service):
    """A service with the parts that these routes ask for."""

    def __init__(self, config: GatewayConfig, access: Access, database: Database) -> None:
        super().__init__(config)
        self._access = access
        self._database = database
        self.transport = Transport()
        self._pool = ModelPool(
            config.models, self.transport, environ={"OPENAI_API_KEY": "sk-provider"}
        )

    @property
    def engine(self) -> Engine:
        return Engine.shared()

    @property
    def access(self) -> Access:
        return self._access

    @property
    def database(self) -> Database:
        return self._database

    @property
    def pool(self) -> ModelPool:
        return self._pool


CONFIG = GatewayConfig(
    budget=GatewayBudget(daily_limit=10.0, user_monthly_limit=3.0),
    models=(
        ModelConfig(name="gpt-4o", provider="openai", max_tokens=1000),
        ModelConfig(
            name="azure",
            provider="openai",
            model="gpt-4o-mini",
            api_base="http://127.0.0.1:9/v1?api-key=query-secret",
            api_key="configured-secret",
            headers={"x-secret": "header-secret"},
            fallbacks=("gpt-4o",),
            endpoints=(EndpointConfig(provider="ollama"),),
        ),
        ModelConfig(name="mine", provider="vllm", api_base="http://127.0.0.1:8/v1"),
    ),
)


def app_of(access: Access, database: Database) -> FastAPI:
    app = FastAPI(redirect_slashes=False)
    app.state.service = StandIn(CONFIG, access, database)
    app.include_router(routes_admin.router)
    install_error_handlers(app)
    return app


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://sluice.test", headers=headers)


def content_of(response: httpx.Response, model: type[BaseModel], status: int = 200) -> Any:
    """The answer's content, which is as documented and may not be kept by anyone on the way."""
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    model.model_validate_json(response.content)
    return response.json()


def error_in(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == code
    return error
