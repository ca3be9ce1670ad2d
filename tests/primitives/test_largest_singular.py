"""Large spectral layers beside the singular value decomposition: value, gradient, certificate."""

import pytest
import torch
from torch import Tensor, nn

import lipteach as lt
from lipteach.primitives._fast import largest_singular

N = 300  # more than the size up to which the plain form is taken


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def with_values(sigma: Tensor) -> Tensor:
    Q, P = (torch.linalg.qr(gaussian(N, N, seed=seed)).Q for seed in (1, 2))
    return Q @ torch.diag(sigma) @ P


def padded(*top: float) -> Tensor:
    return torch.cat([torch.tensor(top), torch.linspace(0.5, 0, N - len(top))])


MATRICES = {
    "Gaussian": gaussian(N, N),
    "uniform": gaussian(N, N).erf(),
    "tall": gaussian(2 * N, N),
    "wide": gaussian(N, 2 * N),
    "two near the top": with_values(padded(1.0, 0.9999)),
    "diagonal, clustered": torch.diag(padded(1.0, 0.999, 0.998)),
    "no gap": torch.diag(1 - 0.001 * torch.arange(N)),
    "orthonormal": with_values(torch.ones(N)),
    "identity": torch.eye(N),
    "rank one": torch.outer(gaussian(N), gaussian(N, seed=1)),
    "one entry": torch.zeros(N, N).index_fill(0, torch.tensor(5), 2.0),
    "tiny": 1e-30 * gaussian(N, N),
    "huge": 1e30 * gaussian(N, N),
}
GAPS = ("Gaussian", "uniform", "tall", "wide", "rank one", "tiny", "huge", "diagonal, clustered")


@pytest.mark.parametrize("name", MATRICES)
def test_a_large_spectral_weight_has_norm_one_from_below(name: str) -> None:
    """Fresh, after a replacement, in training and in evaluation alike."""
    W = MATRICES[name]
    layer = lt.spectral(nn.Linear(W.shape[1], W.shape[0]))
    layer.weight = W
    layer.parametrizations.weight.original.data = W
    weights = [layer.train(mode).weight.detach() for mode in (True, False, True)]
    assert all(torch.equal(weights[0], other) for other in weights[1:])
    norm = torch.linalg.svdvals(weights[0].double())[0].item()
    assert 1 - 2.5e-4 <= norm <= 1 + 2e-6
    want = W.double() / torch.linalg.svdvals(W.double())[0]
    assert (weights[0] - want).norm() <= 2.5e-4 * want.norm()


@pytest.mark.parametrize("name", GAPS)
def test_its_gradient_is_that_of_the_decomposition(name: str) -> None:
    """For an upstream gradient of which the part along u vᵀ is not small."""
    W = MATRICES[name]
    G = gaussian(*W.shape, seed=7) / max(W.shape) + (W / W.double().norm()).float()
    V = W.double().requires_grad_()
    (want,) = torch.autograd.grad(V / torch.linalg.matrix_norm(V, 2), V, G.double())
    X = W.clone().requires_grad_()
    ratio = largest_singular.over_norm(X)
    assert ratio is not None
    (got,) = torch.autograd.grad(ratio, X, G)
    assert (got - want).norm() <= 5e-4 * want.norm()


def test_what_lanczos_misses_the_certificate_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    W = torch.diag(padded(1.0, 0.99))
    second = torch.eye(N)[1]
    monkeypatch.setattr(largest_singular, "_top_eigenvector", lambda G: second)
    assert largest_singular.over_norm(W) is None
    layer = lt.spectral(nn.Linear(N, N))
    layer.parametrizations.weight.original.data = W
    assert torch.linalg.matrix_norm(layer.weight.detach(), 2).item() == pytest.approx(1, abs=1e-6)


def test_a_large_zero_is_refused() -> None:
    layer = lt.spectral(nn.Linear(N, N))
    layer.parametrizations.weight.original.data.zero_()
    with pytest.raises(ValueError, match="must not be zero"):
        layer(torch.ones(1, N))


def test_a_norm_beyond_float32_is_said() -> None:
    layer = lt.spectral(nn.Linear(N, N))
    layer.parametrizations.weight.original.data = 2e37 * gaussian(N, N)
    with pytest.raises(ValueError, match="float32"):
        layer(torch.ones(1, N))


def test_it_makes_no_decomposition_but_cholesky_and_small_ones() -> None:
    layer = lt.spectral(nn.Linear(N, N))
    with torch.profiler.profile(record_shapes=True) as seen:
        layer(torch.ones(1, N)).sum().backward()
    large = [
        e.name
        for e in seen.events()
        if "linalg" in e.name and "norm" not in e.name and [N, N] in e.input_shapes
    ]
    assert set(large) == {"aten::linalg_cholesky_ex"}


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    layer = lt.spectral(nn.Linear(N, N))
    weight = layer.parametrizations.weight.original
    (slope,) = torch.autograd.grad(layer.weight.square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()
    x = torch.ones(2, N, requires_grad=True)  # that of a penalty on input gradients is none
    (slope,) = torch.autograd.grad(layer(x).square().sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_under_a_transform_it_is_the_plain_form(dtype: torch.dtype) -> None:
    layer = lt.spectral(nn.Linear(N, N, dtype=dtype))
    W = layer.parametrizations.weight.original.detach()
    call = torch.func.vmap(lambda W: layer.parametrizations.weight[0](W))
    norms = torch.linalg.matrix_norm(call(torch.stack([W, 2 * W])), 2)
    torch.testing.assert_close(norms, torch.ones(2, dtype=dtype), rtol=0, atol=1e-5)
