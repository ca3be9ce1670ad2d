"""Selections against their matrices, and evaluation in parts against the whole."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import uniform
from torch import nn

import lipteach as lt
from lipteach.primitives import modules


@given(
    index=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_a_selection_is_its_matrix(index: list[int], dtype: torch.dtype) -> None:
    layer = lt.Selection(index, 5).to(dtype)
    x = uniform(2, 3, 5).to(dtype)
    assert layer.weight.dtype == dtype
    assert torch.equal(layer(x), x @ layer.weight.T)
    assert torch.equal(layer(x), x[..., index])
    uses = max(index.count(i) for i in range(5))
    norms = [float(lt.operator_norm(layer.double().weight, p)) for p in (1, 2, math.inf)]
    assert norms == pytest.approx([uses, math.sqrt(uses), 1])


def test_it_is_a_linear_layer_with_nothing_to_train() -> None:
    layer = lt.Selection([1, 0], 2)
    assert isinstance(layer, nn.Linear)
    assert layer.bias is None
    assert not list(layer.parameters())
    assert list(layer.state_dict()) == ["index"]
    assert "2→2, index=[1, 0]" in repr(layer)
    x = uniform(4, 2).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.equal(torch.func.vmap(torch.func.jacrev(layer))(x.detach())[0], layer.weight)


def test_training_tools_leave_it_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2).double(), lt.Selection([0, 0, 0, 0], 2))
    lt.retract_(model)  # a warning of its rank would be an error here
    assert model[1].weight.tolist() == [[1, 0]] * 4
    assert lt.prove(model, lambda x, y: [y[0] == y[1], y[0] == y[3]], None)


def test_an_index_that_is_given_is_not_shared() -> None:
    index = torch.tensor([0, 1])
    layer = lt.Selection(index, 2)
    index[0] = 1
    assert layer.index.tolist() == [0, 1]


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 5, 3), (1, 3)])
def test_parts_are_the_whole(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [lt.linear(uniform(4, 3)), lt.MaxMin(), lt.linear(uniform(2, 4))]
    whole, parts = nn.Sequential(*layers), lt.ChunkedSequential(*layers)
    x = uniform(*shape)
    monkeypatch.setattr(modules, "MOST_ENTRIES", 8)  # two rows at a time
    assert parts(x).shape == whole(x).shape
    assert torch.allclose(parts(x), whole(x), atol=1e-15)


def test_an_empty_batch_is_what_the_modules_make_of_it() -> None:
    layer = lt.linear(uniform(2, 3))
    assert lt.ChunkedSequential(layer)(torch.zeros(2, 0, 3).double()).shape == (2, 0, 2)
    with pytest.raises(ValueError, match="must not be empty"):
        lt.ChunkedSequential(layer, lt.MaxMin())(torch.zeros(0, 3).double())


def test_no_part_is_wider_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    first = lt.linear(uniform(6, 1))
    first.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    monkeypatch.setattr(modules, "MOST_ENTRIES", 20)
    lt.ChunkedSequential(first)(uniform(10, 1))
    assert seen == [3, 3, 3, 1]
    monkeypatch.setattr(modules, "MOST_ENTRIES", 5)
    lt.ChunkedSequential(first)(uniform(2, 1))
    assert seen[4:] == [1, 1], "a point is not divided"
