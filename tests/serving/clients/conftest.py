"""Official clients of a gateway that really runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from router.engine import Engine
from tests.behaviours import answer
from tests.serving.clients.running_gateway import FRAIL, RunningGateway
from tests.upstream import Upstream

_JS = Path(__file__).parent / "js"
_NODE_WITHIN_S = 60

RunJs = Callable[..., Any]


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def gateway(
    provider: Upstream, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with RunningGateway(provider, engine, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, forgetful of what other tests asked and told it."""
    provider.requests.clear()
    provider.then(answer())
    return provider


@pytest.fixture(scope="session")
def _frail_models() -> Iterator[str]:
    return iter(FRAIL)


@pytest.fixture
def frail(_frail_models: Iterator[str]) -> str:
    """A model that has never failed, for a test in which it does."""
    return next(_frail_models)


@pytest.fixture(scope="session")
def key(gateway: RunningGateway) -> str:
    return gateway.new_key()


@pytest.fixture
def openai_client(gateway: RunningGateway, key: str, upstream: Upstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url, api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(
    gateway: RunningGateway, key: str, upstream: Upstream
) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.origin, api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def run_js(gateway: RunningGateway, key: str, upstream: Upstream) -> RunJs:
    """Runs a scenario of a script in `js` and gives what it returns."""
    missing = _missing_for_js()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)

    def run(script: str, scenario: str, *, api_key: str = key, **given: Any) -> Any:
        environ = {
            "PATH": os.environ["PATH"],
            "SLUICE_URL": gateway.origin,
            "SLUICE_KEY": api_key,
            "SLUICE_GIVEN": json.dumps(given),
        }
        done = subprocess.run(
            ["node", f"{script}.mjs", scenario],
            cwd=_JS,
            env=environ,
            capture_output=True,
            text=True,
            timeout=_NODE_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def _missing_for_js() -> str:
    if shutil.which("node") is None:
        return "node is not installed, which the JavaScript clients run on"
    if not (_JS / "node_modules" / ".package-lock.json").is_file():
        return "the JavaScript clients are not installed: 'make js-clients'"
    return ""
