r"""Pairs of distributions whose Wasserstein distance is known: the three of appendix H.1.

All are of one kind. p₁ is a uniform choice among some centres, p₂ a uniform point of the unit
sphere about a uniform centre. One centre in ℝ gives one point against two, three on a line of the
plane give three cones, and one in ℝⁿ the n-dimensional cone.

Source: Anil, Lucas and Grosse (2019), appendix H.1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lipteach.primitives._validate import check_integer, check_real, check_tensor
from lipteach.training.networks import check_generator


class Cones:
    r"""Centres against the unit spheres about them (appendix H.1).

    If no two centres c are nearer than 2, a point of a sphere is at distance exactly 1 from its own
    centre and at least 1 from the others. Every coupling then costs at least 1, and sending each
    centre to its own sphere costs 1: $W_1 = 1$. The function

    $$f(z) = -\min_c \|z - c\|$$

    is 1-Lipschitz and reaches it: 0 on p₁, −1 on p₂.

    Args:
        centres: a tensor of shape (k, n), floating point, finite.

    Example:
        >>> from lipteach.training import Cones
        >>> pair = Cones(torch.tensor([[0.0], [4.0]]))
        >>> x, y = pair.stratified(4)
        >>> pair.distance, lt.exact_wasserstein(x, y).item()
        (1.0, 1.0)

    Source: Anil, Lucas and Grosse (2019), appendix H.1.
    """

    def __init__(self, centres: Tensor) -> None:
        check_tensor(centres, "centres", min_dim=2)
        if centres.ndim != 2:
            raise ValueError(f"centres must have shape (k, n); got {tuple(centres.shape)}.")
        self.centres = centres

    @property
    def distance(self) -> float:
        """Return the Wasserstein distance of p₁ and p₂, which is 1.

        Raises:
            ValueError: if two centres are nearer than 2: the distance may then be less than 1, and
                `exact_wasserstein` of stratified samples approaches it.
        """
        nearest = min(torch.pdist(self.centres.double()).tolist(), default=math.inf)
        if nearest < 2:
            raise ValueError(
                f"No two centres may be nearer than 2 for the distance to be 1; got {nearest:g}."
            )
        return 1.0

    def dual(self, z: Tensor) -> Tensor:
        """Compute f above, 0 at the centres and best if `distance` is 1: (…, n) to (…)."""
        check_tensor(z, "z")
        if z.shape[-1] != self.centres.shape[-1]:
            raise ValueError(
                f"z must have shape (…, {self.centres.shape[-1]}); got {tuple(z.shape)}."
            )
        distances: Tensor = torch.linalg.vector_norm(z[..., None, :] - self.centres, dim=-1)
        return -distances.amin(dim=-1)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw independent samples of p₁ and of p₂, each of shape (count, n).

        Batches of them are further apart than the distributions: see `stratified`.

        Args:
            count: how many of each.
            generator: the source of randomness.

        Returns:
            x from p₁ and y from p₂, with the dtype of the centres.
        """
        check_integer(count, "count")
        check_generator(generator)
        k, n = self.centres.shape
        x = self.centres[torch.randint(k, (count,), generator=generator)]
        about = self.centres[torch.randint(k, (count,), generator=generator)]
        return x, about + self._directions(count, n, generator)

    def stratified(
        self, count: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw samples that meet every centre, and every part of its circle, equally often.

        Where the distance is 1, that of such samples is exactly 1 too. About each centre there are
        count/k points: in ℝ half of them on each side, in the plane one in each of as many equal
        arcs, in more dimensions independent ones.

        Args:
            count: how many of each; a multiple of the number of centres k, in ℝ of 2k.
            generator: places the point within its arc; without one it is the middle. Needed in
                more than two dimensions.

        Returns:
            x from p₁ and y from p₂, of shape (count, n), in the order of the centres.
        """
        check_integer(count, "count")
        k, n = self.centres.shape
        if count % (2 * k if n == 1 else k):
            need = f"{2 * k}, twice the number of centres" if n == 1 else f"{k}, that of centres"
            raise ValueError(f"count must be a multiple of {need}; got {count}.")
        if n > 2 or generator is not None:
            check_generator(generator)
        each = count // k
        if n == 1:
            directions = torch.tensor([-1.0, 1.0]).to(self.centres).repeat(each * k // 2)[:, None]
        elif n == 2:
            within = torch.full((count,), 0.5, dtype=torch.float64)
            if generator is not None:
                within = torch.rand(count, generator=generator, dtype=torch.float64)
            angles = 2 * math.pi / each * (torch.arange(each).repeat(k) + within)
            directions = torch.stack([angles.cos(), angles.sin()], dim=1).to(self.centres)
        else:
            directions = self._directions(count, n, generator)
        x = self.centres.repeat_interleave(each, dim=0)
        return x, x + directions

    def _directions(self, count: int, n: int, generator: Any) -> Tensor:
        normal = torch.randn(count, n, generator=generator, dtype=torch.float64)
        return functional.normalize(normal).to(self.centres)

    def __repr__(self) -> str:
        return f"Cones(centres={self.centres.tolist()})"


def absolute_value() -> Cones:
    """Set the point 0 against ½ at −1 and ½ at 1; the dual is −|x| (appendix H.1).

    Example:
        >>> from lipteach.training import absolute_value
        >>> x, y = absolute_value().stratified(2)
        >>> x.tolist(), y.tolist()
        ([[0.0], [0.0]], [[-1.0], [1.0]])

    Source: Anil, Lucas and Grosse (2019), appendix H.1.
    """
    return Cones(torch.zeros(1, 1, dtype=torch.float64))


def three_cones(spacing: float = 2.0) -> Cones:
    """Set three points of the plane against the unit circles about them (appendix H.1).

    Args:
        spacing: from one centre to the next along the first axis, positive; in the paper 2, where
            the circles touch.

    Example:
        >>> from lipteach.training import three_cones
        >>> three_cones().centres.tolist()
        [[-2.0, 0.0], [0.0, 0.0], [2.0, 0.0]]

    Source: Anil, Lucas and Grosse (2019), appendix H.1.
    """
    d = check_real(spacing, "spacing", above=0.0)
    return Cones(torch.tensor([[-d, 0.0], [0.0, 0.0], [d, 0.0]], dtype=torch.float64))


def cone(n: int) -> Cones:
    """Set the origin of ℝⁿ against the unit sphere; the dual is one cone (appendix H.1).

    Args:
        n: the dimension.

    Example:
        >>> from lipteach.training import cone
        >>> x, y = cone(128).sample(5, torch.Generator().manual_seed(0))
        >>> x.shape, bool(torch.allclose(y.norm(dim=1), torch.ones(5, dtype=torch.float64)))
        (torch.Size([5, 128]), True)

    Source: Anil, Lucas and Grosse (2019), appendix H.1.
    """
    return Cones(torch.zeros(1, check_integer(n, "n"), dtype=torch.float64))
