r"""Critics: three ways to keep one from cheating, each an entry of a table (G.2, H.2, H.3).

A critic f is to make $E f(x) - E f(y)$ as large as it can, x images and y generated ones. Over
1-Lipschitz functions the largest is the Wasserstein distance; a critic that may be steeper claims
more than there is.

Source: M. Arjovsky et al. (2017); I. Gulrajani et al. (2017); Anil, Lucas and Grosse (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lipteach.primitives import MaxMin, exact_wasserstein, wasserstein_dual
from lipteach.primitives._validate import check_integer, check_real, check_tensor
from lipteach.robustness import lipschitz_bounds
from lipteach.training.networks import check_generator
from lipteach.training.schemes import Memory, Scheme, make_scheme


@torch.no_grad()
def clip_weights_(network: nn.Module, bound: float = 0.01) -> nn.Module:
    """Clip every parameter to [-bound, bound], in place.

    Args:
        network: any module.
        bound: greater than 0.

    Returns:
        The network itself.

    Example:
        >>> from lipteach.training import clip_weights_
        >>> clip_weights_(nn.Linear(3, 2)).weight.abs().max().item() <= 0.01
        True

    Source: M. Arjovsky et al. (2017), Wasserstein GAN.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be an nn.Module; got {type(network).__name__}.")
    check_real(bound, "bound", above=0.0)
    for parameter in network.parameters():
        parameter.clamp_(-bound, bound)
    return network


def gradient_penalty(network: nn.Module, x: Tensor) -> Tensor:
    r"""Return the mean of $(\|\nabla f(x)\|_2 - 1)^2$ over a batch.

    It asks for slope 1 at the points x and nowhere else.

    Args:
        network: f, from (N, …) to (N, 1); it treats each sample by itself.
        x: points, (N, …).

    Returns:
        A scalar that can be differentiated by the parameters.

    Example:
        >>> from lipteach.training import gradient_penalty
        >>> gradient_penalty(lt.Scale(3), torch.rand(4, 1)).item()
        4.0

    Source: I. Gulrajani et al. (2017), Improved Training of Wasserstein GANs.
    """
    check_tensor(x, "x", min_dim=2)
    inputs = x.detach().requires_grad_()
    with torch.enable_grad():
        values = network(inputs)
        (gradients,) = torch.autograd.grad(values.sum(), inputs, create_graph=True)
    penalty: Tensor = (gradients.flatten(1).norm(dim=1) - 1).square().mean()
    return penalty


def points_between(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one point on the line from each x to a y, uniformly.

    Args:
        x: points, (N, …).
        y: points, (M, …), M ≥ N; the first N are taken.
        generator: the source of randomness, on the CPU.

    Returns:
        Points, (N, …), where `gradient_penalty` is taken.

    Example:
        >>> from lipteach.training import points_between
        >>> z = points_between(torch.zeros(5, 1), torch.ones(5, 1), torch.Generator())
        >>> bool(((z >= 0) & (z <= 1)).all())
        True

    Source: I. Gulrajani et al. (2017), Improved Training of Wasserstein GANs.
    """
    check_tensor(x, "x", min_dim=2)
    check_tensor(y, "y", min_dim=2)
    check_generator(generator)
    if x.shape[1:] != y.shape[1:] or len(y) < len(x):
        raise ValueError(
            "y must hold at least as many points as x, of the same shape; got "
            f"{tuple(y.shape)} for {tuple(x.shape)}."
        )
    share = torch.rand(len(x), *[1] * (x.ndim - 1), generator=generator).to(x)
    return x + share * (y[: len(x)] - x)


class CriticRow(NamedTuple):
    """An entry of `CRITICS`.

    Attributes:
        activation: makes the activations of the critic.
        scheme: what training does beside the loss, a `Scheme`; its penalty is taken at
            `points_between` images and generated ones.
        known: what is known of its Lipschitz constant before it is measured.
    """

    activation: Callable[[], nn.Module]
    scheme: Scheme
    known: str


def _penalize(strength: float, network: nn.Module, x: Tensor, _: Memory) -> Tensor:
    return strength * gradient_penalty(network, x)


_leaky = partial(nn.LeakyReLU, 0.2)
_maxmin = partial(MaxMin, 1)
_clipped, _penalized = Scheme(after_step=clip_weights_), Scheme(penalty=partial(_penalize, 10.0))

CRITICS: dict[str, CriticRow] = {
    "clipped": CriticRow(
        _leaky, _clipped, "at most 0.01 √(mn) for a layer of m × n, of a convolution twice that"
    ),
    "penalty, LeakyReLU": CriticRow(_leaky, _penalized, "nothing"),
    "penalty, MaxMin": CriticRow(_maxmin, _penalized, "nothing"),
    "Lipschitz, ReLU": CriticRow(nn.ReLU, make_scheme("Björck", 1.0), "at most 1"),
    "Lipschitz, MaxMin": CriticRow(_maxmin, make_scheme("Björck", 1.0), "at most 1"),
}
"""By name:

- clipped: every weight and bias in [-0.01, 0.01] after each step; the constant is what comes of it,
  and the estimate has no unit.
- penalty: 10 times `gradient_penalty` in the loss.
- Lipschitz: weights orthonormal, those of convolutions as operators (`lt.orthonormal`).
"""


def measure_critic(critic: nn.Module, x: Tensor, y: Tensor, points: int = 4) -> dict[str, float]:
    r"""Hold what a critic claims to the truth on the same points, and bound its constant.

    Over the 1-Lipschitz functions the claim would be at most the exact distance of the two samples.
    A critic of constant L can claim L times as much.

    Args:
        critic: with plain weights, in float64, from (N, …) to (N, 1).
        x: images, (N, …).
        y: generated ones, (M, …).
        points: the number of images at which `lt.lipschitz_bounds` begins.

    Returns:
        By name: "claimed", mean f(x) − mean f(y); "exact", the Wasserstein distance of the two
        samples; "lower" and "upper", the bounds of the constant in the 2-norm.

    Example:
        >>> from lipteach.training import measure_critic
        >>> steep = nn.Sequential(nn.Flatten(), lt.frozen_linear([[3.0]]))
        >>> found = measure_critic(steep, torch.ones(2, 1), torch.zeros(2, 1))
        >>> {name: round(value, 6) for name, value in found.items()}
        {'claimed': 3.0, 'exact': 1.0, 'lower': 3.0, 'upper': 3.0}

    Source: ours.
    """
    if not isinstance(critic, nn.Module):
        raise TypeError(f"critic must be an nn.Module; got {type(critic).__name__}.")
    check_tensor(x, "x", min_dim=2)
    check_tensor(y, "y", min_dim=2)
    check_integer(points, "points")
    x, y = x.double(), y.double()
    with torch.no_grad():
        claimed = float(wasserstein_dual(critic, x, y))
        exact = float(exact_wasserstein(x.flatten(1), y.flatten(1)))
    lower, upper = lipschitz_bounds(critic, torch.cat([x[:points], y[:points]]))
    return {"claimed": claimed, "exact": exact, "lower": lower, "upper": upper}
