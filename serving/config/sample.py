"""The text of a first sluice.yaml: what was found, and every section that could be set.

A line that begins with "#" and no single space is a setting that is commented out: without the "#"
the file still loads, which a test tries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from router.config import ModelConfig

from .discovery import Discovery
from .gateway_config import AUTO

__all__ = ["render_sample"]

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")
_WORDS: Final = frozenset({"false", "no", "null", "off", "on", "true", "yes"})  # mean more in YAML

_HEAD: Final = """\
# Sluice's gateway. docs/configuration.md has every key with its meaning and default.
# ${NAME} is taken from the environment, ${NAME:-default} may be missing there.
# Try this file with: sluice serve --check
"""

_MODELS: Final = """
# The models that may be asked. Clients can name each of them. Prices come from a catalogue; "cost"
# (USD per 1,000 tokens) or "input_cost" and "output_cost" (per 1,000,000) say otherwise.
"""

_NO_MODELS: Final = """
# Nothing was found: no provider's key is set and no local server answers. Set a key such as
# OPENAI_API_KEY, or start Ollama, and run "sluice init --force"; or fill in models of your own.
#models:
#  - name: gpt-6-luna
#    provider: openai
#    api_key: ${OPENAI_API_KEY}
#    params: {"reasoning_effort": "none"}
#  - name: llama-3.1-8b
#    provider: vllm
#    api_base: http://127.0.0.1:8000/v1
#    cost: 0
#    max_tokens: 8192
"""

_CASCADES: Final = """
# What clients give as their model: cheapest first, the one to trust last. "auto" is the cascade of
# that name, else the first one, else all models in their order.
"""

_NO_CASCADES: Final = """#cascades:
#  auto:
#    models: [llama-3.1-8b, gpt-6-luna]
"""

_OPTIONS: Final = """\
#    domains: {CODE: [%(models)s]}
#    quality: {target_quality: 0.98}
#    stream_policy: buffered
#    policy: policy.json
#    cache: {exact: true, semantic: false, ttl_s: 3600}
"""

_NO_EMBEDDINGS: Final = """
# Models for embeddings, passed through. "sluice-encoder" is there without them.
#embeddings:
#  - name: text-embedding-3-small
#    provider: openai
#    api_key: ${OPENAI_API_KEY}
"""

_SECTIONS: Final = """
# Where it listens and what it takes. Beyond this machine it wants auth.mode: keys.
server:
  host: 127.0.0.1
  port: 8000
#  workers: 1
#  max_body_bytes: 20971520
#  max_header_bytes: 32768
#  body_timeout_s: 30
#  shutdown_timeout_s: 25
#  max_batch: 256
#  max_peers: 8
#  log_level: info
#  log_requests: true

# Outcomes, spending, keys and feedback. postgresql://user:password@host/database for replicas.
#store:
#  url: sqlite:///.sluice/sluice.db
#  retention_days: 90
#  store_text: false

# Rate limits and cached answers that several replicas share.
#redis:
#  url: ${REDIS_URL:-redis://127.0.0.1:6379/0}
#  prefix: sluice

# "keys" lets nobody in without a key of "sluice keys create". The admin key opens /admin.
#auth:
#  mode: keys
#  admin_key: ${SLUICE_ADMIN_KEY}
#  allow_open_network: false
#  user_header: x-sluice-user

# USD for the whole gateway and for each user; keys can have limits of their own.
#budget:
#  daily_limit: 10
#  monthly_limit: 200
#  user_daily_limit: 1
#  user_monthly_limit: 20
#  action: refuse

# Of one worker. What does not fit waits, then gets 429.
#limits:
#  max_concurrency: 2048
#  max_queue: 1024
#  queue_timeout_s: 10
#  request_timeout_s: 600

# Whether /metrics answers without the admin key where keys are wanted.
#metrics:
#  public: false

# OpenTelemetry spans, with the extra "otel".
#tracing:
#  endpoint: http://127.0.0.1:4318
#  service_name: sluice
"""


def render_sample(found: Discovery) -> str:
    """A commented YAML file of what was found. Keys are in it as references alone."""
    return "".join(_parts(found))


def _parts(found: Discovery) -> Iterator[str]:
    yield _HEAD
    if found.models:
        yield _MODELS + "models:\n"
        yield from (_model(model, found) for model in found.models)
        yield _CASCADES + "cascades:\n"
        for name, cascade in found.cascades.items():
            yield f"  {_scalar(name)}:\n    models: [{_scalars(cascade.models)}]\n"
            if name == AUTO:
                yield _OPTIONS % {"models": _scalars(cascade.models)}
    else:
        yield _NO_MODELS + _CASCADES + _NO_CASCADES
        yield _OPTIONS % {"models": "gpt-6-luna"}
    if found.embeddings:
        yield "\n# Models for embeddings, passed through.\nembeddings:\n"
        yield from (_model(model, found) for model in found.embeddings)
    else:
        yield _NO_EMBEDDINGS
    yield _SECTIONS


def _model(model: ModelConfig, found: Discovery) -> str:
    lines = [f"name: {_scalar(model.name)}", f"provider: {model.provider}"]
    if model.model is not None:
        lines.append(f"model: {_scalar(model.model)}")
    if variable := found.keys.get(model.provider):
        lines.append(f"api_key: ${{{variable}}}")
    if model.cost is not None:
        lines.append(f"cost: {model.cost:g}")
    if model.max_tokens is not None:
        lines.append(f"max_tokens: {model.max_tokens}")
    if model.params:
        lines.append(f"params: {json.dumps(dict(model.params))}")
    return "  - " + "\n    ".join(lines) + "\n"


def _scalars(names: Sequence[str]) -> str:
    return ", ".join(map(_scalar, names))


def _scalar(text: str) -> str:
    """`text` as YAML reads it back, and as no reference to the environment."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return json.dumps(text.replace("${", "$${"))
