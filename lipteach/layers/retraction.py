"""Orthonormal weights as plain parameters: put back on the manifold, and gradients along it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.layers.convolution import KernelClass
from lipteach.layers.convolution_settings import orthogonal_class
from lipteach.layers.weights import CONVOLUTIONS, WEIGHTED, Convolution, weight_to_change
from lipteach.primitives import RankWarning, Selection, parseval_step, polar
from lipteach.primitives._fast.gram import symmetric_product
from lipteach.primitives._validate import check_integer, check_real, check_tensor
from lipteach.primitives.numerical_warnings import warn_caller
from lipteach.primitives.orthonormal import refuse_zero

Model = TypeVar("Model", bound=nn.Module)


@torch.no_grad()
def retract_(model: Model, steps: int = 1, method: str = "polar", tol: float = 1e-3) -> Model:
    r"""Put each plain weight back on the orthonormal matrices, in place (appendix B.1).

    Called after ``optimizer.step()``, it is the other way to train orthonormal layers: the weight
    itself is the parameter, and no gradient flows through an iteration. Near the manifold one step
    of Parseval's update (8) with β = ½, which is Björck's, squares the error; here as much is
    done as the tolerance asks.

    - "polar": to the nearest orthonormal matrix, $W (W^\top W)^{-1/2}$.
    - "qr": to the Q of W = QR by Cholesky, $R^\top R = W^\top W$, $Q = W R^{-1}$: cheaper, and not
      the nearest. Where that is not accurate enough, by Householder reflections.

    Every layer that `orthonormal` takes is retracted, at every depth, a convolution to an
    orthogonal one near it. Parametrized weights keep their constraint by themselves
    and are left alone. The optimizer's state stays valid.

    Args:
        model: any module, changed in place.
        steps: the least number of Björck steps of "polar" on matrices; more are made where the
            weight is further away. "qr" and convolutions of overlapping patches have no steps.
        method: "polar" or "qr", of matrices.
        tol: every singular value is within tol of 1 afterwards, in the weight's dtype.

    Returns:
        The model itself.

    Raises:
        ValueError: if tol is not below 1, or a weight is zero, computed by a hook (pruning), or of
            a convolution that `orthonormal` refuses.

    Warns:
        RankWarning: if a weight has not full rank: then its polar factor is not determined.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 5), lt.MaxMin() , nn.Linear(5, 1))
        >>> bool(lt.is_orthonormal(lt.retract_(model)[0].weight))
        True

    Source: M. Cisse et al. (2017); Cholesky-QR: A. Stathopoulos and K. Wu (2002).
    """
    _check_model(model)
    check_integer(steps, "steps")
    if check_real(tol, "tol", above=0.0) >= 1:
        raise ValueError(f"tol must be less than 1; got {tol}.")
    if method not in ("polar", "qr"):
        raise ValueError(f'method must be "polar" or "qr"; got {method!r}.')
    for name, module in [*_plain_layers(model)]:  # all are looked at before one is changed
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                _retract(module, steps, method, tol)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name} cannot be retracted: {error}") from error
        for warning in caught:
            warn_caller(warning.category(f"{name}: {warning.message}"))
    return model


@torch.no_grad()
def make_tangent_(model: Model) -> Model:
    r"""Project the gradients of plain weights on the tangent space of the orthonormal matrices.

    Called after ``backward()`` and before ``optimizer.step()``, as `retract_` is after it. For an
    orthonormal W with m ≥ n, and transposed for a wide one,

    $$G \leftarrow G - W\, \tfrac12 (W^\top G + G^\top W), \qquad
      \text{so that}\quad W^\top G + G^\top W = 0 :$$

    of G stays what moves W along the manifold, and what the retraction would take back is gone. It
    matters to an optimizer which, like Adam, scales by the gradients it has seen.

    Every ``nn.Linear`` at every depth is meant, and every convolution whose patches do not
    overlap, by the flattened kernel of each group. Other convolutions, parametrized weights and
    weights without a gradient are left alone. A shared weight is projected once.

    Args:
        model: any module; the ``grad`` of its weights is changed in place.

    Returns:
        The model itself.

    Raises:
        ValueError: for a convolution that `orthonormal` refuses, and a weight that a hook computes.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> layer.weight.data, layer.weight.grad = torch.eye(2), torch.tensor([[3.0, 2], [4, 5]])
        >>> lt.make_tangent_(layer).weight.grad.tolist()  # of the rotations
        [[0.0, -1.0], [1.0, 0.0]]

    Source: P.-A. Absil, R. Mahony and R. Sepulchre (2008), Optimization Algorithms on Matrix
    Manifolds, section 3.6.1.
    """
    _check_model(model)
    for name, module in _plain_layers(model):
        weight, gradient = module.weight, module.weight.grad
        if gradient is None:
            continue
        W, G = weight.flatten(1), gradient.flatten(1)
        if isinstance(module, CONVOLUTIONS):
            kernels = _kernels(name, module)
            if kernels.factors:
                continue
            W, G = map(kernels.grouped, (W / kernels.scale, G))
        tall = W.shape[-2] >= W.shape[-1]
        A = W.mT @ G if tall else G @ W.mT
        A = (A + A.mT) / 2
        gradient -= (W @ A if tall else A @ W).view_as(gradient)
    return model


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")


def _kernels(name: str, conv: Convolution) -> KernelClass:
    try:
        return orthogonal_class(conv, conv.weight)
    except ValueError as error:
        raise ValueError(f"{name} has no tangent space: {error}") from error


def _plain_layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The layers with a plain weight, and their names, each weight once."""
    seen = set()
    for name, module in model.named_modules():
        if not isinstance(module, WEIGHTED) or isinstance(module, Selection):
            continue
        if parametrize.is_parametrized(module, "weight"):
            continue
        name = name or type(module).__name__
        weight = weight_to_change(name, module)
        if id(weight) not in seen and weight.numel():
            seen.add(id(weight))
            yield name, module


