"""Final answers are read out of however a draft says them, and hostile drafts only cost time."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.validation import answers
from router.validation.answers import FinalAnswer, parse_number, read_answer, read_options

QUESTION = "Which gas do plants take in?\nA) oxygen\nB) nitrogen\nC) carbon dioxide\nD) helium"
OPTIONS = read_options(QUESTION)


def final(text: str, *, multiple_choice: bool = False, json_wanted: bool = False) -> FinalAnswer:
    options = OPTIONS if multiple_choice else {}
    return read_answer(text, options=options, json_wanted=json_wanted).answer


def test_options_run_from_a_each_on_its_own_line() -> None:
    assert dict(OPTIONS) == {"A": "oxygen", "B": "nitrogen", "C": "carbon dioxide", "D": "helium"}


@pytest.mark.parametrize("query", ["", "no options", "A) alone\n", "B) two\nC) three", "A) x B) y"])
def test_what_is_no_list_of_options_gives_none(query: str) -> None:
    assert read_options(query) == {}


@pytest.mark.parametrize(
    "text",
    [
        "C",
        "(C)",
        "C) carbon dioxide",
        "**C**",
        "carbon dioxide",
        "Plants breathe in CO2, so the answer is (C).",
        "Not oxygen.\n\nThe correct answer is: C",
        "Reasoning first.\nAnswer: C. carbon dioxide",
        "Thus \\boxed{C}.",
        "\\boxed{\\text{C}}",
        '{"reasoning": "photosynthesis", "answer": "C"}',
        '```json\n{"reasoning": "takes \\( CO_2 \\)", "answer": "C"}\n```',
        '{"reasoning": "cut off", "answer": "C',
        "Oxygen is given off, and so\nit must be option C",
    ],
)
def test_a_choice_is_read_from_any_wording(text: str) -> None:
    answer = final(text, multiple_choice=True)
    assert (answer.kind, answer.value) == ("choice", "C")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("$1,200.50", "1200.5"),
        ("She has 40 + 2 = 42 eggs.\n#### 42", "42"),
        ("So the result is \\boxed{42}.", "42"),
        ("We add.\nThe answer is 42 eggs.", "42"),
        ("Add 40 and 2 to get\n\nx = 42", "42"),
        ('{"reasoning": "40 + 2", "answer": 42}', "42"),
        ('{"reasoning": "40 + 2", "answer": "-7"}', "-7"),
        ("**Final answer:** 5%", "5"),
    ],
)
def test_a_number_is_read_and_normalised(text: str, value: str) -> None:
    answer = final(text)
    assert (answer.kind, answer.value) == ("number", value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("\\boxed{\\frac{1}{2}}", "expression"),
        ("The answer is x^2 + 1", "expression"),
        ("[1, 2, 3]", "literal"),
        ("The answer is {'a': 1}", "literal"),
        ("Here you are:\n```python\ndef f():\n    return 1\n```\n", "code"),
        ("The answer is Paris.", "text"),
        ("", "none"),
        ("   \n ", "none"),
        ("**", "none"),
    ],
)
def test_other_kinds(text: str, kind: str) -> None:
    assert final(text).kind == kind


def test_normal_forms_forget_formatting() -> None:
    assert final("[1,2]").value == final("[ 1, 2 ]").value
    assert final("The answer is Paris.").value == final("paris").value
    spaced = "```python\nx  =  1  # one\n\n```"
    assert final(spaced).value == final("```\nx = 1\n```").value


def test_json_is_compared_by_content_when_json_was_asked_for() -> None:
    one = final('```json\n{"b": 1, "a": [2]}\n```', json_wanted=True)
    two = final('{ "a": [2], "b": 1 }', json_wanted=True)
    assert one.kind == two.kind == "json"
    assert json.loads(one.value) == {"a": [2], "b": 1}
    assert one.value == two.value


@pytest.mark.parametrize("text", ['{"a": ', "none at all", "", "[" * 4000])
def test_broken_json_has_no_answer_when_json_was_asked_for(text: str) -> None:
    assert final(text, json_wanted=True).kind == "none"


def test_escapes_that_json_forbids_do_not_hide_an_answer() -> None:
    answer = final('{"reasoning": "since \\( a \\le b \\)", "answer": "\\sqrt{2}"}')
    assert (answer.kind, answer.value) == ("expression", "\\sqrt{2}")


def test_reasoning_is_what_stands_before_the_answer() -> None:
    read = read_answer('{"reasoning": "40\\nplus 2", "answer": "42"}', options={})
    assert read.marked
    assert read.reasoning == "40\nplus 2"
    guessed = read_answer("First this.\nThen it is 7 or so, or maybe not", options={})
    assert not guessed.marked


@pytest.mark.parametrize("text", ["", "no digits", "3 or 4", "x/2", "1" * 61, "[3]", "2^3"])
def test_what_holds_no_single_number_is_none(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "1" * 100_000,
        '"answer": "' + "\\" * 100_000,
        "\\boxed{" * 20_000,
        "{" * 100_000,
        "```\n" * 30_000,
        "the answer is " * 8_000,
        "\ud800" * 100_000,
        "((((" * 25_000,
        "\x00" * 100_000,
        "9e" * 50_000,
    ],
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_hostile_drafts_are_read_in_bounded_time(text: str, json_wanted: bool) -> None:
    started = time.perf_counter()
    read = read_answer(text, options=OPTIONS, json_wanted=json_wanted)
    assert time.perf_counter() - started < 2.0
    assert isinstance(read.answer, FinalAnswer)


SIGNS = st.text(alphabet=st.sampled_from(list("aC1-{}[]()\"'\\`#:=.,$*_\n answerboxed\ud800٣")))
ANY_TEXT = st.one_of(st.text(st.characters(codec=None)), SIGNS)


@given(ANY_TEXT, st.booleans(), st.booleans())
def test_no_text_ever_raises(text: str, multiple_choice: bool, json_wanted: bool) -> None:
    answer = final(text, multiple_choice=multiple_choice, json_wanted=json_wanted)
    assert (answer.kind == "none") == (answer.value == "" and answer.raw == "")


@given(ANY_TEXT | st.text(st.sampled_from(list("0123456789,.+-$ eE\nx\u0663"))))
def test_the_last_number_is_the_last_of_all(text: str) -> None:
    found = [number for number in answers._NUMBER.findall(text[-300:]) if number]
    assert answers._last_number(text) == (answers._number_form(found[-1]) if found else None)


@given(ANY_TEXT)
def test_no_query_ever_breaks_the_reading_of_options(text: str) -> None:
    read_options(text)
    read_options(f"A) x\nB) {text}\n{text}")
