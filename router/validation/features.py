"""Evidence as numbers: one vector for a draft, one for a draft beside its peer.

Everything here is computed from the query, the drafts and the prediction; nothing depends on how
a model was asked to format its answer (JSON replies are read as the plain text they hold). The
names in SINGLE_FEATURES and PAIR_FEATURES are the columns of the validator's graphs, in order;
NaN means "nothing to judge".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Final

import numpy as np

from ..types import Draft, Embedding, Query
from .agreement import SAME_MEANING, Agreement, compare_answers
from .answers import FinalAnswer, ReadDraft, read_answer, read_options
from .phrases import PhraseWeights
from .rules.evidence import RULE_FEATURES, RuleEvidence, inspect_draft
from .tool_calls import read_calls

__all__ = [
    "PAIR_FEATURES",
    "SINGLE_FEATURES",
    "DraftEvidence",
    "QueryEvidence",
    "compare_drafts",
    "draft_evidence",
    "feature_getter",
    "logit",
    "logprob_statistic",
    "meaningful",
    "pair_features",
    "query_evidence",
    "reasoning_of",
]

_KINDS: Final = ("choice", "number", "expression", "literal", "json", "code", "text", "none")
# What must not stand before a number is looked for after its first digit: a pattern that begins
# with a set of characters is scanned for several times faster than one that begins by looking back.
_NUMBER = re.compile(r"\d(?<![\w.]\d)[\d,]*(?:\.\d+)?")
_READ_HEAD: Final = 1200
_READ_TAIL: Final = 800
_FEWEST_CHARS: Final = 24  # of a draft whose meaning is compared
_MAX_DIGITS: Final = 300  # of one number; with more it may not fit a float

# Not features: the length of the whole draft says how a model was asked, not whether it is right;
# the hard outcomes are checks of their own.
_LEFT_OUT: Final = frozenset({"n_chars", "json_ok", "tool_ok", "other_script", "content_filtered"})
_RULES: Final = tuple(name for name in RULE_FEATURES if name not in _LEFT_OUT)
_RULE_VALUES: Final = attrgetter(*_RULES)
_KIND_VALUES: Final = {kind: tuple(float(kind == one) for one in _KINDS) for kind in _KINDS}

_OWN: Final = (
    *(f"kind_{kind}" for kind in _KINDS),
    "marked",
    "answer_log_chars",
    "answer_log_magnitude",
    "answer_fractional",
    "answer_negative",
    "answer_in_reasoning",
    "answer_ends_reasoning",
    "n_options",
    "letter",
    "option_log_chars",
    "option_in_reasoning",
    "options_named",
    "reasoning_log_chars",
    "query_log_chars",
    "query_numbers_used",
    "new_numbers",
    "distinct_numbers",
    "latex",
    "words_per_sentence",
    "ends_cleanly",
    "distinct_words",
)
_PREDICTED: Final = ("p_success_logit", "p_typical_logit")
_LEARNED: Final = ("phrases", "phrases_known", "relevance")

SINGLE_FEATURES: Final = (*_RULES, *_OWN, *_PREDICTED, *_LEARNED)
PAIR_FEATURES: Final = (
    "single_logit",
    "peer_single_logit",
    "p_success_logit",
    "peer_success_logit",
    "p_typical_logit",
    "same_answer",
    "same_exactly",
    "equivalent",
    "answer_overlap",
    "reasoning_overlap",
    "numbers_overlap",
    "log_length_ratio",
    *(f"kind_{kind}" for kind in _KINDS),
    "peer_marked",
    "marked",
    "n_options",
    "reasoning_log_chars",
    "answer_log_chars",
    "n_wrong_equations",
    "peer_wrong_equations",
    "self_corrections",
    "peer_self_corrections",
    "query_log_chars",
    "phrases",
    "peer_phrases",
    "meaning",
    "strength",
    "peer_strength",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryEvidence:
    """What is read of a query once, for all its drafts."""

    query: Query
    options: dict[str, str]
    numbers: frozenset[float]
    log_chars: float
    json_wanted: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DraftEvidence:
    """What is read of one draft. `single` is float32 [len(SINGLE_FEATURES)], prediction included,
    `values` the same as plain numbers, which are quicker to take out one by one; `embedding` float
    [d] of unit norm, None for a draft too short to mean anything by itself; `logprob` is the
    log-probability statistic of `logprob_statistic`, NaN when not given;
    `calls` says that the draft calls tools: its answer is what it calls."""

    rules: RuleEvidence
    read: ReadDraft
    numbers: frozenset[float]
    words: frozenset[str]
    single: Embedding
    values: Sequence[float]
    embedding: Embedding | None
    logprob: float
    calls: bool = False

    @property
    def answer(self) -> FinalAnswer:
        return self.read.answer

    def value(self, name: str) -> float:
        """One single-draft feature by name."""
        return self.values[_INDEX[name]]


_INDEX: Final = {name: index for index, name in enumerate(SINGLE_FEATURES)}


def feature_getter(*names: str) -> Callable[[Sequence[float]], tuple[float, ...]]:
    """What takes several single-draft features, in this order, out of `DraftEvidence.values`."""
    return itemgetter(*(_INDEX[name] for name in names))


def query_evidence(query: Query) -> QueryEvidence:
    """Read a query's options and numbers; bounded in time whatever its length."""
    text = query.text
    read = text if len(text) <= 4000 else text[:2000] + text[-2000:]
    return QueryEvidence(
        query=query,
        options=dict(read_options(read)),
        numbers=_numbers(read),
        log_chars=math.log1p(len(text)),
        json_wanted=_json_wanted(query),
    )


