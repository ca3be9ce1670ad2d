"""Each module that is called known, against its Jacobians; and those that must not be."""

import math
import warnings

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt

NORMS = (1, 2, math.inf)
VECTORS, IMAGES = (8,), (4, 6, 6)

KNOWN = [
    (nn.Hardsigmoid(), VECTORS),
    (nn.Tanhshrink(), VECTORS),
    (nn.Softshrink(0.3), VECTORS),
    (nn.CELU(0.5), VECTORS),
    (nn.CELU(3.0), VECTORS),
    (nn.RReLU(0.1, 1.5), VECTORS),
    (nn.PReLU(8), VECTORS),
    (nn.Threshold(0.2, 0.2), VECTORS),
    (nn.Softmax(1), VECTORS),
    (nn.Softmin(1), VECTORS),
    (nn.Softmax(2), IMAGES),
    (nn.Softmax2d(), IMAGES),
    (nn.ChannelShuffle(2), IMAGES),
    (nn.ZeroPad2d((1, 2, 0, 3)), IMAGES),
    (nn.ZeroPad2d((-1, 2, 0, -3)), IMAGES),
    (nn.ZeroPad1d(2), (3, 5)),
    (nn.ConstantPad2d(1, 7.0), IMAGES),
    (nn.ConstantPad3d(1, -2.0), (1, 2, 2, 2)),
    (nn.AlphaDropout(0.4), VECTORS),
    (nn.Dropout2d(0.4), IMAGES),
    (nn.MaxPool1d(3), (2, 6)),
    (nn.MaxPool2d((2, 3)), IMAGES),
    (nn.MaxPool3d(2), (1, 4, 4, 2)),
    (nn.AdaptiveAvgPool1d(3), (2, 6)),
    (nn.AdaptiveAvgPool2d(1), IMAGES),
    (nn.AdaptiveAvgPool2d((2, 3)), IMAGES),
    (nn.AdaptiveAvgPool2d((None, 3)), IMAGES),
    (nn.AdaptiveAvgPool3d((2, 1, 2)), (1, 4, 3, 2)),
    (nn.AdaptiveMaxPool1d(2), (2, 6)),
    (nn.AdaptiveMaxPool2d(3), IMAGES),
    (nn.AdaptiveMaxPool3d(1), (1, 4, 3, 2)),
    (lt.GroupSort(2, dim=1), IMAGES),
]


@pytest.mark.parametrize(("module", "shape"), KNOWN, ids=str)
def test_what_is_known_does_not_stretch(module: nn.Module, shape: tuple[int, ...]) -> None:
    """The bound is 1, and above every Jacobian and every pair of points."""
    x, y = 3 * uniform(60, *shape, seed=1), 3 * uniform(60, *shape, seed=2)
    module = module.eval()
    for p in NORMS:
        lower, upper = lt.lipschitz_bounds(nn.Sequential(module), x[:10], p)
        assert upper == 1
        assert lower <= 1
        for near in (x + 1e-3 * y, y):
            rise = module.double()(near) - module.double()(x)
            rise = torch.linalg.vector_norm(rise.flatten(1), p, dim=1)
            run = torch.linalg.vector_norm((near - x).flatten(1), p, dim=1)
            assert bool((rise <= run * (1 + 1e-9)).all())


UNKNOWN = [
    (nn.Threshold(0.2, 0.0), VECTORS),
    (nn.Hardshrink(), VECTORS),
    (nn.Softplus(), VECTORS),
    (nn.SELU(), VECTORS),
    (nn.SiLU(), VECTORS),
    (nn.Mish(), VECTORS),
    (nn.Hardswish(), VECTORS),
    (nn.RReLU(1.0, 2.0), VECTORS),
    (nn.LogSoftmax(1), VECTORS),
    (nn.GLU(), VECTORS),
    (nn.CELU(-0.5), VECTORS),
    (nn.AvgPool1d(3, 2, ceil_mode=True), (3, 6)),
    (nn.MaxPool1d(3, 2), (3, 7)),
    (nn.MaxPool3d(2, 1), (1, 4, 4, 2)),
    (nn.AvgPool3d(2, divisor_override=-1), (1, 4, 4, 2)),
    (nn.AdaptiveAvgPool1d(4), (2, 6)),
    (nn.AdaptiveAvgPool2d((2, 4)), IMAGES),
    (nn.AdaptiveMaxPool2d(4), IMAGES),
    (nn.AdaptiveAvgPool1d(12), (2, 6)),
    (nn.ReflectionPad2d(1), IMAGES),
    (nn.ReplicationPad1d(1), (2, 6)),
    (nn.CircularPad2d(1), IMAGES),
    (nn.Upsample(scale_factor=2), IMAGES),
    (nn.LPPool2d(3, 2), IMAGES),
    (nn.LPPool2d(2, 4, ceil_mode=True), IMAGES),
    (nn.Unfold(2), IMAGES),
    (nn.InstanceNorm2d(4), IMAGES),
    (nn.LocalResponseNorm(2), IMAGES),
]


@pytest.mark.parametrize(("module", "shape"), UNKNOWN, ids=str)
def test_what_may_stretch_or_jump_is_not_known(module: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.warns(lt.UnknownBoundWarning, match=rf"for 0 \({type(module).__name__}\)"):
        assert lt.lipschitz_bounds(nn.Sequential(module), uniform(3, *shape)).upper == math.inf


def test_the_audit_knows_adaptive_pools_by_their_images(capsys) -> None:
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(2))
    assert lt.audit(nn.Sequential(nn.AdaptiveAvgPool2d(1))).upper == 1
    assert lt.audit(pool).upper == math.inf, "of which sizes, is not said"
    assert lt.audit(pool, uniform(1, 2, 6, 4)).upper == 1
    assert lt.audit(pool, uniform(1, 2, 6, 5)).upper == math.inf
    twice = nn.Sequential(pool[0], nn.ReflectionPad2d((0, 1, 0, 1)), pool[0])
    assert lt.audit(twice, uniform(1, 2, 6, 4)).unknown == "0 (AdaptiveAvgPool2d)"


def test_a_subclass_that_inherits_what_runs_is_known() -> None:
    class Named(nn.ReLU):
        label = "kept"

        def __init__(self) -> None:
            super().__init__()
            self.note = [1]

        @property
        def double_note(self) -> list[int]:
            return 2 * self.note

        def extra_repr(self) -> str:
            return "named"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lt.lipschitz_bounds(nn.Sequential(Named()), uniform(3, 4)).upper == 1


@pytest.mark.filterwarnings("ignore:The upper bound is infinite")
def test_a_negative_alpha_may_stretch() -> None:
    x = torch.linspace(-2, 2, 9)[:, None]
    lower, upper = lt.lipschitz_bounds(nn.ELU(-5.0), x)
    assert lower > 4
    assert upper == math.inf
