"""`sluice keys`. Light at import: everything heavy is imported when a command runs."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from router.errors import InputError

if TYPE_CHECKING:
    from router.records.database import Database
    from router.records.key_form import KeyForm
    from router.records.key_records import KeyRecord

__all__ = ["register"]

_DAY_S: Final = 86_400.0
_PAGE: Final = 1000
# What fields of a key are called here, where it is not their own name.
_OPTIONS: Final = {
    "models": "--model",
    "cascades": "--cascade",
    "expires_at": "--expires-in-days",
}

_Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The gateway's configuration [$SLUICE_CONFIG; sluice.yaml].",
        show_default=False,
    ),
]
_Store = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="URL of the database, in place of the configuration's.",
        show_default=False,
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _limit(what: str) -> Any:
    return typer.Option(help=f"At most so many {what}; by default no limit.", show_default=False)


def register(app: typer.Typer) -> None:
    """Add the group `sluice keys`."""
    keys = typer.Typer(name="keys", no_args_is_help=True)
    app.add_typer(keys)

    @keys.callback()
    def group() -> None:
        """Make, list and revoke the keys that a gateway lets in."""

    keys.command("create")(create)
    keys.command("list")(list_all)
    keys.command("revoke")(revoke)


def create(
    name: Annotated[str, typer.Option(help="What people call it.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model that it may ask by name; repeat. By default all."),
    ] = None,
    cascade: Annotated[
        list[str] | None,
        typer.Option(help="A cascade that it may ask; repeat. By default all."),
    ] = None,
    daily_limit: Annotated[float | None, _limit("USD a day")] = None,
    monthly_limit: Annotated[float | None, _limit("USD a month")] = None,
    user_daily_limit: Annotated[float | None, _limit("USD a day for each user")] = None,
    user_monthly_limit: Annotated[float | None, _limit("USD a month for each user")] = None,
    requests_per_minute: Annotated[int | None, _limit("requests")] = None,
    tokens_per_minute: Annotated[int | None, _limit("tokens")] = None,
    expires_in_days: Annotated[
        float | None, typer.Option(help="When it stops to work.", show_default=False)
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Something to find again; repeat."),
    ] = None,
    config: _Config = None,
    store: _Store = None,
    as_json: _Json = False,
) -> None:
    """Make a key and print it, this once: only its hash is kept."""
    now = time.time()
    form = _form(
        name=name,
        models=model,
        cascades=cascade,
        daily_limit=daily_limit,
        monthly_limit=monthly_limit,
        user_daily_limit=user_daily_limit,
        user_monthly_limit=user_monthly_limit,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        expires_at=_expiry(expires_in_days, now),
        metadata=_entries(metadata or ()),
    )
    from router.records.key_records import create_key

    from .access.replies import describe_key

    with _open(config, store, tell_open=True) as database:
        record, key = database.run_sync(partial(create_key, form=form, now=now))
        typer.echo(f"key {record.id} is in {database.name}; it is shown this once", err=True)
    if as_json:
        _print_json({**describe_key(record, now=now), "key": key})
    else:
        typer.echo(key)


def list_all(config: _Config = None, store: _Store = None, as_json: _Json = False) -> None:
    """List the keys, revoked and expired ones too."""
    from .access.replies import describe_key

    now = time.time()
    with _open(config, store) as database:
        records = database.run_sync(_all_keys)
        if not records:
            typer.echo(f"no keys in {database.name}", err=True)
    if as_json:
        _print_json({"keys": [describe_key(record, now=now) for record in records]})
    elif records:
        _print_table(records, now)


def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as listed.")],
    config: _Config = None,
    store: _Store = None,
    as_json: _Json = False,
) -> None:
    """Revoke a key for good; a running gateway refuses it within a second."""
    from router.records.key_records import revoke_key

    from .access.replies import describe_key

    now = time.time()
    with _open(config, store) as database:
        record = database.run_sync(partial(revoke_key, key_id=key_id, now=now))
        if record is None:
            # Not repeated: it may be a whole key.
            raise InputError(f"no key of that id is in {database.name}; see `sluice keys list`")
    if as_json:
        _print_json(describe_key(record, now=now))
    else:
        typer.echo(f"revoked {record.id} ({record.name})")


def _form(**given: Any) -> KeyForm:
    """The key that is asked for; InputError naming every option that is wrong."""
    from pydantic import ValidationError

    from router.config import find_faults
    from router.records.key_form import KeyForm

    try:
        return KeyForm.model_validate(given)
    except ValidationError as exc:
        faults = find_faults(KeyForm, exc)
    said = "; ".join(f"{_option(fault.path)}: {fault.message}" for fault in faults)
    raise InputError(said, param=faults[0].path or None)


def _option(path: str) -> str:
    field = path.partition("[")[0].partition(".")[0]
    return _OPTIONS.get(field, f"--{field.replace('_', '-')}")


def _expiry(days: float | None, now: float) -> float | None:
    if days is None:
        return None
    if not (math.isfinite(days) and days > 0):
        raise InputError("--expires-in-days: should be more than 0", param="expires_at")
    return now + days * _DAY_S


def _entries(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE pairs; a value that JSON knows as a number or a boolean is one."""
    from router.text import clean

    entries: dict[str, Any] = {}
    for pair in given:
        name, equals, text = clean(pair).partition("=")
        if not equals:
            raise InputError("--metadata: expected NAME=VALUE", param="metadata")
        if name in entries:
            raise InputError(f"--metadata: {name!r} is given twice", param="metadata")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        entries[name] = value if isinstance(value, int | float) else text
    return entries


