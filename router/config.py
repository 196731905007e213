"""How a cascade is configured: models, quality, domains, budgets. Read once, checked hard.

Pydantic values, frozen; a wrong or unknown field is refused by name (`parse_config` makes one
ConfigError of what pydantic finds). Keys never show in a repr.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from .domains import DOMAINS, GENERAL
from .errors import ConfigError

if TYPE_CHECKING:  # a checker needs its name, which pydantic does not give away
    from pydantic._internal._model_construction import ModelMetaclass as _ModelMetaclass
else:
    _ModelMetaclass = type(BaseModel)

__all__ = [
    "DEFAULT_DOMAIN",
    "DOMAIN_KEYS",
    "BudgetConfig",
    "BudgetStatus",
    "CascadeConfig",
    "DomainConfig",
    "EndpointConfig",
    "Fault",
    "ModelConfig",
    "QualityConfig",
    "StreamPolicy",
    "StrictConfig",
    "TimeoutConfig",
    "check_domain",
    "find_faults",
    "nearest",
    "parse_config",
]

DEFAULT_DOMAIN: Final = "DEFAULT"
DOMAIN_KEYS: Final = (*(name for name in DOMAINS if name != GENERAL), DEFAULT_DOMAIN)
StreamPolicy = Literal["buffered", "optimistic"]

_Usd = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
_Limit = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(gt=0.0, le=86_400.0)]
_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Config = TypeVar("_Config", bound=BaseModel)
_CONTAINERS: Final = (tuple, Mapping)


class _Loud(_ModelMetaclass):
    """What is made by calling the class raises ConfigError too, as what is read by `parse_config`
    does. Values inside others go through `model_validate`, which is left alone."""

    def __call__(cls: Any, *args: Any, **given: Any) -> Any:  # noqa: N805 - of a metaclass
        try:
            return super().__call__(*args, **given)
        except ValidationError as exc:
            raise _config_error(cls, exc, where="") from None


class StrictConfig(BaseModel, metaclass=_Loud):
    """A part of a configuration: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TimeoutConfig(StrictConfig):
    """Seconds until a call counts as failed: to connect, to the first token, and in all, retries
    not counted. The first token counts for streams only: a plain call is bounded by `total_s`."""

    connect_s: _Seconds = 5.0
    first_token_s: _Seconds = 60.0
    total_s: _Seconds = 600.0


class EndpointConfig(StrictConfig):
    """One more place where a model can be had; what is None is the model's own."""

    provider: Annotated[str, Field(min_length=1)] | None = None
    api_base: str | None = None
    api_key: SecretStr | None = None
    model: str | None = None


class ModelConfig(StrictConfig):
    """One model of a cascade.

    name: what it is called here, in results, and, unless `model` says otherwise, upstream.
    provider: one of the known ones, or any name together with `api_base`.
    cost: USD per 1,000 tokens, input and output alike; or input_cost, output_cost,
        cached_input_cost, cache_write_cost: USD per 1,000,000 tokens. Left out, the price
        catalogue is asked for exactly this model.
    api_base: where its API is, path prefix included ("http://127.0.0.1:8000/v1").
    api_key: by default from the provider's usual environment variable.
    max_tokens: the most tokens the model can write. Sent only where a provider demands a limit;
        budgets reckon with it.
    logprobs: whether log-probabilities may be asked for; None leaves it to what is known of the
        provider.
    headers: sent with every call, to every endpoint.
    params: sent with every call that leaves them open, in the words of `provider`, whatever
        dialect the call itself is in ("stop_sequences" for anthropic, "stop" for all others). An
        endpoint of another dialect gets them translated.
    endpoints: further places to ask when the first fails, in order.
    fallbacks: names of other configured models to ask when all of its endpoints fail.
    """

    name: Annotated[str, Field(min_length=1)]
    provider: Annotated[str, Field(min_length=1)] = "openai"
    model: str | None = None
    cost: _Usd | None = None
    input_cost: _Usd | None = None
    output_cost: _Usd | None = None
    cached_input_cost: _Usd | None = None
    cache_write_cost: _Usd | None = None
    api_base: Annotated[str | None, Field(repr=False)] = None  # some hold a key in their query
    api_key: SecretStr | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    headers: Mapping[str, str] = Field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = Field(default_factory=dict)
    timeout: TimeoutConfig = TimeoutConfig()
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    endpoints: tuple[EndpointConfig, ...] = ()
    fallbacks: tuple[str, ...] = ()

    @field_validator("provider")
    @classmethod
    def _provider_is_lower_case(cls, provider: str) -> str:
        return provider.strip().lower()

    @field_validator("api_base")
    @classmethod
    def _api_base_is_a_url(cls, api_base: str | None) -> str | None:
        if api_base is not None and not api_base.startswith(("http://", "https://")):
            raise ValueError("should begin with http:// or https://")
        return api_base

    @model_validator(mode="after")
    def _one_way_to_say_the_price(self) -> ModelConfig:
        if self.cost is not None and (self.input_cost is not None or self.output_cost is not None):
            raise ValueError("give 'cost' or 'input_cost' and 'output_cost', not both")
        if (self.input_cost is None) != (self.output_cost is None):
            raise ValueError("give both 'input_cost' and 'output_cost', or neither")
        return self


