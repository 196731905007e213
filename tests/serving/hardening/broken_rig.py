"""A gateway in front of a provider that is told how to break, and what every request is held to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from router.chat import Dialect
from router.config import TimeoutConfig
from router.engine import Engine
from router.records.tables import outcomes
from serving.config import GatewayBudget
from tests.agents import model
from tests.serving.hardening.hardened_gateway import (
    HardenedClient,
    hardened_gateway,
    play_provider,
)
from tests.serving.hardening.judging import check_reply
from tests.upstream import Upstream

__all__ = ["HASTY_S", "Rig", "open_rig"]

PATHS: dict[Dialect, str] = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
FAILED = frozenset({502, 504})
SAID = "All is well again."
GOOD = play_provider(SAID)
HASTY_S = 0.8
"""What a call to the models "hasty" and "claude-hasty" may take."""
_MOST_NANO = 10**10  # what usage lies about is bounded: it counts a hundred million tokens at most


class Rig:
    """Asks, and looks at what came of it."""

    def __init__(self, gateway: HardenedClient, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self._faults: list[str] = []

    def ask(self, dialect: Dialect, name: str, *, streamed: bool) -> httpx.Response:
        """A small request; a stream's usage is asked for."""
        body: dict[str, Any] = {
            "model": name,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "What is the capital of France?"}],
            "stream": streamed,
        }
        if streamed and dialect == "openai":
            body["stream_options"] = {"include_usage": True}
        return self.gateway.http.post(PATHS[dialect], json=body)

    def check_broken(self, dialect: Dialect, name: str, *, streamed: bool) -> str:
        """Ask, and hold the reply against what was recorded: once, as what it was. Returns what
        `check_reply` does."""
        reply = self.ask(dialect, name, streamed=streamed)
        result = check_reply(reply, dialect, failed=FAILED)
        [kept] = self._kept(reply.headers["x-sluice-request-id"])
        if result in ("answer", "stream"):
            assert (kept["status"], kept["http_status"]) == ("ok", 200)
        else:
            assert kept["status"] == "failed"
            assert kept["http_status"] in (400, 502, 504)
            assert reply.status_code in (200, kept["http_status"])
        assert 0 <= kept["cost_nano"] <= _MOST_NANO
        return result

    def check_good(self, *names: str) -> None:
        """Nothing of what was broken is left for those who come after."""
        self.upstream.then(GOOD)
        for name in names:
            reply = self.ask("openai", name, streamed=False)
            assert reply.status_code == 200, reply.text
            assert reply.json()["choices"][0]["message"]["content"] == SAID

    @contextmanager
    def noting(self, where: str) -> Iterator[None]:
        """Go on where something is wrong: one run shows all that is."""
        try:
            yield
        except AssertionError as exc:
            self._faults.append(f"{where}: {exc}")

    def tell_faults(self) -> None:
        """Fail if there are any."""
        faults, self._faults = self._faults, []
        assert not faults, faults

    def _kept(self, request_id: str) -> list[Any]:
        query = select(outcomes).where(outcomes.c.request_id == request_id)
        database = self.gateway.live.service.database
        return list(database.run_sync(lambda db: db.execute(query).mappings().all()))


@contextmanager
def open_rig(engine: Engine, folder: Path) -> Iterator[Rig]:
    """A rig, which at its end has nothing left over."""
    hasty = TimeoutConfig(first_token_s=0.3, total_s=HASTY_S)
    with Upstream(GOOD) as upstream:
        models = (
            model("hasty", upstream.url, timeout=hasty),
            model(
                "claude-hasty", upstream.origin, timeout=hasty, provider="anthropic", api_key="k"
            ),
        )
        with hardened_gateway(
            engine, upstream, folder, models=models, budget=GatewayBudget(daily_limit=1e6)
        ) as gateway:
            yield Rig(gateway, upstream)
            gateway.check_nothing_is_left()