def reasoning_of(read: ReadDraft, draft: Draft) -> str:
    """What led to the answer; all of the draft where nothing is set apart from it. Of a long one
    the head and the tail."""
    text = read.reasoning or draft.text
    if len(text) <= _READ_HEAD + _READ_TAIL:
        return text
    return f"{text[:_READ_HEAD]}\n{text[-_READ_TAIL:]}"


def meaningful(draft: Draft) -> str:
    """What of a draft is worth an embedding; empty for a bare number, letter or word."""
    return draft.text if len(draft.text) >= _FEWEST_CHARS else ""


def draft_evidence(
    asked: QueryEvidence,
    draft: Draft,
    *,
    p_success: float,
    p_typical: float,
    phrases: PhraseWeights,
    query_embedding: Embedding | None = None,
    embedding: Embedding | None = None,
) -> DraftEvidence:
    """Read one draft.

    `p_success` is the predicted probability that the draft's model succeeds, `p_typical` that a
    typical model does (the difficulty of the query); NaN when nothing was predicted. The
    embeddings are float [d] of unit norm, None where there is none.
    """
    read = read_answer(draft.text, options=asked.options, json_wanted=asked.json_wanted)
    calls = read_calls(draft)
    if calls is not None:
        read = ReadDraft(answer=calls, reasoning=draft.text, marked=True)
    reasoning = reasoning_of(read, draft)
    rules = inspect_draft(asked.query, _as_plain(draft, read, reasoning))
    numbers = _numbers(reasoning)
    words = reasoning[:1200].lower().split()
    distinct = frozenset(words)
    own = (
        *_KIND_VALUES[read.answer.kind],
        float(read.marked),
        math.log1p(len(read.answer.raw)),
        *_number_features(read.answer, reasoning, numbers),
        *_choice_features(asked, read.answer, reasoning),
        math.log1p(len(reasoning)),
        asked.log_chars,
        len(asked.numbers & numbers) / len(asked.numbers) if asked.numbers else math.nan,
        len(numbers - asked.numbers) / len(numbers) if numbers else math.nan,
        math.log1p(len(numbers)),
        math.log1p(reasoning.count("\\")),
        len(words) / max(1.0, rules.n_sentences),
        float(draft.text.rstrip()[-1:] in '.}`")!*]$'),
        len(distinct) / len(words) if words else math.nan,
    )
    predicted = (logit(p_success), logit(p_typical))
    learned = (*phrases.judge(reasoning), _cosine(query_embedding, embedding))
    kept = _RULE_VALUES(rules)
    single = np.array((*kept, *own, *predicted, *learned), dtype=np.float32)
    return DraftEvidence(
        rules=rules,
        read=read,
        numbers=numbers,
        words=distinct,
        single=single,
        values=single.tolist(),
        embedding=embedding,
        logprob=logprob_statistic(draft.logprobs),
        calls=calls is not None,
    )


