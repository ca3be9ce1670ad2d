"""Graphs of networks by torch.export, torch.fx and torch.jit.trace: of equal values, and plain."""

import copy
import pickle

import pytest
import torch
from support import normal
from torch import nn
from torch.fx import symbolic_trace

import lipteach as lt

# of torch's own making
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}")
    for text in (".*torch.jit.trace:DeprecationWarning", ".*treespec, LeafSpec:FutureWarning")
] + [pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")]
MODULES = [
    lt.MaxMin(),
    lt.GroupSort(4),
    lt.FullSort(),
    lt.Abs(),
    lt.Maxout(2),
    lt.Scale(0.5),
    lt.Householder(8).double(),
    lt.Centering(),
    lt.Selection([3, 0, 0], 8),
    lt.ChunkedSequential(nn.Linear(8, 8).double(), lt.MaxMin(), lt.Abs(), lt.Scale(2.0)),
]
# What torch.onnx converts of what our modules are made of: no stable sort is among it.
ONNX = {
    *("lt.Tensor", "lt.Scalar", "where.self", "neg.default", "abs.default", "mul.Tensor"),
    *("sort.default", "unbind.int", "flip.default", "unsqueeze.default", "slice.Tensor"),
    *("view.default", "addmm.default", "permute.default", "index_select.default", "cat.default"),
    *("alias.default", "detach.default", "select.int", "squeeze.dims", "clone.default"),
    *("_unsafe_view.default", "expand.default", "sym_size.int"),
    *("cos.default", "sin.default", "relu.default", "sum.dim_IntList", "add.Tensor"),
    *("mean.dim", "sub.Tensor"),
}


def network(module: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8).double(), module)


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_network_serves_every_batch_and_converts(module, strict: bool) -> None:
    f, rows = network(module), {0: torch.export.Dim("batch", min=2, max=4096)}
    with torch.no_grad():
        exported = torch.export.export(f, (normal(3, 8),), dynamic_shapes=(rows,), strict=strict)
    for batch in (2, 3, 1000):  # the last beyond what is sorted in another way
        x = normal(batch, 8, seed=batch)
        assert torch.equal(exported.module()(x), f(x))
    operations = {
        str(node.target).removeprefix("aten.")
        for node in exported.run_decompositions().graph.nodes
        if str(node.target).startswith("aten.")
    }
    assert operations <= ONNX


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_fx_writes_each_activation_down_as_one_step(module) -> None:
    f, x = network(module), normal(5, 8)
    for graph in (symbolic_trace(f), copy.deepcopy(symbolic_trace(f))):
        assert torch.equal(graph(x), f(x))
        assert torch.equal(graph(normal(2, 3, 8)), f(normal(2, 3, 8)))
    if not isinstance(module, lt.ChunkedSequential):
        with pytest.raises(TypeError, match=r"x must have .*; got torch\.int64"):  # still looked at
            symbolic_trace(nn.Sequential(module))(x.long())


def test_functions_of_a_proxy_are_steps_that_can_be_pickled() -> None:
    class Sorts(nn.Module):
        def forward(self, x):
            return lt.maxmin(lt.full_sort(lt.group_sort(x, 2, dim=-1), descending=False))

    graph, x = symbolic_trace(Sorts()), normal(3, 8)
    assert [node.target.__name__ for node in graph.graph.nodes if node.op == "call_function"] == [
        "group_sort",
        "full_sort",
        "maxmin",
    ]
    for one in (graph, pickle.loads(pickle.dumps(graph))):
        assert torch.equal(one(x), Sorts()(x))


@pytest.mark.parametrize("module", MODULES, ids=lambda m: type(m).__name__)
def test_a_traced_network_serves_every_batch(module) -> None:
    f = network(module)
    with torch.no_grad():
        traced = torch.jit.trace(f, normal(3, 8))
        for batch in (1, 3, 1000):
            assert torch.equal(traced(normal(batch, 8)), f(normal(batch, 8)))


def test_ties_keep_their_order_where_gradients_are_wanted() -> None:
    """Outside an export the sort is stable: with equal entries the Jacobian is the identity."""
    x = torch.zeros(1, 64, dtype=torch.float64)
    compiled = torch.compile(lt.full_sort, backend="eager", fullgraph=True)
    for f in (lt.full_sort, compiled):
        J = torch.autograd.functional.jacobian(f, x)[0, :, 0]
        assert torch.equal(J, torch.eye(64).double())
