"""Gradients projected on the tangent space of the orthonormal matrices."""

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt


def with_gradients(*layers: nn.Module) -> nn.Sequential:
    """Retracted layers in float64, with gradients that point anywhere."""
    net = lt.retract_(nn.Sequential(*layers).double(), tol=1e-12)
    for i, p in enumerate(net.parameters()):
        p.grad = uniform(*p.shape, seed=i)
    return net


def parts(layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight and its gradient as tall matrices."""
    W, G = layer.weight.detach().flatten(1), layer.weight.grad.flatten(1)
    return (W, G) if len(W) >= W.shape[1] else (W.T, G.T)


def test_the_gram_matrix_stands_still_to_first_order() -> None:
    """Wᵀ G + Gᵀ W = 0 for tall and square weights, W Gᵀ + G Wᵀ = 0 for wide ones."""
    net = with_gradients(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2), nn.Conv2d(2, 8, 2, 2))
    biases = [layer.bias.grad.clone() for layer in net]
    assert lt.make_tangent_(net) is net
    for layer, bias in zip(net, biases, strict=True):
        W, G = parts(layer)
        slope = W.T @ G + G.T @ W
        torch.testing.assert_close(slope, torch.zeros_like(slope))
        assert G.norm() > 0.1
        assert torch.equal(layer.bias.grad, bias)


@pytest.mark.parametrize(("m", "n"), [(6, 4), (4, 6), (5, 5), (1, 3), (3, 1)])
def test_it_is_an_orthogonal_projection(m: int, n: int) -> None:
    """Idempotent and self-adjoint: ⟨P G, H⟩ = ⟨G, P H⟩; and what it drops is symmetric."""
    net = with_gradients(nn.Linear(n, m, bias=False))
    G, H = uniform(m, n, seed=5), uniform(m, n, seed=6)
    found = []
    for given in (G, H):
        net[0].weight.grad = given.clone()
        found.append(lt.make_tangent_(net)[0].weight.grad.clone())
    assert float((found[0] * H).sum()) == pytest.approx(float((G * found[1]).sum()), abs=1e-12)
    again = lt.make_tangent_(net)[0].weight.grad
    torch.testing.assert_close(again, found[1])
    W, dropped = net[0].weight.detach(), G - found[0]
    S = W.T @ dropped if m >= n else dropped @ W.T
    torch.testing.assert_close(S, S.T)
    torch.testing.assert_close(W @ S if m >= n else S @ W, dropped)


def test_a_square_weight_is_projected_as_a_tall_one_is() -> None:
    """On the manifold both sides agree; off it the docstring's formula is that of the columns."""
    layer = nn.Linear(3, 3).double()
    W, G = layer.weight.data.clone(), uniform(3, 3, seed=4)
    layer.weight.grad = G.clone()
    want = G - W @ (W.T @ G + G.T @ W) / 2
    torch.testing.assert_close(lt.make_tangent_(layer).weight.grad, want)


def test_shared_weights_are_projected_once_and_others_are_left_alone() -> None:
    """Off the manifold a second projection would show."""
    shared, missing = nn.Linear(3, 3), nn.Linear(3, 3)
    held, overlapping = lt.orthonormal(nn.Linear(3, 3)), nn.Conv2d(2, 2, 3)
    selection, norm = lt.Selection([0, 1], 2), nn.BatchNorm1d(3)
    net = nn.Sequential(shared, nn.Sequential(shared), held, overlapping, norm, selection, missing)
    net.append(lt.Scale(2.0))
    for i, p in enumerate(net.parameters()):
        p.grad = uniform(*p.shape, seed=i).float()
    missing.weight.grad = None
    shared.weight.data = 2 * torch.eye(3)
    others = [p for p in net.parameters() if p is not shared.weight and p.grad is not None]
    before = [p.grad.clone() for p in others]
    G = shared.weight.grad.clone()
    lt.make_tangent_(net)
    once = G - 2 * torch.eye(3) @ (G + G.T)
    torch.testing.assert_close(shared.weight.grad, once)
    assert missing.weight.grad is None
    assert all(torch.equal(p.grad, g) for p, g in zip(others, before, strict=True))


def test_a_training_by_tangent_steps_needs_little_retraction() -> None:
    """A step of length t along the tangent leaves the manifold by t², one along G by t."""
    errors = {}
    for tangent in (True, False):
        net = with_gradients(nn.Linear(4, 6, bias=False))
        if tangent:
            lt.make_tangent_(net)
        with torch.no_grad():
            net[0].weight -= 1e-4 * net[0].weight.grad
        W = net[0].weight.detach()
        errors[tangent] = float((W.T @ W - torch.eye(4)).norm())
    assert errors[True] < 1e-6 < 1e-5 < errors[False]


def test_a_convolution_that_has_no_orthonormal_class_is_named() -> None:
    net = nn.Sequential(nn.Conv2d(2, 4, 1, 2, groups=2))
    net[0].weight.grad = torch.ones(4, 1, 1, 1)
    with pytest.raises(ValueError, match=r"0 has no tangent space: .*at most 2 out_channels to be"):
        lt.make_tangent_(net)
    with pytest.raises(TypeError, match=r"model must be an nn\.Module; got int"):
        lt.make_tangent_(3)
