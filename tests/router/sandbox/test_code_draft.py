"""Which code of a draft is run, and which examples a query states."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.sandbox.code_draft import (
    MAX_EXAMPLES,
    MAX_PROGRAM_CHARS,
    Example,
    examples_of,
    programs_of,
)


def _fenced(code: str, language: str = "python") -> str:
    return f"Here:\n\n```{language}\n{code}\n```\nDone."


def test_python_blocks_are_joined_and_others_left_out() -> None:
    draft = "\n".join([_fenced("x = 1"), _fenced("rm -rf x", "bash"), _fenced("print(x)", "py")])
    assert programs_of(draft) == "x = 1\n\nprint(x)\n"


@pytest.mark.parametrize(
    "code", ["def f():\n    return 1", "import os", "print(1)", "for i in 'ab':\n    f(i)"]
)
def test_an_untagged_block_counts_where_it_is_a_program(code: str) -> None:
    assert programs_of(_fenced(code, "")) == f"{code}\n"


@pytest.mark.parametrize(
    "code", ["42", "[1, 2, 3]", "host = localhost", '{"a": true}', "def f(:", "hello world"]
)
def test_untagged_output_and_settings_are_no_program(code: str) -> None:
    assert programs_of(_fenced(code, "")) is None


def test_a_draft_that_is_all_code_needs_no_fence() -> None:
    assert programs_of("def f(x):\n    return x\n") == "def f(x):\n    return x\n"
    assert programs_of("import duties rose last year.") is None
    assert programs_of("The answer is 4.") is None
    assert programs_of("") is None


def test_a_block_in_a_list_loses_its_indentation() -> None:
    assert programs_of("1. So:\n   ```python\n   x = 1\n   ```\n") == "x = 1\n"


def test_a_block_that_is_never_closed_goes_to_the_end() -> None:
    assert programs_of("```python\nx = (1,\n") == "x = (1,\n"


def test_fences_may_be_longer_and_of_tildes() -> None:
    assert programs_of("~~~~python\nx = '''\n```\n'''\n~~~~\n") == "x = '''\n```\n'''\n"


def test_transcripts_and_notebook_commands_are_not_run() -> None:
    assert programs_of(_fenced(">>> f(2)\n4")) is None
    assert programs_of(_fenced("!pip install numpy\n%matplotlib inline\nx = 1")) == "x = 1\n"
    assert programs_of(_fenced("x = (5\n  % 2)")) == "x = (5\n  % 2)\n"


def test_code_beyond_the_limit_is_not_run() -> None:
    assert programs_of(_fenced("x = 1\n" * MAX_PROGRAM_CHARS)) is None


def test_doctests_are_read_with_their_answers() -> None:
    query = textwrap.dedent('''
        Complete this:
            def f(x):
                """ Double x.
                >>> f(2)
                4
                >>> for i in range(2):
                ...     print(f(i))
                0
                2
                >>> f("a")
                'aa'"""
    ''')
    assert examples_of(query) == (
        Example(source="f(2)", want="4"),
        Example(source="for i in range(2):\n    print(f(i))", want="0\n2"),
        Example(source='f("a")', want="'aa'"),
    )


def test_steps_without_an_answer_are_kept() -> None:
    query = ">>> s = Stack()\n>>> s.push(1)\n\nThen:\n>>> s.pop()\n1\n"
    assert examples_of(query) == (
        Example(source="s = Stack()"),
        Example(source="s.push(1)"),
        Example(source="s.pop()", want="1"),
    )


def test_assertions_are_read_over_several_lines() -> None:
    query = "It must pass:\nassert f(3) == 9\n  assert f([1,\n    2]) == [\n    1]\nassert (that"
    assert [example.source for example in examples_of(query)] == [
        "assert f(3) == 9",
        "assert f([1,\n  2]) == [\n  1]",
    ]


def test_what_does_not_parse_is_no_example() -> None:
    assert examples_of(">>> f(2\n3\n\nassert yourself, and be heard!") == ()


def test_examples_are_bounded() -> None:
    assert len(examples_of("assert f(1)\n" * 1000)) == MAX_EXAMPLES


@given(st.text(alphabet=st.sampled_from(list(" \n`~>.'\"()=:fx1\\\x00\ud800assert def python"))))
def test_no_text_is_too_odd_to_be_read(text: str) -> None:
    program = programs_of(text)
    assert program is None or program.endswith("\n")
    assert all(example.source for example in examples_of(text))
