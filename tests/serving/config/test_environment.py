"""SLUICE_* variables: each sets what its name says, and a wrong one is named."""

from __future__ import annotations

import pytest

from router.errors import ConfigError
from serving.config import GatewayConfig, load_gateway_config
from serving.config.environment import variables_of_sections, warn_of_unknown


def value_at(config: GatewayConfig, path: str) -> object:
    section, _, field = path.partition(".")
    found = getattr(getattr(config, section), field)
    return found.get_secret_value() if hasattr(found, "get_secret_value") else found


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("SLUICE_HOST", "::1", "server.host", "::1"),
        ("SLUICE_SERVER_HOST", "::1", "server.host", "::1"),
        ("SLUICE_PORT", "0", "server.port", 0),
        ("SLUICE_LOG_REQUESTS", "no", "server.log_requests", False),
        ("SLUICE_STORE_URL", "sqlite:////tmp/x.db", "store.url", "sqlite:////tmp/x.db"),
        ("SLUICE_STORE_TEXT", "true", "store.store_text", True),
        ("SLUICE_RETENTION_DAYS", "30", "store.retention_days", 30),
        ("SLUICE_STORE_RETENTION_DAYS", "30", "store.retention_days", 30),
        ("SLUICE_REDIS_URL", "rediss://h/1", "redis.url", "rediss://h/1"),
        ("SLUICE_ADMIN_KEY", "0123456789", "auth.admin_key", "0123456789"),
        ("SLUICE_AUTH_MODE", "keys", "auth.mode", "keys"),
        ("SLUICE_BUDGET_DAILY_LIMIT", "2.5", "budget.daily_limit", 2.5),
        ("SLUICE_LIMITS_MAX_QUEUE", "0", "limits.max_queue", 0),
        ("SLUICE_METRICS_PUBLIC", "1", "metrics.public", True),
    ],
)
def test_a_variable_sets_its_field(name: str, value: str, path: str, expected: object) -> None:
    assert value_at(load_gateway_config(environ={name: value}), path) == expected


def test_every_scalar_of_every_section_has_a_variable() -> None:
    paths = set(variables_of_sections().values())
    for section in ("server", "store", "auth", "budget", "limits", "metrics"):
        kind = GatewayConfig.model_fields[section].annotation
        assert kind is not None
        assert {f"{section}.{field}" for field in kind.model_fields} <= paths
    assert {"redis.url", "redis.prefix", "tracing.endpoint", "tracing.service_name"} <= paths


def test_a_models_list_or_a_cascade_has_none() -> None:
    assert not {path for path in variables_of_sections().values() if "models" in path} - {
        "server.models_root"
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_WORKERS", "0"),
        ("SLUICE_LOG_LEVEL", "loud"),
        ("SLUICE_STORE_URL", "oracle://sk-secret"),
        ("SLUICE_ADMIN_KEY", "sk-s"),
        ("SLUICE_STORE_TEXT", "perhaps"),
        ("SLUICE_REDIS_URL", ""),
        ("SLUICE_LIMITS_QUEUE_TIMEOUT_S", "soon"),
    ],
)
def test_a_wrong_variable_is_named_without_its_value(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: ") as caught:
        load_gateway_config(environ={name: value})
    assert "sk-s" not in str(caught.value)


def test_two_names_of_one_setting_have_to_agree() -> None:
    same = {"SLUICE_PORT": "1", "SLUICE_SERVER_PORT": "1"}
    assert load_gateway_config(environ=same).server.port == 1
    with pytest.raises(ConfigError, match=r"^SLUICE_PORT and SLUICE_SERVER_PORT differ"):
        load_gateway_config(environ={**same, "SLUICE_SERVER_PORT": "2"})


def test_what_kubernetes_sets_for_a_service_called_sluice_is_not_taken_for_ours() -> None:
    environ = {
        "SLUICE_PORT": "tcp://10.96.0.7:8000",
        "SLUICE_SERVICE_HOST": "10.96.0.7",
        "SLUICE_SERVICE_PORT": "8000",
        "SLUICE_SERVICE_PORT_HTTP": "8000",
        "SLUICE_PORT_8000_TCP": "tcp://10.96.0.7:8000",
        "SLUICE_PORT_8000_TCP_ADDR": "10.96.0.7",
    }
    assert load_gateway_config(environ=environ).server.port == 8000
    assert warn_of_unknown(environ) == ()


def test_known_variables_of_other_parts_are_not_warned_of() -> None:
    environ = dict.fromkeys(
        ("SLUICE_DEBUG", "SLUICE_MODELS", "SLUICE_STORE", "SLUICE_CONFIG", "SLUICE_KILLS"), "1"
    )
    assert warn_of_unknown(environ) == ()
    (warning,) = warn_of_unknown({"SLUICE_RETENSION_DAYS": "1"})
    assert warning.endswith("did you mean 'SLUICE_RETENTION_DAYS'?")
