"""Layers of deel-torchlip and orthogonium under the audit; skipped where they are not installed."""

import math
import warnings

import pytest
import torch
from support import matrix_of, normal
from torch import Tensor, nn

import lipteach as lt

IMAGES, ROWS = normal(3, 4, 8, 8).float(), normal(3, 16).float()


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def torchlip():
    return pytest.importorskip("deel.torchlip")


@pytest.fixture
def orthogonium():
    pytest.importorskip("orthogonium")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its docstrings have escapes that Python warns of
        import orthogonium.layers.conv.adaptiveSOC
        import orthogonium.layers.conv.AOC
        import orthogonium.layers.linear
        import orthogonium.reparametrizers
    return orthogonium


def trained(layer: nn.Module, x: Tensor) -> nn.Module:
    """The layer after three steps towards larger outputs, in evaluation mode."""
    layer.train()
    sgd = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        sgd.zero_grad()
        (-layer(x).square().mean()).backward()
        sgd.step()
    return layer.eval()


def true_norm(layer: nn.Module, x: Tensor) -> float:
    """The norm of an affine layer as it runs in evaluation mode, in its own precision."""
    layer.eval()
    with torch.no_grad():
        zero = layer(torch.zeros_like(x[:1]))
        matrix = matrix_of(lambda t: layer(t) - zero, *x.shape[1:], dtype=torch.float32)
    return float(torch.linalg.matrix_norm(matrix.double(), 2))


def test_torchlip_s_layers_have_the_norms_that_they_run_with(torchlip, capsys) -> None:
    def spectral(padding_mode: str, **options) -> nn.Module:
        return torchlip.SpectralConv2d(4, 8, 3, padding=1, padding_mode=padding_mode, **options)

    for layer, x in (
        (torchlip.SpectralLinear(16, 16), ROWS),
        (torchlip.FrobeniusLinear(16, 1), ROWS),
        (spectral("zeros"), IMAGES),
        (spectral("zeros", stride=2), IMAGES),
        (spectral("circular"), IMAGES),
        (torchlip.SpectralConv2d(4, 8, 5, padding=2, padding_mode="symmetric"), IMAGES),
        (torchlip.FrobeniusConv2d(4, 8, 3, padding=1), IMAGES),
        (torchlip.SpectralConvTranspose2d(4, 4, 3, padding=1, stride=2), IMAGES),
        (torchlip.ScaledAvgPool2d(2), IMAGES),
    ):
        if next(layer.parameters(), None) is not None:
            trained(layer, x)
        found = lt.audit(layer, x)
        (row,) = found.layers
        assert row.largest == pytest.approx(true_norm(layer, x), rel=1e-4)
        assert found.within()


@pytest.mark.parametrize(
    ("padding_mode", "norm"),
    [("zeros", 0.9212), ("circular", 1.0), ("replicate", 1.0), ("reflect", 1.0594)],
)
def test_torchlip_s_convolution_that_reflects_may_stretch(
    torchlip, padding_mode: str, norm: float, capsys
) -> None:
    """Its kernel is divided for zero padding; here it takes means, and two pixels count twice."""
    layer = torchlip.SpectralConv2d(4, 4, 3, padding=1, padding_mode=padding_mode)
    kernel = torch.eye(4)[:, :, None, None] * torch.ones(3, 3) / 3
    layer.parametrizations.weight.original.data = kernel
    for _ in range(5):
        layer.train()(IMAGES)
    found = lt.audit(layer.eval(), IMAGES)
    assert found.layers[0].largest == pytest.approx(true_norm(layer, IMAGES), rel=1e-4)
    assert found.layers[0].largest == pytest.approx(norm, abs=1e-4)
    assert found.layers[0].flat_norm == pytest.approx(1 / 3, abs=1e-3)
    assert found.within() is (padding_mode != "reflect")


def test_torchlip_keeps_a_stale_weight_for_evaluation(torchlip, capsys) -> None:
    layer = trained(torchlip.SpectralLinear(16, 16), 10 * ROWS)
    layer.parametrizations.weight.original.data.add_(normal(16, 16).float())
    found = lt.audit(nn.Sequential(layer), ROWS)
    assert [row.name for row in found.training] == ["0, training"]
    assert "computes another weight in training mode" in " ".join(found.faults(tol=0.1))
    layer.train()(ROWS)
    assert lt.audit(nn.Sequential(layer.eval()), ROWS).training == ()


def test_torchlip_s_neurons_that_are_each_1_lipschitz_are_not_so_together(torchlip, capsys) -> None:
    layer = trained(torchlip.FrobeniusLinear(16, 4), 10 * ROWS)
    found = lt.audit(layer, ROWS)
    assert found.within() is False
    assert found.upper == pytest.approx(true_norm(layer, ROWS), rel=1e-5)


def test_torchlip_s_sorts_are_recognized_by_running_them(torchlip, capsys) -> None:
    model = torchlip.Sequential(
        torchlip.SpectralLinear(16, 8),
        torchlip.GroupSort2(),
        torchlip.FullSort(),
        torchlip.MaxMin(),
        torchlip.FrobeniusLinear(16, 1),
    )
    found = lt.audit(trained(model, ROWS), ROWS)
    assert found.unknown == "1 (GroupSort2)"
    assert found.upper == math.inf
    assert found.if_as_run == pytest.approx(1, abs=1e-3)
    assert [row.method for row in found.layers[1:4]] == [
        "as MaxMin, ascending when run",
        "as FullSort, ascending when run",
        "as CReLU when run",
    ]


def test_orthogonium_s_convolutions(orthogonium, capsys) -> None:
    adaptive = orthogonium.layers.conv.AOC.AdaptiveOrthoConv2d
    for options in ({}, {"groups": 2}, {"stride": 2, "padding": 1}):
        layer = adaptive(4, 8, 4 if "stride" in options else 3, **options).eval()
        found = lt.audit(layer, IMAGES)
        assert found.layers[0].largest == pytest.approx(true_norm(layer, IMAGES), rel=1e-4)
        assert found.within()


def test_orthogonium_s_truncated_exponential_is_above_1(orthogonium, capsys) -> None:
    layer = orthogonium.layers.conv.adaptiveSOC.AdaptiveSOCConv2d(4, 4, 3).eval()
    found = lt.audit(layer, IMAGES)
    assert 1.001 < found.upper < 1.1
    assert found.upper == pytest.approx(true_norm(layer, IMAGES), rel=1e-4)
    assert found.within() is False
    assert "its singular values are near 1" in found.faults()[0]


def test_orthogonium_s_cholesky_is_above_1_after_training(orthogonium, capsys) -> None:
    make = orthogonium.layers.linear.OrthoLinear
    layer = make(16, 16, ortho_params=orthogonium.reparametrizers.CHOLESKY_ORTHO_PARAMS)
    found = lt.audit(trained(layer, 10 * ROWS), ROWS)
    assert found.upper == pytest.approx(true_norm(layer, ROWS), rel=1e-5)


def test_orthogonium_s_weight_moves_on_at_each_reading(orthogonium, capsys) -> None:
    make = orthogonium.layers.linear.OrthoLinear
    layer = make(16, 16, ortho_params=orthogonium.reparametrizers.EXP_ORTHO_PARAMS)
    layer.parametrizations.weight.original.data = normal(16, 16).float()
    found = lt.audit(nn.Sequential(layer.eval()), ROWS)
    assert found.within() is None
    assert (
        found.faults()[-1]
        == "0 (OrthoLinear 16→16) has a weight that changes each time it is read."
    )
    assert found.layers[0].largest == pytest.approx(1, abs=0.1)
