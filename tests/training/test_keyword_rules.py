"""Keyword rules: plain cases land where anyone would put them, and no text breaks them."""

from __future__ import annotations

import time

import pytest

from router.domains import DOMAINS
from training.keyword_rules import classify, domain_scores


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("Write a python function that reverses a linked list.", "CODE"),
        ("Solve for x: x^2 - 5x + 6 = 0", "MATH"),
        ("I have sales.csv; which columns have missing values and outliers?", "DATA"),
        ("What are the symptoms of type 2 diabetes?", "MEDICAL"),
        ("Can my landlord keep the deposit after a breach of the lease?", "LEGAL"),
        ("What did inflation do to bond yields and the stock market?", "FINANCE"),
        ("Write me a short story about a dragon who is afraid of fire.", "CREATIVE"),
        ("Translate the following into German: good morning", "TRANSLATION"),
        ("Summarize this article in two sentences: ...", "SUMMARIZATION"),
        ("Who won the world cup in 1998?", "GENERAL"),
        ("hi", "GENERAL"),
        ("", "GENERAL"),
    ],
)
def test_plain_cases(text: str, domain: str) -> None:
    assert classify(text) == domain


def test_the_instruction_outweighs_what_is_pasted() -> None:
    pasted = "The patient was given a new therapy for cancer. " * 60
    assert classify(f"Summarize the following text.\n\n{pasted}\n\nKeep it brief.") == (
        "SUMMARIZATION"
    )


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "select " * 20_000, "$" * 50_000, "\ud800\x00({[" * 9]
)
def test_hostile_text_is_read_in_bounded_time(text: str) -> None:
    start = time.perf_counter()
    assert set(domain_scores(text)) <= set(DOMAINS)
    assert time.perf_counter() - start < 1.0
