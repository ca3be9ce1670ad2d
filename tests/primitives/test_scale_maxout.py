"""Scale and Maxout: their values and gradients, their bounds, and what is proved of them."""

import copy
import math

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt

NORMS = (1, 2, math.inf)


def test_maxout_is_the_maximum_of_each_group() -> None:
    x = uniform(5, 7, 12)
    for size in (1, 2, 3, 4, 12):
        want = x.numpy().reshape(5, 7, -1, size).max(axis=-1)
        assert (lt.Maxout(size)(x).numpy() == want).all()
        assert torch.equal(lt.Maxout(size)(x), lt.maxout_network(12, size)(x))
    assert repr(lt.Maxout(3)) == "Maxout(size=3)"


def test_the_gradient_of_a_tie_goes_to_one_entry_whole() -> None:
    J = torch.func.jacrev(lt.Maxout(3))(torch.tensor([1.0, 1, 0, 2, 2, 2]))
    assert torch.equal(J @ J.T, torch.eye(2))
    assert J.sum() == 2


@pytest.mark.parametrize("module", [lt.Maxout(2), lt.Maxout(3), lt.Scale(-2.5), lt.Scale(0.0)])
def test_gradients_and_transforms(module: nn.Module) -> None:
    x = uniform(4, 6).requires_grad_()
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(module, x)
    assert torch.equal(torch.func.vmap(module)(x), module(x))
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), module(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_and_shape_are_kept(dtype: torch.dtype) -> None:
    x = uniform(2, 3, 4).to(dtype)
    assert lt.Scale(3.0)(x).dtype == lt.Maxout(2)(x).dtype == dtype
    assert torch.equal(lt.Scale(2)(x), x + x)
    assert torch.equal(lt.Scale(2)(x[0, 0, 0]), 2 * x[0, 0, 0])
    assert repr(lt.Scale(10)) == "Scale(factor=10)"
    assert lt.Scale(1.0).state_dict() == {}


def test_scales_inside_are_a_scale_of_the_output_when_later_biases_are_rescaled() -> None:
    """H.4 with its conditions: √K twice, and K at the end if b₂ → √K·b₂."""
    first, last = (lt.frozen_linear(uniform(4, 4, seed=k), uniform(4, seed=k + 9)) for k in (0, 1))
    x, root = uniform(50, 4, seed=3), math.sqrt(10)
    outside = lt.Scale(10)(last(lt.maxmin(first(x))))

    def inside(bias: torch.Tensor) -> torch.Tensor:
        later = lt.frozen_linear(last.weight, bias)
        return lt.Scale(root)(later(lt.maxmin(lt.Scale(root)(first(x)))))

    torch.testing.assert_close(inside(root * last.bias), outside)
    assert (inside(last.bias) - outside).abs().max() > 0.1
    assert not torch.equal(lt.maxmin(lt.Scale(-1)(x)), lt.Scale(-1)(lt.maxmin(x)))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("factor", [10.0, -0.5, 0.0])
def test_the_bounds_of_a_scale_are_exact(p: float, factor: float) -> None:
    network = nn.Sequential(lt.Scale(factor), lt.Maxout(2), lt.Scale(3.0))
    lower, upper = lt.lipschitz_bounds(network, uniform(5, 6), p)
    assert lower == pytest.approx(3 * abs(factor))
    assert upper == pytest.approx(3 * abs(factor))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("q", NORMS)
def test_no_pair_of_samples_exceeds_the_bounds(p: float, q: float) -> None:
    """The chain of ‖W₁‖_{p,∞} and ∞-norms goes through both modules."""
    W = uniform(12, 4)
    W = W / torch.linalg.vector_norm(W, ord={1: math.inf, 2: 2, math.inf: 1}[q], dim=1)[:, None]
    network = nn.Sequential(lt.frozen_linear(W), lt.Scale(-4.0), lt.Maxout(3), lt.Scale(0.5))
    x, y = uniform(4000, 4, seed=1), uniform(4000, 4, seed=2)
    bounds = lt.lipschitz_bounds(network, x[:20], p)
    for near in (y, x + 1e-3 * y):
        with torch.no_grad():
            moved = torch.linalg.vector_norm(network(x) - network(near), ord=p, dim=1)
        assert (moved / torch.linalg.vector_norm(x - near, ord=p, dim=1)).max() <= bounds.upper
    assert bounds.lower <= bounds.upper
    if p == q:  # rows of dual norm 1: the chain gives 2 in the ∞-norm, and 4 numbers are left
        assert bounds.upper <= 2 * 4 ** (1 / p) * (1 + 1e-12)


def test_maxout_alone_does_not_stretch() -> None:
    for p in NORMS:
        for size in (1, 2, 5):
            network = nn.Sequential(lt.Maxout(size))
            assert lt.lipschitz_bounds(network, uniform(7, 10), p) == (pytest.approx(1), 1.0)


def test_the_audit_lists_a_scale_with_its_norm(capsys) -> None:
    layer = lt.orthonormal(nn.Linear(6, 6))
    network = nn.Sequential(lt.Scale(-2.0), layer, lt.Maxout(2), lt.Scale(5.0))
    found = lt.audit(network, uniform(4, 6).float())
    assert [row.kind for row in found.layers] == ["Scale ×-2", "Linear 6→6", "Scale ×5"]
    assert [row.upper for row in found.layers] == pytest.approx([2, 1, 5])
    assert found.layers[0].method == "its factor"
    assert found.upper == pytest.approx(10)
    assert found.lower == pytest.approx(10)
    assert found.unknown == ""


def test_the_export_keeps_them() -> None:
    network = nn.Sequential(lt.Scale(2.0), lt.linf(nn.Linear(6, 6)), lt.Maxout(3))
    x = uniform(3, 6).float()
    plain = lt.export(network, x)
    assert [type(m).__name__ for m in plain] == ["Scale", "Linear", "Maxout"]
    assert torch.equal(plain(x), network(x))
    assert plain[0].factor == 2
    assert torch.equal(copy.deepcopy(plain)(x), plain(x))


def test_what_is_proved_of_them() -> None:
    assert lt.prove(lt.maxout_network(6, 3), lt.Maxout(3))
    assert lt.prove(lt.Maxout(2), lambda x: [lt.terms.Max(x[0], x[1])], domain=2 * [(None, None)])
    assert lt.prove(lt.Scale(0.1), lambda x: x[0] / 10, domain=[(None, None)])
    before = nn.Sequential(lt.Scale(3.0), lt.MaxMin(), lt.Maxout(2))
    after = nn.Sequential(lt.MaxMin(), lt.Maxout(2), lt.Scale(3.0))
    assert lt.prove(before, after, domain=2 * [(None, None)])
    ahead = nn.Sequential(lt.Maxout(2), lt.frozen_linear([[1.0, 1.0]]))
    assert lt.prove(ahead, lambda x, y: y[0] >= x[1] + x[2])


def test_what_is_refuted_of_them() -> None:
    negative = nn.Sequential(lt.Scale(-1.0), lt.MaxMin())
    found = lt.prove(
        negative, nn.Sequential(lt.MaxMin(), lt.Scale(-1.0)), domain=2 * [(None, None)]
    )
    assert isinstance(found, lt.Counterexample)
    assert torch.equal(negative(found.input), found.output)
    found = lt.prove(lt.Maxout(2), lambda x: [x[0], x[2]], domain=[(-1, 1)] * 4)
    assert isinstance(found, lt.Counterexample)
    assert torch.equal(lt.Maxout(2)(found.input), found.output)
    with pytest.raises(ValueError, match="Maxout needs a length that its size divides; got 3 and"):
        lt.prove(lt.Maxout(2), lambda x: x, domain=3 * [(None, None)])


@pytest.mark.parametrize(
    "factor", [math.nan, math.inf, torch.ones(2), nn.Parameter(torch.ones(()))]
)
def test_a_factor_that_bounds_could_not_read_is_refused_when_it_is_set(factor: object) -> None:
    scale = lt.Scale(2)
    with pytest.raises((TypeError, ValueError), match="factor must be"):
        scale.factor = factor
    scale.factor = 3.0
    assert lt.lipschitz_bounds(nn.Sequential(scale), torch.ones(2, 2)).upper == 3
