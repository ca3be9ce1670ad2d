"""Constrained linear layers: the constraint, its gradient, and PyTorch's own habits."""

import copy
import io
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.layers import parametrizations

KINDS = (lt.orthonormal, lt.spectral, lt.linf)


def linear(constrain, *shape: int, seed: int = 0, dtype=torch.float64, **options):
    layer = nn.Linear(shape[1], shape[0]).to(dtype)
    layer.weight.data = uniform(*shape, seed=seed).to(dtype)
    layer.bias.data = uniform(shape[0], seed=seed + 1).to(dtype)
    return constrain(layer, **options)


def holds(layer, tol: float = 1e-5) -> bool:
    """Whether the weight is in the class of its parametrization, by singular values or sums."""
    W = layer.weight.detach().double().flatten(1)
    kind = type(layer.parametrizations.weight[0]).__name__
    if kind == "LInf":
        return bool(W.abs().sum(dim=1).max() <= layer.parametrizations.weight[0].bound + tol)
    sigma = torch.linalg.svdvals(W)
    return bool((sigma if kind == "Orthonormal" else sigma[:1]).sub(1).abs().max() <= tol)


@pytest.mark.parametrize("constrain", KINDS)
@settings(max_examples=25, deadline=None)
@given(m=st.integers(1, 7), n=st.integers(1, 7), seed=st.integers(0, 99))
def test_the_constraint_holds_for_every_shape_and_dtype(constrain, m, n, seed) -> None:
    for dtype in (torch.float32, torch.float64):
        layer = linear(constrain, m, n, seed=seed, dtype=dtype)
        assert holds(layer)
        assert layer.weight.dtype == dtype
        layer.weight = 3 * uniform(m, n, seed=seed + 7).to(dtype)
        assert holds(layer)


def test_the_weight_is_the_polar_factor_the_ratio_or_the_projection() -> None:
    W = 2 * uniform(4, 3)
    layers = [linear(constrain, 4, 3) for constrain in KINDS]
    for layer in layers:
        layer.parametrizations.weight.original.data = W
    U, sigma, Vh = torch.linalg.svd(W, full_matrices=False)
    assert torch.allclose(layers[0].weight, U @ Vh, atol=1e-5)
    assert torch.allclose(layers[1].weight, W / sigma[0], atol=1e-12)
    assert torch.equal(layers[2].weight, lt.project_linf_norm(W))


def test_spectral_is_exact_at_once_and_after_the_weight_is_replaced() -> None:
    """Two singular values close to each other, where power iteration would not have converged."""
    layer = lt.spectral(nn.Linear(50, 50))
    for top in (1.0, 1.001, 40.0):
        sigma = torch.linspace(top, 0.999, 50)
        Q, P = (torch.linalg.qr(uniform(50, 50, seed=s))[0].float() for s in (1, 2))
        layer.weight = Q @ torch.diag(sigma) @ P
        for mode in (True, False):
            norm = torch.linalg.matrix_norm(layer.train(mode).weight.detach(), 2)
            assert abs(norm - 1) < 1e-5
        assert torch.linalg.svdvals(layer.weight.detach())[1] > 0.02, "not a polar factor"


def test_linf_keeps_inside_rows_to_the_bit_and_its_bound_has_an_effect() -> None:
    W = torch.tensor([[0.3, -0.2, 0.1], [0.8, -0.6, 0.1], [0.5, -0.25, 0.25], [0.0, 0.0, 0.0]])
    layer = lt.linf(nn.Linear(3, 4))
    layer.parametrizations.weight.original.data = W
    rows = layer.weight.detach()
    assert torch.equal(rows[[0, 2, 3]], W[[0, 2, 3]])
    assert torch.allclose(rows[1], torch.tensor([0.6, -0.4, 0.0]))
    wide = lt.linf(nn.Linear(3, 4), bound=2.0)
    wide.weight = 10 * W
    assert float(wide.weight.detach().abs().sum(1).max()) == pytest.approx(2.0)


@pytest.mark.parametrize("constrain", KINDS)
def test_a_member_comes_back(constrain) -> None:
    Q = linear(constrain, 5, 3, seed=4).weight.detach()
    layer = linear(constrain, 5, 3)
    layer.weight = Q
    assert torch.allclose(layer.weight, Q, atol=1e-12 if constrain is lt.linf else 1e-5)
    exact = torch.linalg.qr(uniform(5, 3, seed=5))[0]
    layer = lt.orthonormal(nn.Linear(3, 5).double(), tol=1e-13)
    layer.weight = exact
    assert torch.allclose(layer.weight, exact, atol=1e-13)


@pytest.mark.parametrize("constrain", KINDS)
def test_the_gradient_is_that_of_finite_differences(constrain) -> None:
    """Through the layer, so that a detached term of the weight would show."""
    layer = linear(constrain, 3, 4, **({"tol": 1e-13} if constrain is lt.orthonormal else {}))
    start = 1.7 * layer.weight.detach() + 0.1 * uniform(3, 4, seed=8)
    x = uniform(5, 4, seed=3)

    def loss(W):
        name = "parametrizations.weight.original"
        return torch.func.functional_call(layer, {name: W}, (x,)).square().sum(dim=1)

    assert torch.autograd.gradcheck(loss, (start.requires_grad_(),), atol=1e-7)


