"""Training a large `orthonormal` layer: its parameter is moved onto its own polar factor."""

import pytest
import torch
from support import uniform
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode

import lipteach as lt

SHAPES = ((192, 192), (208, 176), (176, 208))
TOL = 1e-5


def svd_factor(W: Tensor) -> Tensor:
    U, _, Vh = torch.linalg.svd(W, full_matrices=False)
    return U @ Vh


def far(shape: tuple[int, int], size: float = 0.02, dtype: torch.dtype = torch.float64):
    """A layer whose parameter an optimizer has moved away, and a copy of that parameter."""
    layer = lt.orthonormal(nn.Linear(shape[1], shape[0], bias=False).to(dtype))
    W = original(layer)
    with torch.no_grad():
        W.copy_(svd_factor(uniform(*shape, seed=1)) + size * uniform(*shape, seed=2))
    return layer, W.detach().clone()


def original(layer: nn.Module) -> Tensor:
    return layer.parametrizations.weight.original


@pytest.mark.parametrize("size", [0.02, 1.0])  # near the manifold, and far from it
@pytest.mark.parametrize("shape", SHAPES)
def test_the_weight_is_kept_and_the_gradient_is_that_of_the_moved_parameter(shape, size) -> None:
    layer, before = far(shape, size)
    G = uniform(*shape, seed=3)
    Q = layer.weight
    (Q * G).sum().backward()
    assert torch.linalg.matrix_norm(Q - svd_factor(before), 2) <= TOL
    assert torch.equal(original(layer), Q)
    h, gradient, moved = 1e-4, original(layer).grad, original(layer).detach()
    for seed in (4, 5):
        V = uniform(*shape, seed=seed)  # the derivative in its direction, by differences
        want = ((svd_factor(moved + h * V) - svd_factor(moved - h * V)) * G).sum() / (2 * h)
        assert ((gradient * V).sum() - want).abs() <= TOL * G.norm() * V.norm()
    assert gradient.norm() > 0.1 * G.norm()


def test_evaluation_after_training_gives_the_same_weight() -> None:
    for shape in SHAPES:
        for dtype in (torch.float32, torch.float64):
            layer, _ = far(shape, dtype=dtype)
            trained = layer.weight
            assert torch.equal(layer.eval().weight, trained)
            assert lt.is_orthonormal(trained, TOL)


@pytest.mark.parametrize(
    "look",
    [
        lambda layer: layer.eval().weight,
        lambda layer: layer.requires_grad_(False).weight,
        lambda layer: torch.no_grad()(lambda: layer.weight)(),
        lambda layer: torch.vmap(lambda _: layer.weight)(torch.zeros(1))[0],
    ],
    ids=["eval", "frozen", "no_grad", "vmap"],
)
def test_only_training_moves_the_parameter(look) -> None:
    layer, before = far(SHAPES[0])
    assert torch.linalg.matrix_norm(look(layer) - svd_factor(before), 2) <= TOL
    assert torch.equal(original(layer), before)


def test_a_tensor_in_place_of_the_parameter_is_not_moved() -> None:
    layer, before = far(SHAPES[0])
    tensors = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters()}
    eye = torch.eye(SHAPES[0][1], dtype=torch.float64)
    W = torch.func.functional_call(layer, tensors, eye).mT
    assert torch.linalg.matrix_norm(W - svd_factor(before), 2) <= TOL
    assert torch.equal(*tensors.values(), before)


def test_what_a_weight_is_made_of_is_not_moved() -> None:
    layer, before = far(SHAPES[0])
    given = nn.Parameter(before.clone())
    X = layer.parametrizations.weight[0].right_inverse(given)
    assert torch.linalg.matrix_norm(X - svd_factor(before), 2) <= TOL
    assert torch.equal(given, before)


def test_what_is_almost_on_the_manifold_is_not_written_to() -> None:
    for away, moved in ((2, False), (6, True)):  # in tolerances, of each singular value
        layer, before = far(SHAPES[0], 0.0)
        with torch.no_grad():
            spread = torch.linspace(-1, 1, SHAPES[0][1], dtype=torch.float64)
            before = original(layer).mul_(1 + away * TOL * spread).clone()
        assert not torch.equal(layer.weight, before)
        assert torch.equal(original(layer), before) != moved


