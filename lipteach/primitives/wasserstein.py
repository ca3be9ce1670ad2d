r"""Wasserstein distances of samples: the dual estimate of a function, and the exact distance.

With $\|\cdot\|$ the Euclidean norm, over the couplings π of p₁ and p₂ on the left and over the
1-Lipschitz functions on the right (Kantorovich and Rubinstein),

$$W_1(p_1, p_2) = \min_\pi E_{(x, y) \sim \pi} \|x - y\|
                = \max_f E_{x \sim p_1} f(x) - E_{y \sim p_2} f(y).$$
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipteach.primitives._validate import check_numbers, check_tensor, in_float64, transforming
from lipteach.primitives.numerical_warnings import ConvergenceWarning, warn_caller

MOST_PIVOTS = 10_000_000
MOST_LOST = 1e-9  # of the distance, that rounding within the solver may add without a word
_MOST_CUTS = 4


def wasserstein_dual(f: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    r"""The dual estimate of a function: its mean over x less its mean over y (appendix H.1).

    $$\frac{1}{n} \sum_i f(x_i) - \frac{1}{m} \sum_j f(y_j)$$

    If f is 1-Lipschitz this is at most the Wasserstein distance of the two samples. It is a lower
    bound of the distance of p₁ and p₂ only in expectation over fresh samples.

    Args:
        f: maps (n, …) to (n,) or (n, 1): one number for each sample.
        x: samples of p₁, of shape (n, …), where f is to be high.
        y: samples of p₂, of shape (m, …), where f is to be low.

    Raises:
        ValueError: if f returns another number of values.

    Example:
        >>> x, y = torch.zeros(1, 2), torch.tensor([[1.0, 0.0], [0.0, -1.0]])
        >>> lt.wasserstein_dual(lambda z: -z.norm(dim=-1), x, y).item()
        1.0

    Source: Anil, Lucas and Grosse (2019), Equation (1).
    """
    if not callable(f):
        raise TypeError(f"f must be a function or a module; got {type(f).__name__}.")
    check_tensor(x, "x")
    check_tensor(y, "y")
    return _mean(f, x, "x") - _mean(f, y, "y")


def _mean(f: Callable[[Tensor], Any], x: Tensor, name: str) -> Tensor:
    values = f(x)
    if not isinstance(values, Tensor):
        raise TypeError(f"f must return a torch.Tensor; got {type(values).__name__}.")
    check_tensor(values, "What f returns", min_dim=0, finite=False)
    check_numbers(values, "What f returns")
    if values.shape not in {(len(x),), (len(x), 1)}:
        raise ValueError(
            f"f must return one value for each of the {len(x)} samples of {name}; "
            f"got shape {tuple(values.shape)}."
        )
    mean = values.mean()
    if not transforming() and not mean.isfinite():
        mean = (values / len(values)).sum()  # only the sum was too large
    return mean


def exact_wasserstein(
    x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None
) -> Tensor:
    r"""The Wasserstein distance of two weighted samples, by the network simplex of POT.

    $$W_1 = \min_{P \ge 0} \sum_{ij} P_{ij} \|x_i - y_j\|
      \quad \text{with } \sum_j P_{ij} = a_i, \; \sum_i P_{ij} = b_j.$$

    The distances and the sum are computed in float64, in units of the largest coordinate, so that
    no square overflows or vanishes; a distance beyond the range of the dtype of x comes back as
    infinity. Time grows like n³ at worst and memory like n m: 2,000 points against 2,000 take about
    a second.

    The gradient holds the plan fixed, which is the derivative wherever the best plan is unique and
    each mass moves (‖x − y‖ has a kink at 0). No gradient flows to the weights.

    Args:
        x: points of shape (…, n, d).
        y: points of shape (…, m, d); the leading dimensions broadcast, to those of the distances.
        a: weights of shape (…, n), none negative and with sum 1; 1/n each by default.
        b: weights of shape (…, m), none negative and with sum 1; 1/m each by default.

    Raises:
        ValueError: if weights are negative or do not have sum 1.

    Warns:
        ConvergenceWarning: if the best plan was not found in 10 million pivots, or a bound by
            duality leaves open whether one is better by more than 10⁻⁹ of the distance: where the
            costs differ so much that float64 cannot compare them.

    Example:
        >>> x, y = torch.zeros(1, 1), torch.tensor([[-1.0], [1.0]])
        >>> lt.exact_wasserstein(x, y).item()
        1.0

    Source: R. Flamary et al., POT: Python Optimal Transport (2021); N. Bonneel et al. (2011).
    """
    plan, distances, unit = _solve(x, y, a, b)
    return ((plan * distances).sum(dim=(-2, -1)) * unit).to(x.dtype)


def transport_plan(
    x: Tensor, y: Tensor, a: Tensor | None = None, b: Tensor | None = None
) -> Tensor:
    r"""A plan that reaches `exact_wasserstein`: how much mass goes from xᵢ to yⱼ.

    The plans P have shape (…, n, m), and are constants: no gradient flows through them. Where
    several are best it is one of them. The arguments, errors and warnings are those of
    `exact_wasserstein`.

    >>> x, y = torch.tensor([[0.0], [5.0]]), torch.tensor([[6.0], [1.0]])
    >>> lt.transport_plan(x, y).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    return _solve(x, y, a, b)[0].to(x.dtype)


