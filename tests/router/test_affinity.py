"""Conversations are recognised by what was sent, and what is known of them is not forgotten."""

from __future__ import annotations

from typing import Any

from router.affinity import Affinities, Conversation
from router.types import Query

FIRST = [{"role": "user", "content": "Hello"}]
ANSWER = {"role": "assistant", "content": "Hi, what is it?"}
SECOND = [*FIRST, ANSWER, {"role": "user", "content": "Prove it."}]


def request(messages: list[dict[str, Any]]) -> Query:
    return Query.from_messages(messages)


def remembered(affinities: Affinities, now: float = 100.0, **changes: Any) -> None:
    given = {"escalated": True, "seen": {"large": 50}, **changes}
    messages = given.pop("messages", FIRST)
    conversation_id = given.pop("conversation_id", None)
    answer = given.pop("answer", ANSWER["content"])
    known = affinities.recall(request(messages), conversation_id, now)
    affinities.remember(request(messages), answer, conversation_id, known, now=now, **given)


def test_a_first_turn_is_nobodys_conversation() -> None:
    affinities = Affinities()
    remembered(affinities)
    assert affinities.recall(request(FIRST), None, 101.0) == Conversation()


def test_the_next_turn_knows_that_the_conversation_has_escalated_and_what_is_cached() -> None:
    affinities = Affinities()
    remembered(affinities)
    known = affinities.recall(request(SECOND), None, 200.0)
    assert known.escalated
    assert known.cached_tokens("large", 200.0) == 50
    assert known.cached_tokens("small", 200.0) == 0
    assert known.cached_tokens("large", 100.0 + 301.0) == 0


def test_once_escalated_stays_so_over_turns_that_drafters_answer() -> None:
    affinities = Affinities()
    remembered(affinities)
    remembered(affinities, 110.0, messages=SECOND, escalated=False, seen={"small": 70})
    third = [*SECOND, ANSWER, {"role": "user", "content": "Go on."}]
    known = affinities.recall(request(third), None, 120.0)
    assert known.escalated
    assert known.seen == {"large": (50, 100.0), "small": (70, 110.0)}


def test_a_conversation_that_begins_alike_is_another_one() -> None:
    affinities = Affinities()
    remembered(affinities)
    other = [{"role": "user", "content": "Hello!"}, *SECOND[1:]]
    assert not affinities.recall(request(other), None, 101.0).escalated
    told = [{"role": "system", "content": "Be brief."}, *SECOND]
    assert not affinities.recall(request(told), None, 101.0).escalated


def test_two_that_begin_with_the_same_turn_are_told_apart_by_their_answers() -> None:
    affinities = Affinities()
    remembered(affinities)
    remembered(affinities, escalated=False, answer="Hello, how can I help?")
    assert affinities.recall(request(SECOND), None, 101.0).escalated
    other = [*FIRST, {"role": "assistant", "content": "Hello, how can I help?"}, SECOND[-1]]
    assert not affinities.recall(request(other), None, 101.0).escalated


def test_marks_for_the_prompt_cache_make_no_other_conversation_of_it() -> None:
    affinities = Affinities()
    remembered(affinities)
    marked = {"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}
    turn = [{"role": "user", "content": [marked]}, *SECOND[1:]]
    assert affinities.recall(request(turn), None, 101.0).escalated


def test_text_that_no_encoder_takes_is_a_conversation_too() -> None:
    affinities = Affinities()
    remembered(
        affinities, messages=[{"role": "user", "content": "\ud800"}], conversation_id="\ud801"
    )
    assert affinities.recall(request(FIRST), "\ud801", 101.0).escalated


def test_tool_results_go_on_with_the_call_that_asked_for_them() -> None:
    affinities = Affinities()
    remembered(affinities, answer="")
    calling = {"role": "assistant", "content": None, "tool_calls": [{"id": "a"}]}
    turn = [*FIRST, calling, {"role": "tool", "tool_call_id": "a", "content": "42"}]
    assert affinities.recall(request(turn), None, 101.0).escalated


def test_a_callers_id_is_enough() -> None:
    affinities = Affinities()
    remembered(affinities, conversation_id="abc")
    assert affinities.recall(request([*FIRST, ANSWER]), "abc", 101.0).escalated
    assert not affinities.recall(request(FIRST), "abd", 101.0).escalated


def test_what_is_a_day_old_is_forgotten() -> None:
    affinities = Affinities()
    remembered(affinities)
    assert not affinities.recall(request(SECOND), None, 100.0 + 86_401.0).escalated


def test_the_oldest_make_room(monkeypatch: Any) -> None:
    monkeypatch.setattr("router.affinity._MAX_CONVERSATIONS", 3)
    affinities = Affinities()
    for index in range(5):
        remembered(affinities, conversation_id=str(index))
    known = [affinities.recall(request(FIRST), str(index), 101.0).escalated for index in range(5)]
    assert known == [False, False, True, True, True]