@pytest.mark.parametrize("tol", [1e-5, 1e-2, 0.3])
def test_a_loose_tolerance_does_not_loosen_the_gradient(tol: float) -> None:
    spread = 1 + tol / 4 * torch.linspace(-1, 1, 192, dtype=torch.float64)
    W = (svd_factor(uniform(192, 192, seed=1)) * spread).requires_grad_()
    G = uniform(192, 192, seed=2)
    found, want = (
        torch.autograd.grad((lt.polar(W, *asked) * G).sum(), W)[0]
        for asked in ((tol,), (1e-12, "svd"))
    )
    assert (found - want).norm() <= (1e-4 + tol / 20) * want.norm()
    layer = lt.orthonormal(nn.Linear(192, 192, bias=False).double(), tol=tol)
    with torch.no_grad():
        original(layer).mul_(1 + 0.9 * tol)
    assert lt.is_orthonormal(layer.weight, 1e-4)


def test_a_penalty_on_the_parameter_is_written_behind_the_forward_pass() -> None:
    layer, _ = far(SHAPES[0])
    x = uniform(3, SHAPES[0][1])
    (layer(x).sum() + original(layer).square().sum()).backward()
    layer, _ = far(SHAPES[0])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (original(layer).square().sum() + layer(x).sum()).backward()


@pytest.mark.parametrize("change", ["small", "thin", "half precision", "method"])
def test_others_are_not_moved(change: str) -> None:
    n, method = (64 if change == "small" else 192), ("svd" if change == "method" else "auto")
    dtype = torch.bfloat16 if change == "half precision" else torch.float32
    layer = lt.orthonormal(nn.Linear(64 if change == "thin" else n, n), method=method).to(dtype)
    with torch.no_grad():
        original(layer).add_(0.02 * uniform(*original(layer).shape).to(dtype))
    before = original(layer).detach().clone()
    layer.weight.sum().backward()
    assert torch.equal(original(layer), before)


def test_a_weight_of_lower_rank_is_warned_of_and_not_moved() -> None:
    layer, _ = far(SHAPES[0])
    with torch.no_grad():
        original(layer)[:, 0] = 0
    before = original(layer).detach().clone()
    with pytest.warns(lt.RankWarning):
        _ = layer.weight
    assert torch.equal(original(layer), before)


def test_a_layer_that_is_used_twice_in_one_graph_is_moved_once() -> None:
    layer, _ = far(SHAPES[1], dtype=torch.float32)
    x = uniform(3, SHAPES[1][1]).float()
    (layer(x).sum() - 2 * layer(x).sin().sum()).backward()  # torch refuses what was written to
    twice = original(layer).grad.clone()
    layer.zero_grad()
    with parametrize.cached():
        (layer(x).sum() - 2 * layer(x).sin().sum()).backward()
    assert torch.allclose(twice, original(layer).grad, atol=1e-5)


def test_second_derivative_of_the_moved_parameter() -> None:
    layer, _ = far(SHAPES[1])
    G, V = (uniform(*SHAPES[1], seed=seed) for seed in (3, 4))

    def curved(Q: Tensor, W: Tensor) -> Tensor:
        (first,) = torch.autograd.grad((Q * G).sum(), W, create_graph=True)
        return torch.autograd.grad((first * V).sum(), W)[0]

    got = curved(layer.weight, original(layer))
    W = original(layer).detach().requires_grad_()
    want = curved(lt.polar(W, 1e-12, "svd"), W)
    assert (got - want).norm() <= 10 * TOL * want.norm()


class Products(TorchDispatchMode):
    """Counts matrix products in units of n³."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.count = n, 0.0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            *_, a, b = args
            self.count += a.numel() * b.shape[-1] / self.n**3
        return func(*args, **(kwargs or {}))


def test_a_step_of_training_keeps_its_price() -> None:
    """Two products of the gradient; at most 3.3 of the weight; the layer itself is counted too."""
    n = 512
    layer, _ = far((n, n), 0.003, torch.float32)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    x, y = uniform(8, n, seed=5).float(), uniform(8, n, seed=6).float()
    for _ in range(12):
        optimizer.zero_grad()
        with Products(n) as products:
            nn.functional.mse_loss(layer(x), y).backward()
        assert 0 < products.count < 5.5
        optimizer.step()
