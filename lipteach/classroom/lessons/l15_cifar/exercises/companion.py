"""15.companion: an output of batch normalization that moves because its companion does."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.classroom.checks import Exercise, Hint
from lipteach.classroom.compare import a_kind, need_tensor, shape_of, show_apart

FAR, NEAR = 1.0, 0.01
TOL = 1 + 1e-4  # float32 rounds a number near 10 by so much of 0.01
LARGE = 10.0


def first_outputs(batches: Tensor) -> Tensor:
    """The first output of each of two batches, a fresh normalization in training mode."""
    norm = nn.BatchNorm1d(1, dtype=torch.float64)
    return torch.stack([norm(batch[:, None])[0, 0] for batch in batches]).detach()


def _judge_companion(answer: Any) -> None:
    if callable(answer) or isinstance(answer, (str, int, float)):
        raise Hint("type", f"This is {a_kind(answer)}: two batches of two numbers are asked for.")
    batches = need_tensor(answer)
    if batches.shape == (2, 2, 1):
        batches = batches[:, :, 0]
    if batches.shape == (2,):
        raise Hint("shape", "This is one batch: from which other one does its output move?")
    if batches.shape != (2, 2):
        text = f"The shape is {shape_of(batches)}; two batches of two numbers, (2, 2), are needed"
        raise Hint("shape", f"{text}: how many companions has the first number?")
    if not bool(torch.isfinite(batches).all()):
        raise Hint("value", "A number is not finite.")
    if float(batches.abs().max()) > LARGE:
        text = "Numbers as large as these lose the digits in which they differ, in float32"
        raise Hint("value", f"{text}: does the place on the line matter?")
    if fault := _fault(batches):
        if batches[0, 0] != batches[1, 0] and not _fault(batches.T):
            text = "Each row is to be a batch, and these are its columns"
            raise Hint("shape", f"{text}: which number stays where it is?")
        raise fault


def _fault(batches: Tensor) -> Hint | None:
    """What keeps two batches from being an answer."""
    (first, before), (stays, after) = batches.tolist()
    if first != stays:
        text = f"The first number moves by {abs(stays - first):.4g}: its output is to move while"
        return Hint("constraint", f"{text} it stays. What else stands in its batch?")
    if before == after:
        return Hint("constraint", "The two batches are the same: what moves?")
    step = abs(after - before)
    if step > NEAR * TOL:
        shown = show_apart(step, NEAR)[0]
        text = f"The companion moves by {shown}, farther than {NEAR:g}"
        return Hint("constraint", f"{text}: where is the output steepest in it?")
    one, other = first_outputs(batches).tolist()
    if abs(one - other) < FAR / TOL:
        return Hint("value", _why_small(before - first, after - first, abs(one - other)))
    return None


def _why_small(before: float, after: float, moved: float) -> str:
    text = f"The output moves by {show_apart(moved, FAR)[0]}"
    if before * after == 0:
        ask = "the output of the first never reaches 1. From where could it begin"
        return f"{text}: one of the two outputs is 0, where companions are the same, and {ask}?"
    if before * after > 0 and moved < 0.01:
        return f"{text}: the companion is far off on one side. Where does the output change sign?"
    if before * after > 0:
        ask = "the companion stays on one side of the first number, and so has the output one sign"
        return f"{text}: {ask}. Which step would change it?"
    if abs(before + after) > 0.1 * abs(after - before):
        ask = "the companion passes the first number, and goes farther on one side of it"
        return f"{text}: {ask}. Which of all steps of this length moves the output most?"
    return f"{text}, by a step of {abs(after - before):.3g}: how long a step is allowed?"


def _batches(before: float, after: float, first: float = 0.0) -> list[list[float]]:
    return [[first, first + before], [first, first + after]]


EXERCISES = (
    Exercise(
        name="15.companion",
        judge=_judge_companion,
        solution=_batches(-0.005, 0.005),
        right={
            "the other way": _batches(0.004, -0.004),
            "elsewhere": torch.tensor(_batches(-0.005, 0.005, 3.0), dtype=torch.float64),
            "a pair of batches": (
                torch.tensor([[0.0], [-0.005]]),
                torch.tensor([[0.0], [0.005]]),
            ),
            "a little uneven": _batches(-0.004, 0.006),
            "as short as can be": _batches(-math.sqrt(4e-5 / 3), math.sqrt(4e-5 / 3)),
        },
        wrong={
            "from the same": (_batches(0.0, 0.01), "moves by 0.8452: one of"),
            "on one side": (_batches(0.001, 0.011), "has the output one sign"),
            "far off": (_batches(1.0, 1.01), "far off on one side"),
            "uneven": (_batches(-0.001, 0.009), "passes the first number"),
            "too careful": (_batches(-0.001, 0.001), "by a step of 0.002"),
            "too far": (_batches(-1.0, 1.0), "moves by 2, farther"),
            "a hair too far": (_batches(-0.00501, 0.00501), "moves by 0.01002, farther"),
            "the first one moves": ([[-0.005, 0.0], [0.005, 0.0]], "first number moves by 0.01"),
            "columns": ([[0.0, 0.0], [-0.005, 0.005]], "these are its columns"),
            "the same": (_batches(0.005, 0.005), "are the same"),
            "one batch": ([0.0, 0.01], "This is one batch"),
            "three numbers": ([[0.0, 0.0, -0.005], [0.0, 0.0, 0.005]], "(2, 3)"),
            "three batches": ([[0.0, 0.0]] * 3, "(3, 2)"),
            "not finite": ([[0.0, math.nan], [0.0, 0.0]], "not finite"),
            "large numbers": (_batches(-0.005, 0.005, 1e6), "lose the digits"),
            "a number": (0.01, "This is a float"),
            "a layer": (nn.BatchNorm1d(1), "This is a BatchNorm1d"),
        },
    ),
)
