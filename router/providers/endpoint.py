"""Where a model is asked, resolved once from configuration and environment."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from yarl import URL

from ..config import EndpointConfig, ModelConfig
from ..errors import ConfigError, InputError
from ..model_limits import max_output_tokens
from ..prices import Price, PriceTag
from .catalogue import ProviderSpec, find_provider
from .openai_wire import OpenAIWire
from .proxies import find_proxy
from .wire import Wire

if TYPE_CHECKING:
    from .translate.openai_body import LimitName

__all__ = ["Endpoint", "resolve_endpoints"]

_OLLAMA_PORT = 11434


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One place to ask: `model` is the configured model's name, `upstream_model` what it is called
    there. `headers` hold the key, `proxy` may hold a password: they are in no repr. `params` are
    the configuration's, in the words of the wire; `config` is the model's, with the provider and
    the name that hold here."""

    model: str
    upstream_model: str
    provider: str
    config: ModelConfig = field(repr=False)
    tag: PriceTag = field(repr=False)
    url: URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    proxy: str | None = field(repr=False)
    wire: Wire
    logprobs: bool
    max_tokens: int | None
    params: Mapping[str, Any]
    secret: str | None = field(default=None, repr=False)

    @cached_property
    def origin(self) -> str:
        """scheme://host:port, all that a message or a log may show of the address."""
        return f"{self.url.scheme}://{self.url.host_subcomponent}:{self.url.port}"

    @property
    def max_output(self) -> int | None:
        """The most tokens that the model can write here; None when that is not known."""
        return max_output_tokens(self.config)

    def price(self, params: Mapping[str, Any]) -> Price | None:
        """What a call with these parameters costs here and now; None when that is not known."""
        return self.tag.price({**self.params, **params} if self.params else params, now=time.time())


def resolve_endpoints(
    config: ModelConfig, environ: Mapping[str, str], *, use_proxies: bool = True
) -> tuple[Endpoint, ...]:
    """The model's own place first, then its further endpoints; with `use_proxies` through the
    proxies that `environ` names.

    Raises ConfigError for an unknown provider, a missing key, one that cannot be a header, or
    parameters that an endpoint of another dialect cannot take.
    """
    places = (EndpointConfig(), *config.endpoints)
    return tuple(_resolve(config, place, environ, use_proxies) for place in places)


def _resolve(
    config: ModelConfig, place: EndpointConfig, environ: Mapping[str, str], use_proxies: bool
) -> Endpoint:
    provider = (place.provider or config.provider).strip().lower()
    # What belongs to the model's own provider, its key above all, never goes to another one.
    at_home = provider == config.provider
    api_base = place.api_base or (config.api_base if at_home else None)
    api_key = place.api_key or (config.api_key if at_home else None)
    spec = find_provider(provider, api_base=api_base)
    base = _base(spec, api_base, environ)
    key = api_key.get_secret_value().strip() if api_key else _first(spec.key_variables, environ)
    if not key and spec.needs_key and base == spec.api_base:
        raise ConfigError(
            f"no key for {provider}: set {' or '.join(spec.key_variables)} in the environment, "
            f"or 'api_key' of model {config.name!r}",
            param="api_key",
        )
    # OpenAI's newer models refuse the name that everyone else knows.
    is_openai = provider == "openai" and base == spec.api_base
    limit: LimitName = "max_completion_tokens" if is_openai else "max_tokens"
    wire = _wire(spec, limit)
    upstream_model = place.model or config.model or config.name
    known = spec.gives_logprobs(upstream_model)
    url = _url(base, wire.path, config.name)
    here = config.model_copy(update={"provider": provider, "model": upstream_model})
    return Endpoint(
        model=config.name,
        upstream_model=upstream_model,
        provider=provider,
        config=here,
        tag=PriceTag(here),
        url=url,
        headers=_headers(config, wire, key or None),
        proxy=find_proxy(url, environ) if use_proxies else None,
        wire=wire,
        logprobs=known if config.logprobs is None else config.logprobs,
        # Only where the provider wants to be told.
        max_tokens=max_output_tokens(here) if spec.dialect == "anthropic" else config.max_tokens,
        params=_params(config, spec, limit),
        secret=key or None,
    )


def _base(spec: ProviderSpec, api_base: str | None, environ: Mapping[str, str]) -> str:
    if api_base is not None:
        return api_base.rstrip("/")
    found = _first(spec.base_variables, environ)
    if not found:
        assert spec.api_base is not None  # find_provider demands a base for a nameless provider
        return spec.api_base
    return _ollama_base(found) if spec.name == "ollama" else found.rstrip("/")


def _ollama_base(host: str) -> str:
    """OLLAMA_HOST is what the server binds to: scheme, port and path may all be missing."""
    url = URL(host if "://" in host else f"http://{host}")
    if url.host == "0.0.0.0":
        url = url.with_host("127.0.0.1")
    if url.explicit_port is None and "://" not in host:
        url = url.with_port(_OLLAMA_PORT)
    base = str(url).rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


def _first(variables: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """The first of `variables` that is set and not blank, else ""."""
    return next((found for name in variables if (found := environ.get(name, "").strip())), "")


def _params(config: ModelConfig, spec: ProviderSpec, limit: LimitName) -> Mapping[str, Any]:
    """The configured parameters, which are in the words of the model's own provider, in those of
    `spec`."""
    own = find_provider(config.provider, api_base=config.api_base).dialect
    if not config.params or own == spec.dialect:
        return config.params
    from .translate.params import translate_params  # only who has use for it pays for it

    try:
        return translate_params(config.params, own, spec.dialect, limit=limit)
    except InputError as exc:
        raise ConfigError(
            f"'params' of model {config.name!r} cannot be put to {spec.name}: {exc}",
            param="params",
        ) from exc


def _wire(spec: ProviderSpec, limit: LimitName) -> Wire:
    if spec.dialect == "anthropic":
        from .anthropic_wire import AnthropicWire  # only who asks Anthropic pays for it

        return AnthropicWire()
    return OpenAIWire(stream_usage=spec.stream_usage, limit=limit)


def _url(base: str, path: str, model: str) -> URL:
    """The address to post to; a query in the base (Azure's api-version) stays."""
    try:
        url = URL(base)
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
        # Not quoted: what is wrong may well be a password in it.
        raise ConfigError(
            f"'api_base' of model {model!r} must be http:// or https://, a host and a path, "
            "without user or password ('headers' is the place for them)",
            param="api_base",
        )
    prefix = url.raw_path.rstrip("/")
    # Bases are written with and without the version that Anthropic's path brings along.
    if prefix.endswith("/v1") and path.startswith("/v1/"):
        prefix = prefix.removesuffix("/v1")
    return url.with_path(prefix + path, encoded=True, keep_query=True)


def _headers(config: ModelConfig, wire: Wire, key: str | None) -> Mapping[str, str]:
    """What is sent with every call; checked here, as a client's error would quote it."""
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "user-agent": "sluice-router",
        **wire.headers(key),
        **{name.lower(): value for name, value in config.headers.items()},
    }
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and value.isprintable()):
            blame = (
                "'headers'" if name in {given.lower() for given in config.headers} else "the key"
            )
            raise ConfigError(
                f"{blame} of model {config.name!r} cannot be sent: header {name!r} holds "
                "characters that are not printable ASCII",
                param="headers" if blame == "'headers'" else "api_key",
            )
    return headers
