"""Which wordings ask the same, and which only look as if they did."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.response_cache.wording import MAX_CHARS, read_wording

FRANCE = "What is the capital of France?"


def asks_same(one: str, two: str) -> bool:
    first, second = read_wording(one), read_wording(two)
    assert first is not None
    assert second is not None
    assert first.asks_same(second) == second.asks_same(first)
    return first.asks_same(second)


@pytest.mark.parametrize(
    "other",
    [
        "what is the capital of france",
        "WHAT IS THE CAPITAL OF FRANCE",
        "  What  is the capital\tof France ? ".replace(" ?", "?"),
        "What's the capital of France?",
        "What’s the capital of France?",
        "whats the capital of france",
        "What is the capital of France",
        "What is the capital of France!?",
        "what is the capital of France?",
        "Please, what is the capital of France?",
        "What is the capital of France, please?",
        "Hello, what is the capital of France?",
        "Hi there! What is the capital of France? Thanks!",
        "What is the capital of France? Thank you.",
    ],
)
def test_the_same_question_in_another_dress(other: str) -> None:
    assert asks_same(FRANCE, other)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Write a poem about rain.", "Could you please write a poem about rain?"),
        ("Don't we need a visa?", "do not we need a visa"),
        ("Does JavaScript have classes?", "does javascript have classes"),
        ("How do i sort a list?", "How do I sort a list?"),
        ("Is Œuvre a French word?", "is œuvre a french word"),
        ('Print "Hello  World" in C', 'print "Hello  World" in C'),
        ("Wie groß ist der Mond?", "wie groß ist der mond"),
        ("Cafe\u0301 in Paris today", "Caf\u00e9 in Paris today"),
    ],
)
def test_further_pairs_that_ask_the_same(one: str, two: str) -> None:
    assert asks_same(one, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("What is 12 * 13?", "What is 12 * 14?"),
        ("What is 12 * 13?", "What is 12 + 13?"),
        ("What is 12 - 13?", "What is 13 - 12?"),
        ("What is the value of 5!", "What is the value of 5?"),
        ("What is the value of -5?", "What is the value of 5?"),
        ("What is 1.5 of 3?", "What is 15 of 3?"),
        ("Convert miles to kilometres", "Convert kilometres to miles"),
        ("Does a dog bite a man?", "Does a man bite a dog?"),
        ("Is coffee good for you?", "Is coffee not good for you?"),
        ("Which city is the largest?", "Which city is the smallest?"),
        ("Is he in the hall with few people?", "Is he in the hall with a few people?"),
        ("What is the matter with him?", "What is matter with him?"),
        ("Who was the president in March?", "Who is the president in March?"),
        ("When did she write it?", "Why did she write it?"),
        ("Tell me about Polish remover", "Tell me about polish Remover"),
        ("In Python, what is None?", "In Python, what is none?"),
        ("How do you say please?", "How do you say thank you?"),
        ("How do you say thanks?", "How do you say please?"),
        ("Hello World in one line of C", "Hi World in one line of C"),
        ("How many kB are in one?", "How many Kb are in one?"),
        ("What does sort! do in Ruby?", "What does sort do in Ruby?"),
        ("What does foo_bar return here?", "What does foo_Bar return here?"),
        ('Print "Hello  World" in C', 'Print "Hello World" in C'),
        ('Print "Hello, World" in C', 'Print "Hello World" in C'),
        ('Print "hello" in C now', 'Print "Hello" in C now'),
        ("What does `ls -l` list here?", "What does `ls -L` list here?"),
        ("Solve for x in a x = B", "Solve for X in a x = B"),
        ("Is nitrate used in meat?", "Is nitrite used in meat?"),
        ("क्या हाल है आपका", "क्या हल है आपका"),
        ("Is x² larger than y?", "Is x2 larger than y?"),
    ],
)
def test_questions_that_only_look_the_same(one: str, two: str) -> None:
    assert not asks_same(one, two)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "Turkey",
        "About turkey?",
        "if x:\n    y = 1\nz = 2",
        "Fix this code:\u2028a = 1",
        "Hello! Please. Thanks!",
        "word " * (MAX_CHARS // 5) + "more",
        "你能告诉我法国的首都是哪里吗？",  # no spaces, so no words to compare
    ],
)
def test_some_texts_only_they_themselves_can_stand_for(text: str) -> None:
    assert read_wording(text) is None


WORDS = st.lists(
    st.sampled_from("which list holds more items not 7 42 in Python x".split()),
    min_size=3,
    max_size=9,
)


@given(one=WORDS, two=WORDS)
def test_other_words_or_another_order_ask_something_else(one: list[str], two: list[str]) -> None:
    assert asks_same(" ".join(one), " ".join(two)) == (one == two)


@given(words=WORDS, lead=st.sampled_from(["", "Please ", "Hi! ", "Hey there, please "]))
def test_courtesies_and_white_space_are_no_part_of_it(words: list[str], lead: str) -> None:
    assert asks_same(f"{lead}{'  '.join(words)} please? ", " ".join(words))


@given(st.text(max_size=60))
def test_any_text_is_read_and_asks_the_same_as_itself(text: str) -> None:
    found = read_wording(text)
    assert found is None or found.asks_same(found)


@given(st.from_regex(re.compile(r"What is [0-9]{1,4} [-+*/%] [0-9]{1,4}\?"), fullmatch=True))
def test_sums_ask_the_same_only_as_themselves(text: str) -> None:
    other = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), text, count=1)
    assert asks_same(text, text.lower())
    assert not asks_same(text, other)
