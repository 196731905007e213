"""The generator of domain prompts: the same for a seed, complete, varied, fully filled in."""

from __future__ import annotations

import re
import time
import unicodedata
from collections import Counter
from random import Random

import pytest

from training.prompts import DOMAINS, LabelledPrompt, generate
from training.prompts.grammar import Grammar, parse_template, read_bank

N_PER_DOMAIN = 1500


@pytest.fixture(scope="module")
def prompts() -> list[LabelledPrompt]:
    return generate(n_per_domain=N_PER_DOMAIN, seed=0)


def _words(texts: list[str]) -> set[str]:
    return {word for text in texts for word in re.findall(r"\w+", text.lower())}


def test_the_same_seed_gives_the_same_prompts() -> None:
    assert generate(n_per_domain=40, seed=7) == generate(n_per_domain=40, seed=7)


def test_another_seed_gives_other_prompts() -> None:
    first = {prompt.text for prompt in generate(n_per_domain=40, seed=1)}
    second = {prompt.text for prompt in generate(n_per_domain=40, seed=2)}
    assert len(first & second) < 40


def test_every_domain_has_the_asked_count(prompts: list[LabelledPrompt]) -> None:
    assert Counter(prompt.domain for prompt in prompts) == dict.fromkeys(DOMAINS, N_PER_DOMAIN)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        generate(n_per_domain=-1, seed=0)


def test_repeats_are_rare(prompts: list[LabelledPrompt]) -> None:
    assert 1 - len({prompt.text for prompt in prompts}) / len(prompts) < 0.02


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_speaks_many_words(prompts: list[LabelledPrompt], domain: str) -> None:
    assert len(_words([prompt.text for prompt in prompts if prompt.domain == domain])) >= 1500


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_bank_has_many_templates(domain: str) -> None:
    kinds = read_bank(domain.lower()).kinds
    assert sum(len(templates) for templates in kinds.values()) >= 120


def test_no_slot_is_left_unfilled(prompts: list[LabelledPrompt]) -> None:
    banks = [read_bank(name) for name in ("shared", "documents", *(d.lower() for d in DOMAINS))]
    names = {name for bank in banks for name in bank.slots} | {"num", "digit", "money", "doc_any"}
    left = re.compile(r"\{(" + "|".join(sorted(names)) + r")\}", re.IGNORECASE)
    assert [prompt.text for prompt in prompts if left.search(prompt.text)] == []


def test_texts_are_non_empty_utf8(prompts: list[LabelledPrompt]) -> None:
    for prompt in prompts:
        assert prompt.text.strip()
        assert prompt.text.encode("utf-8").decode("utf-8") == prompt.text


def test_general_has_many_scripts(prompts: list[LabelledPrompt]) -> None:
    texts = [p.text for p in prompts if p.kind == "foreign" and p.domain == "GENERAL"]
    names = {unicodedata.name(letter, "?").split()[0] for text in texts for letter in text}
    scripts = {"CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "BENGALI", "TAMIL", "THAI"}
    assert (scripts | {"CJK", "HIRAGANA", "HANGUL", "LATIN"}) - names == set()


def test_two_thousand_per_domain_take_less_than_ten_seconds() -> None:
    start = time.perf_counter()
    generate(n_per_domain=2000, seed=0)
    assert time.perf_counter() - start < 10


def test_a_template_expands_slots_choices_and_escapes() -> None:
    grammar = Grammar(read_bank("shared"), dynamic={"num": lambda rng: str(rng.randint(1, 1))})
    text = grammar.expand(parse_template(r"{a {num}|a {num}}\nb \{c\}"), Random(0))
    assert text == "a 1\nb {c}"


@pytest.mark.parametrize("template", ["{open", "close}", "{Not a slot}"])
def test_a_malformed_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        parse_template(template)


def test_an_unknown_slot_is_refused() -> None:
    with pytest.raises(KeyError):
        Grammar(dynamic={}).expand(parse_template("{nobody_defines_this}"), Random(0))
