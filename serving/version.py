"""Which version of Sluice this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from router.extras import DISTRIBUTION

__all__ = ["installed_version"]


def installed_version() -> str:
    """The distribution's version, or "0+checkout" in a checkout that is not installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+checkout"
