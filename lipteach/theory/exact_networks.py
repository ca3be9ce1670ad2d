r"""Small networks that compute known functions exactly, each of 1-Lipschitz layers.

Every function returns a plain ``nn.Sequential`` in float64. Its weight matrices have operator norm
at most 1, so that the network is 1-Lipschitz by construction. The weights are frozen, since
training would spoil the identity; ``network.requires_grad_()`` frees them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from lipteach.primitives import GroupSort, MaxMin
from lipteach.primitives._validate import check_integer, check_norm, check_real, check_tensor
from lipteach.theory.floats import shown
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
    r = math.sqrt(0.5)
    first, last = {1: (0.5, 1.0), 2: (r, r), math.inf: (1.0, 0.5)}[p]
    up, down = frozen_linear([[first], [-first]]), frozen_linear([[last, -last]])
    return nn.Sequential(up, MaxMin(), down)


def w_network(c: float = 1.0) -> nn.Sequential:
    r"""Build the letter W: two hidden layers of four units (appendix A.1, Figure 11).

    $$\bigl||x| - c\bigr| = e^\top \mathrm{MaxMin}(\mathrm{MaxMin}(e x) - c e),
      \qquad e = \tfrac12 (1, -1, 1, -1)^\top.$$

    Every weight matrix (e, the identity, eᵀ) has only the singular value 1.

    Args:
        c: any real number; half the distance of the two lower corners if positive. Else there is
            one corner, at height −c: a V.

    Returns:
        A network from (…, 1) to (…, 1).

    Example:
        >>> lt.w_network()(torch.arange(-2.0, 3.0).double()[:, None]).flatten().tolist()
        [1.0, 0.0, 1.0, 0.0, 1.0]

    Source: Anil, Lucas and Grosse (2019), appendix A.1, Figure 11.
    """
    c = check_real(c, "c")
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

    The zeros are interleaved: appended at the end they would pair x₁ with x₂ (for n ≥ 2).

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

    The appendix appends a·x to x: the column (1, a) has 2-norm √(1 + a²) > 1 if a ≠ 0. The unit v
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


def maximum_of_functionals(w1: Tensor, w2: Tensor) -> nn.Sequential:
    r"""Build max(w₁·x, w₂·x) of two unit vectors, by layers of 2-norm 1 (appendix E, completed).

    The lattice construction computes w₁·x and w₂·x in one layer, whose 2-norm is √2 if w₁ = w₂.
    But w₁ + w₂ and w₁ − w₂ are orthogonal. With $e_\pm = (w_1 \pm w_2)/2$, c = ‖e₊‖ and s = ‖e₋‖,

    $$\max(w_1 \cdot x, w_2 \cdot x) = e_+ \cdot x + |e_- \cdot x|
      = \tfrac{1}{\sqrt2} (c, c, s, -s)\, \mathrm{MaxMin}\Bigl(\tfrac{1}{\sqrt2}
        (e_+/c,\ e_+/c,\ e_-/s,\ -e_-/s)^\top x\Bigr), \qquad c^2 + s^2 = 1 .$$

    So the remark that the construction fails in the 2-norm is right, and it does not say that the
    maximum of two functions is out of reach.

    Args:
        w1: a unit vector of shape (n,).
        w2: another one.

    Returns:
        A frozen network in float64, from (…, n) to (…, 1).

    Raises:
        ValueError: if w1 or w2 is not of 2-norm 1 up to 1e-6.

    Example:
        >>> f = lt.maximum_of_functionals(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
        >>> round(f(torch.tensor([2.0, 3.0]).double()).item(), 9)
        3.0

    Source: the question is that of Anil, Lucas and Grosse (2019), appendix E.
    """
    check_tensor(w1, "w1")
    check_tensor(w2, "w2")
    if w1.ndim != 1 or w1.shape != w2.shape:
        shapes = f"{tuple(w1.shape)} and {tuple(w2.shape)}"
        raise ValueError(f"w1 and w2 must be vectors of the same shape (n,); got {shapes}.")
    a, b = _unit(w1, "w1"), _unit(w2, "w2")
    plus, minus = (a + b) / 2, (a - b) / 2
    if float(a @ b) > 0:  # rounding spoils the right angle where one of them nearly vanishes
        minus = _part_across(minus, plus)
    else:
        plus = _part_across(plus, minus)
    c, s = torch.linalg.vector_norm(plus), torch.linalg.vector_norm(minus)
    up = plus / c if c > 0 else torch.zeros_like(plus)
    across = minus / s if s > 0 else torch.zeros_like(minus)
    first = 0.5**0.5 * torch.stack([up, up, across, -across])  # (4, n)
    last = 0.5**0.5 * torch.stack([c, c, s, -s])[None]
    return nn.Sequential(frozen_linear(first), MaxMin(), frozen_linear(last))


def _part_across(v: Tensor, w: Tensor) -> Tensor:
    """The part of v that is orthogonal to w; what one pass leaves by rounding, another removes."""
    for _ in range(2):
        v = v - (v @ w) / (w @ w) * w
    return v


def _unit(w: Tensor, name: str) -> Tensor:
    norm = float(torch.linalg.vector_norm(w.detach().double()))
    if abs(norm - 1) > 1e-6:
        raise ValueError(f"{name} must have 2-norm 1; it has {shown(norm, 6)}.")
    return w.detach().double() / norm
