"""Chat models over the shipped artifact and local servers, closed when their test ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from router.config import ModelConfig
from router.engine import Engine
from router.langchain import CascadeChatModel
from tests.agents import ACCEPT_ALL, by_model
from tests.behaviours import answer
from tests.upstream import Upstream

SMALL = "It is small, the answer is 42."
LARGE = "It is large, the answer is 42."


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine.load()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """Plays "small" and "large", each answering with its name."""
    with Upstream(by_model(small=answer(SMALL), large=answer(LARGE))) as server:
        yield server


@pytest.fixture
async def make_model(
    engine: Engine, upstream: Upstream, anyio_backend: str
) -> AsyncIterator[Callable[..., CascadeChatModel]]:
    """Makes chat models of a drafter "small" and a verifier "large"."""
    made: list[CascadeChatModel] = []

    def make(**options: Any) -> CascadeChatModel:
        models = [
            ModelConfig(
                name=name,
                provider="custom",
                api_base=upstream.url,
                input_cost=cost,
                output_cost=2 * cost,
                max_tokens=1000,
                max_retries=0,
            )
            for name, cost in (("small", 1.0), ("large", 10.0))
        ]
        given = {"models": models, "policy": ACCEPT_ALL, "engine": engine, **options}
        model = CascadeChatModel(**given)
        made.append(model)
        return model

    yield make
    for model in made:
        await model.aclose()
