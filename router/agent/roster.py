"""The models that may be asked: clients, prices and limits, and which chain serves a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..chat import ChatRequest, Usage
from ..config import DEFAULT_DOMAIN, ModelConfig, nearest
from ..engine import Engine
from ..errors import ConfigError, UnknownModelError
from ..planner import MAX_DRAFTERS
from ..prices import Price, price_of
from ..providers.client import ModelClient
from ..providers.transport import Transport
from ..types import Prediction

__all__ = ["Member", "ModelPool", "Roster"]


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model, ready to be asked. `price` is that of its own provider as of now, None when it is
    unknown."""

    config: ModelConfig
    client: ModelClient
    price: Price | None

    @property
    def name(self) -> str:
        return self.config.name

    def params(self, request: ChatRequest) -> Mapping[str, Any]:
        """The parameters of a call: the request's, and the configured ones it does not set."""
        configured = self.config.params
        return {**configured, **request.params} if configured else request.params

    def price_for(self, request: ChatRequest) -> Price | None:
        """The price of this very call: a service tier can have one of its own."""
        return self.client.endpoint.price(request.params)


class ModelPool:
    """Models by name, each with one client for all chains that it is in.

    Raises ConfigError when one name stands for two models, a fallback is not configured, or a
    provider or its key is missing.
    """

    def __init__(
        self,
        models: Sequence[ModelConfig],
        transport: Transport,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._members = {
            name: Member(
                config=config,
                client=ModelClient(config, transport, environ=environ),
                price=price_of(config),
            )
            for name, config in _by_name(models).items()
        }

    @property
    def members(self) -> tuple[Member, ...]:
        return tuple(self._members.values())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def member(self, name: str) -> Member:
        """The model of that name; UnknownModelError when there is none."""
        found = self._members.get(name)
        if found is None:
            known, hint = ", ".join(self._members), nearest(name, self._members)
            raise UnknownModelError(
                f"model {name!r} is not configured ({known}){hint}", param="models"
            )
        return found

    def introduce_to(self, engine: Engine) -> None:
        """Let the models that the artifact does not know start from what name and price suggest."""
        for member in self.members:
            price = member.price
            engine.introduce(
                member.name,
                input_cost=None if price is None else price.input_cost,
                output_cost=None if price is None else price.output_cost,
            )


class Roster:
    """The chains of one cascade, of models in a pool: `models`, and those of `domains`.

    Raises ConfigError when there is no model, or one comes twice in a chain.
    """

    def __init__(
        self, pool: ModelPool, models: Sequence[str], domains: Mapping[str, Sequence[str]]
    ) -> None:
        if not models and DEFAULT_DOMAIN not in domains:
            raise ConfigError("'models' is empty, expected at least one model", param="models")
        for chain in (models, *domains.values()):
            _refuse_repeats(chain)
        self._pool = pool
        everyone = (*models, *(name for chain in domains.values() for name in chain))
        self.names = tuple(dict.fromkeys(everyone))
        self._chains = {domain: tuple(chain) for domain, chain in domains.items()}
        self._default = self._chains.get(DEFAULT_DOMAIN) or self.ordered(models)

    def member(self, name: str) -> Member:
        """The model of that name; UnknownModelError when there is none."""
        return self._pool.member(name)

    def chain(self, domain: str, prediction: Prediction) -> tuple[str, ...]:
        """The chain for a query of `domain`: its own, else the default; of more than MAX_DRAFTERS
        drafters those most likely to succeed, in the chain's order."""
        return self.shortened(self._chains.get(domain, self._default), prediction)

    def shortened(self, chain: Sequence[str], prediction: Prediction) -> tuple[str, ...]:
        """`chain` with at most MAX_DRAFTERS drafters."""
        drafters, verifier = chain[:-1], chain[-1]
        if len(drafters) > MAX_DRAFTERS:
            best = sorted(drafters, key=lambda name: -prediction.p_success[name])[:MAX_DRAFTERS]
            drafters = tuple(name for name in drafters if name in best)
        return (*drafters, verifier)

    def ordered(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names from cheap to dear, so that the verifier is last; as given when a price is not
        known. The price is (3 x input + output) / 4, the usual blend."""
        given = tuple(names)
        prices = {name: self.member(name).price for name in given}
        if any(price is None for price in prices.values()):
            return given
        blend = Usage(prompt_tokens=750_000, completion_tokens=250_000)
        return tuple(sorted(given, key=lambda name: prices[name].cost_usd(blend)))  # type: ignore[union-attr]


def _refuse_repeats(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"model {name!r} is twice in one chain", param="models")


def _by_name(configs: Sequence[ModelConfig]) -> dict[str, ModelConfig]:
    found: dict[str, ModelConfig] = {}
    for config in configs:
        if found.setdefault(config.name, config) != config:
            raise ConfigError(
                f"two different models are named {config.name!r}; give one another name and say "
                "with 'model' what it is called upstream",
                param="models",
            )
    for config in found.values():
        for name in config.fallbacks:
            if name not in found or name == config.name:
                raise ConfigError(
                    f"fallback {name!r} of model {config.name!r} is not another configured model",
                    param="fallbacks",
                )
    return found
