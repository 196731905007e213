"""What the admin routes answer, as the OpenAPI document and the tests have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from router.agent.roster import Member
from router.providers.circuit import CircuitState
from router.records.key_records import KeyRecord

__all__ = [
    "BudgetsReply",
    "KeyListReply",
    "KeyReply",
    "NewKeyReply",
    "PoolReply",
    "describe_key",
    "describe_member",
]


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyReply(_Reply):
    id: str
    name: str
    state: Literal["active", "expired", "revoked"]
    created_at: float = Field(description="Unix seconds, as are all moments.")
    expires_at: float | None
    revoked_at: float | None
    models: list[str] | None = Field(description="Null: all, as for cascades.")
    cascades: list[str] | None
    daily_limit: float | None = Field(description="USD, as are all limits on money.")
    monthly_limit: float | None
    user_daily_limit: float | None
    user_monthly_limit: float | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    metadata: dict[str, str | int | float | bool]


class NewKeyReply(KeyReply):
    key: str = Field(description="The key itself, told this once.")


class KeyListReply(_Reply):
    data: list[KeyReply]
    has_more: bool = Field(description="Whether to ask again, with 'after' the last one's id.")


class WindowReply(_Reply):
    limit_usd: float | None = Field(description="Null: no limit.")
    spent_usd: float
    held_usd: float = Field(description="What calls under way may cost at most.")
    left_usd: float | None
    resets_in_s: float


class SpendingReply(_Reply):
    daily: WindowReply
    monthly: WindowReply


class KeySpendingReply(SpendingReply):
    key_id: str = Field(description="Empty for requests without a key, in open mode.")
    name: str


class UserSpendingReply(SpendingReply):
    key_id: str
    user: str


class BudgetsReply(_Reply):
    gateway: SpendingReply
    keys: list[KeySpendingReply]
    users: list[UserSpendingReply] = Field(description="Those who spent the most this month.")


class PricesReply(_Reply):
    input_usd_per_mtok: float = Field(description="USD per 1,000,000 tokens of a short prompt.")
    output_usd_per_mtok: float


class PlaceReply(_Reply):
    provider: str
    upstream_model: str
    origin: str = Field(description="Scheme, host and port: nothing that could hold a key.")
    circuit: CircuitState = Field(description="Open: it failed too often and is left alone.")


class PoolModelReply(_Reply):
    name: str
    endpoints: list[PlaceReply] = Field(description="In the order in which they are asked.")
    prices: PricesReply | None = Field(description="Null when they are not known.")
    max_output_tokens: int | None
    fallbacks: list[str]
    n_labels: int = Field(
        description="Labelled outcomes behind what is known of it; 0: name and prices alone."
    )


class PoolReply(_Reply):
    data: list[PoolModelReply]


def describe_key(record: KeyRecord, *, now: float) -> dict[str, Any]:
    """A key as the admin may see it, whose secret nobody may; StoreError when it cannot be read."""
    settings: Mapping[str, Any] = record.settings.model_dump()
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state(now),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
        **settings,
        "metadata": record.metadata,
    }


def describe_member(member: Member, *, n_labels: int, now: float) -> dict[str, Any]:
    """A model of the pool, without anything that could be a secret; `now` is of the monotonic
    clock."""
    price = member.price
    prices = None
    if price is not None:
        prices = {
            "input_usd_per_mtok": price.input_cost,
            "output_usd_per_mtok": price.output_cost,
        }
    return {
        "name": member.name,
        "endpoints": [
            {
                "provider": endpoint.provider,
                "upstream_model": endpoint.upstream_model,
                "origin": endpoint.origin,
                "circuit": circuit,
            }
            for endpoint, circuit in member.client.circuits(now)
        ],
        "prices": prices,
        "max_output_tokens": member.client.endpoint.max_output,
        "fallbacks": list(member.config.fallbacks),
        "n_labels": n_labels,
    }
