"""Every Python example of docs/sdk.md and of the README's quick start runs, one after the other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from tests.behaviours import Received, Script, answer, answer_anthropic
from tests.upstream import Upstream

ROOT = Path(__file__).resolve().parents[2]
KEYS = ("OPENAI", "ANTHROPIC", "GROQ", "GEMINI", "DEEPSEEK", "OPENROUTER", "MISTRAL", "TOGETHER")
WEATHER = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
pytest.importorskip("langchain_core")


def blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def play(request: Received) -> Script:
    """One server for every provider and model."""
    if request.path.endswith("/messages"):
        return answer_anthropic("Paris is the capital of France.")(request)
    calls = [WEATHER] if request.body.get("tools") else []
    return answer(None if calls else "Paris is the capital of France.", tool_calls=calls)(request)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Upstream]:
    """Every provider is this server; the working directory is a new one."""
    with Upstream(play) as upstream:
        for name in KEYS:
            monkeypatch.setenv(f"{name}_API_KEY", "key")
        real = CascadeAgent.__init__

        def init(self: CascadeAgent, *args: Any, **options: Any) -> None:
            real(self, *args, **options)
            roster = self._runner.decider.roster
            for member in map(roster.member, roster.names):
                for lane in member.client._lanes:
                    object.__setattr__(lane.endpoint, "url", _here(lane.endpoint.url, upstream))

        monkeypatch.setattr(CascadeAgent, "__init__", init)
        monkeypatch.chdir(tmp_path)
        yield upstream


def _here(url: Any, upstream: Upstream) -> Any:
    """The same path on the local server."""
    return type(url)(f"{upstream.origin}{url.path}")


async def execute(source: str, names: dict[str, Any]) -> None:
    code = compile(source, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    found = eval(code, names)
    if code.co_flags & CO_COROUTINE:
        await found


@pytest.mark.parametrize("page", ["docs/sdk.md", "README.md"])
async def test_the_examples_of_a_page_run(
    page: str, provider: Upstream, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for config in blocks(ROOT / page, "yaml"):
        (tmp_path / "cascade.yaml").write_text(config, encoding="utf-8")
    names: dict[str, Any] = {}
    agents = []
    for source in blocks(ROOT / page, "python"):
        await execute(source, names)
        agents.append(names.get("agent"))
    assert "Paris" in capsys.readouterr().out
    for agent in {id(one): one for one in agents if one is not None}.values():
        await agent.aclose()
    if "model" in names:
        await names["model"].agent.aclose()
