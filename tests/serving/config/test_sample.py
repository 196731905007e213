"""What `sluice init` writes loads as it is, and with every setting that is commented out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from serving.config import GatewayConfig, load_gateway_config
from serving.config.check import check_config
from serving.config.discovery import Discovery, discover
from serving.config.sample import render_sample
from tests.serving.config.local_servers import nobody, ollama, ollama_entry, vllm, vllm_entry

Write = Callable[..., Path]

SECRET = "sk-very-secret-0123456789"
PAID = {"OPENAI_API_KEY": SECRET, "GOOGLE_API_KEY": SECRET, "GROQ_API_KEY": SECRET}
FOR_ALL = {"OPENAI_API_KEY": SECRET, "SLUICE_ADMIN_KEY": SECRET}


def find(environ: Mapping[str, str]) -> Discovery:
    return discover({**nobody(), **environ})


def uncommented(text: str) -> str:
    """The file with every setting that is commented out."""
    return re.sub(r"^#(?=\S|  )", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("environ", [{}, PAID])
def test_the_file_loads_and_passes_its_check(environ: Mapping[str, str], write: Write) -> None:
    found = find(environ)
    text = render_sample(found)
    assert SECRET not in text
    path = write(text)
    config = load_gateway_config(path, environ=environ)
    assert {name: one.models for name, one in config.cascades.items()} == {
        name: one.models for name, one in found.cascades.items()
    }
    assert [model.name for model in config.models] == [model.name for model in found.models]
    for loaded, model in zip(config.models, found.models, strict=True):
        assert loaded.model_copy(update={"api_key": None}) == model
    report = check_config(config, environ=environ)
    assert report.status == 0, list(report.lines())


@pytest.mark.parametrize("environ", [{}, PAID])
def test_every_setting_in_it_is_one(environ: Mapping[str, str], write: Write) -> None:
    text = uncommented(render_sample(find(environ)))
    config = load_gateway_config(write(text), environ={**FOR_ALL, **environ})
    defaults = GatewayConfig()
    for section in ("server", "limits", "metrics"):
        assert getattr(config, section) == getattr(defaults, section)
    assert config.store.url == defaults.store.url
    assert config.redis is not None
    assert config.tracing is not None
    assert config.auth.user_header == defaults.auth.user_header


def test_every_field_of_every_section_is_shown() -> None:
    text = uncommented(render_sample(find({})))
    for section in ("server", "store", "auth", "budget", "limits", "metrics", "redis", "tracing"):
        block = re.search(rf"^{section}:\n((?:  .*\n)+)", text, re.MULTILINE)
        assert block is not None, section
        shown = re.findall(r"^  (\w+):", block[1], re.MULTILINE)
        annotation = GatewayConfig.model_fields[section].annotation
        kind = getattr(annotation, "__args__", (annotation,))[0]
        assert set(shown) == set(kind.model_fields) - {"models_root"}


def test_names_of_local_models_are_quoted_where_yaml_or_we_would_read_more(write: Write) -> None:
    names = ["llama3.1:8b", "no", "a: b", "x #y", "${HOME}", '"quoted"', "[list]", "1.5", "back\\"]
    with (
        ollama(*(ollama_entry(name, "8B") for name in names)) as one,
        vllm(vllm_entry("Qwen/Qwen3-8B"), vllm_entry("bge-m3")) as other,
    ):
        found = discover({"OLLAMA_HOST": one.origin, "VLLM_BASE_URL": other.url})
    config = load_gateway_config(write(render_sample(found)), environ={"HOME": "/root"})
    assert [model.name for model in config.models] == [*names, "Qwen/Qwen3-8B"]
    assert config.models[0].cost == 0.0
    assert [model.name for model in config.embeddings] == ["bge-m3"]
