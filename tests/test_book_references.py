"""The book links what names an item of the appendix, and numbers the equations of a lesson."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book"))
from references import with_references

NAMED = {
    "By Theorem 2, that is so.": "By [Theorem 2](#theorem-2), that is so.",
    "See Figure 10 (Fig. 11).": "See [Figure 10](#fig-10) ([Fig. 11](#fig-11)).",
    "Equation (8) is Eq. (8).": "[Equation (8)](#eq-8) is [Eq. (8)](#eq-8).",
    "We follow appendix B.3.": "We follow appendix [B.3](#b-3).",
    "Table 3 has no Table 99.": "[Table 3](#table-3) has no Table 99.",
}
LEFT_ALONE = [
    "## Theorem 2 (Theorem 2)",
    "`Theorem 2` is code",
    "$$\\text{Theorem 2}$$ is a formula, $B.3$ too",
    "[Theorem 2](elsewhere.md)",
    '<img alt="Theorem 2">',
    "```\nTheorem 2\n```",
    "Theorem 21 and B.33",
]


@pytest.mark.parametrize(("text", "linked"), NAMED.items())
def test_names_of_items_lead_to_the_map(text: str, linked: str) -> None:
    assert with_references(text, "04_bjorck", count(1)) == linked


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_no_text_is_left_alone(text: str) -> None:
    assert with_references(text, "04_bjorck", count(1)) == text


def test_equations_are_labelled_one_after_the_other_but_the_appendixs_own() -> None:
    numbers = count(1)
    own = "$$d \\tag{8}$$\n\n$$e \\; (9), \\qquad f \\; (10)$$"
    text = f"First\n$$a$$\n\nthen\n$$b\n= c .$$\n\nand the paper's\n\n{own}"
    found = with_references(text, "04_bjorck", numbers)
    assert found.count("$$ (04-bjorck-1)\n") == found.count("$$ (04-bjorck-2)\n") == 1
    assert found.endswith(own)
    assert "(04-bjorck-3)" in with_references("$$e$$", "04_bjorck", numbers)