@pytest.mark.parametrize("constrain", KINDS)
def test_nothing_goes_stale_in_evaluation(constrain) -> None:
    layer = linear(constrain, 4, 4).eval()
    before = layer.weight.detach().clone()
    with torch.no_grad():
        layer.parametrizations.weight.original += 0.5 * uniform(4, 4, seed=9)
    after = layer.weight.detach()
    assert holds(layer)
    assert not torch.allclose(before, after)
    assert torch.equal(after, layer.train().weight)
    assert not list(layer.buffers())


@pytest.mark.parametrize("constrain", KINDS)
def test_copies_and_saved_states_are_the_same_layer(constrain) -> None:
    layer = linear(constrain, 4, 3)
    twin = copy.deepcopy(layer)
    assert torch.equal(twin.weight, layer.weight)
    with torch.no_grad():
        twin.parametrizations.weight.original += uniform(4, 3, seed=2)
    assert not torch.equal(twin.weight, layer.weight), "a copy shares nothing"
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = linear(constrain, 4, 3, seed=6)
    other.load_state_dict(torch.load(file), strict=True)
    assert torch.equal(other.weight, layer.weight)
    with pytest.raises(RuntimeError, match="state_dict"):  # as torch's own parametrizations do
        pickle.dumps(layer)
    plain = pickle.loads(pickle.dumps(lt.export(layer)))
    assert torch.allclose(plain.weight, layer.weight, atol=1e-14)


@pytest.mark.parametrize("constrain", KINDS)
def test_autocast_and_half_precision(constrain) -> None:
    layer = linear(constrain, 6, 5, dtype=torch.float32)
    x = uniform(2, 5).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.weight.dtype == torch.float32
        assert holds(layer)
        assert layer(x).dtype == torch.bfloat16
        layer(x).float().sum().backward()
    half = linear(constrain, 6, 5, dtype=torch.bfloat16)
    assert half.weight.dtype == torch.bfloat16
    assert holds(half, tol=0.02)


def test_cached_computes_the_weight_once() -> None:
    layer = linear(lt.orthonormal, 4, 3)
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


def test_another_parameter_of_a_layer() -> None:
    layer = nn.Linear(3, 3)
    layer.extra = nn.Parameter(uniform(4, 2).float())
    lt.orthonormal(layer, name="extra")
    assert lt.is_orthonormal(layer.extra)
    assert not lt.is_orthonormal(layer.weight)


@pytest.mark.parametrize("method", ["auto", "bjorck", "polynomial", "svd"])
def test_tolerance_and_method_reach_polar(method: str) -> None:
    layer = lt.orthonormal(nn.Linear(6, 6).double(), tol=1e-9, method=method)
    layer.weight = uniform(6, 6)
    gram = layer.weight.mT @ layer.weight
    assert torch.linalg.matrix_norm(gram - torch.eye(6), 2) <= 1.01e-9


def test_maxmin_between_orthonormal_layers_is_an_isometry_at_ties() -> None:
    net = nn.Sequential(
        *(lt.orthonormal(nn.Linear(4, 4, bias=False).double(), tol=1e-12) for _ in range(2))
    )
    net.insert(1, lt.MaxMin())
    points = torch.zeros(1, 4, dtype=torch.float64), uniform(1, 4)
    for x in points:  # at zero every pair ties
        J = torch.func.jacrev(lambda x: net(x[None])[0])(x[0])
        assert torch.allclose(J @ J.T, torch.eye(4, dtype=torch.float64), atol=1e-10)


def test_square_root_sizes_are_not_special() -> None:
    """A row, a column, and one number."""
    for shape in ((1, 5), (5, 1), (1, 1)):
        for constrain in KINDS:
            layer = linear(constrain, *shape)
            norm = math.inf if constrain is lt.linf else 2
            assert torch.linalg.matrix_norm(layer.weight.detach(), norm) <= 1 + 1e-5


def test_a_float32_svd_that_fails_is_done_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """LAPACK's float32 iteration gives up on a rare matrix in training."""
    layer = lt.spectral(nn.Linear(5, 4))
    exact, matrix_norm = layer.weight.detach(), torch.linalg.matrix_norm

    def fails(X, *args):
        if X.dtype == torch.float32:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        return matrix_norm(X, *args)

    monkeypatch.setattr(torch.linalg, "matrix_norm", fails)
    assert torch.allclose(layer.weight, exact)
    layer.weight.sum().backward()
    assert layer.parametrizations.weight.original.grad is not None


def test_the_factor_is_computed_once_when_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch would compute it again, only to see that its shape and dtype are kept."""
    shapes = []

    def counted(W, *settings):
        shapes.append(tuple(W.shape))
        return lt.polar(W, *settings)

    monkeypatch.setattr(parametrizations, "polar", counted)
    layer = lt.orthonormal(nn.Linear(5, 4))
    assert shapes == [(4, 5)]
    assert lt.is_orthonormal(layer.weight)
    with pytest.raises(ValueError, match="dtype"):
        layer.weight = torch.eye(4, 5).double()
