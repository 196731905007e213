"""A gateway's configuration, read: command line over environment over file over defaults.

Everything that is wrong is said at once, by the name that the caller knows it by: an option, a
variable, or a key of the file. Values never show, as they may be secrets.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from router.config import Fault, find_faults
from router.config_file import References, read_mapping
from router.errors import ConfigError

from .cascade_settings import CascadeSettings
from .environment import variables_of_sections, variables_set, warn_of_unknown
from .gateway_config import GatewayConfig
from .pool import gather_models

__all__ = ["DEFAULT_FILE", "find_config_file", "load_gateway_config", "parse_gateway_config"]

DEFAULT_FILE: Final = "sluice.yaml"

_LOG = logging.getLogger("sluice")


def load_gateway_config(
    path: str | Path | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> GatewayConfig:
    """The configuration in `path` (see `find_config_file`) under the environment and `options`.

    `options` is what the command line said, by paths ("server.port"); what is None was not said.
    Variables that begin with SLUICE_ and mean nothing are logged. Raises ConfigError naming every
    mistake; its `param` is the first key at fault.
    """
    environ = os.environ if environ is None else environ
    found = find_config_file(path, environ)
    references = References(environ)
    given: Any = {}
    if found is not None:
        try:
            given = references.resolve(read_mapping(found))
        except ConfigError as exc:
            raise ConfigError(f"{found}: {exc}", param=exc.param) from None
        except RecursionError:
            message = f"{found}: nested too deeply, or an alias stands within itself"
            raise ConfigError(message) from None
    sources = _Sources.of(options or {}, environ, file=found)
    for warning in warn_of_unknown(environ, used=references.names):
        _LOG.warning(warning)
    return _parse(given, sources, references.faults)


def find_config_file(
    path: str | Path | None = None, environ: Mapping[str, str] | None = None
) -> Path | None:
    """`path`, else the file that $SLUICE_CONFIG names, else sluice.yaml of the working directory
    where there is one; None: no file."""
    environ = os.environ if environ is None else environ
    if path is not None:
        return Path(path)
    if named := environ.get("SLUICE_CONFIG"):
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


def parse_gateway_config(given: Mapping[str, Any]) -> GatewayConfig:
    """The configuration that `given` describes, with the keys of the file. Neither environment
    nor files are looked at. Raises ConfigError naming every mistake."""
    return _parse(given, _Sources.of({}, {}, file=None), [])


@dataclass(frozen=True, kw_only=True)
class _Sources:
    """What was said outside the file, by path, and how to name each place."""

    said: Mapping[str, Any]
    labels: Mapping[str, str]
    faults: tuple[Fault, ...]
    file: Path | None

    @classmethod
    def of(
        cls, options: Mapping[str, Any], environ: Mapping[str, str], *, file: Path | None
    ) -> _Sources:
        chosen = {path: value for path, value in options.items() if value is not None}
        variables, faults = variables_set(environ)
        return cls(
            said={**{path: environ[name] for path, name in variables.items()}, **chosen},
            labels={**variables, **{path: _option(path) for path in chosen}},
            faults=tuple(faults),
            file=file,
        )

    def over(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """`given` with what was said outside the file in its place."""
        merged = dict(given)
        for path, value in self.said.items():
            section, _, field = path.partition(".")
            inner = merged.get(section) or {}
            if isinstance(inner, Mapping):  # what is none is refused as a whole
                merged[section] = {**inner, field: value}
        return merged

    def describe(self, faults: list[Fault]) -> str:
        """All faults in one line: those of the file after its name."""
        outside = [f"{self.labels[one.path]}: {one.message}" for one in faults if self._knows(one)]
        within = [str(one) for one in faults if not self._knows(one)]
        if within and self.file is not None:
            within[0] = f"{self.file}: {within[0]}"
        return "; ".join((*map(str, self.faults), *outside, *within))

    def _knows(self, fault: Fault) -> bool:
        return fault.path in self.labels


def _parse(given: Any, sources: _Sources, faults: list[Fault]) -> GatewayConfig:
    pool, more = gather_models(_without_nothing(given))
    merged = sources.over(_beside(sources.file, pool))
    found = [*faults, *more]
    config = None
    try:
        config = GatewayConfig.model_validate(merged)
    except ValidationError as exc:
        known = {one.path for one in found}
        late = find_faults(GatewayConfig, exc)
        found += [_explained(one) for one in late if one.path not in known]
    if config is None or found or sources.faults:
        param = next((one.path for one in found if one.path), None)
        raise ConfigError(sources.describe(found), param=param)
    return config


def _without_nothing(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` without the sections that have nothing in them, as when all of it is commented out;
    the same within cascades."""
    kept = _filled(given, GatewayConfig)
    if isinstance(cascades := kept.get("cascades"), Mapping):
        kept["cascades"] = {
            name: _filled(one, CascadeSettings) if isinstance(one, Mapping) else one
            for name, one in cascades.items()
        }
    return kept


def _filled(given: Mapping[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    fields = kind.model_fields
    return {key: one for key, one in given.items() if one is not None or key not in fields}


def _beside(file: Path | None, given: dict[str, Any]) -> dict[str, Any]:
    """`given` with the paths of policies, which count from the file's folder."""
    cascades = given.get("cascades")
    if file is None or not isinstance(cascades, Mapping):
        return given

    def placed(cascade: Any) -> Any:
        policy = cascade.get("policy") if isinstance(cascade, Mapping) else None
        return {**cascade, "policy": file.parent / policy} if isinstance(policy, str) else cascade

    return {**given, "cascades": {name: placed(one) for name, one in cascades.items()}}


def _option(path: str) -> str:
    return f"--{path.rpartition('.')[2].replace('_', '-')}"


def _explained(fault: Fault) -> Fault:
    """A fault with a better hint: where a key belongs, or which variable would do."""
    if fault.unknown:
        places = sorted(_places_of(fault.path.rpartition(".")[2]))
        if places:
            return replace(fault, message=f"is not known; did you mean '{places[0]}'?")
    if fault.message == "field required":
        for name, path in variables_of_sections().items():
            if path == fault.path:
                return replace(fault, message=f"is missing (or set {name})", unknown=True)
    return fault


def _places_of(key: str) -> Iterator[str]:
    """Where a key of that name is known: in a section, or in a cascade."""
    yield from (p for p in variables_of_sections().values() if p.partition(".")[2] == key)
    if key in CascadeSettings.model_fields:
        yield f"cascades.NAME.{key}"
