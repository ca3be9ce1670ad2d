"""What the walk of a graph adds up, and how it says that it knows nothing of a step."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from lipteach.layers.magnitudes import Magnitude, root_of_squares
from lipteach.primitives._as_imported import as_imported
from lipteach.primitives._validate import NORMS
from lipteach.primitives.composition import may_deceive, runs_as

Sums = dict[tuple[float, float], Magnitude]
PAIRS = [(p, q) for p in NORMS for q in NORMS]

ODD = (TypeError, ValueError, IndexError, KeyError, AttributeError, RuntimeError, NameError)


class NotKnownError(Exception):
    """A submodule has no bound; the text names it."""


class StepError(Exception):
    """Nothing is known of a step."""


def conversion(m: int, r: float, q: float) -> Magnitude:
    """The least c with ‖·‖_q ≤ c ‖·‖_r for m numbers."""
    return Magnitude.of(m ** max(0.0, 1 / q - 1 / r))


def side_by_side(parts: list[Sums]) -> Sums:
    """The bounds of several differences as one, of which no entry is left out."""
    found = {}
    for p, q in PAIRS:
        norms = [part[p, q] for part in parts]
        if q == 1:
            found[p, q] = sum(norms[1:], norms[0])
        else:
            found[p, q] = root_of_squares(norms) if q == 2 else max(norms)
    return found


def each(rule: Callable[..., Magnitude], *parts: Sums) -> Sums:
    """A rule, pair by pair."""
    return {pair: rule(*(part[pair] for part in parts)) for pair in PAIRS}


def is_written_plainly(node: fx.Node) -> bool:
    """Whether no number or sequence in a step is one to Python and another to torch."""
    found: list[bool] = []

    def look(value: Any) -> Any:
        known = isinstance(value, (fx.Node, slice, torch.dtype, torch.device, types.EllipsisType))
        found.append(not known and may_deceive(value))
        return value

    fx.node.map_aggregate((node.args, node.kwargs), look)
    return not any(found)


def is_plain(value: Any) -> bool:
    """Whether a value is no tensor, or one of a class of torch's own."""
    return not isinstance(value, Tensor) or type(value) in (Tensor, nn.Parameter)


def is_torch_s(node: Any, module: nn.Module) -> bool:
    """Whether a step that computes a constant is a function or a module of torch's or Python's."""
    if node.op == "get_attr":
        return True
    if node.op == "call_module":  # another one may read what its input does not show
        parts = module.get_submodule(node.target).modules()
        return all(as_imported(type(part)) and runs_as(part, type(part)) for part in parts)
    if node.op == "call_method":
        return not str(node.target).endswith("_")
    room = str(getattr(node.target, "__module__", None) or "torch")
    return room.split(".")[0] in ("torch", "_operator", "operator", "math", "builtins")


def refuse_unless(known_to_be: bool, node: fx.Node) -> None:
    """Raise `StepError` unless something is so of a step."""
    if not known_to_be:
        raise StepError(node.name)
