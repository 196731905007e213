"""cascadeflow's configurations in our terms, with a note for what is left out or changes meaning.

What it accepts without effect (a model's temperature, a chain whose models it cannot find) is
either done here or refused, and a note says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from ..config import (
    CascadeConfig,
    DomainConfig,
    ModelConfig,
    QualityConfig,
    nearest,
    parse_config,
)
from ..errors import ConfigError
from .detection import first_key_of_ours
from .form import DOMAINS, CascadeForm, DomainForm, FileForm, LeftOut, ModelForm, QualityForm

__all__ = ["Migrated", "migrate"]

_COMPLEXITIES: Final = frozenset({"trivial", "simple", "moderate", "hard", "expert"})
_UNKNOWN_COST: Final = 0.001  # what a model without a price is taken to cost, USD per 1K tokens
_BASE_IS_ROOT: Final = frozenset({"huggingface", "ollama"})  # base_url is the server's, no /v1
_NO_HOST: Final = frozenset({"custom", "huggingface", "replicate"})  # here nothing without base_url


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """A configuration of ours, and what of the other one was left out or changed.

    A note begins with the keys it is about and holds none of their values.
    """

    config: CascadeConfig
    notes: tuple[str, ...]


def migrate(given: Mapping[str, Any]) -> Migrated:
    """A configuration in cascadeflow's form as one of ours.

    Raises ConfigError naming every key that is wrong or that cascadeflow does not know, a chain
    that names no model, and a configuration that mixes both forms.
    """
    own = first_key_of_ours(given)
    if own:
        raise ConfigError(
            f"'{own}' is Sluice's, in a configuration of cascadeflow's form; write one form "
            "throughout (docs/migration.md has the names)",
            param=own,
        )
    form = parse_config(FileForm, given)
    notes = _Notes()
    for part, path in ((form, ""), (form.settings, "settings"), (form.cascade, "cascade")):
        notes.left_out(part, path)
    listed = [
        _model(model, f"models[{index}]", form.cascade, notes)
        for index, model in enumerate(form.models)
    ]
    models = sorted(listed, key=lambda one: _UNKNOWN_COST if one.cost is None else one.cost)
    if models != listed:
        notes.add("models", "put in order of cost, as cascadeflow does")
    domains = _domains(form, {model.name: model for model in models}, notes)
    if not form.settings.enable_cascade:
        models, domains = models[-1:], None
        notes.add(
            "settings.enable_cascade",
            "only the most expensive model is kept, which is the one that cascadeflow asks then",
        )
    config = parse_config(
        CascadeConfig,
        {
            "models": models,
            "quality": _quality(form.quality, form.cascade, notes),
            "domains": domains,
        },
    )
    return Migrated(config=config, notes=notes.lines)


class _Notes:
    """Notes under way: the keys that each remark is about, in the order they came up."""

    def __init__(self) -> None:
        self._keys: dict[str, list[str]] = {}

    def add(self, key: str, remark: str) -> None:
        self._keys.setdefault(remark, []).append(key)

    def left_out(self, form: BaseModel, path: str) -> None:
        """A note for each field of `form` that was given and has no meaning here."""
        for name, field in type(form).model_fields.items():
            marks = [one for one in field.metadata if isinstance(one, LeftOut)]
            if marks and name in form.model_fields_set:
                self.add(f"{path}.{name}" if path else name, f"left out; {marks[0].why}")

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(f"{', '.join(keys)}: {remark}" for remark, keys in self._keys.items())


def _model(form: ModelForm, where: str, cascade: CascadeForm, notes: _Notes) -> ModelConfig:
    notes.left_out(form, where)
    provider = form.provider.strip().lower()
    if provider in _NO_HOST and not form.base_url:
        raise ConfigError(
            f"'{where}.provider': {provider} is reached by an OpenAI-compatible API only; "
            f"give its address in '{where}.base_url'",
            param=f"{where}.provider",
        )
    params = form.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    for name in params:
        notes.add(
            f"{where}.{name}",
            "sent by every call that does not set its own, as 'params'; cascadeflow reads it and "
            "sends fixed defaults instead",
        )
    api_base = form.base_url
    if api_base and provider in _BASE_IS_ROOT and not api_base.rstrip("/").endswith("/v1"):
        api_base = f"{api_base.rstrip('/')}/v1"
        notes.add(f"{where}.base_url", "'/v1' is added, where the OpenAI-compatible API is")
    given = {
        "name": form.name,
        "provider": provider,
        "cost": form.cost,
        "api_base": api_base,
        "api_key": form.api_key,
        "params": params,
    }
    if cascade.max_retries is not None:
        given["max_retries"] = cascade.max_retries
    if cascade.timeout is not None:
        given["timeout"] = {"total_s": cascade.timeout}
    return parse_config(ModelConfig, given, where=where)


def _domains(
    form: FileForm, models: Mapping[str, ModelConfig], notes: _Notes
) -> DomainConfig | None:
    chains = {}
    for name, domain in form.domains.items():
        where, ours = f"domains.{name}", DOMAINS[name]
        if ours is None:
            notes.add(where, "left out; no such domain is told apart here")
        elif not domain.enabled:
            notes.add(where, "left out; it is disabled")
        else:
            notes.left_out(domain, where)
            if name == "general":
                notes.add(where, "serves every domain without a chain of its own, as DEFAULT")
            chains[ours] = _chain(domain, where, form.cascade, models, notes)
    if not chains:
        return None
    return DomainConfig(enabled=form.settings.enable_domain_detection, domains=chains)


def _chain(
    domain: DomainForm,
    where: str,
    cascade: CascadeForm,
    models: Mapping[str, ModelConfig],
    notes: _Notes,
) -> tuple[ModelConfig, ...]:
    drafter, verifier = (
        _chain_model(given, f"{where}.{role}", cascade, models, notes)
        for role, given in (("drafter", domain.drafter), ("verifier", domain.verifier))
    )
    params = domain.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    for name in params:
        notes.add(
            f"{where}.{name}",
            "sent by this chain's calls that do not set their own, as 'params'; in cascadeflow it "
            "wins over the call's own",
        )
    chain = (drafter, verifier) if drafter.name != verifier.name else (verifier,)
    if domain.require_verifier:
        notes.add(f"{where}.require_verifier", "the chain is the verifier alone")
        chain = (verifier,)
    if not params and not domain.fallback_models:
        return chain
    return tuple(
        _variant(
            model,
            suffix=where.rpartition(".")[2],
            params=params,
            fallbacks=domain.fallback_models if model is verifier else (),
        )
        for model in chain
    )


def _chain_model(
    given: Any, where: str, cascade: CascadeForm, models: Mapping[str, ModelConfig], notes: _Notes
) -> ModelConfig:
    if not isinstance(given, str):
        return _model(parse_config(ModelForm, given, where=where), where, cascade, notes)
    found = models.get(given)
    if found is None:
        raise ConfigError(
            f"'{where}': no model of 'models' is called {given!r}, so cascadeflow would ask "
            f"another one instead{nearest(given, models)}",
            param=where,
        )
    return found


def _variant(
    model: ModelConfig, *, suffix: str, params: Mapping[str, Any], fallbacks: tuple[str, ...]
) -> ModelConfig:
    """`model` as one domain wants it. It has a name of its own, since one name is one model; what
    is known of "gpt-4o" is known of "gpt-4o@code"."""
    return model.model_copy(
        update={
            "name": f"{model.name}@{suffix}",
            "model": model.model or model.name,
            "params": {**model.params, **params},
            "fallbacks": fallbacks,
        }
    )


def _quality(form: QualityForm, cascade: CascadeForm, notes: _Notes) -> QualityConfig:
    notes.left_out(form, "quality")
    floors = {
        "quality.threshold": form.threshold,
        "quality.confidence_thresholds": _same_for_all(
            form.confidence_thresholds, "quality.confidence_thresholds", notes
        ),
        "cascade.quality_threshold": cascade.quality_threshold,
    }
    given = {key: value for key, value in floors.items() if value is not None}
    if len(set(given.values())) > 1:
        raise ConfigError(f"{' and '.join(given)} differ; keep one", param=next(iter(given)))
    for key in given:
        notes.add(
            key,
            "is 'quality.confidence_threshold', the least calibrated probability of an accepted "
            "draft; cascadeflow compares it with a heuristic score",
        )
    min_length = _same_for_all(form.min_length_thresholds, "quality.min_length_thresholds", notes)
    quality = {"min_length": min_length, "confidence_threshold": next(iter(given.values()), None)}
    return parse_config(
        QualityConfig, {k: v for k, v in quality.items() if v is not None}, where="quality"
    )


def _same_for_all(levels: Mapping[str, float], key: str, notes: _Notes) -> float | None:
    """The one value of every complexity; None, with a note, where they differ."""
    if not levels:
        return None
    values = set(levels.values())
    if len(values) == 1 and levels.keys() == _COMPLEXITIES:
        return values.pop()
    notes.add(key, "left out; queries are not graded by complexity here: see 'target_quality'")
    return None
