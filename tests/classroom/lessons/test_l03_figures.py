"""The figures of lesson 03: each has a statement, and draws the numbers it states."""

import math

import pytest
import torch
from classroom_support import drawn
from torch import nn

from lipteach.classroom.lessons.l03_why_relu_is_linear import figures
from lipteach.classroom.lessons.l03_why_relu_is_linear.worked import draw_worked
from lipteach.primitives import MaxMin
from lipteach.theory.frozen import linear
from lipteach.theory.theorem2 import theorem2_counterexample
from lipteach.training import mnist_sample, orthonormal_network


def network(activation: type[nn.Module], seed: int = 0) -> nn.Sequential:
    return orthonormal_network([1, 8, 8, 1], activation, torch.Generator().manual_seed(seed))


NETWORKS = {"ReLU": network(nn.ReLU), "MaxMin": network(MaxMin)}


def test_gradient_norms_take_a_number_of_several_outputs() -> None:
    f = nn.Sequential(nn.Linear(2, 2, bias=False, dtype=torch.float64))
    norms = figures.gradient_norms(f, torch.ones(1, 2, dtype=torch.float64), lambda y: 3 * y[:, 0])
    assert norms[-1].item() == 3


@pytest.mark.parametrize("snapshot", [0, 1, -1])
def test_training_shows_the_snapshot(snapshot: int) -> None:
    grid = figures.GRID
    kept = [(k, k * grid, torch.full_like(grid, -k)) for k in (0.0, 0.25, 0.5)]
    figure = figures.draw_training({"ReLU": kept, "MaxMin": kept[::-1]}, snapshot)
    functions, slopes = figure.axes
    assert torch.equal(torch.as_tensor(functions.lines[1].get_ydata()), kept[snapshot][1])
    assert slopes.lines[0].get_ydata()[0] == kept[snapshot][0]
    assert f"{kept[snapshot][0]:.2f} for ReLU" in drawn(figure)


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.35, 1.0])
def test_backward_ends_at_the_slope(x: float) -> None:
    figure = figures.draw_backward(NETWORKS, x)
    for line, f in zip(figure.axes[0].lines, NETWORKS.values(), strict=True):
        assert len(line.get_ydata()) == len(f) + 1
        at = torch.tensor([[x]], dtype=torch.float64, requires_grad=True)
        slope = torch.autograd.grad(f(at), at)[0].abs().item()
        assert line.get_ydata()[-1] == pytest.approx(slope)
    assert "back through 3 layers" in drawn(figure)


@pytest.mark.parametrize(("low", "mean"), [(-1.0, 0.603553), (-0.5, 0.758699), (0.0, 1.0)])
def test_square_states_the_mean(low: float, mean: float) -> None:
    figure = figures.draw_square(low)
    picture = figure.axes[0].images[0].get_array()
    assert float(picture.mean()) == pytest.approx(mean, abs=5e-3)
    statement = drawn(figure)
    assert f"{mean:.3f}" in statement
    assert ("affine" in statement) == (low == 0)


@pytest.mark.parametrize(
    ("left", "words"),
    [(-2.5, "f(x) = x + 1"), (-2, "f(x) = x + 1"), (-1.75, "slope is 0"), (-0.5, "slope is 0"),
     (0.75, "slope is 0"), (1, "f(x) = x − 1"), (1.5, "f(x) = x − 1")],
)  # fmt: skip
def test_window_says_where_the_theorem_applies(left: float, words: str) -> None:
    assert words in drawn(figures.draw_window(left))


def test_digits_are_ten() -> None:
    images, labels = mnist_sample("test")
    figure = figures.draw_digits(images, labels)
    assert [axes.get_title() for axes in figure.axes] == [str(k) for k in range(10)]
    drawn(figure)


def test_digit_norms_count_every_image() -> None:
    above = torch.full((6, 50), 1 + 4e-16, dtype=torch.float64)  # as rounding may leave it
    norms = {"ReLU": torch.full((6, 50), 0.62), "MaxMin": above}
    figure = figures.draw_digit_norms(norms)
    assert figure.axes[1].lines[1].get_ydata()[-1] == pytest.approx(1)
    for patch in figure.axes[0].patches:
        assert patch.get_xy()[:, 1].max() == 50
    words = "between 0.6 and 0.7 for ReLU and between 0.9 and 1 for MaxMin"
    assert words in drawn(figure)


@pytest.mark.parametrize("angle", [0, 20, 45, 85])
def test_replaced_states_the_value_on_the_line(angle: float) -> None:
    """max of the two coordinates of (0, 1) in a frame turned by the angle and half a right one."""
    turned = math.radians(angle - 45)
    value = max(abs(math.cos(turned)), abs(math.sin(turned)))
    figure = figures.draw_replaced(angle)
    assert f"{value:.3f} at (0, 1)" in drawn(figure)
    left, right = (len(axes.lines[0].get_xdata()) for axes in figure.axes)
    assert (left, right) == (81, 1)  # zero on a line, and at one point


def test_45_degrees_is_the_papers_replacement() -> None:
    _, replaced = theorem2_counterexample()
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)).double()
    turned = figures.with_first_weight(figures._rotation(45))
    assert torch.allclose(turned(x), replaced(x))


@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_path_follows_the_formula(t: float) -> None:
    figure = figures.draw_path(t)
    for x1, line in zip((0.0, 0.3, 0.6), figure.axes[1].lines, strict=False):
        want = [max(x1, 1 - s) for s in line.get_xdata()]
        assert line.get_ydata().tolist() == pytest.approx(want)
    now = ", ".join(f"{max(x1, 1 - t):.2f}" for x1 in (0.0, 0.3, 0.6))
    assert now in drawn(figure)


def test_worked_example_draws_the_output_of_the_two_layers() -> None:
    figure = draw_worked()
    sigma, output = (torch.as_tensor(data) for data in figure.axes[1].lines[0].get_data())
    for s, value in zip(sigma[::10].tolist(), output[::10].tolist(), strict=True):
        layers = nn.Sequential(linear([[1.0, 0.0], [0.0, s]]), MaxMin(), linear([[1.0, 0.0]]))
        x = torch.tensor([0.6, 1.0], dtype=torch.float64)
        assert layers(x).item() == pytest.approx(value)
    assert "stays 0.6" in drawn(figure)
