"""Convolutions of every kind that is accepted, against the singular values of the whole map."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import matrix_of, uniform
from torch import nn
from torch.nn import functional as F

import lipteach as lt
from lipteach.layers.convolution_settings import kernel_class
from lipteach.layers.known_modules import mixes
from lipteach.layers.padding import padding_norm
from lipteach.robustness.interval_bounds import as_affine

ADJOINTS = {nn.Conv1d: nn.ConvTranspose1d, nn.Conv2d: nn.ConvTranspose2d}


def filled(conv: nn.Module, seed: int = 0) -> nn.Module:
    """With parameters that are far from their start."""
    with torch.no_grad():
        for i, p in enumerate(conv.parameters()):
            p.copy_(uniform(*p.shape, seed=97 * seed + i))
    return conv


def made(kind, c_in: int, c_out: int, *args, constrain=lt.orthonormal, seed: int = 0, **options):
    """A constrained convolution without a bias, in float64; channels are those of one group."""
    groups = options.get("groups", 1)
    conv = kind(groups * c_in, groups * c_out, *args, bias=False, dtype=torch.float64, **options)
    more = {"tol": 1e-11} if constrain is lt.orthonormal else {}
    return filled(constrain(conv, **more), seed)


def matrix(conv: nn.Module, *size: int) -> torch.Tensor:
    """The whole linear map on images of that size."""
    return matrix_of(conv, conv.in_channels, *size)


def norm(conv: nn.Module, *size: int) -> float:
    return float(torch.linalg.matrix_norm(matrix(conv, *size), 2))


def is_orthonormal(gram: torch.Tensor) -> bool:
    return torch.allclose(gram, torch.eye(len(gram), dtype=gram.dtype), atol=1e-9)


def around(K: torch.Tensor, size: int, stride: int, dilation: int) -> torch.Tensor:
    """The map of signals on a circle of that length, built by hand from shifts."""
    signals = torch.eye(K.shape[1] * size, dtype=K.dtype).view(-1, K.shape[1], size)
    taps = enumerate(K.unbind(2))
    rows = (
        torch.einsum("oc,ncl->nol", tap, signals.roll(-t * dilation, 2)[..., ::stride])
        for t, tap in taps
    )
    return sum(rows).flatten(1).T


def exists(c_in: int, c_out: int, k: int, stride: int, dilation: int) -> bool:
    """Whether a kernel of one dimension can be orthonormal: random ones have full rank."""
    found = around(uniform(c_out, c_in, k), stride, stride, dilation)
    return bool(torch.linalg.svdvals(found)[-1] > 1e-9)


STEPS = [*itertools.product((1, 2, 3, 4, 6), (1, 2, 3, 4, 6))]  # strides and dilations


@pytest.mark.parametrize(("stride", "dilation"), STEPS)
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_stride_and_dilation_together(stride: int, dilation: int, k: int) -> None:
    """Of each pair there is an orthonormal kernel, or none and that is said; the rows or the
    columns are orthonormal without padding, or with all of it, and on a circle.
    """
    for c_in, c_out in [(1, 1), (2, 1), (1, 2), (3, 5), (2, 7), (7, 2)]:
        options = {"stride": stride, "dilation": dilation}
        if not exists(c_in, c_out, k, stride, dilation):
            with pytest.raises(ValueError, match="A convolution that skips pixels needs at most"):
                made(nn.Conv1d, c_in, c_out, k, **options)
            continue
        conv = made(nn.Conv1d, c_in, c_out, k, **options)
        sigma = torch.linalg.svdvals(around(conv.weight.detach(), 12 * dilation, stride, dilation))
        assert float(sigma.max()) == pytest.approx(1, abs=1e-9)
        extent = dilation * (k - 1)
        for size in (extent + 1, extent + 2, extent + 7):
            A = matrix(conv, size)
            conv.padding = (extent,)
            B = matrix(conv, size)
            conv.padding = (0,)
            assert is_orthonormal(A @ A.T) or is_orthonormal(B.T @ B)
            assert torch.linalg.matrix_norm(B, 2) <= 1 + 1e-9


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from([nn.Conv1d, nn.Conv2d]),
    constrain=st.sampled_from([lt.orthonormal, lt.spectral]),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    groups=st.integers(1, 3),
    k=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 3),
    padding=st.integers(0, 2),
    adjoint=st.booleans(),
    size=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_no_singular_value_exceeds_one(
    kind, constrain, channels, groups, k, stride, dilation, padding, adjoint, size, seed
) -> None:
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    if adjoint:
        kind, channels = ADJOINTS[kind], channels[::-1]
        options["output_padding"] = seed % max(stride, dilation)
    try:
        conv = made(kind, *channels, k, constrain=constrain, seed=seed, **options)
        A = matrix(conv, *[size + (1 if adjoint else dilation * (k - 1))] * (conv.weight.ndim - 2))
    except (ValueError, RuntimeError):  # no kernel is orthonormal, or no pixel is left
        assume(False)
    assert torch.linalg.matrix_norm(A, 2) <= 1 + 1e-9


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
@pytest.mark.parametrize("channels", [(1, 1), (1, 4), (4, 1), (3, 5), (1, 9)])
@pytest.mark.parametrize(("k", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (4, 2, 3), (3, 2, 2)])
@pytest.mark.parametrize("groups", [1, 3])
def test_the_norm_is_not_needlessly_small(kind, channels, k, stride, dilation, groups) -> None:
    size = [40] if kind is nn.Conv1d else [10, 10]
    options = {"stride": stride, "dilation": dilation, "groups": groups}
    if exists(*channels, k, stride, dilation):
        conv = made(kind, *channels, k, padding=dilation * (k // 2), **options)
        A = matrix(conv, *size)
        assert 0.97 < float(torch.linalg.matrix_norm(A, 2)) <= 1 + 1e-9
        assert kind is nn.Conv2d or groups == 3 or float(A.square().sum()) > 0.5 * min(A.shape) / 3
    conv = made(kind, *channels, k, constrain=lt.spectral, padding=dilation * (k - 1), **options)
    assert 0.65 < norm(conv, *size) <= 1 + 1e-9


@pytest.mark.parametrize("constrain", [lt.orthonormal, lt.spectral, lt.linf])
def test_groups_are_blocks_of_their_own(constrain) -> None:
    """Each is what a convolution of its channels alone would be, and depthwise is one of them."""
    for channels, k, stride in [((2, 3), 3, 1), ((3, 2), 3, 2), ((1, 1), 3, 1), ((1, 4), 2, 2)]:
        conv = made(nn.Conv2d, *channels, k, stride=stride, groups=3, constrain=constrain)
        parts = [nn.Conv2d(*channels, k, stride, bias=False).double() for _ in range(3)]
        W = uniform(*conv.weight.shape, seed=4)
        conv.weight = W
        shares = []
        for part, own, got in zip(parts, W.chunk(3), conv.weight.detach().chunk(3), strict=True):
            constrain(part)
            part.weight = own
            if constrain is lt.spectral:  # one norm for all, as the largest counts
                assert float((got / own).std()) < 1e-9
                shares.append(float(got.norm() / part.weight.detach().norm()))
            else:
                assert torch.allclose(got, part.weight, atol=1e-6)
        assert not shares or max(shares) == pytest.approx(1, rel=2e-3)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d])
@pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, 1), (2, 1, 0), (3, 2, 2)])
def test_a_transposed_convolution_is_the_adjoint(kind, stride, dilation, padding) -> None:
    conv = made(kind, 3, 2, 3, stride=stride, dilation=dilation, padding=padding, groups=2)
    adjoint = made(
        *(ADJOINTS[kind], 2, 3, 3),
        **{"stride": stride, "dilation": dilation, "padding": padding, "groups": 2},
    )
    adjoint.weight = conv.weight.detach()
    assert torch.allclose(adjoint.weight, conv.weight, atol=1e-9)
    inner = 4
    outer = [(inner - 1) * stride - 2 * padding + 2 * dilation + 1] * (conv.weight.ndim - 2)
    assert torch.allclose(matrix(adjoint, *[inner] * len(outer)), matrix(conv, *outer).T, atol=1e-9)


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d])
@pytest.mark.parametrize("channels", [(1, 1), (1, 3), (3, 1), (2, 5), (5, 2), (1, 9), (4, 4)])
@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (2, 2), (3, 2), (4, 2)])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_member_comes_back(kind, channels, k: int, stride: int, groups: int) -> None:
    """Also where the state of one layer is loaded into another, and where it is retracted."""
    options = {"stride": stride, "groups": groups}
    K = made(kind, *channels, k, seed=1, **options).weight.detach()
    conv = made(kind, *channels, k, seed=2, **options)
    conv.weight = K
    assert conv.weight.shape == K.shape
    assert torch.allclose(conv.weight, K, atol=1e-11)
    other = made(kind, *channels, k, seed=3, **options)
    other.load_state_dict(conv.state_dict(), strict=True)
    assert torch.equal(other.weight, conv.weight)
    plain = lt.export(nn.Sequential(conv), uniform(2, conv.in_channels, *[6] * (K.ndim - 2)))[0]
    assert type(plain) is kind
    plain.weight.data += 1e-7 * uniform(*K.shape)
    assert torch.allclose(lt.retract_(plain).weight, K, atol=1e-6)
    assert torch.allclose(
        lt.orthonormal(plain, tol=1e-11).weight, lt.retract_(lt.export(plain)).weight, atol=1e-11
    )


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@settings(max_examples=60, deadline=None)
@given(
    constrain=st.sampled_from([lt.orthonormal, lt.spectral]),
    channels=st.sampled_from([(1, 1), (2, 2), (1, 3), (3, 2)]),
    k=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 4),
    size=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_a_padding_that_repeats_pixels(
    mode, constrain, channels, k, stride, dilation, padding, size, seed
) -> None:
    """At most 1 for every size that torch takes; circular, if the stride divides it."""
    options = {"stride": stride, "dilation": dilation, "padding": padding, "padding_mode": mode}
    try:
        conv = made(nn.Conv1d, *channels, k, seed=seed, constrain=constrain, **options)
        A = matrix(conv, size)
    except (ValueError, RuntimeError):
        assume(False)
    found = float(torch.linalg.matrix_norm(A, 2))
    at_size = padding_norm(conv, {(channels[0], size)})
    scale = kernel_class(conv, conv.weight).scale
    assert found <= scale * at_size * (1 + 1e-9)
    if mode != "circular" or size % stride == 0:
        assert scale * at_size <= 1 + 1e-12
    assert at_size <= padding_norm(conv) * (1 + 1e-12)
    padded = F.pad(torch.arange(1.0, size + 1)[None], (padding, padding), mode=mode)
    assert at_size <= math.sqrt(padded.unique(return_counts=True)[1].max()) + 1e-12


def corner(mode: str, k: int, **options) -> nn.Conv2d:
    """One tap, in the corner: a shift, of norm 1."""
    conv = nn.Conv2d(1, 1, k, bias=False, dtype=torch.float64, padding_mode=mode, **options)
    lt.spectral(conv)
    K = torch.zeros(1, 1, k, k, dtype=torch.float64)
    K[..., 0, 0] = 1
    conv.weight = K
    return conv


@pytest.mark.parametrize(
    ("mode", "k", "square"),
    [("reflect", 3, 4), ("reflect", 5, 4), ("replicate", 3, 4), ("replicate", 5, 9)],
)
def test_no_smaller_divisor_holds_for_a_padding_that_repeats_pixels(mode, k, square) -> None:
    """What is lost: the convolution of an image that is 0 near its border is that much smaller."""
    conv = corner(mode, k, padding=k // 2)
    assert float(conv.weight.detach().sum()) == pytest.approx(1 / math.sqrt(square))
    assert norm(conv, 12, 12) == pytest.approx(1)
    assert norm(corner(mode, k, padding="same"), 12, 12) == pytest.approx(1)


@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("channels", [(1, 1), (2, 3), (3, 2), (1, 4)])
def test_circular_padding_with_a_stride_that_divides_is_orthogonal(k: int, channels) -> None:
    conv = made(nn.Conv2d, *channels, k, stride=2, padding=(k - 1) // 2, padding_mode="circular")
    if k % 2 == 0:  # torch pads both sides alike: one row of outputs is missing
        assert norm(conv, 8, 8) <= 1 + 1e-9
        return
    for size in ((8, 8), (4, 6), (2, 2)):
        sigma = torch.linalg.svdvals(matrix(conv, *size))
        assert (sigma - 1).abs().max() < 1e-9


def test_circular_padding_with_a_stride_that_does_not_divide(capsys) -> None:
    """Patches meet across the seam at other places than elsewhere: the norm is above 1."""
    conv = corner("circular", 3, stride=2, padding=1)
    assert norm(conv, 8, 8) == pytest.approx(1)
    assert float(conv.weight.detach().sum()) == pytest.approx(1)
    conv = made(nn.Conv2d, 4, 4, 3, stride=2, padding=1, padding_mode="circular")
    assert norm(conv, 8, 8) <= 1 + 1e-9
    assert 1.05 < norm(conv, 7, 7) <= 2
    assert padding_norm(conv, {(4, 8, 8)}) == 1
    assert padding_norm(conv) == pytest.approx(2)
    layer = lt.audit(nn.Sequential(conv)).layers[0]
    assert [layer.method, layer.upper] == ["grid, all sizes", pytest.approx(2, abs=1e-3)]
    even, odd = (
        lt.audit(nn.Sequential(conv), uniform(1, 4, size, size)).layers[0] for size in (64, 63)
    )
    assert [even.method, even.upper] == ["grid at such sizes", pytest.approx(1, abs=1e-3)]
    assert 1.05 < odd.lower <= odd.upper <= 2 + 1e-3
    wide = made(nn.Conv1d, 2, 2, 3, padding=2, padding_mode="circular")
    assert kernel_class(wide, wide.weight).scale == pytest.approx(math.sqrt(1 / 2))
    assert norm(wide, 12) <= 1 + 1e-9


@pytest.mark.parametrize("k", [2, 4])
def test_a_padding_of_uneven_sides(k: int) -> None:
    """An even kernel that keeps the size has one pixel more behind than before."""
    conv = made(nn.Conv1d, 2, 2, k, padding="same", padding_mode="circular")
    assert kernel_class(conv, conv.weight).scale == 1
    for size in (k, k + 3):
        assert (torch.linalg.svdvals(matrix(conv, size)) - 1).abs().max() < 1e-9
    for mode in ("reflect", "replicate"):
        conv = made(nn.Conv1d, 2, 2, k, padding="same", padding_mode=mode)
        assert max(norm(conv, size) for size in range(k, k + 4)) <= 1 + 1e-9
    assert padding_norm(conv) == pytest.approx(math.sqrt(1 + k // 2))


KINDS = [
    nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2),
    nn.Conv1d(4, 4, 3, padding="same", padding_mode="reflect"),
    nn.Conv2d(4, 8, 3, groups=4),
    nn.Conv2d(4, 4, 3, stride=2, dilation=3, padding=2),
    nn.Conv2d(4, 2, 3, stride=2, padding=1, padding_mode="circular"),
    nn.Conv2d(4, 4, (1, 3), padding=(0, 1), padding_mode="replicate"),
    nn.ConvTranspose1d(4, 2, 4, 2, output_padding=1),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    nn.ConvTranspose2d(4, 2, 2, dilation=2),
]


@pytest.mark.parametrize("conv", KINDS, ids=str)
@pytest.mark.parametrize("constrain", [None, lt.orthonormal, lt.spectral, lt.linf])
def test_what_bounds_a_model_with_it(conv: nn.Module, constrain, capsys) -> None:
    """At a small size by its matrix, in every norm; at a large one above what is reached."""
    conv = filled(lt.export(conv).double())
    conv = constrain(conv) if constrain else conv
    model, dims = nn.Sequential(conv, lt.MaxMin(1)), conv.weight.ndim - 2
    x = uniform(3, 4, *[7] * dims, low=0)
    exact = matrix_of(lambda x: conv(x) - conv(0 * x), *x.shape[1:])
    for p in (1, 2, math.inf):
        lower, upper = lt.lipschitz_bounds(model, x, p)
        truth = float(torch.linalg.matrix_norm(exact, p))
        assert lower * (1 - 1e-9) <= truth <= upper * (1 + 1e-9)
        if conv.padding_mode == "zeros":
            assert upper == pytest.approx(truth)
    layer = lt.audit(model, x).layers[0]
    sigma = torch.linalg.svdvals(exact)
    assert [layer.smallest, layer.upper] == pytest.approx([float(sigma[-1]), float(sigma[0])])
    large = uniform(1, 4, *([900] if dims == 1 else [40, 40]))
    far = lt.audit(model, large)
    assert float(sigma[0]) * (1 - 1e-9) <= far.upper or conv.padding_mode == "circular"
    assert far.layers[0].lower <= far.upper <= 2.1 * far.layers[0].lower
    assert lt.audit(model).upper >= far.upper * (1 - 1e-9)


@pytest.mark.parametrize("conv", KINDS, ids=str)
def test_intervals_hold_what_it_makes_of_a_box(conv: nn.Module) -> None:
    conv = filled(lt.export(conv).double()).requires_grad_(False)
    x = uniform(2, 4, *[7] * (conv.weight.ndim - 2), low=0.1, high=0.9)
    y, flat = torch.tensor([0, 1]), nn.Sequential(conv, nn.Flatten())
    bounds = lt.margin_bounds(flat, x, y, 0.1)
    for seed in range(20):
        logits = flat(x + 0.1 * uniform(*x.shape, seed=seed).sign())
        margins = logits.gather(1, y[:, None]) - logits
        others = torch.arange(logits.shape[1]) != y[:, None]
        assert bool((margins[others] >= bounds[others]).all())
    used = (matrix_of(lambda x: conv(x) - conv(0 * x), *x.shape[1:]) != 0).sum(1).max()
    assert as_affine(conv).terms >= int(used)
    without, conv.bias = conv(x) - conv.bias.view(-1, *[1] * (x.ndim - 2)), None
    affine = as_affine(conv)
    assert torch.allclose(affine.times(x) + affine.bias, without)


def test_an_image_alone_is_not_taken_for_a_batch() -> None:
    for conv in (nn.Conv1d(1, 1, 1), nn.ConvTranspose1d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1)):
        sample = (1,) * (conv.weight.ndim - 1)
        assert mixes(conv, {id(conv): {sample}})
        assert not mixes(conv, {id(conv): {(1, *sample)}})
        assert not mixes(conv, {})


@settings(max_examples=40, deadline=None)
@given(
    groups=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    k=st.tuples(st.integers(1, 3), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    padding=st.integers(0, 2),
)
def test_linf_bounds_a_transposed_convolution_exactly(
    groups, channels, k, stride, dilation, padding
) -> None:
    """Its rows are those of each place of a stride step, not all taps together."""
    options = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    conv = made(nn.ConvTranspose2d, *channels, k, constrain=lt.linf, **options)
    within = 0.01 * uniform(*conv.weight.shape)
    conv.weight = within
    assert torch.equal(conv.weight, within)
    conv.weight = 2 + uniform(*conv.weight.shape)  # no row lies within the ball
    size = [8, 8]
    rows = matrix(conv, *size).abs().sum(1)
    assert float(rows.max()) == pytest.approx(1)
    seen = rows[rows > 1e-9].view(-1) if padding == 0 else rows.max()[None]
    assert float(seen.max()) <= 1 + 1e-9
    (layer,) = lt.audit(nn.Sequential(conv)).layers
    assert layer.inf_norm == pytest.approx(1)
    inner = matrix(conv, *size).view(conv.out_channels, -1, len(matrix(conv, *size)[0]))
    middle = inner.abs().sum(2)[:, inner.shape[1] // 2]
    assert bool((middle <= 1 + 1e-9).all())


def test_what_a_padding_costs_is_kept_in_a_retraction() -> None:
    conv = nn.Conv1d(6, 4, 2, 2, padding=1, padding_mode="reflect").double()
    W = lt.retract_(conv).weight.detach().flatten(1)
    scale = kernel_class(conv, conv.weight).scale
    assert scale < 0.8
    assert torch.allclose(W @ W.T, scale**2 * torch.eye(4).double(), atol=1e-12)


def test_tangent_gradients_are_those_of_each_group() -> None:
    conv = nn.Conv2d(6, 9, 2, 2, groups=3, padding=2, padding_mode="replicate").double()
    lt.retract_(conv)
    scale = kernel_class(conv, conv.weight).scale
    assert scale == pytest.approx(1 / 4)  # of images with one pixel
    conv.weight.grad = uniform(*conv.weight.shape)
    lt.make_tangent_(conv)
    for W, G in zip(conv.weight.detach().chunk(3), conv.weight.grad.chunk(3), strict=True):
        Q, G = W.flatten(1) / scale, G.flatten(1)
        assert torch.allclose(Q @ Q.T, torch.eye(3).double(), atol=1e-12)
        assert torch.allclose(Q @ G.T + G @ Q.T, torch.zeros(3, 3).double(), atol=1e-12)
