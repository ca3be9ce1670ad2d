r"""What attacks find of a trained classifier, and what two certificates leave open (Table 7)."""

from __future__ import annotations

import copy
import math
import warnings
from functools import partial

import torch
from torch import Tensor, nn

from lipteach.layers.copies import evaluating
from lipteach.primitives._validate import check_integer
from lipteach.robustness import AttackWarning, certified_radius, fgs, margin_bounds, pgd
from lipteach.robustness.margin_bounds import certain
from lipteach.robustness.sandwich import misclassified

SLACK = 1e-9  # relative: a bound holds to about 1e-12
ROWS = 1000  # of the images at once


def measure_attacks(
    network: nn.Sequential, x: Tensor, y: Tensor, eps: float, steps: int, L: float
) -> dict[str, float]:
    r"""Count the images, in percent, that attacks change, and those that no certificate holds.

    As `lt.sandwich` in the ∞-norm, but with each attack and each certificate by itself, which
    Table 7 needs, and fast enough for all of MNIST: attacks run in float32, and what they find is
    judged in float64. An image that is told wrongly at rest is not attacked. PGD begins with an
    eighth of its steps, and anew with all of them where these did not succeed.

    Args:
        network: a classifier that `lt.margin_bounds` knows, in float64.
        x: images, (N, …), with entries in [0, 1]; they are taken in float32.
        y: their labels, integers (N,).
        eps: ε > 0.
        steps: of PGD, each of ε/20.
        L: a Lipschitz constant of the network in the ∞-norm that is certain.

    Returns:
        By name: "fgs" and "pgd", told wrongly at rest or under the attack; "attacked", under one of
        them; "intervals", not certified by `lt.margin_bounds`; "product", not certified by
        `lt.certified_radius` with L; and "crossings", the number of images that an attack changed
        in spite of a certificate.

    Example:
        >>> from lipteach.training import measure_attacks
        >>> network = nn.Sequential(lt.frozen_linear([[1.0, 0.0], [0.0, 1.0]]))
        >>> x = torch.tensor([[0.2, 0.5], [0.6, 0.5], [0.75, 0.5], [0.9, 0.5]])
        >>> y = torch.tensor([0, 0, 0, 0])
        >>> found = measure_attacks(network, x, y, eps=0.1, steps=40, L=1.0)
        >>> found["attacked"], found["intervals"], found["crossings"]
        (50.0, 50.0, 0)

    Source: ours; the attacks are those of Anil, Lucas and Grosse (2019), appendix H.5.
    """
    check_integer(steps, "steps")
    x = x.detach().float()
    bounds = margin_bounds(network, x.double(), y, eps)
    with evaluating(network):
        wrong = _attack(network, x, y, eps, steps)
        rest = misclassified(network, x, y)
        with torch.no_grad():
            radius = certified_radius(network(x.double()), L * (1 + SLACK), math.inf)
    wrong["attacked"] = wrong["fgs"] | wrong["pgd"]
    wrong["intervals"] = ~certain(bounds, y)
    wrong["product"] = rest | ~(radius > eps)
    crossed = wrong["attacked"] & ~(wrong["intervals"] & wrong["product"])
    return {
        **{name: 100 * float(rows.double().mean()) for name, rows in wrong.items()},
        "crossings": int(crossed.sum()),
    }


def _attack(network: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> dict[str, Tensor]:
    """Tell, for each attack, which images are told wrongly at rest or under it."""
    clean = misclassified(network, x, y)
    wrong = {"fgs": clean.clone(), "pgd": clean.clone()}
    single = copy.deepcopy(network).float().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    longer = partial(pgd, single, eps=eps, step_size=eps / 20, generator=generator)
    attacks = [("fgs", partial(fgs, single, eps=eps))]
    attacks += [("pgd", partial(longer, steps=number)) for number in (max(1, steps // 8), steps)]
    for rows in torch.split(torch.arange(len(x), device=x.device), ROWS):
        for name, attack in attacks:
            left = rows[~wrong[name][rows]]
            if len(left):
                with warnings.catch_warnings():  # without a gradient an image counts as it is
                    warnings.simplefilter("ignore", AttackWarning)
                    found = attack(x=x[left], y=y[left])
                wrong[name][left] = misclassified(network, found, y[left])
    return wrong
