"""Labels of logged requests: whether an answer was right, from those who got it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, func, insert, select

from ..errors import InputError
from .tables import feedback, outcomes

__all__ = ["MAX_LABELS", "Label", "record_label"]

MAX_LABELS: Final = 100
"""Of one request; more would only fill the table."""


@dataclass(frozen=True, kw_only=True)
class Label:
    """What somebody says of an answer: `correct`, a `score` in 0..1, or both. `key_id` is whose key
    it was said with, `source` by which way it came ("client", "admin")."""

    request_id: str
    at: float
    key_id: str
    source: str
    correct: bool | None = None
    score: float | None = None
    comment: str | None = None


def record_label(connection: Connection, label: Label, *, owner: str | None) -> int | None:
    """Keep a label beside those there are; how many the request has now.

    None when `owner`, a key's id, has no such request, and nothing is kept then; another's request
    is as unknown as one that never was. With None for `owner` it may be anybody's. Raises
    InputError when the request has MAX_LABELS already.
    """
    if "\x00" in label.request_id:  # which PostgreSQL does not even look for
        return None
    known = select(outcomes.c.id).where(outcomes.c.request_id == label.request_id)
    if owner is not None:
        known = known.where(outcomes.c.key_id == owner)
    if connection.execute(known).first() is None:
        return None
    counted = select(func.count()).where(feedback.c.request_id == label.request_id)
    n_labels = connection.execute(counted).scalar_one()
    if n_labels >= MAX_LABELS:
        raise InputError(
            f"the request of 'request_id' has {n_labels} labels, and no more are taken",
            param="request_id",
        )
    connection.execute(
        insert(feedback).values(
            request_id=label.request_id,
            at=label.at,
            key_id=label.key_id,
            source=label.source,
            correct=label.correct,
            score=label.score,
            comment=None if label.comment is None else label.comment.replace("\x00", "\ufffd"),
        )
    )
    return n_labels + 1
