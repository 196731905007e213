"""Pasted documents: invented e-mails, news, minutes, chats, contracts, notes, logs and tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from random import Random

from .grammar import Dynamic, Grammar
from .tables import ledger, pasted_csv, pasted_lab_report, pasted_log, pasted_schema, pasted_table

__all__ = ["document_slots"]

_ANY = ("email", "news", "meeting", "chat", "contract", "medical", "finance", "essay", "review",
        "abstract", "story")  # fmt: skip


def document_slots(grammar: Grammar) -> Mapping[str, Dynamic]:
    """Slot name (`doc_email`, ...) -> a function that writes such a document."""
    prose: dict[str, Dynamic] = {
        "doc_email": partial(_email, grammar),
        "doc_news": partial(_news, grammar),
        "doc_meeting": partial(_meeting, grammar),
        "doc_chat": partial(_chat, grammar),
        "doc_contract": partial(_contract, grammar),
        "doc_medical": partial(_passage, grammar, "s_medical", 3, 9),
        "doc_finance": partial(_passage, grammar, "s_finance", 3, 8),
        "doc_essay": partial(_passage, grammar, "s_essay", 4, 10),
        "doc_review": partial(_passage, grammar, "s_review", 2, 6),
        "doc_abstract": partial(_passage, grammar, "s_abstract", 4, 8),
        "doc_story": partial(_passage, grammar, "s_story", 4, 10),
        "doc_recipe": partial(_recipe, grammar),
    }
    choices = [prose[f"doc_{kind}"] for kind in _ANY]
    return {
        **prose,
        "doc_any": lambda rng: rng.choice(choices)(rng),
        "doc_long": lambda rng: "\n\n".join(
            document(rng) for document in rng.choices(choices, k=rng.randint(2, 4))
        ),
        "doc_csv": partial(pasted_csv, grammar),
        "doc_table": partial(pasted_table, grammar),
        "doc_schema": pasted_schema,
        "doc_ledger": partial(ledger, grammar),
        "doc_lab": pasted_lab_report,
        "doc_log": pasted_log,
    }


def _passage(grammar: Grammar, sentences: str, least: int, most: int, rng: Random) -> str:
    chosen = grammar.sample(sentences, rng.randint(least, most), rng)
    if len(chosen) > 5 and rng.random() < 0.4:
        half = len(chosen) // 2
        return " ".join(chosen[:half]) + "\n" + " ".join(chosen[half:])
    return " ".join(chosen)


def _email(grammar: Grammar, rng: Random) -> str:
    body = " ".join(grammar.sample("s_email", rng.randint(2, 6), rng))
    sender, receiver = grammar.fill("name", rng), grammar.fill("name", rng)
    greeting = rng.choice(
        [f"Hi {receiver},", f"Dear {receiver},", "Hello,", f"{receiver},", "Hey!"]
    )
    closing = rng.choice(
        ["Best regards,", "Best,", "Kind regards", "Thanks", "Cheers,", "Sincerely,"]
    )
    head = ""
    if rng.random() < 0.4:
        topic = rng.choice(
            ["Re: next week", "Update", "Your order", "Re: Re: question", "Reminder"]
        )
        head = f"From: {sender}\nTo: {receiver}\nSubject: {topic}\n"
    return f"{head}{greeting}\n{body}\n{closing}\n{sender}"


def _news(grammar: Grammar, rng: Random) -> str:
    text = " ".join(grammar.sample("s_news", rng.randint(3, 9), rng))
    if rng.random() < 0.4:
        return f"{grammar.fill('city', rng).upper()} - {text}"
    return text


def _meeting(grammar: Grammar, rng: Random) -> str:
    points = grammar.sample("s_meeting", rng.randint(4, 10), rng)
    bullet = rng.choice(["- ", "* ", "", "• "])
    title = rng.choice(["Meeting notes", "Weekly sync", "Standup", "Minutes", "Notes from today"])
    return f"{title}\n" + "\n".join(bullet + point for point in points)


def _chat(grammar: Grammar, rng: Random) -> str:
    return "\n".join(grammar.sample("s_chat", rng.randint(4, 11), rng))


def _contract(grammar: Grammar, rng: Random) -> str:
    clauses = grammar.sample("s_contract", rng.randint(1, 7), rng)
    if len(clauses) > 2 and rng.random() < 0.6:
        start = rng.randint(1, 12)
        return "\n".join(f"{start + index}. {clause}" for index, clause in enumerate(clauses))
    return " ".join(clauses)


def _recipe(grammar: Grammar, rng: Random) -> str:
    steps = grammar.sample("s_recipe", rng.randint(3, 7), rng)
    return f"{grammar.fill('food', rng).title()}\n" + "\n".join(steps)
