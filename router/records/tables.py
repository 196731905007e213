"""The tables, as SQLAlchemy knows them. `migrations/` makes them; a test holds the two together.

Times are Unix seconds, amounts whole nano-USD. JSON is kept as text, so that one statement does for
every database.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

__all__ = ["METADATA", "calls", "feedback", "holds", "keys", "outcomes", "totals"]

METADATA: Final = MetaData()
_ROW_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER by itself

outcomes: Final = Table(
    "outcomes",
    METADATA,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("at", Float, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("cascade", Text, nullable=False),
    Column("requested_model", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("http_status", Integer, nullable=False),
    Column("error_code", Text),
    Column("action", Text),
    Column("cached", Text),
    Column("model", Text),
    Column("provider", Text),
    Column("domain", Text),
    Column("domain_confidence", Float),
    Column("artifact", Text),
    Column("target_quality", Float),
    Column("p_success", Float),
    Column("p_acceptable", Float),
    Column("predictions", Text),
    Column("plan", Text),
    Column("drafts", Text),
    Column("drafts_agree", Boolean),
    Column("propensity", Float, nullable=False),
    Column("features", LargeBinary),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cost_nano", BigInteger, nullable=False),
    Column("unpriced", Boolean, nullable=False),
    Column("baseline_nano", BigInteger),
    Column("latency_ms", Float, nullable=False),
    Column("overhead_ms", Float),
    Column("first_token_ms", Float),
    Column("prompt", Text),
    Column("answer", Text),
    Index("outcomes_at", "at"),
    Index("outcomes_key_at", "key_id", "at"),
)

# The calls of a request, numbered from 0.
calls: Final = Table(
    "calls",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("cost_nano", BigInteger),
    Column("charged_nano", BigInteger, nullable=False),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("latency_ms", Float),
)

# What was spent in a window ("2026-11-25", "2026-11") on an account (`accounts`), and what is held
# for calls under way.
totals: Final = Table(
    "totals",
    METADATA,
    Column("window", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("settled_nano", BigInteger, nullable=False),
    Column("held_nano", BigInteger, nullable=False),
)

# A call under way: what it may cost at most is held in `windows` (JSON: [[window, account], ...])
# until it is recorded or released, or, when its process died, until `expires_at`. There are only as
# many as calls are under way, so that no index has to be kept for finding the expired ones.
holds: Final = Table(
    "holds",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("amount_nano", BigInteger, nullable=False),
    Column("windows", Text, nullable=False),
    Column("expires_at", Float, nullable=False),
)

# A virtual key; `hash` is the SHA-256 of its secret, which is nowhere. `settings` and `metadata`
# are JSON; see `key_records`.
keys: Final = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("settings", Text, nullable=False),
    Column("metadata", Text, nullable=False),
)

# Labels: several of one request stay side by side.
feedback: Final = Table(
    "feedback",
    METADATA,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("request_id", Text, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("correct", Boolean),
    Column("score", Float),
    Column("comment", Text),
)
