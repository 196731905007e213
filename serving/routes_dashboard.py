"""GET /: the dashboard, one page that holds its style and its script and asks /v1/analytics.

The page has no data in it. Its policy lets it load nothing and talk to this address alone, and run
exactly the script that is in it.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response

__all__ = ["router"]

_FOLDER: Final = Path(__file__).parent / "dashboard"

router = APIRouter(include_in_schema=False)


@router.api_route("/", methods=["GET", "HEAD"])
async def dashboard() -> Response:
    """The page; what it shows is for the key that its reader gives."""
    content, headers = _page()
    return Response(content, media_type="text/html", headers=headers)


@cache
def _page() -> tuple[bytes, dict[str, str]]:
    """The page in one piece, and the headers that go with it."""
    page = _read("index.html")
    hashes = {}
    for name, tag in (("dashboard.css", "style"), ("dashboard.js", "script")):
        content = f"\n{_read(name)}"
        digest = hashlib.sha256(content.encode()).digest()
        hashes[tag] = f"'sha256-{base64.b64encode(digest).decode()}'"
        page = page.replace(f"<!-- {name} -->", f"<{tag}>{content}</{tag}>")
    policy = (
        "default-src 'none'",
        f"script-src {hashes['script']}",
        f"style-src {hashes['style']}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return page.encode(), {
        "content-security-policy": "; ".join(policy),
        "cache-control": "no-cache",
        "cross-origin-opener-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
