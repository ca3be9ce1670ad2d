"""What 13.pgd knows of: attacks with one fault or two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.lessons.l13_robustness.exercises import attacks
from lipteach.classroom.lessons.l13_robustness.exercises.attacks import changed, into


def _unsigned(gradient: Tensor) -> Tensor:
    return gradient.clone()


def _unit(gradient: Tensor) -> Tensor:
    length = gradient.flatten(1).norm(dim=1).clamp(min=1e-30)
    found: Tensor = gradient / length.view(-1, *[1] * (gradient.ndim - 1))
    return found


def _largest_1(gradient: Tensor) -> Tensor:
    size = gradient.flatten(1).abs().amax(1).clamp(min=1e-30)
    return gradient / size.view(-1, *[1] * (gradient.ndim - 1))


def _down(gradient: Tensor) -> Tensor:
    return -gradient.sign()


def _projected(project: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return changed(project=project)


def _ball_only(z: Tensor, x: Tensor, eps: float, **_: Any) -> Tensor:
    return torch.minimum(torch.maximum(z, x - eps), x + eps)


def _round(z: Tensor, x: Tensor, eps: float, **_: Any) -> Tensor:
    return (x + _shortened(z - x, eps)).clamp(0, 1)


def _shortened(step: Tensor, eps: float) -> Tensor:
    length = step.flatten(1).norm(dim=1).clamp(min=1e-30)
    found: Tensor = step * (eps / length).clamp(max=1).view(-1, *[1] * (step.ndim - 1))
    return found


def _started(start: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return changed(start=start)


def _paced(length: Callable[..., float]) -> Callable[..., Tensor]:
    return changed(length=length)


def _for_the_prediction(f: Any, x: Tensor, _y: Tensor, *rest: Any) -> Tensor:
    return attacks.ascend(f, x, f(x).argmax(1), *rest)


Said = tuple[Callable[..., Tensor], str]

WRONG_WAYS: dict[str, Said] = {
    "descends": (
        changed(way=_down),
        "The step goes against the gradient, and the margin grows: is max Z_i − Z_y to rise or to "
        "fall?",
    ),
    "descends, the last": (
        changed(way=_down, choose=attacks.the_last),
        "The step goes against the gradient, and the last image comes back, with a larger margin "
        "than x: which sign has the step?",
    ),
    "the gradient": (
        changed(way=_unsigned),
        "The step is the gradient itself: what is its sign good for, where the gradient is tiny or "
        "huge?",
    ),
    "a gradient of length 1": (
        changed(way=_unit),
        "The step has the gradient's direction and the 2-norm 1: how long may a step be in the "
        "∞-norm?",
    ),
    "a gradient of size 1": (
        changed(way=_largest_1),
        "The gradient is divided by its largest entry: which step within the ∞-norm gains most?",
    ),
    "accumulated": (
        changed(add=1.0),
        "The gradients of all steps add up: which line clears z.grad, or makes z a new leaf?",
    ),
    "momentum": (
        changed(add=0.9),
        "Each step remembers the gradients before it: is a momentum asked for?",
    ),
    "the prediction": (
        changed(goal=attacks.of_the_prediction),
        "The loss leads away from the class that is told, f(z).argmax, and not from y: what "
        "happens once z is told wrongly?",
    ),
    "the prediction of x": (
        _for_the_prediction,
        "The class that is told of x stands for y from the beginning: what if x is told wrongly?",
    ),
    "the prediction, in everything": (
        changed(goal=attacks.of_the_prediction, rank=attacks.of_the_prediction),
        "y is nowhere used, but the class that is told: of which class is the margin?",
    ),
    "probabilities": (
        changed(goal=attacks.of_probabilities),
        "The loss is taken after softmax, whose gradient is 0 where it saturates: of what is the "
        "maximum?",
    ),
    "probabilities, in everything": (
        changed(goal=attacks.of_probabilities, rank=attacks.of_probabilities),
        "Loss and margin are taken after softmax: what is left of a difference where it saturates?",
    ),
    "cross entropy": (
        changed(goal=attacks.entropy),
        "The cross entropy is ascended: what is its gradient where the network is sure, and what "
        "else was to be ascended?",
    ),
    "cross entropy, in everything": (
        changed(goal=attacks.entropy, rank=attacks.entropy),
        "The cross entropy is ascended, and it chooses the image: of what is the smallest asked "
        "for?",
    ),
    "with y": (
        changed(goal=attacks.with_y),
        "The loss is 0 as long as y wins, by y in the maximum or by a positive part: what is its "
        "gradient then?",
    ),
    "with y, in everything": (
        changed(goal=attacks.with_y, rank=attacks.with_y),
        "Loss and choice are 0 as long as y wins, by y in the maximum or by a positive part: which "
        "images do they tell apart?",
    ),
    "the next class": (
        changed(goal=attacks.to_the_next),
        "The target is the class after y: which of the others is ahead?",
    ),
    "only y": (
        changed(goal=attacks.away),
        "Only Z_y is made small: which other logit counts as well?",
    ),
    "the probability of y": (
        changed(goal=attacks.improbable),
        "The probability of y is made small: what is its gradient where softmax saturates?",
    ),
    "all others": (
        changed(goal=attacks.all_others),
        "The sum of all other logits is made large: which of them counts?",
    ),
    "only the other": (
        changed(goal=attacks.up),
        "Only the largest other logit is made large: what of Z_y?",
    ),
    "the least likely": (
        changed(goal=attacks.least_likely),
        "The least of the others is the target: which of them is ahead?",
    ),
    "step = ε": (
        _paced(lambda _step_size, eps, _steps, _k: eps),
        "Each step has the length eps: where is step_size?",
    ),
    "step = ε/steps": (
        _paced(lambda _step_size, eps, steps, _k: eps / steps),
        "Each step has the length eps / steps: where is step_size?",
    ),
    "a share of ε": (
        _paced(lambda step_size, eps, _steps, _k: step_size * eps),
        "Each step has the length step_size · eps: is step_size a share?",
    ),
    "ever shorter": (
        _paced(lambda step_size, _eps, _steps, k: step_size / (k + 1)),
        "The steps become shorter: which line changes step_size?",
    ),
    "ten steps in one": (
        _paced(lambda step_size, _eps, steps, _k: step_size / steps),
        "Each step has the length step_size / steps: is it the whole way, or one step?",
    ),
    "half steps": (
        _paced(lambda step_size, _eps, _steps, _k: step_size / 2),
        "Each step is half as long: is step_size a radius or a step?",
    ),
    "double steps": (
        _paced(lambda step_size, _eps, _steps, _k: 2 * step_size),
        "Each step is twice as long: is z changed twice in a step?",
    ),
    "one step less": (
        changed(count=lambda steps: steps - 1),
        "One step is left out, or its image is never looked at: how often does the loop run?",
    ),
    "one step more": (
        changed(count=lambda steps: steps + 1),
        "There is one step too many: how often does the loop run?",
    ),
    "one step": (
        changed(count=lambda _steps: 1),
        "Only one step is made: does the function return inside the loop?",
    ),
    "no step": (
        changed(count=lambda _steps: 0),
        "No step is made, or none is kept: which line changes z?",
    ),
}

WRONG_BALLS: dict[str, Said] = {
    "no clamp": (
        _projected(_ball_only),
        "The iterates stay in the ball, and leave [0, 1]: what is a pixel above 1?",
    ),
    "no ball": (
        _projected(lambda z, _x, _eps, **_: z.clamp(0, 1)),
        "The iterates stay in [0, 1], and leave the ball: which line holds them within eps of x?",
    ),
    "neither": (
        _projected(lambda z, _x, _eps, **_: z),
        "Nothing holds the iterates, neither in the ball nor in [0, 1]: what follows a step?",
    ),
    "around the last": (
        _projected(lambda z, _x, eps, before, **_: into(z, before, eps)),
        "The ball is around the iterate before: how far from x are two steps?",
    ),
    "around the start": (
        _projected(lambda z, _x, eps, begun, **_: into(z, begun, eps)),
        "The ball is around the start: around what is it to be?",
    ),
    "before the step": (
        _projected(lambda _z, x, eps, before, step, **_: into(before, x, eps) + step),
        "The projection comes before the step: what holds the image after it?",
    ),
    "before the step, in [0, 1]": (
        _projected(lambda _z, x, eps, before, step, **_: (into(before, x, eps) + step).clamp(0, 1)),
        "The ball comes before the step, and [0, 1] after it: which of the two is to hold last?",
    ),
    "clamped before the step": (
        _projected(
            lambda _z, x, eps, before, step, **_: _ball_only(before.clamp(0, 1) + step, x, eps)
        ),
        "[0, 1] comes before the step, and the ball after it: is the result an image?",
    ),
    "only above": (
        _projected(lambda z, x, eps, **_: torch.minimum(z, x + eps).clamp(0, 1)),
        "Nothing holds a pixel above x − eps: how many ends has the ball?",
    ),
    "only below": (
        _projected(lambda z, x, eps, **_: torch.maximum(z, x - eps).clamp(0, 1)),
        "Nothing holds a pixel below x + eps: how many ends has the ball?",
    ),
    "the 2-norm": (
        _projected(_round),
        "This projects on the ball of the 2-norm: which norm has the ball here?",
    ),
    "half a ball": (
        _projected(lambda z, x, eps, **_: into(z, x, eps / 2)),
        "The ball has the radius eps / 2: how far may a pixel move?",
    ),
    "a double ball": (
        _projected(lambda z, x, eps, **_: into(z, x, 2 * eps)),
        "The ball has the radius 2 eps: how far may a pixel move?",
    ),
    "the ball of the start": (
        _projected(lambda z, x, eps, **_: into(z, x, 0.1 * eps)),
        "The ball has the radius of the start, 0.1 eps: how far may the steps lead?",
    ),
    "around 0": (
        _projected(lambda z, _x, eps, **_: z.clamp(-eps, eps)),
        "z itself is cut off at −eps and eps: what has to lie between them?",
    ),
    "in [−1, 1]": (
        _projected(lambda z, x, eps, **_: _ball_only(z, x, eps).clamp(-1, 1)),
        "Pixels may fall to −1: between which numbers is an image?",
    ),
    "a start of ε": (
        _started(lambda x, eps, noise: x + eps * noise),
        "The start is x + eps · noise: how small was it to be?",
    ),
    "no start": (
        _started(lambda x, _eps, _noise: x),
        "The attack begins at x itself: where does noise enter?",
    ),
    "a start without ε": (
        _started(lambda x, _eps, noise: x + 0.1 * noise),
        "The start is x + 0.1 · noise: which share of what is 0.1?",
    ),
    "a start of 0.01 ε": (
        _started(lambda x, eps, noise: x + 0.01 * eps * noise),
        "The start is x + 0.01 · eps · noise: which share of eps was it to be?",
    ),
    "a start of a step": (
        changed(start=lambda x, _eps, noise: x + noise),
        "The start is x + noise: how far from x is it then?",
    ),
    "a start of signs": (
        _started(lambda x, eps, noise: x + 0.1 * eps * noise.sign()),
        "Only the signs of noise are taken at the start: how large is its entry?",
    ),
    "a start the other way": (
        _started(lambda x, eps, noise: x - 0.1 * eps * noise),
        "noise is taken from x at the start: which sign has it?",
    ),
    "a start from 0": (
        _started(lambda _x, eps, noise: 0.1 * eps * noise),
        "The start is 0.1 · eps · noise alone: around which image?",
    ),
    "a start beyond": (
        changed(keep_start=False),
        "The start is no image where x is near 0 or 1: which line cuts it off, before f sees it?",
    ),
    "a start beyond, in everything": (
        changed(keep_start=False, project=_ball_only),
        "Neither the start nor the iterates are kept in [0, 1]: which line makes images of them?",
    ),
    "FGS": (
        changed(
            start=lambda x, _eps, _noise: x,
            count=lambda _steps: 1,
            length=lambda _step_size, eps, _steps, _k: eps,
        ),
        "This is FGS: one step of eps from x. Where are the start, the steps and their size?",
    ),
}

WRONG_CHOICES: dict[str, Said] = {
    "the last": (
        changed(choose=attacks.the_last),
        "The last iterate comes back: is it always the one with the smallest margin?",
    ),
    "the last or x": (
        changed(choose=attacks.last_or_x),
        "The last iterate or x comes back: what of those between?",
    ),
    "one for the batch": (
        changed(choose=attacks.best_of_the_batch),
        "One iterate is chosen for the whole batch: is it the best one for each image?",
    ),
    "the first wrong": (
        changed(choose=attacks.first_wrong),
        "An image stays as it is once it is told wrongly: is a smaller margin met later?",
    ),
    "x unless wrong": (
        changed(choose=attacks.best_if_wrong),
        "x comes back where no iterate is told wrongly: which image has the smallest margin, "
        "though y wins?",
    ),
    "the largest": (
        changed(rank=lambda logits, y: -attacks.excess(logits, y)),
        "The image with the largest margin comes back: which one does an attacker want?",
    ),
    "by cross entropy": (
        changed(rank=attacks.entropy),
        "The image is chosen by its cross entropy: of what is the smallest asked for?",
    ),
    "by probabilities": (
        changed(rank=attacks.of_probabilities),
        "The image is chosen after softmax: of what is the smallest asked for?",
    ),
    "by the prediction": (
        changed(rank=attacks.of_the_prediction),
        "The image is chosen by the margin of the class that is told: whose margin is to be small?",
    ),
    "by Z_y": (
        changed(rank=attacks.away),
        "The image with the smallest Z_y is chosen: what is a margin?",
    ),
    "without x": (
        changed(first=1),
        "x itself is not among the images that are compared: what if all steps lead to worse ones?",
    ),
    "without the start": (
        changed(first=2),
        "Neither x nor the start is compared with the iterates: what if they are better?",
    ),
    "the move": (
        changed(after=lambda found, x: found - x),
        "This is what is added to x: is the move asked for, or the image?",
    ),
}

WRONG_ATTACKS = WRONG_WAYS | WRONG_BALLS | WRONG_CHOICES
