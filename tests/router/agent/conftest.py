"""Agents over the shipped artifact and a local server that plays every model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from router.agent.agent import CascadeAgent
from router.engine import Engine
from tests.agents import ACCEPT_ALL, by_model, model
from tests.behaviours import answer
from tests.upstream import Upstream


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Plays "small", "other" and "large", each answering with its name."""
    plays = by_model(
        small=answer("It is small, the answer is 42."),
        other=answer("It is other, the answer is 42."),
        large=answer("It is large, the answer is 42."),
    )
    with Upstream(plays) as server:
        yield server


class _Maker:
    """Makes agents with a drafter "small" and a verifier "large", unless told otherwise."""

    def __init__(self, engine: Engine, upstream: Upstream) -> None:
        self.made: list[CascadeAgent] = []
        self._engine = engine
        self._upstream = upstream

    def __call__(self, *names: str, **options: Any) -> CascadeAgent:
        models = [model(name, self._upstream.url) for name in names or ("small", "large")]
        given = {"models": models, "policy": ACCEPT_ALL, "engine": self._engine, **options}
        agent = CascadeAgent(**given)
        self.made.append(agent)
        return agent


@pytest.fixture
async def make_agent(
    engine: Engine, upstream: Upstream
) -> AsyncIterator[Callable[..., CascadeAgent]]:
    """Makes agents that are closed in the test's own event loop."""
    make = _Maker(engine, upstream)
    yield make
    for agent in make.made:
        await agent.aclose()


@pytest.fixture
def make_sync_agent(engine: Engine, upstream: Upstream) -> Iterator[Callable[..., CascadeAgent]]:
    """Makes agents for tests without an event loop."""
    make = _Maker(engine, upstream)
    yield make
    for agent in make.made:
        agent.close()
