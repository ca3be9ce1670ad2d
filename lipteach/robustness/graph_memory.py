"""Where the entries of a step come from, and whether a step writes over what another one reads."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from lipteach.layers.known_modules import MAXIMA
from lipteach.layers.layer_norms import LAYERS
from lipteach.primitives.composition import runs_as, walk
from lipteach.primitives.residual import SUMS
from lipteach.robustness import graph_functions as known


def numbered(z: Tensor) -> Tensor:
    """The entries of two samples, numbered: those of the second go on after the first's."""
    return torch.arange(z.numel(), dtype=torch.float64).view(z.shape)


def put(node: fx.Node, labels: Any, args: Any, kwargs: Any) -> Any:
    """Where a step puts the numbers of entries."""
    target: Any = node.target
    if node.op == "call_method":
        return getattr(labels, target)(*args, **kwargs)
    return target(labels, *args, **kwargs)


def uses(found: Tensor, count: int) -> int:
    """How often an entry of a sample of `count` is used at most; 0 if samples are mixed.

    Both samples must be treated alike, and each entry be one of its own sample.
    """
    if found.dtype != torch.float64 or found.ndim == 0 or len(found) != 2 or not found.numel():
        return 0
    first, second = found.flatten(1).to(torch.int64)
    if not torch.equal(first + count, second):
        return 0
    within = int(first.min()) >= 0 and int(first.max()) < count
    return int(first.bincount().max()) if within else 0


def writes_over_nothing(node: Any, module: nn.Module) -> bool:
    """Whether a step leaves its input as it is, or is the only one that reads it.

    In the second case a step made that input in memory of its own, so that no other name stands for
    the same numbers.
    """
    over = node.target in known.IN_PLACE or bool(node.kwargs.get("inplace", False))
    if node.op == "call_module":
        over |= _overwrites(module.get_submodule(node.target))
    elif node.target in known.AS_MODULES:
        names = known.AS_MODULES[node.target][1]
        over |= "inplace" in dict(zip(names, node.args[1:], strict=False))
    if not over:
        return True
    given = node.args[0] if node.args else None
    return isinstance(given, fx.Node) and [*given.users] == [node] and _is_new(given, module)


def _is_new(node: Any, module: nn.Module) -> bool:
    """Whether a step made the memory of its result."""
    if node.op == "call_module":
        steps = [step for _, step in walk(module.get_submodule(node.target))]
        return any(runs_as(step, (*LAYERS, *MAXIMA)) for step in steps)
    return node.target in {*known.SUMS_OF_TWO, *known.PRODUCTS, *known.JOINS, *known.EXTREMES}


def _overwrites(module: nn.Module) -> bool:
    """Whether a module writes over its input; one that is traced is refused if it does."""
    for _, step in walk(module):
        if runs_as(step, LAYERS):
            return False
        block: Any = step
        parts = (block.skip, block.body) if runs_as(step, SUMS) else ()
        if "overwrote" in vars(step) or any(map(_overwrites, parts)):
            return True
    return False
