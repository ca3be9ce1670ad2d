"""The norms of one layer, against whole matrices."""

import math

import pytest
import torch
from support import matrix_of, uniform
from torch import nn
from torch.nn import functional as F

import lipteach as lt
from lipteach.layers.convolution_norms import convolved
from lipteach.layers.layer_norms import spectrum, upper_norm, upper_norm_to_max

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
    conv = nn.Conv2d(2, 2, 3).double().requires_grad_(False)
    conv.bias.zero_()
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
    uneven, sizes = nn.Conv2d(8, 2, 3, padding=1, padding_mode="reflect").double(), {(8, 40, 40)}
    uneven.weight.data.abs_()
    column, row = (float(upper_norm(uneven, p, sizes)) for p in (1, math.inf))
    assert row > 1.1 * column
    sums = spectrum(uneven, sizes)
    assert sums.method == "row and column sums"
    assert sums.upper == pytest.approx(math.sqrt(column * row))
    uneven.bias.data.zero_()
    assert float(torch.linalg.svdvals(matrix_of(uneven, 8, 9, 9))[0]) < sums.upper
    assert 1 < sums.lower < sums.upper
    assert spectrum(uneven, set()).upper > sums.upper
    uneven.padding = (2, 2)  # not what torch pads by, and not what is believed
    assert spectrum(uneven, sizes) == sums
    assert math.isnan(spectrum(uneven, set()).upper)
