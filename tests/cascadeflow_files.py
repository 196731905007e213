"""What tests of the migration share: files in cascadeflow's form, and what is said of them."""

from __future__ import annotations

import pytest
import yaml

from router.config import CascadeConfig
from router.errors import ConfigError
from router.migration import Migrated, migrate

__all__ = [
    "DOCUMENTED",
    "MODELS",
    "SECRET",
    "chain_names",
    "fault",
    "note_on",
    "read",
    "with_domains",
]

SECRET = "sk-very-secret-0123456789"
DOCUMENTED = """
models:
  - name: gpt-4o-mini
    provider: openai
    cost: 0.00015
    supports_tools: true
  - name: gpt-4o
    provider: openai
    cost: 0.0025
    supports_tools: true
domains:
  code:
    drafter: gpt-4o-mini
    verifier: gpt-4o
    threshold: 0.85
    temperature: 0.2
    validation_method: syntax
  medical:
    drafter: gpt-4o-mini
    verifier: gpt-4o
    threshold: 0.95
    validation_method: fact
    require_verifier: true
  general:
    drafter: gpt-4o-mini
    verifier: gpt-4o
settings:
  enable_cascade: true
  enable_domain_detection: true
  verbose: false
channels:
  heartbeat: {models: gpt-4o-mini, strategy: direct_cheap}
channel_failover:
  voice: heartbeat
"""
MODELS = """
models:
  - {name: mini, provider: openai, cost: 0.0001}
  - {name: big, provider: openai, cost: 0.01}
"""


def read(text: str) -> Migrated:
    return migrate(yaml.safe_load(text))


def with_domains(text: str) -> Migrated:
    return read(f"{MODELS}domains: {text}")


def chain_names(config: CascadeConfig) -> dict[str, list[str]]:
    chains = config.domains.domains if config.domains else {}
    return {domain: [model.name for model in chain] for domain, chain in chains.items()}


def fault(text: str) -> str:
    given = yaml.safe_load(text)
    with pytest.raises(ConfigError) as caught:
        migrate(given)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def note_on(migrated: Migrated, key: str) -> str:
    """The one note that is about `key`."""
    (note,) = [one for one in migrated.notes if key in one.partition(": ")[0].split(", ")]
    return note.partition(": ")[2]