class QualityConfig(StrictConfig):
    """What an answer has to be.

    min_length, max_length: characters of a draft; one outside is not accepted.
    confidence_threshold: the least p_acceptable of an accepted draft, beside what the calibrated
        policy asks for.
    semantic_similarity: the cosine from which two drafts of prose count as saying the same.
    target_quality: the share of the verifier's quality to keep; chooses the policy's thresholds.
    return_rejected_draft: when the verifier fails after a draft was rejected, return that draft,
        marked as rejected, instead of raising. A draft that fails a hard check is never returned.
    optimistic_above: p_success from which the stream policy "optimistic" streams a draft at once.
    """

    min_length: Annotated[int, Field(ge=0)] = 1
    max_length: Annotated[int, Field(ge=1)] | None = None
    confidence_threshold: _Share | None = None
    semantic_similarity: _Share | None = None
    target_quality: _Share | None = None
    return_rejected_draft: bool = False
    optimistic_above: _Share = 0.9

    @model_validator(mode="after")
    def _lengths_leave_room(self) -> QualityConfig:
        if self.max_length is not None and self.max_length < self.min_length:
            raise ValueError("'max_length' is below 'min_length'")
        return self


class DomainConfig(StrictConfig):
    """Chains of their own for some domains, cheapest model first, the verifier last.

    Keys are DOMAIN_KEYS; DEFAULT serves every domain without a chain, the agent's own models
    where there is no DEFAULT.
    """

    enabled: bool = True
    domains: Mapping[str, tuple[ModelConfig, ...]]

    @field_validator("domains")
    @classmethod
    def _domains_are_known(
        cls, domains: Mapping[str, tuple[ModelConfig, ...]]
    ) -> Mapping[str, tuple[ModelConfig, ...]]:
        for name, chain in domains.items():
            check_domain(name, chain)
        return domains


class BudgetStatus(StrictConfig):
    """What `on_limit_exceeded` is told: which limit, how much of it is spent or reserved (USD)."""

    scope: str
    limit_usd: float
    spent_usd: float
    resets_in_s: float
    user: str | None = None


class BudgetConfig(StrictConfig):
    """Limits in USD; days and months are UTC's.

    What a call might cost at most is reserved before it is made and settled afterwards, so limits
    hold for any number of concurrent calls and processes that share `store`.
    action: what to do when the verifier's call does not fit any more: "refuse" raises
        BudgetExceededError; "drafters_only" goes on with drafters while theirs fit.
    on_limit_exceeded: called once per refused call with a BudgetStatus.
    store: SQLite file that keeps what was spent; by default $SLUICE_STORE, else
        .sluice/ledger.db under the working directory.
    """

    daily_limit: _Limit | None = None
    monthly_limit: _Limit | None = None
    per_user_daily_limit: _Limit | None = None
    per_user_monthly_limit: _Limit | None = None
    action: Literal["refuse", "drafters_only"] = "refuse"
    on_limit_exceeded: Callable[[BudgetStatus], Any] | None = None
    store: Path | None = None


