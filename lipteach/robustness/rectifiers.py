r"""A network on a box of inputs as affine forms of rectifiers, and how large a form can be there.

Every sort and every activation here is made of max(a, b) = b + max(a − b, 0). So an output is an
affine form of the input's moves ξ and of rectifiers p = max(d, 0), where d is such a form of ξ and
of earlier rectifiers; a rectifier whose d has one sign on the whole box is none.

Source: for the bounds, H. Zhang et al. (2018), Efficient Neural Network Robustness Certification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from lipteach.layers.copies import said_name
from lipteach.primitives import (
    Abs,
    ChunkedSequential,
    FullSort,
    GroupSort,
    Householder,
    MaxMin,
    Maxout,
    Scale,
    Selection,
)
from lipteach.primitives.composition import alteration, read, runs_as, walk
from lipteach.theory.terms import comparators

Array = NDArray[np.float64]
PAD = 1e-9  # of the size of a form, far above its rounding
SHORT, DROPPED = 3e-6, 1e-9  # the latter: coefficients that HiGHS takes for 0
HAIRS = (1e-7, 1e-6, 1e-5, 1e-4)  # of the box
KNOWN = (
    "Flatten, Linear, Selection, Scale, Identity, ReLU, LeakyReLU, Abs, MaxMin, GroupSort, "
    "FullSort, Maxout and Householder along the last dimension"
)


class Box:
    r"""The inputs x + rξ of [0, 1]ⁿ with ‖ξ‖_∞ ≤ 1, and the rectifiers of a network on them.

    A form is a row: its constant, n coefficients of ξ, and one of each rectifier so far; forms is a
    matrix of such rows. Each rectifier is in units of its largest value, so that p ≤ 1.

    Attributes:
        low, high: the bounds of ξ, (n,).
        d: the form of which each rectifier is the positive part, (N, 1 + n + N).
        least, most: the bounds of d on the box, least < 0 < most, (N,).
    """

    def __init__(self, x: Array, radius: float) -> None:
        self.n = len(x)
        self.low = np.maximum(-1.0, -x / radius)
        self.high = np.minimum(1.0, (1.0 - x) / radius)
        self.inputs = np.column_stack([x, radius * np.eye(self.n)])
        self.d = np.zeros((0, 1 + self.n))
        self.least = self.most = np.zeros(0)

    def widened(self, forms: Array) -> Array:
        """The forms with a coefficient, 0, of each rectifier that they do not know yet."""
        return np.pad(forms, ((0, 0), (0, self.d.shape[1] - forms.shape[1])))

    def upper(self, forms: Array) -> Array:
        """An upper bound of each form on the box: the lesser of two.

        One takes the bounds of all ξ and p; the other puts for p, from the last to the first, the
        chord above max(d, 0) where its coefficient is positive, and else 0 or d, a line below it.
        """
        forms = self.widened(forms)
        start = 1 + self.n
        size = np.abs(forms).sum(1)
        by_values = self._largest(forms[:, :start]) + np.maximum(forms[:, start:], 0.0).sum(1)
        for j in reversed(range(len(self.d))):
            c, least, most = forms[:, start + j], self.least[j], self.most[j]
            chord = np.maximum(c, 0.0) * most / (most - least)
            below = np.minimum(c, 0.0) * (most > -least)
            forms = forms + np.outer(chord + below, self.d[j])
            forms[:, 0] -= chord * least
            forms[:, start + j] = 0.0
        size += np.abs(forms).sum(1)
        upper: Array = np.minimum(by_values, self._largest(forms[:, :start])) + PAD * size
        return upper

    def _largest(self, forms: Array) -> Array:
        moves = forms[:, 1:]
        largest: Array = forms[:, 0] + np.where(moves > 0, moves * self.high, moves * self.low).sum(
            1
        )
        return largest

    def rectified(self, forms: Array) -> Array:
        """The forms of max(d, 0) for each form d."""
        forms = self.widened(forms)
        most, least = self.upper(forms), -self.upper(-forms)
        open_ = np.flatnonzero((least < 0) & (most > 0))
        unit = np.maximum(most, -least)[open_]
        out = np.where((least >= 0)[:, None], forms, 0.0)
        out = np.pad(out, ((0, 0), (0, len(open_))))
        out[open_, forms.shape[1] + np.arange(len(open_))] = unit
        self.least = np.append(self.least, least[open_] / unit)
        self.most = np.append(self.most, most[open_] / unit)
        added = np.pad(forms[open_] / unit[:, None], ((0, 0), (0, len(open_))))
        self.d = np.concatenate([np.pad(self.d, ((0, 0), (0, len(open_)))), added])
        return out

    def ordered(self, a: Array, b: Array) -> tuple[Array, Array]:
        """The forms of max(a, b) and of min(a, b)."""
        a, b = self.widened(a), self.widened(b)
        more = self.rectified(a - b)
        return self.widened(b) + more, self.widened(a) - more


def encode(model: nn.Module, x: Tensor, radius: float) -> tuple[Box, Array]:
    """The outputs of a model as forms on the box of that radius around x, in [0, 1]ⁿ.

    Raises ValueError for a layer that is not known, that something changes, or that does not fit.
    """
    with np.errstate(over="ignore"):
        box = Box(x.flatten().numpy(), radius)
    forms, flat = box.inputs, x.ndim == 1
    chunks = [m for m in model.modules() if isinstance(m, ChunkedSequential)]
    in_rows = {id(module) for chunk in chunks for module in chunk.modules()}
    for name, layer in walk(model):
        said = said_name(name, layer)
        if runs_as(layer, nn.Flatten) and (layer.start_dim, layer.end_dim) in (
            (1, -1),
            (1, x.ndim),
        ):
            if id(layer) in in_rows and x.ndim > 1:  # a ChunkedSequential gives it rows of x
                raise ValueError(
                    f"model must flatten x before a ChunkedSequential; {said} is in one."
                )
            flat = True
            continue
        if altered := alteration(layer):
            raise ValueError(f"model must be made of plain layers; its {said} has {altered}.")
        if not flat:
            shape = tuple(x.shape)
            raise ValueError(
                f"model must begin with Flatten for an x of shape {shape}; got {said}."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            forms = _layer(layer, box, box.widened(forms), said)
        if not (np.isfinite(forms).all() and np.isfinite(box.d).all()):
            raise ValueError(f"{said} of model has weights too large for bounds in float64.")
    return box, box.widened(forms)


def _layer(layer: nn.Module, box: Box, h: Array, said: str) -> Array:
    out: Array
    if runs_as(layer, Selection):
        out = h[layer.index.numpy()]
        return out
    if runs_as(layer, nn.Linear):
        out = read(layer).numpy() @ h
        if layer.bias is not None:
            out[:, 0] += read(layer, "bias").numpy()
        return out
    if runs_as(layer, Scale):
        return layer.factor * h
    if runs_as(layer, nn.ReLU):
        return box.rectified(h)
    if runs_as(layer, (nn.LeakyReLU, Abs)):  # slope z + (1 − slope) max(z, 0)
        slope = layer.negative_slope if isinstance(layer, nn.LeakyReLU) else -1.0
        positive = box.rectified(h)
        return slope * box.widened(h) + (1.0 - slope) * positive
    if runs_as(layer, (MaxMin, GroupSort, FullSort)) and layer.dim in (-1, 1):
        size = layer.size if isinstance(layer, GroupSort) else len(h)
        return _sorted(box, h, 2 if isinstance(layer, MaxMin) else size)
    if runs_as(layer, Householder) and layer.dim in (-1, 1):  # z + 2 (−vᵀz)⁺ v
        angle = layer.angle.detach().double().numpy()[:, None]
        v = np.stack([np.cos(angle), np.sin(angle)])
        pairs = np.stack([h[::2], h[1::2]])
        twice = 2.0 * box.rectified(-(v * pairs).sum(0))
        out = np.stack([box.widened(z) + twice * c for z, c in zip(pairs, v, strict=True)], axis=1)
        return out.reshape(len(h), -1)
    if runs_as(layer, Maxout):
        out = h[:: layer.size]
        for k in range(1, layer.size):
            out, _ = box.ordered(out, h[k :: layer.size])
        return out
    if runs_as(layer, nn.Identity):
        return h
    raise ValueError(f"An exact radius knows {KNOWN}; model has {said}.")


def _sorted(box: Box, h: Array, size: int) -> Array:
    """Each group of `size` adjacent forms in descending order, by comparators."""
    places = [h[k::size] for k in range(size)]
    for i, j in comparators(size):
        places[i], places[j] = box.ordered(places[i], places[j])
    return np.stack([*map(box.widened, places)], axis=1).reshape(len(h), -1)


def least_move(box: Box, form: Array, seconds: float) -> tuple[float, Iterator[Array]]:
    """The least ‖ξ‖_∞ on the box with form ≥ 0, by a mixed-integer linear program.

    The unknowns are ξ, τ ≥ |ξᵢ|, and for each rectifier p ≥ d and the binary z, with p ≤ most z and
    p ≤ d − least (1 − z), which make p = max(d, 0) for z = 0 as for z = 1. The form may miss 0 by
    more than the solver's tolerances, which could otherwise hide a thin piece.

    Returns a lower bound, ∞ if there is no such ξ and −∞ if the solver tells none; and the best ξ
    that it found, then those where the form is largest on the same piece a hair farther out.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to import

    n, N = box.n, len(box.d)
    form = form / np.abs(form).sum()
    constants, moves, units = box.d[:, 0], box.d[:, 1 : 1 + n], box.d[:, 1 + n :] - np.eye(N)
    one, none, zeros = np.ones((n, 1)), np.zeros((N, 1)), np.zeros((N, N))
    margin = np.concatenate([form[1 : 1 + n], [0.0], form[1 + n :], np.zeros(N)])
    rows = np.block(
        [
            [np.eye(n), one, np.zeros((n, 2 * N))],
            [-np.eye(n), one, np.zeros((n, 2 * N))],
            [-moves, none, -units, zeros],
            [moves, none, units, np.diag(box.least)],
            [0.0 * moves, none, -np.eye(N), np.diag(box.most)],
            [margin[None]],
        ]
    )
    low = np.concatenate([box.low, np.zeros(1 + 2 * N)])
    high = np.concatenate([box.high, np.ones(1 + 2 * N)])
    place = np.arange(n + 1 + 2 * N)

    def solve(goal: Any, short: float, whole: Any = None) -> Any:
        at_least = [np.zeros(2 * n), constants, box.least - constants, np.zeros(N)]
        needed = np.concatenate([*at_least, -form[:1] - short])
        options = {"time_limit": seconds / 2, "mip_rel_gap": 0.0}  # there are two to solve
        return milp(
            goal,
            integrality=whole,
            bounds=Bounds(low, high),
            constraints=LinearConstraint(rows, needed),
            options=options,
        )

    solved = solve(place == n, SHORT + n * DROPPED, place > n + N)
    if solved.status == 2:  # infeasible
        return np.inf, iter(())

    def found() -> Iterator[Array]:
        yield from [] if solved.x is None else [solved.x[:n]]
        exact = solve(place == n, 0.0, place > n + N)
        if exact.x is not None:
            yield exact.x[:n]
            low[n + 1 + N :] = high[n + 1 + N :] = exact.x[n + 1 + N :].round()
            for wider in HAIRS:
                high[n] = exact.fun + wider
                moved = solve(-margin, 0.0)
                if moved.x is not None:
                    yield moved.x[:n]

    bound = solved.mip_dual_bound
    if bound is None and solved.status == 0:  # a linear program, without binaries
        bound = solved.fun
    return -np.inf if bound is None else bound, found()
