"""`python -m serving.operations.health_check`: ask the service on this machine whether it is ready.

For a container's HEALTHCHECK: exit status 0 or 1, and one line that says why. Nothing but the
standard library is loaded, no proxy is asked, and the port is the service's own setting.
"""

from __future__ import annotations

import http.client
import os
import sys
from typing import Final

__all__ = ["main"]

_TIMEOUT_S: Final = 4.0
_SAID_BYTES: Final = 500


def main() -> int:
    """The exit status: 0 when it is ready."""
    host = os.environ.get("SLUICE_HOST", "127.0.0.1")
    if host in ("0.0.0.0", "::", "localhost"):
        host = "127.0.0.1"
    connection = http.client.HTTPConnection(
        host, int(os.environ.get("SLUICE_PORT", "8000")), timeout=_TIMEOUT_S
    )
    try:
        connection.request("GET", "/health/ready")
        response = connection.getresponse()
        said = response.read(_SAID_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as exc:
        sys.stdout.write(f"no answer: {exc}\n")
        return 1
    finally:
        connection.close()
    sys.stdout.write(f"{response.status} {said}\n")
    return int(response.status != 200)


if __name__ == "__main__":
    sys.exit(main())