class CascadeConfig(StrictConfig):
    """A whole cascade, as a configuration file holds it.

    models: cheapest first, the verifier last. May be empty where a DEFAULT chain stands in.
    stream_policy: "buffered" streams a draft once it is accepted; "optimistic" streams what is
        likely to be right at once.
    preset: the name of the preset that it started from.

    One name is one model: where a chain repeats a name, it repeats the whole model.
    """

    models: tuple[ModelConfig, ...] = ()
    quality: QualityConfig = QualityConfig()
    domains: DomainConfig | None = None
    budget: BudgetConfig | None = None
    stream_policy: StreamPolicy = "buffered"
    preset: str | None = None

    @model_validator(mode="after")
    def _names_fit_together(self) -> CascadeConfig:
        chains = {"models": self.models}
        for domain, chain in (self.domains.domains if self.domains else {}).items():
            chains[f"domains.domains.{domain}"] = chain
        stand_in = self.domains and self.domains.enabled and DEFAULT_DOMAIN in self.domains.domains
        if not self.models and not stand_in:
            raise ValueError("'models' is empty, expected at least one model")
        known: dict[str, ModelConfig] = {}
        for where, chain in chains.items():
            for index, model in enumerate(chain):
                spot, name = f"{where}[{index}]", model.name
                if any(name == earlier.name for earlier in chain[:index]):
                    raise ValueError(f"'{spot}.name': {name!r} is there twice")
                if known.setdefault(name, model) != model:
                    raise ValueError(
                        f"'{spot}.name': another model is called {name!r} too; name one of them "
                        "otherwise and say with 'model' what it is called upstream"
                    )
        for name, model in known.items():
            for other in model.fallbacks:
                if other not in known or other == name:
                    hint = nearest(other, known.keys() - {name})
                    raise ValueError(
                        f"'fallbacks' of {name!r}: no other model is called {other!r}{hint}"
                    )
        return self


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong: the key's path ("models[1].cost", '' for the whole) and what is said
    of it, which never holds the value."""

    path: str
    message: str
    unknown: bool = False

    def __str__(self) -> str:
        if not self.path:
            return self.message
        return f"'{self.path}'{'' if self.unknown else ':'} {self.message}"


def check_domain(name: str, chain: Sequence[object]) -> None:
    """Raise ValueError unless `name` is one of DOMAIN_KEYS and `chain` has a model."""
    if name not in DOMAIN_KEYS:
        near = get_close_matches(name.upper(), DOMAIN_KEYS, n=1, cutoff=0.0)[0]
        known = ", ".join(DOMAIN_KEYS)
        raise ValueError(f"unknown domain {name!r}; did you mean {near}? ({known})")
    if not chain:
        raise ValueError(f"the chain of {name} is empty")


def parse_config(kind: type[_Config], given: Any, *, where: str = "") -> _Config:
    """`given` (a mapping, or already a `kind`) as a `kind`; ConfigError naming every wrong key.

    `where` is what the value is called in the caller's words ("models[1]").
    """
    if isinstance(given, kind):
        return given
    try:
        return kind.model_validate(given)
    except ValidationError as exc:
        raise _config_error(kind, exc, where=where) from None


def find_faults(kind: type[BaseModel], exc: ValidationError, *, where: str = "") -> list[Fault]:
    """What pydantic found wrong with a value of `kind` that is called `where`, in our words."""
    faults = exc.errors(include_input=False, include_url=False)
    return [_fault(kind, where, fault["loc"], fault["type"], fault["msg"]) for fault in faults]


def nearest(name: str, known: Iterable[str]) -> str:
    """What to append to a message about an unknown name: "; did you mean ...?", or nothing."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _config_error(kind: type[BaseModel], exc: ValidationError, *, where: str) -> ConfigError:
    faults = find_faults(kind, exc, where=where)
    return ConfigError("; ".join(map(str, faults)), param=faults[0].path or None)


def _fault(
    kind: type[BaseModel], where: str, loc: tuple[int | str, ...], fault: str, message: str
) -> Fault:
    path = _path(where, loc)
    if fault == "extra_forbidden":
        hint = nearest(str(loc[-1]), _fields_at(kind, loc[:-1]))
        return Fault(path=path, message=f"is not known{hint}", unknown=True)
    said = message.removeprefix("Value error, ")
    return Fault(path=path, message=f"{said[:1].lower()}{said[1:]}" if path else said)


def _fields_at(kind: Any, loc: Iterable[int | str]) -> Iterable[str]:
    """The field names of the model that `loc` leads to, through lists and mappings of models."""
    steps = iter(loc)
    for step in steps:
        kind = kind.model_fields[step].annotation
        while inner := [one for one in get_args(kind) if one not in (NoneType, Ellipsis)]:
            if get_origin(kind) in _CONTAINERS:
                next(steps, None)  # an index, or the key of a mapping
            kind = inner[-1]
    return tuple(kind.model_fields)


def _path(where: str, loc: tuple[int | str, ...]) -> str:
    path = where
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path
