"""Lesson 09: the exercise permutation, the order in which MaxMin meets the right pairs."""

from __future__ import annotations

from functools import partial

import torch

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import compare_tensor

ORDER = [0, 3, 1, 4, 2, 5]

PERMUTATION = Exercise(
    name="09.permutation",
    judge=partial(
        compare_tensor,
        value=ORDER,
        otherwise="x[[1, 0]] exchanges two entries: which entry of (f₁, f₂, f₃, g₁, g₂, g₃) "
        "is to come second?",
    ),
    solution=ORDER,
    right={
        "a tensor": torch.tensor(ORDER),
        "transposed": torch.arange(6).view(2, 3).T.flatten(),
    },
    mistakes={
        "the way back": (
            [0, 2, 4, 1, 3, 5],
            "This is the way back, from (f₁, g₁, f₂, …) to (f₁, f₂, f₃, g₁, …): which entry "
            "shall stand second?",
        ),
        "nothing": ([0, 1, 2, 3, 4, 5], "Nothing moves: whom would MaxMin compare f₁ with?"),
        "from 1": (
            [1, 4, 2, 5, 3, 6],
            "The right order, counted from 1: where does Python begin?",
        ),
        "halves": (
            [3, 4, 5, 0, 1, 2],
            "The halves change places, and f₁ still meets f₂: what must it?",
        ),
        "g reversed": ([0, 5, 1, 4, 2, 3], "f₁ meets g₃ here: in which order do the g's come?"),
        "backwards": (
            [5, 2, 4, 1, 3, 0],
            "The pairs meet, the last one first: which pair is to come first?",
        ),
        "all backwards": (
            [5, 4, 3, 2, 1, 0],
            "Only the direction is turned: who stands beside f₁?",
        ),
        "each twice": (
            [0, 0, 1, 1, 2, 2],
            "Every f is taken twice: at which index do the g's begin?",
        ),
        "a shift": (
            [0, 4, 1, 5, 2, 3],
            "f₁ meets g₂ here: which index has g₁, if f₁ has 0?",
        ),
        "g first": (
            [3, 0, 4, 1, 5, 2],
            "The pairs are right, but g₁ stands first: which is asked for?",
        ),
        "from the end": (
            [0, -3, 1, -2, 2, -1],
            "Negative indices count from the end: which are these, counted from 0?",
            lambda order: torch.equal(order % 6, torch.tensor(ORDER).double()),
        ),
        "not whole": (
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.5],
            "An index is a whole number: which entry is meant?",
            lambda order: order.shape == (6,) and bool((order % 1).any()),
        ),
        "outside": (
            [0, 3, 1, 4, 2, 6],
            "There are six entries, with the indices 0 to 5: which of yours is none of them?",
            lambda order: order.shape == (6,) and bool(((order < 0) | (order > 5)).any()),
        ),
        "repeated": (
            [0, 3, 1, 4, 2, 2],
            "An entry is taken twice, and another is lost: which index is missing?",
            lambda order: order.shape == (6,) and len(order.unique()) < 6,
        ),
        "other pairs first": (
            [0, 3, 2, 5, 1, 4],
            "Each f meets its g, but the pairs come in another order: which is the second pair?",
            lambda order: order.shape == (6,) and bool((order[1::2] == order[::2] + 3).all()),
        ),
        "turned pairs": (
            [0, 3, 4, 1, 2, 5],
            "Each f meets its g, but in some pair the g stands first: which is asked for?",
            lambda order: (
                bool(((order[1::2] - order[::2]).abs() == 3).all())
                and not bool((order == torch.tensor([3, 0, 4, 1, 5, 2])).all())
            ),
        ),
        "another partner": (
            [0, 3, 1, 5, 2, 4],
            "Some f meets a g of another number: which index has the partner of f_k?",
            lambda order: (
                order.shape == (6,) and bool(((order[1::2] < 3) != (order[::2] < 3)).all())
            ),
        ),
        "within f": (
            [0, 1, 3, 2, 4, 5],
            "MaxMin would compare two f's, or two g's: which entries stand side by side?",
            lambda order: order.shape == (6,),
        ),
    },
    wrong={"too few": ([0, 3, 1, 4], "The shape is")},
)
