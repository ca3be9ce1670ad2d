"""GroupSort and its relatives against sorting by numpy and by torch, entry by entry."""

from __future__ import annotations

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lipteach.primitives._fast import pairs
from lipteach.primitives.activations import (
    Abs,
    FullSort,
    GroupSort,
    MaxMin,
    full_sort,
    group_sort,
    maxmin,
)

# torch.func.jacfwd makes torch script some of its own functions, which warns
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

WAYS = {"sort": (1 << 40, 0), "index": (0, 1 << 40), "memory": (0, 0)}
"""The sizes up to which pairs go by a sort, and up to which by index."""


@pytest.fixture(scope="module", params=WAYS, autouse=True)
def _way(request):
    """Everything here holds for each of the ways in which pairs are sorted."""
    with pytest.MonkeyPatch.context() as patch:
        few, some = WAYS[request.param]
        patch.setattr(pairs, "_FEW", few)
        patch.setattr(pairs, "_SOME", some)
        yield


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def numpy_group_sort(x: Tensor, size: int, dim: int, descending: bool = True) -> Tensor:
    """Loop over groups in numpy (float32 holds every 16-bit float)."""
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    rows = np.moveaxis(x.detach().to(wide).numpy().copy(), dim, -1)
    for start in range(0, rows.shape[-1], size):
        group = np.sort(rows[..., start : start + size], axis=-1)
        rows[..., start : start + size] = group[..., ::-1] if descending else group
    return torch.from_numpy(np.moveaxis(rows, -1, dim).copy()).to(x.dtype)


def torch_group_sort(x: Tensor, size: int, dim: int, descending: bool = True) -> Tensor:
    """Sort by torch.sort, whose gradient goes by the index of the source."""
    rows = x.movedim(dim, -1)
    groups = rows.reshape(*rows.shape[:-1], -1, size)
    values, _ = groups.sort(dim=-1, descending=descending, stable=True)
    return values.reshape(rows.shape).movedim(-1, dim)


def transposed(x: Tensor) -> Tensor:
    """Return x with its memory in the opposite order of dimensions."""
    return x.permute(*reversed(range(x.ndim))).contiguous().permute(*reversed(range(x.ndim)))


def spaced(x: Tensor) -> Tensor:
    """Return x with gaps in memory."""
    return torch.stack((x, torch.full_like(x, 7.0)), dim=-1)[..., 0]


LAYOUTS = (lambda x: x, transposed, spaced)


def test_pairs_are_adjacent_and_interleaved() -> None:
    x = torch.tensor([3.0, 1.0, 2.0, 4.0])
    assert maxmin(x).tolist() == [3.0, 1.0, 4.0, 2.0]
    assert full_sort(x).tolist() == [4.0, 3.0, 2.0, 1.0]
    assert full_sort(x, descending=False).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_size_is_the_size_of_a_group() -> None:
    x = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert group_sort(x, 2).tolist() == [2.0, 1.0, 4.0, 3.0, 6.0, 5.0]
    assert group_sort(x, 3).tolist() == [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]
    assert group_sort(x, 1).tolist() == x.tolist()
    assert group_sort(-x, 2, descending=False).tolist() == [-2.0, -1.0, -4.0, -3.0, -6.0, -5.0]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_values_and_gradients_for_any_shape(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 5), "size")
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4), "shape")
    dim = data.draw(st.integers(-len(shape), len(shape) - 1), "dim")
    shape[dim] *= size
    dtype = data.draw(st.sampled_from(FLOATS), "dtype")
    layout = data.draw(st.sampled_from(LAYOUTS), "layout")
    descending = data.draw(st.booleans(), "descending")
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99), "seed"))
    x = torch.randint(-3, 4, shape, generator=generator).to(dtype)  # with many ties
    x = layout(x).requires_grad_()
    before = x.detach().clone()
    y = group_sort(x, size, dim, descending)
    assert torch.equal(x, before)
    assert y.dtype == dtype
    assert torch.equal(y, numpy_group_sort(x, size, dim, descending))
    upstream = layout(torch.randn(shape, generator=generator).to(dtype))
    (ours,) = torch.autograd.grad(y, x, upstream)
    (theirs,) = torch.autograd.grad(torch_group_sort(x, size, dim, descending), x, upstream)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("dim", [1, -1, 0])
