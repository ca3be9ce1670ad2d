"""12.transfer: the exact norm of a convolution with circular padding, by the DFT of its kernel."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import NEARLY, call, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.lessons.l12_classification.exercises.frequencies import (
    by_frequency,
    dense,
    largest,
    norm,
    spectra,
    transfer,
)
from lipteach.classroom.lessons.l12_classification.exercises.wrong_norms import WRONG_NORMS
from lipteach.classroom.watch import watch
from lipteach.layers import convolution_norm_bounds


def _by_hand(kernel: Tensor, size: int) -> float:
    """Each frequency by itself, and each tap."""
    found, k = 0.0, kernel.shape[-1]
    K = kernel.numpy().astype(complex)
    for p in range(size):
        for q in range(size):
            waves = np.outer(*(np.exp(-2j * np.pi * np.arange(k) * f / size) for f in (p, q)))
            found = max(found, np.linalg.svd((K * waves).sum(axis=(2, 3)), compute_uv=False)[0])
    return found


def _by_half(kernel: Tensor, size: int) -> Tensor:
    """The kernel is real: half of the frequencies are the others' conjugates."""
    return largest(torch.fft.rfft2(kernel, s=(size, size)).permute(2, 3, 0, 1))


def _by_gram(kernel: Tensor, size: int) -> Tensor:
    A = spectra(kernel, size, size)
    found: Tensor = torch.linalg.eigvalsh(A.mH @ A).max().sqrt()
    return found


def _padded(kernel: Tensor, size: int) -> Tensor:
    rest = size - kernel.shape[-1]
    whole = functional.pad(kernel, (rest, 0, 0, rest))  # a shift changes no singular value
    return largest(torch.fft.fftn(whole, dim=(-2, -1)).movedim((0, 1), (-2, -1)))


def _peaked(out: int, into: int, k: int, seed: int, signs: tuple[int, int] = (-1, -1)) -> Tensor:
    """A kernel whose largest gain lies near the wave with these signs from tap to tap."""
    down, right = (float(sign) ** torch.arange(k).double() for sign in signs)
    wave = (down[:, None] * right) * seeded(out, into, 1, 1, seed=seed + 100)
    return seeded(out, into, k, k, seed=seed) * 0.3 + wave


def _rising(out: int, into: int, k: int, seed: int) -> Tensor:
    """One whose largest gain lies at a wave that goes up to the right, 2/7 in each direction."""
    steps = 2 * torch.pi * 2 / 7 * (torch.arange(k)[:, None] - torch.arange(k)).double()
    return seeded(out, into, k, k, seed=seed) * 0.1 + steps.cos() * seeded(out, into, 1, 1, seed=1)


_GIVEN = [
    (_peaked(2, 3, 3, seed=1, signs=(-1, 1)), 5),
    (_peaked(3, 2, 2, seed=2), 4),
    (seeded(1, 1, 5, 5, seed=3), 7),
    (_peaked(3, 3, 3, seed=4, signs=(1, -1)), 6),
    (seeded(2, 2, 4, 4, seed=5), 4),
    (seeded(1, 2, 1, 1, seed=6), 3),
    (_peaked(4, 1, 3, seed=7), 8),
    (_peaked(2, 2, 3, seed=9), 5),
    (_rising(3, 2, 3, seed=10), 7),
]
_LARGE = (_peaked(4, 6, 3, seed=8), 10)
"""Here the matrix of the convolution has 240,000 entries, and all DFTs together have 2,400."""
_ROOM = 120_000


def _judge_transfer(answer: Any, mistakes: Sequence[Mistake]) -> None:
    found = call(answer, *_GIVEN[0]) if callable(answer) else None
    if isinstance(found, tuple) and len(found) == 2 and not any(np.ndim(b) for b in found):
        text = "These are two bounds, for images of any size: which frequencies fit into this one?"
        raise Hint("type", text, _GIVEN[0])
    try:
        compare_function(answer, transfer, _GIVEN, mistakes=mistakes)
    except Hint as hint:
        if _ASK not in hint.text or hint.example is None:
            raise
        raise Hint(hint.kind, _beside(hint, answer), hint.example) from None
    with watch() as seen:
        call(answer, *_LARGE)
    entries = max((size for *_, size in seen.operations), default=0)
    if entries <= _ROOM:  # numpy's arrays are known to Python
        entries = _most_by_numpy(answer)
    if entries > _ROOM:
        text = f"Right, but at {_LARGE[1]} × {_LARGE[1]} pixels your code makes a tensor or array"
        ask = "that is the matrix of the convolution. How large is that of one frequency?"
        raise Hint("constraint", f"{text} of over {_ROOM:,} entries: {ask}", _LARGE)
    if own := [name for name in seen.lipteach if name != "operator_norm"]:
        text = f"Right, but your code calls lt.{own[0]}: write the DFT and the norms yourself."
        raise Hint("constraint", text, _LARGE)


def _most_by_numpy(answer: Any) -> int:
    """How many numbers, of 8 bytes, have stood in memory at once that Python knows of."""
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        call(answer, *_LARGE)
        return (tracemalloc.get_traced_memory()[1] - before) // 8
    finally:
        if not already:
            tracemalloc.stop()


_ASK = "Which of your steps makes the difference?"


def _beside(hint: Hint, answer: Any) -> str:
    """The general hint, with the side on which the norm is missed."""
    given = hint.example or ()
    got, want = float(call(answer, *given)), float(transfer(*given))
    ask = "Does it come from one frequency's matrix: from which, and is it its largest σ?"
    if got > want:
        ask = "No image is stretched that far: where does more than one frequency enter?"
    return hint.text.replace(_ASK, ask)


EXERCISES = (
    Exercise(
        name="12.transfer",
        judge=_judge_transfer,
        solution=transfer,
        right={
            "by hand": _by_hand,
            "half of the frequencies": _by_half,
            "by the Gram matrix": _by_gram,
            "padded, and shifted": _padded,
        },
        mistakes=WRONG_NORMS,
        wrong={
            "dense": (
                lambda kernel, size: norm(dense(kernel, size)),
                "of over 120,000 entries",
            ),
            "rounded": (lambda kernel, size: round(float(transfer(kernel, size)), 2), NEARLY[:6]),
            "of each frequency": (
                lambda kernel, size: torch.linalg.svdvals(spectra(kernel, size, size))[..., 0],
                "the result has shape",
            ),
            "bounds": (
                lambda kernel, _size: convolution_norm_bounds(kernel),
                "two bounds, for images of any size",
            ),
            "a little more": (lambda kernel, size: 0.3 + transfer(kernel, size), "off by 0.3"),
            "below": (
                lambda kernel, size: transfer(kernel, size) - 1 / kernel.numel(),
                "is it its largest",
            ),
            "above": (
                lambda kernel, size: transfer(kernel, size) + math.log(kernel.numel()),
                "No image is stretched",
            ),
            "eigenvalues": (
                by_frequency(lambda A: torch.linalg.eigvals(A).abs().max()),
                "batches of square",
            ),
            "a complex number": (
                lambda kernel, size: spectra(kernel, size, size).flatten()[0],
                "Real numbers",
            ),
            "a number": (1.0, "A function"),
        },
    ),
)
