"""POST /v1/feedback: who may label what, and what is refused."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from router.records.database import Database
from router.records.tables import feedback
from serving.feedback_wire import FeedbackReply
from tests.made_up_log import Logged, outcome, write_log

Keys = dict[str, tuple[str, str]]


@pytest.fixture(autouse=True)
def logged(store: Database, keys: Keys) -> None:
    owners = {"of-ours": keys["ours"][0], "of-theirs": keys["theirs"][0], "of-nobody": ""}
    log = [Logged(outcome=outcome(name, key_id=owner)) for name, owner in owners.items()]
    store.run_sync(partial(write_log, log=log))


def kept(store: Database) -> list[Any]:
    wanted = select(feedback).order_by(feedback.c.id)
    return store.run_sync(lambda connection: list(connection.execute(wanted)))


def error_of(response: httpx.Response, status: int, code: str, param: str | None) -> str:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert (error["code"], error["param"]) == (code, param)
    message: str = error["message"]
    return message


async def test_a_label_is_kept(
    client: httpx.AsyncClient, store: Database, ours: Any, keys: Keys
) -> None:
    body = {"request_id": "of-ours", "correct": False, "score": 0.5, "comment": "too long"}
    response = await client.post("/v1/feedback", json=body, headers=ours)
    assert response.status_code == 201
    reply = FeedbackReply.model_validate(response.json())
    assert (reply.request_id, reply.recorded, reply.labels) == ("of-ours", True, 1)
    (label,) = kept(store)
    assert (label.correct, label.score, label.comment) == (False, 0.5, "too long")
    assert (label.key_id, label.source) == (keys["ours"][0], "client")


async def test_several_labels_stay(client: httpx.AsyncClient, store: Database, ours: Any) -> None:
    for number, said in enumerate(({"correct": True}, {"score": 1}, {"correct": False}), start=1):
        response = await client.post(
            "/v1/feedback", json={"request_id": "of-ours", "comment": None, **said}, headers=ours
        )
        assert response.json()["labels"] == number
    assert [label.correct for label in kept(store)] == [True, None, False]


async def test_anothers_request_is_answered_like_an_unknown_one(
    client: httpx.AsyncClient, store: Database, ours: Any
) -> None:
    answers = []
    for request_id in ("of-theirs", "of-nobody", "never was", "of-ours\x00"):
        response = await client.post(
            "/v1/feedback", json={"request_id": request_id, "correct": True}, headers=ours
        )
        error_of(response, 404, "not_found", "request_id")
        answers.append((response.content, dict(response.headers)))
    assert all(answer == answers[0] for answer in answers)
    assert kept(store) == []


async def test_the_admin_labels_anybodys(
    client: httpx.AsyncClient, store: Database, admin: Any
) -> None:
    for request_id in ("of-ours", "of-theirs", "of-nobody"):
        response = await client.post(
            "/v1/feedback", json={"request_id": request_id, "correct": True}, headers=admin
        )
        assert response.status_code == 201
    assert {label.source for label in kept(store)} == {"admin"}


async def test_open_mode_labels_its_own(open_client: httpx.AsyncClient, store: Database) -> None:
    for request_id, status in (("of-nobody", 201), ("of-ours", 404)):
        body = {"request_id": request_id, "correct": True}
        assert (await open_client.post("/v1/feedback", json=body)).status_code == status
    assert len(kept(store)) == 1


async def test_without_a_key_nobody_comes_in(client: httpx.AsyncClient, store: Database) -> None:
    body = {"request_id": "of-ours", "correct": True}
    for headers in ({}, {"authorization": "Bearer sk-wrong"}):
        response = await client.post("/v1/feedback", json=body, headers=headers)
        assert response.status_code == 401
    assert kept(store) == []


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"request_id": "of-ours"}, "missing_field", "correct"),
        ({"request_id": "of-ours", "correct": None, "score": None}, "missing_field", "correct"),
        ({"correct": True}, "missing_field", "request_id"),
        ({"request_id": "", "correct": True}, "invalid_value", "request_id"),
        ({"request_id": "r" * 201, "correct": True}, "invalid_value", "request_id"),
        ({"request_id": 7, "correct": True}, "wrong_type", "request_id"),
        ({"request_id": "of-ours", "correct": 1}, "wrong_type", "correct"),
        ({"request_id": "of-ours", "correct": "yes"}, "wrong_type", "correct"),
        ({"request_id": "of-ours", "score": 1.01}, "invalid_value", "score"),
        ({"request_id": "of-ours", "score": -0.1}, "invalid_value", "score"),
        ({"request_id": "of-ours", "score": True}, "wrong_type", "score"),
        ({"request_id": "of-ours", "score": 1, "comment": "x" * 2001}, "invalid_value", "comment"),
        ({"request_id": "of-ours", "corect": True}, "unknown_field", "corect"),
    ],
)
async def test_what_is_wrong_is_named(
    body: Any, code: str, param: str, client: httpx.AsyncClient, store: Database, ours: Any
) -> None:
    response = await client.post("/v1/feedback", json=body, headers=ours)
    error_of(response, 400, code, param)
    assert kept(store) == []


async def test_a_comment_is_in_no_log_and_no_error(
    client: httpx.AsyncClient, ours: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "the patient's name is"
    for request_id, score in (("of-ours", 1), ("of-theirs", 1), ("of-ours", 7)):
        body = {"request_id": request_id, "score": score, "comment": secret}
        response = await client.post("/v1/feedback", json=body, headers=ours)
        assert secret not in response.text
    assert secret not in caplog.text


async def test_a_store_that_is_away_is_told(
    client: httpx.AsyncClient, store: Database, ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await client.post("/v1/feedback", json={}, headers=ours)).status_code == 400
    store.run_sync(lambda connection: feedback.drop(connection))
    body = {"request_id": "of-ours", "correct": True}
    response = await client.post("/v1/feedback", json=body, headers=ours)
    error_of(response, 503, "not_ready", None)
    assert response.headers["retry-after"] == "1"
