"""Slots that are computed: numbers, money, dates, times."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from .grammar import Dynamic

__all__ = ["number_slots"]

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def number_slots() -> Mapping[str, Dynamic]:
    """Slot name -> a function of the random generator."""
    return {
        "digit": lambda rng: str(rng.randint(2, 9)),
        "num": lambda rng: str(rng.randint(2, 99)),
        "big": _big,
        "dec": lambda rng: f"{rng.uniform(0.1, 60):.{rng.randint(1, 2)}f}",
        "pct": lambda rng: f"{rng.choice([rng.randint(1, 95), round(rng.uniform(0.5, 30), 1)])}%",
        "money": _money,
        "year": lambda rng: str(rng.randint(1995, 2026)),
        "oldyear": lambda rng: str(rng.randint(1066, 1990)),
        "date": _date,
        "month": lambda rng: rng.choice(_MONTHS),
        "clock": lambda rng: (
            f"{rng.randint(1, 12)}{rng.choice([':00', ':30', ':15', ''])} "
            f"{rng.choice(['am', 'pm', 'AM', 'PM'])}"
        ),
        "age": lambda rng: str(rng.randint(3, 89)),
        "expr": _expression,
        "poly": _polynomial,
        "list_of_numbers": lambda rng: ", ".join(
            str(rng.randint(1, 99)) for _ in range(rng.randint(4, 9))
        ),
        "gibberish": _gibberish,
        "emoji": lambda rng: "".join(
            rng.choices("😂🔥👍❤😭🙏🎉🤔😎🥺💀✨🍕🚀🐶🌈😡👀🤖🌸", k=rng.randint(1, 6))
        ),
    }


def _big(rng: Random) -> str:
    value = rng.randint(100, 10 ** rng.randint(3, 7))
    return f"{value:,}" if rng.random() < 0.4 else str(value)


def _money(rng: Random) -> str:
    amount = rng.choice([rng.randint(5, 99), rng.randint(1, 99) * 100, rng.randint(1, 900) * 1000])
    form = rng.randrange(6)
    if form == 0 and amount >= 1000:
        return f"{amount // 1000}k"
    sign = rng.choice(["$", "$", "$", "€", "£", "₹"])
    return f"{sign}{amount:,}" if form < 4 else f"{sign}{amount}"


def _date(rng: Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(2015, 2026)
    return rng.choice(
        [
            f"{day} {_MONTHS[month - 1]} {year}",
            f"{_MONTHS[month - 1]} {day}, {year}",
            f"{year}-{month:02d}-{day:02d}",
            f"{month:02d}/{day:02d}/{year}",
            f"{_MONTHS[month - 1][:3]} {day}",
        ]
    )


def _expression(rng: Random) -> str:
    terms = [str(rng.randint(2, 999)) for _ in range(rng.randint(2, 4))]
    text = terms[0]
    for term in terms[1:]:
        text += rng.choice([" + ", " - ", " * ", " / ", "+", "*", "x", " x ", " ÷ "]) + term
    return text


def _polynomial(rng: Random) -> str:
    variable = rng.choice("xxxxytn")
    degree = rng.randint(1, 3)
    terms = []
    for power in range(degree, 0, -1):
        factor = rng.choice(["", str(rng.randint(2, 12))])
        terms.append(f"{factor}{variable}" + (f"^{power}" if power > 1 else ""))
    terms.append(str(rng.randint(1, 60)))
    text = terms[0]
    for term in terms[1:]:
        text += rng.choice([" + ", " - "]) + term
    return text


def _gibberish(rng: Random) -> str:
    letters = rng.choice(["asdfghjkl", "qwertyuiop", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz"])
    words = ["".join(rng.choices(letters, k=rng.randint(2, 10))) for _ in range(rng.randint(1, 3))]
    return " ".join(words)
