"""Bad input to every public function: one sentence that says what came and what is needed."""

import copy
import inspect
import math
import re

import pytest
import torch
from bad_rows import (
    attacks,
    bjorck_apply,
    classification,
    course,
    jacobian,
    lattice,
    layers,
    orthonormal,
    projections,
    robustness,
    wasserstein,
)
from bad_rows.common import integer_rows, number_rows, tensor_rows
from torch import nn

import lipteach as lt
from lipteach import appendix, classroom, linear, training
from lipteach.training import mnist_sample

F32 = torch.ones(4)
MATRIX = torch.eye(2)
NAN = torch.tensor([1.0, math.nan])
F, _ = lt.theorem2_counterexample()
X = torch.ones(3, 2, dtype=torch.float64)


def training_rows():
    """What floor 3 refuses."""
    g = torch.Generator()
    network = training.orthonormal_network
    yield network, [5, nn.ReLU, g], TypeError, "sizes must be a list or tuple of widths; got int"
    yield network, [[5], nn.ReLU, g], ValueError, "sizes must hold at least 2 widths; got 1"
    yield network, [[5, 0], nn.ReLU, g], ValueError, "a width in sizes must be at least 1; got 0"
    yield network, [[5, "1"], nn.ReLU, g], TypeError, "a width in sizes must be an integer"
    yield network, [[5, 1], "relu", g], TypeError, "activation must make a module"
    for bad in (None, 3):
        yield network, [[5, 1], nn.ReLU, bad], TypeError, "generator must be a torch.Generator; got"
        yield batches_of, [F32, 2, 1, bad], TypeError, "generator must be a torch.Generator; got"
    for dtype in (torch.int64, torch.float16, torch.complex64):
        yield network, [[5, 1], nn.ReLU, g, dtype], TypeError, "dtype must be torch.float32 or"
    yield batches_of, [[1.0], 2, 1, g], TypeError, "tensors must be torch.Tensors; got list"
    yield batches_of, [torch.ones(()), 2, 1, g], ValueError, "number of rows, at least 1; got [()]"
    yield batches_of, [torch.ones(0, 3), 2, 1, g], ValueError, "at least 1; got [(0, 3)]"
    yield batches_of, [F32, 0, 1, g], ValueError, "size must be at least 1; got 0"
    yield batches_of, [F32, 2, 1.5, g], TypeError, "epochs must be an integer; got 1.5"
    yield training.minibatches, [], TypeError, "size"

    clip = training.clip_singular_values_
    yield clip, [None], TypeError, "model must be an nn.Module; got NoneType"
    spoilt = nn.Linear(2, 2)
    spoilt.weight.data.fill_(math.nan)
    yield clip, [spoilt], ValueError, "The weight of model must be finite; it is not"
    wrapped = nn.utils.parametrizations.orthogonal(nn.Linear(2, 2))
    yield clip, [wrapped], TypeError, "The weight of model must be plain; it is parametrized"

    model, batch = nn.Linear(2, 1), [(torch.ones(3, 2),)]
    value, adam = (lambda f, x: f(x).sum()), torch.optim.Adam(model.parameters())
    other = torch.optim.Adam(nn.Linear(2, 1).parameters())
    fit = training.fit
    yield fit, [None, value, batch, adam], TypeError, "model must be an nn.Module; got NoneType"
    yield fit, [model, None, batch, adam], TypeError, "loss must be a function; got NoneType"
    yield (
        fit,
        [model, value, batch, None],
        TypeError,
        "must be a torch.optim.Optimizer; got NoneType",
    )
    yield fit, [model, value, None, adam], TypeError, "batches must be iterable; got NoneType"
    yield fit, [model, value, batch, other], ValueError, "must hold parameters of the model"
    yield (
        fit,
        [model, lambda f, x: f(x), batch, adam],
        ValueError,
        "must return a scalar; got shape",
    )
    yield fit, [model, lambda f, x: 1.0, batch, adam], TypeError, "must return a torch.Tensor; got"
    yield fit, [model, lambda f, x: x.sum(), batch, adam], ValueError, "must depend on the model"
    infinite = lambda f, x: f(x).sum() * math.inf  # noqa: E731
    yield fit, [model, infinite, batch, adam], ValueError, "loss must be finite; got"
    named = lambda **k: fit(model, value, batch, adam, **k)  # noqa: E731
    yield lambda a: named(after_step=a), [3], TypeError, "after_step must be a function or None"
    yield lambda c: named(constraint=c), ["Björck"], TypeError, "constraint must be a Scheme or a"
    yield lambda c: named(constraint=c), [None], TypeError, "function of the model; got NoneType"


def batches_of(x, size, epochs, generator):
    return training.minibatches(x, size=size, epochs=epochs, generator=generator)


