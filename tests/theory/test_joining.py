"""Networks joined into one: values, blocks, norms and traps of appendix E."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lattice_support import random_network
from support import uniform
from torch import nn

import lipteach as lt


@given(
    p=st.sampled_from([1, 2, math.inf]),
    n=st.integers(1, 4),
    m=st.integers(1, 3),
    hidden=st.lists(st.sampled_from([2, 4, 6]), max_size=3),
    other=st.lists(st.sampled_from([2, 4, 6]), max_size=3),
    permutation=st.booleans(),
)
def test_maximum_and_minimum(p, n, m, hidden, other, permutation) -> None:
    f, g = random_network([n, *hidden, m], p), random_network([n, *other, m], p, seed=50)
    x = uniform(40, n, low=-3, high=3, seed=7)
    largest = lt.maximum(f, g, permutation=permutation)
    smallest = lt.minimum(f, g, permutation=permutation)
    assert torch.allclose(largest(x), torch.maximum(f(x), g(x)), atol=1e-14)
    assert torch.allclose(smallest(x), torch.minimum(f(x), g(x)), atol=1e-14)
    for network in (largest, smallest, lt.stack(f, g)):
        assert lt.in_lipschitz_class(network, p)
        assert all(isinstance(module, nn.Linear | lt.MaxMin) for module in network)


def test_stack_puts_one_above_the_other() -> None:
    f, g = random_network([3, 4, 2, 1], 2), random_network([3, 2, 6, 2], 2, seed=9)
    both = lt.stack(f, g)
    assert [tuple(both[k].weight.shape) for k in (0, 2, 4)] == [(6, 3), (8, 6), (3, 8)]
    assert torch.equal(both[0].weight, torch.cat([f[0].weight, g[0].weight]))
    assert torch.equal(both[2].weight, torch.block_diag(f[2].weight, g[2].weight))
    x = uniform(5, 7, 3)
    assert torch.allclose(both(x), torch.cat([f(x), g(x)], dim=-1), atol=1e-14)


def test_the_transpose_of_the_appendix_has_another_shape() -> None:
    f, g = random_network([3, 4, 1], 2), random_network([3, 4, 1], 2, seed=9)
    literal = torch.cat([f[0].weight, g[0].weight], dim=1).T
    assert tuple(literal.shape) == (6, 4)  # it takes 4 numbers, and x has 3
    with pytest.raises(RuntimeError):
        torch.cat([random_network([3, 4, 1], 2)[0].weight, lt.w_network()[0].weight[:2]], dim=1)


def test_the_norms_of_a_stack_are_the_larger_ones() -> None:
    f, g = lt.linear([[0.5, 0.0]]), lt.linear([[0.0, 1.0]])
    both = lt.stack(nn.Sequential(f), nn.Sequential(g))
    assert lt.mixed_norm(both[0].weight, 2) == 1
    assert lt.operator_norm(both[0].weight, 2) == 1
    same = lt.stack(nn.Sequential(g), nn.Sequential(g))
    assert lt.mixed_norm(same[0].weight, 2) == 1
    assert lt.operator_norm(same[0].weight, 2) == pytest.approx(math.sqrt(2))  # why not the 2-norm


@given(hidden=st.lists(st.sampled_from([2, 4, 6]), max_size=2), more=st.integers(0, 3))
def test_padding_changes_nothing(hidden: list[int], more: int) -> None:
    for m in (1, 3):
        f = random_network([2, *hidden, m], math.inf)
        padded = lt.pad_depth(f, len(hidden) + 1 + more)
        x = uniform(30, 2, low=-3, high=3)
        assert torch.allclose(padded(x), f(x), rtol=1e-15, atol=1e-15)  # some processors fuse
        assert sum(isinstance(module, nn.Linear) for module in padded) == len(hidden) + 1 + more
        assert lt.in_lipschitz_class(padded, math.inf)


@pytest.mark.parametrize("bias", [True, False])
def test_neighbouring_linear_layers_are_merged(bias: bool) -> None:
    layers = [nn.Linear(2, 3), nn.Linear(3, 4, bias=bias), lt.MaxMin(), lt.Selection([2, 0], 4)]
    f = nn.Sequential(*layers, nn.Linear(2, 1, bias=bias)).double()
    for parameter in f.parameters():
        parameter.data = uniform(*parameter.shape, seed=parameter.numel())
    merged, x = lt.pad_depth(f, 2), uniform(20, 2)
    assert [type(module) for module in merged] == [nn.Linear, lt.MaxMin, nn.Linear]
    assert torch.allclose(merged(x), f(x), atol=1e-14)


def test_padding_behind_the_output_would_fail() -> None:
    """The trap: a scalar has no partner, and two unsorted outputs are exchanged."""
    f = random_network([1, 4, 1], math.inf)
    with pytest.raises(ValueError, match="even length along dim; got length 1"):
        nn.Sequential(*f, lt.Selection([0], 1), lt.MaxMin())(torch.zeros(1, 1).double())
    two = random_network([1, 4, 2], math.inf, seed=3)
    x = uniform(50, 1, low=-3, high=3)
    assert not torch.allclose(nn.Sequential(*two, lt.MaxMin())(x), two(x))
    assert torch.equal(lt.pad_depth(two, 4)(x), two(x))


def test_an_affine_member_meets_a_deep_one() -> None:
    f, g = nn.Sequential(lt.linear([[1.0]], [0.2])), lt.w_network()
    h = lt.maximum(f, g)
    proof = lt.prove(h, lambda x, y: [y[0] >= x[0] + 0.2], None, tol=1e-9)
    assert proof
    x = uniform(100, 1, low=-4, high=4)
    assert torch.allclose(h(x), torch.maximum(f(x), g(x)))


def test_maximum_is_proved_for_every_input() -> None:
    h = lt.maximum(lt.abs_network(math.inf), nn.Sequential(lt.linear([[0.5]], [1.0])))
    assert lt.prove(h, lambda x: lt.terms.Max(abs(x[0]), x[0] / 2 + 1), None)


def test_an_odd_width_is_refused() -> None:
    odd = nn.Sequential(lt.linear([[1.0]] * 3), lt.MaxMin(), lt.linear([[1.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"must be even.*f has 3 units in hidden layer 1"):
        lt.maximum(odd, odd)


def test_a_pair_across_two_networks_of_odd_width_mixes_them() -> None:
    """The trap itself: 3 units of f above 3 of g, sorted in pairs, are not f beside g."""
    f = torch.tensor([1.0, 2.0, 3.0]).double()
    g = torch.tensor([9.0, 5.0, 4.0]).double()
    joint = lt.maxmin(torch.cat([f, g]))
    assert joint.tolist() == [2, 1, 9, 3, 5, 4]  # the third unit of f has become 9


def test_two_selections_make_a_selection() -> None:
    f = lt.pad_depth(nn.Sequential(lt.linear([[1.0, 0.0]])), 4)
    both = lt.stack(f, f)
    assert [type(layer).__name__ for layer in both[2::2]] == ["Selection"] * 3


def test_the_networks_joined_are_not_changed() -> None:
    f = random_network([2, 4, 1], 2)
    before = f[0].weight.clone()
    h = lt.maximum(f, f)
    h[0].weight.data.zero_()
    assert torch.equal(f[0].weight, before)
    padded = lt.pad_depth(f, 5)
    deeper = lt.pad_depth(padded, 7).float()
    assert not set(padded.modules()) & set(deeper.modules())
    assert padded[-1].weight.dtype == padded[2].weight.dtype == torch.float64
    assert len(list(deeper.modules())) == 1 + len(deeper), "no layer stands twice"


def test_trained_weights_in_float32_are_taken() -> None:
    f = nn.Sequential(nn.Linear(2, 4), lt.MaxMin(), nn.Linear(4, 1, bias=False))
    h = lt.maximum(f, f)
    x = uniform(5, 2)
    assert torch.allclose(h(x), f.double()(x))
    assert h(x).dtype == torch.float64
    assert not any(p.requires_grad for p in h.parameters())


@pytest.mark.parametrize("weights", [(1e-200, 1e-200, 1e300), (1e200, 1e200, 1e-300)])
def test_layers_whose_product_is_no_float_are_not_merged(weights) -> None:
    """The run is positive and finite; that of the merged weights would be 0 or infinite."""
    f = nn.Sequential(*(lt.linear([[w]]) for w in weights))
    x = torch.tensor([1e200 if weights[0] < 1 else 1e-100], dtype=torch.float64)
    assert 0 < float(f(x)) < math.inf
    for join in (lambda: lt.pad_depth(f, 2), lambda: lt.maximum(f, f), lambda: lt.stack(f, f)):
        with pytest.raises(ValueError, match=r"below the range of float64|W must be finite"):
            join()
    shift = nn.Sequential(lt.linear([[1.0]], [1e-200]), lt.linear([[1e-200]]))
    with pytest.raises(ValueError, match="below the range"):
        lt.pad_depth(shift, 2)


def test_a_sort_along_another_dimension_is_not_joined() -> None:
    f = nn.Sequential(lt.linear(torch.eye(2)), lt.MaxMin(dim=0), lt.linear(torch.eye(2)))
    with pytest.raises(ValueError, match=r"with MaxMin between; it has a MaxMin"):
        lt.stack(f, f)


def test_a_chunked_network_beside_a_plain_one_stays_chunked() -> None:
    f = lt.abs_network(math.inf)
    for pair in ((lt.ChunkedSequential(*f), f), (f, lt.ChunkedSequential(*f))):
        assert type(lt.maximum(*pair)) is lt.ChunkedSequential
    assert type(lt.maximum(f, f)) is nn.Sequential
