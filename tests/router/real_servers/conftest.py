"""Real server software as upstream: each server is started once for the tests of its module, and
what it printed is shown with every test that fails."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.config import ModelConfig
from router.engine import Engine
from tests.agents import ACCEPT_ALL
from tests.behaviours import answer
from tests.server_process import ServerProcess, free_port
from tests.tiny_llama import save_tiny_llama
from tests.upstream import Upstream

ROOT = Path(__file__).parents[3]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for name, value in item.funcargs.items():
            if isinstance(value, ServerProcess):
                report.sections.append((f"log of {name}", value.log))
    return report


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture
async def make_agent(engine: Engine) -> AsyncIterator[Callable[..., CascadeAgent]]:
    """Makes agents of the given models that accept every draft, unless told otherwise."""
    made: list[CascadeAgent] = []

    def make(*models: ModelConfig, **options: Any) -> CascadeAgent:
        given = {"policy": ACCEPT_ALL, "engine": engine, "environ": {}, **options}
        agent = CascadeAgent(models=models, **given)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        await agent.aclose()


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`transformers serve`, pinned to a model called "tiny-llama"."""
    folder = tmp_path_factory.mktemp("transformers")
    save_tiny_llama(folder / "tiny-llama")
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "tiny-llama"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    environ = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with ServerProcess(
        command, port=port, folder=folder, ready_path="/health", environ=environ
    ) as server:
        yield server


@pytest.fixture(scope="session")
def master_key() -> str:
    """The key of LiteLLM's proxy."""
    return "sk-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def behind() -> Iterator[Upstream]:
    """The provider that LiteLLM's proxy asks for the models it does not play itself."""
    with Upstream(answer()) as server:
        yield server


@pytest.fixture(scope="module")
def litellm_proxy(
    behind: Upstream, master_key: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """LiteLLM's proxy.

    It plays "gpt-4o-mini", and "busy" and "broken", which fail; "relay" it asks of `behind`.
    """
    command = _find_litellm()
    folder = tmp_path_factory.mktemp("litellm")
    config = folder / "config.yaml"  # JSON is YAML
    config.write_text(json.dumps(_litellm_config(behind, master_key)), encoding="utf-8")
    port = free_port()
    with ServerProcess(
        [command, "--config", str(config), "--host", "127.0.0.1", "--port", str(port)],
        port=port,
        folder=folder,
        ready_path="/health/liveliness",
        environ={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"},
    ) as server:
        yield server


def _find_litellm() -> str:
    """The command. It has an environment of its own, as it wants other versions than we do."""
    named = os.environ.get("SLUICE_LITELLM")
    found = named or shutil.which(ROOT / ".venv-litellm/bin/litellm") or shutil.which("litellm")
    if found:
        return found
    reason = "LiteLLM's proxy is not installed; run `make litellm`, or name it in SLUICE_LITELLM"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _litellm_config(behind: Upstream, master_key: str) -> dict[str, Any]:
    played = {
        "gpt-4o-mini": "It is small, the answer is 42.",
        "busy": "litellm.RateLimitError",
        "broken": "litellm.InternalServerError",
    }
    models = [
        {"model_name": name, "litellm_params": {"model": "openai/gpt-4o-mini", "mock_response": it}}
        for name, it in played.items()
    ]
    relayed = {"model": "hosted_vllm/relayed", "api_base": behind.url, "api_key": "k"}
    return {
        "model_list": [*models, {"model_name": "relay", "litellm_params": relayed}],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        "general_settings": {"master_key": master_key},
    }
