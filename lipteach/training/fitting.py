r"""A short fitting loop for networks whose weights must keep ‖W‖₂ ≤ 1.

Source: the constraint is that of Anil, Lucas and Grosse (2019), appendix D; the exact projection
by SVD is ours, for networks small enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.primitives._validate import check_integer


def orthonormal_network(
    sizes: Sequence[int],
    activation: Callable[[], nn.Module],
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> nn.Sequential:
    r"""Linear layers with random orthonormal weights, and an activation between each two.

    Every weight W has σⱼ(W) = 1 for all j. The biases are drawn uniformly from (−½, ½).

    Args:
        sizes: the widths, inputs first and outputs last, at least two.
        activation: what makes one activation, such as ``nn.ReLU`` or ``lt.MaxMin``.
        generator: the source of randomness.
        dtype: of the parameters.

    Returns:
        A network from (…, sizes[0]) to (…, sizes[-1]).

    Raises:
        TypeError: if a size is not an integer.
        ValueError: if there are fewer than two sizes, or one is less than 1.

    Example:
        >>> network = orthonormal_network([1, 4, 1], nn.ReLU, torch.Generator().manual_seed(0))
        >>> [type(module).__name__ for module in network]
        ['Linear', 'ReLU', 'Linear']

    Source: the initialization usual for the networks of Anil, Lucas and Grosse (2019).
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes must hold at least 2 widths; got {len(sizes)}.")
    modules: list[nn.Module] = []
    for n, m in pairwise(check_integer(size, "a width in sizes") for size in sizes):
        layer = _bare_linear(n, m, dtype)
        nn.init.orthogonal_(layer.weight, generator=generator)
        nn.init.uniform_(layer.bias, -0.5, 0.5, generator=generator)
        modules += [layer, activation()]
    return nn.Sequential(*modules[:-1])


def _bare_linear(n: int, m: int, dtype: torch.dtype) -> nn.Linear:
    """A layer without values yet: the usual constructor would draw from the global generator."""
    with torch.device("meta"):
        layer = nn.Linear(n, m, dtype=dtype)
    return layer.to_empty(device="cpu")


@torch.no_grad()
def clip_singular_values_(model: nn.Module) -> nn.Module:
    r"""Move each ``nn.Linear`` weight of the model, in place, to the nearest one with ‖W‖₂ ≤ 1.

    $$W = U \Sigma V^\top \mapsto U \min(\Sigma, 1) V^\top,$$

    the exact projection in the Frobenius norm. A weight within the constraint stays as it is.

    Args:
        model: any module; its ``nn.Linear`` layers are found at every depth.

    Returns:
        The model itself.

    Raises:
        TypeError: if model is not an ``nn.Module``.
        ValueError: if a weight is not finite.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
        >>> clip_singular_values_(layer).weight.tolist()
        [[1.0, 0.0], [0.0, 0.5]]

    Source: the constraint of Anil, Lucas and Grosse (2019), appendix D.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear):
            continue
        if not bool(torch.isfinite(module.weight).all()):
            raise ValueError(f"The weight of {name or 'model'} must be finite; it is not.")
        U, sigma, Vh = torch.linalg.svd(module.weight, full_matrices=False)
        if sigma[0] > 1:
            module.weight.copy_((U * sigma.clamp(max=1)) @ Vh)
    return model


def minibatches(
    *tensors: Tensor, size: int, epochs: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Batches of `size` rows, the same rows of each tensor, shuffled anew in every epoch.

    The last batch of an epoch is smaller where `size` does not divide the number of rows.

    Args:
        tensors: tensors with the same first dimension.
        size: the number of rows in a batch.
        epochs: how often each row is shown.
        generator: the source of randomness.

    Yields:
        Tuples with one tensor of shape (size, …) for each of `tensors`.

    Raises:
        TypeError: if size or epochs is not an integer.
        ValueError: if size or epochs is less than 1, or the first dimensions differ.

    Example:
        >>> x = torch.arange(5.0)
        >>> [len(b) for b, in minibatches(x, size=2, epochs=1, generator=torch.Generator())]
        [2, 2, 1]

    Source: ours.
    """
    check_integer(size, "size")
    check_integer(epochs, "epochs")
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) != 1:
        raise ValueError(f"tensors must have the same first dimension; got {lengths}.")
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(lengths[0], generator=generator), size):
            yield tuple(tensor[rows] for tensor in tensors)


def fit(
    model: nn.Module,
    loss: Callable[..., Tensor],
    batches: Iterable[Sequence[Any]],
    optimizer: torch.optim.Optimizer,
    *,
    after_step: Callable[[int], object] | None = None,
    progress: str = "",
) -> list[float]:
    """Minimize a loss over norm-constrained weights: a step, then the projection, and again.

    The weights satisfy ‖W‖₂ ≤ 1 before the first step and after every one. An interrupt (Ctrl-C)
    ends the training early, with the weights projected, and returns what was recorded.

    Args:
        model: the network, changed in place.
        loss: called as ``loss(model, *batch)``; returns a scalar.
        batches: one entry for each step.
        optimizer: over the parameters of `model`.
        after_step: called after each step and its projection with the number of steps done.
        progress: the name of a progress bar; none is shown by default.

    Returns:
        The loss before each step.

    Raises:
        TypeError: if model is not an ``nn.Module``, or the loss returns no tensor.
        ValueError: if the loss is not finite, or not a scalar.

    Example:
        >>> model = orthonormal_network([1, 4, 1], nn.ReLU, torch.Generator().manual_seed(0))
        >>> x = torch.linspace(-1, 1, 9).double()[:, None]
        >>> squared = lambda model, x, y: (model(x) - y).square().mean()
        >>> optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        >>> losses = fit(model, squared, [(x, x)] * 20, optimizer)
        >>> len(losses), losses[-1] < losses[0]
        (20, True)

    Source: ours; the constraint is that of Anil, Lucas and Grosse (2019), appendix D.
    """
    losses: list[float] = []
    clip_singular_values_(model)
    try:
        for batch in _with_bar(batches, progress):
            optimizer.zero_grad()
            value = loss(model, *batch)
            losses.append(_finite_scalar(value, len(losses)))
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            clip_singular_values_(model)
            if after_step is not None:
                after_step(len(losses))
    except KeyboardInterrupt:
        clip_singular_values_(model)
    return losses


def _finite_scalar(value: Any, step: int) -> float:
    if not isinstance(value, Tensor):
        raise TypeError(f"loss must return a torch.Tensor; got {type(value).__name__}.")
    if value.numel() != 1:
        raise ValueError(f"loss must return a scalar; got shape {tuple(value.shape)}.")
    if not math.isfinite(float(value.detach())):
        raise ValueError(f"loss must be finite; got {float(value.detach())} at step {step}.")
    return float(value.detach())


def _with_bar(batches: Iterable[Sequence[Any]], name: str) -> Iterable[Sequence[Any]]:
    if not name:
        return batches
    from tqdm.auto import tqdm

    bar: Iterable[Sequence[Any]] = tqdm(batches, desc=name, leave=False)
    return bar
