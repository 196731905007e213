"""Open mode stays on this machine unless it is said outright."""

from __future__ import annotations

import pytest

from router.errors import ConfigError
from serving.config import check_exposure, is_loopback, parse_gateway_config

LOCAL = ["localhost", "LOCALHOST", "127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.1"]
OPEN = ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "example.org", "fe80::1%eth0", "::ffff:8.8.8.8"]


@pytest.mark.parametrize("host", LOCAL)
def test_open_mode_may_listen_on_this_machine(host: str) -> None:
    assert is_loopback(host)
    check_exposure(parse_gateway_config({"server": {"host": host}}))


@pytest.mark.parametrize("host", OPEN)
def test_open_mode_may_not_listen_elsewhere(host: str) -> None:
    assert not is_loopback(host)
    config = parse_gateway_config({"server": {"host": host}})
    with pytest.raises(ConfigError, match="without keys would let everybody") as caught:
        check_exposure(config)
    said = str(caught.value)
    assert host in said
    for way in ("auth.mode: keys", "SLUICE_ADMIN_KEY", "sluice keys create", "127.0.0.1"):
        assert way in said
    assert "auth.allow_open_network: true" in said


@pytest.mark.parametrize("auth", [{"mode": "keys"}, {"allow_open_network": True}])
def test_keys_or_saying_it_outright_let_it_listen_anywhere(auth: dict[str, object]) -> None:
    check_exposure(parse_gateway_config({"auth": auth}), "0.0.0.0")


def test_the_host_of_the_command_line_counts() -> None:
    config = parse_gateway_config({})
    check_exposure(config)
    with pytest.raises(ConfigError):
        check_exposure(config, "0.0.0.0")
