"""11.critic: a critic that is trained, and the audit that says what it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.auditing import audit
from lipteach.classroom.calling import is_stub
from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, need_tensor, shape_of
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l11_wasserstein.audits import (
    AUDITED,
    AUDITS,
    TOL,
    audited,
    by_hand,
    by_the_package,
    distance,
    expected,
    held_and_audited,
    linear_layers,
)
from lipteach.layers import export, orthonormal, retract_
from lipteach.primitives import (
    Abs,
    FullSort,
    GroupSort,
    MaxMin,
    Scale,
    operator_norm,
    wasserstein_dual,
)
from lipteach.training import orthonormal_network

SHARE = 0.8  # sorts find nine tenths and more, ReLU two thirds at most
_SORTS = (MaxMin, GroupSort, FullSort, Abs)

X = torch.tensor([[1.0, 0.5]]).double()
Y = X + torch.tensor([[1.2, 1.6], [-1.2, -1.6]]).double()
"""One point between two, at distance 2, on a line through the plane: W₁ = 2."""


# --- The training.


def _climb(
    critic: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 30,
    rate: float = 0.3,
    hold: Callable[[nn.Module], Any] = lambda _: None,
) -> nn.Module:
    """Gradient ascent on the dual value, each step held.

    Without an optimizer of PyTorch, whose first use takes seconds.
    """
    weights = list(critic.parameters())
    for _ in range(steps):
        slopes = torch.autograd.grad(wasserstein_dual(critic, x, y), weights)
        with torch.no_grad():
            for weight, slope in zip(weights, slopes, strict=True):
                weight.add_(slope, alpha=rate)
        hold(critic)
    return critic


def _network(x: Tensor, hidden: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Module:
    sizes, generator = [x.shape[1], *hidden, 1], torch.Generator().manual_seed(0)
    return orthonormal_network(sizes, activation, generator, x.dtype)


def trained(
    x: Tensor, y: Tensor, activation: Callable[[], nn.Module] = MaxMin, **options: Any
) -> nn.Module:
    """A critic of two hidden layers, held by its parametrization at every step."""
    critic = _network(x, [8, 8], activation)
    for layer in linear_layers(critic):
        orthonormal(layer)
    return export(_climb(critic, x, y, **options))


def _held(x: Tensor, y: Tensor, hold: Callable[[nn.Module], Any]) -> nn.Module:
    """A critic whose weights are put in place after each step."""
    return _climb(_network(x, [4], FullSort), x, y, steps=80, rate=0.05, hold=hold)


def _not_held_last(x: Tensor, y: Tensor) -> nn.Module:
    return _climb(_held(x, y, retract_), x, y, steps=1, rate=0.05)


@torch.no_grad()
def _clip(critic: nn.Module, most: float) -> None:
    for layer in linear_layers(critic):
        layer.weight.clamp_(-most, most)


@torch.no_grad()
def _divide(critic: nn.Module) -> None:
    for layer in linear_layers(critic):
        layer.weight /= 2 * operator_norm(layer.weight)


def _untrained(x: Tensor, y: Tensor) -> Any:
    """A critic that happens to be higher on y."""
    critic: Any = trained(x, y, steps=0)
    critic[-1].weight.data *= -1
    return critic


def _two_outputs(x: Tensor, _y: Tensor) -> nn.Module:
    return nn.Linear(x.shape[1], 2, dtype=x.dtype)


class _Hidden(nn.Module):
    """A critic whose forward is its own."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, x: Tensor) -> Any:
        return self.critic(x)


def _judge_bound(critic: nn.Module) -> float:
    """The certified bound of the critic, which is at most 1."""
    bounds = audit(critic)
    if bounds.unknown:
        text = f"Of {bounds.unknown} no bound is known, and so none of the critic"
        raise Hint("type", f"{text}: what is a nn.Sequential of linear layers and sorts?")
    if not bounds.upper > 1 + TOL:
        return bounds.upper
    text = f"The certified bound of your critic is {bounds.upper:.6g}, above 1"
    if most := _clipped_at(critic):
        ask = "has a matrix of small entries a small norm?"
        raise Hint("constraint", f"{text}: its entries are clipped at {most:.3g}; {ask}")
    factors = [m.factor for m in critic.modules() if isinstance(m, Scale) and abs(m.factor) > 1]
    if factors:
        ask = f"what does its Scale({factors[0]:g}) do to the norms of all its layers?"
        raise Hint("constraint", f"{text}: {ask}")
    if bounds.upper < 4:
        ask = "does a step of the optimizer follow the last projection, or only a penalty hold it?"
        raise Hint("constraint", f"{text}, and not far: {ask}")
    raise Hint("constraint", f"{text} by far: what holds the norms of the weights at 1?")


def _clipped_at(critic: nn.Module) -> float:
    """The largest entry in size of all weights if several share it, else 0."""
    entries = torch.cat([layer.weight.detach().abs().flatten() for layer in linear_layers(critic)])
    most = entries.max()
    return float(most) if int((entries == most).sum()) > 2 else 0.0


