"""Whose certificates are believed, unless the caller says."""

from __future__ import annotations

import os
import ssl
from functools import cache

__all__ = ["trusting_context"]


@cache  # some 30 ms, and the same for all
def trusting_context() -> ssl.SSLContext:
    """Trusts what the system does; certifi's list too, as some Pythons come without any, unless
    SSL_CERT_FILE or SSL_CERT_DIR says exactly whom to trust."""
    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        import certifi

        context.load_verify_locations(certifi.where())
    return context
