r"""The error of a classifier under attack, between what was found and what is certified."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lipteach.layers.measured import measured
from lipteach.primitives._torch_private import undisturbed
from lipteach.primitives._validate import check_integer
from lipteach.robustness.attack_losses import margin
from lipteach.robustness.attacks import check_attack, fgs, pgd
from lipteach.robustness.margin_bounds import certain, margin_bounds

ROWS = 1000  # of a batch at once


@dataclass(frozen=True)
class Sandwich:
    """Which images a classifier tells wrongly: at rest, under attack, and perhaps, by certificate.

    On each image, and so in total, clean ≤ attacked ≤ the truth ≤ certified.

    Attributes:
        eps: the radius of the perturbations.
        p: their norm.
        clean_images: for each image whether it is told wrongly as it is.
        attacked_images: whether some attack made it be told wrongly.
        certified_images: whether no certificate excludes that it can be.
        adversarial: the images that the attacks ended with, (batch, …); the image itself where it
            was wrong before.
    """

    eps: float
    p: float
    clean_images: Tensor
    attacked_images: Tensor
    certified_images: Tensor
    adversarial: Tensor = field(repr=False)

    @property
    def clean(self) -> float:
        """The share of images that are told wrongly as they are."""
        return float(self.clean_images.double().mean())

    @property
    def attacked(self) -> float:
        """The share of images that an attack made be told wrongly."""
        return float(self.attacked_images.double().mean())

    @property
    def certified(self) -> float:
        """The share of images of which no certificate says that they cannot be."""
        return float(self.certified_images.double().mean())

    def __str__(self) -> str:
        """Return a small table."""
        norm = "∞" if self.p == math.inf else f"{self.p:g}"
        count = len(self.clean_images)
        return (
            f"Errors of {count} images within ε = {self.eps:g} in the {norm}-norm\n"
            f"  clean      {100 * self.clean:6.2f} %\n"
            f"  attacked   {100 * self.attacked:6.2f} %   (the truth is not below)\n"
            f"  certified  {100 * self.certified:6.2f} %   (the truth is not above)"
        )


@undisturbed
def sandwich(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    p: float = math.inf,
    steps: int = 200,
    generator: torch.Generator | None = None,
) -> Sandwich:
    r"""Bound the error of a classifier within ε of each image, from both sides.

    An image counts as told wrongly where $Z_y \le \max_{k \ne y} Z_k$, a tie included. From below
    come `fgs` and `pgd`, with the loss "cw"; from above `margin_bounds`. What the attacks found is
    judged by the network in float64, with the weights as they are read now.

    Args:
        model: a classifier that `margin_bounds` knows.
        x: images, (batch, …), with entries in [0, 1].
        y: their true labels, integers (batch,).
        eps: ε > 0, in the units of x.
        p: the norm of the ball, ``math.inf`` or 2.
        steps: of `pgd`.
        generator: the source of its starts; one of seed 0 if None.

    Returns:
        A `Sandwich`, with ``clean``, ``attacked`` and ``certified``, and the same for each image.

    Raises:
        RuntimeError: if an attack refutes a certificate.

    Warns:
        UnknownBoundWarning: as `margin_bounds`; then every image counts in ``certified``.
        AttackWarning: as `pgd`.

    Example:
        >>> model = lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]])
        >>> x = torch.tensor([[0.2, 0.5], [0.6, 0.5], [0.9, 0.5]]).double()
        >>> found = lt.sandwich(model, x, torch.tensor([0, 0, 0]), eps=0.1)
        >>> found.clean_images.tolist(), found.attacked_images.tolist()
        ([True, False, False], [True, True, False])
        >>> found.certified == found.attacked
        True

    Source: ours; the attacks are those of Anil, Lucas and Grosse (2019), appendix H.5.
    """
    generator = check_attack(eps, p, generator)
    check_integer(steps, "steps")
    bounds = margin_bounds(model, x, y, eps, p)
    plain, _ = measured(model)
    y = y.to(bounds.device, torch.int64)
    adversarial = x.detach().clone()
    clean = misclassified(plain, x, y)
    attacked = clean.clone()
    for rows in torch.split(torch.arange(len(x), device=x.device), ROWS):
        for attack in ("fgs", "pgd"):
            left = rows[~attacked[rows]]
            if len(left) == 0:
                continue
            images, labels = x[left], y[left]
            if attack == "fgs":
                found = fgs(model, images, labels, eps, p=p)
            else:
                found = pgd(model, images, labels, eps, steps, generator=generator, p=p)
            adversarial[left] = found
            attacked[left] = misclassified(plain, found, labels)
    certified = ~certain(bounds, y)
    if bool((attacked & ~certified).any()):
        first = int((attacked & ~certified).nonzero()[0, 0])
        raise RuntimeError(
            f"The certificate of image {first} is refuted: an attack changes its class. Some "
            "module does not compute what its class does (is a class patched?); if not, please "
            "report it."
        )
    return Sandwich(float(eps), float(p), clean, attacked, certified, adversarial)


@torch.no_grad()
def misclassified(plain: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Whether some other logit is at least that of y, for each image; the network is in float64."""
    pairs = zip(torch.split(x, ROWS), torch.split(y, ROWS), strict=True)
    return torch.cat([~(margin(plain(images.double()), labels) > 0) for images, labels in pairs])
