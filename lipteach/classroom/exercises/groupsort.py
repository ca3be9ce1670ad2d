"""The exercises of lesson 01 on sorting."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import When, compare_tensor, need_tensor, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import group_sort as package_group_sort

# --- 01.predict-sort


def _judge_predict(answer: Any) -> None:
    compare_tensor(
        answer,
        [3.0, 2.0, 1.0, 6.0, 5.0, 4.0],
        mistakes=[
            (
                [2.0, 1.0, 4.0, 3.0, 6.0, 5.0],
                "That is three groups: is the 3 the number of groups, or the size of each?",
            ),
            (
                [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
                "Each group is in ascending order here: which end does GroupSort put first?",
            ),
            ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], "That is FullSort: may the 6 leave its group?"),
            (
                [5.0, 3.0, 1.0, 6.0, 4.0, 2.0],
                "That sorts every second entry: which entries are neighbours?",
            ),
            ([3.0, 6.0], "Those are the maxima of the groups: where do the other entries go?"),
        ],
    )


# --- 01.group-sort


def _groups(x: Tensor, size: int) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, size)


def group_sort(x: Tensor, size: int) -> Tensor:
    """Each group of ``size`` neighbours of the last dimension in descending order."""
    return _groups(x, size).sort(dim=-1, descending=True).values.reshape(x.shape)


def _ascending(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1).values.reshape(x.shape)


def _by_count(x: Tensor, size: int) -> Tensor:
    return group_sort(x, x.shape[-1] // size)


def _strided(x: Tensor, size: int) -> Tensor:
    apart = x.reshape(*x.shape[:-1], size, -1)
    return apart.sort(dim=-2, descending=True).values.reshape(x.shape)


def _ranks_together(x: Tensor, size: int) -> Tensor:
    return _groups(group_sort(x, size), size).transpose(-1, -2).reshape(x.shape)


def _one_vector(x: Tensor, size: int) -> Tensor:
    return x.view(-1, size).sort(dim=-1, descending=True).values.view(-1)


def _ends(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return torch.stack([groups.amax(-1), groups.amin(-1)], dim=-1).flatten(-2)


def _all(x: Tensor, _size: int) -> Tensor:
    return group_sort(x, x.shape[-1])


def _first_dim(x: Tensor, size: int) -> Tensor:
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts])


def _dim_one(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=1, descending=True).values.reshape(x.shape)


def _across(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-2, descending=True).values.reshape(x.shape)


def _reversed(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).flip(-1).reshape(x.shape)


def _flipped(x: Tensor, size: int) -> Tensor:
    return _ascending(x, size).flip(-1)


def _indices(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1, descending=True).indices.reshape(x.shape)


def _judge_group_sort(answer: Any) -> None:
    compare_function(
        answer,
        group_sort,
        inputs=[
            (torch.tensor([1.0, 3.0, 2.0, 6.0, 4.0, 5.0]).double(), 3),
            (seeded(8), 2),
            (seeded(6), 6),
        ],
        layouts=[(seeded(2, 3, 8), 4), (seeded(6, 5).T, 3)],
        ties=[(torch.tensor([2.0, 2.0, 1.0, 1.0]).double(), 2), (torch.zeros(4).double(), 4)],
        gradient=True,
        permutation_at_ties=True,
        mistakes=[
            (_ascending, "Ascending order: which end of the group comes first?"),
            (_by_count, "You make `size` groups: what is `size` the size of?"),
            (_strided, "Your groups take entries from far apart: which are neighbours?"),
            (_ranks_together, "All first places, then all second ones: do the groups stay put?"),
            (_one_vector, "Right for one vector: what does `view` do to a batch of them?"),
            (
                _first_dim,
                "Right for one vector: which dimension does `x[i:i+size]` cut in a batch?",
            ),
            (_dim_one, "Right for one vector: which dimension has the number 1 in a batch?"),
            (_across, "You sort across the groups: which dimension holds one group?"),
            (_reversed, "You turn each group around: what if it does not ascend?"),
            (
                _flipped,
                "After the flip the last group comes first: which dimension is to be flipped?",
            ),
            (_indices, "These are the indices of the sort: where are the values?"),
            (_ends, "Two entries a group are left: where is the middle of a group of 3?"),
            (_all, "That sorts everything: where does one group end?"),
            (
                When(lambda got, _want, x, _size: torch.equal(got, x)),
                "Your function returns its input.",
            ),
        ],
    )


def _looped(x: Tensor, size: int) -> Tensor:
    parts = [x[..., i : i + size] for i in range(0, x.shape[-1], size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts], dim=-1)


# --- 01.tie


def _judge_tie(answer: Any) -> None:
    x = need_tensor(answer, shape=(4,))
    if isinstance(answer, (list, tuple)):
        x = x.float()  # as torch.tensor(answer) rounds them
    if not torch.isfinite(x).all():
        raise Hint("value", "The entries must be finite numbers.")
    a, b, c, d = x.tolist()
    if a == b or c == d:
        return
    if len({a, b, c, d}) < 4:
        raise Hint("ties", "Two entries are equal, but in which groups do they stand?")
    gap = min(abs(a - b), abs(c - d))
    if gap < 1e-3:
        raise Hint("ties", "Nearly equal is still ordered: what happens when they are equal?")
    raise Hint(
        "value",
        "In each pair one entry is the greater, and both versions have the same Jacobian: "
        "when does a pair have no greater entry?",
    )


EXERCISES = (
    Exercise(
        name="01.predict-sort",
        question="What is group_sort of (1, 2, 3, 4, 5, 6) with size 3?",
        difficulty=1,
        minutes=2,
        judge=_judge_predict,
        solution=[3, 2, 1, 6, 5, 4],
        right={
            "tensor": torch.tensor([3.0, 2.0, 1.0, 6.0, 5.0, 4.0]),
            "tuple": (3, 2, 1, 6, 5, 4),
        },
        wrong={
            "count": ([2, 1, 4, 3, 6, 5], "number of groups"),
            "ascending": ([1, 2, 3, 4, 5, 6], "ascending order"),
            "all": ([6, 5, 4, 3, 2, 1], "That is FullSort"),
            "every second": ([5, 3, 1, 6, 4, 2], "every second entry"),
            "maxima": ([3, 6], "maxima of the groups"),
            "a word": ("321654", "A list or tensor of numbers is needed"),
            "two exchanged": ([3, 2, 1, 6, 4, 5], "entry 5 of 6 is 4"),
        },
    ),
    Exercise(
        name="01.group-sort",
        question="Sort each group of `size` neighbours of the last dimension, descending.",
        difficulty=2,
        minutes=8,
        judge=_judge_group_sort,
        solution=group_sort,
        right={
            "looped": _looped,
            "float32": lambda x, size: group_sort(x.float(), size),
            "bfloat16": lambda x, size: group_sort(x.bfloat16(), size),
            "float16": lambda x, size: group_sort(x.half(), size),
            "the package's": package_group_sort,
            "negated": lambda x, size: -_ascending(-x, size),
        },
        wrong={
            "ascending": (_ascending, "Ascending order"),
            "count": (_by_count, "You make `size` groups"),
            "strided": (_strided, "far apart"),
            "ranks": (_ranks_together, "All first places"),
            "one vector": (_one_vector, "Right for one vector"),
            "first dimension": (_first_dim, "cut in a batch"),
            "dimension 1": (_dim_one, "has the number 1"),
            "across": (_across, "across the groups"),
            "reversed": (_reversed, "turn each group around"),
            "flipped": (_flipped, "After the flip"),
            "indices": (_indices, "indices of the sort"),
            "the pair": (lambda x, _size: x.sort(), "returns a pair"),
            "two of size": (_ends, "Two entries a group are left"),
            "all": (_all, "sorts everything"),
            "input": (lambda x, _size: x.clone(), "returns its input"),
            "detached": (lambda x, size: group_sort(x, size).detach(), "no gradient flows"),
        },
    ),
    Exercise(
        name="01.tie",
        question="Find four numbers at which the Jacobian of by_maximum is no permutation.",
        difficulty=1,
        minutes=3,
        judge=_judge_tie,
        solution=[1, 1, 3, 2],
        right={
            "second pair": torch.tensor([4.0, 3.0, 0.0, 0.0]),
            "all": [0, 0, 0, 0],
            "equal in float32": [1, 1 + 1e-9, 3, 2],
        },
        wrong={
            "distinct": ([3, 1, 2, 4], "no greater entry"),
            "across groups": ([1, 2, 2, 3], "in which groups"),
            "nearly": ([1, 1 + 1e-5, 3, 2], "Nearly equal"),
            "a pair": ([1, 1], "is needed"),
            "not a number": ([math.inf, math.inf, 1, 2], "finite"),
        },
    ),
)
