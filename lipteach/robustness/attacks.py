r"""Attacks: images nearby that a classifier tells wrongly (appendix H.5).

What an attack finds is a lower bound of the error within ε: a better attack may find more.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers.copies import evaluating
from lipteach.layers.known_modules import DROPOUTS
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_integer, check_norm, check_real, shown
from lipteach.primitives.jacobian import run_once
from lipteach.primitives.numerical_warnings import warn_caller
from lipteach.robustness.attack_losses import Goal, check_labels, goals, margin
from lipteach.robustness.balls import Ball, ball, check_images

CHANGING = (*DROPOUTS, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.RReLU)


class AttackWarning(UserWarning):
    """An attack says less than it seems to; the text tells why."""


def fgs(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    loss: str = "cw",
    p: float = math.inf,
    targets: str = "runner-up",
) -> Tensor:
    r"""Attack by one step of length ε along the sign of the gradient (the fast gradient sign).

    $$x' = x + \varepsilon \operatorname{sign} \nabla_x \ell(f(x)),$$

    cut off at 0 and 1, with $\ell$ and the other arguments as `pgd` has them. Where the logits are
    affine functions of x and there are two classes, or each class has its turn, no image of the
    ∞-norm's ball has a smaller margin, up to rounding.

    Args:
        model: a classifier from (batch, …) to logits (batch, classes).
        x: images, (batch, …), with entries in [0, 1].
        y: their true labels, integers (batch,).
        eps: ε > 0, in the units of x.
        loss: "cw" or "ce".
        p: the norm of the ball, ``math.inf`` or 2; in the latter the step is along the gradient.
        targets: "runner-up" or "all".

    Returns:
        Images in [0, 1], each within ε of its own, exactly: x or x', whichever has the smaller
        margin.

    Warns:
        AttackWarning: as `pgd`.

    Example:
        >>> model = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
        >>> x, y = torch.tensor([[0.5, 0.25]]).double(), torch.tensor([0])
        >>> lt.fgs(model, x, y, eps=0.125).tolist()
        [[0.375, 0.375]]

    Source: Goodfellow, Shlens and Szegedy (2015); Anil, Lucas and Grosse (2019), appendix H.5.
    """
    return _attack(model, x, y, eps, _Steps(1, eps, 0.0), loss, None, p, targets)


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    steps: int = 200,
    step_size: float | None = None,
    start: float = 0.1,
    loss: str = "cw",
    generator: torch.Generator | None = None,
    p: float = math.inf,
    targets: str = "runner-up",
) -> Tensor:
    r"""Attack by projected gradient descent: many small steps, each followed by a projection.

    $$z_{k+1} = \Pi\bigl(z_k + \alpha \operatorname{sign} \nabla \ell(f(z_k))\bigr),$$

    with $\Pi$ the projection on the images of the ball, and a random start: a point of the ball of
    radius ``start`` · ε. (In the 2-norm a step has the direction of the gradient and length α.)
    What is ascended, $\ell$, is

    - "cw": $Z_t - Z_y$, that is `cw_f6` for the target t with its sign changed, as long as y has
      the largest logit; or
    - "ce": the cross entropy of y, or with the targets "all" that of t with its sign changed.

    With the targets "runner-up", t is the best class beside y, at each step anew. With "all" each
    class has its turn, at as many times the cost.

    The model is taken in evaluation mode, and left as it is. Since α does not depend on the number
    of steps, more of them go on along the same way: they never lose.

    Args:
        model: a classifier from (batch, …) to logits (batch, classes).
        x: images, (batch, …), with entries in [0, 1].
        y: their true labels, integers (batch,).
        eps: ε > 0, in the units of x.
        steps: how many, at least 1.
        step_size: α > 0; ε/20 if None.
        start: the radius of the random start as a share of ε, in [0, 1].
        loss: "cw" or "ce".
        generator: the source of the start; one of seed 0 if None.
        p: the norm of the ball, ``math.inf`` or 2.
        targets: "runner-up" or "all".

    Returns:
        Images in [0, 1], each within ε of its own, exactly: of all that were met, x among them, the
        one with the smallest margin $Z_y - \max_{i \ne y} Z_i$.

    Warns:
        AttackWarning: if the loss has no gradient where the attack begins, at images that are told
            rightly; and if the model has dropout or batch normalization and is in training mode.

    Example:
        >>> model = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
        >>> x, y = torch.tensor([[0.5, 0.25]]).double(), torch.tensor([0])
        >>> lt.pgd(model, x, y, eps=0.125, steps=50).tolist()
        [[0.375, 0.375]]

    Source: Madry et al. (2018); Anil, Lucas and Grosse (2019), appendix H.5: 200 steps, the loss f6
    and a start within ε/10.
    """
    check_integer(steps, "steps")
    check_real(eps, "eps", above=0.0)
    alpha = eps / 20 if step_size is None else check_real(step_size, "step_size", above=0.0)
    share = check_real(start, "start", low=0.0, high=1.0)
    return _attack(model, x, y, eps, _Steps(steps, alpha, share * eps), loss, generator, p, targets)


def check_attack(eps: Any, p: Any, generator: Any) -> torch.Generator:
    """Require a radius and a norm that have a ball; return the generator, or the usual one."""
    check_real(eps, "eps", above=0.0)
    check_norm(p)
    if p == 1:
        raise ValueError("p must be 2 or math.inf; got 1.")
    if generator is None:
        return torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator):
        found = type(generator).__name__
        raise TypeError(f"generator must be a torch.Generator or None; got {found}.")
    return generator


class _Steps(NamedTuple):
    number: int
    size: float
    start: float  # a radius


@undisturbed
def _attack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    steps: _Steps,
    loss: str,
    generator: torch.Generator | None,
    p: float,
    targets: str,
) -> Tensor:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    check_images(x)
    generator = check_attack(eps, p, generator)
    for name, value, known in (
        ("loss", loss, ("cw", "ce")),
        ("targets", targets, ("runner-up", "all")),
    ):
        if value not in known:
            raise ValueError(f'{name} must be "{known[0]}" or "{known[1]}"; got {shown(value)}.')
    if any(isinstance(m, CHANGING) and m.training for m in model.modules()):
        text = "The model is in training mode; the attack meets it in evaluation mode."
        warn_caller(AttackWarning(text))
    x = x.detach()
    most = 1.0 if p == math.inf else math.sqrt(x[0].numel())  # no two images are farther apart
    steps = _Steps(steps.number, min(steps.size, most), min(steps.start, most))
    with evaluating(model), parametrize.cached():
        y = check_logits(model, x, y)
        around = ball(x, min(float(eps), most), p)
        best, least = x, margin(_logits(model, x), y)
        for goal in goals(loss, targets, y, _logits(model, x[:1]).shape[1]):
            start = around.draw(steps.start, generator) if steps.start else x
            best, least = _ascend(model, goal, around, start, steps, y, best, least)
    return best


def _ascend(
    model: nn.Module,
    goal: Goal,
    around: Ball,
    z: Tensor,
    steps: _Steps,
    y: Tensor,
    best: Tensor,
    least: Tensor,
) -> tuple[Tensor, Tensor]:
    """The best images and their margins, after steps from z."""
    for step in range(steps.number + 1):
        with torch.enable_grad():
            inputs = z.clone().requires_grad_()
            logits = model(inputs.clone())  # the model may work in place
            gained = goal(logits).sum()
        now = margin(logits.detach(), y)
        better = now < least
        best = torch.where(better.view(-1, *[1] * (z.ndim - 1)), z, best)
        least = torch.where(better, now, least)
        if step == steps.number:
            break
        gradient = _gradient(gained, inputs)
        if step == 0:
            _warn_of_no_gradient(gradient, now)
        z = around.project(z + steps.size * around.steepest(gradient))
    return best, least


def _gradient(gained: Tensor, inputs: Tensor) -> Tensor:
    """The gradient, 0 where what is gained does not depend on the inputs."""
    if not gained.requires_grad:
        return torch.zeros_like(inputs)
    (found,) = torch.autograd.grad(gained, inputs, allow_unused=True, materialize_grads=True)
    return found


def _warn_of_no_gradient(gradient: Tensor, margins: Tensor) -> None:
    flat = (gradient.flatten(1) == 0).all(dim=1) & (margins > 0)
    if bool(flat.any()):
        text = (
            f"The loss has gradient 0 at {int(flat.sum())} of {len(flat)} images that are told "
            'rightly, so the attack stands still there: loss="ce" saturates, and units may be dead.'
        )
        warn_caller(AttackWarning(text))


@torch.no_grad()
def _logits(model: nn.Module, x: Tensor) -> Tensor:
    found: Tensor = model(x.clone())
    return found


def check_logits(model: nn.Module, x: Tensor, y: Any) -> Tensor:
    """Require a model that gives each image its logits, and labels that name one of these."""
    logits = run_once(model, x, "model")
    if logits.ndim != 2 or len(logits) != 1:
        raise ValueError(
            f"model must return logits (batch, classes); got {tuple(logits.shape)} for one image."
        )
    return check_labels(y, logits.new_empty(len(x), logits.shape[1]), "y")
