"""Keys, passwords, prompts and answers stay where they belong: a gateway is asked for everything,
well and badly, breaks on purpose, and then all that it has said is searched for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from router.cli import COMMAND_GROUP, run
from router.errors import SluiceError
from router.records.key_secrets import read_key
from tests.key_databases import postgres_database
from tests.server_process import ServerProcess, free_port
from tests.serving.hardening.hardened_gateway import play_provider
from tests.serving.hardening.marked_requests import ANSWER, PROMPT, SECRETS, Asker, Said
from tests.soak.gateway_process import write_config
from tests.upstream import Upstream

ROOT = Path(__file__).resolve().parents[3]
SLUICE = str(Path(sys.executable).with_name("sluice"))

ENVIRON = {
    "PROVIDER_KEY": SECRETS["provider key"],
    "ANTHROPIC_API_KEY": SECRETS["another provider's key"],
    "ADMIN_KEY": SECRETS["admin key"],
    "SLUICE_LOG_LEVEL": "debug",
}


def configure(folder: Path, upstream: Upstream, database: str) -> Path:
    """A configuration with a secret wherever there may be one."""
    base = {"max_tokens": 500, "max_retries": 0, "input_cost": 1.0, "output_cost": 2.0}
    secret_base = f"{upstream.url}?key={SECRETS['key in an address']}"
    models = [
        {"name": "gpt-4o-mini", "provider": "local", "api_base": upstream.url, **base},
        {"name": "gpt-4o", "provider": "local", "api_base": secret_base, **base},
        {"name": "claude", "provider": "anthropic", "api_base": upstream.origin, **base},
    ]
    for number, one in enumerate(models[:2]):
        one["api_key"] = "${PROVIDER_KEY}"
        one["headers"] = {f"x-secret-{number}": SECRETS["header of a model"]}
    redis = f"redis://:{SECRETS['password of Redis']}@127.0.0.1:{free_port()}/0"
    embed = {**models[0], "name": "embed"}
    return write_config(
        folder,
        upstream.url,
        models=models,
        embeddings=[embed],
        store={"url": database},
        redis={"url": redis},
        auth={"mode": "keys", "admin_key": "${ADMIN_KEY}"},
        budget={"daily_limit": 1000},
    )


def dump(database: str) -> str:
    """All that is in a database."""
    with psycopg.connect(database) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        queries = [sql.SQL("SELECT * FROM {}").format(sql.Identifier(name)) for (name,) in tables]
        return "\n".join(str(row) for query in queries for row in connection.execute(query))


def run_sluice(*arguments: str) -> tuple[str, str]:
    """What a command prints, on standard output and as errors."""
    ran = subprocess.run(
        [SLUICE, *arguments],
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.stdout, ran.stderr


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    folder = tmp_path_factory.mktemp("secrets")
    with Upstream(play_provider(ANSWER)) as upstream, postgres_database() as database:
        password = SECRETS["password of the database"]
        before, found, after = database.partition("@")
        assert found
        url = f"{before.split(':', 2)[0]}://postgres:{password}@{after}"
        config = configure(folder, upstream, url)
        said = Said()
        created = run_sluice("keys", "create", "--name", "team", "--config", str(config), "--json")
        tenant = json.loads(created[0])["key"]
        said.printed += created[1]
        text = read_key(tenant)
        assert text is not None
        said.secrets["secret of a key"] = text.secret
        port = free_port()
        command = [sys.executable, "-m", "tests.serving.hardening.faulty_gateway"]
        server = ServerProcess(
            [*command, str(config), str(port)],
            port=port,
            folder=folder,
            ready_path="/health/ready",
            environ={**ENVIRON, "PYTHONPATH": str(ROOT)},
        )
        with server, httpx.Client(base_url=server.origin, timeout=20) as http:
            Asker(said, http, upstream, tenant).ask_everything()
        for arguments in (
            *(("keys", "list"), ("keys", "list", "--json")),
            *(("serve", "--check"), ("serve", "--check", "--json")),
        ):
            said.printed += "".join(run_sluice(*arguments, "--config", str(config)))
        said.printed += (folder / "server.log").read_text(encoding="utf-8")
        said.kept = dump(database)
    return said


def test_everything_was_asked(said: Said) -> None:
    """Or there would be nothing to find."""
    assert len(said.answers) > 100
    assert len(said.refusals) > 200
    assert sum(answer.startswith("500") for answer in said.refusals) >= 10
    assert said.printed.count("RuntimeError") >= 10  # faults are in the log, with their places
    assert '"level":"debug"' in said.printed or '"level":"info"' in said.printed
    assert "keys" in said.printed


def test_no_secret_is_told(said: Said) -> None:
    everything = "\n".join([said.printed, *said.answers, *said.refusals, *said.pages])
    for what, secret in said.secrets.items():
        assert secret not in everything, f"{what}: {around(everything, secret)}"


@pytest.mark.parametrize("mark", [PROMPT, ANSWER])
def test_no_prompt_and_no_answer_is_in_the_log_or_an_error(said: Said, mark: str) -> None:
    assert mark not in said.printed, around(said.printed, mark)
    for page in (*said.pages, *said.refusals):
        assert mark not in page, around(page, mark)


def test_the_store_keeps_neither(said: Said) -> None:
    assert "gpt-4o-mini" in said.kept
    for what in (*said.secrets.values(), PROMPT, ANSWER):
        assert what not in said.kept, around(said.kept, what)


def around(text: str, mark: str) -> str:
    """Where in a text it stands."""
    at = text.index(mark)
    return text[max(0, at - 300) : at + 200]


WRONG_SECTIONS: list[dict[str, Any]] = [
    {"store": {"url": "postgresql://me:{}@127.0.0.1:1/x"}},
    {"store": {"url": "postgresql://me:{}@127.0.0.1:notaport/x"}},
    {"store": {"url": "mysql://me:{}@127.0.0.1/x"}},
    {"redis": {"url": "http://:{}@127.0.0.1"}},
    {"redis": {"url": "redis://:{}@127.0.0.1:1"}},
    {"redis": {"url": "redis://:{}@127.0.0.1:notaport"}},
    {"auth": {"mode": "keys", "admin_key": "{} with blanks"}},
    {"auth": {"mode": "keys", "admin_key": ["{}"]}},
    {"auth": {"mode": "{}"}},
    {"models": [{"name": "m", "provider": "local", "api_base": "x://{}", "api_key": "{}"}]},
    {"models": [{"name": "m", "provider": "unheard-of", "api_key": "{}", "keys": "{}"}]},
    {"tracing": {"endpoint": "x://me:{}@127.0.0.1"}},
]


@pytest.mark.parametrize("debugged", [False, True])
@pytest.mark.parametrize("arguments", [("serve", "--check"), ("keys", "list")])
@pytest.mark.parametrize("section", WRONG_SECTIONS)
def test_a_wrong_configuration_is_refused_without_its_values(
    tmp_path: Path,
    section: dict[str, Any],
    arguments: tuple[str, ...],
    debugged: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mark = "s3cret-Yy77"
    written = json.loads(json.dumps(section).replace("{}", mark))
    config = write_config(tmp_path, "http://127.0.0.1:1/v1", **written)
    printed = ""
    if debugged:
        monkeypatch.setenv("SLUICE_DEBUG", "1")
    try:
        run([*arguments, "--config", str(config)], entry_points(group=COMMAND_GROUP))
    except SluiceError:
        printed = traceback.format_exc()
    printed += "".join(capsys.readouterr())
    assert printed.strip()
    assert mark not in printed, printed
