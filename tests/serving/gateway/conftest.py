"""Agents over the shipped artifact and a local server that plays every model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import pytest

from router.agent.agent import CascadeAgent
from router.engine import Engine
from tests.agents import ACCEPT_ALL, DIRECT, model
from tests.upstream import Upstream


class MakeAgent(Protocol):
    def __call__(self, *, live: bool, speaks: str = "openai") -> CascadeAgent: ...


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@pytest.fixture
async def make_agent(engine: Engine, upstream: Upstream) -> AsyncIterator[MakeAgent]:
    """Makes agents whose answers come `live`, or are held back drafts; the provider speaks
    OpenAI's format or Anthropic's."""
    made: list[CascadeAgent] = []

    def make(*, live: bool, speaks: str = "openai") -> CascadeAgent:
        spoken: dict[str, Any] = {}
        if speaks == "anthropic":
            spoken = {"provider": "anthropic", "api_key": "k"}
        base = upstream.origin if speaks == "anthropic" else upstream.url
        models = [model(name, base, **spoken) for name in ("small", "large")]
        agent = CascadeAgent(models=models, policy=DIRECT if live else ACCEPT_ALL, engine=engine)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        await agent.aclose()
