"""Where a configuration comes from, who wins, and how a wrong one is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from router.errors import ConfigError
from serving.config import GatewayConfig, find_config_file, load_gateway_config

Load = Callable[..., GatewayConfig]
Fault = Callable[..., str]
Write = Callable[..., Path]

SECRET = "sk-very-secret-0123456789"


# The file


def test_without_a_file_everything_has_its_default() -> None:
    config = load_gateway_config(environ={})
    assert config == GatewayConfig()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8000)
    assert config.server.max_body_bytes == 20 * 1024 * 1024
    assert (config.auth.mode, config.store.store_text, config.redis) == ("open", False, None)


def test_the_file_asked_for_wins_over_the_variable_and_that_over_the_folder(
    write: Write, folder: Path
) -> None:
    assert find_config_file(environ={}) is None
    write("server: {port: 1}")
    named = write("server: {port: 2}", name="named.yaml")
    asked = write("server: {port: 3}", name="asked.yaml")
    environ = {"SLUICE_CONFIG": str(named)}
    assert load_gateway_config(environ={}).server.port == 1
    assert load_gateway_config(environ=environ).server.port == 2
    assert load_gateway_config(asked, environ=environ).server.port == 3


def test_a_file_that_is_asked_for_has_to_be_there() -> None:
    for path, environ in (("none.yaml", {}), (None, {"SLUICE_CONFIG": "none.yaml"})):
        with pytest.raises(ConfigError, match=r"^none\.yaml: cannot be read"):
            load_gateway_config(path, environ=environ)


def test_json_is_read_too(write: Write) -> None:
    path = write('{"server": {"port": 9}, "models": [{"name": "m"}]}', name="c.json")
    assert load_gateway_config(path, environ={}).server.port == 9


def test_references_are_resolved_in_the_environment_given(load: Load) -> None:
    text = """
models: [{name: m, api_key: "${KEY}"}]
budget: {daily_limit: "${DAILY:-10}"}
store: {url: "sqlite:///$${x}.db"}
"""
    config = load(text, KEY=SECRET)
    assert config.models[0].api_key is not None
    assert config.models[0].api_key.get_secret_value() == SECRET
    assert config.budget.daily_limit == 10.0
    assert config.store.url == "sqlite:///${x}.db"
    assert SECRET not in repr(config)


def test_sections_that_are_commented_out_count_as_absent(load: Load) -> None:
    text = """
server:
store:
redis:
models:
  - {name: m}
cascades:
  fast:
    models: [m]
    cache:
    quality:
tracing:
"""
    config = load(text)
    assert config.cascades["fast"].cache.exact is False
    assert (config.redis, config.tracing, config.server.port) == (None, None, 8000)


def test_a_policy_lies_beside_the_file(write: Write, folder: Path) -> None:
    inner = folder / "etc"
    inner.mkdir()
    text = "models: [{name: m}]\ncascades: {a: {models: [m], policy: p.json}, b: {models: [m]}}"
    path = write(text, name="etc/gateway.yaml")
    cascades = load_gateway_config(path, environ={}).cascades
    assert cascades["a"].policy == inner / "p.json"
    assert cascades["b"].policy is None


# Precedence


def test_options_win_over_variables_and_these_over_the_file(load: Load) -> None:
    text = "server: {port: 1, host: 127.0.0.2, workers: 3}"
    options = {"server.port": 3, "server.host": None}
    config = load(text, options=options, SLUICE_PORT="2", SLUICE_HOST="127.0.0.9")
    assert (config.server.port, config.server.host, config.server.workers) == (3, "127.0.0.9", 3)


def test_variables_make_sections_that_the_file_has_not(load: Load) -> None:
    environ = {"SLUICE_REDIS_URL": "redis://h/0", "SLUICE_TRACING_ENDPOINT": "http://h:4318"}
    config = load("models: [{name: m}]", **environ)
    assert config.redis is not None
    assert config.redis.url.get_secret_value() == "redis://h/0"
    assert config.tracing is not None
    assert config.tracing.service_name == "sluice"


# Mistakes


def test_all_mistakes_are_said_at_once_by_the_names_that_the_caller_knows(write: Write) -> None:
    path = write(f"""
server: {{workers: many, hots: x}}
limits: {{max_queue: -1}}
models:
  - {{name: m, api_key: "${{MISSING}}", provder: groq}}
  - {{name: n, cost: {SECRET}}}
