"""The gateways that are measured side by side, each started as its own documentation says.

All stand before the same upstream (quick_upstream.py). LiteLLM's proxy and Portkey's gateway pass
the call on; ours predicts, drafts, judges, holds the call to a budget and records its outcome.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.agents import ACCEPT_ALL
from tests.benchmarks.load_client import Load
from tests.server_process import ServerProcess, free_port

__all__ = ["litellm", "portkey", "sluice"]

ROOT = Path(__file__).resolve().parents[2]
PORTKEY = ROOT / "tests/benchmarks/gateway/node_modules/@portkey-ai/gateway/build/start-server.js"
KEY = "sk-of-the-benchmark-0123456789"
ADMIN_KEY = "admin-of-the-benchmark-0123456789"


def _load(url: str, model: str, **headers: str) -> Load:
    return Load(url=url, model=model, headers=headers, connections=1, seconds=1)


@contextmanager
def litellm(upstream: str, folder: Path) -> Iterator[Load]:
    """LiteLLM's proxy with one worker and a master key."""
    command = os.environ.get("SLUICE_LITELLM") or shutil.which(ROOT / ".venv-litellm/bin/litellm")
    if command is None:
        pytest.skip("LiteLLM's proxy is not installed; run `make litellm`")
    params = {"model": "openai/gpt-4o-mini", "api_base": upstream, "api_key": "sk-upstream"}
    config = {
        "model_list": [{"model_name": "gpt-4o-mini", "litellm_params": params}],
        "general_settings": {"master_key": KEY},
    }
    port = free_port()
    with ServerProcess(
        [command, "--config", _written(folder, config), "--host", "127.0.0.1", "--port", str(port)],
        port=port,
        folder=folder,
        ready_path="/health/liveliness",
        environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
    ) as server:
        url = f"{server.origin}/v1/chat/completions"
        yield _load(url, "gpt-4o-mini", authorization=f"Bearer {KEY}")


@contextmanager
def portkey(upstream: str, folder: Path) -> Iterator[Load]:
    """Portkey's gateway; it takes the upstream from each request."""
    node = shutil.which("node")
    if node is None or not PORTKEY.is_file():
        pytest.skip("Portkey's gateway is not installed; run `make bench-gateway`")
    port = free_port()
    with ServerProcess(
        [node, str(PORTKEY), f"--port={port}", "--headless"],
        port=port,
        folder=folder,
        ready_path="/",
    ) as server:
        headers = {
            "authorization": "Bearer sk-upstream",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": upstream,
        }
        yield _load(f"{server.origin}/v1/chat/completions", "gpt-4o-mini", **headers)


@contextmanager
def sluice(upstream: str, folder: Path, *, store: str | None = None) -> Iterator[Load]:
    """Ours: one worker, keys, a budget, a cascade of two models that accepts every draft."""
    policy = folder / "policy.json"
    policy.write_text(json.dumps(ACCEPT_ALL.to_json()), encoding="utf-8")
    base = {"provider": "local", "api_base": upstream, "max_tokens": 500}
    config = {
        "server": {"log_requests": False},
        "store": {"url": store or f"sqlite:///{folder / 'sluice.db'}"},
        "auth": {"mode": "keys", "admin_key": ADMIN_KEY},
        "budget": {"daily_limit": 1e6},
        "models": [
            {"name": "gpt-4o-mini", "input_cost": 0.15, "output_cost": 0.6, **base},
            {"name": "gpt-4o", "input_cost": 2.5, "output_cost": 10.0, **base},
        ],
        "cascades": {"auto": {"models": ["gpt-4o-mini", "gpt-4o"], "policy": str(policy)}},
    }
    written = _written(folder, config)
    command = str(Path(sys.executable).with_name("sluice"))
    made = subprocess.run(
        [
            *(command, "keys", "create", "--config", written),
            *("--name", "bench", "--daily-limit", "100000", "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    key = json.loads(made.stdout)["key"]
    port = free_port()
    with ServerProcess(
        [command, "serve", "--config", written, "--port", str(port)],
        port=port,
        folder=folder,
        ready_path="/health/ready",
    ) as server:
        url = f"{server.origin}/v1/chat/completions"
        yield _load(url, "auto", authorization=f"Bearer {key}")


def _written(folder: Path, config: object) -> str:
    path = folder / "config.yaml"  # JSON is YAML
    path.write_text(json.dumps(config), encoding="utf-8")
    return str(path)
