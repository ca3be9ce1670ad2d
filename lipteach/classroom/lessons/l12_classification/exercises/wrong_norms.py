"""Wrong norms of a convolution, each with its hint."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lipteach.classroom.lessons.l12_classification.exercises.frequencies import (
    by_frequency,
    dense,
    largest,
    norm,
    spectra,
    transfer,
)

GRID = 64  # frequencies in each direction, which are nearly all of them


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
def _others(taps: tuple[float, ...], shape: tuple[int, ...], size: int) -> tuple[float, float]:
    """The norm on large images, nearly, and the one with zeros around the image."""
    kernel = torch.tensor(taps).double().view(shape)
    return float(transfer(kernel, GRID)), float(norm(dense(kernel, size, circular=False)))


def _is_supremum(got: Tensor, want: Tensor, kernel: Tensor, size: int) -> bool:
    """Whether this is about the norm on large images."""
    most, _ = _others(tuple(kernel.flatten().tolist()), tuple(kernel.shape), size)
    return bool(got != want) and abs(float(got) - most) < 0.01 * most


def _is_cut(got: Tensor, _want: Tensor, kernel: Tensor, size: int) -> bool:
    """Whether the convolution is the one with zeros around the image."""
    cut = _others(tuple(kernel.flatten().tolist()), tuple(kernel.shape), size)[1]
    return abs(float(got) - cut) < 1e-4 * cut


def _is_another_size(got: Tensor, _want: Tensor, kernel: Tensor, size: int) -> bool:
    sizes = range(kernel.shape[-1], 2 * size + kernel.shape[-1])
    return any(abs(float(got - transfer(kernel, n))) < 1e-4 * got for n in sizes)


def _is_mixed(got: Tensor, _want: Tensor, kernel: Tensor, size: int) -> bool:
    """Whether the matrices had a dimension of channels and one of frequencies."""
    A = torch.fft.fft2(kernel, s=(size, size))
    pairs = [largest(A.movedim((c, f), (-2, -1))) for c in (0, 1) for f in (2, 3)]
    return any(abs(float(got - pair)) < 1e-4 * pair for pair in pairs)


def _cosines(kernel: Tensor, size: int) -> Tensor:
    waves = 2 * torch.pi * torch.arange(size)[:, None] * torch.arange(kernel.shape[-1]) / size
    C = waves.double().cos()
    return largest(torch.einsum("oiab,pa,qb->pqoi", kernel, C, C))


def _nuclear(A: Tensor) -> Tensor:
    found: Tensor = torch.linalg.svdvals(A).sum(-1).max()
    return found


WRONG_NORMS: dict[str, Any] = {
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
        by_frequency(lambda A: A.abs().max()),
        "This is the largest entry of all DFTs: at one frequency they form an out × in "
        "matrix, and its norm?",
    ),
    "Frobenius": (
        by_frequency(lambda A: A.abs().square().sum((-2, -1)).sqrt().max()),
        "At each frequency this takes the Frobenius norm: which norm stretches one input?",
    ),
    "the whole kernel's length": (
        lambda kernel, _size: kernel.norm(),
        "This is the length of all numbers of the kernel: where are the frequencies?",
    ),
    "k frequencies": (
        by_frequency(largest, lambda _size, k: k),
        "Only k × k frequencies are tried: which waves fit into size × size pixels?",
    ),
    "too many frequencies": (
        by_frequency(largest, lambda size, _k: 2 * size),
        "These are twice as many frequencies: do waves between the pixels' frequencies "
        "close up around the image?",
    ),
    "a linear convolution's": (
        by_frequency(largest, lambda size, k: size + k - 1),
        "size + k − 1 frequencies are for padding with zeros: how many has an image that "
        "closes up?",
    ),
    "the first frequency": (
        lambda kernel, _size: largest(kernel.sum((2, 3))),
        "This is the frequency 0 alone, of constant images: is a chessboard stretched further?",
    ),
    "real parts": (
        by_frequency(lambda A: largest(A.real)),
        "This takes the real parts of the DFT: is a wave shifted by half a pixel lost?",
    ),
    "sizes first": (
        by_frequency(lambda A: largest(A.abs())),
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
        by_frequency(lambda A: A.abs().square().sum().sqrt()),
        "This adds up all frequencies: which one does the most stretched image consist of?",
    ),
    "the mean": (
        by_frequency(lambda A: torch.linalg.svdvals(A)[..., 0].mean()),
        "This is the mean over the frequencies: which of them does an image choose?",
    ),
    "the smallest of the largest": (
        by_frequency(lambda A: torch.linalg.svdvals(A)[..., 0].min()),
        "This is the frequency that is stretched least: which one is asked for?",
    ),
    "the smallest": (
        by_frequency(lambda A: torch.linalg.svdvals(A)[..., -1].max()),
        "At each frequency this takes the smallest singular value: which is the norm?",
    ),
    "the smallest of all": (
        by_frequency(lambda A: torch.linalg.svdvals(A).min()),
        "This is the smallest singular value of all: which is the norm?",
    ),
    "squared": (
        by_frequency(lambda A: largest(A) ** 2),
        "This is the square of the norm: which root belongs to AᴴA?",
    ),
    "nuclear": (
        by_frequency(_nuclear),
        "At each frequency the singular values are added up: how far is one unit vector stretched?",
    ),
    "row sums": (
        by_frequency(lambda A: A.abs().sum(-1).max()),
        "At each frequency this is the largest row sum, the ∞-norm: which norm is asked for?",
    ),
    "column sums": (
        by_frequency(lambda A: A.abs().sum(-2).max()),
        "At each frequency this is the largest column sum, the 1-norm: which norm is asked for?",
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
    "imaginary parts": (
        by_frequency(lambda A: largest(A.imag)),
        "This takes the imaginary parts of the DFT: what has become of the real ones?",
    ),
    "summed over the inputs": (
        by_frequency(lambda A: A.sum(-1).abs().max()),
        "The input channels are added up before the size is taken: which input may cancel nothing?",
    ),
    "summed over the outputs": (
        by_frequency(lambda A: A.sum(-2).abs().max()),
        "The output channels are added up before the size is taken: how long is a vector of them?",
    ),
    "a length for all inputs": (
        by_frequency(lambda A: A.sum(-1).norm(dim=-1).max()),
        "Here all input channels carry the same wave: which input is stretched most?",
    ),
    "all frequencies in a row": (
        lambda kernel, size: norm(spectra(kernel, size, size).permute(2, 3, 0, 1).flatten(1)),
        "All frequencies stand in one long row here, out × in·size²: does one wave meet another?",
    ),
    "all frequencies in a row, by pairs": (
        lambda kernel, size: norm(spectra(kernel, size, size).flatten(2).flatten(0, 1)),
        "Pairs of channels stand against all frequencies here: which matrix belongs to one?",
    ),
    "one frequency too few": (
        by_frequency(largest, lambda size, _k: size - 1),
        "These are the frequencies of an image of size − 1: how many pixels has it?",
    ),
    "one frequency too many": (
        by_frequency(largest, lambda size, _k: size + 1),
        "These are the frequencies of an image of size + 1: how many pixels has it?",
    ),
    "half": (
        by_frequency(lambda A: largest(A[:, : max(1, len(A) // 2)])),
        "Half of the frequencies are enough, but which half? The highest one is left out.",
    ),
    "a quarter": (
        by_frequency(lambda A: largest(A[: max(1, len(A) // 2), : max(1, len(A) // 2)])),
        "Only the first half in both directions is tried: are the high frequencies there, and "
        "those that run down where the others run up?",
    ),
    "a quarter and the highest": (
        by_frequency(lambda A: largest(A[: len(A) // 2 + 1, : len(A) // 2 + 1])),
        "Half in both directions is a quarter: where are the waves that run down where these "
        "run up?",
    ),
    "the diagonal": (
        by_frequency(lambda A: max(largest(A[k, k]) for k in range(len(A)))),
        "Only waves with the same frequency in both directions are tried: which others are there?",
    ),
    "the edges": (
        by_frequency(lambda A: torch.maximum(largest(A[0]), largest(A[:, 0]))),
        "Only waves along one direction are tried: is a chessboard among them?",
    ),
    "the mean of all": (
        by_frequency(lambda A: torch.linalg.svdvals(A).mean()),
        "This is the mean of all singular values: which one is the norm?",
    ),
    "the sum of the largest": (
        by_frequency(lambda A: torch.linalg.svdvals(A)[..., 0].sum()),
        "This adds up the norms of all frequencies: does an image of length 1 have all of each?",
    ),
    "the sum of all": (
        by_frequency(lambda A: torch.linalg.svdvals(A).sum()),
        "This adds up all singular values: which one is the norm?",
    ),
    "read in another order": (
        lambda kernel, size: largest(
            torch.fft.fft2(kernel, s=(size, size)).reshape(size, size, *kernel.shape[:2])
        ),
        "`reshape` and `view` do not move dimensions, but read the numbers in their order: what "
        "moves the frequencies to the front?",
    ),
    "squared sizes": (
        by_frequency(lambda A: largest(A.abs() ** 2)),
        "The sizes are squared before the SVD: of which matrix are singular values asked for?",
    ),
    "without conjugation": (
        by_frequency(lambda A: torch.linalg.eigvals(A @ A.mT).abs().max().sqrt()),
        "A Aᵀ of complex matrices: which transpose makes of it what has real eigenvalues?",
    ),
    "a sum for each pair": (
        by_frequency(lambda A: A.abs().amax((0, 1)).norm()),
        "For each pair of channels this takes its own best frequency: may one image have them all?",
    ),
    "a matrix of best entries": (
        by_frequency(lambda A: norm(A.abs().amax((0, 1)))),
        "Each entry of this matrix is taken at its own best frequency: may one image have them "
        "all?",
    ),
    "matrices added up": (
        by_frequency(lambda A: largest(A.sum((0, 1)))),
        "The matrices of all frequencies are added up, which leaves one tap times size²: what is "
        "the largest of, a sum or each?",
    ),
    "a mean of matrices": (
        by_frequency(lambda A: largest(A.mean((0, 1)))),
        "This is the norm of the mean over all frequencies, which is that of the first tap: of "
        "which matrix is it asked for?",
    ),
    "the first input": (
        lambda kernel, size: transfer(kernel[:, :1], size),
        "This is the norm for the first input channel alone: what of the others?",
    ),
    "the first output": (
        lambda kernel, size: transfer(kernel[:1], size),
        "This is the norm to the first output channel alone: what of the others?",
    ),
    "divided by the inputs": (
        lambda kernel, size: transfer(kernel, size) / kernel.shape[1],
        "Divided by the number of inputs: is a mean taken over them?",
    ),
    "times k²": (
        lambda kernel, size: transfer(kernel, size) * kernel.shape[-1] ** 2,
        "Times k²: does the norm have that factor, or a bound of it?",
    ),
    "the largest entry, squared": (
        by_frequency(lambda A: A.abs().square().max()),
        "This is the largest entry of all DFTs, squared: of what is the norm asked for?",
    ),
    "the largest entry's real part": (
        by_frequency(lambda A: A.real.max()),
        "This is the largest real part of an entry: where are the matrices, and their norms?",
    ),
    "the 1-norm": (
        lambda kernel, _size: kernel.abs().sum((0, 2, 3)).max(),
        "This is the 1-norm of the convolution, a sum of sizes for one input: which norm is asked "
        "for?",
    ),
    "a mean of two norms": (
        lambda kernel, _size: (
            kernel.abs().sum((0, 2, 3)).max() * kernel.abs().sum((1, 2, 3)).max()
        ).sqrt(),
        "√(‖·‖₁ ‖·‖_∞) is an upper bound, without any frequency: how near is it?",
    ),
    "rows": (
        by_frequency(lambda A: A.norm(dim=-1).max()),
        "At each frequency this is the longest row: is the norm not that of all rows together?",
    ),
    "columns": (
        by_frequency(lambda A: A.norm(dim=-2).max()),
        "At each frequency this is the longest column, one input channel: may all of them help?",
    ),
    "Frobenius, squared": (
        by_frequency(lambda A: A.abs().square().sum((-2, -1)).max()),
        "This is the trace of A Aᴴ, the sum of all σ²: which one is asked for, and is it squared?",
    ),
    "a condition number": (
        by_frequency(lambda A: torch.linalg.svdvals(A).max() / torch.linalg.svdvals(A).min()),
        "This is the largest σ divided by the smallest: which one is the norm?",
    ),
    "the median": (
        by_frequency(lambda A: torch.linalg.svdvals(A)[..., 0].median()),
        "This is the median over the frequencies: which of them does an image choose?",
    ),
    "the highest frequency": (
        by_frequency(lambda A: largest(A[len(A) // 2, len(A) // 2])),
        "This is the highest frequency alone: is every kernel largest there?",
    ),
    "the lowest and the highest": (
        by_frequency(lambda A: largest(A[:: max(1, len(A) // 2), :: max(1, len(A) // 2)])),
        "Only the lowest and the highest frequency are tried: is there none between them?",
    ),
    "one row of frequencies": (
        by_frequency(lambda A: largest(A[0])),
        "Only the waves that run to the right are tried: which others are there?",
    ),
    "one column of frequencies": (
        by_frequency(lambda A: largest(A[:, 0])),
        "Only the waves that run downwards are tried: which others are there?",
    ),
    "size² frequencies each way": (
        by_frequency(largest, lambda size, _k: size**2),
        "These are size² frequencies in each direction: how many are there in all?",
    ),
    "padded by size": (
        by_frequency(largest, lambda size, k: size + k),
        "The kernel is padded by size, and not up to size: how many zeros are needed?",
    ),
    "padded on one side": (
        lambda kernel, size: largest(
            torch.fft.fft2(kernel, s=(kernel.shape[-1], size)).permute(2, 3, 0, 1)
        ),
        "The kernel is filled up along one dimension only: which frequencies has the other?",
    ),
    "cosines": (
        _cosines,
        "These are products of cosines: which waves have sines in them, too?",
    ),
    "half as fast": (
        by_frequency(
            lambda A: largest(A[: (len(A) + 1) // 2, : (len(A) + 1) // 2]),
            lambda size, _k: 2 * size,
        ),
        "These waves turn half as fast, by π and not 2π: how far does one get around the image?",
    ),
    "of the sizes": (
        lambda kernel, size: transfer(kernel.abs(), size),
        "This is right for a kernel without signs: which step takes them away?",
    ),
    "a channel and a frequency": (
        lambda kernel, size: largest(torch.fft.fft2(kernel, s=(size, size)).permute(0, 2, 1, 3)),
        "The SVD is taken over a dimension of channels and one of frequencies: which two make a "
        "matrix?",
        _is_mixed,
    ),
    "all sizes": (
        lambda kernel, _size: kernel.abs().sum(),
        "This adds up the sizes of all numbers in the kernel: an upper bound, and the norm?",
    ),
    "of a unit kernel": (
        lambda kernel, size: transfer(kernel, size) / kernel.norm(),
        "This is the norm for a kernel of length 1: which kernel was given?",
    ),
    "of a kernel with norm 1": (
        lambda kernel, size: transfer(kernel, size) / norm(kernel.flatten(1)),
        "This is divided by the norm of the flattened kernel: is a ratio asked for?",
    ),
    "moved, and then transformed": (
        lambda kernel, size: largest(torch.fft.fft2(kernel.permute(2, 3, 0, 1), s=(size, size))),
        "After the dimensions are moved, the DFT runs along the channels: which comes first?",
    ),
    "per number": (
        lambda kernel, size: transfer(kernel, size) / kernel.shape[-1] ** 2,
        "Divided by k²: is a mean of the taps taken?",
    ),
    "per tap": (
        lambda kernel, size: transfer(kernel, size) / kernel.shape[-1],
        "Divided by k: does the norm have that factor, or a bound of it?",
    ),
    "times k": (
        lambda kernel, size: transfer(kernel, size) * kernel.shape[-1],
        "Times k: does the norm have that factor, or a bound of it?",
    ),
    "all images": (
        by_frequency(largest, lambda _size, _k: GRID),
        "This is the bound for every size, by frequencies that do not fit into the image: "
        "which do?",
        _is_supremum,
    ),
    "zeros around": (
        lambda kernel, size: norm(dense(kernel, size, False)),
        "This is the norm with zeros around the image: what comes in on the left of a "
        "circular one?",
        _is_cut,
    ),
    "another size": (
        by_frequency(largest, lambda size, _k: size + 2),
        "These are the frequencies of an image of another size: what is the DFT's `s`, and what is "
        "padded?",
        _is_another_size,
    ),
    "a little less": (
        lambda kernel, size: 0.98 * transfer(kernel, size),
        "A little below the norm each time: does an iteration stop, or is a frequency missed?",
        lambda got, want, *_given: bool(0.9 * want < got < want),
    ),
}
"""The answer, its hint, and perhaps by what it is known."""
