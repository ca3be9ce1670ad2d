r"""The exact radius of an image: the distance to the nearest input that is classified otherwise.

Source: V. Tjeng, K. Xiao and R. Tedrake (2019), Evaluating Robustness of Neural Networks with Mixed
Integer Programming.
"""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lipteach.layers.measured import measured, why_none
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_integer, check_real, check_tensor
from lipteach.primitives.jacobian import run_once
from lipteach.robustness.balls import check_images
from lipteach.robustness.rectifiers import encode, least_move

SLACK = 2e-6  # of the box: what the solver's tolerances may take from its bound
POINTS, ROUNDS, STEPS = 256, 10, 64  # of the search for a first input
HALVINGS = 10


class ExactRadius(NamedTuple):
    """lower ≤ exact radius ≤ upper, and a misclassified input at the distance upper."""

    lower: float
    upper: float
    input: Tensor | None


@undisturbed
@torch.no_grad()
def exact_radius(model: nn.Module, x: Tensor, y: int, timeout: float = 60.0) -> ExactRadius:
    r"""Find the ∞-distance from x to the nearest input of the cube that is not classified as y.

    $$\varepsilon^* = \min_{k \ne y}\ \min \{\, t : x' \in [0, 1]^n,\ \|x' - x\|_\infty \le t,\
    Z_k(x') \ge Z_y(x') \,\}$$

    for the logits Z: below ε* every attack fails, and at ε* one succeeds. A tie counts as wrong.
    Each inner minimum is a mixed-integer linear program, with one binary unknown for each
    max(a, b) whose side is not the same for all inputs at hand; SciPy's HiGHS solves it. Only small
    networks are within reach, for the binaries may take exponential time.

    The model is taken in evaluation mode and in float64, with its weights as they are read now.

    - **lower** is what the solver finds for $Z_k \ge Z_y - \delta$, less 2·10⁻⁶ of the box that it
      searched, at most twice as large as the result; δ is 3·10⁻⁶ of the size of $Z_k - Z_y$, more
      than the solver's tolerances. For the rest its arithmetic in float64 is believed: lower is no
      proof.
    - **upper** is what `input` attains: the model, run on it in float64, has a $Z_k \ge Z_y$, and
      the distance is rounded up.

    They agree to about 10⁻⁴ of their size where the solver ends in time, and both hold where it
    does not. Where Z_k touches Z_y without crossing it, float64 may miss the input, and upper stays
    above.

    Args:
        model: an ``nn.Sequential`` of Flatten, ``nn.Linear``, ReLU, LeakyReLU, Identity, and this
            package's Scale, Selection, Abs, MaxMin, GroupSort, FullSort and Maxout.
        x: one image, as ``images[i]`` and so without a batch dimension, with entries in [0, 1].
        y: its label, an integer.
        timeout: seconds, for all classes together; then the solver is stopped.

    Returns:
        ``(lower, upper, input)``: input has the shape of x, in float64. It is x, and both are 0, if
        the model is wrong at x. They are infinite, and input is None, if it is nowhere wrong in the
        cube; upper alone is, if the time ran out before an input was found.

    Raises:
        ValueError: if a layer is not known, or has hooks or a forward of its own.

    Example:
        >>> compare = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
        >>> lower, upper, nearest = lt.exact_radius(compare, torch.tensor([0.75, 0.25]), y=0)
        >>> round(lower, 5), round(upper, 5), [round(v, 5) for v in nearest.tolist()]
        (0.25, 0.25, [0.5, 0.5])

    Source: V. Tjeng, K. Xiao and R. Tedrake (2019); the attack that it bounds is that of Anil,
    Lucas and Grosse (2019), appendix H.5.
    """
    end = time.monotonic() + check_real(timeout, "timeout", above=0.0)
    plain, point = _checked(model, x)
    y = _check_label(run_once(plain, point[None], "model"), y)
    encode(plain, point, 1.0)  # says what is not known
    if _is_wrong(plain, point, y):
        return ExactRadius(0.0, 0.0, point.to(x.device))
    nearest = _Nearest(plain, point, y)
    nearest.search()
    lower = _prove(nearest, end)
    found = None if nearest.input is None else nearest.input.to(x.device)
    return ExactRadius(min(lower, nearest.distance), nearest.distance, found)


def _checked(model: nn.Module, x: Tensor) -> tuple[nn.Module, Tensor]:
    """The model that is measured, and x in float64, both on the CPU."""
    check_images(x, min_dim=1)
    plain, unlike = measured(model)
    if said := why_none(model, plain, unlike):
        raise ValueError(f"model must be a plain network; it is {said}.")
    for name, parameter in plain.named_parameters():
        check_tensor(parameter, f"{name} of model", min_dim=0)
    return plain.cpu(), x.detach().cpu().double().contiguous()


def _check_label(logits: Tensor, y: int) -> int:
    if logits.ndim != 2 or logits.shape[1] < 2:
        shape = tuple(logits.shape)
        raise ValueError(
            f"model must give one row of at least 2 logits for one x; got shape {shape}."
        )
    if check_integer(y, "y", 0) >= logits.shape[1]:
        raise ValueError(f"y must be less than the number of logits, {logits.shape[1]}; got {y}.")
    return y


