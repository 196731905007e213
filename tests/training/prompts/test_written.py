"""The reader of the hand-written prompts, the joiner, and the prompts in other languages."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from training.prompts import (
    DOMAINS,
    LabelledPrompt,
    generate_abroad,
    join_documents,
    read_written,
)
from training.prompts.abroad import languages
from training.prompts.grammar import read_bank
from training.prompts.joined import passages, split_request

LONG = "The committee met on Monday and spoke about the budget for a long time. " * 5


def test_written_prompts_are_read_by_domain(tmp_path: Path) -> None:
    (tmp_path / "math.txt").write_text("# a comment\n2 + 2\n---\nprove\n\nthis\n---\n\n---\n2 + 2")
    (tmp_path / "borders.jsonl").write_text(
        json.dumps({"text": "tax law?", "domain": "LEGAL"}) + "\n\n"
    )
    assert read_written(tmp_path) == [
        LabelledPrompt(text="2 + 2", domain="MATH", kind="written"),
        LabelledPrompt(text="prove\n\nthis", domain="MATH", kind="written"),
        LabelledPrompt(text="tax law?", domain="LEGAL", kind="border"),
    ]


def test_a_text_that_only_holds_hyphens_in_a_line_is_not_parted(tmp_path: Path) -> None:
    (tmp_path / "code.txt").write_text("# c\na --- b\n----\nc")
    assert [one.text for one in read_written(tmp_path)] == ["a --- b\n----\nc"]


def test_no_files_are_no_prompts(tmp_path: Path) -> None:
    assert read_written(tmp_path) == []


@pytest.mark.parametrize(
    "line", ["not json", "[]", '{"text": 3, "domain": "LEGAL"}', '{"text": "x", "domain": "LAW"}']
)
def test_a_broken_border_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    good = json.dumps({"text": "x", "domain": "DATA"})
    (tmp_path / "borders.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(ValueError, match=r"borders\.jsonl, line 2"):
        read_written(tmp_path)


def test_the_packaged_prompts_hold_every_domain() -> None:
    counts = Counter(one.domain for one in read_written())
    assert set(counts) == set(DOMAINS)
    assert min(counts.values()) >= 50


def test_requests_are_told_from_documents() -> None:
    assert split_request("sum this up") == ("sum this up", "")
    assert split_request(f"sum this up\n\n{LONG}") == ("sum this up", LONG.strip())
    assert split_request(f"{LONG}\n\nsum this up") == ("sum this up", LONG.strip())
    assert split_request(LONG) == ("", "")


def test_passages_leave_out_questions_and_short_lines() -> None:
    assert passages(f"Title\n{LONG}\nA) yes\n{LONG[:-2]}?") == LONG.strip()


def test_joined_prompts_hold_a_request_and_a_document() -> None:
    written = [
        LabelledPrompt(text=f"squash it please\n\n{LONG}", domain="SUMMARIZATION", kind="written"),
        LabelledPrompt(text=f"sue them?\n\n{LONG}", domain="LEGAL", kind="written"),
        LabelledPrompt(text="write a poem", domain="CREATIVE", kind="written"),
    ]
    joined = join_documents(written, [(LONG, "FINANCE")], per_domain=40, seed=3)
    assert joined == join_documents(written, [(LONG, "FINANCE")], per_domain=40, seed=3)
    assert joined != join_documents(written, [(LONG, "FINANCE")], per_domain=40, seed=4)
    assert Counter(one.domain for one in joined) == {
        "SUMMARIZATION": 40,
        "LEGAL": 20,
        "TRANSLATION": 40,
        "GENERAL": 80,
    }
    assert all("sue them?" in one.text for one in joined if one.domain == "LEGAL")
    assert any("squash it please" in one.text for one in joined)
    assert all(len(one.text) > 60 for one in joined)


def test_other_languages_have_prompts_and_the_same_twice() -> None:
    prompts = generate_abroad(n_per_kind=12, seed=1)
    assert prompts == generate_abroad(n_per_kind=12, seed=1)
    assert {"CODE", "MATH", "CREATIVE", "GENERAL"} <= {one.domain for one in prompts}
    assert len(languages()) >= 12
    texts = " ".join(one.text for one in prompts)
    assert not [slot for slot in ("{m}", "{what}", "{doc}", "{formula}") if slot in texts]


@pytest.mark.parametrize("language", languages())
def test_a_language_bank_names_domains(language: str) -> None:
    assert set(read_bank(f"abroad/{language}").kinds) <= {domain.lower() for domain in DOMAINS}
