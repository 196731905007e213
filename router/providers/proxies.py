"""Which proxy a provider is asked through, as the environment says."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from yarl import URL

from ..errors import ConfigError

__all__ = ["find_proxy"]


def find_proxy(url: URL, environ: Mapping[str, str]) -> str | None:
    """The proxy for `url`: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY, in either case, less NO_PROXY.

    Loopback is never asked through a proxy. Raises ConfigError for a proxy that is not HTTP.
    """
    host = url.host or ""
    if _is_loopback(host) or _is_exempt(host, _read("no_proxy", environ)):
        return None
    name = f"{url.scheme}_proxy"
    proxy = _read(name, environ) or _read("all_proxy", environ)
    if proxy and not proxy.startswith(("http://", "https://")):
        raise ConfigError(
            f"the proxy that {name.upper()} or ALL_PROXY names must begin with http://; "
            f"NO_PROXY={host} goes without"
        )
    return proxy or None


def _read(name: str, environ: Mapping[str, str]) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _is_exempt(host: str, exempt: str) -> bool:
    """Whether NO_PROXY names `host`, a domain above it, or "*"."""
    names = (name.strip().lstrip(".").lower() for name in exempt.split(","))
    return any(name and (name in ("*", host) or host.endswith(f".{name}")) for name in names)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
