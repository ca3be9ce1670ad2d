"""The fast forms of MaxMin, of projections and of the polar factor beside the plain ones."""

import pytest
import torch
from support import svd_polar, uniform
from torch import Tensor

import lipteach as lt
from lipteach.primitives._fast import pairs
from lipteach.primitives.activations import sort_groups
from lipteach.primitives.polar import METHODS, plain_polar


def derivatives(f, x: Tensor, G: Tensor, H: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """f(x), the gradient of ⟨f(x), G⟩, and the gradient of ⟨that of ‖f(x)‖³, H⟩."""
    x = x.detach().clone().requires_grad_()
    y = f(x)
    (first,) = torch.autograd.grad(y, x, G, retain_graph=True)
    (slope,) = torch.autograd.grad((y * G).pow(3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(slope, x, H)
    return y.detach(), first, second


# From below to above each of the sizes at which maxmin goes another way.
@pytest.mark.parametrize("shape", [(2, 6), (40, 30), (600, 128), (400, 512)])
@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_maxmin_is_the_stable_sort(shape: tuple[int, int], dim: int, levels: int) -> None:
    x = (levels * uniform(*shape, low=0)).floor()  # one level: ties alone
    G, H = uniform(*shape, seed=1), uniform(*shape, seed=2)
    fast = derivatives(lambda x: lt.maxmin(x, dim), x, G, H)
    plain = derivatives(lambda x: sort_groups(x, 2, dim, True), x, G, H)
    assert all(map(torch.equal, fast, plain))


def test_every_way_of_sorting_pairs_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for name in ("_sort_by_index", "_sort", "_swap_where"):
        way = getattr(pairs, name)
        note = lambda *args, way=way, name=name: (taken.append(name), way(*args))[1]  # noqa: E731
        monkeypatch.setattr(pairs, name, note)
    for shape in ((2, 6), (200, 100), (400, 512)):
        lt.maxmin(torch.ones(shape))
    torch.vmap(lt.maxmin)(torch.ones(2, 40000))
    assert taken == ["_sort_by_index", "_sort", "_swap_where"]


@pytest.mark.parametrize("radius", [0.3, 1.0, 30.0])
@pytest.mark.parametrize("levels", [1, 4, 10**6])
@pytest.mark.parametrize("shape", [(1, 7), (40, 30), (300, 500), (3, 70000)])
def test_a_projection_is_that_by_sorting(shape, levels: int, radius: float) -> None:
    """Rows inside and outside by turns, in several pieces of memory, with ties and zeros."""
    sizes = 10.0 ** (torch.arange(shape[0]) % 5 - 2)[:, None] / shape[1]
    y = sizes * (levels * uniform(*shape)).ceil() / levels
    G, H = uniform(*shape, seed=1), uniform(*shape, seed=2)
    fast = derivatives(lambda y: lt.project_l1_ball(y, radius), y, G, H)
    plain = derivatives(torch.vmap(lambda y: lt.project_l1_ball(y, radius)), y, G, H)
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13 * radius)
    inside = y.abs().sum(dim=1) <= radius
    assert torch.equal(fast[0][inside], y[inside])


@pytest.mark.parametrize("outside", [0, 3, 50])
def test_rows_inside_cost_one_sum_and_no_row_a_sort(outside: int) -> None:
    """Counted: entries that pass through `relu`, once for each of Newton's steps and at the end."""
    y = uniform(50, 200, low=0) / 200
    y[:outside] *= 10
    with torch.profiler.profile(record_shapes=True) as seen:
        lt.project_l1_ball(y)
    names = [(event.name, event.input_shapes) for event in seen.events()]
    rows = [shapes[0] for name, shapes in names if name in ("aten::relu", "aten::relu_")]
    assert not any("sort" in name for name, _ in names)
    assert all(shape == [outside, 200] for shape in rows)
    assert (len(rows) > 0) == (outside > 0)


@pytest.mark.parametrize("sigma", [(2, 2, 2), (1, 1, 0.5), (3, 2, 0.1), (1.1, 1, 0.9)])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5), (2, 4, 3)])
@pytest.mark.parametrize("method", METHODS)
def test_polar_is_the_plain_factor(method: str, shape, sigma) -> None:
    """Equal singular values are no tie to either; the gradient of torch's own SVD divides by 0."""
    *batch, m, n = shape
    U, V = svd_polar(uniform(*batch, m, 3)), svd_polar(uniform(*batch, n, 3, seed=3))
    W = U * torch.tensor(sigma) @ V.mT
    G, H = uniform(*shape, seed=1), uniform(*shape, seed=2)
    fast = derivatives(lambda W: lt.polar(W, 1e-13, method), W, G, H)
    plain = derivatives(lambda W: plain_polar(W.mT).mT if m < n else plain_polar(W), W, G, H)
    for ours, theirs in zip(fast, plain, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(3, 3), (5, 3)])
def test_the_plain_gradient_is_that_of_the_decomposition(shape: tuple[int, int]) -> None:
    W, G, H = uniform(*shape), uniform(*shape, seed=1), uniform(*shape, seed=2)
    for ours, theirs in zip(
        derivatives(plain_polar, W, G, H), derivatives(svd_polar, W, G, H), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)
