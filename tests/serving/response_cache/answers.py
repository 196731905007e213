"""Answers to keep: real runs of an agent against a server on loopback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.agent.agent import CascadeAgent
from router.agent.events import DoneEvent
from router.agent.results import RunResult
from router.chat import ChatRequest
from router.engine import Engine
from router.profiles import PolicyFile
from router.types import Embedding
from serving.config import CacheConfig
from serving.response_cache.asks import CacheAsk, ask_of
from tests.agents import ACCEPT_ALL, by_model, model
from tests.upstream import Behaviour, Upstream

__all__ = ["BOTH", "QUESTION", "answered", "asked", "embedding_of", "request_of"]

BOTH = CacheConfig(exact=True, semantic=True, threshold=0.9)
QUESTION = "What is the capital of France?"


def request_of(text: str = QUESTION, params: Mapping[str, Any] | None = None) -> ChatRequest:
    """A request that may be cached."""
    return ChatRequest.of(text, {"temperature": 0, **(params or {})})


async def answered(
    behaviour: Behaviour,
    text: str = QUESTION,
    *,
    large: Behaviour | None = None,
    policy: PolicyFile = ACCEPT_ALL,
    streamed: bool = False,
    **more: Any,
) -> RunResult:
    """How a chain of a small and a large model answers `text`; `more` is for the agent."""
    behave = behaviour if large is None else by_model(small=behaviour, large=large)
    with Upstream(behave) as upstream:
        provider = more.pop("provider", "custom")
        base = upstream.origin if provider == "anthropic" else upstream.url
        agent = CascadeAgent(
            models=[
                model(name, base, provider=provider, api_key="k") for name in ("small", "large")
            ],
            engine=Engine.shared(),
            policy=policy,
            **more,
        )
        async with agent:
            if not streamed:
                return await agent.answer(request_of(text))
            events = [event async for event in agent.events(request_of(text))]
            assert isinstance(events[-1], DoneEvent)
            return events[-1].result


def asked(
    text: str = QUESTION,
    *,
    key_id: str = "k1",
    cascade: str = "auto",
    config: CacheConfig = BOTH,
    params: Mapping[str, Any] | None = None,
) -> CacheAsk:
    """What is looked up for `text`."""
    found = ask_of(
        request_of(text, params), key_id=key_id, cascade=cascade, revision="1", config=config
    )
    assert found is not None
    return found


def embedding_of(text: str) -> Embedding:
    """As the prediction for a request of this text has it."""
    return Engine.shared().predict(request_of(text).query(), ["small"]).embedding
