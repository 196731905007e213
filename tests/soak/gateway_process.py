"""The gateway as a process of its own, with a store that outlives it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from router.profiles import PolicyFile
from tests.agents import ACCEPT_ALL
from tests.server_process import ServerProcess, free_port

__all__ = ["gateway_process", "write_config"]


def write_config(
    folder: Path, upstream: str, *, policy: PolicyFile = ACCEPT_ALL, **sections: Any
) -> Path:
    """A configuration with one cascade, "auto", of two models at `upstream`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "policy.json").write_text(json.dumps(policy.to_json()), encoding="utf-8")
    base = {"provider": "local", "api_base": upstream, "max_tokens": 500}
    config = {
        "store": {"url": f"sqlite:///{folder / 'sluice.db'}"},
        "models": [
            {"name": "gpt-4o-mini", "input_cost": 0.15, "output_cost": 0.6, **base},
            {"name": "gpt-4o", "input_cost": 2.5, "output_cost": 10.0, **base},
        ],
        "cascades": {
            "auto": {"models": ["gpt-4o-mini", "gpt-4o"], "policy": "policy.json"},
        },
        **sections,
    }
    path = folder / "sluice.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    return path


def gateway_process(config: Path, *, port: int | None = None) -> ServerProcess:
    """`sluice serve` on `config`."""
    command = str(Path(sys.executable).with_name("sluice"))
    chosen = free_port() if port is None else port
    return ServerProcess(
        [command, "serve", "--config", str(config), "--port", str(chosen)],
        port=chosen,
        folder=config.parent,
        ready_path="/health/ready",
    )