@contextmanager
def _open(config: Path | None, store: str | None, *, tell_open: bool = False) -> Iterator[Database]:
    """The database of keys, closed at the end; ConfigError and StoreError. `tell_open`: say so
    where the gateway lets in whoever comes."""
    from router.records.database import Database

    if store is None:
        from .config.loading import load_gateway_config

        gateway = load_gateway_config(config)
        store = gateway.store.url
        if tell_open and gateway.auth.mode == "open":
            typer.echo("keys are not asked for: set 'auth.mode: keys' to want them", err=True)
    database = Database.open(store)
    try:
        yield database
    finally:
        database.close()


def _all_keys(connection: Any) -> list[KeyRecord]:
    from router.records.key_records import list_keys

    records: list[KeyRecord] = []
    while True:
        page = list_keys(connection, limit=_PAGE, after=records[-1].id if records else None)
        records += page
        if len(page) < _PAGE:
            return records


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, indent=2))


def _print_table(records: Sequence[KeyRecord], now: float) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("id", no_wrap=True)  # it is there to be copied
    for title in ("name", "state", "made", "expires", "allows"):
        table.add_column(title)
    for record in records:
        table.add_row(
            record.id,
            Text(record.name),
            record.state(now),
            _day(record.created_at),
            "never" if record.expires_at is None else _day(record.expires_at),
            Text(_allowance(record)),
        )
    Console().print(table)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _allowance(record: KeyRecord) -> str:
    """What a key allows, in a few words; what is not limited is left out."""
    settings = record.settings
    said = [
        words.format(value)
        for value, words in (
            (settings.daily_limit, "${:g}/day"),
            (settings.monthly_limit, "${:g}/month"),
            (settings.user_daily_limit, "${:g}/day and user"),
            (settings.user_monthly_limit, "${:g}/month and user"),
            (settings.requests_per_minute, "{} requests/min"),
            (settings.tokens_per_minute, "{} tokens/min"),
        )
        if value is not None
    ]
    for kind, names in (("models", settings.models), ("cascades", settings.cascades)):
        if names is not None:
            said.append(f"{kind}: {', '.join(names) or 'none'}")
    return "; ".join(said) or "all"
