r"""Small networks that compute known functions exactly, each of 1-Lipschitz layers.

Every function returns a plain ``nn.Sequential`` in float64. Its weight matrices have operator norm
at most 1, so that the network is 1-Lipschitz by construction. The weights are frozen, since
training would spoil the identity; ``network.requires_grad_()`` frees them.

Source: Anil, Lucas and Grosse (2019), appendix A.1 and A.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives import GroupSort, MaxMin
from lipteach.primitives._validate import check_integer, check_norm, check_real
from lipteach.theory.frozen import frozen_linear


def abs_network(p: float = 2) -> nn.Sequential:
    r"""Build the absolute value by sorting: one hidden layer of two units (appendix A.1, Fig. 10).

    $$|x| = W_2\,\mathrm{MaxMin}(W_1 x), \qquad W_1 = \tfrac1{\sqrt2}\binom{1}{-1},\quad
      W_2 = \tfrac1{\sqrt2}(1, -1).$$

    For p = ∞ the factors are 1 and ½, for p = 1 they are ½ and 1: each layer then has p-norm 1,
    while ‖W₂‖_∞ = √2 for the weights above.

    Args:
        p: 1, 2 or ``math.inf``, the norm in which every layer has norm 1.

    Returns:
        A network from (…, 1) to (…, 1).

    Example:
        >>> lt.abs_network(math.inf)(torch.tensor([[-2.0], [3.0]]).double()).flatten().tolist()
        [2.0, 3.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.1, Figure 10.
    """
    check_norm(p)
    first = {1: 0.5, 2: math.sqrt(0.5), math.inf: 1.0}[p]
    last = {1: 1.0, 2: math.sqrt(0.5), math.inf: 0.5}[p]
    up, down = frozen_linear([[first], [-first]]), frozen_linear([[last, -last]])
    return nn.Sequential(up, MaxMin(), down)


def w_network(c: float = 1.0) -> nn.Sequential:
    r"""Build the letter W: two hidden layers of four units (appendix A.1, Figure 11).

    $$\bigl||x| - c\bigr| = e^\top \mathrm{MaxMin}(\mathrm{MaxMin}(e x) - c e),
      \qquad e = \tfrac12 (1, -1, 1, -1)^\top.$$

    Every weight matrix (e, the identity, eᵀ) has only the singular value 1.

    Args:
        c: half the distance of the two lower corners, any real number.

    Returns:
        A network from (…, 1) to (…, 1).

    Example:
        >>> lt.w_network()(torch.arange(-2.0, 3.0).double()[:, None]).flatten().tolist()
        [1.0, 0.0, 1.0, 0.0, 1.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.1, Figure 11.
    """
    check_real(c, "c")
    e = torch.tensor([[0.5], [-0.5], [0.5], [-0.5]], dtype=torch.float64)
    hidden = frozen_linear(torch.eye(4), -c * e.flatten())
    return nn.Sequential(frozen_linear(e), MaxMin(), hidden, MaxMin(), frozen_linear(e.T))


def _interleave_zeros(n: int) -> Tensor:
    """E (2n, n) with E x = (x₁, 0, x₂, 0, …): each entry shares a pair with its own zero."""
    E = torch.zeros(2 * n, n, dtype=torch.float64)
    E[0::2] = torch.eye(n)
    return E


def relu_network(n: int) -> nn.Sequential:
    r"""Build ReLU from MaxMin, by a zero beside each entry (appendix A.2, Equation 6).

    $$\mathrm{ReLU}(x) = E^\top \mathrm{MaxMin}(E x), \qquad E x = (x_1, 0, x_2, 0, \dots).$$

    The zeros are interleaved: appended at the end they would pair x₁ with x₂.

    Args:
        n: the number of inputs and outputs, at least 1.

    Returns:
        A network from (…, n) to (…, n).

    Example:
        >>> lt.relu_network(2)(torch.tensor([3.0, -1.0]).double()).tolist()
        [3.0, 0.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.2.
    """
    E = _interleave_zeros(check_integer(n, "n"))
    return nn.Sequential(frozen_linear(E), MaxMin(), frozen_linear(E.T))


def crelu_network(n: int) -> nn.Sequential:
    r"""Build concatenated ReLU, (ReLU(x), ReLU(−x)), from MaxMin (appendix A.2, Equation 7).

    MaxMin(x, 0) = (ReLU(x), −ReLU(−x)): the last layer changes the sign of every second entry and
    collects the two halves. It is a signed permutation.

    Args:
        n: the number of inputs, at least 1.

    Returns:
        A network from (…, n) to (…, 2n).

    Example:
        >>> (lt.crelu_network(2)(torch.tensor([3.0, -1.0]).double()) + 0.0).tolist()
        [3.0, 0.0, 0.0, 1.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.2.
    """
    E = _interleave_zeros(check_integer(n, "n"))
    collect = torch.cat([E.T, -E.T.roll(1, dims=1)])  # (2n, 2n): even entries, then minus odd ones
    return nn.Sequential(frozen_linear(E), MaxMin(), frozen_linear(collect))


def leaky_relu_network(slope: float) -> nn.Sequential:
    r"""Build leaky ReLU within the 2-norm constraint (appendix A.2, corrected).

    $$\max(x, a x) = v^\top \mathrm{MaxMin}(v x), \qquad
      v = (\cos t, \sin t),\ \sin 2t = a, \quad a \in [0, 1].$$

    The appendix appends a·x to x: the column (1, a) has 2-norm √(1 + a²) > 1. The unit vector v
    computes x for x > 0 and a x for x < 0 for every a in [−1, 1]: ReLU at a = 0, |x| at a = −1.

    Args:
        slope: a, the slope for negative x, in [−1, 1].

    Returns:
        A network from (…, 1) to (…, 1).

    Raises:
        ValueError: if slope is outside [−1, 1]: no 1-Lipschitz network has such a slope.

    Example:
        >>> f = lt.leaky_relu_network(0.5)
        >>> f(torch.tensor([[-2.0], [3.0]]).double()).flatten().round(decimals=9).tolist()
        [-1.0, 3.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.2; the unit vector is ours.
    """
    t = math.asin(check_real(slope, "slope", low=-1.0, high=1.0)) / 2
    v = torch.tensor([[math.cos(t)], [math.sin(t)]], dtype=torch.float64)
    return nn.Sequential(frozen_linear(v), MaxMin(), frozen_linear(v.T))


def maxout_network(n: int, size: int) -> nn.Sequential:
    r"""Build maxout over groups of `size` adjacent entries, from GroupSort (appendix A.2).

    The sort is descending, so that the first entry of each group is its maximum; the selection of
    the first entries has norm 1 in every p-norm. The layer that produces the n entries must satisfy
    the constraint by itself: two equal unit rows already have 2-norm √2.

    Args:
        n: the number of inputs.
        size: the number of entries in a group; it divides n.

    Returns:
        A network from (…, n) to (…, n / size).

    Raises:
        ValueError: if size does not divide n.

    Example:
        >>> x = torch.tensor([1.0, 5.0, 2.0, -1.0, -7.0, -3.0]).double()
        >>> lt.maxout_network(6, 3)(x).tolist()
        [5.0, -1.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.2.
    """
    if check_integer(n, "n") % check_integer(size, "size"):
        raise ValueError(f"size must divide n; got n = {n} and size = {size}.")
    select = torch.eye(n, dtype=torch.float64)[::size]  # (n / size, n)
    return nn.Sequential(GroupSort(size), frozen_linear(select))
