"""Exercises of lesson 01 about sorting: predict-sort, group-sort, tie."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import (
    compare_tensor,
    need_tensor,
    seeded,
)
from lipteach.classroom.compare_functions import compare_function
from lipteach.primitives import group_sort as package_group_sort

# --- 01.group-sort


def _groups(x: Tensor, size: int) -> Tensor:
    return x.reshape(*x.shape[:-1], -1, size)


def _sorted(x: Tensor, size: int, dim: int) -> Tensor:
    return _groups(x, size).sort(dim=dim, descending=True).values.reshape(x.shape)


def group_sort(x: Tensor, size: int) -> Tensor:
    """Each group of ``size`` neighbours of the last dimension in descending order."""
    return _sorted(x, size, dim=-1)


def _ascending(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1).values.reshape(x.shape)


def _looped(x: Tensor, size: int) -> Tensor:
    parts = [x[..., i : i + size] for i in range(0, x.shape[-1], size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts], dim=-1)


def _ends(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return torch.stack([groups.amax(-1), groups.amin(-1)], dim=-1).flatten(-2)


def _first_dim(x: Tensor, size: int) -> Tensor:
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts])


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
        judge=partial(
            compare_tensor,
            value=[3, 2, 1, 6, 5, 4],
            otherwise="Run lt.group_sort(torch.tensor([1.0, 2.0, 3.0, 4.0]), 2): what are its "
            "groups?",
        ),
        solution=[3, 2, 1, 6, 5, 4],
        right={"tuple": (3, 2, 1, 6, 5, 4)},
        mistakes={
            "count": (
                [2, 1, 4, 3, 6, 5],
                "That is three groups: is the 3 the number of groups, or the size of each?",
            ),
            "ascending": (
                [1, 2, 3, 4, 5, 6],
                "Each group is in ascending order here: which end does GroupSort put first?",
            ),
            "all": ([6, 5, 4, 3, 2, 1], "That is FullSort: may the 6 leave its group?"),
            "every second": (
                [5, 3, 1, 6, 4, 2],
                "That sorts every second entry: which entries are neighbours?",
            ),
            "one group only": (
                [3, 2, 1, 4, 5, 6],
                "The first group is sorted: what becomes of 4, 5 and 6?",
            ),
            "the second group first": (
                [6, 5, 4, 1, 2, 3],
                "Two groups, but a group stays where it is: which three come first?",
            ),
            "from 0": (
                [2, 1, 0, 5, 4, 3],
                "These are places, counted from 0: which numbers stand there?",
            ),
            "interleaved": (
                [3, 6, 2, 5, 1, 4],
                "The groups are right, and taken in turns: where does each group stay?",
            ),
            "halves exchanged": (
                [4, 5, 6, 1, 2, 3],
                "The groups change places and are not sorted: which of the two is asked for?",
            ),
            "only the first": (
                [3, 1, 2, 6, 4, 5],
                "Only the greatest comes first: which comes second?",
            ),
            "maxima": (
                [3, 6],
                "Those are the maxima of the groups: where do the other entries go?",
            ),
        },
        wrong={
            "a word": ("321654", "A list or tensor of numbers is needed"),
            "two exchanged": ([3, 2, 1, 6, 4, 5], "entry 5 of 6 is 4"),
        },
    ),
    Exercise(
        name="01.group-sort",
        judge=partial(
            compare_function,
            reference=group_sort,
            inputs=[
                (torch.tensor([1.0, 3.0, 2.0, 6.0, 4.0, 5.0]).double(), 3),
                (seeded(8), 2),
                (seeded(6), 6),
            ],
            layouts=[(seeded(2, 3, 8), 4), (seeded(6, 5).T, 3)],
            ties=[(torch.tensor([2.0, 2.0, 1.0, 1.0]).double(), 2), (torch.zeros(4).double(), 4)],
            gradient=True,
            permutation_at_ties=True,
        ),
        solution=group_sort,
        right={
            "looped": _looped,
            "bfloat16": lambda x, size: group_sort(x.bfloat16(), size),
            "float16": lambda x, size: group_sort(x.half(), size),
            "the package's": package_group_sort,
            "negated": lambda x, size: -_ascending(-x, size),
        },
        mistakes={
            "ascending": (_ascending, "Ascending order: which end of the group comes first?"),
            "count": (
                lambda x, size: group_sort(x, x.shape[-1] // size),
                "You make `size` groups: what is `size` the size of?",
            ),
            "strided": (
                lambda x, size: (
                    x.reshape(*x.shape[:-1], size, -1)
                    .sort(dim=-2, descending=True)
                    .values.reshape(x.shape)
                ),
                "Your groups take entries from far apart: which are neighbours?",
            ),
            "sizes": (
                lambda x, size: _sorted(x.abs(), size, dim=-1),
                "The signs are gone: is −2 larger than 1?",
            ),
            "only the first group": (
                lambda x, size: torch.cat(
                    [x[..., :size].sort(dim=-1, descending=True).values, x[..., size:]], dim=-1
                ),
                "The first group is sorted, the others are not: which loop or shape is missing?",
                lambda got, _want, x, size: (
                    None if torch.equal(got, x) else torch.equal(got[..., size:], x[..., size:])
                ),
            ),
            "negated": (
                lambda x, size: _ascending(-x, size),
                "This sorts −x: which sign is to be turned back?",
            ),
            "pairs": (
                lambda x, _size: group_sort(x, 2),
                "These are pairs, whatever `size` is: where does it enter?",
            ),
            "maxima": (
                lambda x, size: (
                    _groups(x, size).amax(-1, keepdim=True).expand(_groups(x, size).shape)
                ).reshape(x.shape),
                "Every place of a group holds its maximum: where are the other entries?",
            ),
            "ranks": (
                lambda x, size: (
                    _groups(group_sort(x, size), size).transpose(-1, -2).reshape(x.shape)
                ),
                "All first places, then all second ones: do the groups stay put?",
            ),
            "one vector": (
                lambda x, size: x.view(-1, size).sort(dim=-1, descending=True).values.view(-1),
                "Right for one vector: what does `view` do to a batch of them?",
            ),
            "first dimension": (
                _first_dim,
                "Right for one vector: which dimension does `x[i:i+size]` cut in a batch?",
            ),
            "dimension 1": (
                lambda x, size: _sorted(x, size, dim=1),
                "Right for one vector: which dimension has the number 1 in a batch?",
            ),
            "across": (
                lambda x, size: _sorted(x, size, dim=-2),
                "You sort across the groups: which dimension holds one group?",
            ),
            "reversed": (
                lambda x, size: _groups(x, size).flip(-1).reshape(x.shape),
                "You turn each group around: what if it does not ascend?",
            ),
            "flipped": (
                lambda x, size: _ascending(x, size).flip(-1),
                "After the flip the last group comes first: which dimension is to be flipped?",
            ),
            "indices": (
                lambda x, size: (
                    _groups(x, size).sort(dim=-1, descending=True).indices.reshape(x.shape)
                ),
                "These are the indices of the sort: where are the values?",
            ),
            "two of size": (
                _ends,
                "Two entries a group are left: where is the middle of a group of 3?",
            ),
            "all": (
                lambda x, _size: group_sort(x, x.shape[-1]),
                "That sorts everything: where does one group end?",
            ),
            "input": (
                lambda x, _size: x.clone(),
                "Your function returns its input.",
                lambda got, _want, x, _size: torch.equal(got, x),
            ),
        },
        wrong={
            "the pair": (lambda x, _size: x.sort(), "returns a pair"),
            "detached": (lambda x, size: group_sort(x, size).detach(), "no gradient flows"),
        },
    ),
    Exercise(
        name="01.tie",
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