def _retract(module: nn.Linear | Convolution, steps: int, method: str, tol: float) -> None:
    weight = module.weight
    if isinstance(module, CONVOLUTIONS):
        check_tensor(weight, "its weight")
        kernels = orthogonal_class(module, weight)
        if kernels.factors or kernels.groups > 1 or kernels.scale != 1:
            R, *bases = kernels.factor(weight.double())
            # The channel matrix comes orthonormal from `factor`.
            weight.copy_(kernels.compose(R, bases, lambda matrix: matrix))
            return
    W = weight.flatten(1)
    if method == "qr":
        weight.copy_(_qr(W if W.itemsize > 2 else W.float(), tol).view(weight.shape))
        return
    W = polar(W, tol * (2 - tol))  # |σ² − 1| ≤ tol (2 − tol) keeps |σ − 1| ≤ tol
    for _ in range(steps - 1):
        W = parseval_step(W, 0.5)
    weight.copy_(W.view(weight.shape))


def _qr(W: Tensor, tol: float) -> Tensor:
    """The Q of W, or of Wᵀ if W is wide, with a positive diagonal of R."""
    A = W.mT if W.shape[0] < W.shape[1] else W
    Q: Tensor
    L, failed = torch.linalg.cholesky_ex(symmetric_product(A, A))
    if not failed:
        Q = torch.linalg.solve_triangular(L.mT, A, upper=True, left=False)
        if _gram_error(Q) < tol:
            return Q if Q.shape == W.shape else Q.mT
    check_tensor(W, "its weight")
    refuse_zero(W)
    Q, R = torch.linalg.qr(A)
    diagonal = R.diagonal()
    if bool(diagonal.abs().min() <= 4 * torch.finfo(A.dtype).eps * diagonal.abs().max()):
        text = "the weight has not full rank; its columns are completed to an orthonormal basis."
        warn_caller(RankWarning(text))
    Q = Q * torch.where(diagonal < 0, -1.0, 1.0).to(Q.dtype)
    return Q if Q.shape == W.shape else Q.mT


def _gram_error(Q: Tensor) -> float:
    """An estimate of ‖QᵀQ − I‖_F from one vector, whose entries look random and are not."""
    n = Q.shape[1]
    probe = torch.sin(torch.arange(1, n + 1, device=Q.device, dtype=Q.dtype) ** 2)
    error = torch.linalg.vector_norm(Q.mT @ (Q @ probe) - probe)
    return float(error / torch.linalg.vector_norm(probe)) * math.sqrt(n)
