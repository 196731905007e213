"""Configurations of cascadeflow, read as ours where they mean the same."""

from __future__ import annotations

from .detection import is_cascadeflow
from .translation import Migrated, migrate

__all__ = ["Migrated", "is_cascadeflow", "migrate"]
