"""The modules of which no class tells what they compute: what is run, and what is certified.

A module with a forward of its own is looked at as a whole, whatever parts it has: its norm is not
that of its parts, and a weight that it keeps may be none of theirs. So is a residual connection.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipteach.auditing.by_running import DRAWS, WEIGHTED, Running, inputs_of
from lipteach.layers.copies import said_name
from lipteach.layers.known_modules import Sizes, one_lipschitz
from lipteach.layers.layer_norms import is_layer
from lipteach.layers.magnitudes import Magnitude
from lipteach.primitives.composition import SEQUENCES, runs_as
from lipteach.robustness.certified_norms import Known, certified


def inputs_of_strangers(plain: nn.Module, x: Tensor, sizes: Sizes) -> dict[str, Tensor | None]:
    """What each of them receives from the samples x, by name."""
    found, within = {}, set[int]()
    for name, module in plain.named_modules():  # a module comes before its parts
        if id(module) in within or runs_as(module, SEQUENCES):
            continue
        script = isinstance(module, torch.jit.ScriptModule)  # which takes no hook
        if script or isinstance(module, WEIGHTED):  # one layer, with all that is in it
            within |= set(map(id, module.modules()))
        if not (script or is_layer(module) or one_lipschitz(module, sizes)):
            found[name] = module
    given = inputs_of(plain, x, [*found.values()])
    return {name: given[id(module)] for name, module in found.items() if id(module) in given}


def certified_of(
    plain: nn.Module,
    inputs: dict[str, Tensor | None],
    sizes: Sizes,
    ran: dict[str, Running],
) -> dict[str, Magnitude]:
    """The upper bounds that `lipschitz_bounds` certifies, by name, of those for which it has one.

    A sum counts with its parts, and a forward that can be traced with its steps. What a run refutes
    is left out: there a forward has hidden from the trace what it does.
    """
    known, found = Known({}, {}, []), {}
    for name, z in inputs.items():
        module = plain.get_submodule(name)
        if z is not None and sizes.get(id(module)) == {(1, *z.shape[1:])}:  # a sample is one row
            bounds, _ = certified(module, z[:1], 2, name, known)
            if bounds and not refuted(bounds[2], ran[name].lower):
                found[name] = bounds[2]
    return found


def smallest(
    factors: Magnitude | None, plain: nn.Module, x: Tensor | None, lower: float
) -> Magnitude | None:
    """The product of the norms, or what `lipschitz_bounds` certifies where that is smaller."""
    whole = None if x is None else certified(plain, x, 2)[0]
    if whole is None or refuted(whole[2], lower):
        return factors
    return whole[2] if factors is None else min(factors, whole[2])


def refuted(upper: Magnitude, lower: float) -> bool:
    """Whether a lower bound is above an upper one, by more than rounding."""
    return lower > float(upper) * (1 + 1e-9)


def what_draws(plain: nn.Module, ran: dict[str, Running]) -> str:
    """The module that draws random numbers, the innermost that was seen to; else the model."""
    drawing = [name for name, running in ran.items() if running.method == DRAWS]
    name = drawing[-1] if drawing else ""  # parts come after their whole
    return f"{said_name(name, plain.get_submodule(name))}, which draws random numbers"
