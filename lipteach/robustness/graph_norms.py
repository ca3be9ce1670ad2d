r"""Certified norms of a forward that is no chain: sums, concatenations and what moves entries.

Every step that depends on the input x has, for p, q = 1, 2, ∞, a bound of how far its result moves
in the q-norm when x moves by 1 in the p-norm. Bounds of f + g are the sums of those of f and g;
those of (f, g), whose differences stand side by side, are the sum for q = 1, the root of the sum of
squares for q = 2 and the larger for q = ∞; so are those of max(f, g) entry by entry. What is
computed without x is a constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from lipteach.layers.magnitudes import Magnitude
from lipteach.primitives._validate import NORMS
from lipteach.robustness import graph_functions as known
from lipteach.robustness.graph_memory import numbered, put, uses, writes_over_nothing
from lipteach.robustness.graph_sums import (
    ODD,
    PAIRS,
    NotKnownError,
    StepError,
    Sums,
    conversion,
    each,
    is_plain,
    is_torch_s,
    is_written_plainly,
    refuse_unless,
    side_by_side,
)
from lipteach.robustness.graphs import Traced

Ask = Callable[[nn.Module, Tensor, str], tuple[Sums | None, str]]
TINY = torch.finfo(torch.float64).tiny


def bounds_of_graph(
    module: nn.Module, said: str, graph: Traced, ask: Ask
) -> tuple[Sums | None, str]:
    """The bounds of the result and "", or None and what has none; the module is called `said`.

    `ask` gives the bounds of a submodule, by its name within the module, for one sample.
    """
    walker = _Walker(module, graph, ask)
    for node in graph.nodes:
        try:
            walker.step(node)
        except NotKnownError as found:
            return None, str(found)
        except (StepError, *ODD):
            name = getattr(node.target, "__name__", None) or str(node.target)
            return None, f"{said}, whose forward uses {name} in a way that is not known"
    result = walker.bounds.get(graph.nodes[-1])
    return result, "" if result else f"{said}, whose result does not depend on its input alone"


class _Walker:
    """The bounds of the steps so far; a step without one is a constant, or a shape.

    `labels` holds, for a step that gives several tensors, where their entries come from.
    """

    def __init__(self, module: nn.Module, graph: Traced, ask: Ask) -> None:
        self.module, self.ask = module, ask
        self.one, self.two = graph.one, graph.two
        self.bounds: dict[fx.Node, Sums] = {}
        self.labels: dict[fx.Node, tuple[Any, Sums]] = {}

    def step(self, node: Any) -> None:
        """Find the bounds of one step."""
        if node.op == "placeholder":
            if not self.bounds:
                count = self.two[node][0].numel()
                self.bounds[node] = {(p, q): conversion(count, p, q) for p, q in PAIRS}
            return
        if node.op == "output":
            given = node.args[0]
            if isinstance(given, fx.Node) and given in self.bounds:
                self.bounds[node] = self.bounds[given]
            return
        refuse_unless(is_written_plainly(node), node)
        if not any(self._depends(given) for given in node.all_input_nodes):
            refuse_unless(is_torch_s(node, self.module), node)
            refuse_unless(node.target not in known.IN_PLACE and is_plain(self.two[node]), node)
            counts = any(map(self._counts_samples, node.all_input_nodes))
            refuse_unless(not counts or node.target in known.OF_COUNTS, node)
            return
        refuse_unless(writes_over_nothing(node, self.module), node)
        found = self._of_module(node) if node.op == "call_module" else self._of_function(node)
        if found is None:  # a shape, or several tensors
            return
        one, two = self.one[node], self.two[node]
        refuse_unless(isinstance(two, Tensor) and two.dtype == torch.float64, node)
        refuse_unless(is_plain(two), node)
        refuse_unless(one.shape[:1] == (1,) and two.shape == (2, *one.shape[1:]), node)
        count = one.numel()
        self.bounds[node] = {
            (p, q): min(found[p, r] * conversion(count, r, q) for r in NORMS) for p, q in PAIRS
        }

    def _depends(self, node: Any) -> bool:
        return isinstance(node, fx.Node) and (node in self.bounds or node in self.labels)

    def _counts_samples(self, node: fx.Node) -> bool:
        """Whether a constant is another for two samples than for one."""
        one, two = self.one[node], self.two[node]
        return isinstance(two, int) and one != two

    def _value(self, given: Any) -> Any:
        """What an argument is for two samples."""
        return fx.node.map_arg(given, lambda node: self.two[node])

    def _constant(self, given: Any, node: Any) -> Any:
        """An argument that is the same for one sample and for two, and depends on none."""
        needed = [given] if isinstance(given, fx.Node) else []
        for part in needed:
            a, b = self.one[part], self.two[part]
            same = torch.equal(a, b) if isinstance(a, Tensor) else bool(a == b)
            refuse_unless(not self._depends(part) and same, node)
        return self._value(given)

    def _of_module(self, node: Any) -> Sums:
        (given,) = node.args if len(node.args) == 1 and not node.kwargs else (None,)
        refuse_unless(isinstance(given, fx.Node) and given in self.bounds, node)
        name = str(node.target)
        return self._through(given, self.module.get_submodule(name), name)

    def _through(self, given: Any, module: nn.Module, name: str) -> Sums:
        """The bounds behind a module."""
        own, missing = self.ask(module, self.one[given], name)
        if own is None:
            raise NotKnownError(missing)
        before = self.bounds[given]
        return {(p, q): min(before[p, r] * own[r, q] for r in NORMS) for p, q in PAIRS}

    def _of_function(self, node: Any) -> Sums | None:
        kind, args = node.target, node.args
        if node.op == "call_method":
            kind = known.BY_METHOD.get(str(kind), kind)
        if self._asks_for_a_shape(node):
            return None
        if kind in known.MOVES:
            return self._moved(node)
        if kind in known.JOINS:
            return self._joined(node)
        if kind in known.TOTALS:
            return self._total(node)
        if kind in known.AS_MODULES:
            return self._as_module(node, *known.AS_MODULES[kind])
        if kind is F.dropout:
            settings = dict(zip(("p", "training"), args[1:], strict=False)) | node.kwargs
            refuse_unless(settings.get("training") is False, node)
            return self._of(args[0], node)
        if kind in known.CLAMPS:
            limits = (*args[1:], *node.kwargs.values())
            refuse_unless(all(v is None or isinstance(v, (int, float)) for v in limits), node)
            return self._of(args[0], node)
        refuse_unless(not node.kwargs, node)
        if kind in known.CONTRACTIONS or kind in known.NEGATIVES:
            refuse_unless(len(args) == 1, node)
            return self._of(args[0], node)
        refuse_unless(len(args) == 2, node)
        if kind in known.EXTREMES:
            return side_by_side([self._of(given, node) for given in args if self._depends(given)])
        if kind in known.SUMS_OF_TWO:
            parts = [self._of(given, node) for given in args if self._depends(given)]
            return parts[0] if len(parts) == 1 else each(lambda a, b: a + b, *parts)
        refuse_unless(kind in known.PRODUCTS, node)
        return self._product(node, known.PRODUCTS[kind])

    def _of(self, given: Any, node: Any) -> Sums:
        """The bounds of a part of a step that has its shape: nothing is repeated to fit another."""
        refuse_unless(isinstance(given, fx.Node) and given in self.bounds, node)
        refuse_unless(self.two[given].shape == self.two[node].shape, node)
        return self.bounds[given]

    def _product(self, node: fx.Node, power: int) -> Sums:
        """A multiple by a number, or entry by entry by a constant tensor."""
        first, second = node.args
        if power == 1 and not self._depends(first):
            first, second = second, first
        factor = torch.as_tensor(self._constant(second, node), dtype=torch.float64).abs()
        refuse_unless(factor.numel() > 0 and not self._depends(second), node)
        least, most = float(factor.min()), float(factor.max())
        refuse_unless(most < math.inf and (power == 1 or least > TINY), node)  # nor is it NaN
        size = Magnitude.of(most if power == 1 else 1 / least)
        return each(lambda a: a * size, self._of(first, node))

    def _joined(self, node: Any) -> Sums:
        parts = node.args[0] if node.args else node.kwargs.get("tensors")
        dim = self._constant([*node.args[1:2], node.kwargs.get("dim", 0)][0], node)
        refuse_unless(isinstance(parts, (list, tuple)) and type(dim) is int, node)
        refuse_unless(dim % self.two[node].ndim != 0 and "out" not in node.kwargs, node)
        depending = [given for given in parts if self._depends(given)]
        refuse_unless(all(given in self.bounds for given in depending), node)
        return side_by_side([self.bounds[given] for given in depending])

    def _total(self, node: Any) -> Sums:
        """The sum or the mean of n entries, along dimensions other than the batch."""
        given: Any = node.args[0] if node.args else None
        settings = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | node.kwargs
        dims: Any = settings.get("dim")
        dims = [dims] if type(dims) is int else dims
        refuse_unless(settings.keys() <= {"dim", "keepdim"} and given in self.bounds, node)
        refuse_unless(isinstance(dims, (list, tuple)) and len(dims) > 0, node)
        refuse_unless(all(type(d) is int for d in dims), node)
        shape = self.two[given].shape
        along = {d % len(shape) for d in dims}
        refuse_unless(0 not in along, node)
        n = math.prod(shape[d] for d in along)
        over = n if node.target in known.MEANS else 1
        grown = {q: Magnitude.of(n ** (1 - 1 / q) / over) for q in NORMS}
        return {(p, q): self.bounds[given][p, q] * grown[q] for p, q in PAIRS}

    def _as_module(self, node: fx.Node, kind: type[nn.Module], names: tuple[str, ...]) -> Sums:
        """What a module of that class does."""
        given: Any = node.args[0] if node.args else node.kwargs.get("input")
        refuse_unless(given in self.bounds and len(node.args) <= 1 + len(names), node)
        settings = dict(zip(names, node.args[1:], strict=False))
        settings |= {key: value for key, value in node.kwargs.items() if key != "input"}
        settings = {key: self._constant(value, node) for key, value in settings.items()}
        for key in ("_stacklevel", "dtype", "return_indices", "descending"):  # which change nothing
            value = settings.pop(key, None)
            refuse_unless(key in ("_stacklevel", "descending") or not value, node)
        settings.pop("inplace", None)
        refuse_unless(settings.keys() <= {*names}, node)
        module: Any = kind(**{k: v for k, v in settings.items() if v is not None or k == "stride"})
        refuse_unless(torch.equal(module(self.two[given].clone()), self.two[node]), node)
        return self._through(given, module.double().eval(), str(node.target))

    def _moved(self, node: Any) -> Sums | None:
        """What puts entries elsewhere: told by what it does to their numbers."""
        given: Any = node.args[0] if node.args else None
        others = [part for part in node.all_input_nodes if part is not given]
        refuse_unless(not any(map(self._depends, others)) and self._depends(given), node)
        if given in self.labels:
            labels, before = self.labels[given]
        else:
            labels, before = numbered(self.two[given]), self.bounds[given]
        found = put(node, labels, self._value(node.args[1:]), self._value(dict(node.kwargs)))
        if not isinstance(found, Tensor):
            refuse_unless(isinstance(found, (tuple, list)), node)
            self.labels[node] = found, before
            return None
        while given in self.labels:  # the tensor that was taken apart
            given = given.args[0]
        times = uses(found, self.one[given].numel())
        refuse_unless(times > 0, node)
        grown = {q: Magnitude.of(times ** (1 / q)) for q in NORMS}
        return {(p, q): before[p, q] * grown[q] for p, q in PAIRS}

    def _asks_for_a_shape(self, node: Any) -> bool:
        if node.op == "call_method":
            return node.target in known.OF_SHAPES
        return node.target is getattr and node.args[1] in known.SHAPES
