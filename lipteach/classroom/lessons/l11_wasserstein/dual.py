"""11.dual: a function that separates three centres from their circles as far as can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import (
    call,
    fault,
    need_tensor,
    recogniser,
    seeded,
    shape_of,
    show_values,
)
from lipteach.classroom.lessons.l11_wasserstein.figures import lifted
from lipteach.training import three_cones

TOL = 1e-4  # of answers in float32

dual = three_cones().dual  # minus the distance from the nearest centre: (n, 2) to (n,)


def _looped(z: Tensor) -> Tensor:
    return torch.stack([-min((p - torch.tensor([c, 0.0])).norm() for c in (-2, 0, 2)) for p in z])


def _folded(z: Tensor) -> Tensor:
    return 5 - ((z[:, :1].abs() - 1).abs() - 1).square().add(z[:, 1:].square()).sqrt()[:, 0]


def _values(answer: Any, points: Tensor) -> Tensor:
    got = need_tensor(call(answer, points.clone()))
    if got.shape == (len(points), 1):
        text = f"One number a point, but as a column {shape_of(got)}: what makes (n,) of it?"
        raise Hint("shape", text, (points,))
    if got.shape != (len(points),):
        text = f"For {len(points)} points the shape is {shape_of(got)}: one number a point?"
        raise Hint("shape", text, (points,))
    return got


_FAR = torch.cat([10.0**k * seeded(6, 2, seed=k) for k in (3, 5, 7, 9)])
_GRID = torch.cartesian_prod(torch.arange(-32, 33), torch.arange(-16, 17)).double() / 10
_LINE = torch.stack([torch.linspace(-12, 12, 1201), torch.full((1201,), 0.3)], dim=1).double()


def _judge_dual(answer: Any, mistakes: Sequence[Mistake]) -> None:
    """1-Lipschitz on many pairs, and as high above the circles at the centres as can be."""
    if not callable(answer):
        raise Hint("type", "A function of points is needed, such as lambda z: -z.norm(dim=1).")
    x, y = three_cones().stratified(240)
    z = torch.cat([x[::80], y, 2.5 * seeded(100, 2), 25 * seeded(40, 2, seed=1), _FAR])
    f = _values(answer, z)
    if not bool(torch.isfinite(f).all()):
        raise Hint("value", "Some values are not finite.")
    value = float(f[:3].mean() - f[3:243].mean())
    hint = fault(
        "value",
        "",
        mistakes,
        recogniser(partial(_off_by_a_constant, f[: -len(_FAR)], z[: -len(_FAR)])),
    )
    if hint.text:
        raise hint
    apart = torch.cdist(z, z) + torch.eye(len(z)).double()
    slopes = (f[:, None] - f).abs() / apart
    steepest, (i, j) = float(slopes.max()), divmod(int(slopes.argmax()), len(z))
    for line in (_LINE, _LINE.flip(1)):  # close together, for jumps
        steps = _values(answer, line).diff().abs() / _LINE[:, 0].diff()
        if float(steps.max()) > max(steepest, 1 + 10 * TOL):
            steepest, i = float(steps.max()), int(steps.argmax())
            z, j = line, i + 1
    on_grid, at = _values(answer, _GRID).reshape(65, 33), _GRID.reshape(65, 33, 2)
    for values, points in ((on_grid, at), (on_grid.T, at.transpose(0, 1))):  # for narrow peaks
        steps = values.diff(dim=0).abs() / 0.1
        if float(steps.max()) > max(steepest, 1 + 10 * TOL):
            steepest = float(steps.max())
            row, column = divmod(int(steps.argmax()), steps.shape[1])
            z, i, j = points[row : row + 2, column], 0, 1
    if abs(value + 1) < TOL and steepest <= 1 + TOL:
        raise Hint("value", "The value is −1, and f 1-Lipschitz: is it high on the circles?")
    if steepest > 1 + 10 * TOL or value > 1 + TOL:
        ends = f"{show_values(z[i])} and {show_values(z[j])}"
        text = f"Between {ends} the slope is {steepest:.3f}: 1-Lipschitz?"
        raise Hint("constraint", text, (z[[i, j]],))
    if value < 1 - TOL:
        at = f[:3] - f[3:243].reshape(3, 80).mean(1)
        if float(at.max() - at.min()) > 0.02:
            worst = int(at.argmin())
            text = f"From {three_cones().centres[worst, 0]:g} to its circle f falls by"
            mean = f"{float(at[worst]):.2f} on average"
            circle = torch.cat([z[worst : worst + 1], y[80 * worst : 80 * worst + 80]])
            ask = "is that whole circle on a cone of its own?"
            raise Hint("value", f"{text} {mean}: {ask}", (circle,))
        raise Hint("value", f"1-Lipschitz, but the value is {value:.3f}: how steep may a cone be?")


def _off_by_a_constant(f: Tensor, z: Tensor, wrong: Any) -> bool:
    off = f - need_tensor(wrong(z))
    return bool((off - off.mean()).abs().max() < TOL)


def _distances(z: Tensor, p: float = 2, spacing: float = 2) -> Tensor:
    return torch.cdist(z, three_cones(spacing).centres.to(z), p=p)


DUAL = Exercise(
    name="11.dual",
    judge=_judge_dual,
    solution=dual,
    right={
        "looped": _looped,
        "folded": _folded,
        "float32": lambda z: dual(z).float(),
        "steeper nowhere": lambda z: dual(z).clamp(min=-1),
    },
    mistakes={
        "upside down": (
            lambda z: -dual(z),
            "The value is −1: on which side should f be high?",
        ),
        "the farthest": (
            lambda z: -_distances(z).amax(dim=1),
            "This is minus the distance from the farthest centre: whose circle is it?",
        ),
        "the mean": (
            lambda z: -_distances(z).mean(dim=1),
            "This is minus the mean of three distances: how steep is it between two centres?",
        ),
        "the sum": (
            lambda z: -_distances(z).sum(dim=1),
            "This adds three distances, and is three times as steep far away: 1-Lipschitz?",
        ),
        "the product": (
            lambda z: -_distances(z).prod(dim=1),
            "A product of distances grows like a cube: which one of them is the slope 1?",
        ),
        "squared": (
            lambda z: -dual(z).square(),
            "This is the squared distance, whose slope grows with it: how steep is a cone?",
        ),
        "the 1-norm": (
            lambda z: -_distances(z, p=1).amin(dim=1),
            "These are distances in the 1-norm: how steep is |x₁| + |x₂| along the diagonal?",
        ),
        "the ∞-norm": (
            lambda z: -_distances(z, p=math.inf).amin(dim=1),
            "These are distances in the ∞-norm: where on a circle is it less than 1?",
        ),
        "the first entry alone": (
            lambda z: -(z[:, :1] - three_cones().centres[:, 0].to(z)).abs().amin(dim=1),
            "This looks at the first entry of z alone: what of the second?",
        ),
        "the second entry alone": (
            lambda z: -z[:, 1].abs(),
            "This looks at the second entry of z alone: what of the first?",
        ),
        "one cone": (
            lambda z: -z.norm(dim=1),
            "This is one cone, at the origin: who serves the circles about −2 and 2?",
        ),
        "two cones": (
            lambda z: -_distances(z)[:, :2].amin(dim=1),
            "The cone at 2 is missing: has each circle one of its own?",
        ),
        "a short spacing": (
            lambda z: -_distances(z, spacing=1).amin(dim=1),
            "These centres are 1 apart: where do the circles about −2, 0 and 2 have theirs?",
        ),
        "centres on the other axis": (
            lambda z: -_distances(z.flip(1)).amin(dim=1),
            "These centres lie one above the other: which entry of (−2, 0) comes first?",
        ),
        "a smooth maximum": (
            lambda z: torch.logsumexp(-_distances(z), dim=1),
            "A smooth maximum rounds the tips off: which function keeps the largest alone?",
        ),
        "an exponential": (
            lambda z: dual(z).exp(),
            "exp flattens the cone as it falls: how steep is it on the circle?",
        ),
        "a constant": (
            lambda z: torch.zeros(len(z)),
            "f is constant, and so its value is 0: by how much may it fall from a centre?",
        ),
        "a number of a centre": (
            lambda z: -_distances(z).argmin(dim=1),
            "This is the number of the nearest centre, which jumps: which of min's two "
            "results is the distance?",
        ),
        "half as steep": (
            lambda z: dual(z) / 2,
            "The value is ½: how steep may a cone be?",
        ),
        "twice as steep": (
            lambda z: 2 * dual(z),
            "This falls by 2 from a centre to its circle: 1-Lipschitz?",
        ),
    },
    wrong={
        "a column": (lambda z: dual(z)[:, None], "as a column (407, 1)"),
        "a lifted cone": (lambda z: lifted(2.0, (0.0, 0.3, 0.0))(z), "a cone of its own"),
        "cut short": (lambda z: dual(z).clamp(min=-0.8), "the value is 0.800"),
        "a little too steep": (lambda z: 1.002 * dual(z), "the slope is 1.002"),
        "a jump": (lambda z: dual(z) + 0.1 * (z[:, 0] > 5), "and [5.02, 0.3]"),
        "a narrow peak": (
            lambda z: dual(z) + 3 * (0.05 - (z - torch.tensor([1.0, 1.3])).norm(dim=1)).relu(),
            "Between [1, 1.3]",
        ),
        "steep far out": (
            lambda z: dual(z) * torch.where(z[:, 1].abs() < 1e4, 1.0, 2.0),
            "the slope is 2.019",
        ),
        "all points": (lambda z: dual(z).mean(), "one number a point"),
        "a number": (1.0, "A function of points"),
    },
)