def pair_features(
    one: DraftEvidence,
    peer: DraftEvidence,
    agreement: Agreement,
    *,
    single: float,
    peer_single: float,
) -> Embedding:
    """Evidence on draft `one` beside its peer, float32 [len(PAIR_FEATURES)].

    `single` and `peer_single` are what the single-draft validator said of each (0..1).
    """
    value, other = one.value, peer.value
    return np.array(
        (
            logit(single),
            logit(peer_single),
            value("p_success_logit"),
            other("p_success_logit"),
            value("p_typical_logit"),
            float(agreement.same),
            float(agreement.exact),
            math.nan if agreement.equivalent is None else float(agreement.equivalent),
            agreement.overlap,
            _jaccard(one.words, peer.words),
            _jaccard(one.numbers, peer.numbers),
            value("reasoning_log_chars") - other("reasoning_log_chars"),
            *(value(f"kind_{kind}") for kind in _KINDS),
            other("marked"),
            value("marked"),
            value("n_options"),
            value("reasoning_log_chars"),
            value("answer_log_chars"),
            value("n_wrong_equations"),
            other("n_wrong_equations"),
            value("self_corrections"),
            other("self_corrections"),
            value("query_log_chars"),
            value("phrases"),
            other("phrases"),
            agreement.meaning,
            value("p_success_logit") - value("p_typical_logit"),
            other("p_success_logit") - other("p_typical_logit"),
        ),
        dtype=np.float32,
    )


def compare_drafts(
    one: DraftEvidence, two: DraftEvidence, *, same_meaning: float = SAME_MEANING
) -> Agreement:
    """Whether two drafts say the same: by their final answers or tool calls, and by meaning (a
    cosine of at least `same_meaning`) where they have none that can be compared."""
    meaning = _cosine(one.embedding, two.embedding)
    return compare_answers(one.answer, two.answer, meaning=meaning, same_meaning=same_meaning)


def logprob_statistic(logprobs: Sequence[float] | None) -> float:
    """The mean token log-probability of a draft (<= 0), NaN when the provider gave none."""
    if not logprobs:
        return math.nan
    return float(np.clip(np.mean(np.asarray(logprobs, dtype=np.float64)), -50.0, 0.0))


def _cosine(one: Embedding | None, two: Embedding | None) -> float:
    """Of two vectors of unit norm; NaN where one is missing."""
    return math.nan if one is None or two is None else float(one.dot(two))


def _as_plain(draft: Draft, read: ReadDraft, reasoning: str) -> Draft:
    """The draft as the rule checks should see it: a JSON answer's reasoning, else the draft."""
    # A search for so long a string first studies it; mostly a plain comparison settles it.
    said = read.reasoning
    if not said or draft.text.lstrip().startswith(said) or said in draft.text:
        return draft
    return Draft(text=reasoning, model=draft.model, finish_reason=draft.finish_reason)


def _number_features(
    answer: FinalAnswer, reasoning: str, numbers: frozenset[float]
) -> tuple[float, ...]:
    if answer.kind != "number":
        return (math.nan,) * 5
    value = float(answer.value)
    finite = abs(value) < 1e15
    last = None
    for last in _NUMBER.finditer(reasoning[-200:]):  # noqa: B007 - the last one counts
        pass
    return (
        math.log1p(abs(value)) if finite else math.log1p(1e15),
        float(finite and value != int(value)),
        float(value < 0),
        float(abs(value) in numbers),
        float(last is not None and _float(last[0]) == abs(value)),
    )


def _choice_features(
    asked: QueryEvidence, answer: FinalAnswer, reasoning: str
) -> tuple[float, ...]:
    if not asked.options:
        return (0.0, math.nan, math.nan, math.nan, math.nan)
    lower = reasoning.lower()
    named = sum(text[:40].lower() in lower for text in asked.options.values())
    share = named / len(asked.options)
    chosen = asked.options.get(answer.value) if answer.kind == "choice" else None
    if chosen is None:
        return (float(len(asked.options)), math.nan, math.nan, math.nan, share)
    return (
        float(len(asked.options)),
        float(ord(answer.value) - ord("A")),
        math.log1p(len(chosen)),
        float(chosen[:40].lower() in lower),
        share,
    )


def _numbers(text: str) -> frozenset[float]:
    found = set(_NUMBER.findall(text))
    if max(map(len, found), default=0) > _MAX_DIGITS:
        return frozenset(map(_float, found))
    # The same in one go: a call for each number would take longer than finding them.
    return frozenset(map(float, " ".join(found).replace(",", "").split()))


def _float(written: str) -> float:
    return float(written.replace(",", "")[:_MAX_DIGITS])


def _jaccard(
    one: frozenset[float] | frozenset[str], two: frozenset[float] | frozenset[str]
) -> float:
    union = len(one | two)
    return len(one & two) / union if union else math.nan


def _json_wanted(query: Query) -> bool:
    wanted = query.response_format
    return (
        bool(wanted) and wanted is not None and wanted.get("type") in ("json_object", "json_schema")
    )


def logit(p: float) -> float:
    """Log-odds of a probability, clipped to 1e-4..1-1e-4; NaN stays NaN."""
    if math.isnan(p):
        return math.nan
    clipped = min(max(p, 1e-4), 1.0 - 1e-4)
    return math.log(clipped / (1.0 - clipped))
