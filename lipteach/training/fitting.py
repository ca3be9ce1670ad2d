r"""A short fitting loop for networks whose weights must keep a constraint, by default ‖W‖₂ ≤ 1.

Source: the constraint is that of Anil, Lucas and Grosse (2019), appendix D; the exact projection
by SVD is ours, for networks small enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.layers.weights import weight_to_change
from lipteach.primitives import Selection
from lipteach.primitives._validate import check_dense, check_integer
from lipteach.training.networks import check_generator
from lipteach.training.schemes import Memory, Scheme


@torch.no_grad()
def clip_singular_values_(model: nn.Module) -> nn.Module:
    r"""Move each ``nn.Linear`` weight of the model, in place, to the nearest one with ‖W‖₂ ≤ 1.

    $$W = U \Sigma V^\top \mapsto U \min(\Sigma, 1) V^\top,$$

    the exact projection in the Frobenius norm. A weight within the constraint stays as it is.
    float16 and bfloat16 are projected in float32 and rounded back.

    Args:
        model: any module; its ``nn.Linear`` layers are found at every depth.

    Returns:
        The model itself.

    Raises:
        TypeError: if a weight is parametrized (its value is then computed from elsewhere, and a
            change in place would be lost).
        ValueError: if a hook computes it (weight norm, pruning).

    Example:
        >>> from lipteach.training import clip_singular_values_
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
        >>> clip_singular_values_(layer).weight.tolist()
        [[1.0, 0.0], [0.0, 0.5]]

    Source: the constraint of Anil, Lucas and Grosse (2019), appendix D.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    for name, module in model.named_modules():
        if not isinstance(module, nn.Linear) or isinstance(module, Selection):
            continue
        if nn.utils.parametrize.is_parametrized(module, "weight"):
            raise TypeError(f"The weight of {name or 'model'} must be plain; it is parametrized.")
        weight = weight_to_change(name or "model", module)
        if weight.numel() == 0:
            continue
        if not bool(torch.isfinite(weight).all()):
            raise ValueError(f"The weight of {name or 'model'} must be finite; it is not.")
        wide = weight if weight.itemsize > 2 else weight.float()
        U, sigma, Vh = torch.linalg.svd(wide, full_matrices=False)
        if sigma[0] > 1:
            weight.copy_((U * sigma.clamp(max=1)) @ Vh)
    return model


def minibatches(
    *tensors: Tensor, size: int, epochs: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Cut batches of `size` rows, the same rows of each tensor, shuffled anew in every epoch.

    The last batch of an epoch is smaller where `size` does not divide the number of rows.

    Args:
        tensors: tensors with the same first dimension.
        size: the number of rows in a batch.
        epochs: how often each row is shown.
        generator: the source of randomness.

    Returns:
        An iterator over tuples with one tensor of shape (size, …) for each of `tensors`.

    Example:
        >>> from lipteach.training import minibatches
        >>> x = torch.arange(5.0)
        >>> [len(b) for b, in minibatches(x, size=2, epochs=1, generator=torch.Generator())]
        [2, 2, 1]

    Source: ours.
    """
    check_integer(size, "size")
    check_integer(epochs, "epochs")
    check_generator(generator)
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"tensors must be torch.Tensors; got {type(tensor).__name__}.")
        check_dense(tensor, "Each of tensors")
    shapes = [tuple(tensor.shape) for tensor in tensors]
    rows = {shape[:1] for shape in shapes}
    if len(rows) != 1 or rows <= {(), (0,)}:
        raise ValueError(f"tensors must have the same number of rows, at least 1; got {shapes}.")

    def shuffled() -> Iterator[tuple[Tensor, ...]]:
        for _ in range(epochs):
            for chosen in torch.split(torch.randperm(shapes[0][0], generator=generator), size):
                yield tuple(tensor[chosen] for tensor in tensors)

    return shuffled()


def fit(
    model: nn.Module,
    loss: Callable[..., Tensor],
    batches: Iterable[Sequence[Any]],
    optimizer: torch.optim.Optimizer,
    *,
    after_step: Callable[[int], object] | None = None,
    constraint: Scheme | Callable[[nn.Module], object] = clip_singular_values_,
) -> list[float]:
    """Minimize a loss over norm-constrained weights: a step, then the projection, and again.

    The weights satisfy the constraint, ‖W‖₂ ≤ 1 unless another is given, before the first step and
    after every one (with a `Scheme`, if its ``prepare`` has made the model). An interrupt (Ctrl-C)
    ends the training early, with the weights projected, and returns what was recorded.

    Args:
        model: the network, changed in place.
        loss: called as ``loss(model, *batch)``; returns a scalar.
        batches: one entry for each step.
        optimizer: over the parameters of `model`.
        after_step: called after each step and its projection with the number of steps done.
        constraint: what is called with the model to project its weights in place, such as
            `lt.retract_`; or a `Scheme` whose ``prepare`` has made the model: then its penalty is
            added to the loss, with ``batch[0]`` as the inputs, and its ``before_step`` is called.

    Returns:
        The loss before each step, without the penalty of a scheme.

    Raises:
        TypeError: if the loss returns no tensor.
        ValueError: if the loss is not finite, not a scalar or does not depend on the model, or the
            optimizer holds none of the model's parameters.

    Example:
        >>> from lipteach.training import fit, orthonormal_network
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
    memory: Memory = {}
    scheme = _scheme_of(model, constraint)
    if scheme is not constraint:  # which a scheme's prepare has met
        scheme.after_step(model)
    _check_fit(model, loss, batches, optimizer, after_step)
    try:
        for batch in batches:
            value = loss(model, *batch)
            losses.append(_finite_scalar(value, len(losses)))
            scheme.step(model, scheme.add_penalty(value, model, batch, memory), optimizer)
            if after_step is not None:
                after_step(len(losses))
    except KeyboardInterrupt:
        scheme.after_step(model)
    return losses


def _scheme_of(model: Any, constraint: Any) -> Scheme:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module; got {type(model).__name__}.")
    if isinstance(constraint, Scheme):
        return constraint
    if not callable(constraint):
        found = type(constraint).__name__
        raise TypeError(f"constraint must be a Scheme or a function of the model; got {found}.")
    return Scheme(after_step=constraint)


def _check_fit(model: nn.Module, loss: Any, batches: Any, optimizer: Any, after_step: Any) -> None:
    if not callable(loss):
        raise TypeError(f"loss must be a function; got {type(loss).__name__}.")
    if not isinstance(optimizer, torch.optim.Optimizer):
        found = type(optimizer).__name__
        raise TypeError(f"optimizer must be a torch.optim.Optimizer; got {found}.")
    if after_step is not None and not callable(after_step):
        raise TypeError(f"after_step must be a function or None; got {type(after_step).__name__}.")
    if not isinstance(batches, Iterable):
        raise TypeError(f"batches must be iterable; got {type(batches).__name__}.")
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not held & {id(p) for p in model.parameters()}:
        raise ValueError("optimizer must hold parameters of the model; it holds none of them.")


def _finite_scalar(value: Any, step: int) -> float:
    if not isinstance(value, Tensor):
        raise TypeError(f"loss must return a torch.Tensor; got {type(value).__name__}.")
    if value.numel() != 1:
        raise ValueError(f"loss must return a scalar; got shape {tuple(value.shape)}.")
    if not value.requires_grad:
        raise ValueError("loss must depend on the model's parameters; its value has no gradient.")
    if not math.isfinite(float(value.detach())):
        raise ValueError(f"loss must be finite; got {float(value.detach())} at step {step}.")
    return float(value.detach())
