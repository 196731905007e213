"""The first version: outcomes with their calls, the ledger's totals and holds, keys, feedback.

Written out, not taken from `tables`, which goes on changing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _make_outcomes()
    _make_calls()
    _make_ledger()
    _make_keys()
    _make_feedback()


def _make_outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.Text, nullable=False, unique=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("cascade", sa.Text, nullable=False),
        sa.Column("requested_model", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("streamed", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("http_status", sa.Integer, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("action", sa.Text),
        sa.Column("cached", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("provider", sa.Text),
        sa.Column("domain", sa.Text),
        sa.Column("domain_confidence", sa.Float),
        sa.Column("artifact", sa.Text),
        sa.Column("target_quality", sa.Float),
        sa.Column("p_success", sa.Float),
        sa.Column("p_acceptable", sa.Float),
        sa.Column("predictions", sa.Text),
        sa.Column("plan", sa.Text),
        sa.Column("drafts", sa.Text),
        sa.Column("drafts_agree", sa.Boolean),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("features", sa.LargeBinary),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cost_nano", sa.BigInteger, nullable=False),
        sa.Column("unpriced", sa.Boolean, nullable=False),
        sa.Column("baseline_nano", sa.BigInteger),
        sa.Column("latency_ms", sa.Float, nullable=False),
        sa.Column("overhead_ms", sa.Float),
        sa.Column("first_token_ms", sa.Float),
        sa.Column("prompt", sa.Text),
        sa.Column("answer", sa.Text),
    )
    op.create_index("outcomes_at", "outcomes", ["at"])
    op.create_index("outcomes_key_at", "outcomes", ["key_id", "at"])


def _make_calls() -> None:
    op.create_table(
        "calls",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("cost_nano", sa.BigInteger),
        sa.Column("charged_nano", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("cached_tokens", sa.BigInteger),
        sa.Column("latency_ms", sa.Float),
        sqlite_with_rowid=False,
    )


def _make_ledger() -> None:
    # Small tables that every request writes: in SQLite without an index beside the table itself.
    op.create_table(
        "totals",
        sa.Column("window", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("settled_nano", sa.BigInteger, nullable=False),
        sa.Column("held_nano", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("amount_nano", sa.BigInteger, nullable=False),
        sa.Column("windows", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )


def _make_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
    )


def _make_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        sa.Column("request_id", sa.Text, nullable=False, index=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("correct", sa.Boolean),
        sa.Column("score", sa.Float),
        sa.Column("comment", sa.Text),
    )
