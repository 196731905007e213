"""`sluice keys`: a key on stdout and nothing else, lists that tell no secret, one-line refusals."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from router.cli import COMMAND_GROUP, run
from router.records.database import Database
from serving.access.access import Access
from serving.access.replies import KeyReply, NewKeyReply
from serving.config import AuthConfig
from serving.errors import ApiError
from tests.key_databases import postgres_database
from tests.serving.access.given import bearer

COMMANDS = [EntryPoint(name="keys", value="serving.commands_keys:register", group=COMMAND_GROUP)]
ROOT = Path(__file__).resolve().parents[3]
KEY = re.compile(r"sk-slc-([0-9a-f]{16})-[\w-]{43}\n")
Sluice = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sluice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sluice:
    """Runs `sluice keys ...` in a folder of its own; gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("SLUICE_CONFIG", "SLUICE_STORE_URL", "SLUICE_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(["keys", *arguments], COMMANDS)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


async def status_of(key: str, url: str) -> int:
    database = Database.open(url)
    access = Access(AuthConfig(mode="keys", admin_key=SecretStr("admin-key")), database)
    try:
        await access.identify(bearer(key))
    except ApiError as error:
        return error.status
    finally:
        database.close()
    return 200


async def test_a_key_is_made_listed_and_revoked(sluice: Sluice, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/keys.db"
    status, out, err = sluice("create", "--name", "search team", "--store", url)
    assert status == 0
    made = KEY.fullmatch(out)
    assert made is not None
    assert "shown this once" in err
    assert out.strip() not in err
    assert await status_of(out.strip(), url) == 200

    status, listed, err = sluice("list", "--store", url)
    assert (status, err) == (0, "")
    assert made[1] in listed
    assert "search team" in listed
    assert "active" in listed
    assert out.strip().rpartition("-")[2] not in listed

    assert sluice("revoke", made[1], "--store", url) == (
        0,
        f"revoked {made[1]} (search team)\n",
        "",
    )
    assert await status_of(out.strip(), url) == 401
    assert "revoked" in sluice("list", "--store", url)[1]
    assert sluice("revoke", made[1], "--store", url)[0] == 0


def test_json_is_what_the_routes_answer(sluice: Sluice) -> None:
    store = ("--store", "sqlite:///keys.db", "--json")
    options = {
        "--daily-limit": 1.5,
        "--monthly-limit": 20,
        "--user-daily-limit": 0.25,
        "--user-monthly-limit": 1,
        "--requests-per-minute": 60,
        "--tokens-per-minute": 100_000,
    }
    more = [part for name, value in options.items() for part in (name, str(value))]
    metadata = ["team=search", "seats=5", "internal=true", "sum=1=1", "blank=", "list=[1]"]
    status, out, _ = sluice(
        *("create", "--name", "a", *store, *more, "--expires-in-days", "0.5"),
        *("--model", "m1", "--model", "m2", "--cascade", "auto"),
        *(part for pair in metadata for part in ("--metadata", pair)),
    )
    assert status == 0
    made = NewKeyReply.model_validate_json(out)
    for name, value in options.items():
        assert getattr(made, name[2:].replace("-", "_")) == value
    assert (made.models, made.cascades) == (["m1", "m2"], ["auto"])
    assert made.expires_at == pytest.approx(time.time() + 43_200, abs=60)
    assert made.metadata == {
        "team": "search",
        "seats": 5,
        "internal": True,
        "sum": "1=1",
        "blank": "",
        "list": "[1]",
    }
    [listed] = json.loads(sluice("list", *store)[1])["keys"]
    assert listed == made.model_dump(exclude={"key"})
    revoked = KeyReply.model_validate_json(sluice("revoke", made.id, *store)[1])
    assert revoked.state == "revoked"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create"], "Missing option '--name'"),
        (["create", "--name", ""], "--name:"),
        (["create", "--name", "a\nb"], "--name: holds a control character"),
        (["create", "--name", "a", "--daily-limit", "0"], "--daily-limit: input should be greater"),
        (["create", "--name", "a", "--daily-limit", "nan"], "--daily-limit:"),
        (["create", "--name", "a", "--daily-limit", "much"], "--daily-limit"),
        (
            ["create", "--name", "a", "--model", "m", "--model", "m"],
            "--model: names one",
        ),
        (["create", "--name", "a", "--expires-in-days", "0"], "--expires-in-days: should be more"),
        (["create", "--name", "a", "--expires-in-days", "1e9"], "--expires-in-days:"),
        (["create", "--name", "a", "--metadata", "team"], "--metadata: expected NAME=VALUE"),
        (["create", "--name", "a", "--metadata", "a=1", "--metadata", "a=2"], "given twice"),
        (["create", "--name", "a", "--metadata", "a=" + "x" * 600], "longer than 512"),
        (["create", "--name", "a", "--metadata", "a=1e999"], "'metadata.a' should be a finite"),
        (["create", "--name", "a", "--store", "mysql://u:pass-word@h/d"], "postgresql://"),
        (["list", "--store", "nonsense"], "store"),
        (["revoke", "0123456789abcdef"], "no key of that id"),
        (["revoke", "sk-slc-0123456789abcdef-" + "s" * 43], "no key of that id"),
        (["revoke"], "Missing argument"),
        (["destroy"], "No such command"),
    ],
)
def test_a_wrong_request_leaves_with_two_and_says_which_option(
    arguments: list[str], said: str, sluice: Sluice
) -> None:
    status, out, err = sluice(*arguments)
    assert (status, out) == (2, "")
    assert said in " ".join(err.split())
    assert "pass-word" not in err
    assert "s" * 43 not in err


