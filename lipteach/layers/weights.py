"""The layers with a weight, and their plain weights: what can be constrained, or changed."""

from __future__ import annotations

from typing import Any, TypeAlias

from torch import Tensor, nn

from lipteach.primitives._validate import check_dense, check_numbers, check_tensor

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, *TRANSPOSED)
WEIGHTED = (nn.Linear, *CONVOLUTIONS)
Convolution: TypeAlias = nn.Conv1d | nn.Conv2d | nn.ConvTranspose1d | nn.ConvTranspose2d


def weight_dims(layer: nn.Module) -> int:
    """The number of dimensions of the weight of one of `WEIGHTED`."""
    if isinstance(layer, nn.Linear):
        return 2
    return 3 if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d)) else 4


def plain_weight(layer: nn.Linear | Convolution, name: str = "weight") -> Tensor:
    """The parameter of that name of a layer, which has a shape and a dtype that we compute with."""
    kind = type(layer).__name__
    weight: Any = layer._parameters.get(name)
    if isinstance(vars(layer).get(name), Tensor):
        why = "computed by a hook (weight norm, spectral norm or pruning); remove it first"
        raise ValueError(f"{name} of this {kind} must be a parameter; it is {why}.")
    if weight is None:
        names = ", ".join(key for key, value in layer._parameters.items() if value is not None)
        raise ValueError(
            f"name must be a parameter of {kind} ({names or 'it has none'}); got {name!r}."
        )
    check_dense(weight, name)
    dims = weight_dims(layer)
    if weight.ndim != dims:
        got = f"shape {tuple(weight.shape)}"
        raise ValueError(f"{name} of {kind} must have {dims} dimensions; got {got}.")
    if weight.numel():
        check_tensor(weight, name, finite=False)
    return weight  # type: ignore[no-any-return]


def weight_to_change(path: str, layer: nn.Linear | Convolution) -> Tensor:
    """The plain weight of the layer at that path in a model, with entries."""
    try:
        weight = plain_weight(layer)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error
    check_numbers(weight, f"{path}: weight")
    return weight
