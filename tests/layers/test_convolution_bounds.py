"""The bounds of a convolution's norm, against a fine grid and against whole matrices."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch.nn import functional as F

import lipteach as lt
from lipteach.layers import norm_bounds, peak_search


def on_a_grid(K: torch.Tensor, size: int) -> torch.Tensor:
    """The largest norm of the symbol on a fine grid, by FFT: a lower bound of the supremum."""
    symbol = torch.fft.fft2(K, (size, size)).permute(2, 3, 0, 1)
    return torch.linalg.matrix_norm(symbol, 2).max()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (5, 5, 5, 4))),
    seed=st.integers(0, 999),
    smooth=st.booleans(),
)
def test_the_supremum_lies_between_the_bounds(shape, seed: int, smooth: bool) -> None:
    K = uniform(*shape, seed=seed)
    if smooth:  # a low-pass kernel, with its maximum at frequency 0, and a high-pass one
        K = K.abs() * (1.0 if seed % 2 else (-1.0) ** torch.arange(shape[3]))
    low, high = lt.convolution_norm_bounds(K)
    found = on_a_grid(K, 203)  # prime to the grids of the function
    assert found <= high * (1 + 1e-12)
    assert found * 1.01 >= low
    assert high <= 1.002 * low


@pytest.mark.parametrize("stride", [1, 2, 3, (1, 2), (3, 2)])
def test_the_norm_on_images_is_below_and_comes_near(stride) -> None:
    K = uniform(3, 2, 4, 3)
    low, high = lt.convolution_norm_bounds(K, stride)
    images = torch.eye(2 * 18 * 18, dtype=torch.float64).view(-1, 2, 18, 18)
    norm = torch.linalg.matrix_norm(F.conv2d(images, K, stride=stride, padding=2).flatten(1), 2)
    assert norm <= high
    assert norm >= 0.93 * low


def test_a_stride_is_not_treated_as_none() -> None:
    K = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    assert [float(b) for b in lt.convolution_norm_bounds(K, 2)] == pytest.approx([2, 2])
    assert [float(b) for b in lt.convolution_norm_bounds(K)] == pytest.approx([4, 4], rel=1e-3)


def test_one_by_one_and_zero_and_orthogonal_kernels_are_exact() -> None:
    K = uniform(4, 3, 1, 1)
    exact = torch.linalg.matrix_norm(K.flatten(1), 2)
    assert [float(b) for b in lt.convolution_norm_bounds(K)] == pytest.approx(2 * [float(exact)])
    assert [float(b) for b in lt.convolution_norm_bounds(0 * K)] == [0, 0]
    conv = lt.orthonormal(torch.nn.Conv2d(8, 12, 5).double(), tol=1e-12)
    low, high = lt.convolution_norm_bounds(conv.weight.detach())
    assert abs(low - 1) < 1e-9
    assert abs(high - 1) < 1e-9


def test_both_bounds_are_differentiable() -> None:
    K = uniform(2, 3, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lt.convolution_norm_bounds, (K,))
    almost_one_tap = K.detach() * torch.tensor([1.0, 1e-3])  # the bound by the autocorrelation
    assert torch.autograd.gradcheck(
        lambda K: lt.convolution_norm_bounds(K)[1], (almost_one_tap[:, :, :1].requires_grad_(),)
    )


def test_a_bound_that_is_not_taken_is_not_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    bounds, simple_bound = [], norm_bounds._simple_bound

    def keep(S):
        bounds.append(simple_bound(S))
        bounds[-1].retain_grad()
        return bounds[-1]

    monkeypatch.setattr(norm_bounds, "_simple_bound", keep)
    K = uniform(2, 3, 3, 2).requires_grad_()
    _, high = lt.convolution_norm_bounds(K)
    high.backward()
    assert bounds[0] > high
    assert bounds[0].grad is None
    assert K.grad is not None


@pytest.mark.parametrize("exponent", [-600, -540, 530, 1000])
def test_bounds_of_kernels_whose_squares_leave_the_range(exponent: int) -> None:
    kernel = uniform(2, 3, 3, 3)
    bounds = lt.convolution_norm_bounds(kernel * 2.0**exponent)
    for scaled, plain in zip(bounds, lt.convolution_norm_bounds(kernel), strict=True):
        assert float(scaled) == float(plain) * 2.0**exponent


def peak_at(phi: float) -> torch.Tensor:
    """A kernel (2, 2, 1, 2) with ‖K̂(ω)‖₂² = (1 + cos(|ω| − φ)) / 2: 1 at ±φ, and of degree 1."""
    turn = [[math.cos(phi), -math.sin(phi)], [math.sin(phi), math.cos(phi)]]
    taps = torch.eye(2, dtype=torch.float64), torch.tensor(turn, dtype=torch.float64)
    return torch.stack(taps, dim=-1)[:, :, None] / 2


@pytest.fixture
def no_climb(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search stays on its grid: what lies between is for the certificate to cover."""

    def stay(self, point):
        return float(self.squares(point[None])), point

    monkeypatch.setattr(peak_search.Search, "climb", stay)


def test_a_peak_in_the_middle_of_a_cell_is_covered(no_climb: None) -> None:
    low, high = lt.convolution_norm_bounds(peak_at(math.pi / 36))
    assert low < 1 - 9e-4
    assert 1 <= high <= 1 + 1e-4