def _is_wrong(model: nn.Module, x: Tensor, y: int) -> bool:
    """Whether some other logit is at least that of y, at one input."""
    Z = model(x[None])[0].tolist()
    return any(z >= Z[y] for k, z in enumerate(Z) if k != y)


class _Nearest:
    """The nearest misclassified input found so far, and its distance."""

    def __init__(self, model: nn.Module, x: Tensor, y: int) -> None:
        self.model, self.x, self.y = model, x, y
        self.classes = [k for k in range(model(x[None]).shape[1]) if k != y]
        self.input: Tensor | None = None
        self.distance = math.inf
        self.radius = float(torch.maximum(x, 1.0 - x).max())  # of the whole cube, or to the input

    def search(self) -> None:
        """Look at points of the cube, then along the signs of gradients at the best points found.

        The points are a Sobol sequence: nothing is drawn.
        """
        sobol: Any = torch.quasirandom.SobolEngine
        spread = sobol(self.x.numel()).draw(POINTS, dtype=torch.float64)
        points = self._take(spread.view(1, POINTS, *self.x.shape))
        steps = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)[1:]
        for _ in range(ROUNDS):
            reach = (self.radius * steps).view(1, -1, *[1] * self.x.ndim)
            ways = self._ways(points, torch.tensor(self.classes))
            points = self._take((self.x + reach * ways[:, None]).clamp(0, 1))

    def _take(self, tried: Tensor) -> Tensor:
        """For each class the first of the points tried that goes to it, or that comes nearest."""
        rows, classes = torch.arange(len(self.classes)), torch.tensor(self.classes)
        tried = tried.expand(len(rows), *tried.shape[1:])
        Z = self.model(tried.flatten(0, 1)).unflatten(0, tried.shape[:2])
        margins = Z[rows, :, classes] - Z[..., self.y]
        hits = margins >= 0
        points = tried[rows, torch.where(hits.any(1), hits.double().argmax(1), margins.argmax(1))]
        for row in hits.any(1).nonzero()[:, 0].tolist():
            self.offer(points[row])
        return points

    def offer(self, point: Tensor) -> None:
        """Take a point, if it is misclassified and nearer."""
        distance = math.nextafter(float((point - self.x).abs().max()), math.inf)
        if distance < self.distance and _is_wrong(self.model, point, self.y):
            self.input, self.distance, self.radius = point.clone(), distance, distance

    def _ways(self, points: Tensor, classes: Tensor) -> Tensor:
        """The signs of the gradients of Z_k − Z_y, one class for each point."""
        with torch.enable_grad():
            at = points.detach().clone().requires_grad_(True)
            Z = self.model(at)
            margin = (Z.gather(1, classes[:, None])[:, 0] - Z[:, self.y]).sum()
            return torch.autograd.grad(margin, at)[0].sign()


def _prove(nearest: _Nearest, end: float) -> float:
    """A lower bound of the radius; on the way the solver's inputs are offered.

    The classes come with the farthest first, so that the nearest has all the time that they leave.
    Where the box is far too large in the end, all is done again in the smaller one, which is quick.
    """
    start = nearest.radius
    box, forms = encode(nearest.model, nearest.x, start)
    tops = box.upper(forms[nearest.classes] - forms[[nearest.y]])
    order = [nearest.classes[i] for i in tops.argsort()]
    bounds = [_rule_out(nearest, k, end, len(order) - i) for i, k in enumerate(order)]
    if nearest.radius < start / 2 and time.monotonic() < end:
        return max(min(bounds), _prove(nearest, end))
    return min(bounds)


def _rule_out(nearest: _Nearest, k: int, end: float, sharing: int) -> float:
    """A radius in which class k is out of reach, infinite if it is so in the whole cube."""
    radius, beyond = nearest.radius, nearest.distance
    box, forms = encode(nearest.model, nearest.x, radius)
    margin = forms[k] - forms[nearest.y]
    if box.upper(margin[None])[0] < 0:
        return beyond
    bound, moves = least_move(box, margin, max(0.0, end - time.monotonic()) / sharing)
    for move in moves:
        at = nearest.x.flatten() + radius * torch.from_numpy(move)
        nearest.offer(at.clamp(0, 1).view_as(nearest.x))
        if nearest.distance < radius * (bound + 2 * SLACK):
            break
    if bound == math.inf:
        return beyond * (1.0 - SLACK)
    proved = radius * (bound - SLACK)  # little, where the time ran out
    return proved if bound > 0.5 else max(proved, _rule_out_by_bounds(nearest, k, radius))


def _rule_out_by_bounds(nearest: _Nearest, k: int, radius: float) -> float:
    """A radius in which bounds rule class k out, without a solver; by bisection."""
    low, high = 0.0, radius
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        box, forms = encode(nearest.model, nearest.x, middle)
        ruled_out = box.upper(forms[[k]] - forms[[nearest.y]])[0] < 0
        low, high = (middle, high) if ruled_out else (low, middle)
    return low
