"""Labels are kept beside each other, and only for requests of the one who labels."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import func, select

from router.errors import InputError
from router.records.database import Database
from router.records.feedback_records import MAX_LABELS, Label, record_label
from router.records.tables import feedback
from tests.made_up_log import NOW, Logged, outcome, write_log


@pytest.fixture(autouse=True)
def logged(database: Database) -> None:
    log = [Logged(outcome=outcome("mine", key_id="a")), Logged(outcome=outcome("open", key_id=""))]
    database.run_sync(partial(write_log, log=log))


def record(database: Database, request_id: str, *, owner: str | None, **said: Any) -> int | None:
    label = Label(request_id=request_id, at=NOW, key_id=owner or "admin", source="client", **said)
    return database.run_sync(partial(record_label, label=label, owner=owner))


def kept(database: Database) -> list[Any]:
    return database.run_sync(
        lambda connection: list(connection.execute(select(feedback).order_by(feedback.c.id)))
    )


def test_labels_stay_side_by_side(database: Database) -> None:
    assert record(database, "mine", owner="a", correct=True, comment="good\x00") == 1
    assert record(database, "mine", owner="a", score=0.25) == 2
    first, second = kept(database)
    assert (first.correct, first.score, first.comment) == (True, None, "good\ufffd")
    assert (second.correct, second.score, second.comment) == (None, 0.25, None)
    assert (first.request_id, first.key_id, first.source, first.at) == ("mine", "a", "client", NOW)


@pytest.mark.parametrize("request_id", ["mine", "never was", "", "mine\x00", "x" * 10_000])
def test_anothers_request_is_as_unknown_as_none(request_id: str, database: Database) -> None:
    for owner in ("b", ""):
        assert record(database, request_id, owner=owner, correct=True) is None
    assert kept(database) == []


def test_open_mode_labels_its_own(database: Database) -> None:
    assert record(database, "open", owner="", correct=False) == 1
    assert record(database, "mine", owner="", correct=False) is None


def test_the_admin_labels_anybodys(database: Database) -> None:
    assert record(database, "mine", owner=None, correct=False) == 1
    assert record(database, "open", owner=None, correct=False) == 1
    assert record(database, "never was", owner=None, correct=False) is None


def test_a_request_takes_so_many_labels_and_no_more(database: Database) -> None:
    for index in range(MAX_LABELS):
        assert record(database, "mine", owner="a", correct=True) == index + 1
    with pytest.raises(InputError, match="100 labels") as refused:
        record(database, "mine", owner="a", correct=True)
    assert refused.value.param == "request_id"
    count = select(func.count()).select_from(feedback)
    assert database.run_sync(lambda found: found.execute(count).scalar_one()) == MAX_LABELS
