"""Who can reach an address: open mode is for this machine alone, unless it is said outright."""

from __future__ import annotations

from ipaddress import ip_address

from router.errors import ConfigError

from .gateway_config import GatewayConfig

__all__ = ["check_exposure", "is_loopback"]


def check_exposure(config: GatewayConfig, host: str | None = None) -> None:
    """Raise ConfigError when everybody could use the models of `config` from other machines.

    `host` is where it listens, by default `config.server.host`.
    """
    host = config.server.host if host is None else host
    if config.auth.mode == "keys" or config.auth.allow_open_network or is_loopback(host):
        return
    raise ConfigError(
        f"listening on {host} without keys would let everybody on the network spend your money. "
        "Set 'auth.mode: keys' and an 'auth.admin_key' (SLUICE_AUTH_MODE=keys, SLUICE_ADMIN_KEY) "
        "and make keys with 'sluice keys create'; or listen on 127.0.0.1; or, where the network "
        "itself keeps strangers out, say so with 'auth.allow_open_network: true'",
        param="auth.mode",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`: localhost, 127.0.0.0/8, ::1."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host.lower() in ("localhost", "localhost.")
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback if mapped is None else mapped.is_loopback
