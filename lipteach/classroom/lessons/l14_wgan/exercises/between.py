"""14.between: points on the lines from images to others, where a penalty is taken."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise
from lipteach.classroom.compare import seeded
from lipteach.classroom.compare_functions import compare_function


def _call(*shape: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    shares = torch.linspace(0.1, 0.7, shape[0]).double()
    return seeded(*shape, seed=seed), seeded(*shape, seed=seed + 1), shares


CALLS = [_call(2, 2, seed=0), _call(2, 1, 2, 2, seed=2), _call(3, 1, 4, 2, seed=4)]


def between(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """Each sample with its own share: x + t (y − x)."""
    return x + t.view(-1, *[1] * (x.ndim - 1)) * (y - x)


def _one_by_one(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    return torch.stack([(1 - c) * a + c * b for a, b, c in zip(x, y, t, strict=True)])


def _turned(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """The dimension of the samples is the last one for a while."""
    x, y = x.movedim(0, -1), y.movedim(0, -1)
    return (x + t * (y - x)).movedim(-1, 0)


def _joined(x: Tensor, y: Tensor, t: Tensor, first: Any, second: Any) -> Tensor:
    share = t.view(-1, *[1] * (x.ndim - 1))
    joined: Tensor = first(share) * x + second(share) * y
    return joined


EXERCISES = (
    Exercise(
        name="14.between",
        judge=partial(compare_function, reference=between, inputs=CALLS),
        solution=between,
        right={"one by one": _one_by_one, "turned": _turned},
        mistakes={
            "of the last dimension": (
                lambda x, y, t: x + t * (y - x),
                "t meets the last dimension here, which is wrong even where it fits: how is the "
                "share of each sample spread over all of its numbers?",
            ),
            "columns for all": (
                lambda x, y, t: x + t[:, None] * (y - x),
                "t[:, None] is right for rows of numbers: and for images, which have more "
                "dimensions?",
            ),
            "images alone": (
                lambda x, y, t: x + t[:, None, None, None] * (y - x),
                "Right for images: and for rows of numbers, which have fewer dimensions?",
            ),
            "from y to x": (
                lambda x, y, t: between(y, x, t),
                "This is y for t = 0: where is the way to begin?",
            ),
            "the middle": (
                lambda x, y, _t: (x + y) / 2,
                "This is the middle of each pair: where does t enter?",
            ),
            "added": (
                lambda x, y, t: _joined(x, y, t, torch.ones_like, lambda s: s),
                "This is x + t y: for t = 1, is it y?",
            ),
            "a difference": (
                lambda x, y, t: _joined(x, y, t, lambda s: 1 - s, lambda s: -s),
                "This is (1 − t) x − t y: for t = 1, is it y?",
            ),
            "the way alone": (
                lambda x, y, t: between(x, y, t) - x,
                "This is the way t (y − x): from where does it lead?",
            ),
            "one share": (
                lambda x, y, t: x + t[0] * (y - x),
                "All have the first share: which one has each?",
            ),
            "the mean share": (
                lambda x, y, t: x + t.mean() * (y - x),
                "All have the mean share: which one has each?",
            ),
            "on a sphere": (
                lambda x, y, t: _joined(x, y, t, lambda s: (1 - s).sqrt(), torch.sqrt),
                "The weights are roots here: do √(1 − t) and √t add up to 1?",
            ),
            "equal weights": (
                lambda x, y, t: _joined(x, y, t, lambda s: s, lambda s: s),
                "Both have the weight t: do the two weights add up to 1?",
            ),
        },
        wrong={
            "in rows": (lambda x, y, t: between(x, y, t).flatten(1), "shape (2, 4)"),
            "a sum": (lambda x, y, t: between(x, y, t).sum(), "shape ()"),
            "a view": (lambda x, y, t: x + t.view(-1, x.ndim) * (y - x), "invalid for input"),
            "in place": (lambda x, y, _t: x.add_(0.5 * (y - x)).clone(), "changes its input"),
            "points": ([0.0, 0.5, 1.0], "A function is needed"),
        },
    ),
)