""")
    with pytest.raises(ConfigError) as caught:
        load_gateway_config(
            path,
            options={"server.port": 70_000},
            environ={"SLUICE_AUTH_MODE": SECRET, "SLUICE_MAX_BATCH": ""},
        )
    said = str(caught.value)
    assert SECRET not in said
    assert said.split("; ") == [
        "SLUICE_MAX_BATCH: is empty",
        "give it a value or unset it",
        "--port: input should be less than or equal to 65535",
        "SLUICE_AUTH_MODE: input should be 'open' or 'keys'",
        f"{path}: 'models[0].api_key': the environment variable MISSING is missing or empty",
        "'server.workers': input should be a valid integer, unable to parse string as an integer",
        "'server.hots' is not known",
        "did you mean 'host'?",
        "'models[0].provder' is not known",
        "did you mean 'provider'?",
        "'models[1].cost': input should be a valid number, unable to parse string as a number",
        "'limits.max_queue': input should be greater than or equal to 0",
    ]
    assert caught.value.param == "models[0].api_key"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modles: []", "'modles' is not known; did you mean 'models'?"),
        ("server: {prt: 1}", "'server.prt' is not known; did you mean 'port'?"),
        ("store_text: true", "'store_text' is not known; did you mean 'store.store_text'?"),
        ("quality: {}", "'quality' is not known; did you mean 'cascades.NAME.quality'?"),
        ("zzz: 1", "'zzz' is not known"),
        (
            "models: [{name: m, timeout: {total: 1}}]",
            "'models[0].timeout.total' is not known; did you mean 'total_s'?",
        ),
        (
            "models: [{name: m}]\ncascades: {cache: {models: [m], cache: {exat: true}}}",
            "'cascades.cache.cache.exat' is not known; did you mean 'exact'?",
        ),
        ("redis: {prefix: x}", "'redis.url' is missing (or set SLUICE_REDIS_URL)"),
        (
            "server: 8000",
            "'server': input should be a valid dictionary or instance",
        ),
        ("models: {}", "'models': input should be a valid tuple"),
        ("cascades: []", "'cascades': input should be a valid dictionary"),
        ("auth: {admin_key: short}", "'auth.admin_key': is too short, expected 8 characters or"),
        ("auth: {admin_key: 'with a blank'}", "'auth.admin_key': should be printable ASCII"),
        ("auth: {user_header: 'a b'}", "'auth.user_header': should be the name of a header"),
        ("auth: {user_header: Authorization}", "'auth.user_header': names a header that holds a"),
        ("store: {url: mysql://h/db}", "'store.url': should begin with sqlite:/// (three slashes"),
        ("store: {url: sqlite://x.db}", "'store.url': should begin with sqlite:/// (three slashes"),
        ("redis: {url: http://h}", "'redis.url': should begin with redis://"),
        ("tracing: {endpoint: h}", "'tracing.endpoint': should begin with http:// or https://"),
        ("server: {port: 1}\nserver: {port: 2}", "line 2: the key 'server' is there twice"),
        ("- server", "expected keys and values at the top"),
        ("a: &x [*x]", "nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_a_suggestion(fault: Fault, text: str, message: str) -> None:
    assert fault(text).startswith(message)


def test_a_section_of_another_shape_is_refused_beside_a_variable(fault: Fault) -> None:
    assert fault("store: 5", SLUICE_STORE_URL="sqlite:///x.db").startswith("'store': input should")


def test_a_missing_variable_in_a_number_is_said_once(fault: Fault) -> None:
    message = "'budget.daily_limit': the environment variable DAILY is missing or empty"
    assert fault("budget: {daily_limit: '${DAILY}'}") == message


def test_secrets_are_in_no_repr() -> None:
    config = load_gateway_config(
        environ={
            "SLUICE_STORE_URL": f"postgresql://u:{SECRET}@h/db",
            "SLUICE_REDIS_URL": f"redis://:{SECRET}@h/0",
            "SLUICE_ADMIN_KEY": SECRET,
        }
    )
    assert SECRET not in repr(config)
    assert SECRET in config.store.url


def test_an_unknown_variable_is_logged(caplog: pytest.LogCaptureFixture, load: Load) -> None:
    with caplog.at_level(logging.WARNING, logger="sluice"):
        load("budget: {daily_limit: '${SLUICE_MY_LIMIT:-1}'}", SLUICE_MY_LIMIT="2", SLUICE_HSOT="h")
    assert caplog.messages == [
        "the environment variable SLUICE_HSOT is not known, and not used; did you mean "
        "'SLUICE_HOST'?"
    ]