@pytest.mark.parametrize("height", [0.96, 0.97, 0.99])  # of the squares: 0.92 to 0.98
@pytest.mark.parametrize("level", [6, 18])
def test_a_cell_lower_at_its_corners_than_another_point_is_kept(no_climb, level, height) -> None:
    K = torch.zeros(4, 4, 1, 2, dtype=torch.float64)
    K[:2, :2], K[2:, 2:] = height * peak_at(math.pi), peak_at(math.pi / level)
    low, high = lt.convolution_norm_bounds(K)
    assert low >= 0.998
    assert high >= 1


def test_cells_at_the_corners_are_kept_in_two_dimensions(no_climb: None) -> None:
    for seed in range(12):
        K = uniform(3, 6, 3, 2, seed=seed)
        assert on_a_grid(K, 203) <= lt.convolution_norm_bounds(K)[1]


def test_a_peak_in_the_middle_of_a_cell_is_covered_in_two_dimensions(
    no_climb: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its corners are lower in both directions, and the allowance is for both together."""
    monkeypatch.setattr(peak_search, "LEVELS", (6,))
    K = peak_at(math.pi / 6)[:, :, 0]
    K = torch.einsum("abs, cdt -> acbdst", K, K).reshape(4, 4, 2, 2)  # of norm 1 at the peak
    low, high = lt.convolution_norm_bounds(K)
    assert float(low) == pytest.approx(math.cos(math.pi / 12) ** 2)
    assert 1 <= high <= 1.005


def test_a_square_within_the_margin_is_covered(
    no_climb: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The search stops below a corner which is higher by less than the margin."""
    monkeypatch.setattr(peak_search, "LEVELS", (36,))
    corner = math.cos(math.pi / 72)
    K = torch.zeros(4, 4, 1, 2, dtype=torch.float64)
    K[:2, :2], K[2:, 2:] = corner / 1.000045 * peak_at(math.pi), peak_at(math.pi / 36)
    low, high = lt.convolution_norm_bounds(K)
    assert float(low) == pytest.approx(corner / 1.000045, rel=1e-9)
    assert high >= 1


@pytest.mark.parametrize("seed", [0, 15, 25])
def test_the_climb_ends_on_the_highest_point_of_the_finest_grid(seed: int) -> None:
    """Its best direction turns on the way, so that it must be asked once more at the end."""
    K = uniform(3, 4, 1, 3, seed=seed)
    symbol = torch.fft.fft2(K, (1, peak_search.FINEST)).permute(2, 3, 0, 1)
    highest = torch.linalg.matrix_norm(symbol, 2).max()
    low, _ = lt.convolution_norm_bounds(K)
    assert float(low) == pytest.approx(float(highest), rel=1e-9)


def test_float32_is_bounded_as_float64_is() -> None:
    K = uniform(16, 12, 3, 3)
    for found, exact in zip(
        lt.convolution_norm_bounds(K.float(), 2), lt.convolution_norm_bounds(K, 2), strict=True
    ):
        assert float(found) == pytest.approx(float(exact), rel=1e-4)


def test_the_work_of_a_fresh_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its norm is flat over the frequencies, and still few of 650 points of the grid are asked."""
    asked, may_exceed = [], peak_search.Search.may_exceed

    def count(self, points, square):
        asked.append(len(points))
        return may_exceed(self, points, square)

    monkeypatch.setattr(peak_search.Search, "may_exceed", count)
    K = uniform(48, 48, 3, 3).float()
    low, high = lt.convolution_norm_bounds(K, 2)
    assert high <= 1.002 * low
    assert 180 < sum(asked) < 500


def on_a_torus(K: torch.Tensor, size: int, stride: int, dilation: int, groups: int) -> float:
    """The norm of the map of signals of that length with circular padding, by its matrix."""
    c_in, extent = K.shape[1] * groups, dilation * (K.shape[2] - 1)
    signals = torch.eye(c_in * size, dtype=K.dtype).view(-1, c_in, size)
    around = signals.repeat(1, 1, 1 + -(-extent // size))[..., : size + extent]
    rows = F.conv1d(around, K, stride=stride, dilation=dilation, groups=groups)
    return float(torch.linalg.matrix_norm(rows.flatten(1), 2))


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 6])
def test_stride_dilation_and_groups_together(stride: int, dilation: int, groups: int) -> None:
    """On a torus whose size the stride divides the norm is below, and comes near on a large one."""
    K = uniform(2 * groups, 3, 5, seed=stride + 10 * dilation + 100 * groups)
    K[:2] *= 0.3  # the largest group is not the first
    low, high = lt.convolution_norm_bounds(K, stride, dilation, groups)
    found = [on_a_torus(K, size, stride, dilation, groups) for size in (12, 120)]
    assert max(found) <= high * (1 + 1e-12)
    assert found[1] >= 0.97 * low
    assert high <= 1.002 * low
    images = lt.convolution_norm_bounds(K[..., None], (stride, 5), (dilation, 7), groups)
    assert [float(b) for b in images] == pytest.approx([float(low), float(high)], rel=1e-9)


def test_of_many_groups_the_largest_counts() -> None:
    K = uniform(40, 2, 3, 3)
    bounds = lt.convolution_norm_bounds(K, 1, 1, 20)
    each = torch.tensor([lt.convolution_norm_bounds(part) for part in K.split(2)])
    for found, own in zip(bounds, each.amax(0), strict=True):
        assert float(found) == pytest.approx(float(own), rel=2e-3)
    K = K[:6].requires_grad_()
    assert torch.autograd.gradcheck(lambda K: lt.convolution_norm_bounds(K, 2, 3, 3), (K,))
