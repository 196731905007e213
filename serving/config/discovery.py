"""A gateway without a configuration: from the keys and local servers that are there.

The pool has a cheap and a strong model of every provider whose key is in the environment, and the
models of local servers. AUTO drafts with what costs least and asks the dearest last; "local" stays
on this machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from router.chat import Usage
from router.config import ModelConfig
from router.errors import ConfigError
from router.prices import price_of
from router.providers.catalogue import PROVIDERS

from .cascade_settings import CascadeSettings
from .gateway_config import AUTO, ENCODER_MODEL, GatewayConfig
from .local_servers import LocalModel, Probe, fetch, find_local_servers
from .starting_models import STARTING_MODELS

__all__ = ["LOCAL", "Discovery", "discover", "discovered_config", "no_models_hint"]

LOCAL: Final = "local"
"""The cascade of local models, where AUTO has others too."""

_DRAFTERS: Final = 2  # that agree are the best evidence there is; a third adds little


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What was found, and what can be made of it.

    keys: the variables that hold a provider's key, by provider. local: models of local servers.
    notes: what was asked for but not found.
    """

    keys: Mapping[str, str]
    local: tuple[LocalModel, ...]
    notes: tuple[str, ...]
    models: tuple[ModelConfig, ...]
    cascades: Mapping[str, CascadeSettings]
    embeddings: tuple[ModelConfig, ...]


def discover(environ: Mapping[str, str], probe: Probe = fetch) -> Discovery:
    """Look at the environment, and ask local servers. Takes half a second at most.

    Not within a running event loop, as it runs one.
    """
    keys = _find_keys(environ)
    servers = asyncio.run(find_local_servers(environ, probe))
    pool = _Pool()
    paid = [
        (pool.add(STARTING_MODELS[provider].cheap), pool.add(STARTING_MODELS[provider].strong))
        for provider in keys
    ]
    chat = sorted((one for one in servers.models if not one.embeds), key=_size)
    local = [pool.add(_free(one)) for one in chat]
    embeddings = [pool.add(_free(one)) for one in servers.models if one.embeds]
    return Discovery(
        keys=keys,
        local=servers.models,
        notes=servers.notes,
        models=tuple(one for one in pool.models if one not in embeddings),
        cascades=_cascades(paid, local),
        embeddings=tuple(embeddings),
    )


def _find_keys(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variable that holds a key, for each provider that has one to start with."""
    found: dict[str, str] = {}
    for provider in STARTING_MODELS:
        for variable in PROVIDERS[provider].key_variables:
            if environ.get(variable, "").strip():
                found.setdefault(provider, variable)
    return found


def discovered_config(config: GatewayConfig, found: Discovery) -> GatewayConfig:
    """`config` with the models and cascades that were found; it must not have any of its own.

    Raises ConfigError when it has, or nothing was found.
    """
    if config.models or config.cascades:
        raise ConfigError(
            "the configuration has models already; --discover is for starting without any",
            param="models",
        )
    if not found.models:
        raise ConfigError(
            "; ".join(("nothing to discover: no key and no local server", *found.notes))
        )
    return config.model_copy(
        update={
            "models": found.models,
            "cascades": found.cascades,
            "embeddings": config.embeddings or found.embeddings,
        }
    )


def no_models_hint(environ: Mapping[str, str]) -> str:
    """One line for a gateway that has no model at all: what it can do, and how to get further."""
    able = "no models: only /v1/route, /v1/validate and embeddings are served"
    if keys := _find_keys(environ):
        return (
            f"{able}. {' and '.join(keys.values())} {'are' if len(keys) > 1 else 'is'} set: start "
            "with --discover, or let 'sluice init' write sluice.yaml"
        )
    return (
        f"{able}. Set OPENAI_API_KEY, ANTHROPIC_API_KEY or another provider's key, or start Ollama "
        "or vLLM; then use --discover, or let 'sluice init' write sluice.yaml"
    )


class _Pool:
    """Models under names that are nobody else's."""

    def __init__(self) -> None:
        self.models: list[ModelConfig] = []

    def add(self, model: ModelConfig) -> ModelConfig:
        """`model`, its provider put before its name where the name is taken."""
        taken = {AUTO, LOCAL, ENCODER_MODEL, *(one.name for one in self.models)}
        if model.name in taken:
            name = f"{model.provider}/{model.name}"
            model = model.model_copy(update={"name": name, "model": model.name})
        self.models.append(model)
        return model


def _cascades(
    paid: Sequence[tuple[ModelConfig, ModelConfig]], local: Sequence[ModelConfig]
) -> dict[str, CascadeSettings]:
    """Drafters before a verifier; `local` is in the order of size."""
    if not paid:
        return {AUTO: _cascade(local)} if local else {}
    verifier = max((strong for _, strong in paid), key=_blended_usd)
    drafters = list(local[-_DRAFTERS:])
    for cheap in sorted((cheap for cheap, _ in paid), key=_blended_usd):
        if len(drafters) < _DRAFTERS and not _same_model(cheap, (*drafters, verifier)):
            drafters.append(cheap)
    while sum(map(_blended_usd, drafters)) >= _blended_usd(verifier):
        drafters.pop()  # the dearest: drafting would cost more than asking at once
    cascades = {AUTO: _cascade((*drafters, verifier))}
    return {**cascades, LOCAL: _cascade(local)} if local else cascades


def _cascade(models: Sequence[ModelConfig]) -> CascadeSettings:
    return CascadeSettings(models=tuple(model.name for model in models))


def _same_model(model: ModelConfig, others: Iterable[ModelConfig]) -> bool:
    """Whether one of `others` is the same, had elsewhere: two of them agreeing says nothing."""
    return any(_bare(model) == _bare(other) for other in others)


def _bare(model: ModelConfig) -> str:
    return (model.model or model.name).rpartition("/")[2].lower()


def _blended_usd(model: ModelConfig) -> float:
    """USD for 750,000 tokens read and 250,000 written, the usual blend."""
    price = price_of(model)
    assert price is not None  # of the table's models, which a test looks up, and of local ones
    return price.cost_usd(Usage(prompt_tokens=750_000, completion_tokens=250_000))


def _free(model: LocalModel) -> ModelConfig:
    return ModelConfig(
        name=model.name, provider=model.provider, cost=0.0, max_tokens=model.max_tokens
    )


def _size(model: LocalModel) -> float:
    """Billions of parameters; a model that does not tell is taken for a large one."""
    return float("inf") if model.billions is None else model.billions