def test_maxmin_over_several_chunks(
    dtype: torch.dtype, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "_CHUNK", 6)
    x = torch.randn(6, 10, 4, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    for y in (x, x.contiguous(memory_format=torch.channels_last), x[:, :, ::2], x.mT):
        out = maxmin(y, dim)
        assert torch.equal(out, numpy_group_sort(y, 2, dim))
    assert maxmin(x).stride() == x.stride()
    last = x.contiguous(memory_format=torch.channels_last)
    assert maxmin(last, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", FLOATS)
def test_any_bits_pass_through_maxmin(dtype: torch.dtype) -> None:
    limit = torch.finfo(dtype)
    edge = [limit.max, -limit.max, limit.tiny, 0.0, -1.0, torch.inf, -torch.inf, limit.eps]
    pairs = torch.tensor(list(itertools.product(edge, edge)), dtype=dtype)
    assert torch.equal(maxmin(pairs), pairs.sort(descending=True).values)
    x = torch.tensor([[1.0, 2.0, 4.0, 3.0]], dtype=dtype, requires_grad=True)
    upstream = torch.tensor([[torch.nan, torch.inf, limit.max, torch.nan]], dtype=dtype)
    (gradient,) = torch.autograd.grad(maxmin(x), x, upstream)
    expected = upstream[:, [1, 0, 2, 3]]
    assert torch.equal(gradient.isnan(), expected.isnan())
    assert torch.equal(gradient.nan_to_num(), expected.nan_to_num())


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 12])
@pytest.mark.parametrize("levels", [1, 2, 3, 100])
@pytest.mark.parametrize("descending", [True, False])
def test_jacobian_is_a_permutation_at_ties(size: int, levels: int, descending: bool) -> None:
    generator = torch.Generator().manual_seed(size)
    x = torch.randint(levels, (12,), generator=generator).double()
    for method in (torch.autograd.functional.jacobian, "rev", "fwd"):
        if callable(method):
            jacobian = method(lambda x: group_sort(x, size, -1, descending), x)
        else:
            transform = torch.func.jacrev if method == "rev" else torch.func.jacfwd
            jacobian = transform(lambda x: group_sort(x, size, -1, descending))(x)
        assert torch.equal(jacobian @ jacobian.T, torch.eye(12).double())
        assert set(jacobian.unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(jacobian @ x, group_sort(x, size, -1, descending))
        if levels == 1:
            assert torch.equal(jacobian, torch.eye(12).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [3, 4, 5, 8, 15, 16, 17, 64])
def test_equal_entries_keep_their_order_at_every_length(size: int, dtype: torch.dtype) -> None:
    """Short groups are not asked to be sorted so; that a later torch does otherwise shows here."""
    generator = torch.Generator().manual_seed(size)
    for levels in (1, 2, 5):
        x = torch.randint(levels, (500, size), generator=generator).to(dtype).requires_grad_()
        G = torch.arange(500 * size, dtype=dtype).reshape(500, size)
        for descending in (True, False):
            (got,) = torch.autograd.grad(group_sort(x, size, 1, descending), x, G)
            (want,) = torch.autograd.grad(torch_group_sort(x, size, 1, descending), x, G)
            assert torch.equal(got, want)
            (got,) = torch.autograd.grad(group_sort(x.T, size, 0, descending), x, G.T)
            assert torch.equal(got, want)


@pytest.mark.parametrize("size", [2, 3, 6])
def test_a_tie_has_no_derivative(size: int) -> None:
    """The rate in the direction d is the sort of d, which no matrix gives."""
    generator = torch.Generator().manual_seed(size)
    for _ in range(20):
        d = torch.randint(-3, 4, (6,), generator=generator).double()
        rate = (group_sort(1 + 2.0**-20 * d, size) - 1) * 2.0**20
        assert torch.equal(rate, group_sort(d, size))
    e = torch.eye(6).double()[0]
    assert not torch.equal(group_sort(-e, size), -group_sort(e, size))


@pytest.mark.parametrize("dim", [0, 1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [2, 3])
def test_first_and_second_derivatives(dim: int, layout: object, size: int) -> None:
    x = torch.randperm(6 * 6 * 6, generator=torch.Generator().manual_seed(1)).double()
    x = x.view(6, 6, 6)[
        : (6 if dim == 0 else 1), : (6 if dim == 1 else 2), : (6 if dim == 2 else 2)
    ]
    x = layout(x.contiguous()).detach().requires_grad_()  # type: ignore[operator]

    def smooth(x: Tensor) -> Tensor:
        return group_sort(x, size, dim).div(9).sin()

    assert torch.autograd.gradcheck(smooth, (x,), check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(smooth, (x,), check_batched_grad=True)


def test_gradient_of_the_sum_of_squares_is_that_of_the_input() -> None:
    x = torch.randn(5, 8, 3, dtype=torch.float64, requires_grad=True)
    for f in (GroupSort(4, 1), MaxMin(1), FullSort(1), Abs()):
        (gradient,) = torch.autograd.grad(f(x).square().sum(), x)
        assert torch.equal(gradient, 2 * x)


def test_gradient_expanded_or_missing() -> None:
    x = torch.randn(4, 6, requires_grad=True)
    (gradient,) = torch.autograd.grad(maxmin(x).sum(), x)
    assert torch.equal(gradient, torch.ones(4, 6))
    assert not maxmin(x.detach()).requires_grad
    with torch.inference_mode():
        assert torch.equal(maxmin(x), torch_group_sort(x, 2, -1))


@pytest.mark.parametrize("p", [1, 2, torch.inf])
def test_sorting_is_1_lipschitz_and_keeps_the_gradient_norm(p: float) -> None:
    x, y = torch.randn(2, 200, 12, dtype=torch.float64)
    for f in (GroupSort(3), MaxMin(), FullSort(), Abs()):
        apart = (f(x) - f(y)).norm(p, dim=-1)
        assert bool((apart <= (x - y).norm(p, dim=-1) + 1e-12).all())
        upstream, z = torch.randn_like(x), x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(f(z), z, upstream)
        torch.testing.assert_close(gradient.norm(p, dim=-1), upstream.norm(p, dim=-1))


@pytest.mark.parametrize("f", [MaxMin(), GroupSort(3), FullSort(), Abs()], ids=repr)
def test_under_transforms(f: nn.Module) -> None:
    x = torch.randn(4, 5, 6, dtype=torch.float64)
    vmap, jvp, jacrev = torch.func.vmap, torch.func.jvp, torch.func.jacrev
    assert torch.equal(vmap(f)(x), f(x))
    assert torch.equal(vmap(f, in_dims=1)(x), f(x.transpose(0, 1)))
    assert torch.equal(vmap(vmap(f))(x), f(x))
    tangent = torch.randn_like(x)
    value, moved = jvp(f, (x,), (tangent,))
    assert torch.equal(value, f(x))
    step = 1e-6
    torch.testing.assert_close(moved, (f(x + step * tangent) - f(x)) / step, atol=1e-6, rtol=1e-6)
    per_sample = vmap(vmap(jacrev(f)))(x)
    assert per_sample.shape == (4, 5, 6, 6)
    assert torch.equal(per_sample @ per_sample.mT, torch.eye(6).double().expand(4, 5, 6, 6))
    hessian = torch.func.hessian(lambda x: f(x).pow(2).sum())(x[0, 0])
    torch.testing.assert_close(hessian, 2 * torch.eye(6).double())


def test_jvp_by_dual_numbers() -> None:
    x, tangent = torch.randn(2, 3, 8)
    forward_ad = torch.autograd.forward_ad
    with forward_ad.dual_level():
        moved = forward_ad.unpack_dual(maxmin(forward_ad.make_dual(x, tangent))).tangent
    assert moved is not None
    assert torch.equal(moved, torch.func.jvp(maxmin, (x,), (tangent,))[1])


def test_slope_of_abs_at_zero_is_one() -> None:
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0], requires_grad=True)
    y = Abs()(x)
    assert torch.equal(y, x.abs())
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert slope.tolist() == [-1.0, 1.0, 1.0, 1.0]
    x = torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: Abs()(x).sin(), (x,))


