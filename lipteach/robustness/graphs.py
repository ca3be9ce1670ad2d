"""The graph of a forward, traced by torch.fx, and what it computes for two batches.

A trace runs the forward once with a stand-in for its input and writes each step down. Where a
branch or a loop asks for a number of the input there is no graph: tracing itself refuses it. What
the graph computes is compared with what the module does, and two traces with one another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from lipteach.layers.copies import near
from lipteach.primitives._sample_by_sample import untouched
from lipteach.primitives.composition import runs_its_forward
from lipteach.robustness.graph_functions import SHAPES, methods_replaced
from lipteach.robustness.graph_witness import Witness

SCALES = (1.0, 10.0)  # of two samples


class Traced(NamedTuple):
    """The steps of a forward, and the value of each for one sample and for two."""

    nodes: list[fx.Node]
    one: dict[fx.Node, Any]
    two: dict[fx.Node, Any]


class _StandIn(fx.Proxy):
    """What stands for a tensor.

    What asks for a number of it is remembered, even where the forward goes on without an answer;
    so is what asks for an attribute that no tensor has. It does not say that it is a tensor:
    torch's compiled parts would take its memory for one.
    """

    def _refuse(self, *_: Any) -> Any:
        self.tracer.to_bool(self)

    __float__ = __int__ = __index__ = __complex__ = __len__ = __contains__ = __array__ = _refuse
    __str__ = __repr__ = __format__ = __hash__ = keys = _refuse

    def __getattr__(self, name: str) -> Any:
        if name not in SHAPES and not callable(getattr(Tensor, name, None)):
            self._refuse()
        return _Part(self, name)


class _Part(_StandIn, fx.proxy.Attribute):
    """What stands for an attribute of a tensor."""


class _Tracer(fx.Tracer):
    """A tracer that writes the call of a submodule down as one step."""

    asked = False  # whether something depends on a number

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        """Whether a submodule is one step: each is."""
        return True

    def create_args_for_root(self, root_fn: Any, *_: Any, **__: Any) -> Any:
        """The module and one input; whatever else the forward takes is left to its defaults."""
        return root_fn, [self.root, self.create_proxy("placeholder", "x", (), {})]

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
    tracer = _Tracer()
    with Witness(module) as witness:
        graph = tracer.trace(module)
    return None if tracer.asked or witness.objects else graph


@torch.no_grad()
def traced(module: nn.Module, given: Tensor) -> Traced | None:
    """The graph of a module that runs its forward, for a sample like `given`; None if none is true.

    A forward that is not the same twice, draws random numbers or leaves another attribute behind is
    not believed, and what it leaves is put right.
    """
    if not runs_its_forward(module) or methods_replaced():
        return None
    with untouched(module):
        return _traced(module, given)


def _traced(module: nn.Module, given: Tensor) -> Traced | None:
    before, state = _held(module), torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(2, *given.shape[1:], generator=generator, dtype=torch.float64).to(given)
    points = drawn * torch.tensor(SCALES).to(given).view(2, *[1] * (given.ndim - 1))
    try:
        again = str(_graph(module))
        _forget_constants(module)
        graph = _graph(module)
        if graph is None or str(graph) != again or not _constants_are_as_made(module):
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


def _held(module: nn.Module) -> tuple[list[Any], list[Any]]:
    """What a forward might leave behind: other attributes, or a tensor that was written to.

    Of each module in it, also what its lists and dictionaries hold: names and counts, then objects.
    """
    counts: list[Any] = []
    objects: list[Any] = []
    for part in module.modules():
        for name, value in vars(part).items():
            inside = [*value, *value.values()] if isinstance(value, dict) else [value]
            inside += value if isinstance(value, (list, set)) else ()
            counts += [name, len(inside)]
            objects += inside
    tensors = [t for t in objects if isinstance(t, Tensor) and not t.is_inference()]
    return [*counts, *(t._version for t in tensors)], objects


def _is_same(a: tuple[list[Any], list[Any]], b: tuple[list[Any], list[Any]]) -> bool:
    return a[0] == b[0] and all(one is other for one, other in zip(a[1], b[1], strict=True))


def _constants(module: nn.Module) -> list[str]:
    """The attributes in which a trace keeps tensors that a forward makes of numbers."""
    return [name for name in vars(module) if name.startswith("_tensor_constant")]


def _constants_are_as_made(module: nn.Module) -> bool:
    """Whether nothing has been written into them, before their use or after."""
    return all(getattr(module, name)._version == 0 for name in _constants(module))


def _forget_constants(module: nn.Module) -> None:
    for name in _constants(module):
        delattr(module, name)


def _values(module: nn.Module, graph: fx.Graph, z: Tensor) -> tuple[dict[fx.Node, Any], Any]:
    """What each step gives, and the last one; refuses a constant that a later step writes to."""
    run = _Run(module, garbage_collect_values=False, graph=graph)
    result = run.run(z.clone())
    for node, version in run.versions.items():
        if run.env[node]._version != version:
            raise fx.proxy.TraceError("a constant is written to")
    return run.env, result


class _Run(fx.Interpreter):
    """A run that notes the version of each constant when it is made."""

    def __init__(self, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self.versions: dict[fx.Node, int] = {}
        self.depending: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        """Run a step."""
        value = super().run_node(n)
        if n.op == "placeholder" or not self.depending.isdisjoint(n.all_input_nodes):
            self.depending.add(n)
        elif isinstance(value, Tensor) and not value.is_inference():
            self.versions[n] = value._version
        return value
