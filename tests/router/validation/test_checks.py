"""Rule checks: what they find, what they leave alone, and what hostile input costs."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.types import Check, Draft, Query
from router.validation.checks import (
    CHECK_NAMES,
    HARD_CHECKS,
    RULE_FEATURES,
    Limits,
    check_draft,
    fails_hard,
    inspect_draft,
)
from router.validation.rules.arithmetic import find_equations

QUERY = Query.from_prompt("How many apples does Janet have in the end?")
JSON = Query.from_prompt("Give me JSON", response_format={"type": "json_object"})


def found(text: str, query: Query = QUERY, **draft: Any) -> Mapping[str, Check]:
    return {check.name: check for check in check_draft(query, Draft(text=text, **draft))}


def test_a_plain_answer_passes_every_check_and_names_are_stable() -> None:
    checks = check_draft(QUERY, Draft(text="Janet has 3 + 4 = 7 apples.", finish_reason="stop"))
    assert all(check.passed is not False for check in checks)
    names = [check.name for check in checks]
    assert names == [name for name in CHECK_NAMES if name in names]


def test_evidence_numbers_are_floats_in_the_order_of_the_feature_names() -> None:
    evidence = inspect_draft(QUERY, Draft(text="1. Add 3 and 4.\n2. The sum is 7."))
    numbers = evidence.numbers()
    assert len(numbers) == len(RULE_FEATURES) == len(set(RULE_FEATURES))
    assert all(isinstance(number, float) for number in numbers)
    assert evidence.n_steps == 2
    assert evidence.n_numbers == 5
    assert math.isnan(evidence.code_ok)


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_draft_fails_unless_it_calls_a_tool(text: str) -> None:
    assert found(text)["empty"].passed is False
    called = found(text, tool_calls=({"name": "count", "input": {"n": 1}},))
    assert called["empty"].passed is True
    assert "length" not in called


def test_length_limits_are_the_callers() -> None:
    draft = Draft(text="abcdef")
    short = check_draft(QUERY, draft, limits=Limits(min_chars=10))
    long = check_draft(QUERY, draft, limits=Limits(max_chars=3))
    assert [check.passed for check in short if check.name == "length"] == [False]
    assert [check.passed for check in long if check.name == "length"] == [False]


@pytest.mark.parametrize("reason", ["length", "max_tokens"])
def test_truncation_is_told_by_the_finish_reason(reason: str) -> None:
    assert found("The answer is", finish_reason=reason)["truncated"].passed is False


def test_truncation_is_told_by_what_was_left_open() -> None:
    assert found("```python\nx = 1\n")["truncated"].passed is False
    assert found("```js\nf()\n" + "x\n" * 9000)["truncated"].passed is False
    assert found('{"a": [1, 2', JSON)["truncated"].passed is False
    assert found("```python\nx = 1\n```")["truncated"].passed is True


def test_a_content_filter_is_reported() -> None:
    assert found("...", finish_reason="content_filter")["content_filter"].passed is False


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I cannot assist with that request.",
        "As an AI language model, I cannot have opinions.",
        "I cannot provide medical advice.",
        "Unfortunately, I am unable to access the internet.",
        "I must decline this request.",
        "Lo siento, pero no puedo ayudarte con eso.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
        "抱歉，我无法提供该信息。",
        "申し訳ありませんが、お手伝いできません。",
        "죄송합니다, 도와드릴 수 없습니다.",
        "Извините, я не могу помочь.",
        "عذراً، لا أستطيع المساعدة",
    ],
)
def test_refusals_are_recognised(text: str) -> None:
    assert found(text)["refusal"].passed is False


@pytest.mark.parametrize(
    "text",
    [
        "I can't believe it was already noon, she said.",
        "I'm sorry for your loss. Here is a letter:",
        "I can't help but wonder whether the sea was ever calm.",
        "As an AI researcher, Dr. Lee wrote code.",
        "I cannot stress enough how important sleep is.",
        "I won't give up, he said.",
        "I don't think so. The answer is 5.",
        "The guard sighed. I'm sorry, but I can't help with that." * 2,
    ],
)
def test_answers_and_stories_are_not_refusals(text: str) -> None:
    assert found(text)["refusal"].passed is True


def test_hedging_is_a_measure_and_not_knowing_a_failure() -> None:
    hedged = found("It is probably 5, perhaps 6.")["hedging"]
    assert hedged.passed is None
    assert hedged.value == pytest.approx(100 * 2 / 6)
    assert found("I'm not sure what the answer is.")["hedging"].passed is False


def test_second_thoughts_and_questions_back_are_counted() -> None:
    evidence = inspect_draft(QUERY, Draft(text="It is 5. Wait, that is a mistake. Which apples?"))
    assert evidence.self_corrections == 2
    assert evidence.asks_back == 1


@pytest.mark.parametrize(
    "text",
    ["start " + "and so on and " * 60, "The same long line of text again.\n" * 12, "ha" * 400],
)
def test_loops_are_repetition(text: str) -> None:
    assert found(text)["repetition"].passed is False


def test_tables_and_code_are_not_repetition() -> None:
    table = "\n".join(f"| {n} | {n * n} | {n**3} |" for n in range(40))
    assert found(table)["repetition"].passed is True


def test_an_echo_is_not_an_answer() -> None:
    assert found(QUERY.text)["echo"].passed is False
    assert found("7", Query.from_prompt("Is it 7?"))["echo"].passed is True


def test_another_script_is_measured_where_no_translation_is_asked() -> None:
    russian = "Всего у неё семь яблок, потому что три и четыре"
    assert found(russian)["language"].passed is None
    assert "language" not in found(russian, Query.from_prompt("Translate to Russian: seven apples"))


@pytest.mark.parametrize(
    "text",
    [
        "12 * 3 = 36",
        "44 × $20 = $880",
        "5 apples * $2 = $10",
        "3 hours x 60 minutes/hour = 180 minutes",
        "1,000 + 250 = 1,250",
        "20% of $20 = $4",
        "5/20 * 100 = 25%",
        "45 + 110 + 72 = 155 + 72 = 227",
        "(3 + 4) * 5 = 35",
        "10/3 = 3.33",
        r"\frac{1}{2} + \frac{1}{4} = 0.75",
        r"3 \times 4 = 12",
        "60 * (1/4) = 15",
        "**12 * 3 = 36**",
        "5 - (-3) = 8",
        "- 44 × 20 = 880.",
        "10 − 4 = 6",
    ],
)
def test_right_equations_are_read_as_right(text: str) -> None:
    finding = find_equations(text)
    assert finding.n_equations >= 1
    assert finding.n_wrong == 0


@pytest.mark.parametrize(
    "text",
    [
        "12 * 3 = 35",
        "so 5 apples * $2 = $11",
        "1,000 + 250 = 1,350",
        "20% of $20 = $5",
        "45 + 110 + 72 = 155 + 72 = 228",
        "(3 + 4) * 5 = 30",
        "- 3 + 4 = 8",
        "1. 3 * 4 = 13",
        r"3 \times 4 = 13",
    ],
)
def test_wrong_equations_are_found(text: str) -> None:
    assert find_equations(text).n_wrong == 1


@pytest.mark.parametrize(
    "text",
    [
        "2x + 3 + 4 = 8",
        "x - (3+4) = 8",
        "2(3+4) = 15",
        "3 + 4 = 8x",
        "7 + 8 = 3 (mod 12)",
        "3 + 4 = 12_5",
        "1 1/2 = 2.7",
        "3,5 * 2 = 7,0",
        "3:00 - 1:00 = 3",
        "12 inches + 1 foot = 24 inches",
        "3 more than 4 * 2 = 11",
        "$1.2 million + 3 = 5",
        "log 100 + 2 = 4",
        "f(3 + 4) = 9",
        "5! + 3! = 126",
        r"\sqrt{16} + 2 = 6",
        "3 + 4 == 8",
        "-3 + 5 = 2",
        "1+2+...+10 = 55",
        "1199 / 24 = 49 remainder 23",
        "2020-2021 = season",
    ],
)
def test_doubtful_equations_are_left_alone(text: str) -> None:
    assert find_equations(text).n_wrong == 0


def test_wrong_arithmetic_is_shown() -> None:
    check = found("3 + 4 = 7 and then 12*3 = 35")["arithmetic"]
    assert check.passed is False
    assert check.value == 0.5
    assert check.detail == "1 of 2 equations wrong: 12*3 = 35"


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("```python\ndef f(x):\n    return x\n```", True),
        ("```python\n    return x\n```", True),
        ("```python\ndef f(x:\n```", False),
        ("```python\nprint('\\d')\n```", True),
        ("```python\nx = '\0'\n```", False),
        ('```json\n{"a": 1}\n```', True),
        ("```json\n{'a': 1}\n```", False),
        ("```js\nf(() => { return ')' })\n```", True),
        ("```js\nf(() => {\n```", False),
        ("def f(x):\n    return x", True),
        ("```python\n" + "(" * 500 + "\n```", False),
        ("```python\n" + "x = 1\n" * 400 + "```", True),
    ],
)
def test_code_blocks_must_parse(text: str, passed: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found(text)["code_parses"].passed is passed


def test_transcripts_and_unknown_languages_are_not_judged() -> None:
    assert "code_parses" not in found("```python\n>>> f(\n```")
    assert "code_parses" not in found("```bash\ncase x) ;; esac\n```")


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_no_text_raises(text: str) -> None:
    for query in (QUERY, JSON, Query.from_prompt(text)):
        assert check_draft(query, Draft(text=text))


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789.,+-*/=()^%$ x{}\\n'\"`", max_size=120))
def test_no_arithmetic_raises(text: str) -> None:
    assert find_equations(text).n_wrong <= find_equations(text).n_equations


@settings(deadline=None)
@given(
    text=st.sampled_from(["", " ", "{}", "[1]", "Four apples.", "x" * 60]),
    query=st.sampled_from([QUERY, JSON]),
    finish_reason=st.sampled_from([None, "stop", "content_filter", "length"]),
    calls=st.sampled_from([(), ({"type": "function", "function": {"name": "f"}},)]),
    limits=st.builds(
        Limits, min_chars=st.sampled_from([0, 1, 20]), max_chars=st.sampled_from([None, 0, 50])
    ),
    ran=st.sampled_from([None, True, False]),
)
def test_a_hard_failure_is_that_of_a_hard_check(
    text: str, query: Query, finish_reason: str | None, calls: Any, limits: Limits, ran: bool | None
) -> None:
    outside = (Check(name="made outside the text", passed=ran),)
    draft = Draft(text=text, finish_reason=finish_reason, tool_calls=calls, checks=outside)
    rendered = check_draft(query, draft, limits=limits)
    failed = any(check.passed is False and check.name in HARD_CHECKS for check in rendered)
    assert fails_hard(inspect_draft(query, draft), draft, limits) == (failed or ran is False)


HOSTILE = {
    "brackets": "(" * 100_000,
    "letters": "a" * 100_000,
    "sums": "1+" * 50_000,
    "equations": "1+1=" * 25_000,
    "wrong lines": "1 * 2 = 3\n" * 10_000,
    "units": "$1 x $2 % (3)= " * 6_000,
    "fractions": "\\frac{1}{2}=" * 8_000,
    "equals": "=" * 100_000,
    "fences": "```" * 33_000,
    "python": ("```python\n" + "a\n" * 500 + "```\n") * 90,
    "braces": "{" * 50_000 + "}" * 50_000,
    "json": "[0," * 33_000,
    "surrogates": "\ud800" * 100_000,
    "nul": "\0" * 100_000,
    "emoji": "\U0001f600" * 100_000,
    "spaces": " " * 100_000,
    "lines": "\n" * 100_000,
    "refusal": "i am sorry " * 9_000,
    "stars": "*" * 100_000,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_text_is_bounded(name: str) -> None:
    """Generous on purpose (the aim is 1 ms): it catches quadratic time, not a slow machine."""
    text = HOSTILE[name]
    spent = []
    for query in (QUERY, JSON) * 3:
        start = time.thread_time()
        check_draft(query, Draft(text=text))
        spent.append(time.thread_time() - start)
    assert min(spent) < 0.02
