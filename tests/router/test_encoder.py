"""Token ids: the words of the plain pattern, the longest pieces of what is no token."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import encoder
from router.encoder import MAX_TOKENS, WordPieceEncoder
from router.text import clean, read_query
from router.types import Query

WORDS = (
    "what is the capital of france 1 12 123 7 é ß ñandú 漢 字 한국 привет мир ι ½ ² "
    "prime number ! ? . , - _ ( ) [ ] { } $ % \\ ` ’ … € 🙂 ‍"
).split(" ")
PIECES = ("##s", "##ing", "##al", "##ap", "##capi", "##tality", *(f"##{c}" for c in "aeiouxyzé"))
ODD = (
    "",
    "\x00" * 500,
    "\ud800x" * 300,
    "{" * 900,
    "_" * 900,
    "a" * 900,
    "7" * 900,
    "١٢٣٤٥ ५६७ " * 60,
    "İstanbul ŉ ǰ ΐ " * 60,
    "漢字かな 한국어 ภาษาไทย हिन्दी العربية " * 20,
    "👩‍👩‍👧 🙂 " * 150,
    "𠀀𠀁 beyond the table " * 40,
    "x\u2028y\u00a0z\u3000w\x1c" * 120,
    "prime12prime1234567 capitals " * 30,
)


@pytest.fixture(scope="module")
def tokens() -> WordPieceEncoder:
    names = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", *dict.fromkeys((*WORDS, *PIECES))]
    names += [f"w{chr(97 + i)}{chr(97 + j)}" for i in range(26) for j in range(26)]
    vocabulary = {name: index for index, name in enumerate(names)}
    return WordPieceEncoder.from_bytes(json.dumps({"model": {"vocab": vocabulary}}).encode())


@given(
    st.lists(st.sampled_from([*WORDS, " ", "\n", "capitality", "zaxé", "wab", "wzz", "00"]))
    | st.lists(st.text(max_size=30))
)
def test_words_are_those_of_the_pattern(parts: list[str]) -> None:
    text = clean("".join(parts)).lower()
    assert encoder._find_words(text) == encoder._WORD.findall(text)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_the_words_of_the_pattern(tokens: WordPieceEncoder, text: str) -> None:
    text = clean(text)
    assert encoder._find_words(text.lower()) == encoder._WORD.findall(text.lower())
    found = tokens.encode(text)
    assert len(found) <= MAX_TOKENS
    assert all(0 <= index < tokens.vocabulary_size for index in found)


def test_every_character_is_found_as_the_pattern_finds_it() -> None:
    for code in range(0x20000):
        text = f"a{chr(code)}1"
        assert encoder._find_words(text) == encoder._WORD.findall(text), hex(code)


@pytest.mark.parametrize(
    ("word", "pieces"),
    [
        ("capitals", ["capital", "##s"]),
        ("capitality", ["capital", "##i", "[UNK]", "##y"]),
        ("primecapital", ["prime", "##capi", "[UNK]", "##al"]),
        ("primetality", ["prime", "##tality"]),
        ("primecap", ["prime", "[UNK]", "##ap"]),
        ("q", ["[UNK]"]),
    ],
)
def test_unknown_words_are_split_longest_piece_first(
    tokens: WordPieceEncoder, word: str, pieces: list[str]
) -> None:
    inside = {f"##{piece}": index for piece, index in tokens._next.table.items()}
    known = {**tokens._starts, **inside, "[UNK]": tokens._unknown}
    assert tokens.encode(word) == [known[piece] for piece in pieces]


@given(st.text(alphabet="primecaltyxqé1", min_size=1, max_size=12).filter(str.isalpha))
def test_pieces_are_those_of_the_plain_search(tokens: WordPieceEncoder, word: str) -> None:
    expected: list[int] = []
    at, table = 0, tokens._starts
    plain = word.replace("é", "e")
    while at < len(plain):
        for stop in range(min(len(plain), at + 12), at, -1):
            if plain[at:stop] in table:
                break
        expected.append(table.get(plain[at:stop], tokens._unknown))
        at, table = stop, tokens._next.table
    assert tokens._split(word) == expected


def test_a_long_text_spends_a_bounded_effort_on_unknown_words(tokens: WordPieceEncoder) -> None:
    words = [f"q{chr(97 + i)}{chr(97 + j)}q" for i in range(20) for j in range(20)]
    found = tokens.encode(" ".join(words))
    assert found[-1] == tokens._unknown
    assert len(found) <= MAX_TOKENS


def test_of_too_many_tokens_the_first_and_the_last_are_kept(tokens: WordPieceEncoder) -> None:
    """The question often stands last; how many there were is still known."""
    reading = read_query(Query.from_prompt("what " + "{" * 1_000 + " france"))
    ids, n = tokens.encode_counted(reading)
    whole = tokens.encode(reading.user, 10**9)
    assert n == len(whole) > len(ids)
    assert ids[:100] == whole[:100]
    assert ids[-100:] == whole[-100:]
    assert tokens.encode_reading(reading) == ids


def test_a_long_message_leaves_room_for_the_others(tokens: WordPieceEncoder) -> None:
    messages = [
        {"role": "system", "content": "prime " * 60},
        {"role": "user", "content": "capital " * 60},
        {"role": "assistant", "content": "france"},
        {"role": "user", "content": "{" * 2_000},
    ]
    ids = tokens.encode_reading(read_query(Query.from_messages(messages)))
    assert len(ids) <= MAX_TOKENS
    assert ids[-1] == tokens.encode("france")[0]
    assert ids.count(encoder.SYSTEM_MARK) == ids.count(encoder.EARLIER_MARK) == 1
    assert tokens.encode("prime")[0] in ids
