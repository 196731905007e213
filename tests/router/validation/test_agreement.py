"""Two final answers agree when they say the same, whichever is named first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.validation.agreement import compare_answers
from router.validation.answers import FinalAnswer, read_answer, read_options

OPTIONS = read_options("Which?\nA) oxygen\nB) nitrogen\nC) helium")
NONE = FinalAnswer(kind="none", value="", raw="")


def read(text: str, *, multiple_choice: bool = False) -> FinalAnswer:
    return read_answer(text, options=OPTIONS if multiple_choice else {}).answer


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("#### 1,200", "The answer is $1200.00"),
        ("\\boxed{42}", '{"answer": 42}'),
        ("[1,2]", "The answer is [1, 2]"),
        ("The answer is 'abc'", 'The answer is "abc"'),
        ("The answer is Paris.", "paris"),
        ("\\boxed{\\frac{1}{2}}", "\\boxed{0.5}"),
        ("\\boxed{x^2 + 2x + 1}", "\\boxed{(x+1)^2}"),
        ("the Eiffel Tower", "Eiffel Tower in Paris"),
    ],
)
def test_the_same_answer_in_other_words_agrees(one: str, two: str) -> None:
    assert compare_answers(read(one), read(two)).same


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("42", "43"),
        ("#### 1200", "#### 12000"),
        ("[1, 2]", "[2, 1]"),
        ("\\boxed{\\frac{1}{2}}", "\\boxed{\\frac{1}{3}}"),
        ("The answer is Paris.", "The answer is Rome."),
        ("The answer is x^2", "The answer is x^3"),
    ],
)
def test_other_answers_differ(one: str, two: str) -> None:
    found = compare_answers(read(one), read(two))
    assert not found.same
    assert not found.exact


def test_quotes_around_a_literal_do_not_matter() -> None:
    quoted = FinalAnswer(kind="literal", value="'bcd'", raw="'bcd'")
    bare = FinalAnswer(kind="text", value="bcd", raw="bcd")
    assert compare_answers(quoted, bare).exact


def test_choices_agree_by_letter_alone() -> None:
    one, two = read("(A)", multiple_choice=True), read("oxygen", multiple_choice=True)
    assert compare_answers(one, two).exact
    assert not compare_answers(one, read("B", multiple_choice=True)).same
    # A letter that was no choice is another kind of thing, though it is written the same.
    assert not compare_answers(one, FinalAnswer(kind="text", value="(a)", raw="(A)")).same


@pytest.mark.parametrize("text", ["42", "Paris", "[1]", ""])
def test_no_answer_never_agrees(text: str) -> None:
    for pair in ((NONE, read(text)), (read(text), NONE), (NONE, NONE)):
        found = compare_answers(*pair)
        assert not found.same
        assert not found.exact
        assert found.overlap == 0.0


ANSWER = st.builds(
    FinalAnswer,
    kind=st.sampled_from(
        ["choice", "number", "expression", "literal", "json", "code", "text", "none"]
    ),
    value=st.sampled_from(["1", "2", "a b", "a b c", "x^2", "x*x", "", "[1]", "\ud800"]),
    raw=st.sampled_from(["1", "'1'", "1.0", "x^2", "x*x", "\\frac{", "", "[1]", "((", "\ud800"]),
)


@given(ANSWER, ANSWER)
def test_comparison_is_symmetric_and_consistent(one: FinalAnswer, two: FinalAnswer) -> None:
    forth, back = compare_answers(one, two), compare_answers(two, one)
    assert forth == back
    assert 0.0 <= forth.overlap <= 1.0
    assert forth.same or not forth.exact


@given(st.text(max_size=40))
def test_a_draft_agrees_with_itself_if_it_has_an_answer(text: str) -> None:
    answer = read(text)
    assert compare_answers(answer, answer).same == (answer.kind != "none")
