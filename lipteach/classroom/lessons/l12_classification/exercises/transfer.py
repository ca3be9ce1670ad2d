"""12.transfer: the exact norm of a convolution with circular padding, by the DFT of its kernel."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lipteach.classroom.checks import Exercise, Hint, Mistake
from lipteach.classroom.compare import NEARLY, call, close, seeded
from lipteach.classroom.compare_functions import compare_function
from lipteach.classroom.watch import watch

GRID = 96  # frequencies in each direction, which are nearly all of them


def spectra(kernel: Tensor, *size: int) -> Tensor:
    """The DFT at each frequency, as matrices: (size, size, out, in)."""
    found: Tensor = torch.fft.fft2(kernel, s=size).permute(2, 3, 0, 1)
    return found


def largest(matrices: Tensor) -> Tensor:
    """The largest singular value of all of them."""
    found: Tensor = torch.linalg.svdvals(matrices).max()
    return found


def norm(A: Tensor) -> Tensor:
    """The norm of one matrix."""
    found: Tensor = torch.linalg.matrix_norm(A, 2)
    return found


def transfer(kernel: Tensor, size: int) -> Tensor:
    """The largest singular value of all frequencies' matrices."""
    return largest(spectra(kernel, size, size))


def dense(kernel: Tensor, size: int, circular: bool = True) -> Tensor:
    """The matrix of the convolution, (out·size², in·size²), column by column."""
    k, n = kernel.shape[-1], kernel.shape[1] * size**2
    images = torch.eye(n, dtype=kernel.dtype).view(n, kernel.shape[1], size, size)
    margins = ((k - 1) // 2, k // 2) * 2
    padded = functional.pad(images, margins, mode="circular" if circular else "constant")
    return functional.conv2d(padded, kernel).flatten(1).T


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


def _by_frequency(
    reduce: Callable[[Tensor], Tensor],
    sizes: Callable[[int, int], int] | None = None,
) -> Callable[[Tensor, int], Tensor]:
    """Something else of the matrices at all frequencies, or at those of another size."""

    def found(kernel: Tensor, size: int) -> Tensor:
        n = sizes(size, kernel.shape[-1]) if sizes else size
        return reduce(spectra(kernel, n, n))

    return found


def _by_size(power: int) -> Callable[[Tensor, int], Tensor]:
    return lambda kernel, size: transfer(kernel, size) * float(size) ** power


def _along(*dims: int) -> Callable[[Tensor, int], Tensor]:
    """A DFT along other dimensions."""

    def found(kernel: Tensor, size: int) -> Tensor:
        whole = functional.pad(kernel, (0, size - kernel.shape[-1]) * 2)
        return largest(torch.fft.fftn(whole, dim=dims).permute(2, 3, 0, 1))

    return found


def _flattened(kernel: Tensor, _size: int) -> Tensor:
    return norm(kernel.flatten(1))


@cache
def _supremum(taps: tuple[float, ...], shape: tuple[int, ...]) -> float:
    return float(transfer(torch.tensor(taps).double().view(shape), GRID))


def _is_supremum(got: float, want: float, kernel: Tensor) -> bool:
    """Whether this is about the norm on large images, and above that on the given one."""
    most = _supremum(tuple(kernel.flatten().tolist()), tuple(kernel.shape))
    return want < got and abs(got - most) < 5e-3 * most


def _is_cut(got: Tensor, _want: Tensor, kernel: Tensor, size: int) -> bool:
    """Whether the convolution is the one with zeros around the image."""
    return close(got, norm(dense(kernel, size, circular=False)))


def _peaked(out: int, into: int, k: int, seed: int) -> Tensor:
    """A kernel whose largest gain lies at a high frequency, so that no sum of taps is large."""
    signs = (-1.0) ** torch.arange(k).double()
    return seeded(out, into, k, k, seed=seed) * 0.3 + signs[:, None] * seeded(out, into, 1, 1)


_GIVEN = [
    (_peaked(2, 3, 3, seed=1), 5),
    (_peaked(3, 2, 2, seed=2), 4),
    (seeded(1, 1, 5, 5, seed=3), 7),
    (seeded(3, 3, 3, 3, seed=4), 6),
    (_peaked(2, 2, 4, seed=5), 4),
    (seeded(1, 2, 1, 1, seed=6), 3),
    (_peaked(4, 1, 3, seed=7), 8),
]
_LARGE = (_peaked(2, 3, 3, seed=8), 12)
"""Here the matrix of the convolution has 124,416 entries, and all DFTs together have 864."""
_ROOM = 20_000


def _judge_transfer(answer: Any, mistakes: Sequence[Mistake]) -> None:
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


def _nuclear(A: Tensor) -> Tensor:
    found: Tensor = torch.linalg.svdvals(A).sum(-1).max()
    return found


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
        mistakes={
            "flattened": (
                _flattened,
                "This is the norm of the flattened kernel, out × in·k²: what does a tap do that "
                "its neighbour does, too?",
            ),
            "flattened the other way": (
                lambda kernel, size: _flattened(kernel.transpose(0, 1), size),
                "This is the norm of the kernel flattened the other way, in × out·k²: which "
                "matrices belong to a frequency?",
            ),
            "k times flattened": (
                lambda kernel, size: kernel.shape[-1] * _flattened(kernel, size),
                "k times the flattened norm is an upper bound: how near is it, at which frequency?",
            ),
            "the largest entry": (
                _by_frequency(lambda A: A.abs().max()),
                "This is the largest entry of all DFTs: at one frequency they form an out × in "
                "matrix, and its norm?",
            ),
            "Frobenius": (
                _by_frequency(lambda A: A.abs().square().sum((-2, -1)).sqrt().max()),
                "At each frequency this takes the Frobenius norm: which norm stretches one input?",
            ),
            "the whole kernel's length": (
                lambda kernel, _size: kernel.norm(),
                "This is the length of all numbers of the kernel: where are the frequencies?",
            ),
            "k frequencies": (
                _by_frequency(largest, lambda _size, k: k),
                "Only k × k frequencies are tried: which waves fit into size × size pixels?",
            ),
            "too many frequencies": (
                _by_frequency(largest, lambda size, _k: 2 * size),
                "These are twice as many frequencies: do waves between the pixels' frequencies "
                "close up around the image?",
            ),
            "a linear convolution's": (
                _by_frequency(largest, lambda size, k: size + k - 1),
                "size + k − 1 frequencies are for padding with zeros: how many has an image that "
                "closes up?",
            ),
            "all images": (
                _by_frequency(largest, lambda _size, _k: GRID),
                "This is the bound for every size, by frequencies that do not fit into the image: "
                "which do?",
                lambda got, want, kernel, _size: _is_supremum(float(got), float(want), kernel),
            ),
            "the first frequency": (
                lambda kernel, _size: largest(kernel.sum((2, 3))),
                "This is the frequency 0 alone, of constant images: is a chessboard stretched "
                "further?",
            ),
            "real parts": (
                _by_frequency(lambda A: largest(A.real)),
                "This takes the real parts of the DFT: is a wave shifted by half a pixel lost?",
            ),
            "sizes first": (
                _by_frequency(lambda A: largest(A.abs())),
                "The sizes are taken before the SVD: do phases cancel between two channels?",
            ),
            "the wrong axes": (
                lambda kernel, size: largest(torch.fft.fft2(kernel, s=(size, size))),
                "The SVD is taken over the frequencies, channel by channel: over which two "
                "dimensions is a matrix?",
            ),
            "the wrong axes, of the kernel": (
                lambda kernel, _size: largest(kernel),
                "This is the largest norm of a k × k matrix, channel by channel: what has a "
                "convolution to do with the product by it?",
            ),
            "one direction": (
                _along(3),
                "The DFT runs along one direction only: which waves go along the other?",
            ),
            "along the channels": (
                _along(0, 1),
                "The DFT runs along the channels: along which dimensions does the image close up?",
            ),
            "along everything": (
                _along(0, 1, 2, 3),
                "The DFT runs along the channels, too: do those close up?",
            ),
            "ortho": (
                _by_size(-1),
                'Divided by the size: has the DFT of a kernel a factor (norm="ortho")?',
            ),
            "an inverse": (
                _by_size(-2),
                "Divided by size²: is it the DFT, or the inverse one?",
            ),
            "a sum": (
                _by_size(1),
                "Times the size: is anything added up over the frequencies?",
            ),
            "of everything": (
                _by_frequency(lambda A: A.abs().square().sum().sqrt()),
                "This adds up all frequencies: which one does the most stretched image consist of?",
            ),
            "the mean": (
                _by_frequency(lambda A: torch.linalg.svdvals(A)[..., 0].mean()),
                "This is the mean over the frequencies: which of them does an image choose?",
            ),
            "the smallest of the largest": (
                _by_frequency(lambda A: torch.linalg.svdvals(A)[..., 0].min()),
                "This is the frequency that is stretched least: which one is asked for?",
            ),
            "the smallest": (
                _by_frequency(lambda A: torch.linalg.svdvals(A)[..., -1].max()),
                "At each frequency this takes the smallest singular value: which is the norm?",
            ),
            "the smallest of all": (
                _by_frequency(lambda A: torch.linalg.svdvals(A).min()),
                "This is the smallest singular value of all: which is the norm?",
            ),
            "squared": (
                _by_frequency(lambda A: largest(A) ** 2),
                "This is the square of the norm: which root belongs to AᴴA?",
            ),
            "nuclear": (
                _by_frequency(_nuclear),
                "At each frequency the singular values are added up: how far is one unit vector "
                "stretched?",
            ),
            "row sums": (
                _by_frequency(lambda A: A.abs().sum(-1).max()),
                "At each frequency this is the largest row sum, the ∞-norm: which norm is asked "
                "for?",
            ),
            "column sums": (
                _by_frequency(lambda A: A.abs().sum(-2).max()),
                "At each frequency this is the largest column sum, the 1-norm: which norm is "
                "asked for?",
            ),
            "the sum of the taps' norms": (
                lambda kernel, _size: torch.linalg.matrix_norm(kernel.permute(2, 3, 0, 1), 2).sum(),
                "The norms of all taps add up only if one image suits them all: which frequency "
                "would that be?",
            ),
            "the largest tap": (
                lambda kernel, _size: largest(kernel.permute(2, 3, 0, 1)),
                "This is the norm of the largest tap: what do the others add?",
            ),
            "the sum of sizes": (
                lambda kernel, _size: kernel.abs().sum((1, 2, 3)).max(),
                "This is the ∞-norm of the convolution, a sum of sizes: which norm is asked for?",
            ),
            "zeros around": (
                lambda kernel, size: norm(dense(kernel, size, False)),
                "This is the norm with zeros around the image: what comes in on the left of a "
                "circular one?",
                _is_cut,
            ),
        },
        wrong={
            "dense": (
                lambda kernel, size: norm(dense(kernel, size)),
                "of over 20,000 entries",
            ),
            "rounded": (lambda kernel, size: round(float(transfer(kernel, size)), 2), NEARLY[:6]),
            "of each frequency": (
                lambda kernel, size: torch.linalg.svdvals(spectra(kernel, size, size))[..., 0],
                "the result has shape",
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
                _by_frequency(lambda A: torch.linalg.eigvals(A).abs().max()),
                "2 by 3 matrices",
            ),
            "a complex number": (
                lambda kernel, size: spectra(kernel, size, size).flatten()[0],
                "Real numbers",
            ),
            "a number": (1.0, "A function"),
        },
    ),
)
