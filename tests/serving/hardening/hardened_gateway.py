"""The gateway as it ships, on the server it ships with, in front of a provider of every kind."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from router.config import ModelConfig
from router.engine import Engine
from router.profiles import PolicyFile
from serving.app import create_app
from serving.config import (
    AuthConfig,
    CacheConfig,
    CascadeSettings,
    GatewayConfig,
    ServerConfig,
    StoreConfig,
)
from serving.operations.draining_server import DrainingServer
from serving.operations.http_protocol import HttpLimits
from tests.agents import ACCEPT_ALL, ALWAYS_PAIRS, DIRECT, REJECT_ALL, model
from tests.behaviours import Behaviour, Received, Script, answer, answer_anthropic, send_json
from tests.serving.gateway.live_gateway import GatewayClient
from tests.serving.live_service import LiveService
from tests.upstream import Upstream

__all__ = [
    "ADMIN_KEY",
    "CASCADES",
    "MODELS",
    "PROVIDER_KEY",
    "HardenedClient",
    "hardened_gateway",
    "play_provider",
]

ADMIN_KEY = "an-admin-key-of-tests"
PROVIDER_KEY = "provider-key-of-tests"
MODELS = ("small", "other", "large", "claude-small", "claude-large")
_POLICIES: dict[str, tuple[PolicyFile, tuple[str, ...]]] = {
    "drafts": (ACCEPT_ALL, ("small", "large")),
    "doubts": (REJECT_ALL, ("small", "large")),
    "pairs": (ALWAYS_PAIRS, ("small", "claude-small", "large")),
    "direct": (DIRECT, ("small", "claude-large")),
    "claude-drafts": (ACCEPT_ALL, ("claude-small", "large")),
    "kept": (ACCEPT_ALL, ("small", "large")),  # in the response cache
}
CASCADES = tuple(_POLICIES)
_QUIET_WITHIN_S = 5.0

Mode = Literal["open", "keys"]


class _ShippedServer(LiveService):
    """A service on the server that `sluice serve` runs, with its bounds on heads and bodies."""

    def __init__(self, config: GatewayConfig, engine: Engine) -> None:
        super().__init__(config, engine)
        limits = HttpLimits(
            max_header_bytes=config.server.max_header_bytes,
            head_timeout_s=config.server.body_timeout_s,
        )
        self._shipped = DrainingServer(create_app(self.service), limits=limits, drain_timeout_s=5.0)
        self._server = self._shipped
        self._thread = threading.Thread(
            target=self._shipped.run, kwargs={"sockets": [self._listener]}, daemon=True
        )

    def __exit__(self, *raised: object) -> None:
        self._shipped.finish_soon()
        super().__exit__(*raised)


class HardenedClient(GatewayClient):
    """A client who also sees whether anything is left behind."""

    def check_nothing_is_left(self) -> None:
        """No request is under way or waits, nothing is held, and the books add up."""
        deadline = time.monotonic() + _QUIET_WITHIN_S
        while any(self._under_way()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self._under_way() == (0, 0, 0)
        self.check_ledger()

    def _under_way(self) -> tuple[int, int, int]:
        """(requests that are worked on, that wait, entries that are not in the store yet)"""
        gateway = self.live.service.gateway
        admission = gateway.admission
        return admission.in_flight, admission.waiting, gateway.journal.waiting


@contextmanager
def hardened_gateway(
    engine: Engine,
    upstream: Upstream,
    folder: Path,
    *,
    mode: Mode = "open",
    models: tuple[ModelConfig, ...] = (),
    **sections: Any,
) -> Iterator[HardenedClient]:
    """A gateway over MODELS and CASCADES, whose names say what they do with drafts; further
    `models` can be asked by their names. The admin key is ADMIN_KEY."""
    folder.mkdir(parents=True, exist_ok=True)
    config = GatewayConfig(
        server=ServerConfig(body_timeout_s=1, log_requests=False),
        store=StoreConfig(url=f"sqlite:///{folder / 'sluice.db'}"),
        auth=AuthConfig(mode=mode, admin_key=SecretStr(ADMIN_KEY)),
        models=(*(_model(name, upstream) for name in MODELS), *models),
        cascades=_cascades(folder),
        embeddings=(model("embed", upstream.url, input_cost=0.02, output_cost=0.0),),
        **sections,
    )
    with _ShippedServer(config, engine) as live:
        client = HardenedClient(live)
        client.http = httpx.Client(base_url=live.origin, timeout=15)
        with client.http:
            yield client


def play_provider(text: str = "Paris is the capital of France.") -> Behaviour:
    """Answers each request in the dialect it comes in, vectors for what wants to be embedded."""
    as_openai, as_anthropic = answer(text), answer_anthropic(text)

    def behave(request: Received) -> Script:
        if request.path.endswith("/embeddings"):
            return _embed(request)
        return (as_anthropic if request.path.endswith("/messages") else as_openai)(request)

    return behave


def _embed(request: Received) -> Script:
    asked = request.body["input"]
    count = len(asked) if isinstance(asked, list) and not isinstance(asked[0], int) else 1
    data = [
        {"object": "embedding", "index": index, "embedding": [0.5, -0.5]} for index in range(count)
    ]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return send_json({"object": "list", "data": data, "model": "embed", "usage": usage})(request)


def _model(name: str, upstream: Upstream) -> ModelConfig:
    if name.startswith("claude"):
        return model(name, upstream.origin, provider="anthropic", api_key=PROVIDER_KEY)
    return model(name, upstream.url, api_key=PROVIDER_KEY)


def _cascades(folder: Path) -> dict[str, CascadeSettings]:
    made = {}
    for name, (policy, chain) in _POLICIES.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(policy.to_json()), encoding="utf-8")
        cache = CacheConfig(exact=name == "kept", semantic=name == "kept")
        made[name] = CascadeSettings(models=chain, policy=path, cache=cache)
    return made
