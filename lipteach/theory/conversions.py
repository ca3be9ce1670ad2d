r"""GroupSort of different sizes and the absolute value, each computed from another.

Every function returns a plain ``nn.Sequential`` in float64 whose weight matrices have 2-norm 1.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from lipteach.primitives import Abs, FullSort, MaxMin
from lipteach.primitives._validate import check_integer, check_real
from lipteach.theory.exact_networks import abs_network
from lipteach.theory.frozen import frozen_linear


def maxmin_from_full_sort(n: int, bound: float) -> nn.Sequential:
    r"""Build MaxMin from one sort of n entries, by biases that keep pairs apart (appendix A.3).

    $$\mathrm{MaxMin}(x) = \mathrm{FullSort}(x + b) - b, \qquad
      b = (g(n/2 - 1),\, g(n/2 - 1),\, \dots,\, g,\, g,\, 0,\, 0),\quad g = 2 x_{\max}.$$

    It holds for every x in [−x_max, x_max]ⁿ. Pair j then occupies an interval of its own, and the
    descending biases keep the descending order. The appendix asks for a gap of x_max only, and for
    ascending biases: with the first, x = (−1, −1, 1, 1)·x_max is off by x_max; with the second the
    sort must ascend and gives [min, max].

    Args:
        n: the number of inputs and outputs, even.
        bound: x_max, the largest |xᵢ|, positive. Beyond it the network need not be MaxMin.

    Returns:
        A network from (…, n) to (…, n). Biases up to n·x_max cost about log₂ n bits of precision.

    Raises:
        ValueError: if n is odd.

    Example:
        >>> f = lt.maxmin_from_full_sort(4, bound=4.0)
        >>> f(torch.tensor([3.0, 1.0, 2.0, 4.0]).double()).tolist()
        [3.0, 1.0, 4.0, 2.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.3, corrected.
    """
    bound = check_real(bound, "bound", above=0.0)
    _check_even(n)
    check_real(n * bound, "n · bound")
    pair = torch.arange(n // 2 - 1, -1, -1, dtype=torch.float64)
    b = 2 * bound * pair.repeat_interleave(2)  # (n,)
    return nn.Sequential(
        frozen_linear(torch.eye(n), b), FullSort(), frozen_linear(torch.eye(n), -b)
    )


def full_sort_from_maxmin(n: int) -> nn.Sequential:
    r"""Build the sort of n entries from MaxMin layers and permutations: a sorting network.

    Appendix A.3 leaves out this direction. A layer of MaxMin between two permutations compares n/2
    pairs at once. Batcher's bitonic sorter needs m(m + 1)/2 such layers for n = 2ᵐ; for any other
    even n odd–even transposition needs n. A permutation has norm 1 in every p-norm.

    Args:
        n: the number of inputs and outputs, even. With an odd n one entry of a MaxMin layer would
            have no partner.

    Returns:
        A network from (…, n) to (…, n), descending.

    Raises:
        ValueError: if n is odd.

    Example:
        >>> lt.full_sort_from_maxmin(4)(torch.tensor([3.0, 1.0, 2.0, 4.0]).double()).tolist()
        [4.0, 3.0, 2.0, 1.0]

    Source: K. E. Batcher, "Sorting networks and their applications" (1968); D. E. Knuth, The Art of
    Computer Programming 3, section 5.3.4.
    """
    _check_even(n)
    rounds = _bitonic_rounds(n) if n & (n - 1) == 0 else _transposition_rounds(n)
    layers: list[nn.Module] = []
    before = torch.eye(n)  # undoes the permutation of the round before
    for pairs in rounds:
        P = torch.eye(n)[[i for pair in pairs for i in pair]]  # the entries of a pair side by side
        layers += [frozen_linear(P @ before), MaxMin()]
        before = P.T
    return nn.Sequential(*layers, frozen_linear(before))


def _bitonic_rounds(n: int) -> list[list[tuple[int, int]]]:
    """The rounds of a bitonic sorter for n = 2ᵐ; in each pair the first index gets the maximum."""
    rounds = []
    block = 2
    while block <= n:
        # First compare each block with its own mirror image, then halve the distance.
        rounds.append([(i, i ^ (block - 1)) for i in range(n) if i < i ^ (block - 1)])
        distance = block // 4
        while distance:
            rounds.append([(i, i ^ distance) for i in range(n) if i < i ^ distance])
            distance //= 2
        block *= 2
    return rounds


def _transposition_rounds(n: int) -> list[list[tuple[int, int]]]:
    """Odd–even transposition for even n; the ends, idle in every second round, are compared too.

    That extra comparison does no harm. For entries 0 and 1, a comparison of neighbours is monotone
    in the prefix sums, and a swap of the ends only raises them; the sorted order has the largest.
    """
    neighbours = [(i, i + 1) for i in range(0, n, 2)]
    shifted = [(i, i + 1) for i in range(1, n - 1, 2)] + [(0, n - 1)]
    return [neighbours if r % 2 == 0 else shifted for r in range(n)]


def maxmin_from_abs(bound: float) -> nn.Sequential:
    r"""Build MaxMin of two entries from absolute values (appendix A.3, corrected).

    $$\mathrm{MaxMin}(z) = M\,\Bigl|M z + \binom{\sqrt2 B}{0}\Bigr| - \binom{B}{B}, \qquad
      M = \tfrac1{\sqrt2}\begin{pmatrix} 1 & 1 \\ 1 & -1 \end{pmatrix}.$$

    It holds wherever x + y + 2B ≥ 0, thus on [−B, B]². The extracted text subtracts (B, 0), which
    leaves the minimum too large by B. Some bound is needed: without biases such a network is even.

    Args:
        bound: B, the largest |x| and |y|, positive.

    Returns:
        A network from (…, 2) to (…, 2).

    Example:
        >>> f = lt.maxmin_from_abs(bound=4.0)
        >>> f(torch.tensor([1.0, 3.0]).double()).round(decimals=9).tolist()
        [3.0, 1.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.3, corrected.
    """
    bound = check_real(bound, "bound", above=0.0)
    M = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64) * math.sqrt(0.5)
    shift = [math.sqrt(2) * bound, 0.0]
    return nn.Sequential(frozen_linear(M, shift), Abs(), frozen_linear(M, [-bound, -bound]))


def abs_from_maxmin() -> nn.Sequential:
    """Build the absolute value from MaxMin (appendix A.3): Figure 10, `abs_network` for p = 2.

    Returns:
        A network from (…, 1) to (…, 1).

    Example:
        >>> lt.abs_from_maxmin()(torch.tensor([-2.0]).double()).round(decimals=9).tolist()
        [2.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.3.
    """
    return abs_network(p=2)


def _check_even(n: int) -> None:
    if check_integer(n, "n", low=2) % 2:
        raise ValueError(f"n must be even, since MaxMin sorts pairs; got n = {n}.")
