"""The plain weight of a layer: what can be constrained, or changed in place."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from lipteach.primitives._torch_private import is_fake
from lipteach.primitives._validate import check_tensor


def has_data(x: Tensor) -> bool:
    """Whether x has entries to look at: on the meta device, or fake, it is a shape only."""
    return not (x.is_meta or is_fake(x))


def plain_weight(layer: nn.Linear | nn.Conv2d, name: str = "weight") -> Tensor:
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
    if is_lazy(weight):
        raise TypeError(f"{name} of this {kind} has no shape yet; run it once on a batch first.")
    dims = 2 if isinstance(layer, nn.Linear) else 4
    if weight.ndim != dims:
        got = f"shape {tuple(weight.shape)}"
        raise ValueError(f"{name} of {kind} must have {dims} dimensions; got {got}.")
    if weight.numel():
        check_tensor(weight, name, finite=False)
    return weight  # type: ignore[no-any-return]


def weight_to_change(path: str, layer: nn.Linear | nn.Conv2d) -> Tensor:
    """The plain weight of the layer at that path in a model, with entries."""
    try:
        weight = plain_weight(layer)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from error
    if not has_data(weight):
        raise TypeError(f"{path}: weight must hold numbers; on its device it has a shape only.")
    return weight
