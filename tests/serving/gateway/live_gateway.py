"""A gateway on loopback with two models and two cascades, and a look into its store."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Table, select

from router.engine import Engine
from router.profiles import PolicyFile
from router.records.key_form import KeyForm
from router.records.key_records import create_key
from router.records.tables import calls, holds, outcomes, totals
from serving.config import CascadeSettings, GatewayConfig, StoreConfig
from tests.agents import ACCEPT_ALL, ALWAYS_PAIRS, DIRECT, REJECT_ALL, model
from tests.serving.live_service import LiveService
from tests.upstream import Upstream

__all__ = ["GatewayClient", "live_gateway"]

POLICIES = {"drafts": ACCEPT_ALL, "doubts": REJECT_ALL, "pairs": ALWAYS_PAIRS, "direct": DIRECT}


class GatewayClient:
    """A client of a live gateway, who may also read its store."""

    def __init__(self, live: LiveService) -> None:
        self.live = live
        self.http = httpx.Client(base_url=live.origin, timeout=30)

    def chat(
        self, model: str = "drafts", text: str = "Hello?", *, key: str = "", **more: Any
    ) -> httpx.Response:
        """An OpenAI request; `headers` go beside it, all else in its body."""
        headers = more.pop("headers", {})
        if key:
            headers["authorization"] = f"Bearer {key}"
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def rows(self, table: Table = outcomes) -> list[dict[str, Any]]:
        """What is in a table, oldest first."""
        database = self.live.service.database
        found = database.run_sync(
            lambda db: db.execute(select(table).order_by(*table.primary_key)).mappings().all()
        )
        return [dict(row) for row in found]

    def outcome(self, *, within_s: float = 5.0) -> dict[str, Any]:
        """The only outcome there is, or is within a while."""
        deadline = time.monotonic() + within_s
        while not (found := self.rows()) and time.monotonic() < deadline:
            time.sleep(0.01)
        [outcome] = found
        return outcome

    def check_ledger(self) -> None:
        """Outcomes, calls and totals add up to the same, and nothing is held for long."""
        spent = sum(row["cost_nano"] for row in self.rows())
        assert sum(row["charged_nano"] for row in self.rows(calls)) == spent
        day = time.strftime("%Y-%m-%d", time.gmtime())
        counted = {row["account"]: row for row in self.rows(totals) if row["window"] == day}
        assert (counted[""]["settled_nano"] if counted else 0) == spent
        deadline = time.monotonic() + 5  # what is held for calls to come goes back when none comes
        while self.rows(holds) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self.rows(holds)
        assert all(row["held_nano"] == 0 for row in self.rows(totals))

    def new_key(self, **settings: Any) -> str:
        form = KeyForm(name=settings.pop("name", "tests"), **settings)
        _, key = self.live.service.database.run_sync(
            lambda connection: create_key(connection, form, now=time.time())
        )
        return key


@contextmanager
def live_gateway(
    engine: Engine,
    upstream: Upstream,
    folder: Path,
    *,
    change: Callable[[CascadeSettings], CascadeSettings] = lambda settings: settings,
    store_text: bool = False,
    **sections: Any,
) -> Iterator[GatewayClient]:
    """A gateway whose cascades are called after what they do with drafts; `change` may alter
    each."""
    cascades = {}
    for name, policy in POLICIES.items():
        models = ("small", "other", "large") if name == "pairs" else ("small", "large")
        settings = CascadeSettings(models=models, policy=_written(policy, folder, name))
        cascades[name] = change(settings)
    config = GatewayConfig(
        store=StoreConfig(url=f"sqlite:///{folder / 'sluice.db'}", store_text=store_text),
        models=tuple(model(name, upstream.url) for name in ("small", "other", "large")),
        cascades=cascades,
        **sections,
    )
    with LiveService(config, engine) as live:
        client = GatewayClient(live)
        with client.http:
            yield client


def _written(policy: PolicyFile, folder: Path, name: str) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(policy.to_json()), encoding="utf-8")
    return path
