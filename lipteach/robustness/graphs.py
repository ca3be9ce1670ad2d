"""The graph of a forward, traced by torch.fx, and what it computes for two batches.

A trace runs the forward once with a stand-in for its input and writes each step down. Where a
branch or a loop asks for a number of the input there is no graph: tracing itself refuses it. What
the graph computes is compared with what the module does, and two traces with one another.
"""

from __future__ import annotations

import builtins
import os
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from lipteach.layers.copies import near
from lipteach.primitives.composition import runs_its_forward

SCALES = (1.0, 10.0)  # of two samples
REVEALING = {  # which tell a stand-in from a tensor, or a trace from a run
    *("is_fx_tracing", "is_fx_symbolic_tracing", "is_tracing", "is_compiling", "is_exporting"),
    *("is_dynamo_compiling", "is_scripting", "Proxy", "type", "isinstance", "issubclass"),
    *("is_tensor", "Tensor", "__class__", "__dict__", "hasattr", "getattr", "callable", "dir"),
    *("vars", "repr", "str", "id", "globals", "locals", "exec", "eval", "Parameter"),
}

ASKING: list[Any] = [  # the same by whatever name
    *(vars(builtins)[name] for name in sorted(REVEALING & vars(builtins).keys())),
    *(Tensor, nn.Parameter, torch.is_tensor),
]
OWN = tuple(f"{Path(file).parent}{os.sep}" for file in (torch.__file__, Path(__file__).parent))
PYTHON_S = ("<frozen", f"{sysconfig.get_path('stdlib')}{os.sep}")


class Traced(NamedTuple):
    """The steps of a forward, and the value of each for one sample and for two."""

    nodes: list[fx.Node]
    one: dict[fx.Node, Any]
    two: dict[fx.Node, Any]


class _StandIn(fx.Proxy):
    """What stands for a tensor.

    What asks for a number of it is remembered, even where the forward goes on without an answer.
    It does not say that it is a tensor: torch's compiled parts would take its memory for one.
    """

    def _refuse(self, *_: Any) -> Any:
        self.tracer.to_bool(self)

    __float__ = __int__ = __index__ = __complex__ = __len__ = __contains__ = __array__ = _refuse


class _Tracer(fx.Tracer):
    """A tracer that writes the call of a submodule down as one step."""

    asked = False  # whether something depends on a number

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        """Whether a submodule is one step: each is."""
        return True

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """What stands for the result of a step."""
        return _StandIn(node, self)

    def to_bool(self, obj: Any) -> bool:
        """Refuse a branch, as each tracer does."""
        self.asked = True
        return super().to_bool(obj)

    def iter(self, obj: Any) -> Any:
        """Refuse a loop over the entries, unless their number is in the program."""
        try:
            return super().iter(obj)
        except fx.proxy.TraceError:
            self.asked = True
            raise


def _graph(module: nn.Module) -> fx.Graph | None:
    names, tracer = set[str](), _Tracer()
    before = sys.getprofile()

    def note(frame: types.FrameType, event: str, _: object) -> None:
        if event == "call":
            names.update(_asked_by(frame))

    sys.setprofile(note)
    try:
        graph = tracer.trace(module)
    finally:
        sys.setprofile(before)
    return None if tracer.asked or REVEALING & names else graph


def _asked_by(frame: types.FrameType) -> set[str]:
    """The names in code that runs, and the functions of `ASKING` that they stand for there.

    Of torch, of this package and of Python itself nothing counts: they ask for what they need.
    """
    file = frame.f_code.co_filename
    if file.startswith(OWN) or (file.startswith(PYTHON_S) and "-packages" not in file):
        return set()
    names = {*frame.f_code.co_names, *frame.f_code.co_freevars}
    held = [scope.get(name) for name in names for scope in (frame.f_globals, frame.f_locals)]
    return names | {one.__name__ for one in ASKING if any(one is other for other in held)}


@torch.no_grad()
def traced(module: nn.Module, given: Tensor) -> Traced | None:
    """The graph of a module that runs its forward, for a sample like `given`; None if none is true.

    A forward that is not the same twice, draws random numbers or leaves another attribute behind is
    not believed.
    """
    if not runs_its_forward(module):
        return None
    before, state = _held(module), torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, *given.shape[1:], generator=generator, dtype=torch.float64).to(given)
    points = drawn * torch.tensor(SCALES).to(given).view(2, *[1] * (given.ndim - 1))
    try:
        again = str(_graph(module))
        _forget_constants(module)
        graph = _graph(module)
        if graph is None or str(graph) != again:
            return None
        values = [_values(module, graph, z) for z in (points[:1], points)]
        for (_, result), z in zip(values, (points[:1], points), strict=True):
            truth = module(z.clone())
            if not (isinstance(result, Tensor) and near(result, truth, 1e-9)):
                return None
    except Exception:  # whatever a stranger's code raises when it meets a stand-in
        return None
    finally:
        _forget_constants(module)
    if not (_is_same(_held(module), before) and torch.equal(torch.get_rng_state(), state)):
        return None
    return Traced([*graph.nodes], values[0][0], values[1][0])


def _held(module: nn.Module) -> tuple[dict[str, Any], list[int]]:
    """What a forward might leave behind: another attribute, or a tensor that was written to."""
    tensors = [t for t in (*module.parameters(), *module.buffers()) if not t.is_inference()]
    return dict(vars(module)), [t._version for t in tensors]


def _is_same(a: tuple[dict[str, Any], list[int]], b: tuple[dict[str, Any], list[int]]) -> bool:
    names = a[0].keys() == b[0].keys()
    return names and all(a[0][key] is b[0][key] for key in a[0]) and a[1] == b[1]


def _forget_constants(module: nn.Module) -> None:
    """Take away the attributes in which a trace keeps tensors that a forward makes of numbers."""
    for name in [name for name in vars(module) if name.startswith("_tensor_constant")]:
        delattr(module, name)


def _values(module: nn.Module, graph: fx.Graph, z: Tensor) -> tuple[dict[fx.Node, Any], Any]:
    """What each step gives, and the last one."""
    run = fx.Interpreter(module, garbage_collect_values=False, graph=graph)
    result = run.run(z.clone())
    return run.env, result
