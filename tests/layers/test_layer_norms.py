"""The norms of one layer, against whole matrices."""

import math

import pytest
import torch
from support import matrix_of, uniform
from torch import nn
from torch.nn import functional as F

import lipteach as lt
from lipteach.layers.layer_norms import convolved, spectrum, upper_norm, upper_norm_to_max

NORMS = (1, 2, math.inf)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}, {"groups": 2}])
@pytest.mark.parametrize("padding", [0, (1, 2), "same"])
def test_a_convolution_with_another_kernel_whatever_its_padding(mode, options, padding) -> None:
    if padding == "same" and "stride" in options:
        return
    conv = nn.Conv2d(2, 4, 3, padding=padding, padding_mode=mode, **options).double()
    K, x = uniform(*conv.weight.shape), uniform(2, 2, 7, 6)
    same = 2 * (options.get("dilation", 1),)
    high, wide = {0: (0, 0), "same": same}.get(padding, padding)
    padded = F.pad(x, (wide, wide, high, high), mode="constant" if mode == "zeros" else mode)
    torch.testing.assert_close(convolved(conv, K, x), F.conv2d(padded, K, **options))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize(
    ("layer", "n"),
    [
        (lt.frozen_linear(uniform(3, 5)), 5),
        (lt.Selection([0, 2, 2, 1, 2], 4), 4),
        (lt.Selection([3, 1], 4), 4),
        (lt.Scale(-1.5), 3),
        (lt.Scale(0.0), 3),
    ],
)
def test_layers_without_images(layer: nn.Module, n: int, p: float) -> None:
    W = matrix_of(layer, n)
    sigma = torch.linalg.svdvals(W)
    found = spectrum(layer, set())
    assert [found.smallest, found.largest] == pytest.approx([float(sigma[-1]), float(sigma[0])])
    assert found.lower == found.upper == found.largest
    assert float(upper_norm(layer, p, set())) == pytest.approx(
        float(torch.linalg.matrix_norm(W, p))
    )
    assert float(upper_norm_to_max(layer, p, set())) == pytest.approx(lt.mixed_norm(W, p).item())


def test_what_is_said_of_a_convolution() -> None:
    """By its matrix at one size; for all sizes; by row and column sums; or not at all."""
    conv, grouped = (nn.Conv2d(2, 2, 3, groups=g).double() for g in (1, 2))
    for layer in (conv, grouped):
        layer.requires_grad_(False).bias.zero_()
    exact = spectrum(conv, {(2, 6, 5)})
    sigma = torch.linalg.svdvals(matrix_of(conv, 2, 6, 5))
    assert exact.method == "SVD of the map at 6×5"
    assert [exact.smallest, exact.upper] == pytest.approx([float(sigma[-1]), float(sigma[0])])
    for sizes in (set(), {(2, 6, 5), (2, 4, 4)}, {(2, 40, 40)}):
        found = spectrum(conv, sizes)
        assert found.method == "grid, all sizes"
        assert found.upper > exact.upper
        if len(sizes) == 2:
            assert found.lower == pytest.approx(exact.upper), "at the larger size, not of all"
        else:
            assert found.lower <= found.upper < 1.2 * found.lower
    sums = spectrum(grouped, {(2, 40, 40)})
    assert sums.upper >= float(torch.linalg.svdvals(matrix_of(grouped, 2, 12, 12))[0])
    assert sums.lower == 0
    assert math.isnan(spectrum(grouped, set()).upper)
    uneven, sizes = nn.Conv2d(4, 2, 3, groups=2).double(), {(4, 40, 40)}
    column, row = (float(upper_norm(uneven, p, sizes)) for p in (1, math.inf))
    assert row > 1.1 * column
    assert spectrum(uneven, sizes).upper == pytest.approx(math.sqrt(column * row))
