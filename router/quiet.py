"""Parsing of foreign code without the warnings it provokes."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["without_warnings"]

# warnings.catch_warnings swaps process-wide state: two threads inside it at once can leave the
# "ignore" filter behind for good. Parsing holds the GIL anyway, so the lock costs no parallelism.
_ONE_AT_A_TIME = threading.Lock()


@contextmanager
def without_warnings() -> Iterator[None]:
    """Ignore warnings; one thread at a time."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
