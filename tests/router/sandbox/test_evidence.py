"""What running a draft says about it, with real programs in a real sandbox."""

from __future__ import annotations

import pytest

from router.errors import SandboxError
from router.sandbox import Execution, LocalSandbox, SandboxLimits, execution_check
from router.types import Check, Draft, Query

DOUBLE = "def double(x):\n    return 2 * x"
ASKS = "Write double(x).\n>>> double(2)\n4\nassert double(1.1) == 2.2\n"
STACK = (
    "Write a stack.\n>>> s = Stack()\n>>> s.push(1)\n>>> s.pop()\n1\n"
    ">>> s.pop()\nTraceback (most recent call last):\nIndexError: pop from empty list\n"
)
STACK_DRAFT = (
    "class Stack:\n    def __init__(self):\n        self.items = []\n"
    "    def push(self, x):\n        self.items.append(x)\n"
    "    def pop(self):\n        return self.items.pop()"
)
SERVER = "from http.server import *\nHTTPServer(('', 0), BaseHTTPRequestHandler).serve_forever()"


def _sandbox(timeout_s: float) -> LocalSandbox:
    try:
        return LocalSandbox(SandboxLimits(timeout_s=timeout_s))
    except SandboxError as exc:
        pytest.skip(f"no local sandbox here: {exc}")


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return _sandbox(10.0)


async def _check(sandbox: LocalSandbox, query: str, code: str) -> Check:
    draft = Draft(text=f"Sure:\n```python\n{code}\n```\n")
    check = await execution_check(sandbox, Query.from_prompt(query), draft)
    assert check is not None
    assert check.name == "execution"
    return check


@pytest.mark.parametrize(
    ("query", "code", "held"),
    [
        (ASKS, DOUBLE, "2 of 2"),
        (STACK, STACK_DRAFT, "2 of 2"),
        (ASKS, f"{DOUBLE}\nif __name__ == '__main__':\n    while True: print('menu')", "2 of 2"),
        (ASKS, f"{DOUBLE}\nprint(double(int(input())))", "2 of 2"),
        (">>> f(1)\n'a'\n\n>>> g(1)\n2", 'def f(x):\n    return "a"', "1 of 1"),
        (">>> f()\n{'a': [1, 0.333333]}", "def f():\n    return {'a': [1, 0.333333]}", "1 of 1"),
        (">>> f()\n0.3333333", "def f():\n    return 1 / 3", "1 of 1"),
        (">>> f()\n3\nwhich is right", "def f():\n    print(3)", "1 of 1"),
    ],
)
async def test_code_whose_examples_hold_passes(
    sandbox: LocalSandbox, query: str, code: str, held: str
) -> None:
    check = await _check(sandbox, query, code)
    assert check.passed is True
    assert check.value == 1.0
    assert check.detail == f"{held} examples in the query hold"


@pytest.mark.parametrize(
    ("query", "code", "value", "detail"),
    [
        (ASKS, "def double(x):\n    return 4", 0.5, "1 of 2 examples in the query hold"),
        (ASKS, "def double(x):\n    return y", 0.0, "0 of 2 examples in the query hold"),
        (STACK, STACK_DRAFT.replace("append", "add"), 1 / 3, "1 of 3 examples in the query hold"),
        ("Do it.", "x = (1", None, "it does not parse"),
        ("Do it.", "x = undefined_name", None, "it raises NameError"),
        ("Do it.", "print('a' + 1)", None, "it raises TypeError"),
        ("Do it.", "assert 1 + 1 == 3", None, "it raises AssertionError"),
        ("Do it.", "print([1][2])", None, "it raises IndexError"),
        ("Do it.", "def f(): return f()\nf()", None, "it raises RecursionError"),
    ],
)
async def test_code_that_fails_by_its_own_making_does_not(
    sandbox: LocalSandbox, query: str, code: str, value: float | None, detail: str
) -> None:
    check = await _check(sandbox, query, code)
    assert check.passed is False
    assert check.detail.startswith(detail)
    assert value is None or check.value == value


@pytest.mark.parametrize(
    ("query", "code", "detail"),
    [
        ("Do it.", DOUBLE, "it runs without an error; the query has no example"),
        (">>> triple(1)\n3", DOUBLE, "it runs without an error; the query has no example"),
        ("Do it.", "import numpy as np\nprint(np.zeros(3))", "it needs a module"),
        ("Do it.", "name = input('Who? ')\nprint(name)", "it waits for input"),
        ("Do it.", "import sys\nn = int(sys.stdin.readline())", "it ends in an error that may"),
        ("Do it.", "import sys\nprint(sys.argv[1])", "it ends in an error that may"),
        ("Do it.", "import os\nprint(os.environ['TOKEN'])", "it ends in an error that may"),
        ("Do it.", "print(open('data.csv').read())", "it needs a file"),
        ("Do it.", "while True: print('x' * 1000)", "stopped: it writes without end"),
        ("Do it.", "x = bytearray(10**12)", "it needs more memory"),
        ("Do it.", "import os\nos._exit(4)", "ended early, with exit status 4"),
        ("Do it.", "import sys\nsys.exit(1)", "it runs without an error"),
        ("Do it.", "class Stop(ValueError): pass\nraise Stop", "it ends in an error that may"),
        ("Do it.", "return x + 1", "an excerpt, not a program"),
        ("Fix fetch(url) for me.", "data = fetch('x')", "it ends in an error that may"),
    ],
)
async def test_what_cannot_be_told_is_not_held_against_it(
    sandbox: LocalSandbox, query: str, code: str, detail: str
) -> None:
    check = await _check(sandbox, query, code)
    assert check.passed is None
    assert check.value is None
    assert check.detail.startswith(detail)


@pytest.mark.parametrize("code", [SERVER, "while True: pass"])
async def test_code_that_does_not_end_is_not_held_against_it(code: str) -> None:
    check = await _check(_sandbox(0.7), "Do it.", code)
    assert check.passed is None
    assert check.detail == "still running when its time was up"


async def test_code_that_looks_at_itself_and_forks_runs(sandbox: LocalSandbox) -> None:
    check = await _check(
        sandbox,
        "Do it.",
        "from __future__ import annotations\nimport dataclasses, inspect, multiprocessing\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n"
        "def double(x):\n    return 2 * x\n"
        "if __name__ == '__main__':\n    inspect.getsource(double)\n"
        "    with multiprocessing.Pool(1) as pool:\n        assert pool.map(double, [1]) == [2]",
    )
    assert check.detail.startswith("it runs without an error")


async def test_a_draft_without_code_gets_no_check(sandbox: LocalSandbox) -> None:
    draft = Draft(text="The capital of France is Paris.")
    assert await execution_check(sandbox, Query.from_prompt("Capital?"), draft) is None


async def test_the_detail_holds_nothing_of_the_code(sandbox: LocalSandbox) -> None:
    code = "class Zanzibar(Exception): pass\nraise TypeError('Zanzibar')"
    check = await _check(sandbox, "Do it.", code)
    assert check.detail == "it raises TypeError"


async def test_a_sandbox_that_fails_is_told_and_not_raised() -> None:
    class Broken:
        async def run(self, program: str) -> Execution:
            raise SandboxError("the service is down")

    draft = Draft(text="```python\nprint(1)\n```")
    check = await execution_check(Broken(), Query.from_prompt("Print 1."), draft)
    assert check == Check(name="execution", passed=None, detail="not run: the service is down")
