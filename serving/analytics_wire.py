"""What /v1/analytics takes and answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from router.records.instants import read_instant
from router.records.report_slices import MAX_BUCKETS, MAX_GROUPS, Bucket, GroupBy

from .errors import ApiError, bad_request

__all__ = ["ANALYTICS_PARAMETERS", "AnalyticsQuery", "AnalyticsReply", "read_analytics_query"]

_DAY_S: Final = 86_400.0
_MAX_KEY_CHARS: Final = 200
_INSTANT: Final = {"type": "string", "example": "2026-11-25T00:00:00Z"}
_SCHEMAS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "from": (
        _INSTANT,
        "The beginning: ISO 8601 (UTC without a zone) or Unix seconds; a day before `to`.",
    ),
    "to": (_INSTANT, "The end, which is not part of it; now."),
    "bucket": (
        {"type": "string", "enum": list(get_args(Bucket)), "default": "hour"},
        f"Hours or days of UTC, at most {MAX_BUCKETS}.",
    ),
    "group_by": (
        {"type": "string", "enum": list(get_args(GroupBy))},
        f"Of keys and users, the {MAX_GROUPS} with the most requests, and the rest together.",
    ),
    "key": ({"type": "string"}, "For the admin: the id of one key. Others see their own alone."),
}
ANALYTICS_PARAMETERS: Final = [
    {"name": name, "in": "query", "required": False, "schema": schema, "description": said}
    for name, (schema, said) in _SCHEMAS.items()
]
_Choice = TypeVar("_Choice", bound=str)


@dataclass(frozen=True, kw_only=True)
class AnalyticsQuery:
    """What is asked for; times in Unix seconds, `key` None for all that may be seen."""

    from_at: float
    to_at: float
    bucket: Bucket = "hour"
    group_by: GroupBy | None = None
    key: str | None = None


def read_analytics_query(params: Iterable[tuple[str, str]], *, now: float) -> AnalyticsQuery:
    """The query in a URL's parameters; ApiError or InputError naming the one that is wrong."""
    given: dict[str, str] = {}
    for name, value in params:
        if name not in _SCHEMAS:
            raise _unknown(name)
        if name in given:
            raise bad_request(f"'{name}' is given twice", param=name)
        given[name] = value
    to_at = read_instant(given["to"], param="to") if "to" in given else now
    from_at = max(0.0, to_at - _DAY_S)
    if "from" in given:
        from_at = read_instant(given["from"], param="from")
    if from_at >= to_at:
        raise bad_request("'from' should lie before 'to'", param="from")
    key = given.get("key")
    if key is not None and (len(key) > _MAX_KEY_CHARS or "\x00" in key):
        raise bad_request("'key' is no key's id", param="key")
    bucket: Bucket | None = _choice(given, "bucket", get_args(Bucket))
    return AnalyticsQuery(
        from_at=from_at,
        to_at=to_at,
        bucket=bucket or "hour",
        group_by=_choice(given, "group_by", get_args(GroupBy)),
        key=key,
    )


def _choice(given: dict[str, str], name: str, known: tuple[_Choice, ...]) -> _Choice | None:
    if name not in given:
        return None
    for one in known:
        if given[name] == one:
            return one
    raise bad_request(f"'{name}' should be one of {', '.join(known)}", param=name)


def _unknown(name: str) -> ApiError:
    shown = name[:64]
    near = get_close_matches(shown, _SCHEMAS, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(_SCHEMAS)}"
    message = f"unknown parameter '{shown}'; {hint}"
    return bad_request(message, param=shown, code="unknown_field")


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LatencyReply(_Reply):
    p50: float | None
    p95: float | None


class OverheadReply(_Reply):
    p50: float | None
    p99: float | None


class FiguresReply(_Reply):
    """Rates are 0..1, and null of nothing. Percentiles are read off bins 15.5% wide."""

    requests: int
    answered: int
    failed: int
    cancelled: int
    cached: int = Field(description="Answered from the response cache.")
    routed: int = Field(description="Answered by a cascade.")
    drafted: int = Field(description="Of those routed, with drafts.")
    accepted: int = Field(description="Of those drafted, by a draft that was good enough.")
    escalated: int
    compared: int = Field(description="With two drafts or more.")
    agreed: int = Field(description="Of those compared, with drafts that said the same.")
    unpriced: int = Field(description="With a call whose cost is not known.")
    cost_usd: float = Field(description="Of all requests, as budgets count it.")
    baseline_usd: float = Field(
        description="What the verifier alone would have cost, where that and the cost are known."
    )
    saved_usd: float = Field(description="The baseline less what the same requests did cost.")
    saving: float | None = Field(description="saved_usd / baseline_usd")
    acceptance_rate: float | None = Field(description="accepted / drafted")
    escalation_rate: float | None = Field(description="escalated / routed")
    agreement_rate: float | None = Field(description="agreed / compared")
    cached_share: float | None = Field(description="cached / answered")
    input_tokens: int
    output_tokens: int
    latency_ms: LatencyReply = Field(description="Of answered requests, as is the overhead.")
    overhead_ms: OverheadReply


class AnalyticsRowReply(FiguresReply):
    start: str | None = Field(description="Where the bucket begins; null without buckets.")
    group: str | None = Field(description="Null: no group, or requests without that.")
    key: str | None = Field(description="Whose user it is, where users are the groups.")
    rest: bool = Field(description="All groups too small for a row of their own.")


class FailuresReply(_Reply):
    error_code: str | None
    http_status: int
    requests: int


class BinReply(_Reply):
    low: float
    high: float
    n: int
    mean_predicted: float | None
    mean_observed: float | None


class CalibrationReply(_Reply):
    n: int
    brier: float | None
    ece: float | None
    bins: list[BinReply]


class LabelsReply(_Reply):
    n: int = Field(description="Requests with a label: the newest `correct`, else `score`.")
    mean_label: float | None
    p_success: CalibrationReply = Field(description="Of the model that answered.")
    p_acceptable: CalibrationReply = Field(description="Of the draft that is the answer.")


class AnalyticsReply(_Reply):
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    from_: str = Field(alias="from")
    to: str
    bucket: Literal["hour", "day", "none"]
    group_by: Literal["model", "domain", "key", "cascade", "action", "user"] | None
    key: str | None = Field(description="Whose requests; null: everybody's.")
    total: FiguresReply
    rows: list[AnalyticsRowReply]
    failures: list[FailuresReply]
    labels: LabelsReply
