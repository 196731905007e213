"""Connections are closed around a fork: a child that inherited one would harm its parent's.

SQLite keeps its locks per process and PostgreSQL's protocol is one conversation, so neither may be
open on both sides.
"""

from __future__ import annotations

import os
import threading
import weakref
from functools import cache
from typing import Protocol

__all__ = ["ForkSafe", "close_around_forks"]


class ForkSafe(Protocol):
    """Something with connections, which are taken up again when they are next needed."""

    def before_fork(self) -> None:
        """Let go of all connections, and keep others from taking up new ones."""
        ...

    def after_fork(self) -> None:
        """Let others go on, in the parent as in the child."""
        ...


def close_around_forks(owner: ForkSafe) -> None:
    """Have `owner` told of every fork, as long as somebody else keeps it alive."""
    _watched().add(owner)


@cache
def _watched() -> weakref.WeakSet[ForkSafe]:
    owners: weakref.WeakSet[ForkSafe] = weakref.WeakSet()
    one_fork = threading.Lock()
    told: list[ForkSafe] = []

    def before() -> None:
        one_fork.acquire()
        for owner in list(owners):
            owner.before_fork()
            told.append(owner)

    def after() -> None:
        while told:
            told.pop().after_fork()
        one_fork.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=before, after_in_parent=after, after_in_child=after)
    return owners
