"""Held-back text is cut as if it had been streamed, and nothing of it is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.gateway.pieces import cut


@given(st.text(max_size=400))
def test_the_pieces_are_the_text(text: str) -> None:
    pieces = cut(text)
    assert "".join(pieces) == text
    assert all(1 <= len(piece) <= 64 for piece in pieces)


def test_a_short_text_is_one_piece() -> None:
    assert cut("It is small, the answer is 42.") == ["It is small, the answer is 42."]
    assert cut("") == []


def test_words_stay_whole() -> None:
    pieces = cut("several words of a longer sentence " * 20)
    assert all(piece.endswith(" ") for piece in pieces)
    assert len(pieces) < 15
