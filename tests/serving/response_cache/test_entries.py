"""What is kept of an answer, which answers are kept, and which bytes are no entry."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.agent.results import RunResult
from router.config import QualityConfig
from serving.response_cache.entries import Entry, is_worth_keeping, pack_entry, read_entry
from serving.response_cache.store import CacheKind, EntryKeys
from tests.agents import REJECT_ALL
from tests.upstream import answer, answer_anthropic, fail, send_json

from .answers import QUESTION, answered

KEYS = EntryKeys(tenant="t", exact=b"e" * 32, alike=b"a" * 32)
HEAD = 4 + 32 + 32 + 2  # bytes before the embedding
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.fixture(scope="module")
async def result() -> RunResult:
    return await answered(answer("Paris, of course. 🥐", logprobs=(-0.1,)))


def packed(result: RunResult, asked: str | None = QUESTION) -> bytes:
    found = pack_entry(KEYS, result, request_id="slc_1", kept_at=5.0, asked=asked)
    assert found is not None
    return found


def read(found: bytes, kind: CacheKind = "exact", keys: EntryKeys = KEYS) -> Entry | None:
    return read_entry(keys, kind, found)


async def test_an_answer_comes_back_as_the_model_gave_it(result: RunResult) -> None:
    entry = read(packed(result))
    assert entry is not None
    found, given = entry.answer, result.completion
    same = replace(given, latency_ms=0.0, first_token_ms=None, attempts=(), logprobs=None)
    assert found.completion == same
    assert (found.kind, found.request_id, found.kept_at) == ("exact", "slc_1", 5.0)
    assert found.domain == result.domain
    assert result.total_cost is not None
    assert result.verifier_cost is not None
    assert found.cost_nano == round(result.total_cost * 1e9)
    assert found.verifier_nano == round(result.verifier_cost * 1e9)
    assert entry.asked == QUESTION
    assert entry.embedding is not None
    np.testing.assert_array_equal(entry.embedding, result.prediction.embedding)


async def test_anthropics_own_body_is_kept_beside() -> None:
    result = await answered(answer_anthropic("Paris."), provider="anthropic")
    entry = read(packed(result), "semantic")
    assert entry is not None
    assert result.completion.native is not None
    assert entry.answer.completion.native == result.completion.native
    assert entry.answer.completion.reply == result.completion.reply


async def test_what_is_not_known_stays_unknown(result: RunResult) -> None:
    without = await answered(answer("Paris.", usage=None))
    entry = read(packed(without, None))
    assert entry is not None
    assert (entry.answer.cost_nano, entry.answer.completion.usage) == (None, None)
    assert (entry.asked, entry.embedding) == (None, None)


async def test_an_entry_is_small(result: RunResult) -> None:
    long = await answered(answer("One baguette is a baguette, and two are a meal. " * 200))
    assert len(packed(long, None)) < 0.2 * len(long.completion.text)


@given(cut=st.integers(0, 4000), junk=st.binary(max_size=8))
async def test_damaged_bytes_are_no_entry(result: RunResult, cut: int, junk: bytes) -> None:
    whole = packed(result)
    damaged = whole[: cut % len(whole)] + junk
    assert whole.startswith(damaged) or read(damaged) is None


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_entry(found: bytes) -> None:
    assert read(found) is None
    head = b"slc\x01" + KEYS.exact + bytes(32)
    assert read(head + bytes(2) + found) is None


@pytest.mark.parametrize(
    "change",
    [
        {"reply": {}},
        {"reply": {"choices": []}},
        {"reply": {"choices": [{"message": "Paris."}]}},
        {"usage": {"tokens": 3}},
        {"usage": {"prompt_tokens": "3", "completion_tokens": 1}},
        {"text": None},
        {"kept_at": "today"},
        {"further": 1},
    ],
)
async def test_a_body_of_another_format_is_no_entry(
    result: RunResult, change: dict[str, Any]
) -> None:
    whole = packed(result, None)
    body = orjson.loads(zlib.decompress(whole[HEAD:]))
    assert read(whole[:HEAD] + zlib.compress(orjson.dumps(body))) is not None
    changed = zlib.compress(orjson.dumps({**body, **change}))
    assert read(whole[:HEAD] + changed) is None


async def test_an_older_format_is_no_entry(result: RunResult) -> None:
    assert read(b"slc\x00" + packed(result)[4:]) is None


async def test_another_ones_entry_is_no_entry(result: RunResult) -> None:
    """As a connection that was left in the middle of an answer might bring it."""
    whole = packed(result)
    other = EntryKeys(tenant="t", exact=b"x" * 32, alike=b"y" * 32)
    assert read(whole, "exact", replace(KEYS, exact=other.exact)) is None
    assert read(whole, "semantic", replace(KEYS, alike=other.alike)) is None
    assert read(whole, "semantic", replace(KEYS, alike=None)) is None
    assert read(whole, "semantic", replace(KEYS, exact=other.exact)) is not None


async def test_what_is_no_json_is_not_kept(result: RunResult) -> None:
    strange = replace(result.completion, reply={**result.completion.reply, "x": {1, 2}})
    strange_result = replace(result, completion=strange)
    assert pack_entry(KEYS, strange_result, request_id="r", kept_at=0.0, asked=None) is None


async def test_a_whole_answer_is_worth_keeping(result: RunResult) -> None:
    assert is_worth_keeping(result)
    assert is_worth_keeping(await answered(answer("Paris."), streamed=True))


@pytest.mark.parametrize(
    "behaviour",
    [
        answer("Paris is the", finish_reason="length"),
        answer(None, tool_calls=[CALL]),
        answer("Let me see.", tool_calls=[CALL], finish_reason="stop"),
    ],
)
async def test_half_an_answer_is_not(behaviour: Any) -> None:
    assert not is_worth_keeping(await answered(behaviour, large=behaviour))


async def test_an_answer_that_was_stopped_is_not(result: RunResult) -> None:
    stopped = replace(result.completion, finish_reason="content_filter")
    assert not is_worth_keeping(replace(result, completion=stopped))


async def test_a_refusal_is_not() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot say that."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    refusal = send_json({"id": "c", "object": "chat.completion", "choices": [choice]})
    assert not is_worth_keeping(await answered(refusal))


async def test_two_answers_at_once_are_not() -> None:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}
        for i in range(2)
    ]
    both = send_json({"id": "c", "object": "chat.completion", "choices": choices})
    assert not is_worth_keeping(await answered(both))


async def test_a_pause_of_anthropics_is_not() -> None:
    pause = answer_anthropic("Let me think", stop_reason="pause_turn")
    assert not is_worth_keeping(await answered(pause, provider="anthropic"))


async def test_a_rejected_draft_is_not() -> None:
    quality = QualityConfig(return_rejected_draft=True)
    result = await answered(answer("Paris."), large=fail(500), policy=REJECT_ALL, quality=quality)
    assert result.action == "rejected_draft"
    assert not is_worth_keeping(result)


async def test_a_draft_that_was_passed_on_is_kept_if_it_was_good() -> None:
    quality = QualityConfig(optimistic_above=0.0)
    more: dict[str, Any] = {"streamed": True, "stream_policy": "optimistic", "quality": quality}
    good = await answered(answer("The capital of France is Paris."), **more)
    assert (good.action, good.draft_accepted) == ("optimistic", True)
    assert is_worth_keeping(good)
    rejected = [replace(verdict, accept=False) for verdict in good.verdicts]
    assert not is_worth_keeping(replace(good, verdicts=tuple(rejected)))
