"""What an answer needs of its notebook: compared with running all of it."""

import random
from types import SimpleNamespace

import pytest

from lipteach.classroom.course.judging import _forget
from lipteach.classroom.course.slices import names, needed, needed_before


def test_an_exercise_needs_what_it_reads_and_what_changes_that() -> None:
    sources = dict(
        enumerate(
            [
                "import math",
                "a = math.pi",
                "b = 2",
                "def f(x):\n    return a * x",
                "table = {}",
                "table[1] = 3",
                "shown = b",
                "fill_(table[2])",
                "answer = f(1) + table[1]",
                "print(answer)",
                "c = b",
            ]
        )
    )
    assert needed(sources, {8}) == [0, 1, 3, 4, 5, 7, 8, 9]
    assert needed_before(sources, 8) == [0, 1, 3, 4, 5, 7, 8]


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("def f(x, y=z):\n    w = x\n    return w + v", {"z", "v"}),
        ("y = 1\nprint(y)", {"print"}),
        ("if a:\n    y = 1\nprint(y)", {"a", "y", "print"}),
        ("[i * k for i in rows]", {"k", "rows"}),
        ("total += 1", {"total"}),
        ("class A(B):\n    def f(self):\n        return self.x + c", {"B", "c"}),
        ("x.y = 1", {"x"}),
        ("with a as b:\n    c = b", {"a", "b"}),
        ("f = lambda x: x + g", {"g"}),
    ],
)
def test_what_is_local_is_not_read_from_the_lesson(source: str, read: set[str]) -> None:
    assert names(source).read == read


def test_a_slice_gives_what_the_whole_notebook_gives() -> None:
    """Random notebooks of assignments, functions and changes, run whole and in part."""
    rng = random.Random(0)
    for _ in range(150):
        cells = [_cell(rng) for _ in range(12)]
        cells.append("answer = [a, b, c, f(), g()]")
        sources = dict(enumerate(["a = b = c = 0\nf = g = int", *cells]))
        last = max(sources)
        whole: dict = {}
        part: dict = {}
        for place in sources:
            exec(sources[place], whole)
        kept = needed_before(sources, last)
        for place in kept:
            exec(sources[place], part)
        assert part["answer"] == whole["answer"], sources
        assert len(kept) < len(sources) or len(set(cells)) == len(cells)


def _cell(rng: random.Random) -> str:
    left, right, other = (rng.choice("abc") for _ in range(3))
    function = rng.choice("fg")
    return rng.choice(
        [
            f"{left} = {right} + {rng.randrange(9)}",
            f"{left} += {rng.randrange(9)}",
            f"def {function}():\n    {other} = 1\n    return {other} + {right}"
            if other != right
            else f"{function} = lambda: {right} * 2",
            f"{left} = {function}() + {right}",
            f"if {right} > 3:\n    {left} = 7",
            "import os",
            "unused = 1",
        ]
    )


def test_what_nobody_asks_for_is_not_run() -> None:
    sources = {
        0: "import os; os._exit(1)",
        1: "print('never'); while",
        2: "import torch",
        3: "torch.manual_seed(1)",
        4: "def helper():\n    while True: pass",
        5: "answer = torch.rand(1)",
        6: "later = 1",
    }
    assert needed_before(sources, 5) == [2, 3, 5]


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("answer = broken(", True),  # no Python: it is said to be none
        ("answer = broken()", False),
        ("answer = answer + 1", True),
        ("print(other)", True),
    ],
)
def test_the_answer_of_another_exercise_is_not_judged_where_this_one_fails(source, kept) -> None:
    shell = SimpleNamespace(user_ns={"answer": 1, "other": 2})
    _forget(shell, "answer", source)
    assert shell.user_ns == ({"answer": 1, "other": 2} if kept else {"other": 2})
