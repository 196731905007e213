"""Short requests joined with long documents, so that the request decides and not its material."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from .documents import document_slots
from .generator import LabelledPrompt
from .grammar import Grammar, read_bank
from .numbers import number_slots

__all__ = ["join_documents", "passages", "split_request"]

_LONGEST_REQUEST = 45  # words
_LEAST_DOCUMENT = 200  # characters
_LONGEST_DOCUMENT = 4000
_LEAST_PASSAGE = 140
_ON_TEXTS = ("SUMMARIZATION", "TRANSLATION")  # their requests always have a document
_OF_ANY_MATTER = (*_ON_TEXTS, "GENERAL")  # the document's own domain says nothing
_SHARES = {"SUMMARIZATION": 1.0, "TRANSLATION": 1.0, "GENERAL": 2.0}
_OTHER_SHARE = 0.5
_BANK_REQUESTS = {
    "SUMMARIZATION": ("summ_ask",),
    "TRANSLATION": ("translate_ask",),
    "GENERAL": ("edit_ask", "qa_ask", "reply_ask", "review_ask", "task_ask"),
}
_FRAMES = (
    "{ask}\n\n{text}",
    "{ask}\n\n{text}",
    "{ask}\n{text}",
    "{ask}: {text}",
    "{text}\n\n{ask}",
    "{text}\n\n{ask}",
    "{text}\n{ask}",
    '{ask}\n\n"""\n{text}\n"""',
    '"{text}"\n\n{ask}',
    "{ask}\n---\n{text}",
    "Text: {text}\n\n{ask}",
    "{ask}\n\n{text}\n\n{ask}",
)


def split_request(text: str) -> tuple[str, str]:
    """(request, document) of a prompt that has both, the request being its first or last paragraph;
    (text, "") of a short prompt without a document; ("", "") of any other."""
    if len(text.split()) <= _LONGEST_REQUEST and "\n" not in text:
        return text, ""
    first, _, rest = text.partition("\n\n")
    if len(first.split()) <= _LONGEST_REQUEST and len(rest) >= _LEAST_DOCUMENT:
        return first.strip(), rest.strip()
    rest, _, last = text.rpartition("\n\n")
    if len(last.split()) <= _LONGEST_REQUEST and len(rest) >= _LEAST_DOCUMENT:
        return last.strip(), rest.strip()
    return "", ""


def passages(text: str) -> str:
    """The long lines of a text that ask nothing: what of it may stand as a pasted document."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if len(line) >= _LEAST_PASSAGE and "?" not in line)


def join_documents(
    written: Sequence[LabelledPrompt],
    texts: Sequence[tuple[str, str]],
    *,
    per_domain: int,
    seed: int,
) -> list[LabelledPrompt]:
    """Prompts of kind "joined": the requests of `written` on other documents.

    `texts` are (text, domain) whose passages may serve as documents, beside those of `written` and
    of the banks. Summaries and translations, of which there are `per_domain` each, and twice as
    many general requests (proofreading, replies, questions) are on documents of any domain: a long
    text alone is none of these. Other requests, half as many, are on documents of their own domain.
    """
    rng = Random(f"{seed}:joined")
    asks: dict[str, list[str]] = {}
    pool: dict[str, list[str]] = {}
    for one in written:
        ask, document = split_request(one.text)
        if ask and (document or one.domain in _ON_TEXTS):
            asks.setdefault(one.domain, []).append(ask)
        if document:
            pool.setdefault(one.domain, []).append(document)
    for text, domain in texts:
        document = passages(text)
        if len(document) >= _LEAST_DOCUMENT:
            pool.setdefault(domain, []).append(document)
    bank = _BankText(rng)
    joined = []
    for domain in sorted({*asks, *_BANK_REQUESTS}):
        free = domain in _OF_ANY_MATTER
        for _ in range(int(per_domain * _SHARES.get(domain, _OTHER_SHARE))):
            choices = sorted(pool) if free else [domain]
            text = _document(choices, pool, bank if free else None, rng)
            if text:
                ask = bank.ask(domain, asks.get(domain, ()))
                frame = rng.choice(_FRAMES)
                whole = frame.replace("{ask}", ask).replace("{text}", text)
                joined.append(LabelledPrompt(text=whole, domain=domain, kind="joined"))
    return joined


class _BankText:
    """Documents and requests of the banks."""

    def __init__(self, rng: Random) -> None:
        shared, documents = read_bank("shared"), read_bank("documents")
        base = Grammar(shared, documents, dynamic=number_slots())
        slots = document_slots(base)
        self._write = [slots["doc_any"], slots["doc_long"]]
        self._grammars = {
            domain: Grammar(
                shared,
                documents,
                read_bank(domain.lower()),
                dynamic={**number_slots(), **slots},
            )
            for domain in _BANK_REQUESTS
        }
        self._rng = rng

    def document(self) -> str:
        return self._rng.choice(self._write)(self._rng)

    def ask(self, domain: str, written: Sequence[str]) -> str:
        """One of the `written` requests, or in a third of the cases one of the bank's."""
        own = self._grammars.get(domain)
        if own is not None and (not written or self._rng.random() < 0.33):
            return own.fill(self._rng.choice(_BANK_REQUESTS[domain]), self._rng)
        return self._rng.choice(written)


def _document(
    domains: Sequence[str], pool: dict[str, list[str]], bank: _BankText | None, rng: Random
) -> str:
    """One to four documents on end, up to a length drawn anew each time; "" where there is none."""
    most = int(_LEAST_DOCUMENT * (_LONGEST_DOCUMENT / _LEAST_DOCUMENT) ** rng.random())
    if bank is not None and rng.random() < 0.25:
        parts = [bank.document()]
    else:
        domain = rng.choice([d for d in domains if pool.get(d)] or [""])
        own = pool.get(domain, [])
        parts = [rng.choice(own) for _ in range(rng.randint(1, 4))] if own else []
    return "\n\n".join(parts)[:most].strip()
