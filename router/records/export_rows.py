"""Logged outcomes as rows of an outcome file: one per request and model that answered or drafted.

The prompt is the last user message, which is what the answer had to answer; the label belongs to
the answer, so a draft that was not the answer has none. Rows whose only label is a score have a
source of their own, as training compares no share of right answers with a mean of scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, case, exists, func, select, true

from ..chat import ChatRequest
from ..errors import InputError
from ..money import to_usd
from ..text import clean
from .scope import Scope
from .tables import calls, feedback, outcomes

__all__ = ["EXPORT_COLUMNS", "Choice", "Survey", "read_page", "survey"]

EXPORT_COLUMNS: Final = {
    "source": str,
    "prompt_id": str,
    "prompt": str,
    "model": str,
    "response": str,
    "correct": bool,
    "score": float,
    "output_tokens": int,
    "cost_usd": float,
    "action": str,
    "domain": str,
    "p_success": float,
    "p_acceptable": float,
    "propensity": float,
    "artifact": str,
    "at": float,
    "key": str,
    "is_answer": bool,
    "features": bytes,
}
_LABELLED, _SCORED = "sluice-log", "sluice-log-scores"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What to export. `unlabelled`: also rows without a label. `without_text`: also rows whose text
    was not kept, which is empty then. `features`: the packed features too."""

    scope: Scope
    unlabelled: bool = False
    without_text: bool = False
    features: bool = False

    def conditions(self) -> list[ColumnElement[bool]]:
        """In SQL, of which requests there may be rows."""
        chosen = [*self.scope.owned()]
        if not self.unlabelled:
            chosen.append(_is_labelled())
        if not self.without_text:
            chosen.append(outcomes.c.prompt.is_not(None))
        return chosen


@dataclass(frozen=True, kw_only=True)
class Survey:
    """How many requests there are in a scope, and what is known of them. `first_id` and `last_id`
    bound them, 0 where there are none."""

    requests: int
    labelled: int
    with_text: int
    chosen: int
    first_id: int
    last_id: int


def survey(connection: Connection, choice: Choice) -> Survey:
    """Look at what there is to export."""
    counts = select(
        func.count(),
        _count(_is_labelled()),
        func.count(outcomes.c.prompt),
        _count(and_(true(), *choice.conditions())),
        func.min(outcomes.c.id + 0),  # without the 0 PostgreSQL walks the ids to find the least
        func.max(outcomes.c.id + 0),
    ).where(*choice.scope.conditions())
    requests, labelled, with_text, chosen, first, last = connection.execute(counts).one()
    return Survey(
        requests=requests,
        labelled=labelled,
        with_text=with_text,
        chosen=chosen,
        first_id=first or 0,
        last_id=last or 0,
    )


def read_page(
    connection: Connection, choice: Choice, *, after_id: int, last_id: int, size: int
) -> tuple[list[dict[str, Any]], int | None, int]:
    """The rows of the next `size` requests after `after_id`, up to `last_id`; the id of the last of
    them, None when there was none; and how many requests these were."""
    kept = [column for column in outcomes.c if choice.features or column.name != "features"]
    # The ids lead: an index on times would mean sorting what is left for every page.
    moment = outcomes.c.at + 0.0
    page = (
        select(*kept)
        .where(outcomes.c.id > after_id, outcomes.c.id <= last_id)
        .where(moment >= choice.scope.from_at, moment < choice.scope.to_at, *choice.conditions())
        .order_by(outcomes.c.id)
        .limit(size)
    )
    requests = connection.execute(page).all()
    if not requests:
        return [], None, 0
    ids = [request.request_id for request in requests]
    labels, costs = _labels(connection, ids), _costs(connection, ids)
    rows = [
        row
        for request in requests
        for row in _rows(request, labels.get(request.request_id, (None, None)), costs)
        if _is_chosen(row, choice)
    ]
    return rows, int(requests[-1].id), len(requests)


def _is_labelled() -> ColumnElement[bool]:
    return exists().where(feedback.c.request_id == outcomes.c.request_id)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _is_chosen(row: Mapping[str, Any], choice: Choice) -> bool:
    if row["correct"] is None and row["score"] is None and not choice.unlabelled:
        return False
    return choice.without_text or bool(row["prompt"].strip() and row["response"])


def _labels(
    connection: Connection, ids: Sequence[str]
) -> dict[str, tuple[bool | None, float | None]]:
    """The newest `correct` and the newest `score` of each request."""
    found: dict[str, tuple[bool | None, float | None]] = {}
    given = (
        select(feedback.c.request_id, feedback.c.correct, feedback.c.score)
        .where(feedback.c.request_id.in_(ids))
        .order_by(feedback.c.id)
    )
    for request_id, correct, score in connection.execute(given):
        before = found.get(request_id, (None, None))
        found[request_id] = (
            before[0] if correct is None else correct,
            before[1] if score is None else score,
        )
    return found


def _costs(connection: Connection, ids: Sequence[str]) -> dict[tuple[str, str], float | None]:
    """What the calls of each request to each model have cost; None where one is not known."""
    summed = (
        select(
            calls.c.request_id,
            calls.c.model,
            func.sum(calls.c.cost_nano),
            func.count() - func.count(calls.c.cost_nano),
        )
        .where(calls.c.request_id.in_(ids))
        .group_by(calls.c.request_id, calls.c.model)
    )
    return {
        (request_id, model): None if unknown else to_usd(int(nano))
        for request_id, model, nano, unknown in connection.execute(summed)
    }


def _rows(
    request: Row[Any],
    label: tuple[bool | None, float | None],
    costs: Mapping[tuple[str, str], float | None],
) -> Iterator[dict[str, Any]]:
    """The rows of one request: its answer, then the drafts that are not it."""
    p_success = orjson.loads(request.predictions) if request.predictions else {}
    common = {
        "source": _LABELLED if label[0] is not None or label[1] is None else _SCORED,
        "prompt_id": request.request_id,
        "prompt": _prompt(request),
        "action": request.action,
        "domain": request.domain,
        "propensity": request.propensity,
        "artifact": request.artifact,
        "at": request.at,
        "key": request.key_id,
        "features": getattr(request, "features", None),
    }
    told: set[str] = set()
    if request.status == "ok" and request.model is not None:
        told.add(request.model)
        yield {
            **common,
            "model": request.model,
            "response": request.answer or "",
            "correct": label[0],
            "score": label[1],
            "output_tokens": request.output_tokens,
            "cost_usd": costs.get((request.request_id, request.model)),
            "p_success": request.p_success,
            "p_acceptable": request.p_acceptable,
            "is_answer": True,
        }
    for draft in orjson.loads(request.drafts) if request.drafts else ():
        model = draft.get("model")
        if not model or model in told:
            continue
        told.add(model)
        yield {
            **common,
            "model": model,
            "response": draft.get("text") or "",
            "correct": None,
            "score": None,
            "output_tokens": draft.get("output_tokens"),
            "cost_usd": costs.get((request.request_id, model)),
            "p_success": p_success.get(model),
            "p_acceptable": draft.get("p_acceptable"),
            "is_answer": False,
        }


def _prompt(request: Row[Any]) -> str:
    """The last user message; '' where no text was kept, or it says nothing in words."""
    if not request.prompt:
        return ""
    asked = orjson.loads(request.prompt)
    try:
        kept = ChatRequest(
            messages=tuple(asked["messages"]), params=asked["params"], dialect=request.dialect
        )
        return clean(kept.query().text)
    except InputError:
        return ""
