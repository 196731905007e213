"""Which local servers are there, and what they have: told apart from everybody else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from serving.config.local_servers import LocalModel, LocalServers, fetch, find_local_servers
from tests.behaviours import drip, hang, send
from tests.serving.config.local_servers import (
    nobody,
    ollama,
    ollama_entry,
    serving,
    vllm,
    vllm_entry,
)
from tests.upstream import Upstream


async def find(**environ: str) -> LocalServers:
    return await find_local_servers({**nobody(), **environ}, fetch)


async def test_ollama_says_what_it_has() -> None:
    entries = [
        ollama_entry("llama3.1:8b", "8.0B"),
        ollama_entry("qwen3:0.6b", "751.63M", family="qwen3"),
        ollama_entry("nomic-embed-text:latest", "137M", family="nomic-bert"),
        ollama_entry("mystery", ""),
        ollama_entry("gpt-oss:120b-cloud", "116.8B", remote_host="https://ollama.com:443"),
    ]
    with ollama(*entries) as server:
        found = await find(OLLAMA_HOST=server.origin, VLLM_BASE_URL="")
    assert [(one.name, one.billions, one.embeds) for one in found.models] == [
        ("llama3.1:8b", 8.0, False),
        ("qwen3:0.6b", pytest.approx(0.75163), False),
        ("nomic-embed-text:latest", pytest.approx(0.137), True),
        ("mystery", None, False),
    ]
    assert {one.provider for one in found.models} == {"ollama"}
    assert found.notes == ()


@pytest.mark.parametrize("form", ["{host}:{port}", "http://{host}:{port}/", "{host}:{port}/v1"])
async def test_ollamas_variable_may_have_all_of_its_forms(form: str) -> None:
    with ollama(ollama_entry("m", "1B")) as server:
        host, _, port = server.origin.removeprefix("http://").partition(":")
        found = await find(OLLAMA_HOST=form.format(host=host, port=port))
    assert [one.name for one in found.models] == ["m"]


async def test_vllm_says_what_it_serves_each_model_once_and_no_adapter() -> None:
    entries = [
        vllm_entry("chat", root="meta-llama/Llama-3.1-8B-Instruct"),
        vllm_entry("gpt-4o-mini", root="meta-llama/Llama-3.1-8B-Instruct"),
        vllm_entry("sql-lora", root="/adapters/sql", parent="meta-llama/Llama-3.1-8B-Instruct"),
        vllm_entry("BAAI/bge-m3"),
    ]
    with vllm(*entries) as server:
        found = await find(VLLM_BASE_URL=server.url)
    assert found.models == (
        LocalModel(
            name="chat", provider="vllm", billions=pytest.approx(8.0), embeds=False, max_tokens=8192
        ),
        LocalModel(
            name="BAAI/bge-m3", provider="vllm", billions=None, embeds=True, max_tokens=8192
        ),
    )


async def test_a_key_for_vllm_is_sent_and_one_that_is_missing_is_said() -> None:
    with vllm(vllm_entry("m-7b")) as server:
        await find(VLLM_BASE_URL=server.url, VLLM_API_KEY="sk-local")
        assert server.requests[0].headers["authorization"] == "Bearer sk-local"
    with vllm(status=401) as server:
        found = await find(VLLM_BASE_URL=server.url)
        assert f"vllm at {server.origin} wants a key; set VLLM_API_KEY" in found.notes


def as_another(**changes: Any) -> Mapping[str, Any]:
    entry = {**vllm_entry("m-7b"), **changes}
    return {name: one for name, one in entry.items() if one is not ...}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        ({"object": "list", "data": [as_another(owned_by="sglang")]}, {}),
        ({"object": "list", "data": [as_another(root=...)]}, {}),  # a Sluice with models of vLLM
        ({"object": "list", "data": [vllm_entry("m-7b")]}, {"x-sluice-request-id": "1"}),
        ({"object": "list", "data": []}, {}),
        ({"data": {"id": "m"}}, {}),
        ({"data": [None, 4, {"id": 4}, {"id": "модель"}]}, {}),
        (["m"], {}),
        (b"<html>hello</html>", {}),
        (b"[" * 100_000, {}),
    ],
)
async def test_another_program_is_not_mistaken_for_vllm(
    content: Any, headers: Mapping[str, str]
) -> None:
    with serving("/v1/models", content, headers=headers) as server:
        found = await find(VLLM_BASE_URL=server.url)
    assert found.models == ()
    assert f"VLLM_BASE_URL: what answers at {server.origin} is not vllm" in found.notes


@pytest.mark.parametrize("content", [{"models": [{"name": "m"}]}, {"models": "m"}, {}, [], b"ok"])
async def test_another_program_is_not_mistaken_for_ollama(content: Any) -> None:
    with serving("/api/tags", content) as server:
        found = await find(OLLAMA_HOST=server.origin)
    assert found.models == ()


async def test_an_ollama_without_models_is_one_all_the_same() -> None:
    with ollama() as server:
        found = await find(OLLAMA_HOST=server.origin, VLLM_BASE_URL="")
    assert (found.models, found.notes) == ((), ())


@pytest.mark.parametrize("slow", [hang(), drip(send(b"{}" * 40), pause_s=0.1)])
async def test_who_takes_too_long_is_left_out(slow: Any) -> None:
    began = time.monotonic()
    with Upstream(slow) as server:
        found = await find(OLLAMA_HOST=server.origin, VLLM_BASE_URL=server.url)
    assert time.monotonic() - began < 2.0
    assert found.models == ()


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    with serving("/v1/models", b"[" + b" " * (6 << 20) + b"]") as server:
        assert (await find(VLLM_BASE_URL=server.url)).models == ()


async def test_what_was_asked_for_and_is_not_there_is_said() -> None:
    found = await find()
    assert found.notes == (
        "OLLAMA_HOST: nothing answers at http://127.0.0.1:1",
        "VLLM_BASE_URL: nothing answers at http://127.0.0.1:1",
    )


async def test_an_address_that_is_none_is_said_without_its_text() -> None:
    found = await find(VLLM_BASE_URL="http://user:sk-secret@h/v1")
    assert found.notes[1].startswith("VLLM_BASE_URL is not an address")
    assert "secret" not in "".join(found.notes)
