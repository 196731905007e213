"""Configurations from YAML and JSON files: read strictly, and refused with the place named.

    models:
      - {name: gpt-4o-mini, provider: openai}
      - {name: gpt-4o, provider: openai, api_key: "${OPENAI_API_KEY}"}
    quality: {target_quality: 0.97}
    domains:
      domains:
        CODE: [gpt-4o-mini, gpt-4o]  # names of models above, or models of their own
    budget: {daily_limit: "${DAILY_USD:-10}"}

`${NAME}` in a value is the environment's, `${NAME:-default}` may be missing, `$${` is a plain
`${`. Errors show the names of keys and of models, never another value: it may be a secret.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from .config import CascadeConfig, Fault, nearest, parse_config
from .errors import ConfigError
from .migration import is_cascadeflow, migrate
from .presets import PRESETS

__all__ = [
    "CascadeConfig",
    "References",
    "apply_preset",
    "load_config",
    "parse_cascade",
    "read_mapping",
]

_LOG = logging.getLogger("sluice")
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_YAML_TAG: Final = "tag:yaml.org,2002:"
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")


def load_config(path: str | Path) -> CascadeConfig:
    """The cascade that a .yaml, .yml or .json file configures.

    A file in cascadeflow's form is read as `migration.migrate` reads it; what that leaves out is
    logged. Raises ConfigError naming the file and the line or the key.
    """
    path = Path(path)
    try:
        references = References(os.environ)
        given = references.resolve(read_mapping(path))
        if faults := references.faults:
            raise ConfigError("; ".join(map(str, faults)), param=faults[0].path)
        if is_cascadeflow(given, file_name=path.name):
            migrated = migrate(given)
            for note in migrated.notes:
                _LOG.warning("%s, written for cascadeflow: %s", path, note)
            return migrated.config
        return parse_cascade(given)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}", param=exc.param) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply, or an alias stands within itself") from None


def parse_cascade(mapping: Mapping[str, Any], *, where: str = "") -> CascadeConfig:
    """The cascade that `mapping` describes, with the fields of CascadeConfig as its keys.

    With `preset`, what is not given is the preset's, field by field in `quality`. A string in a
    domain's chain is the name of one of `models`. The environment is not looked at. `where` is
    what `mapping` is called in the caller's words. Raises ConfigError naming every wrong key.
    """
    if not isinstance(mapping, Mapping):
        found = type(mapping).__name__
        raise ConfigError(f"{where or 'a configuration'} must be a mapping, found {found}")
    given = apply_preset(mapping, where=where)
    return parse_config(CascadeConfig, _with_chains(given, where), where=where)


def apply_preset(given: Mapping[str, Any], *, where: str = "") -> Mapping[str, Any]:
    """`given` with what the preset that it names says about keys that are not given; as it is
    without one. Raises ConfigError naming the presets there are."""
    name = given.get("preset")
    if name is None:
        return given
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        path = _join(where, "preset")
        raise ConfigError(f"'{path}' must be one of {', '.join(PRESETS)}", param=path)
    quality = given.get("quality", {})
    if isinstance(quality, Mapping):
        quality = {**preset.quality.model_dump(exclude_unset=True), **quality}
    base = {"models": preset.models, "stream_policy": preset.stream_policy}
    return {**base, **given, "quality": quality}


def _with_chains(given: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """`given` with the names in its domains' chains replaced by the models they name."""
    domains = given.get("domains")
    if not isinstance(domains, Mapping) or not isinstance(domains.get("domains"), Mapping):
        return given
    models = {_name_of(one): one for one in _items(given.get("models"))}
    path = _join(where, "domains.domains")
    chains = {}
    for domain, chain in domains["domains"].items():
        for index, one in enumerate(_items(chain)):
            if isinstance(one, str) and one not in models:
                spot = f"{path}.{domain}[{index}]"
                hint = nearest(one, filter(None, models))
                raise ConfigError(f"'{spot}': no model is called {one!r}{hint}", param=spot)
        named = [models[one] if isinstance(one, str) else one for one in _items(chain)]
        chains[domain] = named or chain
    return {**given, "domains": {**domains, "domains": chains}}


