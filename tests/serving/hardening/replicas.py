"""Two gateways as processes of their own, on one PostgreSQL and one Redis."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psycopg
import redis
from psycopg.rows import dict_row

from router.budget import upper_bound_tokens
from router.chat import ChatRequest
from tests.behaviours import answer
from tests.key_databases import demand_redis, postgres_database
from tests.server_process import ServerProcess, free_port
from tests.serving.hardening.hardened_gateway import ADMIN_KEY
from tests.soak.gateway_process import write_config
from tests.upstream import Upstream

__all__ = ["COST_USD", "REQUEST_TIMEOUT_S", "Replicas", "bound_usd", "open_replicas"]

COST_USD = 0.0005
"""What one answered call costs."""
REQUEST_TIMEOUT_S = 2
_INPUT_COST, _OUTPUT_COST = 25.0, 40.0  # of 12 tokens and of 5
_MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
_MAX_TOKENS = 20


@dataclass(frozen=True, kw_only=True)
class Replicas:
    """Both of them, what they ask, and a look into their database."""

    first: ServerProcess
    second: ServerProcess
    upstream: Upstream
    database: str

    @property
    def origins(self) -> tuple[str, str]:
        return self.first.origin, self.second.origin

    def new_key(self, **settings: Any) -> tuple[str, str]:
        """(id, key) of a key that the first has made."""
        made = self.admin("POST", "/admin/keys", {"name": "tests", **settings}).json()
        return made["id"], made["key"]

    def admin(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """What the first answers to the admin."""
        response = httpx.request(
            method,
            f"{self.first.origin}{path}",
            json=body,
            headers={"x-api-key": ADMIN_KEY},
            timeout=10,
        )
        response.raise_for_status()
        return response

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """What the database finds."""
        with psycopg.connect(self.database, row_factory=dict_row, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    async def ask(
        self,
        session: aiohttp.ClientSession,
        origin: str,
        key: str,
        **more: Any,
    ) -> tuple[int, Mapping[str, str], dict[str, Any]]:
        """(status, headers, body) of one request."""
        body = {"model": "auto", "messages": _MESSAGES, "max_tokens": _MAX_TOKENS, **more}
        async with session.post(
            f"{origin}/v1/chat/completions", json=body, headers={"x-api-key": key}
        ) as response:
            return response.status, response.headers, await response.json()


def _replica(config: Path, name: str) -> ServerProcess:
    """A gateway of this configuration, which logs into a folder of its own."""
    folder, port = config.parent / name, free_port()
    folder.mkdir()
    command = [str(Path(sys.executable).with_name("sluice")), "serve", "--port", str(port)]
    return ServerProcess(
        [*command, "--config", str(config)], port=port, folder=folder, ready_path="/health/ready"
    )


def bound_usd() -> float:
    """What one call may cost at most, as budgets reckon it."""
    request = ChatRequest.of(_MESSAGES, {"max_tokens": _MAX_TOKENS})
    return (upper_bound_tokens(request) * _INPUT_COST + _MAX_TOKENS * _OUTPUT_COST) / 1e6


@contextmanager
def open_replicas(folder: Path) -> Iterator[Replicas]:
    """Skips (in CI: fails) where PostgreSQL or Redis cannot be reached."""
    address, prefix = demand_redis(), f"sluice-replicas-{secrets.token_hex(4)}"
    with postgres_database() as database, Upstream(answer("Paris.")) as upstream:
        base = {"provider": "local", "api_base": upstream.url, "max_tokens": 500}
        base |= {"input_cost": _INPUT_COST, "output_cost": _OUTPUT_COST, "max_retries": 0}
        base["timeout"] = {"total_s": REQUEST_TIMEOUT_S}
        config = write_config(
            folder,
            upstream.url,
            models=[{"name": name, **base} for name in ("gpt-4o-mini", "gpt-4o")],
            cascades={
                "auto": {"models": ["gpt-4o-mini", "gpt-4o"], "policy": "policy.json"},
                "kept": {
                    "models": ["gpt-4o-mini", "gpt-4o"],
                    "policy": "policy.json",
                    "cache": {"exact": True},
                },
            },
            store={"url": database},
            redis={"url": address, "prefix": prefix},
            auth={"mode": "keys", "admin_key": ADMIN_KEY},
            limits={"request_timeout_s": REQUEST_TIMEOUT_S},
        )
        with _replica(config, "first") as first, _replica(config, "second") as second:
            yield Replicas(first=first, second=second, upstream=upstream, database=database)
    with redis.Redis.from_url(address) as client:
        for name in client.scan_iter(f"{prefix}*"):
            client.delete(name)
