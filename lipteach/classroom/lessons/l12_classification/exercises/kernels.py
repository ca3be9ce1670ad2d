"""12.kernel: a kernel of flattened norm 1 that takes constants away and stretches by nearly 5."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import need_tensor, seeded, shape_of, show_apart

LEAST = 4.8
TOL = 1.001e-6  # what the text allows, and its rounding
GRID = 256  # the frequencies tried, in each direction: the largest is missed by 1e-3 at most


def largest_gain(kernel: Tensor) -> float:
    """The norm of the convolution with a (5, 5) kernel on large images, from below."""
    return float(torch.fft.fft2(kernel, s=(GRID, GRID)).abs().max())


def _judge_kernel(answer: Any) -> None:
    kernel = need_tensor(answer)
    if kernel.shape in ((25,), (1, 25)):
        raise Hint("shape", "These are 25 numbers in one row: which of them are neighbours?")
    if kernel.numel() == 1:
        raise Hint("shape", "One number: a kernel has five rows of five.")
    if kernel.shape == (1, 1, 5, 5):
        kernel = kernel[0, 0]
    if kernel.shape != (5, 5):
        text = f"The shape is {shape_of(kernel)}; five rows of five are needed"
        raise Hint("shape", f"{text}: how many taps has a 5 × 5 kernel?")
    if not bool(torch.isfinite(kernel).all()):
        raise Hint("value", "An entry is not finite.")
    norm, gain = float(kernel.norm()), largest_gain(kernel)
    if abs(norm - 1) > TOL:
        raise Hint("constraint", _why_not_1(kernel, norm))
    if gain < LEAST:
        raise Hint("value", _why_small(kernel, gain))
    if abs(float(kernel.sum())) > TOL:
        raise Hint("constraint", _why_not_0(float(kernel.sum())))


def _why_not_1(kernel: Tensor, norm: float) -> str:
    text = f"Flattened, the norm is {show_apart(norm, 1.0)[0]}"
    if norm == 0:
        return f"{text}: is there a kernel of norm 1 along it?"
    if abs(float(torch.linalg.matrix_norm(kernel, 2)) - 1) < 1e-5:
        return f"{text}. As a 5 × 5 matrix it has norm 1: is it flattened there?"
    if abs(float(kernel.abs().sum()) - 1) < 1e-5:
        return f"{text}, and the sum of all sizes is 1: in which norm is a flattened kernel 1?"
    if abs(norm - 1) < 0.03 and abs(float(kernel.sum())) < 1e-5:
        return f"{text}: what is taken away makes it shorter. Which of the two steps comes last?"
    if abs(norm - 1) < 0.01:
        return f"{text}, and 1 to 1e-6 is asked for: were digits cut short?"
    if abs(norm**2 - 5) < 1e-5 and bool((kernel.norm(dim=1) - 1 < 1e-5).all()):
        return f"{text}: each row has norm 1, and how long are five of them in one vector?"
    if abs(float(kernel.abs().max()) - 1) < 1e-5:
        return f"{text}: its largest entry is 1, and what is it divided by to have norm 1?"
    return f"{text}, and 1 is needed: what is it to be divided by?"


def _why_not_0(gain: float) -> str:
    text = f"It stretches enough, and a constant image is multiplied by {show_apart(gain, 0)[0]}"
    if abs(gain) > LEAST:
        return f"{text}: this is its best wave. Which other wave do 25 taps of one size fit?"
    return (
        f"{text}, not by 0: more taps are above 0 than below. What can be taken from all of them?"
    )


def _why_small(kernel: Tensor, gain: float) -> str:
    """What bounds the gain: the number of taps, then their sizes, then their signs."""
    text = f"The norm is right, and no wave is stretched by more than {show_apart(gain, LEAST)[0]}"
    taps, sizes = int((kernel.abs() > 1e-9).sum()), float(kernel.abs().sum())
    if taps == 1:
        return f"{text}: one tap only moves the image. What may 25 of them do together?"
    if taps < 25:
        most = f"{taps} taps reach √{taps} at most" if gain > 0.99 * math.sqrt(taps) else ""
        if most:
            return f"{text}: {most}, and this kernel does. How many taps are there?"
        return f"{text}: {taps} of the 25 taps are not 0. What could the others add?"
    if sizes < LEAST:
        return f"{text}: the sizes of its taps add up to {sizes:.3g}. When is that sum largest?"
    text = f"{text}: its sizes add up to {show_apart(sizes, LEAST)[0]}, so its signs are in the way"
    return f"{text}. Which signs does a wave have, from tap to tap?"


def _unit(kernel: Tensor) -> Tensor:
    return torch.nn.functional.normalize(kernel.double().flatten(), dim=0).view(5, 5)


def _centred(kernel: Tensor) -> Tensor:
    return _unit(kernel - kernel.mean())


_SIGNS = (-1.0) ** torch.arange(5).double()
_BOARD = _SIGNS[:, None] * _SIGNS
_STRIPES = torch.ones(5, 1) * _SIGNS
_BELL = torch.exp(-(torch.arange(-2, 3).double() ** 2) / 2)
_PLUS = torch.zeros(5, 5)
_PLUS[2] = _PLUS[:, 2] = 1
_DELTA = torch.zeros(5, 5)
_DELTA[2, 2] = 1
_BLOCK = torch.nn.functional.pad(torch.arange(1.0, 10).view(3, 3), (1, 1, 1, 1))
_CLOSE = torch.ones(5, 5)
_CLOSE[2, 2] = 3.5


EXERCISES = (
    Exercise(
        name="12.kernel",
        judge=_judge_kernel,
        solution=_centred(_BOARD),
        right={
            "lists": _centred(_BOARD).tolist(),
            "below 0": -_centred(_BOARD).numpy(),
            "stripes": _centred(_STRIPES),
            "stripes that lie": _centred(_STRIPES.T).float(),
            "with its channels": _centred(_BOARD)[None, None],
            "a little uneven": _centred(_BOARD + 0.05 * seeded(5, 5)),
            "one tap larger": _centred(
                _BOARD - torch.nn.functional.pad(torch.ones(1, 1), 4 * (2,))
            ),
        },
        wrong={
            "ones": (torch.ones(5, 5), "largest entry is 1"),
            "a mean": (torch.full((5, 5), 1 / 25), "the sum of all sizes"),
            "the identity": (torch.eye(5), "flattened there"),
            "rows of norm 1": (torch.full((5, 5), 5**-0.5), "each row has norm 1"),
            "two digits": (torch.full((5, 5), 0.201), "digits cut short"),
            "constant": (torch.full((5, 5), 0.2), "multiplied by 5: this is its best wave"),
            "constant, below 0": (
                torch.full((5, 5), -0.2),
                "multiplied by -5: this is its best wave",
            ),
            "a chessboard": (_BOARD / 5, "multiplied by 0.2, not by 0"),
            "stripes of one size": (_STRIPES / 5, "multiplied by 1, not by 0"),
            "not made 1 again": (_BOARD / 5 - 0.2 / 25, "comes last"),
            "twice": (torch.full((5, 5), 0.4), "and 1 is needed"),
            "nothing": (torch.zeros(5, 5), "the norm is 0"),
            "a tap": (_DELTA, "only moves the image"),
            "a row": (_unit(torch.eye(5)[2:3].T * torch.ones(5)), "5 taps reach √5"),
            "a plus": (_unit(_PLUS), "9 taps reach √9"),
            "a bent block": (_unit(_BLOCK), "9 of the 25"),
            "a bell": (_unit(_BELL[:, None] * _BELL), "add up to 3.48"),
            "a high middle": (_unit(_CLOSE), "add up to 4.5"),
            "noise": (_unit(seeded(5, 5)), "add up to 4.39"),
            "random signs": (seeded(5, 5).sign() / 5, "its signs are in the way"),
            "a vector": ([0.2] * 25, "in one row"),
            "a number": (0.2, "One number"),
            "3 × 3": (torch.full((3, 3), 1 / 3), "five rows of five are"),
            "not finite": (torch.full((5, 5), math.inf), "not finite"),
        },
    ),
)