def rows():
    """(callable, arguments, error, part of its message)."""
    yield from tensor_rows(lambda x: lt.group_sort(x, 2), "x")
    yield from tensor_rows(lt.maxmin, "x")
    yield from tensor_rows(lt.full_sort, "x")
    yield from tensor_rows(lt.operator_norm, "W")
    yield from tensor_rows(lambda W: lt.mixed_norm(W, 2), "W")
    yield from tensor_rows(lt.is_orthonormal, "W")
    for sort in (lt.maxmin, lt.full_sort, lambda x, dim: lt.group_sort(x, 2, dim)):
        for dim in (1, -2, 7):
            yield sort, [F32, dim], ValueError, f"got {dim}"
        for dim in ("0", None, 1.0, True):
            yield sort, [F32, dim], TypeError, "dim must be an integer; got"
        yield lambda x, s=sort: s(x, -1), [torch.tensor(1.0)], ValueError, "shape ()"
    yield from integer_rows(lambda size: lt.group_sort(F32, size), "size")
    yield lt.group_sort, [torch.ones(2, 5), 2], ValueError, "5"
    yield lt.group_sort, [F32, 3], ValueError, "3"
    yield lt.maxmin, [torch.ones(3)], ValueError, "3"
    yield lt.maxmin, [torch.ones(4, 3), 1], ValueError, "3"
    yield lambda d: lt.group_sort(F32, 2, descending=d), ["yes"], TypeError, "descending"
    yield lambda d: lt.full_sort(F32, descending=d), [1], TypeError, "descending"
    yield from integer_rows(lt.GroupSort, "size")
    for module in (lt.MaxMin, lt.FullSort, lambda dim: lt.GroupSort(2, dim)):
        yield module, ["0"], TypeError, "dim must be an integer; got"
    yield lt.MaxMin(), [torch.ones(3)], ValueError, "3"
    yield lt.Abs(), [[1.0]], TypeError, "must be a torch.Tensor; got list"

    for norm in (lt.operator_norm, lt.mixed_norm):
        for p in (0, 3, 0.5, -1, math.nan):
            yield norm, [MATRIX, p], ValueError, "p must be 1, 2 or math.inf; got"
        for p in ("2", None, True):
            yield norm, [MATRIX, p], TypeError, "p must be 1, 2 or math.inf; got"
        yield norm, [F32, 2], ValueError, "W must have at least 2 dimensions; got shape (4,)"
        yield norm, [torch.full((2, 2), math.inf), 2], ValueError, "W must be finite"
    yield lt.is_orthonormal, [F32], ValueError, "W must have at least 2 dimensions"
    yield from number_rows(lambda t: lt.is_orthonormal(MATRIX, t), "tol", "greater than 0.0")

    yield lt.abs_network, [3], ValueError, "p must be 1, 2 or math.inf; got 3"
    yield lt.abs_network, ["2"], TypeError, "p must be 1, 2 or math.inf; got '2'"
    yield from number_rows(lt.w_network, "c", "")
    yield from integer_rows(lt.relu_network, "n")
    yield from integer_rows(lt.crelu_network, "n")
    yield from number_rows(lt.leaky_relu_network, "slope", "")
    for slope in (-1.01, 2):
        yield (
            lt.leaky_relu_network,
            [slope],
            ValueError,
            f"slope must be in [-1.0, 1.0]; got {slope}",
        )
    yield from integer_rows(lambda n: lt.maxout_network(n, 1), "n")
    yield from integer_rows(lambda size: lt.maxout_network(4, size), "size")
    yield lt.maxout_network, [4, 3], ValueError, "size must divide n; got n = 4 and size = 3"
    yield from integer_rows(lambda n: lt.maxmin_from_full_sort(n, 1.0), "n", least=2)
    yield lt.maxmin_from_full_sort, [3, 1.0], ValueError, "n must be even"
    yield lt.maxmin_from_full_sort, [8, 1e308], ValueError, "n · bound must be finite; got inf"
    yield lt.w_network, [10**400], ValueError, "c must be finite; got 1000"
    yield from number_rows(lambda b: lt.maxmin_from_full_sort(2, b), "bound", "greater than 0.0")
    yield from integer_rows(lt.full_sort_from_maxmin, "n", least=2)
    yield lt.full_sort_from_maxmin, [5], ValueError, "n must be even, since MaxMin sorts pairs; got"
    yield from number_rows(lt.maxmin_from_abs, "bound", "greater than 0.0")

    yield (
        lt.collapse_affine,
        [nn.Linear(2, 1), X],
        TypeError,
        "must be an nn.Sequential; got Linear",
    )
    yield (
        lt.collapse_affine,
        [nn.Sequential(), X],
        ValueError,
        "must alternate Linear and activation",
    )
    one = nn.Sequential(linear([[1.0, 0.0]]))
    yield lt.collapse_affine, [one, [1.0]], TypeError, "x must be a torch.Tensor; got list"
    yield lt.collapse_affine, [one, X[0]], ValueError, "x must have at least 2 dimensions"
    yield (
        lt.collapse_affine,
        [one, X[:, :1]],
        ValueError,
        "x must have shape (batch, 2); got (3, 1)",
    )
    yield lt.collapse_affine, [one, X * math.nan], ValueError, "x must be finite"
    yield lt.collapse_affine, [one, X.float()], TypeError, "float32"
    for tol in ("1", True, math.nan, -1.0):
        error = ValueError if isinstance(tol, float) else TypeError
        yield lt.collapse_affine, [one, X, tol], error, "tol must be"
    derivatives = lt.singular_value_derivatives
    yield derivatives, [None, 0, X], TypeError, "network must be an nn.Sequential; got NoneType"
    yield derivatives, [F, "0", X], TypeError, "layer must be an integer; got '0'"
    yield derivatives, [F, 1, X], ValueError, "layer must be the index of an nn.Linear"
    yield derivatives, [F, 99, X], ValueError, "layer must be the index of an nn.Linear"
    yield derivatives, [F, -1, X], ValueError, "layer must be at least 0; got -1"
    yield derivatives, [F, 0, X[0]], ValueError, "x must have at least 2 dimensions"
    yield derivatives, [F, 0, X[:, :1]], ValueError, "x must have shape (batch, 2); got (3, 1)"
    yield derivatives, [F, 0, X.float()], TypeError, "float32"
    two = nn.Sequential(linear(torch.eye(2)))
    yield derivatives, [two, 0, X], ValueError, "one output"

    yield lt.gradient_norms, [nn.Linear(2, 1), X], TypeError, "must be an nn.Sequential; got Linear"
    yield lt.gradient_norms, [one, X[:, :1]], ValueError, "x must have shape (batch, 2); got (3, 1)"
    yield lt.gradient_norms, [one, X.float()], TypeError, "float32"
    yield lt.gradient_norms, [two, X], ValueError, "one output"
    yield lt.gradient_norms, [two, X, lambda out: out.detach()], ValueError, "has no gradient"
    broken, mixed = nn.Sequential(nn.Linear(2, 1).double()), nn.Sequential(*two, linear([[1.0]]))
    broken[0].weight.data.fill_(math.nan)
    last = (lambda f, x: derivatives(f, 0, x), lt.gradient_norms, lt.collapse_affine)
    for call in last:
        yield call, [broken, X], ValueError, "each weight of network must be finite"
        yield call, [copy.deepcopy(one).half(), X.half()], TypeError, "must be float32 or float64"
    yield lt.gradient_norms, [mixed, X], ValueError, "a layer of 1 inputs after one of 2 outputs"
    yield (
        lt.gradient_norms,
        [nn.Sequential(nn.ReLU()), X],
        ValueError,
        "must have an nn.Linear layer",
    )
    yield lt.gradient_norms, [two, X, 3], TypeError, "scalar must be a function"
    yield (
        lt.gradient_norms,
        [two, X, lambda out: "x"],
        TypeError,
        "scalar must return a torch.Tensor",
    )

    for W in ("x", None, [[1.0], [1.0, 2.0]], [["1"]]):
        yield lt.frozen_linear, [W], TypeError, "W must be a matrix"
    for W in ([[1j]], [[True]]):
        yield lt.frozen_linear, [W], TypeError, "W must hold real numbers; got torch."
    yield (
        lt.frozen_linear,
        [[1.0]],
        ValueError,
        "W must have 2 dimensions and at least one entry; got",
    )
    yield lt.frozen_linear, [[[math.nan]]], ValueError, "W must be finite"
    yield (
        lt.frozen_linear,
        [[[1.0]], [1.0, 2.0]],
        ValueError,
        "b must have one entry for each of the 1 rows",
    )
    yield lt.frozen_linear, [[[1.0]], "b"], TypeError, "b must be a list"

    f = lt.abs_network()
    claim = lambda x: abs(x[0])  # noqa: E731
    yield lt.prove, [3, claim, None], TypeError, "got"
    yield lt.prove, [f, 3, None], TypeError, "got"
    yield lt.prove, [f, claim, (1, -1)], ValueError, "1"
    yield lt.prove, [f, claim, (math.nan, 1)], ValueError, "nan"
    yield lt.prove, [f, claim, [(0, 1), (0, 1)]], ValueError, "2"
    yield lt.prove, [f, claim, "all"], TypeError, "got"
    yield lt.prove, [f, claim, (-(10**400), 1)], ValueError, "must be within"
    yield lt.prove, [nn.ReLU(), nn.ReLU(), []], ValueError, "one pair for each input"
    yield lt.prove, [f, lambda x: [x[0], x[0]], None], ValueError, "2"
    yield lt.prove, [f, lambda x, y, z: x[0], None], (TypeError, ValueError), "3"
    yield lt.prove, [nn.Sequential(nn.Tanh()), claim, [(0, 1)]], ValueError, "Tanh"
    yield lt.prove, [f, lt.relu_network(2), None], ValueError, "2"
    for tol in (-1.0, math.nan):
        yield lt.prove, [f, claim, None, tol], ValueError, "tol must be"
    for timeout in (0, -1.0, math.nan):
        yield lt.prove, [f, claim, None, 0.0, timeout], ValueError, "timeout must be"
    empty = lambda x: x[0] * x[0] < 0  # noqa: E731
    yield lt.prove, [f, claim, empty], ValueError, "domain"

    yield from training_rows()
    yield mnist_sample, ["valid"], ValueError, 'split must be "train" or "test"; got "valid"'
    yield mnist_sample, [1], TypeError, 'split must be "train" or "test"; got int'
    load = training.load_mnist
    yield load, [3], TypeError, "root must be a path; got int"
    splits = 'split must be "train", "validation", "train+validation" or "test"; got'
    yield load, [".", "valid"], ValueError, f'{splits} "valid"'
    yield load, [".", True], TypeError, f"{splits} bool"
    yield load, [".", "test", "cifar"], ValueError, 'kind must be "mnist" or "fashion"; got "cifar"'
    yield load, [".", "test", None], TypeError, 'kind must be "mnist" or "fashion"; got NoneType'
    yield load, [".", "test", "mnist", 1], TypeError, "download must be True or False; got 1"
    yield appendix.find, ["Fig. 99"], ValueError, "'Fig. 99'"
    yield appendix.find, [10], TypeError, "int"
    yield classroom.check, ["00.first-chek", None], ValueError, "00.first-check"
    yield classroom.check, [1, None], TypeError, "int"
    yield classroom.show, ["figure"], TypeError, "got str"
    slider = lambda a: classroom.slider_figure(lambda a: a, a=a)  # noqa: E731
    yield slider, [3], TypeError, "got 3"
    yield slider, [(2, 1, 1)], ValueError, "got (2, 1, 1)"


