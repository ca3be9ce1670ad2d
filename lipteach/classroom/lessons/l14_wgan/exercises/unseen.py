"""14.blind: a function whose slope is 1 wherever it is asked, and which claims ten times too much.

It is judged by what it does: the slopes at eleven points, how steep it is at most, its claim.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import a_kind, call, shape_of, show_values
from lipteach.classroom.lessons.l14_wgan.blind import blind_critic

ASKED = [k / 10 for k in range(11)]
CLAIM, STEEPEST = 10.0, 1000.0
GRID = torch.linspace(-0.05, 1.05, 22_001).double()[:, None]


def blind(z: Tensor) -> Tensor:
    """Slope −10 + 9 cos(20 π z)."""
    return -10 * z + 9 / (20 * math.pi) * torch.sin(20 * math.pi * z)


def _slopes(answer: Callable[..., Any]) -> tuple[Tensor, Tensor]:
    """The values at the points that are asked, and the slopes by the backward pass."""
    held: list[Tensor] = []

    def at(z: Tensor) -> Any:  # `call` makes a copy of what it is given
        held.append(z.requires_grad_())
        return answer(z)

    z = torch.tensor(ASKED).double()[:, None]
    values = call(at, z)
    if not isinstance(values, Tensor):
        raise Hint("type", f"Your function returns {a_kind(values)}: a tensor is needed.", (z,))
    if values.shape != z.shape:
        text = f"For {shape_of(z)} numbers the values have shape {shape_of(values)}"
        raise Hint("shape", f"{text}: what is f of each of them?", (z,))
    if not values.requires_grad:
        raise Hint("gradient", "No gradient flows back: what cuts the graph?", (z,))
    (slopes,) = torch.autograd.grad(values.sum(), held[0], allow_unused=True)
    found = torch.zeros_like(z) if slopes is None else slopes
    return values.detach().double()[:, 0], found.double()[:, 0]


def _judge(answer: Any) -> None:
    if isinstance(answer, type) or not callable(answer):
        raise Hint("type", f"A function of z is needed, and this is {a_kind(answer)}.")
    values, slopes = _slopes(answer)
    off = (slopes.abs() - 1).abs().nan_to_num(math.inf) > 1e-3
    if bool(off.any()):
        k = int(off.int().argmax())
        text = f"At z = {ASKED[k]:g} the slope is {show_values(float(slopes[k]))}"
        if bool(((slopes - slopes[0]).abs() < 1e-6).all()):
            raise Hint("constraint", f"{text}, as at all eleven: where is nobody asking?")
        raise Hint("constraint", f"{text}, and the penalty sees it: what is asked of it there?")
    z, h = torch.tensor(ASKED).double()[:, None], 1e-4
    moved = (call(answer, z + h).detach() - call(answer, z - h).detach()).double() / (2 * h)
    away = (moved[:, 0] - slopes).abs().nan_to_num(math.inf)
    if float(away.max()) > 0.1:
        k = int(away.argmax())
        text = f"At z = {ASKED[k]:g} the backward pass says {show_values(float(slopes[k]))}, and f"
        text = f"{text} itself has the slope {float(moved[k]):.3g}"
        raise Hint("gradient", f"{text}: is there a kink or a jump, or is something detached?")
    curve = call(answer, GRID).detach().double()[:, 0]
    alone = call(answer, GRID[:3]).detach().double()[:, 0]
    if not torch.allclose(curve[:3], alone, atol=1e-4):
        text = "What f says of a number changes with the others that are given along with it"
        raise Hint("constraint", f"{text}: is it a function of one number?")
    steps = (curve[1:] - curve[:-1]).abs() / (GRID[1:] - GRID[:-1])[:, 0]
    k = int(steps.nan_to_num(math.inf).argmax())
    if not float(steps[k]) <= STEEPEST * 1.01:
        text = f"Near z = {float(GRID[k]):.3f} f is steeper than {STEEPEST:g}, or jumps"
        raise Hint("constraint", f"{text}: a critic is continuous; how much room has it to fall?")
    claim = float(values[0] - values[-1])
    if claim < CLAIM - 1e-3:
        raise Hint("value", _too_little(claim))


def _too_little(claim: float) -> str:
    text = f"The penalty is 0, and f(0) − f(1) = {show_values(claim)}"
    if claim <= -CLAIM + 1e-3:
        return f"{text}: on which side are the images, and which way is f to fall?"
    if abs(claim - 1) < 1e-3:
        return f"{text}, the distance itself, so that nobody is cheated: what may f do between?"
    if claim < 1:
        return f"{text}, which is less than the distance: which way does f go between the points?"
    return f"{text}, which is a start: how steep must f be between, to reach {CLAIM:g}?"


def _sine(steep: float, at: float, waves: float = 20.0) -> Callable[[Tensor], Tensor]:
    """A line with waves: the slope is ``at`` at multiples of 2/waves, and ``-steep`` on average."""
    turn = waves * math.pi
    return lambda z: -steep * z + (steep + at) / turn * torch.sin(turn * z)


def _stairs(z: Tensor) -> Tensor:
    """The slope is −1 except close to 0.05, 0.15, …, where it is steep."""
    middle = torch.tensor([0.05 + k / 10 for k in range(10)]).double()
    return -z - 0.9 * torch.clamp(50 * (z - middle.to(z)), 0, 1).sum(dim=-1, keepdim=True)


def _network() -> nn.Module:
    return blind_critic(ASKED, steep=20.0, wide=0.02)


EXERCISES = (
    Exercise(
        name="14.blind",
        judge=_judge,
        solution=blind,
        right={
            "rising where it is asked": _sine(10.0, 1.0),
            "stairs": _stairs,
            "a network": _network(),
            "steeper": _sine(100.0, -1.0),
        },
        wrong={
            "a line": (lambda z: -z, "nobody is cheated"),
            "a steep line": (lambda z: -10 * z, "where is nobody asking"),
            "too few waves": (_sine(10.0, -1.0, waves=10.0), "the penalty sees it"),
            "too flat": (_sine(3.0, -1.0), "which is a start"),
            "uphill": (_sine(-10.0, 1.0), "on which side are the images"),
            "back and forth": (_sine(0.0, 1.0), "less than the distance"),
            "a jump": (lambda z: -z - 9.0 * (z > 0.55), "or jumps"),
            "a cliff": (
                lambda z: -z - 9.0 * torch.clamp(20_000 * (z - 0.25), 0, 1),
                "Near z = 0.25",
            ),
            "a jump in a batch": (
                lambda z: blind(z) + 20 * (z.detach() - z.detach().mean()),
                "function of one number",
            ),
            "detached": (lambda z: -z - 9 * z.detach(), "is something detached"),
            "a constant": (lambda z: 0 * z, "slope is 0"),
            "no gradient": (lambda z: blind(z).detach(), "what cuts the graph"),
            "one number": (lambda z: blind(z).sum(), "shape ()"),
            "a float": (lambda z: float(z[0, 0]), "a tensor is needed"),
            "slopes": ([-1.0] * 11, "A function of z"),
        },
    ),
)
