"""The real service on loopback, in keys mode, in front of a scripted provider."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import select

from router.engine import Engine
from router.profiles import PolicyFile
from router.records.key_form import KeyForm
from router.records.key_records import create_key
from router.records.tables import outcomes
from serving.config import AuthConfig, CascadeSettings, GatewayConfig, ServerConfig, StoreConfig
from tests.agents import ACCEPT_ALL, model
from tests.serving.live_service import LiveService
from tests.upstream import Upstream, refused_url

__all__ = ["FRAIL", "RunningGateway"]

FRAIL = tuple(f"frail-{number}" for number in range(32))
"""Models that may fail: each in one test, as what failed often is left alone for a while."""

_EMBED_USD = 0.02  # for a million tokens


class RunningGateway(LiveService):
    """Cascades "drafts" and "claude-drafts" answer with the draft of their small model, which is
    held back until it is accepted; a model asked by its name streams as it comes. "auto" is
    "drafts"."""

    def __init__(self, upstream: Upstream, engine: Engine, folder: Path) -> None:
        policy = _written(ACCEPT_ALL, folder / "policy.json")
        config = GatewayConfig(
            server=ServerConfig(log_requests=False),
            store=StoreConfig(url=f"sqlite:///{folder / 'sluice.db'}"),
            auth=AuthConfig(mode="keys", admin_key="an-admin-key-of-tests"),
            models=(
                *(model(name, upstream.url) for name in ("small", "large", *FRAIL)),
                *(_claude(name, upstream) for name in ("claude-small", "claude-large")),
                model("unreachable", refused_url()),
            ),
            cascades={
                "drafts": CascadeSettings(models=("small", "large"), policy=policy),
                "claude-drafts": CascadeSettings(
                    models=("claude-small", "claude-large"), policy=policy
                ),
            },
            embeddings=(model("embed", upstream.url, input_cost=_EMBED_USD, output_cost=0.0),),
        )
        super().__init__(config, engine)

    @property
    def url(self) -> str:
        """What OpenAI's clients call their base."""
        return f"{self.origin}/v1"

    def new_key(self, **settings: Any) -> str:
        """A key with these settings."""
        form = KeyForm(name="client", **settings)
        _, key = self.service.database.run_sync(
            lambda connection: create_key(connection, form, now=time.time())
        )
        return key

    def outcomes_of(self, user: str) -> list[Any]:
        """What was recorded for a user."""
        query = select(outcomes).where(outcomes.c.user == user)
        return self.service.database.run_sync(lambda connection: list(connection.execute(query)))


def _claude(name: str, upstream: Upstream) -> Any:
    return model(name, upstream.origin, provider="anthropic", api_key="k")


def _written(policy: PolicyFile, path: Path) -> Path:
    path.write_text(json.dumps(policy.to_json()), encoding="utf-8")
    return path
