"""The providers that are known by name: where they are, what they speak, whose key they want."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from ..chat import Dialect
from ..errors import ConfigError

__all__ = ["PROVIDERS", "ProviderSpec", "find_provider"]


@dataclass(frozen=True, kw_only=True)
class ProviderSpec:
    """One provider.

    `api_base` is None where a configuration has to say it. Of `key_variables` and `base_variables`
    (environment variables) the first that is set counts. `logprobs`: whether it returns the
    log-probabilities of what it wrote, in OpenAI's shape; `no_logprobs` matches the names of
    models that do not, and refuse to be asked. `stream_usage`: whether a stream may be asked for
    its usage; who refuses that sends it unasked.
    """

    name: str
    api_base: str | None
    key_variables: tuple[str, ...] = ()
    base_variables: tuple[str, ...] = ()
    dialect: Dialect = "openai"
    logprobs: bool = False
    no_logprobs: str | None = None
    stream_usage: bool = True
    needs_key: bool = True

    def gives_logprobs(self, model: str) -> bool:
        """Whether this provider returns log-probabilities for `model`, as far as is known."""
        if self.no_logprobs is not None and re.search(self.no_logprobs, model):
            return False
        return self.logprobs


_KNOWN = (
    ProviderSpec(
        name="openai",
        api_base="https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        base_variables=("OPENAI_BASE_URL",),
        logprobs=True,
        no_logprobs=r"^(o\d|gpt-5)",  # the reasoning families
    ),
    ProviderSpec(
        name="anthropic",
        api_base="https://api.anthropic.com",
        key_variables=("ANTHROPIC_API_KEY",),
        base_variables=("ANTHROPIC_BASE_URL",),
        dialect="anthropic",
    ),
    ProviderSpec(
        name="groq",
        api_base="https://api.groq.com/openai/v1",
        key_variables=("GROQ_API_KEY",),
    ),
    ProviderSpec(
        name="together",  # has log-probabilities, but in a shape of its own
        api_base="https://api.together.xyz/v1",
        key_variables=("TOGETHER_API_KEY",),
    ),
    ProviderSpec(
        name="openrouter",
        api_base="https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
    ),
    ProviderSpec(
        name="deepseek",
        api_base="https://api.deepseek.com",
        key_variables=("DEEPSEEK_API_KEY",),
        logprobs=True,
        no_logprobs=r"reasoner",
    ),
    ProviderSpec(
        name="gemini",
        api_base="https://generativelanguage.googleapis.com/v1beta/openai",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
    ProviderSpec(
        name="mistral",
        api_base="https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        stream_usage=False,
    ),
    ProviderSpec(
        name="ollama",
        api_base="http://127.0.0.1:11434/v1",
        key_variables=("OLLAMA_API_KEY",),
        base_variables=("OLLAMA_HOST",),
        needs_key=False,
    ),
    ProviderSpec(
        name="vllm",
        api_base="http://127.0.0.1:8000/v1",
        key_variables=("VLLM_API_KEY",),
        base_variables=("VLLM_BASE_URL",),
        logprobs=True,
        needs_key=False,
    ),
)
PROVIDERS: Final = MappingProxyType({spec.name: spec for spec in _KNOWN})


def find_provider(name: str, *, api_base: str | None = None) -> ProviderSpec:
    """The provider called `name`; any name will do where `api_base` says where it is.

    Raises ConfigError naming the nearest known provider.
    """
    spec = PROVIDERS.get(name)
    if spec is not None:
        return spec
    if api_base is None:
        near = get_close_matches(name, PROVIDERS, n=1, cutoff=0.0)[0]
        raise ConfigError(
            f"unknown provider {name!r}; did you mean {near!r}? Known are "
            f"{', '.join(PROVIDERS)}; any other needs 'api_base'",
            param="provider",
        )
    variable = re.sub(r"\W", "_", name).upper() + "_API_KEY"
    return ProviderSpec(name=name, api_base=None, key_variables=(variable,), needs_key=False)
