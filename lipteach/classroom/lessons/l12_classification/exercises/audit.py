"""12.audit: a pair of images that shows a network not to be 1-Lipschitz."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import a_kind, need_tensor, seeded, shape_of, show_apart
from lipteach.classroom.lessons.l12_classification.suspect import suspect
from lipteach.primitives._sample_by_sample import jacobians
from lipteach.robustness.lipschitz_bounds import LipschitzBounds

ASKED = 1.2
_SHAPES = ((10, 10), (1, 10, 10), (1, 1, 10, 10))
_STEPS = ("convolution", "MaxMin", "pooling", "Flatten", "linear layer")


def _image(image: Any) -> Tensor:
    values = need_tensor(image)
    if tuple(values.shape) not in _SHAPES:
        text = f"An image has shape (1, 1, 10, 10); this one has {shape_of(values)}"
        if tuple(values.shape[-2:]) == (5, 5):
            text = f"{text}, as what the pooling receives: which image becomes that"
            raise Hint("shape", f"{text} in the first layer?")
        raise Hint("shape", f"{text}: where are its rows and columns?")
    if not bool(torch.isfinite(values).all()):
        raise Hint("value", "A pixel is not finite.")
    return values.reshape(1, 1, 10, 10)


def _judge_audit(answer: Any) -> None:
    if isinstance(answer, (str, int, float, nn.Module)) or hasattr(answer, "upper"):
        text = f"This is {a_kind(answer)}, a claim: which two images prove it?"
        raise Hint("type", text)
    pair = answer
    if not isinstance(answer, (tuple, list)):
        pair = need_tensor(answer)
        if tuple(pair.shape) in _SHAPES:
            raise Hint("shape", "This is one image: from which other one does it move away?")
    if len(pair) != 2:
        raise Hint("shape", f"Two images are needed, (x, y); these are {len(pair)}.")
    x, y = (_image(image) for image in pair)
    apart, size = float((x - y).norm()), float(max(x.norm(), y.norm()))
    if apart == 0:
        raise Hint("constraint", "The two images are the same: how far apart are they to be?")
    if apart < 1e-6 * size:
        text = "Here the distance is below a millionth of the images: rounding alone moves that far"
        raise Hint("constraint", f"{text}. Is there a pair further apart?")
    if not size < 1e100:
        raise Hint("value", "These pixels are too large to be squared: is there a smaller pair?")
    gains = _gains(x, y)
    gain = float(torch.tensor(gains).prod())
    if not gain > ASKED:
        raise Hint("value", _why_not(gain, gains))


@torch.no_grad()
def _gains(x: Tensor, y: Tensor) -> list[float]:
    """By how much each layer moves the two apart; 1 where they have met before."""
    gains = []
    for layer in suspect():
        before, (x, y) = float((x - y).norm()), (layer(x), layer(y))
        gains.append(float((x - y).norm()) / before if before > 0 else 1.0)
    return gains


def _why_not(gain: float, gains: list[float]) -> str:
    """Which layer keeps the pair together."""
    text = f"The outputs are {show_apart(gain, ASKED)[0]} times as far apart as the images"
    pool, last = gains[2], gains[4]
    if pool < 1e-6:
        ask = "what you change is nowhere the largest of its window. What if it were?"
        return f"The outputs of both are the same: {ask}"
    if pool > ASKED and pool * last <= ASKED and gains[0] > 0.9:
        ask = f"the pooling stretches by {pool:.3g}, and the linear layer keeps {last:.3g} of it"
        return f"{text}: {ask}. Which channel does it keep more of?"
    if pool > ASKED:
        lost = min(range(2), key=lambda k: gains[k])
        ask = f"the {_STEPS[lost]} keeps only {gains[lost]:.3g} of your change"
        return f"{text}: the pooling stretches by {pool:.3g}, but {ask}. Which change does it keep?"
    if pool > 1.001:
        ask = "in how many windows is your change the largest, and in how many can it be?"
        return f"{text}, and the pooling stretches by {pool:.3g}: {ask}"
    if pool > 0.999:
        return f"{text}: what you change is the largest of one window. Are there pixels in more?"
    if pool > 0.5:
        ask = "is all that you change in each window the largest there?"
        return f"{text}, and no layer stretches this pair. Which one can? For the pooling: {ask}"
    text = f"{text}: the pooling sees {pool:.3g} of your change, which is spread over the image"
    return f"{text}. What if it were at one place, and that in several windows?"


def _zero() -> Tensor:
    return torch.zeros(1, 1, 10, 10)


def _at(i: int, j: int, patch: Any) -> Tensor:
    """An image that is black but for a patch of 2 × 2 pixels, a window of the convolution."""
    image = _zero()
    image[0, 0, i : i + 2, j : j + 2] = torch.as_tensor(patch)
    return image


def _kernel(channel: int) -> Tensor:
    kernels: Any = suspect()[0].weight
    kernel: Tensor = kernels[channel, 0].detach().float()
    return kernel


def _climbed() -> tuple[Tensor, Tensor]:
    """A small step along the direction that the Jacobian at some image stretches most."""
    f, x = suspect(), seeded(1, 1, 10, 10)
    J = jacobians(f, x).reshape(10, 100)
    return x, x + 1e-3 * torch.linalg.svd(J).Vh[0].view_as(x)


EXERCISES = (
    Exercise(
        name="12.audit",
        judge=_judge_audit,
        solution=(_at(4, 4, _kernel(0)), _zero()),
        right={
            "another channel": [_zero(), _at(4, 4, 5 * _kernel(2))],
            "without batch": torch.stack([_at(4, 4, _kernel(0))[0], _zero()[0]]),
            "by the Jacobian": _climbed(),
            "lists": ([[0.0] * 10] * 10, _at(4, 4, _kernel(1)).view(10, 10).tolist()),
        },
        wrong={
            "the same": ((_at(4, 4, 1), _at(4, 4, 1)), "are the same"),
            "a name": ("MaxPool2d", "a str, a claim"),
            "a number": (2, "an int, a claim"),
            "bounds": (LipschitzBounds(1.6, 2.0), "a LipschitzBounds, a claim"),
            "one image": (_at(4, 4, 1), "This is one image"),
            "three images": ([_zero()] * 3, "these are 3"),
            "numbers for the pooling": ((torch.ones(1, 4, 5, 5),) * 2, "the pooling receives"),
            "the layer": (nn.MaxPool2d(3, stride=2), "a MaxPool2d, a claim"),
            "rows of pixels": ((torch.ones(100), torch.zeros(100)), "this one has (100,):"),
            "not finite": ((_zero() + math.inf, _zero()), "not finite"),
            "a hair apart": (
                (1e6 + _zero().double(), 1e6 + 1e-3 * _at(4, 4, _kernel(0)).double()),
                "rounding alone",
            ),
            "too large": ((_at(4, 4, _kernel(0)).double() * 1e200, _zero()), "to be squared"),
            "never the largest": ((_at(4, 4, -_kernel(0)), _zero()), "nowhere the largest"),
            "a corner": ((_at(0, 0, _kernel(0)), _zero()), "of one window"),
            "an edge": ((_at(4, 0, _kernel(0)), _zero()), "stretches by 1.41, and the linear"),
            "white": ((_at(4, 4, 1), _zero()), "stretches by 1.09: in how many"),
            "one pixel": ((_at(4, 4, [[1, 0], [0, 0]]), _zero()), "stretches by 1.66, and the"),
            "all of it": ((_zero() + 1, _zero()), "sees 0.4 of your change"),
            "noise": ((seeded(1, 1, 10, 10), seeded(1, 1, 10, 10, seed=1)), "sees 0.278 of"),
            "two pixels": ((_at(4, 4, [[0, 1], [0, 0]]), _zero()), "no layer stretches this"),
        },
    ),
)
