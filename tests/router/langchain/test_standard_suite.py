"""LangChain's own standard tests of chat models, against local servers of both dialects."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, ClassVar, Final, Literal

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from router.config import ModelConfig
from router.engine import Engine
from router.langchain import CascadeChatModel
from tests.langchain_upstream import Assistant
from tests.upstream import Upstream

_PNG: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
_FILES: Final = {
    "png": _PNG,
    "pdf": b"%PDF-1.4\n%%EOF\n",
    "wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
}


class _TrackedChatModel(CascadeChatModel):
    """The suite makes models and never closes them."""

    made: ClassVar[list[CascadeChatModel]] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made.append(self)


class _OnLoopback:
    """What both suites are told about the model: it supports all that they test."""

    upstream: Upstream
    engine: Engine
    provider = "custom"
    usage_details: ClassVar[list[Any]] = [
        "reasoning_output",
        "cache_read_input",
        "cache_creation_input",
    ]

    @pytest.fixture(autouse=True)
    async def _serve(self, engine: Engine, anyio_backend: str) -> AsyncIterator[None]:
        self.engine = engine
        with Upstream(Assistant()) as self.upstream:
            yield
            while _TrackedChatModel.made:
                await _TrackedChatModel.made.pop().aclose()

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return _TrackedChatModel

    @property
    def chat_model_params(self) -> dict[str, Any]:
        models = [
            ModelConfig(
                name=name,
                provider=self.provider,
                api_base=self.upstream.url,
                api_key="key",
                input_cost=cost,
                output_cost=cost,
                max_tokens=1000,
            )
            for name, cost in (("small", 1.0), ("large", 10.0))
        ]
        return {"models": models, "engine": self.engine}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_pdf_inputs(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_pdf_tool_message(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "large"

    @property
    def supported_usage_metadata_details(self) -> dict[Literal["invoke", "stream"], list[Any]]:
        return {"invoke": self.usage_details, "stream": self.usage_details}


class TestUnit(_OnLoopback, ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return CascadeChatModel  # asks nothing, so that nothing is to be closed


class TestIntegration(_OnLoopback, ChatModelIntegrationTests):
    @pytest.fixture(autouse=True)
    def _local_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The suite fetches its picture, document and sound from the web."""

        def get(url: str, **_: Any) -> httpx.Response:
            return httpx.Response(200, content=_FILES[url.rpartition(".")[2]])

        monkeypatch.setattr(httpx, "get", get)
        monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "tests")

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        return self._ask("Think about it.", stream=stream, reasoning_effort="low")

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return self._ask("Something new.", stream=stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        self._ask("Something read before.", stream=stream)
        return self._ask("Something read before.", stream=stream)

    def _ask(self, prompt: str, *, stream: bool, **params: Any) -> AIMessage:
        model = self.chat_model_class(**self.chat_model_params)
        if not stream:
            return model.invoke(prompt, **params)
        full: AIMessageChunk | None = None
        for chunk in model.stream(prompt, **params):
            assert isinstance(chunk, AIMessageChunk)
            full = chunk if full is None else full + chunk
        assert full is not None
        return full


class TestIntegrationWithAnthropic(TestIntegration):
    """The same, when the models are Anthropic's: no sound, and no count of reasoning."""

    provider = "anthropic"
    usage_details: ClassVar[list[Any]] = ["cache_read_input", "cache_creation_input"]

    @property
    def supports_audio_inputs(self) -> bool:
        return False