def _solve(
    x: Tensor, y: Tensor, a: Tensor | None, b: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The plan and the distances, both of shape (…, n, m), and the unit of these, in float64."""
    check_tensor(x, "x", min_dim=2)
    check_tensor(y, "y", min_dim=2)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"x and y must hold points of the same dimension; got {x.shape[-1]} and {y.shape[-1]}."
        )
    a, b = _weights(a, "a", x, "x"), _weights(b, "b", y, "y")
    leading = x.shape[:-2], y.shape[:-2], a.shape[:-1], b.shape[:-1]
    try:
        batch = torch.broadcast_shapes(*leading)  # type: ignore[no-untyped-call]
    except RuntimeError:
        had = ", ".join(str(tuple(shape)) for shape in leading)
        text = f"the leading dimensions of x, y, a and b must broadcast; got {had}."
        raise ValueError(text) from None
    exact = "donot_use_mm_for_euclid_dist"  # the other way loses half of the digits
    x, y = in_float64(x), in_float64(y)
    unit = _unit(x, y)
    distances = torch.cdist(x / unit, y / unit, compute_mode=exact)
    distances = distances.expand(*batch, *distances.shape[-2:])
    a, b = a.expand(*batch, a.shape[-1]), b.expand(*batch, b.shape[-1])
    unit = unit[..., 0, 0].expand(batch)
    plan: Tensor = _Plan.apply(distances.detach(), unit, a.detach(), b.detach())  # type: ignore[no-untyped-call]
    return plan, distances, unit


def _unit(x: Tensor, y: Tensor) -> Tensor:
    """A power of 2 for each pair of samples, by which to divide without rounding: (…, 1, 1).

    The largest coordinate becomes about 2⁴⁹⁶ in float64, so that no square overflows, and a
    distance may be 10²⁹⁸ times less before its square vanishes.
    """
    largest = torch.maximum(*(z.detach().abs().amax(dim=(-2, -1), keepdim=True) for z in (x, y)))
    exponent = largest.frexp().exponent
    info = torch.finfo(x.dtype)
    room, least = math.frexp(info.max)[1] // 2 - 16, math.frexp(info.tiny)[1]
    return torch.ldexp(torch.ones_like(largest), (exponent - room).clamp(min=least))


def _weights(weights: Tensor | None, name: str, points: Tensor, whose: str) -> Tensor:
    count = points.shape[-2]
    if weights is None:
        return in_float64(points.new_ones(())).expand(count) / count
    check_tensor(weights, name)
    if weights.shape[-1] != count:
        raise ValueError(
            f"{name} must hold one weight for each of the {count} points of {whose}; "
            f"got shape {tuple(weights.shape)}."
        )
    total = in_float64(weights).sum(dim=-1, keepdim=True)
    if not transforming():
        if bool((weights < 0).any()):
            raise ValueError(f"{name} must not be negative; got {float(weights.min()):g}.")
        off = (total - 1).abs().flatten()
        if bool((off > torch.finfo(weights.dtype).eps ** 0.5).any()):
            raise ValueError(
                f"{name} must have sum 1; got {float(total.flatten()[off.argmax()]):.9g}."
            )
    return in_float64(weights) / total


class _Plan(torch.autograd.Function):
    """One linear program for each pair of samples, as an operation that torch.func can batch."""

    @staticmethod
    def forward(distances: Tensor, unit: Tensor, a: Tensor, b: Tensor) -> Tensor:
        n, m = distances.shape[-2:]
        M, units = distances.double().cpu().reshape(-1, n, m), unit.flatten().tolist()
        weights = zip(a.double().cpu().reshape(-1, n), b.double().cpu().reshape(-1, m), strict=True)
        plans = [_best_plan(*ab, *costs) for ab, *costs in zip(weights, M, units, strict=True)]
        return torch.stack(plans).reshape(distances.shape).to(distances)

    @staticmethod
    def setup_context(ctx: Any, _inputs: Any, output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(_ctx: Any, *_gradient: Any) -> tuple[None, None, None, None]:
        return None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Tensor) -> tuple[Tensor, int]:
        batched = [
            t.expand(info.batch_size, *t.shape) if dim is None else t.movedim(dim, 0)
            for t, dim in zip(inputs, in_dims, strict=True)
        ]
        return _Plan.apply(*batched), 0  # type: ignore[no-untyped-call]


def _best_plan(a: Tensor, b: Tensor, M: Tensor, unit: float) -> Tensor:
    """The best plan for costs M · unit, or with a warning the one that was found.

    Where the costs differ much, the solver's rounding of the largest hides what the others tell.
    Duality shows it. Costs far above those in use are then cut, and all is done again in the
    smaller scale: a best plan of the cut costs that uses none which is cut is a best plan.
    """
    cap = float(M.max())
    for _ in range(_MOST_CUTS):
        scale = math.ldexp(1.0, math.frexp(cap)[1])  # the solver adds absolute figures of about 1
        plan, u, stopped = _network_simplex(a, b, M.clamp(max=cap) / scale)
        costs = M / scale
        cost = float((plan * costs).sum())
        if stopped:
            text = f"no best plan in {MOST_PIVOTS} pivots; the plan reached costs"
            text = f"{text} {cost * scale * unit:.6g}."
            break
        # With these v no plan costs less than a·u + b·v; `lost` is what this one may cost more,
        # with what rounding of u and v hides.
        u, used = u[:, None], plan > 0
        v = (costs - u).amin(dim=0)
        slack = costs - u - v + torch.finfo(u.dtype).eps * (u.abs() + v.abs())
        lost = float((plan * slack)[used].sum())
        if lost <= MOST_LOST * cost or cost == 0:
            return plan
        text = (
            "the costs differ by more than float64 can compare: the plan found may cost up to "
            f"{lost / cost:.0e} of the distance too much."
        )
        cap = 2 * float(M[used].max())
    warn_caller(ConvergenceWarning(text))
    return plan


def _network_simplex(a: Tensor, b: Tensor, M: Tensor) -> tuple[Tensor, Tensor, bool]:
    """POT's plan, the prices of its rows, and whether it was stopped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its source, too, when Python compiles it
        import ot  # here, since it takes longer to import than all of lipteach

        plan, log = ot.emd(a.numpy(), b.numpy(), M.numpy(), numItermax=MOST_PIVOTS, log=True)
    return torch.from_numpy(plan), torch.from_numpy(log["u"]), log["warning"] is not None
