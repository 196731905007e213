"""`CascadeAgent`: ask a cascade of models as if it were one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from ..affinity import Affinities
from ..chat import ChatRequest
from ..config import (
    BudgetConfig,
    DomainConfig,
    ModelConfig,
    QualityConfig,
    StreamPolicy,
    parse_config,
)
from ..config_file import CascadeConfig, load_config
from ..engine import Engine
from ..errors import ConfigError, InputError, SluiceError, UsageError
from ..presets import PRESETS, Preset
from ..profiles import PolicyFile
from ..providers.transport import Transport
from ..sandbox.sandbox import Sandbox
from ..store.spending import Spending
from .analytics import Analytics, AnalyticsLog
from .batches import OnError, run_all
from .decisions import Decider, RunOptions
from .events import StreamEvent
from .loop_thread import LoopThread
from .results import RunResult
from .roster import ModelPool, Roster
from .runs import Runner
from .streams import stream_events

if TYPE_CHECKING:
    import httpx

__all__ = ["CascadeAgent", "Prompt"]

Prompt = str | Sequence[Mapping[str, Any]]
"""A prompt, or messages in OpenAI's shape."""


class CascadeAgent:
    """Answers queries with the cheapest model that will do.

        agent = CascadeAgent(models=[ModelConfig(name="gpt-4o-mini"), ModelConfig(name="gpt-4o")])
        result = await agent.run("What is the capital of France?")

    `models` are taken from cheap to dear, and the dearest is the verifier; a preset's stand in for
    them. `policy` is a file of `sluice calibrate`, by default the artifact's own. `sandbox` runs
    code drafts and counts what that shows. `environ` is where keys are looked up, by default the
    process's environment. `http_client` carries the calls in place of a pool of its own, with
    whatever it was given (HTTP/2, a SOCKS proxy, certificates); it stays yours to close.

    Safe to use from several tasks; close it with `aclose` (or `close`), or use it as a context
    manager. Raises ConfigError naming what is wrong.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig | Mapping[str, Any]] | Preset | None = None,
        *,
        preset: Preset | None = None,
        quality: QualityConfig | None = None,
        domains: DomainConfig | None = None,
        budget: BudgetConfig | None = None,
        stream_policy: StreamPolicy | None = None,
        policy: PolicyFile | Path | None = None,
        engine: Engine | None = None,
        sandbox: Sandbox | None = None,
        environ: Mapping[str, str] | None = None,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        if isinstance(models, Preset):
            if preset is not None:
                raise ConfigError("'models' is a preset, and 'preset' is one too", param="preset")
            models, preset = None, models
        if preset is not None and not isinstance(preset, Preset):
            known = ", ".join(PRESETS)
            raise ConfigError(
                f"'preset' must be a Preset: router.PRESET_... ({known})", param="preset"
            )
        chosen = preset.models if models is None and preset is not None else (models or ())
        configs = [
            parse_config(ModelConfig, one, where=f"models[{index}]")
            for index, one in enumerate(chosen)
        ]
        self._transport = Transport(http_client=http_client)
        self._loop_thread = LoopThread()
        own = domains.domains if domains is not None and domains.enabled else {}
        everyone = (*configs, *(config for chain in own.values() for config in chain))
        pool = ModelPool(everyone, self._transport, environ=environ)
        roster = Roster(
            pool,
            [config.name for config in configs],
            {domain: [config.name for config in chain] for domain, chain in own.items()},
        )
        self._engine = engine or Engine.shared()
        pool.introduce_to(self._engine)
        self._spending = None if budget is None else Spending(budget)
        self._analytics = AnalyticsLog()
        self._runner = Runner(
            decider=Decider(
                engine=self._engine,
                policy=PolicyFile.read(policy)
                if isinstance(policy, Path)
                else policy or self._engine.policy,
                roster=roster,
                quality=quality or (preset.quality if preset else QualityConfig()),
                stream_policy=stream_policy or (preset.stream_policy if preset else "buffered"),
                affinities=Affinities(),
            ),
            spending=self._spending,
            drafters_only=budget is not None and budget.action == "drafters_only",
            sandbox=sandbox,
            analytics=self._analytics,
        )

    @classmethod
    def from_config(cls, config: CascadeConfig | Path | str, **more: Any) -> CascadeAgent:
        """An agent from a configuration file (ours, or cascadeflow's), or from one already read.
        `more` are arguments of the constructor."""
        found = config if isinstance(config, CascadeConfig) else load_config(Path(config))
        return cls(
            **{
                "models": found.models,
                "quality": found.quality,
                "domains": found.domains,
                "budget": found.budget,
                "stream_policy": found.stream_policy,
                **more,
            }
        )

    async def run(
        self,
        query: Prompt,
        *,
        quality: QualityConfig | None = None,
        models: Sequence[str] | None = None,
        domain: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        **params: Any,
    ) -> RunResult:
        """Answer a prompt or messages.

        `params` (tools, tool_choice, max_tokens, temperature, stop, response_format, anything) go
        to the models as they are. `quality`, `models` (names to choose from) and `domain` override
        the agent's for this call; `user_id`, else the parameter `user`, is whom budgets count it
        for; `conversation_id` tells that turns belong together, which otherwise the messages do.

        Raises CascadeExhaustedError when no model answers, BudgetExceededError, or UsageError.
        """
        request = ChatRequest.of(query, params)
        options = _options(quality, models, domain, user_id, conversation_id, params)
        return await self.answer(request, options)

    async def answer(self, request: ChatRequest, options: RunOptions | None = None) -> RunResult:
        """`run` for a request that is already one, in either dialect."""
        return await self._runner.answer(request, options or RunOptions())

    def stream(
        self,
        query: Prompt,
        *,
        stream_policy: StreamPolicy | None = None,
        quality: QualityConfig | None = None,
        models: Sequence[str] | None = None,
        domain: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        **params: Any,
    ) -> AsyncGenerator[StreamEvent, None]:
        """`run`, event by event: routing, verdicts, escalation, usage, chunks of the answer, done.

        "buffered" passes a draft on once it is accepted; "optimistic" passes on at once a draft
        that is predicted well (`QualityConfig.optimistic_above`), and it stays the answer. The
        verifier's answer is always passed on as it comes. All chunks are one model's.
        """
        request = ChatRequest.of(query, params)
        options = _options(quality, models, domain, user_id, conversation_id, params, stream_policy)
        return self.events(request, options)

    def events(
        self, request: ChatRequest, options: RunOptions | None = None
    ) -> AsyncGenerator[StreamEvent, None]:
        """`stream` for a request that is already one, in either dialect."""
        chosen = options or RunOptions()
        return stream_events(lambda listener: self._runner.begin(request, chosen, listener))

    @overload
    async def run_batch(
        self,
        queries: Sequence[Prompt],
        *,
        concurrency: int = ...,
        progress: bool = ...,
        on_error: Literal["raise"] = ...,
        **options: Any,
    ) -> list[RunResult]: ...
    @overload
    async def run_batch(
        self,
        queries: Sequence[Prompt],
        *,
        concurrency: int = ...,
        progress: bool = ...,
        on_error: Literal["return"],
        **options: Any,
    ) -> list[RunResult | SluiceError]: ...
    async def run_batch(
        self,
        queries: Sequence[Prompt],
        *,
        concurrency: int = 8,
        progress: bool = False,
        on_error: OnError = "raise",
        **options: Any,
    ) -> Any:
        """`run` for many queries, at most `concurrency` at a time; results in their order.

        `progress` shows a bar on stderr; `options` are those of `run`, the same for all. When some
        fail, BatchError is raised once all have ended and carries every result; with `on_error`
        "return" the errors stand in the results' places instead.
        """
        if isinstance(queries, str):
            raise InputError("'queries' is one string, expected a list", param="queries")
        runs = [lambda query=query: self.run(query, **options) for query in queries]
        return await run_all(runs, concurrency=concurrency, progress=progress, on_error=on_error)

    # The same without an event loop: each hands its coroutine to a loop in a thread.

    def run_sync(self, query: Prompt, **options: Any) -> RunResult:
        """`run`, blocking."""
        return self._loop_thread.run(self.run(query, **options))

    def stream_sync(self, query: Prompt, **options: Any) -> Generator[StreamEvent, None, None]:
        """`stream`, blocking."""
        return self._loop_thread.iterate(self.stream(query, **options))

    def run_batch_sync(self, queries: Sequence[Prompt], **options: Any) -> list[RunResult]:
        """`run_batch`, blocking."""
        found: list[RunResult] = self._loop_thread.run(self.run_batch(queries, **options))
        return found

    def __repr__(self) -> str:
        return f"CascadeAgent(models={list(self.models)})"

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all configured models."""
        return self._runner.decider.roster.names

    @property
    def quality(self) -> QualityConfig:
        """What answers have to be, unless a call says otherwise."""
        return self._runner.decider.quality

    def get_analytics(self) -> Analytics:
        """What this agent has done and paid so far."""
        return self._analytics.snapshot()

    async def aclose(self) -> None:
        """Close connections and the ledger, and end the thread of the blocking methods."""
        await self._transport.aclose()
        await self._loop_thread.aclose()
        if self._spending is not None:
            await self._spending.aclose()

    def close(self) -> None:
        """`aclose`, for callers without an event loop; raises UsageError in one, which would have
        to wait for itself."""
        if _in_event_loop():
            raise UsageError("close() cannot be used in an event loop: 'await aclose()' there")
        self._loop_thread.run(self.aclose())
        self._loop_thread.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _options(
    quality: QualityConfig | None,
    models: Sequence[str] | None,
    domain: str | None,
    user_id: str | None,
    conversation_id: str | None,
    params: Mapping[str, Any],
    stream_policy: StreamPolicy | None = None,
) -> RunOptions:
    said = params.get("user")
    return RunOptions(
        quality=quality,
        models=None if models is None else tuple(models),
        domain=domain,
        user=user_id or (said if isinstance(said, str) else None),
        conversation=conversation_id,
        stream_policy=stream_policy,
    )
