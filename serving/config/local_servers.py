"""Ollama and vLLM on this machine or where the environment says: do they answer, with what models?

Whoever answers has to say that it is the one: on vLLM's port may well be another program, another
Sluice above all.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from router.config import ModelConfig
from router.errors import ConfigError
from router.model_names import NAME_FEATURES, describe_name
from router.providers.catalogue import PROVIDERS
from router.providers.endpoint import Endpoint, resolve_endpoints

if TYPE_CHECKING:
    from yarl import URL

__all__ = ["Answer", "LocalModel", "LocalServers", "Probe", "fetch", "find_local_servers"]

_WITHIN_S: Final = 0.5
_MAX_BYTES: Final = 4 * 1024 * 1024
_EMBEDS = re.compile(r"bert|embed|minilm|(^|[-/_:])(bge|e5|gte)([-_:]|$)", re.IGNORECASE)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([BM])", re.IGNORECASE)
# More than an Ollama model writes, whose context is some thousand tokens unless it is told
# otherwise. Only budgets reckon with it, and a model that costs nothing fits into any.
_OLLAMA_TOKENS: Final = 131_072


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said; header names in lower case, `content` None when it is no JSON."""

    status: int
    headers: Mapping[str, str]
    content: Any


Probe = Callable[["URL", Mapping[str, str]], Awaitable[Answer | None]]
"""GET an address with these headers; None when nobody answers in time."""


@dataclass(frozen=True, kw_only=True)
class LocalModel:
    """A model that a local server has. `billions` of parameters, where that is known."""

    name: str
    provider: str
    billions: float | None
    embeds: bool
    max_tokens: int | None


@dataclass(frozen=True, kw_only=True)
class LocalServers:
    """All models found, and remarks on what was asked for but not found."""

    models: tuple[LocalModel, ...]
    notes: tuple[str, ...]


async def find_local_servers(environ: Mapping[str, str], probe: Probe) -> LocalServers:
    """Ask Ollama and vLLM, both at once."""
    readers: Mapping[str, _Reader] = {"ollama": _read_ollama, "vllm": _read_vllm}
    found = await asyncio.gather(
        *(_ask(provider, read, environ, probe) for provider, read in readers.items())
    )
    return LocalServers(
        models=tuple(model for models, _ in found for model in models),
        notes=tuple(note for _, notes in found for note in notes),
    )


async def fetch(url: URL, headers: Mapping[str, str]) -> Answer | None:
    """The default `Probe`: half a second in all, and no proxy."""
    import httpx

    async def get() -> Answer:
        async with (
            httpx.AsyncClient(trust_env=False) as client,
            client.stream("GET", str(url), headers=dict(headers)) as response,
        ):
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > _MAX_BYTES:
                    break
        return Answer(
            status=response.status_code, headers=response.headers, content=_json_of(bytes(body))
        )

    try:
        return await asyncio.wait_for(get(), _WITHIN_S)
    except (TimeoutError, OSError, httpx.HTTPError):
        return None


_Found = tuple[Sequence[LocalModel], Sequence[str]]
_Reader = Callable[[Answer], Sequence[LocalModel] | None]


async def _ask(provider: str, read: _Reader, environ: Mapping[str, str], probe: Probe) -> _Found:
    (variable,) = PROVIDERS[provider].base_variables
    asked_for = bool(environ.get(variable, "").strip())
    try:
        endpoint, *_ = resolve_endpoints(
            ModelConfig(name="any", provider=provider), environ, use_proxies=False
        )
    except ConfigError:
        return (), (f"{variable} is not an address of a server; not asked",)
    key = {name: one for name, one in endpoint.headers.items() if name == "authorization"}
    answer = await probe(_listing(provider, endpoint), key)
    models = None if answer is None else read(answer)
    if models is not None:
        return models, ()
    if answer is not None and answer.status in (401, 403) and (asked_for or key):
        (name,) = PROVIDERS[provider].key_variables
        return (), (f"{provider} at {endpoint.origin} wants a key; set {name}",)
    if not asked_for:
        return (), ()
    if answer is None:
        return (), (f"{variable}: nothing answers at {endpoint.origin}",)
    return (), (f"{variable}: what answers at {endpoint.origin} is not {provider}",)


def _listing(provider: str, endpoint: Endpoint) -> URL:
    """Where a server lists its models, beside where it is asked for completions."""
    base = endpoint.url.raw_path.removesuffix("/chat/completions")
    path = f"{base.removesuffix('/v1')}/api/tags" if provider == "ollama" else f"{base}/models"
    return endpoint.url.with_path(path, encoded=True)


def _read_ollama(answer: Answer) -> Sequence[LocalModel] | None:
    """The models of GET /api/tags; those that Ollama only passes on to its cloud are left out."""
    if answer.status != 200:
        return None
    listed = list(_entries(answer.content, "models", "name"))
    if not listed and answer.content != {"models": []}:
        return None
    return [
        LocalModel(
            name=name,
            provider="ollama",
            billions=_ollama_size(entry),
            embeds=_embeds(name, *_families(entry)),
            max_tokens=_OLLAMA_TOKENS,
        )
        for name, entry in listed
        if isinstance(entry.get("details"), Mapping) and not entry.get("remote_host")
    ]


def _read_vllm(answer: Answer) -> Sequence[LocalModel] | None:
    """The models of GET /v1/models, each once and without adapters; None unless it is vLLM."""
    if answer.status != 200 or any(name.startswith("x-sluice-") for name in answer.headers):
        return None
    own = [
        (name, entry)
        for name, entry in _entries(answer.content, "data", "id")
        if entry.get("owned_by") == "vllm" and isinstance(entry.get("root"), str)
    ]
    if not own:
        return None
    first = {entry["root"]: (name, entry) for name, entry in reversed(own)}
    return [
        LocalModel(
            name=name,
            provider="vllm",
            billions=_named_size(root) or _named_size(name),
            embeds=_embeds(root, name),
            max_tokens=_positive(entry.get("max_model_len")),
        )
        for root, (name, entry) in reversed(first.items())
        if entry.get("parent") is None
    ]


def _entries(content: Any, field: str, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The named objects in a list of an answer."""
    listed = content.get(field) if isinstance(content, Mapping) else None
    for entry in listed if isinstance(listed, list) else ():
        name = entry.get(key) if isinstance(entry, Mapping) else None
        if isinstance(name, str) and name.strip() and name.isascii() and name.isprintable():
            yield name, entry


def _ollama_size(entry: Mapping[str, Any]) -> float | None:
    details = entry["details"] if isinstance(entry.get("details"), Mapping) else {}
    found = _SIZE.search(str(details.get("parameter_size", "")))
    if found is None:
        return _named_size(str(entry["name"]))
    return float(found[1]) / (1 if found[2] in "Bb" else 1000)


def _families(entry: Mapping[str, Any]) -> Iterator[str]:
    details = entry["details"] if isinstance(entry.get("details"), Mapping) else {}
    yield str(details.get("family", ""))


def _named_size(name: str) -> float | None:
    """Billions of parameters, as far as a model's name tells."""
    told = dict(zip(NAME_FEATURES, describe_name(name), strict=True))
    return round(math.exp(told["log_params"] * 6.0), 6) if told["params_known"] else None


def _embeds(*names: str) -> bool:
    return any(_EMBEDS.search(name) for name in names)


def _positive(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
