"""An agent from what users of LangChain give a chat model: one key, one timeout, some retries."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr

from ..agent.agent import CascadeAgent
from ..config import DomainConfig, ModelConfig, parse_config
from ..errors import ConfigError
from ..presets import Preset

__all__ = ["Models", "assemble_agent", "close_with"]

Models = Sequence[ModelConfig | Mapping[str, Any]] | Preset
_GRACE_S: Final = 5.0  # for connections of a loop that may end before it has closed them


def assemble_agent(
    models: Models | None,
    *,
    preset: Preset | None = None,
    domains: DomainConfig | None = None,
    api_key: SecretStr | str | None = None,
    timeout: float | None = None,
    max_retries: int | None = None,
    **options: Any,
) -> CascadeAgent:
    """`CascadeAgent`, with `api_key` for every model without one, and each model's `timeout`
    (seconds) and `max_retries` replaced where they are given.

    Raises ConfigError naming what is wrong, or models of several providers that want `api_key`.
    """
    if isinstance(models, Preset):
        models, preset = None, models
    chosen = preset.models if models is None and preset is not None else (models or ())
    configs = [
        parse_config(ModelConfig, one, where=f"models[{index}]") for index, one in enumerate(chosen)
    ]
    chains = domains.domains if domains is not None else {}
    if api_key is not None:
        _check_one_provider([*configs, *(one for chain in chains.values() for one in chain)])

    def adapt(config: ModelConfig) -> ModelConfig:
        fields = dict(config)
        if config.api_key is None:
            fields["api_key"] = api_key
        if max_retries is not None:
            fields["max_retries"] = max_retries
        if timeout is not None:
            fields["timeout"] = {
                "connect_s": min(config.timeout.connect_s, timeout),
                "first_token_s": timeout,
                "total_s": timeout,
            }
        return parse_config(ModelConfig, fields, where=f"model {config.name!r}")

    if domains is not None:
        adapted = {name: tuple(map(adapt, chain)) for name, chain in chains.items()}
        domains = DomainConfig(enabled=domains.enabled, domains=adapted)
    return CascadeAgent(
        [adapt(config) for config in configs], preset=preset, domains=domains, **options
    )


def close_with(owner: object, agent: CascadeAgent) -> weakref.finalize[..., object]:
    """Close `agent` once `owner` is garbage, as hardly anybody closes a chat model.

    In a thread, as garbage is collected anywhere, in the very event loop that has to close its
    connections, for instance.
    """
    finalizer = weakref.finalize(owner, _close_aside, agent)
    finalizer.atexit = False  # the process takes back everything
    return finalizer


def _close_aside(agent: CascadeAgent) -> None:
    threading.Thread(target=_close, args=(agent,), name="sluice-close", daemon=True).start()


def _close(agent: CascadeAgent) -> None:
    try:
        asyncio.run(asyncio.wait_for(agent.aclose(), _GRACE_S))
    except TimeoutError:
        agent.close()  # what is left: the thread


def _check_one_provider(configs: Iterable[ModelConfig]) -> None:
    """One provider's key is not to be sent to another."""
    found = sorted({config.provider for config in configs if config.api_key is None})
    if len(found) > 1:
        raise ConfigError(
            f"'api_key' would go to {' and '.join(found)}; give each model its own 'api_key'",
            param="api_key",
        )
