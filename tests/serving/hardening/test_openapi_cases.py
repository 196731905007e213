"""What the OpenAPI document says is held against the gateway, by Schemathesis: no 5xx, no status
that is not in it, and nothing in an answer that it does not allow.

Its command is run, as its plugin for pytest is always some versions behind.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest

from router.engine import Engine
from tests.serving.hardening.examples import FUZZ
from tests.serving.hardening.hardened_gateway import (
    ADMIN_KEY,
    HardenedClient,
    hardened_gateway,
    play_provider,
)
from tests.upstream import Upstream

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = {"open": 10, "keys": 20}
# Not looked for: what the schema cannot say (two instants in the wrong order) is refused as it
# should be; what is a provider's to refuse is passed on; and a key that is revoked can still be
# looked at.
SETTINGS = """
[checks]
positive_data_acceptance.enabled = false
use_after_free.enabled = false

[[operations]]
include-path = ["/v1/chat/completions", "/v1/messages", "/v1/embeddings", "/v1/models"]
checks.negative_data_rejection.enabled = false
"""
PUBLIC = ("/health/live", "/health/ready")


@pytest.mark.parametrize("mode", ["open", "keys"])
def test_every_operation_keeps_to_the_document(mode: str, engine: Engine, tmp_path: Path) -> None:
    with (
        Upstream(play_provider()) as upstream,
        hardened_gateway(engine, upstream, tmp_path, mode=mode) as gateway,
    ):
        key = ADMIN_KEY if mode == "keys" else ""
        known = gateway.chat("auto", key=key).headers["x-sluice-request-id"]
        said = run_schemathesis(gateway, tmp_path, known, mode)
        found = Counter(row["status"] for row in gateway.rows())
        gateway.check_nothing_is_left()
    made = re.search(r"(\d+) generated", said)
    assert made is not None, said
    assert int(made[1]) > 600, said
    assert found["ok"] > 50, found  # or the cases do not reach deep


def run_schemathesis(gateway: HardenedClient, folder: Path, request_id: str, mode: str) -> str:
    """What it says; fails with that where it has found something."""
    (folder / "schemathesis.toml").write_text(SETTINGS)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run"),
        f"{gateway.live.origin}/openapi.json",
        *("--max-examples", str(EXAMPLES[mode] * FUZZ), "--continue-on-failure"),
        *("--request-timeout", "10", "--warnings", "off", "--no-color"),
        *(("--seed", "4") if FUZZ == 1 else ()),
        *(("--header", f"x-api-key: {ADMIN_KEY}") if mode == "keys" else ()),
    ]
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.serving.hardening.case_hooks",
        "SLUICE_CASES_REQUEST_ID": request_id,
    }
    run = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    return run.stdout


@pytest.fixture(scope="module")
def locked(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> httpx.Client:
    """A client without a key, of a gateway in keys mode."""
    with (
        Upstream(play_provider()) as upstream,
        hardened_gateway(
            engine, upstream, tmp_path_factory.mktemp("locked"), mode="keys"
        ) as gateway,
    ):
        yield gateway.http
        assert not gateway.rows()
        assert not upstream.requests


def test_without_a_key_there_is_nothing_to_be_had(locked: httpx.Client) -> None:
    document = locked.get("/openapi.json").json()
    operations = [
        (method, path)
        for path, item in document["paths"].items()
        for method in item
        if path not in PUBLIC
    ]
    assert len(operations) >= 17
    for method, path in operations:
        address = re.sub(r"\{.*?\}", "x", path)
        for headers in ({}, {"x-api-key": "sk-slc-guessed"}, {"authorization": "Bearer x"}):
            said = locked.request(method, address, json={}, headers=headers)
            assert said.status_code == 401, (method, path)
            assert said.headers["www-authenticate"] == "Bearer"
            assert said.json()["error"]["code"] in ("missing_api_key", "invalid_api_key")


def test_no_operation_documents_a_refusal_of_the_framework(locked: httpx.Client) -> None:
    document = locked.get("/openapi.json").json()
    for item in document["paths"].values():
        for operation in item.values():
            assert "422" not in operation["responses"]
    assert not {name for name in document["components"]["schemas"] if "Validation" in name}


@pytest.mark.parametrize("method", ["GET", "PUT", "TRACE", "PROPFIND", "OPTIONS", "HEAD"])
def test_other_methods_are_refused_in_our_shape(method: str, locked: httpx.Client) -> None:
    said = locked.request(method, "/v1/chat/completions")
    assert said.status_code == 405
    assert said.headers["allow"] == "POST"
    if method != "HEAD":
        assert said.json()["error"]["code"] == "method_not_allowed"
    several = locked.request("TRACE", "/admin/keys/x")
    assert several.headers["allow"] == "DELETE, GET, PATCH"


@pytest.mark.parametrize(
    "path",
    [
        *("/nowhere", "/v1", "/v1/", "/v1/chat/completions/", "/v1//chat/completions"),
        *("/V1/models", "/admin", "/admin/", "/%00", "/v1/%2e%2e/admin/keys", "/docs"),
        *("/v1/chat/../../admin/keys", "/health/live/%0d%0ax: y"),
    ],
)
def test_other_addresses_are_unknown_in_our_shape(path: str, locked: httpx.Client) -> None:
    said = locked.get(httpx.URL(locked.base_url).copy_with(raw_path=path.encode("utf-8")))
    assert said.status_code in (400, 401, 404)
    assert set(said.json()["error"]) == {"message", "type", "param", "code"}
    assert "x" not in said.headers
