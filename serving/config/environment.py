"""SLUICE_* variables: which there are, what they set, and a word about those that nobody knows.

Every scalar of every section is SLUICE_<SECTION>_<FIELD>. Those of `server` go without the section
too, and some have a short name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr

from router.config import Fault, nearest

from .gateway_config import GatewayConfig

__all__ = ["PREFIX", "variables_of_sections", "variables_set", "warn_of_unknown"]

PREFIX: Final = "SLUICE_"

_SHORT: Final = MappingProxyType(
    {
        "SLUICE_MODELS": "server.models_root",
        "SLUICE_ADMIN_KEY": "auth.admin_key",
        "SLUICE_RETENTION_DAYS": "store.retention_days",
        "SLUICE_STORE_TEXT": "store.store_text",
    }
)
# What other parts of Sluice, and its tests, go by.
_ELSEWHERE: Final = frozenset(
    {
        "SLUICE_CONFIG",
        "SLUICE_DEBUG",
        "SLUICE_KILLS",
        "SLUICE_LITELLM",
        "SLUICE_STORE",
        "SLUICE_WRITE_DOCS",
    }
)
# What Kubernetes puts into every pod beside a Service called "sluice".
_SERVICE_LINK = re.compile(r"SLUICE_(SERVICE_(HOST|PORT\w*)|PORT_\d+_(TCP|UDP)\w*)")
_SERVICE_PORT = re.compile(r"(tcp|udp)://")
_SCALARS: Final = (bool, int, float, str, Path, SecretStr)


@cache
def variables_of_sections() -> Mapping[str, str]:
    """Every variable and the path that it sets ("store.url"); of a path's names the first is the
    one to show."""
    found = dict(_SHORT)
    for section, field in _scalar_fields():
        path = f"{section}.{field}"
        if section == "server" and path not in _SHORT.values():
            found[f"{PREFIX}{field.upper()}"] = path
        found[f"{PREFIX}{section.upper()}_{field.upper()}"] = path
    return MappingProxyType(found)


def variables_set(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    """Which variable sets each path in `environ`, and what is wrong with that."""
    chosen: dict[str, str] = {}
    faults = []
    for name, path in variables_of_sections().items():
        value = environ.get(name)
        if value is None or (name == "SLUICE_PORT" and _SERVICE_PORT.match(value)):
            continue
        if not value:
            faults.append(_fault(f"{name}: is empty; give it a value or unset it"))
        elif path not in chosen:
            chosen[path] = name
        elif environ[chosen[path]] != value:
            faults.append(_fault(f"{chosen[path]} and {name} differ and are one; unset either"))
    return chosen, faults


def warn_of_unknown(environ: Mapping[str, str], *, used: Iterable[str] = ()) -> tuple[str, ...]:
    """A warning for each SLUICE_* variable that nothing reads; `used` are further known names."""
    known = {*variables_of_sections(), *_ELSEWHERE, *used}
    return tuple(
        f"the environment variable {name} is not known, and not used{nearest(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.fullmatch(name)
    )


def _fault(message: str) -> Fault:
    return Fault(path="", message=message)


def _scalar_fields() -> Iterator[tuple[str, str]]:
    for section, info in GatewayConfig.model_fields.items():
        kinds = [one for one in _alternatives(info.annotation) if one is not NoneType]
        if len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], BaseModel):
            for field, inner in kinds[0].model_fields.items():
                if all(_is_scalar(one) for one in _alternatives(inner.annotation)):
                    yield section, field


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """What a union is of, and anything else by itself."""
    if annotation in (None, NoneType) or get_origin(annotation) in (Literal, tuple, Mapping):
        return (annotation,)
    return get_args(annotation) or (annotation,)


def _is_scalar(annotation: Any) -> bool:
    while hasattr(annotation, "__metadata__"):  # Annotated
        annotation = get_args(annotation)[0]
    return annotation in (*_SCALARS, NoneType) or get_origin(annotation) is Literal