def _items(value: Any) -> Sequence[Any]:
    """The items of a list; none of anything else, which is refused when it is parsed."""
    return value if isinstance(value, list | tuple) else ()


def _name_of(model: Any) -> str | None:
    name = model.get("name") if isinstance(model, Mapping) else getattr(model, "name", None)
    return name if isinstance(name, str) else None


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def read_mapping(path: Path) -> Mapping[str, Any]:
    """The mapping in a .yaml, .yml or .json file, as it stands there. Raises ConfigError with the
    line, but without the file's name; RecursionError for what is nested without end."""
    parsers: Mapping[str, Callable[[str], Any]] = {
        ".json": _parse_json,
        ".yaml": _parse_yaml,
        ".yml": _parse_yaml,
    }
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise ConfigError(f"a configuration's name ends in {', '.join(parsers)}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError("not UTF-8 text") from None
    except OSError as exc:
        raise ConfigError(f"cannot be read ({exc.strerror or type(exc).__name__})") from exc
    given = parse(text)
    if not isinstance(given, dict):
        raise ConfigError("expected keys and values at the top, such as 'models:'")
    return given


def _parse_json(text: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for key, count in Counter(key for key, _ in pairs).items():
            if count > 1:
                raise ConfigError(f"the key '{key}' is there twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as exc:
        raise ConfigError(f"line {exc.lineno}: not JSON ({exc.msg})") from None


def _parse_yaml(text: str) -> Any:
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _refuse_odd_keys(root, set())
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as exc:
        line = f"line {exc.problem_mark.line + 1}: " if exc.problem_mark else ""
        said = ", ".join(filter(None, (exc.context, exc.problem)))
        raise ConfigError(f"{line}not YAML ({_QUOTED.sub(_without_text, said)})") from None
    except yaml.reader.ReaderError:
        raise ConfigError("not YAML (a character that YAML does not allow)") from None
    except ValueError:  # a date or number in form only, such as 2024-13-45
        raise ConfigError("not YAML (a value looks like a date or number and is none)") from None


def _without_text(quoted: re.Match[str]) -> str:
    """What a message quotes: a sign (',') or a token ('<block end>'), but never the file's text."""
    inner = quoted[0][1:-1]
    return quoted[0] if len(inner) == 1 or inner.startswith("<") else "..."


def _refuse_odd_keys(node: yaml.Node, seen: set[yaml.Node]) -> None:
    """Refuse keys that are no strings, and two of one name in a mapping: YAML takes the last."""
    if node in seen:
        return
    seen.add(node)
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_odd_keys(item, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == f"{_YAML_TAG}merge":
                pass
            elif key.tag != f"{_YAML_TAG}str":
                raise ConfigError(f"line {line}: a key is not a string; put it in quotes")
            elif key.value in keys:
                raise ConfigError(f"line {line}: the key '{key.value}' is there twice")
            keys.add(key.value)
            _refuse_odd_keys(value, seen)


class References:
    """Replaces the references to the environment in a configuration's strings.

    `names` are the variables that were asked for, `faults` what was wrong with references: these
    stay as they were written.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.names: set[str] = set()
        self.faults: list[Fault] = []

    def resolve(self, value: Any, path: str = "") -> Any:
        """`value`, found at `path`, with its references replaced."""
        if isinstance(value, dict):
            return {key: self.resolve(one, _join(path, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self.resolve(one, f"{path}[{index}]") for index, one in enumerate(value)]
        if isinstance(value, str):
            return _REFERENCE.sub(lambda match: self._look_up(match, path), value)
        return value

    def _look_up(self, match: re.Match[str], path: str) -> str:
        if match[1] is None:
            return "${"
        reference = _NAME.fullmatch(match[1])
        if reference is None:
            self._refuse(
                path,
                "after '${' comes the name of an environment variable, as in ${NAME} or "
                "${NAME:-default}; write $${ for a plain '${'",
            )
            return match[0]
        name, default = reference.groups()
        self.names.add(name)
        value = self._environ.get(name) or default
        if value is None:
            self._refuse(path, f"the environment variable {name} is missing or empty")
            return match[0]
        return value

    def _refuse(self, path: str, message: str) -> None:
        self.faults.append(Fault(path=path, message=message))
