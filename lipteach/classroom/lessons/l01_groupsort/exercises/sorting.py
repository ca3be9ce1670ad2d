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
from lipteach.classroom.watch import need_own_code
from lipteach.primitives import GroupSort
from lipteach.primitives import group_sort as package_group_sort

# --- 01.predict-sort

_SIX = [1, 2, 3, 4, 5, 6]

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


def _greatest_copied(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return torch.cat([groups.amax(-1, keepdim=True), groups[..., 1:]], -1).reshape(x.shape)


def _split_sorted(x: Tensor, size: int) -> Tensor:
    return torch.cat([part.sort(-1, True).values for part in torch.split(x, size, -1)], -1)


def _ends(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return torch.stack([groups.amax(-1), groups.amin(-1)], dim=-1).flatten(-2)


def _rows(x: Tensor, size: int) -> Tensor:
    return _groups(x, size).sort(dim=-1, descending=True).values.reshape(-1, size)


def _first_dim(x: Tensor, size: int) -> Tensor:
    parts = [x[i : i + size] for i in range(0, len(x), size)]
    return torch.cat([part.sort(dim=-1, descending=True).values for part in parts])


def _windows(x: Tensor, size: int, step: int = 1) -> Tensor:
    out = x.clone()
    for i in range(0, x.shape[-1], step):
        out[..., i : i + size] = out[..., i : i + size].sort(dim=-1, descending=True).values
    return out


def _one_round(x: Tensor, size: int) -> Tensor:
    out = _groups(x, size).clone()
    for i in range(size - 1):
        out[..., i : i + 2] = group_sort(out[..., i : i + 2], 2)
    return out.reshape(x.shape)


def _by_size(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    return groups.gather(-1, groups.abs().argsort(-1, descending=True)).reshape(x.shape)


def _groups_moved(x: Tensor, size: int) -> Tensor:
    groups = _groups(x, size)
    order = groups.amax(-1).argsort(-1, descending=True)
    return groups.gather(-2, order[..., None].expand(groups.shape)).reshape(x.shape)


def _first_group_alone(got: Tensor, _want: Tensor, x: Tensor, size: int) -> bool | None:
    rest = x[..., size:]
    return torch.equal(got[..., size:], rest) if rest.numel() and not torch.equal(got, x) else None


def _python_sorted(x: Tensor, size: int) -> Tensor:
    rows, places = x.tolist(), list(range(len(x)))
    groups = [places[i : i + size] for i in range(0, len(x), size)]
    return x[[i for g in groups for i in sorted(g, key=rows.__getitem__, reverse=True)]]


def _judge_group_sort(answer: Any, mistakes: Any, **options: Any) -> None:
    compare_function(answer, group_sort, _VECTORS, mistakes=mistakes, **options)
    ask = "keep it to compare. Which shape holds one group in its last dimension?"
    need_own_code(answer, _VECTORS[:1], ask)


_VECTORS = [
    (torch.tensor([1.0, 3.0, 2.0, 6.0, 4.0, 5.0]).double(), 3),
    (seeded(8), 2),
    (seeded(6), 6),
    (torch.arange(16).double(), 8),  # as far from its order as can be
]


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
            "far pairs": (
                [4, 1, 5, 2, 6, 3],
                "These are pairs of entries three places apart: which three are neighbours?",
            ),
            "the second group only": (
                [1, 2, 3, 6, 5, 4],
                "The second group is sorted: what becomes of 1, 2 and 3?",
            ),
            "two lists": (
                [[3, 2, 1], [6, 5, 4]],
                "The order is right, in two lists: what does GroupSort do with the shape?",
            ),
            "six more": (
                [3, 2, 1],
                "This is the first group alone: where are the other three entries?",
            ),
            "the greatest three": (
                [6, 5, 4],
                "These are the three largest of all: is anything dropped by a sort?",
            ),
            "a number twice": (
                [3, 3, 3, 6, 6, 6],
                "A sort only moves numbers: which of yours is not there once?",
                lambda got: got.shape == (6,) and got.sort().values.tolist() != _SIX,
            ),
            "its own three": (
                [3, 2, 1, 6, 4, 5],
                "Each group has its own three, in another order: which comes first, which last?",
                lambda got: got.shape == (6,) and got[:3].sort().values.tolist() == _SIX[:3],
            ),
            "mixed groups": (
                [6, 2, 3, 4, 5, 1],
                "A number has left its group: which three stay together?",
                lambda got: got.shape == (6,),
            ),
            "maxima": (
                [3, 6],
                "Those are the maxima of the groups: where do the other entries go?",
            ),
        },
        wrong={
            "a word": ("321654", "A list or tensor of numbers is needed"),
            "one missing": ([3, 2, 1, 6, 5], "(6,) is needed"),
        },
    ),
    Exercise(
        name="01.group-sort",
        judge=partial(
            _judge_group_sort,
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
                _first_group_alone,
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
            "overlapping": (
                _windows,
                "Your groups overlap, each a place after the last: where does the next one begin?",
            ),
            "every second place": (
                partial(_windows, step=2),
                "A group begins at every second place, whatever `size` is: where is the next one?",
            ),
            "one round": (
                _one_round,
                "One round of exchanges: is (1, 2, 3) in descending order after it?",
            ),
            "the greatest copied": (
                _greatest_copied,
                "The greatest comes first in a group, and the others stay: is any number lost?",
            ),
            "negatives lost": (
                lambda x, size: group_sort(x, size).relu(),
                "Negative entries are 0: which step does that?",
            ),
            "one round over all": (
                lambda x, _size: _one_round(x, x.shape[-1]),
                "One round of exchanges goes through all of x: what happens at the end of a group?",
            ),
            "a longer group": (
                lambda x, size: _split_sorted(x, size + 1),
                "Your groups have one entry too many: where does the first one end?",
            ),
            "a shorter group": (
                lambda x, size: _split_sorted(x, size - 1),
                "Your groups have one entry too few: where does the first one end?",
            ),
            "by size": (
                _by_size,
                "They are in the order of their sizes without signs: is −2 larger than 1?",
            ),
            "groups moved": (
                _groups_moved,
                "Your groups change places and none is sorted inside: which of the two is asked?",
            ),
            "backwards": (
                lambda x, _size: x.flip(-1),
                "This is the input backwards: where are two entries compared?",
            ),
            "flat": (
                lambda x, size: group_sort(x, size).flatten(),
                "Right for one vector, and for a batch you return one long vector: whose shape is "
                "asked for?",
            ),
            "rows": (
                _rows,
                "Each group is sorted and stands in a row of its own: how do they get back into "
                "the shape of x?",
                lambda got, want, _x, size: got.shape == (want.numel() // size, size),
            ),
            "smallest": (
                lambda x, size: _groups(x, size).amin(-1),
                "One entry a group is left, its smallest: where are the others?",
            ),
            "greatest": (
                lambda x, size: _groups(x, size).amax(-1),
                "One entry a group is left, its greatest: where do the others go?",
            ),
            "sorted": (
                _python_sorted,
                "Right for one vector: what does Python's `sorted` compare in a batch?",
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
            "the package's": (package_group_sort, "calls lt.group_sort"),
            "the package's module": (lambda x, size: GroupSort(size)(x), "calls lt.GroupSort"),
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
