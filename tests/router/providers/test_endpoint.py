"""Where each provider is asked, and with whose key."""

from __future__ import annotations

from typing import Any

import pytest

from router.config import ModelConfig
from router.errors import ConfigError
from router.providers.catalogue import PROVIDERS, find_provider
from router.providers.endpoint import Endpoint, resolve_endpoints

KEYS = {name: f"key-of-{name}" for spec in PROVIDERS.values() for name in spec.key_variables}


def resolve(environ: dict[str, str] = KEYS, /, **config: Any) -> Endpoint:
    return resolve_endpoints(ModelConfig(**{"name": "m", **config}), environ)[0]


@pytest.mark.parametrize(
    ("provider", "url"),
    [
        ("openai", "https://api.openai.com/v1/chat/completions"),
        ("anthropic", "https://api.anthropic.com/v1/messages"),
        ("groq", "https://api.groq.com/openai/v1/chat/completions"),
        ("together", "https://api.together.xyz/v1/chat/completions"),
        ("openrouter", "https://openrouter.ai/api/v1/chat/completions"),
        ("deepseek", "https://api.deepseek.com/chat/completions"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
        ("mistral", "https://api.mistral.ai/v1/chat/completions"),
        ("ollama", "http://127.0.0.1:11434/v1/chat/completions"),
        ("vllm", "http://127.0.0.1:8000/v1/chat/completions"),
    ],
)
def test_known_providers(provider: str, url: str) -> None:
    endpoint = resolve(provider=provider)
    assert str(endpoint.url) == url
    key = f"key-of-{PROVIDERS[provider].key_variables[0]}"
    assert key in " ".join(endpoint.headers.values())
    assert key not in repr(endpoint)


@pytest.mark.parametrize("provider", [spec.name for spec in PROVIDERS.values() if spec.needs_key])
def test_a_missing_key_is_named(provider: str) -> None:
    with pytest.raises(ConfigError, match=PROVIDERS[provider].key_variables[-1]) as caught:
        resolve({PROVIDERS[provider].key_variables[0]: "  "}, provider=provider)
    assert caught.value.param == "api_key"


def test_no_key_is_needed_for_what_runs_here_or_elsewhere() -> None:
    for config in (
        {"provider": "ollama"},
        {"provider": "vllm"},
        {"provider": "openai", "api_base": "http://10.0.0.1/v1"},
        {"provider": "mine", "api_base": "http://10.0.0.1/v1"},
    ):
        assert "authorization" not in resolve({}, **config).headers


def test_the_second_variable_and_a_name_of_ones_own() -> None:
    gemini = resolve({"GOOGLE_API_KEY": "g"}, provider="gemini")
    assert gemini.headers["authorization"] == "Bearer g"
    mine = resolve({"MY_BOX_API_KEY": "b"}, provider="my-box", api_base="https://box.example/v2/")
    assert mine.headers["authorization"] == "Bearer b"
    assert str(mine.url) == "https://box.example/v2/chat/completions"
    assert not mine.logprobs


@pytest.mark.parametrize(
    ("host", "base"),
    [
        ("box", "http://box:11434/v1"),
        ("box:8080", "http://box:8080/v1"),
        ("0.0.0.0", "http://127.0.0.1:11434/v1"),
        ("https://box.example", "https://box.example/v1"),
        ("https://box.example/ollama/", "https://box.example/ollama/v1"),
        ("http://box:1/v1", "http://box:1/v1"),
    ],
)
def test_ollama_host(host: str, base: str) -> None:
    endpoint = resolve({"OLLAMA_HOST": host}, provider="ollama")
    assert str(endpoint.url) == f"{base}/chat/completions"


def test_base_from_the_environment_and_from_the_configuration() -> None:
    environ = {**KEYS, "OPENAI_BASE_URL": "https://one.example/v1/"}
    assert resolve(environ).origin == "https://one.example:443"
    assert resolve(environ, api_base="http://[::1]:80/x").origin == "http://[::1]:80"
    for base in ("https://proxy.example", "https://proxy.example/v1/"):
        endpoint = resolve({**KEYS, "ANTHROPIC_BASE_URL": base}, provider="anthropic")
        assert str(endpoint.url) == "https://proxy.example/v1/messages"


def test_a_query_in_the_base_stays() -> None:
    endpoint = resolve(api_base="https://x.example/deployments/a%20b?api-version=1")
    query = "?api-version=1"
    assert str(endpoint.url) == f"https://x.example/deployments/a%20b/chat/completions{query}"


@pytest.mark.parametrize(
    "base", ["http://", "http://host:port/v1", "https://user:hunter2@host/v1", "http:///v1"]
)
def test_a_base_that_is_none(base: str) -> None:
    with pytest.raises(ConfigError, match="api_base") as caught:
        resolve(api_base=base)
    assert "hunter2" not in str(caught.value)


def test_an_unknown_provider_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mistral'"):
        find_provider("mistrall")


@pytest.mark.parametrize("key", ["sk-a\nb", "sk-\u00e9", "sk-\x00"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigError, match="the key of model 'm'") as caught:
        resolve(api_key=key)
    assert "sk-" not in str(caught.value)
    with pytest.raises(ConfigError, match="'headers' of model 'm'"):
        resolve(headers={"X-Secret": key})


def test_a_key_goes_to_its_own_provider_only() -> None:
    places = [{"provider": "groq"}, {"api_base": "http://127.0.0.1:1/v1"}, {"provider": "vllm"}]
    config = ModelConfig(
        name="m", api_base="http://127.0.0.1:2/v1", api_key="mine", endpoints=places
    )
    endpoints = resolve_endpoints(config, {"GROQ_API_KEY": "theirs"})
    sent = [endpoint.headers.get("authorization") for endpoint in endpoints]
    assert sent == ["Bearer mine", "Bearer theirs", "Bearer mine", None]
    assert endpoints[1].origin == "https://api.groq.com:443"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ({"https_proxy": "http://u:p@p:3128"}, "http://u:p@p:3128"),
        ({"ALL_PROXY": "http://p:1"}, "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "localhost,.openai.com"}, None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "penai.com"}, "http://p:1"),
    ],
)
def test_proxies(environ: dict[str, str], proxy: str | None) -> None:
    assert resolve({**KEYS, **environ}).proxy == proxy


def test_anthropic_is_told_the_models_own_limit() -> None:
    known = resolve(provider="anthropic", name="claude-3-5-haiku-20241022")
    own = resolve(provider="anthropic", name="claude-3-5-haiku-20241022", max_tokens=9)
    renamed = resolve(provider="anthropic", name="cheap", model="claude-sonnet-4-5")
    unknown = resolve(provider="anthropic", name="claude-of-mine")
    limits = [endpoint.max_tokens for endpoint in (known, own, renamed, unknown)]
    assert limits == [8_192, 9, 64_000, None]
    place = {"provider": "anthropic", "model": "claude-opus-4-1"}
    config = ModelConfig(name="gpt-4o", endpoints=[place])
    assert [one.max_tokens for one in resolve_endpoints(config, KEYS)] == [None, 32_000]


def test_parameters_are_in_the_words_of_the_models_own_provider() -> None:
    claude = {"stop_sequences": ["x"], "max_tokens": 5, "top_k": 3, "made_up": 1}
    places = [{"provider": "openai"}, {"provider": "groq"}, {"provider": "anthropic"}]
    config = ModelConfig(name="m", provider="anthropic", params=claude, endpoints=places)
    said = [dict(endpoint.params) for endpoint in resolve_endpoints(config, KEYS)]
    others = {"stop": ["x"], "made_up": 1}
    assert said == [
        claude,
        {**others, "max_completion_tokens": 5},
        {**others, "max_tokens": 5},
        claude,
    ]
    gpt = {"stop": "x", "seed": 1, "reasoning_effort": "low"}
    config = ModelConfig(name="m", params=gpt, endpoints=places[2:])
    said = [dict(endpoint.params) for endpoint in resolve_endpoints(config, KEYS)]
    assert said == [gpt, {"stop_sequences": ["x"], "output_config": {"effort": "low"}}]


@pytest.mark.parametrize(
    ("provider", "params", "place"),
    [
        ("openai", {"logit_bias": {"1": 2}}, "anthropic"),
        ("openai", {"max_tokens": 5, "n": 2}, "anthropic"),
        ("anthropic", {"system": "Be brief."}, "groq"),
    ],
)
def test_parameters_that_an_endpoint_cannot_take_are_refused(
    provider: str, params: dict[str, Any], place: str
) -> None:
    with pytest.raises(ConfigError, match=f"'params' of model 'm'.* {place}") as caught:
        resolve(provider=provider, params=params, endpoints=[{"provider": place}])
    assert caught.value.param == "params"


def test_loopback_needs_no_proxy_and_socks_is_refused() -> None:
    assert resolve({"HTTP_PROXY": "http://p:1"}, provider="ollama").proxy is None
    socks = {**KEYS, "ALL_PROXY": "socks5://p:1"}
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        resolve(socks)
    (endpoint,) = resolve_endpoints(ModelConfig(name="m"), socks, use_proxies=False)
    assert endpoint.proxy is None, "a client of the caller's own finds its proxies itself"
