"""Orthogonal convolutions, against the singular values of the whole linear map."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import matrix_of, uniform
from torch import nn

import lipteach as lt

CHANNELS = [(1, 1), (1, 4), (4, 1), (1, 9), (3, 16), (3, 5), (5, 3), (2, 11), (4, 4)]  # in, out


def convolution(
    c_in: int, c_out: int, k, seed: int = 0, dtype=torch.float64, **options
) -> nn.Conv2d:
    """With parameters that are far from their start."""
    conv = nn.Conv2d(c_in, c_out, k, bias=False, dtype=dtype, **options)
    lt.orthonormal(conv, tol=1e-11 if dtype == torch.float64 else 1e-5)
    with torch.no_grad():
        for i, p in enumerate(conv.parameters()):
            p.copy_(uniform(*p.shape, seed=97 * seed + i))
    return conv


def matrix(conv: nn.Conv2d, height: int, width: int) -> torch.Tensor:
    """The whole linear map on images of that size."""
    return matrix_of(conv, conv.in_channels, height, width, dtype=conv.weight.dtype)


def torus(K: torch.Tensor, size: int, stride=1) -> torch.Tensor:
    """The map with circular padding, built by hand from shifts."""
    _, c_in, k1, k2 = K.shape
    images = torch.eye(c_in * size**2, dtype=K.dtype).view(-1, c_in, size, size)
    s1, s2 = stride if isinstance(stride, tuple) else (stride, stride)
    out = 0
    for a, b in itertools.product(range(k1), range(k2)):
        shifted = images.roll((-a, -b), dims=(2, 3))[:, :, ::s1, ::s2]
        out = out + torch.einsum("oc,nchw->nohw", K[:, :, a, b], shifted)
    return out.flatten(1).T


def exists(c_in: int, c_out: int, k, stride) -> bool:
    """Whether a kernel with these settings can be orthonormal: on the torus it has full rank.

    Some kernel has it if random ones do, and of none that lacks it all singular values are 1.
    """
    sigma = torch.linalg.svdvals(torus(uniform(c_out, c_in, *k), math.lcm(*stride), stride))
    return bool(sigma[-1] > 1e-9)


STEPS = [*itertools.product((1, 2, 3), repeat=2)]


@pytest.mark.parametrize("stride", STEPS)
def test_what_cannot_be_orthonormal_is_refused(stride) -> None:
    """Where some pixels are not seen, and there are more outputs than those that are."""
    for c_in, c_out, k in itertools.product((1, 2, 3, 5), (1, 2, 3, 4, 5, 8, 9, 13), STEPS):
        conv = nn.Conv2d(c_in, c_out, k, stride, padding=1)
        conv.weight.grad = torch.ones_like(conv.weight)
        if exists(c_in, c_out, k, stride):
            lt.make_tangent_(lt.retract_(conv))
            assert lt.orthonormal(conv) is conv
            continue
        most = c_in * min(k[0], stride[0]) * min(k[1], stride[1])
        text = f"skips pixels needs at most {most} out_channels to be orthonormal; got {c_out}, wi"
        for refuse in (lt.orthonormal, lt.retract_, lt.make_tangent_):
            with pytest.raises(ValueError, match=text):
                refuse(conv)
        assert lt.spectral(conv) is conv, "its bound holds"


@settings(max_examples=150, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    k=st.sampled_from(STEPS),
    stride=st.sampled_from([(1, 1), *STEPS]),
    dilation=st.integers(1, 2),
    size=st.tuples(st.integers(3, 8), st.integers(3, 8)),
    seed=st.integers(0, 99),
)
def test_rows_without_padding_or_columns_with_a_full_one_are_orthonormal(
    channels, k, stride, dilation: int, size, seed: int
) -> None:
    """At every image size, also where the stride does not divide it."""
    assume(exists(*channels, k, stride))
    dilation = 1 if stride != (1, 1) else dilation
    seen = channels[0] * min(k[0], stride[0]) * min(k[1], stride[1])
    rows = channels[1] <= seen
    padding = (0, 0) if rows else tuple(dilation * (n - 1) for n in k)
    size = [max(n, dilation * (m - 1) + 1) for n, m in zip(size, k, strict=True)]
    conv = convolution(*channels, k, seed, stride=stride, padding=padding, dilation=dilation)
    A = matrix(conv, *size)
    gram = A @ A.T if rows else A.T @ A
    assert torch.allclose(gram, torch.eye(len(gram), dtype=gram.dtype), atol=1e-9)


@pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
@settings(max_examples=30, deadline=None)
@given(
    channels=st.sampled_from(CHANNELS),
    k=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.integers(0, 2),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 999),
)
def test_no_singular_value_exceeds_one(
    dtype, tol: float, channels, k, stride, padding, size, seed
) -> None:
    height, width = (max(n, m - 2 * padding) for n, m in zip(size, k, strict=True))
    assume(exists(*channels, k, stride))
    conv = convolution(*channels, k, seed, dtype, stride=stride, padding=padding)
    assert torch.linalg.matrix_norm(matrix(conv, height, width).double(), 2) <= 1 + tol


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("k", "stride"), [(1, 1), (2, 1), (3, 1), (5, 1), (3, 2), (3, 4), (5, 3)])
def test_the_norm_is_not_needlessly_small(channels, k: int, stride: int) -> None:
    conv = convolution(*channels, k, stride=stride, padding=k // 2)
    assert torch.linalg.matrix_norm(matrix(conv, 12, 12), 2) >= 0.99


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize(("k", "stride"), [(2, 1), (3, 1), (4, 1), (2, 2), (3, 2), (4, 2), (4, 3)])
def test_on_a_torus_every_singular_value_is_one(channels, k: int, stride: int) -> None:
    K = convolution(*channels, k, stride=stride).weight.detach()
    sigma = torch.linalg.svdvals(torus(K, 6, stride))
    assert (sigma - 1).abs().max() < 1e-9


def test_a_flattened_kernel_is_not_enough() -> None:
    """The fault that this class avoids: orthonormal once flattened, of norm 3 as an operator."""
    K = torch.full((1, 1, 3, 3), 1 / 3, dtype=torch.float64)
    assert lt.is_orthonormal(K.flatten(1))
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False, dtype=torch.float64)
    conv.weight.data = K
    assert torch.linalg.matrix_norm(matrix(conv, 16, 16), 2) > 2.9
    assert torch.linalg.matrix_norm(matrix(lt.orthonormal(conv), 16, 16), 2) <= 1 + 1e-5


@pytest.mark.parametrize("channels", [*CHANNELS, (16, 3), (1, 32), (8, 8)])
@pytest.mark.parametrize(
    ("k", "stride"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (3, 2), (5, 3), ((2, 4), (1, 3))]
)
def test_a_member_comes_back(channels, k, stride) -> None:
    K = convolution(*channels, k, stride=stride, seed=1).weight.detach()
    conv = convolution(*channels, k, stride=stride, seed=2)
    assert channels == (1, 1) or not torch.allclose(conv.weight, K, atol=0.1)
    conv.weight = K
    assert torch.allclose(conv.weight, K, atol=1e-11)
    single = nn.Conv2d(*channels, k, stride=stride)
    lt.orthonormal(single)
    single.weight = K.float()
    assert torch.allclose(single.weight, K.float(), atol=1e-5)


@pytest.mark.parametrize("channels", [(4, 4), (5, 4), (4, 5), (3, 3)])
@pytest.mark.parametrize("k", [(2, 2), (3, 3), (1, 4)])
def test_the_symbol_is_the_product_of_the_docstring(channels, k) -> None:
    """Equal channels have their projectors on the input side, as with a stride."""
    conv = convolution(*channels, k, seed=3)
    R, *bases = (p.detach() for p in conv.parametrizations.weight.parameters())
    K, R = conv.weight.detach().to(torch.complex128), R.flatten(1)
    c = len(R[0])
    for z in ([1, 1], [1j, 1], [1, -1], [-1, 0.6 + 0.8j]):
        want = (lambda U, _, Vh: U @ Vh)(*torch.linalg.svd(R, full_matrices=False)).to(K)
        taps = [(i, d) for i in range(max(k)) for d in (0, 1) if i < k[d] - 1]
        for (i, d), A in zip(taps, bases[0], strict=True):
            P = (A @ torch.linalg.pinv(A)).to(K)
            rest = torch.eye(c).to(K) - P
            want = want @ (rest + P * z[d] if i % 2 else P + rest * z[d])
        powers = [torch.tensor(z[d], dtype=K.dtype) ** torch.arange(k[d]) for d in (0, 1)]
        found = torch.einsum("ocab,a,b->oc", K, *powers)
        assert torch.allclose(found, want.T if channels[1] > channels[0] else want, atol=1e-9)


@pytest.mark.parametrize(
    ("channels", "blocks"), [((1, 4), 1), ((1, 5), 2), ((8, 2), 1), ((2, 9), 2)]
)
def test_thin_kernels_are_made_of_blocks(channels, blocks: int) -> None:
    originals = convolution(*channels, 3).parametrizations.weight
    assert originals.ntensors == 1 + blocks


@pytest.mark.parametrize("c", [1, 2, 5, 8])
def test_the_identity_is_a_member(c: int) -> None:
    conv = lt.orthonormal(nn.Conv2d(c, c, 3, padding=1, bias=False))
    conv.weight = nn.init.dirac_(torch.empty(c, c, 3, 3))
    x = uniform(2, c, 5, 5).float()
    assert torch.allclose(conv(x), x, atol=1e-5)


def test_any_kernel_is_replaced_by_a_member_near_it() -> None:
    K = convolution(4, 6, 3).weight.detach()
    conv = convolution(4, 6, 3, seed=3)
    for noise in (1e-2, 1e-3):
        conv.weight = K + noise * uniform(*K.shape, seed=5)
        assert (conv.weight - K).norm() < 20 * noise
        assert torch.linalg.matrix_norm(matrix(conv, 7, 7), 2) <= 1 + 1e-9


@pytest.mark.parametrize("channels", [(2, 3), (3, 2), (1, 5)])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_gradient_is_that_of_finite_differences(channels, stride: int) -> None:
    conv = convolution(*channels, 3, stride=stride)
    names = [name for name, _ in conv.named_parameters()]
    x = uniform(1, channels[0], 4, 4)

    def out(*parameters):
        values = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(conv, values, (x,)).square().sum()

    assert torch.autograd.gradcheck(out, tuple(conv.parameters()), atol=1e-6)


def test_dilation_and_circular_padding_are_bounded_too() -> None:
    conv = convolution(3, 4, 3, dilation=2, padding=2)
    assert torch.linalg.matrix_norm(matrix(conv, 8, 8), 2) <= 1 + 1e-9
    conv = convolution(3, 3, 3, padding=1, padding_mode="circular")
    assert (torch.linalg.svdvals(matrix(conv, 6, 5)) - 1).abs().max() < 1e-9
    same = convolution(3, 3, 3, padding="same")
    assert torch.linalg.matrix_norm(matrix(same, 6, 5), 2) <= 1 + 1e-9


def test_copies_states_and_modes() -> None:
    conv = nn.Conv2d(3, 16, 3, stride=1)
    lt.orthonormal(conv)
    other = lt.orthonormal(nn.Conv2d(3, 16, 3))
    other.load_state_dict(conv.state_dict(), strict=True)
    assert torch.equal(conv.weight, other.eval().weight)
    want = conv.weight.detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(conv.weight, want)


@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
def test_spectral_divides_by_the_operator_norm(stride) -> None:
    conv = lt.spectral(nn.Conv2d(3, 4, 3, stride, 1, bias=False, dtype=torch.float64))
    for scale in (1.0, 30.0):
        conv.weight = scale * uniform(4, 3, 3, 3)
        norm = torch.linalg.matrix_norm(matrix(conv, 13, 13), 2)
        assert 0.95 < norm <= 1 + 1e-9
    original = conv.parametrizations.weight.original

    def scaled(W):
        return torch.func.functional_call(
            conv, {"parametrizations.weight.original": W}, (uniform(1, 3, 4, 4),)
        )

    assert torch.autograd.gradcheck(scaled, (original.detach().requires_grad_(),), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=60, deadline=None)
@given(
    groups=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    k=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from([0, (1, 2), "same", "valid"]),
    mode=st.sampled_from(["zeros", "circular", "reflect", "replicate"]),
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    seed=st.integers(0, 99),
)
def test_linf_bounds_every_convolution_in_the_maximum_norm(
    groups, channels, k, stride, dilation, padding, mode, size, seed
) -> None:
    """Exact once the image is so large that a patch lies within it; a bound before."""
    extent = [d * (n - 1) + 1 for d, n in zip(dilation, k, strict=True)]
    assume(all(m >= n for m, n in zip(size, extent, strict=True)))
    settings = {"dilation": dilation, "padding": padding, "groups": groups, "padding_mode": mode}
    settings["stride"] = (1, 1) if padding == "same" else stride
    conv = nn.Conv2d(
        *(groups * c for c in channels), k, bias=False, dtype=torch.float64, **settings
    )
    lt.linf(conv, bound=0.5)
    conv.weight = uniform(*conv.weight.shape, seed=seed) + 0.2
    norms = conv.weight.detach().flatten(1).abs().sum(dim=1)
    rows = matrix(conv, *size).abs().sum(dim=1)
    assert rows.max() <= norms.max() + 1e-12 <= 0.5 + 2e-12
    within = all(m >= n + 2 * (n + s) for m, n, s in zip(size, extent, stride, strict=True))
    if within or padding in (0, "valid"):
        assert rows.max() == pytest.approx(float(norms.max()))
    (layer,) = lt.audit(nn.Sequential(conv)).layers
    assert layer.inf_norm == pytest.approx(float(norms.max()))
    at_size = lt.lipschitz_bounds(
        nn.Sequential(conv), uniform(1, conv.in_channels, *size), math.inf
    )
    assert float(rows.max()) * (1 - 1e-9) <= at_size.upper <= 0.5 + 1e-9