def test_a_store_that_cannot_be_used_leaves_with_one(sluice: Sluice, tmp_path: Path) -> None:
    (tmp_path / "keys.db").write_text("this is no database" * 100)
    status, out, err = sluice("list", "--store", f"sqlite:///{tmp_path}/keys.db")
    assert (status, out) == (1, "")
    assert err.startswith("sluice: the store")


def test_the_configuration_says_where_keys_are(
    sluice: Sluice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(f"store:\n  url: sqlite:///{tmp_path}/a.db\nauth:\n  mode: keys\n")
    status, _, err = sluice("create", "--name", "by option", "--config", str(config))
    assert status == 0
    assert "auth.mode" not in err
    assert "by option" in sluice("list", "--store", f"sqlite:///{tmp_path}/a.db")[1]
    monkeypatch.setenv("SLUICE_CONFIG", str(config))
    assert "by option" in sluice("list")[1]
    config.write_text("storage: {}\n")
    status, _, err = sluice("list")
    assert status == 2
    assert "storage" in err


def test_where_keys_are_not_wanted_that_is_said(sluice: Sluice) -> None:
    status, out, err = sluice("create", "--name", "a")
    assert status == 0
    assert KEY.fullmatch(out)
    assert "auth.mode: keys" in err
    assert Path(".sluice/sluice.db").is_file()


def test_an_empty_list_says_where_it_looked(sluice: Sluice) -> None:
    assert sluice("list", "--store", "sqlite:///keys.db", "--json") == (
        0,
        '{\n  "keys": []\n}\n',
        f"no keys in sqlite:///{Path.cwd()}/keys.db\n",
    )


def test_all_keys_are_listed_however_many(sluice: Sluice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.commands_keys._PAGE", 3)
    store = ("--store", "sqlite:///keys.db", "--json")
    made = [json.loads(sluice("create", "--name", "a", *store)[1])["id"] for _ in range(7)]
    assert [one["id"] for one in json.loads(sluice("list", *store)[1])["keys"]] == made


def test_names_are_shown_as_they_are(sluice: Sluice) -> None:
    store = ("--store", "sqlite:///keys.db")
    sluice("create", "--name", "[red]x[/red]", "--model", "[b]m", *store)
    listed = sluice("list", *store)[1]
    assert "[red]x[/red]" in listed
    assert "[b]m" in listed


def test_keys_are_kept_in_postgresql_too(sluice: Sluice) -> None:
    with postgres_database() as url:
        status, out, err = sluice("create", "--name", "a", "--store", url)
        assert (status, bool(KEY.fullmatch(out))) == (0, True), err
        assert "a" in sluice("list", "--store", url)[1]


def test_loading_the_command_is_light() -> None:
    program = (
        "import sys, serving.commands_keys;"
        "print([m for m in ('sqlalchemy', 'pydantic', 'fastapi', 'rich') if m in sys.modules])"
    )
    done: Any = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "sqlalchemy" not in done.stdout
    assert "fastapi" not in done.stdout
