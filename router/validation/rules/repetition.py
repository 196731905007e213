"""How much of a draft is a degenerate loop."""

from __future__ import annotations

__all__ = ["measure_repetition"]

_MIN_CHUNK = 24  # shorter lines repeat honestly ("}", "Total:")
_KEY = 12  # characters looked for when guessing a loop's period
_MIN_LOOP = 120  # characters a loop at the end must span
_MIN_ROUNDS = 4


def measure_repetition(chunks: list[str], text: str) -> float:
    """Share of `text` in 0..1 that is said again, the larger of two measures:

    the characters of lines and sentences (`chunks`) that already stood before, and the stretch at
    the end that repeats one substring at least four times. Linear in the text.
    """
    long = [chunk for chunk in chunks if len(chunk) >= _MIN_CHUNK]
    unique = set(long)
    again = 0
    if len(unique) < len(long):
        again = sum(map(len, long)) - sum(map(len, unique))
    size = max(1, len(text))
    return min(1.0, max(again, _loop_at_end(text)) / size)


def _loop_at_end(text: str) -> int:
    """Length of the periodic stretch with which `text` ends, 0 when there is none."""
    text = text.rstrip()
    size = len(text)
    if size < _MIN_LOOP:
        return 0
    key = text[-_KEY:]
    before = text.rfind(key, 0, size - 1)
    if before < 0:
        return 0
    period = size - _KEY - before
    if text[-2 * period : -period] != text[-period:]:
        return 0
    low, high = 2 * period, size  # text[-low:] is periodic; find the largest such suffix
    while low < high:
        middle = (low + high + 1) // 2
        if text[-middle:-period] == text[size - middle + period :]:
            low = middle
        else:
            high = middle - 1
    return low if low >= max(_MIN_LOOP, _MIN_ROUNDS * period) else 0