def _judge_share(critic: nn.Module, value: float, bound: float) -> None:
    """The dual value is a large share of the distance."""
    share = value / float(distance(X, Y))
    if share >= SHARE:
        return
    if share < -0.05:
        text = f"The dual value of your critic is {value:.3f}, below 0"
        if share > -0.4:  # one that is trained upside down goes further
            raise Hint("value", f"{text}, and not far: has it been trained, and how many steps?")
        raise Hint("value", f"{text}: where is it to be high, and what does an optimizer make low?")
    text = f"The critic finds {100 * share:.0f}% of the distance"
    if bound < SHARE:  # not even with this slope everywhere
        why = "its entries are clipped" if _clipped_at(critic) else "its weights are held too low"
        raise Hint(
            "value", f"{text}. Its bound is {bound:.3f}, for {why}: which slope may it have?"
        )
    modules = list(critic.modules())
    if not any(isinstance(module, _SORTS) for module in modules):
        if all(isinstance(module, (nn.Linear, nn.Sequential)) for module in modules):
            raise Hint("value", f"{text}, and is affine: what stands between the linear layers?")
        raise Hint("value", f"{text}: which activation bends, and keeps a gradient's norm at 1?")
    raise Hint("value", f"{text}, and could find more: are there enough steps, and large enough?")


def _judge_critic(answer: Any, mistakes: Sequence[Mistake]) -> None:
    """The audit on critics of the judge; then the critic by the exact norms and distance."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Hint("type", "Two functions are needed: (my_critic, my_audit).")
    train, own_audit = answer
    if is_stub(own_audit) and not is_stub(train):
        raise Hint(
            "type", "my_critic is written, and my_audit is not yet: which norms say its bound?"
        )
    audits = [replace(mistake, answer=mistake.answer[1]) for mistake in mistakes]
    compare_function(own_audit, expected, AUDITED, tol=TOL, mistakes=audits)
    critic = call(train, X, Y)
    if isinstance(critic, (tuple, list)):
        text = f"my_critic returns {a_kind(critic)}: only the network is asked for"
        raise Hint("type", f"{text}. Which part of it is that?", (X, Y))
    if not isinstance(critic, nn.Module):
        text = f"my_critic returns {a_kind(critic)}: where is the trained network, an nn.Module?"
        raise Hint("type", text, (X, Y))
    both = need_tensor(call(critic, torch.cat([X, Y])))
    if both.shape not in {(3,), (3, 1)}:
        text = f"For 3 points the critic returns the shape {shape_of(both)}: one number a point?"
        raise Hint("shape", text, (X, Y))
    if not bool(torch.isfinite(both).all()):
        raise Hint("value", "The critic returns numbers that are not finite: what grew in it?")
    bound, f = _judge_bound(critic), both.flatten()
    value = float(f[:1].mean() - f[1:].mean())
    _judge_share(critic, value, bound)


CRITIC = Exercise(
    name="11.critic",
    judge=_judge_critic,
    solution=(trained, audited),
    right={
        "by hand": (trained, by_hand),
        "by the package": (trained, by_the_package),
        "projected, all sorted": (lambda x, y: _held(x, y, retract_), audited),
    },
    mistakes={label: ((trained, wrong), *said) for label, (wrong, *said) in AUDITS.items()},
    wrong={
        "upside down, trained": (
            (lambda x, y: trained(x, y, rate=-0.3), audited),
            "where is it to be high",
        ),
        "untrained": ((_untrained, audited), "has it been trained"),
        "scaled": (
            (lambda x, y: nn.Sequential(*trained(x, y), Scale(2.0)), audited),  # type: ignore[misc]
            "its Scale",
        ),
        "held within the audit": ((trained, held_and_audited), "changes its input"),
        "not held": ((lambda x, y: _held(x, y, lambda _: None), audited), "above 1 by far"),
        "clipped": (
            (lambda x, y: _held(x, y, lambda critic: _clip(critic, 1.0)), audited),
            "clipped at 1;",
        ),
        "clipped low": (
            (lambda x, y: _held(x, y, lambda critic: _clip(critic, 0.1)), audited),
            "for its entries are clipped",
        ),
        "not after the last step": (
            (_not_held_last, audited),
            "follow the last projection",
        ),
        "held too low": ((lambda x, y: _held(x, y, _divide), audited), "held too low"),
        "ReLU": ((lambda x, y: trained(x, y, nn.ReLU), audited), "which activation bends"),
        "affine": (
            (lambda x, y: _climb(_network(x, [], MaxMin), x, y, hold=retract_), audited),
            "affine",
        ),
        "one step": ((lambda x, y: trained(x, y, steps=1), audited), "enough steps"),
        "a hidden forward": (
            (lambda x, y: _Hidden(trained(x, y)), audited),
            "no bound is known",
        ),
        "two outputs": ((_two_outputs, audited), "the shape (3, 2)"),
        "with its value": (
            (lambda x, y: (trained(x, y), 1.0), audited),
            "only the network is asked for",
        ),
        "a number": ((lambda _x, _y: 1.0, audited), "where is the trained network"),
        "one function": (trained, "Two functions"),
    },
)
