"""docs/configuration.md: every key with its default and variable, and examples that load."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from router.config import EndpointConfig, ModelConfig, QualityConfig, TimeoutConfig
from serving.config import CacheConfig, CascadeSettings, GatewayConfig, load_gateway_config
from serving.config.environment import variables_of_sections

PAGE = Path(__file__).resolve().parents[3] / "docs" / "configuration.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SECTIONS = ("server", "store", "redis", "auth", "budget", "limits", "metrics", "tracing")
ENVIRON = {
    "OPENAI_API_KEY": "sk-0123456789",
    "ADMIN_KEY": "sk-0123456789",
    "DATABASE_URL": "postgresql://h/db",
    "REDIS_URL": "redis://h/0",
}


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of the tables under a heading."""
    found = re.search(rf"^## `{heading}`$(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    for line in found[1].splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def keys(heading: str) -> set[str]:
    return {name for first, *_ in rows(heading) for name in re.findall(r"`(\w+)`", first)}


def model_of(section: str) -> type[BaseModel]:
    annotation = GatewayConfig.model_fields[section].annotation
    kinds = [one for one in get_args(annotation) or (annotation,) if one is not NoneType]
    assert isinstance(kinds[0], type)
    assert issubclass(kinds[0], BaseModel)
    return kinds[0]


def shown(default: Any) -> str:
    if default is None:
        return ""
    if isinstance(default, float) and default == int(default):
        default = int(default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_every_section_has_its_part() -> None:
    headings = set(re.findall(r"^## `(\w+)`$", TEXT, re.MULTILINE))
    assert headings == set(GatewayConfig.model_fields)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_of_a_section_is_there_with_default_and_variable(section: str) -> None:
    fields = model_of(section).model_fields
    assert keys(section) == set(fields)
    names: dict[str, str] = {}
    for variable, path in variables_of_sections().items():
        names.setdefault(path, variable)
    for key, variable, default, _ in rows(section):
        name = key.strip("`")
        assert variable == f"`{names[f'{section}.{name}']}`"
        field = fields[name]
        if name == "models_root":
            assert default == "what came with Sluice"
        elif field.is_required():
            assert default == ""
        else:
            assert default == shown(field.default), name


def test_every_key_of_a_model_is_there() -> None:
    assert keys("models") == set(ModelConfig.model_fields)
    places = [row for row in rows("models") if row[0] in ("`timeout`", "`endpoints`")]
    named = set(re.findall(r"`(\w+)`", " ".join(cell for row in places for cell in row[1:])))
    assert named == set(TimeoutConfig.model_fields) | set(EndpointConfig.model_fields)


def test_every_key_of_a_cascade_is_there_with_its_default() -> None:
    everything = {
        **CascadeSettings.model_fields,
        **QualityConfig.model_fields,
        **CacheConfig.model_fields,
    }
    assert keys("cascades") == set(everything)
    for first, default, _ in rows("cascades"):
        for name in re.findall(r"`(\w+)`", first):
            if name in CacheConfig.model_fields or name == "stream_policy":
                assert default == shown(everything[name].default)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_loads(text: str, folder: Path) -> None:
    path = folder / "sluice.yaml"
    path.write_text(text, encoding="utf-8")
    load_gateway_config(path, environ=ENVIRON)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5