def test_autocast_leaves_the_dtype() -> None:
    x = torch.randn(4, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        outs = [f(x) for f in (MaxMin(), GroupSort(4), FullSort(), Abs())]
        torch.stack(outs).sum().backward()
    assert all(out.dtype == torch.float32 for out in outs)
    assert x.grad is not None


def test_modules_print_copy_and_pickle() -> None:
    assert repr(GroupSort(3, dim=1)) == "GroupSort(size=3, dim=1)"
    assert repr(MaxMin(1)) == "MaxMin(dim=1)"
    assert repr(FullSort()) == "FullSort(dim=-1)"
    assert repr(Abs()) == "Abs()"
    x = torch.randn(2, 6, 6)
    for module in (GroupSort(3, dim=1), MaxMin(1), FullSort(), Abs()):
        assert not module.state_dict()
        for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert repr(twin) == repr(module)
            assert torch.equal(twin(x), module(x))


X = torch.ones(2, 6)
NAN = torch.tensor([1.0, torch.nan, torch.inf, -torch.inf])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: maxmin([1.0, 2.0]), TypeError, "list"),  # type: ignore[arg-type]
        (lambda: maxmin(torch.ones(2, dtype=torch.int64)), TypeError, "int64"),
        (lambda: full_sort(torch.ones(2, dtype=torch.bool)), TypeError, "bool"),
        (lambda: group_sort(torch.ones(2, dtype=torch.complex64), 2), TypeError, "complex64"),
        (lambda: Abs()(torch.ones(2, dtype=torch.int32)), TypeError, "int32"),
        (lambda: maxmin(torch.tensor(1.0)), ValueError, "dimension"),
        (lambda: maxmin(torch.ones(0)), ValueError, "empty"),
        (lambda: full_sort(torch.ones(2, 0)), ValueError, "empty"),
        (lambda: maxmin(torch.ones(2, 5)), ValueError, "even length.*5"),
        (lambda: group_sort(X, 4), ValueError, "length 6 along dim 1 and size 4"),
        (lambda: group_sort(X, 0), ValueError, "size.*0"),
        (lambda: group_sort(X, -2), ValueError, "size.*-2"),
        (lambda: group_sort(X, 2.0), TypeError, "size.*2.0"),  # type: ignore[arg-type]
        (lambda: group_sort(X, True), TypeError, "size.*True"),
        (lambda: GroupSort("2"), TypeError, "size.*'2'"),  # type: ignore[arg-type]
        (lambda: GroupSort(0), ValueError, "size.*0"),
        (lambda: MaxMin(None)(X), TypeError, "dim.*None"),  # type: ignore[arg-type]
        (lambda: maxmin(X, 2), ValueError, r"dim.*\[-2, 1\].*2"),
        (lambda: maxmin(X, -3), ValueError, "dim.*-3"),
        (lambda: full_sort(X, True), TypeError, "dim.*True"),
        (lambda: maxmin(NAN), ValueError, "NaN"),
        (lambda: group_sort(NAN, 4), ValueError, "NaN"),
        (lambda: full_sort(NAN), ValueError, "NaN"),
        (lambda: Abs()(NAN), ValueError, "NaN"),
    ],
)
def test_bad_input_is_named_in_one_sentence(
    call: object, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", FLOATS)
def test_infinities_are_sorted(dtype: torch.dtype) -> None:
    x = torch.tensor([-torch.inf, torch.inf, 1.0, torch.inf], dtype=dtype)
    assert maxmin(x).tolist() == [torch.inf, -torch.inf, torch.inf, 1.0]
    assert full_sort(x).tolist() == [torch.inf, torch.inf, 1.0, -torch.inf]


def test_nan_is_found_in_every_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "_CHUNK", 2)
    for place in range(64):
        x = torch.zeros(64)
        x[place] = math.nan
        for dim, y in ((0, x), (0, x.view(8, 8)), (1, x.view(8, 8))):
            with pytest.raises(ValueError, match="must not hold NaN"):
                maxmin(y, dim)


def test_groups_cost_what_their_sorts_cost() -> None:
    """A.4: n/k sorts of k entries, and MaxMin is maxima beside minima, up to a permutation."""
    x = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))
    for k in (2, 3, 4, 12):
        sorts = [full_sort(group) for group in x.split(k, dim=1)]
        assert len(sorts) == 24 // k
        assert torch.equal(torch.cat(sorts, dim=1), group_sort(x, k))
    pairs = x.view(5, 12, 2)
    joined = torch.cat([pairs.amax(2), pairs.amin(2)], dim=1)
    interleave = torch.arange(24).view(2, 12).T.flatten()
    assert torch.equal(joined[:, interleave], maxmin(x))


def test_a_tensor_that_stands_for_another_takes_the_plain_form() -> None:
    """Fake tensors hold no data to look at."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        assert maxmin(torch.empty(4, 6)).shape == (4, 6)
