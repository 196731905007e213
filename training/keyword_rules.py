"""The plain alternative to a learned domain classifier: weighted keyword rules.

A baseline to be measured beside the learned head, so written in earnest: some thirty regular
expressions per domain, the instruction (head and tail of the text) weighted above pasted material,
strong forms (a code fence, "translate ... into") above single words. Written from knowledge of the
domains and a look at training texts only. Pure; at most 6,000 characters are read.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from router.domains import DOMAINS, GENERAL
from router.errors import DataError

__all__ = ["classify", "domain_scores"]

_READ = 6_000
_INSTRUCTION = 400
_MAX_HITS = 2
_THRESHOLD = 1.0


def classify(text: str) -> str:
    """The domain with the most points, or GENERAL below one point; ties go by DOMAINS' order."""
    scores = domain_scores(text)
    best = max(DOMAINS, key=lambda domain: scores.get(domain, 0.0))
    return best if scores.get(best, 0.0) >= _THRESHOLD else GENERAL


def domain_scores(text: str) -> dict[str, float]:
    """Points of each domain: weight times hits, a rule counting twice at most.

    Each rule runs over the first 6,000 characters. A hit within the first or last 400 counts in
    full, one in between a third: there a person pastes material that is not the question.
    """
    read = text[:_READ]
    tail = max(_INSTRUCTION, len(read) - _INSTRUCTION)
    scores: dict[str, float] = {}
    for domain, weight, pattern in _rules():
        points = 0.0
        for found, match in enumerate(pattern.finditer(read)):
            if found == _MAX_HITS:
                break
            near = match.start() < _INSTRUCTION or match.start() >= tail
            points += weight if near else weight / 3
        scores[domain] = scores.get(domain, 0.0) + points
    return scores


@cache
def _rules() -> tuple[tuple[str, float, re.Pattern[str]], ...]:
    """(domain, weight, pattern) of each line "weight<space>regex" in keyword_rules.txt."""
    rules: list[tuple[str, float, re.Pattern[str]]] = []
    domain = ""
    text = files(__package__).joinpath("keyword_rules.txt").read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            domain = line.strip("[]")
            continue
        weight, _, pattern = line.partition(" ")
        try:
            compiled = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
            rules.append((domain, float(weight), compiled))
        except (re.error, ValueError) as exc:
            raise DataError(f"keyword_rules.txt, line {number}: {exc}") from exc
    return tuple(rules)
