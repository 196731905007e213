"""`CascadeChatModel`: a cascade of models as one chat model of LangChain."""

from __future__ import annotations

from collections.abc import (
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any, Final

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, ValidationError

from ..agent.agent import CascadeAgent
from ..config import BudgetConfig, DomainConfig, QualityConfig, StreamPolicy, nearest
from ..engine import Engine
from ..errors import ConfigError
from ..presets import Preset
from ..profiles import PolicyFile
from ..sandbox.sandbox import Sandbox
from .assembly import Models, assemble_agent, close_with
from .messages import to_openai_messages
from .replies import Chunks, to_chat_result
from .structured import StructuredMethod, structure_output
from .tools import ToolChoice, ToolLike, to_response_format, to_tool, to_tool_choice

__all__ = ["CascadeChatModel"]

# LangChain's own arguments of a call, which are no parameters of a model.
_OF_LANGCHAIN: Final = ("ls_structured_output_format", "stream")


class CascadeChatModel(BaseChatModel):
    """A cascade as a chat model.

        model = CascadeChatModel([ModelConfig(name="gpt-4o-mini"), ModelConfig(name="gpt-4o")])
        model.invoke("What is the capital of France?")

    Give `agent`, which stays yours to close, or what one is made of: `models` (or a `preset`) and
    whatever else `CascadeAgent` takes; that one is closed with the model, or once the model is
    garbage. `api_key` is for the models without one of their own, all of one provider; `timeout`
    (seconds) and `max_retries` replace those of every model.

    temperature, max_tokens, stop: sent with every call, where they are set.
    model_kwargs: more that is sent with every call (top_p, seed, anything).
    streaming: whether `invoke` streams too, for callbacks that want tokens.

    What a call brings itself wins over these. It may also bring `model` (a configured name, which
    then answers, whatever is predicted) and what `CascadeAgent.run` takes: `models`, `quality`,
    `domain`, `user_id`, `conversation_id`, and `stream_policy` for streams.

    The `response_metadata` of a message says who answered (`model_name`), how the cascade came to
    it (`action`, `draft_accepted`, `domain`) and what it cost, drafts and all (`total_cost`, USD);
    its `usage_metadata` counts the answering call alone. Errors are Sluice's own.
    """

    agent: CascadeAgent = Field(exclude=True, repr=False)
    temperature: float | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    streaming: bool = False

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
        extra="forbid",
        hide_input_in_errors=True,
        protected_namespaces=(),
    )
    _is_owner: bool = PrivateAttr(default=False)
    _finalizer: Any = PrivateAttr(default=None)  # once there are connections to close

    def __init__(
        self,
        models: Models | None = None,
        *,
        agent: CascadeAgent | None = None,
        preset: Preset | None = None,
        quality: QualityConfig | None = None,
        domains: DomainConfig | None = None,
        budget: BudgetConfig | None = None,
        stream_policy: StreamPolicy | None = None,
        policy: PolicyFile | Path | None = None,
        engine: Engine | None = None,
        sandbox: Sandbox | None = None,
        environ: Mapping[str, str] | None = None,
        api_key: SecretStr | str | None = None,
        timeout: float | None = None,
        max_retries: int | None = None,
        **params: Any,
    ) -> None:
        parts: dict[str, Any] = {
            "preset": preset,
            "quality": quality,
            "domains": domains,
            "budget": budget,
            "stream_policy": stream_policy,
            "policy": policy,
            "engine": engine,
            "sandbox": sandbox,
            "environ": environ,
            "api_key": api_key,
            "timeout": timeout,
            "max_retries": max_retries,
        }
        given = {name: part for name, part in parts.items() if part is not None}
        is_owner = agent is None
        if agent is None:
            agent = assemble_agent(models, **given)
        elif models is not None or given:
            names = ", ".join((["models"] if models is not None else []) + list(given))
            raise ConfigError(f"'agent' has its own {names}; give one or the other", param="agent")
        try:
            super().__init__(**{"agent": agent, **params})
        except ValidationError as exc:
            raise _config_error(exc, (*type(self).model_fields, "models", *parts)) from None
        self._is_owner = is_owner

    def close(self) -> None:
        """Close the connections, unless `agent` was given."""
        if self._is_owner:
            self._forget_finalizer()
            self.agent.close()

    async def aclose(self) -> None:
        """`close`, in an event loop."""
        if self._is_owner:
            self._forget_finalizer()
            await self.agent.aclose()

    def _forget_finalizer(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None

    # -- answers --------------------------------------------------------------------------------

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt, options = self._call(messages, stop, kwargs)
        options.pop("stream_policy", None)
        return to_chat_result(self.agent.run_sync(prompt, **options))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        prompt, options = self._call(messages, stop, kwargs)
        options.pop("stream_policy", None)
        return to_chat_result(await self.agent.run(prompt, **options))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        prompt, options = self._call(messages, stop, kwargs)
        chunks = Chunks(in_blocks=self.output_version == "v1")
        with closing(self.agent.stream_sync(prompt, **options)) as events:
            for event in events:
                if (chunk := chunks.of(event)) is not None:
                    if run_manager is not None:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        prompt, options = self._call(messages, stop, kwargs)
        chunks = Chunks(in_blocks=self.output_version == "v1")
        async with aclosing(self.agent.stream(prompt, **options)) as events:
            async for event in events:
                if (chunk := chunks.of(event)) is not None:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def _call(
        self, messages: Sequence[BaseMessage], stop: list[str] | None, given: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What `CascadeAgent.run` is given: messages, and options with the model's parameters."""
        if self._is_owner and self._finalizer is None:
            self._finalizer = close_with(self, self.agent)
        options = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            **self.model_kwargs,
            **{name: value for name, value in given.items() if name not in _OF_LANGCHAIN},
        }
        options["stop"] = (stop if stop is not None else options["stop"]) or None
        if "model" in options:
            options["models"] = [options.pop("model")]
        if isinstance(options.get("response_format"), type):
            options["response_format"] = to_response_format(options["response_format"])
        return to_openai_messages(messages), options

    # -- tools and structure --------------------------------------------------------------------

    def bind_tools(
        self,
        tools: Sequence[ToolLike],
        *,
        tool_choice: ToolChoice = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """This model with tools to call.

        `tool_choice` is a tool's name, "any" (or True) for one of them, "auto", "none", or a
        choice in OpenAI's or Anthropic's shape. `strict` asks the model to keep to the schemas;
        `kwargs` (parallel_tool_calls, ...) go with every call. Raises InputError.
        """
        converted = [
            to_tool(tool, f"tools[{index}]", strict=strict) for index, tool in enumerate(tools)
        ]
        names = [tool["function"]["name"] for tool in converted if "function" in tool]
        choice = to_tool_choice(tool_choice, names)
        if choice is not None:
            kwargs["tool_choice"] = choice
        return self.bind(tools=converted, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: StructuredMethod = "function_calling",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """This model with answers in the form of `schema`: objects of a pydantic class, else dicts.

        "function_calling", which every provider has, lets the model call a tool of that form;
        "json_schema" demands the form as `response_format`; "json_mode" demands JSON only, and the
        prompt has to say which. Drafts are checked against the form whichever is chosen.
        `include_raw` gives {"raw", "parsed", "parsing_error"}. Raises InputError.
        """
        return structure_output(
            self, schema, method=method, include_raw=include_raw, strict=strict, options=kwargs
        )

    # -- what LangChain wants to know -----------------------------------------------------------

    @property
    def _llm_type(self) -> str:
        return "sluice-cascade"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {
            "models": list(self.agent.models),
            "quality": self.agent.quality.model_dump(exclude_defaults=True),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "stop": self.stop,
            **self.model_kwargs,
        }

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop or self._stops(), **kwargs)
        params["ls_provider"] = "sluice"
        if "ls_model_name" not in params:
            params["ls_model_name"] = ",".join(kwargs.get("models") or self.agent.models)
        return params

    def _stops(self) -> list[str] | None:
        return [self.stop] if isinstance(self.stop, str) else self.stop


def _config_error(exc: ValidationError, known: Iterable[str]) -> ConfigError:
    fault = exc.errors(include_input=False, include_url=False)[0]
    name = str(fault["loc"][0]) if fault["loc"] else ""
    if fault["type"] == "extra_forbidden":
        hint = nearest(name, known) or "."
        return ConfigError(
            f"'{name}' is not known{hint} What is for the models goes into 'model_kwargs'",
            param=name,
        )
    return ConfigError(f"'{name}': {fault['msg']}", param=name or None)
