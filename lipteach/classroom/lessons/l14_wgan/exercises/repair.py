"""14.loop: a match between a critic and a generator, with three silent faults."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import a_kind, call, fault, recogniser
from lipteach.classroom.lessons.l14_wgan.exercises.match import (
    BOUND,
    CASES,
    Pair,
    by_optimizers,
    case,
    changed,
    play,
)
from lipteach.training import clip_weights_


def _weights(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().double().flatten() for p in network.parameters()])


@cache
def _outcome(loop: Callable[..., Pair], k: int) -> tuple[Tensor, Tensor]:
    critic, maker = loop(*case(*CASES[k]))
    return _weights(critic), _weights(maker)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def _played(answer: Any, k: int) -> tuple[Tensor, Tensor]:
    """The weights of both networks that an answer returns."""
    given = case(*CASES[k])
    found = call(answer, *given)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        text = f"Your loop returns {a_kind(found)}: the critic and the generator are asked for."
        raise Hint("type", text, given)
    if not all(isinstance(network, nn.Module) for network in found):
        raise Hint("type", "Two networks are asked for: what else comes back?", given)
    critic, maker = (_weights(network) for network in found)
    if critic.shape != _weights(given[0]).shape or maker.shape != _weights(given[1]).shape:
        text = "These are not the critic and the generator, in this order: which is which?"
        raise Hint("shape", text, given)
    if not bool(torch.isfinite(torch.cat([critic, maker])).all()):
        raise Hint("value", "A weight is not finite: which step is too long?", given)
    return critic, maker


def _judge(answer: Any, mistakes: Sequence[Mistake]) -> None:
    if isinstance(answer, nn.Module) or not callable(answer):
        raise Hint("type", f"A function is needed, your loop; this is {a_kind(answer)}.")
    own = [_played(answer, k) for k in range(len(CASES))]

    def alike(wrong: Callable[..., Pair]) -> bool:
        made = [_outcome(wrong, k) for k in range(len(CASES))]
        return all(
            _same(a, b) for x, y in zip(own, made, strict=True) for a, b in zip(x, y, strict=True)
        )

    if not alike(play):
        raise fault("value", _what(own), mistakes, recogniser(alike))


def _what(own: Sequence[tuple[Tensor, Tensor]]) -> str:
    """What is wrong of a loop in which no mistake is known."""
    if max(float(critic.abs().max()) for critic, _ in own) > BOUND + 1e-6:
        return f"A weight of the critic comes back outside ±{BOUND:g}: what changed it last?"
    critics, makers = (
        _same(mine, right) for mine, right in zip(own[0], _outcome(play, 0), strict=True)
    )
    if critics and makers:
        return "Right for one round, but not for more: what is left over from the one before?"
    if critics:
        return "After one round the critic is right, and the generator is not: what moves it?"
    if makers:
        return "After one round the generator is right, and the critic is not: what moves it?"
    return "After one round both networks are others: all but three faults was to stay. What else?"


def _swapped(*given: Any) -> Pair:
    critic, maker = play(*given)
    return maker, critic


EXERCISES = (
    Exercise(
        name="14.loop",
        judge=_judge,
        solution=play,
        right={"by optimizers": by_optimizers},
        mistakes={
            "all three faults": (
                changed(clip="before", maker_sign=1.0, stale=True),
                "This is the loop as it was: which line is the last to change the critic, which "
                "way does the generator go, and whose gradients does its step use?",
            ),
            "sign mended": (
                changed(clip="before", stale=True),
                "The generator's sign is mended; two faults are left: which line is the last to "
                "change the critic, and what has its loss left in the generator?",
            ),
            "clipping mended": (
                changed(maker_sign=1.0, stale=True),
                "The clipping is where it belongs; two faults are left: which way does the "
                "generator go, and what has the critic's loss left in it?",
            ),
            "gradients mended": (
                changed(clip="before", maker_sign=1.0),
                "The generator's gradients are its own now; two faults are left: which way does "
                "it go, and which line is the last to change the critic?",
            ),
            "clipped before": (
                changed(clip="before"),
                "The critic is clipped before its step: what holds for the weights that the "
                "generator meets?",
            ),
            "stale gradients": (
                changed(stale=True),
                "The generator's step uses what the critic's losses have left in it, too: when "
                "must its gradients be cleared?",
            ),
            "downhill": (
                changed(maker_sign=1.0),
                "The generator makes the critic's values smaller: which samples have small "
                "values, and which way are images?",
            ),
            "the critic turned": (
                changed(critic_sign=-1.0),
                "The critic makes its claim smaller: is it to find the distance, or to hide it?",
            ),
            "both turned": (
                changed(critic_sign=-1.0, maker_sign=1.0),
                "Both signs are turned, so that the two agree again: was the critic's loss at "
                "fault?",
            ),
            "the critic turned, stale gradients": (
                changed(critic_sign=-1.0, stale=True),
                "The critic makes its claim smaller now, and what its loss leaves in the generator "
                "is still there: was the critic's sign at fault, and when must the generator's "
                "gradients be cleared?",
            ),
            "the critic turned, clipped before": (
                changed(critic_sign=-1.0, clip="before"),
                "The critic makes its claim smaller now, and is clipped before its step: was its "
                "sign at fault, and which line is the last to change it?",
            ),
            "never clipped": (
                changed(clip="never"),
                "Nothing is clipped: what keeps the critic from claiming what it likes?",
            ),
            "clipped between": (
                changed(clip="between"),
                "The critic is clipped between the gradient and the step: which line leaves the "
                "bound?",
            ),
            "clipped each round": (
                changed(clip="each round"),
                "The critic is clipped once a round: and between its steps?",
            ),
            "clipped at the end": (
                changed(clip="end"),
                "The critic is clipped when all is over: what did the generator meet till then?",
            ),
            "both clipped": (
                changed(both=True),
                "The generator is clipped as well: which of the two must not cheat?",
            ),
            "one look": (
                changed(looks=slice(0, 1)),
                "The critic takes one step a round: for how many are there latent points?",
            ),
            "one look less": (
                changed(looks=slice(None, -2)),
                "The critic leaves out its last latent points: how far does rounds[:-1] go?",
            ),
            "one look more": (
                changed(looks=slice(None)),
                "The critic sees the last latent points, too: whose are they?",
            ),
            "a step for a step": (
                changed(every_look=True),
                "The generator steps after each step of the critic: how far has the critic come "
                "by then?",
            ),
            "the critic moves along": (
                changed(moves_critic=True),
                "The generator's loss moves the critic as well: whose parameters has the step?",
            ),
            "the critic's gradients add up": (
                changed(keep=True),
                "The critic's gradients add up from step to step: which line cleared them?",
            ),
            "a slow generator": (
                changed(rates=(0.1, 0.01)),
                "The generator's step is a tenth of what it was: which rate had it?",
            ),
            "a slow critic": (
                changed(rates=(0.01, 0.1)),
                "The critic's step is a tenth of what it was: which rate had it?",
            ),
            "a still generator": (
                changed(rates=(0.1, 0.0)),
                "The generator has not moved: is a gradient there when it steps?",
            ),
            "a still critic": (
                changed(rates=(0.0, 0.1)),
                "The critic has not moved but for the clipping: is a gradient there when it steps?",
            ),
            "another bound": (
                changed(clipped=lambda network: clip_weights_(network, 0.01)),
                "The critic is clipped to ±0.01: which bound had the loop?",
            ),
        },
        wrong={
            "the critic alone": (lambda *given: play(*given)[0], "are asked for"),
            "turned": (_swapped, "which is which"),
            "a claim": (lambda *given: (play(*given)[0], 0.5), "what else comes back"),
            "not finite": (changed(rates=(0.1, math.inf)), "which step is too long"),
            "another rate": (changed(rates=(0.1, 0.2)), "the critic is right, and the gen"),
            "a wide bound": (
                changed(clipped=lambda network: clip_weights_(network, 2.0), clip="end"),
                "what changed it last",
            ),
            "a number": (0.1, "your loop; this is"),
        },
    ),
)
