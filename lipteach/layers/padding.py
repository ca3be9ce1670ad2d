r"""What a padding that repeats pixels multiplies the norm of a convolution by, at most.

Zeros around an image leave its norm as it is; copies of its pixels do not. In one dimension let N
pixels become M outputs, T be the operator of norm 1 on the infinite grid, and s its stride.

- The padded image has at most c copies of a pixel, so that its square is at most c times that of
  the image, and T, some of whose outputs are read, does not raise it.
- Circular and reflecting padding show a part of a periodic signal, of period n = N and 2N − 2, in
  which each pixel stands r = 1 and at most r = 2 times. T maps it to one of period n / gcd(n, s),
  and its square, over the common period, is at most r s / gcd(n, s) times that of the image. The M
  outputs are so many periods, rounded up.

The square of the norm is at most the smaller of both. The dimensions multiply. At stride 1, with a
padding that keeps the size, no smaller number holds for all images and kernels: that with a single
tap in a corner reaches it.

Source: ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MODES = ("zeros", "circular", "reflect", "replicate")


def padding_norm(conv: Any, sizes: Iterable[tuple[int, ...]] = (), divided: bool = False) -> float:
    """The largest such factor for images of these sizes (channels, …), or of all that torch takes.

    Where `divided`, of all of which circular padding lets the stride divide the sides.
    """
    if conv.padding_mode == "zeros":
        return 1.0
    square, around = 1, conv._reversed_padding_repeated_twice[::-1]
    for d, high in enumerate(around[::2]):
        settings = (_of(value, d) for value in (conv.kernel_size, conv.stride, conv.dilation))
        line = _Line(conv.padding_mode, around[2 * d + 1], high, *settings)
        lengths = {size[1 + d] for size in sizes} or line.lengths(divided)
        square *= max(map(line.square, lengths))
    return math.sqrt(square)


def _of(value: Any, dim: int) -> int:
    found: int = value[dim] if isinstance(value, (tuple, list)) else value
    return found


@dataclass(frozen=True)
class _Line:
    """One dimension of a convolution, with its padding before and behind."""

    mode: str
    low: int
    high: int
    kernel: int
    stride: int
    dilation: int

    def lengths(self, divided: bool) -> list[int]:
        """The numbers of pixels up to where no more of them change anything."""
        widest, both = max(self.low, self.high), self.low + self.high
        least = {"reflect": widest + 1, "circular": widest}.get(self.mode, 1)
        least = max(1, least, self.dilation * (self.kernel - 1) + 1 - both)
        every = range(least, max(least, both + 2) + self.stride)
        apart = divided and self.mode == "circular"
        return [n for n in every if not (apart and n % self.stride)]

    def square(self, pixels: int) -> int:
        """The square of the factor for so many pixels."""
        if max(self.low, self.high) <= 0:  # a negative padding leaves pixels out
            return 1
        if self.mode == "replicate" and pixels > 1:
            return 1 + max(self.low, self.high)
        copies = 1 + self.low + self.high  # of a single pixel, which every padding repeats
        period, times = pixels, 1
        if self.mode == "circular":
            copies = -(-(pixels + self.low + self.high) // pixels)
        elif pixels > 1:
            first, last = max(1, pixels - 1 - self.high), min(self.low, pixels - 2)
            copies = 3 if first <= last else 2
            period, times = 2 * pixels - 2, 2
        taps = self.dilation * (self.kernel - 1) + 1
        outputs = (pixels + self.low + self.high - taps) // self.stride + 1
        common = math.gcd(period, self.stride)
        periods = -(-outputs // (period // common))
        return min(copies, periods * times * (self.stride // common))
