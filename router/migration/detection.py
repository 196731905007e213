"""Which of the two forms a configuration is in: told by the keys that only one of them knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from ..config import CascadeConfig, DomainConfig, ModelConfig, QualityConfig
from .form import FileForm, ModelForm, QualityForm

__all__ = ["first_key_of_ours", "is_cascadeflow"]

_Names = frozenset[str]
_TOP: Final = (frozenset(CascadeConfig.model_fields), frozenset(FileForm.model_fields))
_MODEL: Final = (frozenset(ModelConfig.model_fields), frozenset(ModelForm.model_fields))
_QUALITY: Final = (frozenset(QualityConfig.model_fields), frozenset(QualityForm.model_fields))


def is_cascadeflow(given: Mapping[str, Any], *, file_name: str = "") -> bool:
    """Whether a configuration is in cascadeflow's form: it has keys that only cascadeflow knows,
    or none that only we know and a file name that cascadeflow looks for."""
    if next(_keys_of_theirs(given), None):
        return True
    named_so = PurePath(file_name).stem.lstrip(".") == "cascadeflow"
    return named_so and first_key_of_ours(given) is None


def first_key_of_ours(given: Mapping[str, Any]) -> str | None:
    """The first key that only we know, as a path; None when there is none."""
    return next(_keys_of_ours(given), None)


def _keys_of_ours(given: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys_among(given, *((ours - theirs) for ours, theirs in (_TOP, _MODEL, _QUALITY)))
    for key in _mapping(given.get("domains")):
        if key in DomainConfig.model_fields:
            yield f"domains.{key}"
    if isinstance(given.get("budget"), Mapping):
        yield "budget"  # cascadeflow's is a number


def _keys_of_theirs(given: Mapping[str, Any]) -> Iterator[str]:
    yield from _keys_among(given, *((theirs - ours) for ours, theirs in (_TOP, _MODEL, _QUALITY)))
    for name, domain in _mapping(given.get("domains")).items():
        if _mapping(domain).keys() & {"drafter", "verifier"}:
            yield f"domains.{name}"


def _keys_among(
    given: Mapping[str, Any], top: _Names, model: _Names, quality: _Names
) -> Iterator[str]:
    yield from (key for key in given if key in top)
    models = given.get("models")
    for index, one in enumerate(models if isinstance(models, list | tuple) else ()):
        yield from (f"models[{index}].{key}" for key in _mapping(one) if key in model)
    yield from (f"quality.{key}" for key in _mapping(given.get("quality")) if key in quality)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