ROOMS = (
    orthonormal,
    bjorck_apply,
    projections,
    layers,
    wasserstein,
    jacobian,
    lattice,
    robustness,
    attacks,
    classification,
    course,
)
ROWS = [*rows(), *(row for room in ROOMS for row in room.rows())]


@pytest.mark.parametrize(("call", "arguments", "error", "part"), ROWS)
def test_bad_input_is_refused_in_one_sentence(call, arguments, error, part: str) -> None:
    with pytest.raises(error) as caught:
        call(*arguments)
    message = str(caught.value)
    assert part in message
    assert "\n" not in message
    assert len(message) < 300
    assert not re.search(r"\.\s+[A-Z].*\.\s+[A-Z]", message), "one sentence, two at most"


def test_every_public_function_has_a_row() -> None:
    """Functions without arguments and result types apart."""
    source = "".join(map(inspect.getsource, (rows, training_rows, *ROOMS)))
    for room in (lt, training):
        for name in room.__all__:
            thing = getattr(room, name)
            if inspect.isfunction(thing) and inspect.signature(thing).parameters:
                assert re.search(rf"\b{name}\b", source), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_infinity_is_a_value_that_sorts(dtype: torch.dtype) -> None:
    """Sorting knows what to do with it; a norm does not."""
    x = torch.tensor([-math.inf, 1.0, math.inf, 2.0], dtype=dtype)
    assert lt.maxmin(x).tolist() == [1.0, -math.inf, math.inf, 2.0]
    assert lt.full_sort(x).tolist() == [math.inf, 2.0, 1.0, -math.inf]


@pytest.mark.parametrize("many", [2**63, 2**64, 10**30])
def test_an_integer_beyond_those_of_torch_is_taken_as_a_float(many: int) -> None:
    x = torch.tensor([3.0, -1.0, 2.0])
    for make in (
        lambda r: [lt.project_simplex(x, r), lt.project_l1_ball(x, r), lt.in_l1_ball(x, r)],
        lambda r: [*lt.w_network(r).parameters(), *lt.w_network(-r).parameters()],
        lambda r: [*lt.maxmin_from_full_sort(4, r).parameters()],
        lambda r: [*lt.maxmin_from_abs(r).parameters()],
    ):
        for got, want in zip(make(many), make(float(many)), strict=True):
            torch.testing.assert_close(got, want, rtol=0, atol=0)
    f = nn.Sequential(lt.frozen_linear([[1.0]]))
    assert lt.prove(f, f, None, tol=many).tol == float(many)
