"""Terms mean what they say: exact numbers, no silent truth values, and the values of the layers."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lipteach.primitives import Abs, FullSort, GroupSort, MaxMin, Selection
from lipteach.theory import terms
from lipteach.theory.expressions import Term, read_number
from lipteach.theory.solver import evaluate, fails_by
from lipteach.theory.terms import And, If, Max, Min, Not, Or, Sqrt, apply, linear

X, Y = Term("variable", "x"), Term("variable", "y")
POINTS = list(itertools.product([Fraction(-2), Fraction(0), Fraction(1, 3), Fraction(2)], repeat=2))


@pytest.mark.parametrize(
    "write",
    [
        lambda x, y: x + y - 3,
        lambda x, y: 3 - x - (y - x),
        lambda x, y: -x * 2 + 2 * (+y) * 3,
        lambda x, y: (x - y) * (x + 2) * 0,
        lambda x, y: x / 4 + 1 / (y + 7),
        lambda x, y: x**3 - y**1,
        lambda x, y: abs(x) - abs(y - 1),
        lambda x, y: sum([x, y, x]),
    ],
)
def test_arithmetic_is_that_of_fractions(write):
    for x, y in POINTS:
        assert evaluate(write(X, Y), {"x": x, "y": y}) == write(x, y)


@pytest.mark.parametrize(
    ("formula", "truth"),
    [
        (X < Y, lambda x, y: x < y),
        (X <= Y, lambda x, y: x <= y),
        (X > Y, lambda x, y: x > y),
        (X >= 1, lambda x, y: x >= 1),
        (X == Y, lambda x, y: x == y),
        (X != Y, lambda x, y: x != y),
        (And(X > 0, Y > 0), lambda x, y: x > 0 and y > 0),
        (Or(X > 0, Y > 0), lambda x, y: x > 0 or y > 0),
        (Not(And(X > 0, Or())), lambda x, y: True),
        ((X > 0) == (Y > 0), lambda x, y: (x > 0) == (y > 0)),
        ((X > 0) != (Y > 0), lambda x, y: (x > 0) != (y > 0)),
    ],
)
def test_formulas_have_the_truth_of_python(formula, truth):
    for x, y in POINTS:
        assert evaluate(formula, {"x": x, "y": y})[0] == truth(x, y)


def test_choices():
    for x, y in POINTS:
        at = {"x": x, "y": y}
        assert evaluate(Max(X, Y), at) == max(x, y)
        assert evaluate(Min(X, Y), at) == min(x, y)
        assert evaluate(If(X > Y, 1, -1), at) == (1 if x > y else -1)
        assert evaluate(terms.relu(X), at) == max(x, 0)


@pytest.mark.parametrize(
    "decide",
    [
        lambda: max(X, Y),
        lambda: sorted([X, Y]),
        lambda: 1 if X == Y else 0,
        lambda: 0 <= X <= 1,
        lambda: X and Y,
        lambda: not X,
        lambda: X in [Y],
    ],
)
def test_a_term_has_no_truth_value(decide):
    with pytest.raises(TypeError, match="Max, Min, If"):
        decide()


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0.1, 0.1),
        (1 / 3, 1 / 3),
        (-1.9, -1.9),
        (math.sqrt(0.5), math.sqrt(2) / 2),
        (1 / math.sqrt(2), math.sqrt(2) / 2),
        (-1.9 * math.sqrt(2), -1.9 * math.sqrt(2)),
        (1 / math.sqrt(3), math.sqrt(3) / 3),
    ],
)
def test_floats_are_read_as_what_they_meant(value, meant):
    term = read_number(value)
    assert evaluate(term, {}) == pytest.approx(meant, rel=1e-15)
    assert term.op != "number" or term.args[0].denominator <= 1000


def test_square_roots_are_read_as_roots():
    for value in (math.sqrt(0.5), 1 / math.sqrt(2), math.sqrt(2) * 1.9, -math.sqrt(1.125)):
        for term in (read_number(value), read_number(np.float32(value).item(), digits=24)):
            assert "root(2)" in str(term) or value == math.sqrt(2) * 1.9


@pytest.mark.parametrize("value", [0.70710678, 0.123456789, 1e300, 2.0**-60, 123456789.123, 1e-5])
def test_other_floats_are_the_fractions_they_are(value):
    assert evaluate(read_number(value), {}) == Fraction(value)


def test_a_float_is_read_as_a_root_within_one_unit_only():
    root = math.sqrt(0.5)
    assert "root(2)" in str(read_number(math.nextafter(root, 0)))
    two_up = math.nextafter(math.nextafter(root, 1), 1)
    assert read_number(two_up).args[0] == Fraction(two_up)


def test_short_floats_are_read_as_small_fractions_only():
    for value, digits, simple in ((15 / 16.5, 24, True), (17 / 19, 24, False), (17 / 19, 53, True)):
        stored = np.float32(value).item() if digits == 24 else value
        assert (read_number(stored, digits).args[0] != Fraction(stored)) is simple


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 1000), st.integers(1, 1000), st.sampled_from([1, 2, 3, 5, 6, 7, 10]))
def test_every_simple_number_is_found(p, q, m):
    term = read_number(math.sqrt(Fraction(m * p * p, q * q)))
    assert len(str(term)) <= len("multiply(1000/1000, root(10))")
    assert evaluate(term, {}) == pytest.approx(math.sqrt(m) * p / q, rel=1e-15)


def test_half_precision_is_not_read_as_roots():
    half = torch.tensor(0.5).sqrt().half().item()
    assert read_number(half, digits=11).args[0] == Fraction(half)


def test_sqrt_squares_to_its_number():
    assert evaluate(Sqrt(Fraction(9, 4)), {}) == Fraction(3, 2)
    assert evaluate(Sqrt(2), {}) == math.sqrt(2)
    with pytest.raises(ValueError, match="not negative; got -1"):
        Sqrt(-1)
    with pytest.raises(TypeError, match=r"integer or a Fraction; got 2\.0"):
        Sqrt(2.0)


@pytest.mark.parametrize("n", range(1, 10))
def test_sorting_networks_sort_all_zeros_and_ones(n):
    # Knuth's zero-one principle: then they sort everything.
    for bits in itertools.product((0, 1), repeat=n):
        v = list(bits)
        for i, j in terms.comparators(n):
            assert i < j
            v[i], v[j] = max(v[i], v[j]), min(v[i], v[j])
        assert v == sorted(bits, reverse=True)


def test_linear_takes_tensors_terms_and_numbers():
    at = {"x": Fraction(2), "y": Fraction(3)}
    W = torch.tensor([[1.0, 2.0], [0.5, 0.0]])
    assert [evaluate(t, at) for t in linear(W, [X, Y], torch.tensor([1.0, 0.0]))] == [9, 1]
    assert [evaluate(t, at) for t in linear([[Y, 1]], [X, Y])] == [9]
    assert evaluate(np.float64(0.5) * X, at) == 1
    with pytest.raises(ValueError, match="2 entries of x"):
        linear([[1, 2, 3]], [X, Y])


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: X + "1", "unsupported operand"),
        (lambda: X * True, "unsupported operand"),
        (lambda: Max(X, "1"), "term or a real number"),
        (lambda: And(X), "comparison of terms"),
        (lambda: X == None, "term or a real number"),  # noqa: E711
    ],
)
def test_wrong_types(act, message):
    with pytest.raises(TypeError, match=message):
        act()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: X * math.nan, "finite; got nan"),
        (lambda: X / 0, "divided by the number 0"),
        (lambda: X**0, "positive integer; got 0"),
        (lambda: X**0.5, "positive integer; got 0.5"),
        (lambda: terms.maxmin([X]), "got 1 and 2"),
        (lambda: terms.group_sort([X], 0), "got 1 and 0"),
    ],
)
def test_wrong_values(act, message):
    with pytest.raises(ValueError, match=message):
        act()


ACTIVATIONS = [
    MaxMin(),
    GroupSort(4),
    GroupSort(1),
    FullSort(),
    Abs(),
    nn.ReLU(),
    nn.LeakyReLU(0.25),
]
INTEGERS = st.integers(-3, 3)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_translated_network_has_the_values_of_torch(data):
    widths = data.draw(st.lists(st.sampled_from([4, 8]), min_size=1, max_size=2))
    layers: list[nn.Module] = []
    n = inputs = data.draw(st.integers(1, 3))
    for width in widths:
        layer = nn.Linear(n, width, dtype=torch.float64)
        with torch.no_grad():
            for tensor in (layer.weight, layer.bias):
                values = data.draw(st.lists(INTEGERS, min_size=tensor.numel(), max_size=99))
                tensor.copy_(torch.tensor(values[: tensor.numel()]).reshape(tensor.shape) / 4)
        layers += [nn.Sequential(layer, data.draw(st.sampled_from(ACTIVATIONS))), nn.Identity()]
        n = width
    network = nn.Sequential(*layers)
    names = [Term("variable", f"x{i}") for i in range(inputs)]
    x = [Fraction(data.draw(st.integers(-20, 20)), 8) for _ in names]
    at = {f"x{i}": value for i, value in enumerate(x)}
    got = [float(evaluate(term, at)) for term in apply(network, names)]
    with torch.no_grad():
        assert got == network(torch.tensor([float(v) for v in x], dtype=torch.float64)).tolist()


def test_a_layer_used_twice_is_applied_twice():
    double = nn.Linear(1, 1, bias=False)
    nn.init.constant_(double.weight, 2.0)
    assert apply(nn.Sequential(double, double), [1])[0].args == (4,)


def test_parametrized_weights_are_read_as_they_are_now():
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        layer.parametrizations.weight.original0.fill_(0.5)  # the norm, and so the size of W
    assert abs(apply(layer, [1])[0].args[0]) == Fraction(1, 2)
    torch.manual_seed(1)
    moving = nn.utils.parametrizations.spectral_norm(nn.Linear(20, 20).double())
    with pytest.raises(ValueError, match=r"changes each time it is read; call eval\(\)"):
        apply(moving, range(20))
    assert len(apply(moving.eval(), range(20))) == 20


class Reversed(MaxMin):
    def forward(self, x):
        return super().forward(x).flip(-1)


class Leak(nn.ReLU):
    def forward(self, x):
        return x


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Skip(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Mixed(nn.Identity, MaxMin):
    pass


class Called(nn.ReLU):
    def __call__(self, x):
        return x


def _overridden(layer):
    layer.forward = lambda x: -x
    return layer


@pytest.mark.parametrize(
    "layer", [Reversed(), Leak(), Doubled(2, 2), Skip(MaxMin()), Skip(nn.Linear(2, 2)), Called()]
)
def test_a_subclass_that_computes_something_else_is_refused(layer):
    for network in (layer, nn.Sequential(nn.Linear(2, 2), layer)):
        with pytest.raises(
            ValueError, match=f"a {type(layer).__name__}|{type(layer).__name__} has"
        ):
            apply(network, [X, Y])


def test_a_subclass_that_computes_the_same_is_read():
    class Named(MaxMin):
        pass

    at = {"x": Fraction(1), "y": Fraction(2)}
    assert [evaluate(t, at) for t in apply(Named(), [X, Y])] == [2, 1]
    assert [evaluate(t, at) for t in apply(Mixed(), [X, Y])] == [1, 2]


@pytest.mark.parametrize("layer", [MaxMin(), nn.Linear(2, 2), nn.Sequential(MaxMin())])
def test_a_forward_of_its_own_is_refused(layer):
    for network in (_overridden(layer), nn.Sequential(layer)):
        with pytest.raises(ValueError, match="has a forward of its own"):
            apply(network, [X, Y])


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_weights_are_refused(dtype):
    with pytest.raises(TypeError, match=r"floating-point dtype in a proof; got torch\.complex"):
        apply(nn.Linear(2, 2, dtype=dtype), [X, Y])


def _hooked():
    layer = nn.Linear(1, 1)
    layer.register_forward_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Tanh(), "has a Tanh"),
        (nn.Sequential(nn.Linear(2, 2), nn.Dropout()), "has a Dropout"),
        (MaxMin(dim=0), "dim = -1 in a proof; got 0"),
        (nn.Linear(3, 1), "3 inputs was given 2"),
        (_hooked(), "Linear has hooks"),
    ],
)
def test_layers_that_cannot_be_translated(network, message):
    with pytest.raises(ValueError, match=message):
        apply(network, [X, Y])
    with pytest.raises(TypeError, match=r"nn\.Module; got str"):
        apply("network", [X])


def test_a_formula_fails_by_its_margin():
    x, y = Term("variable", "x"), Term("variable", "y")
    formula = And(Or(x <= y, Not(Or(x <= 1, Not(y <= 2)))), Not(And(x <= -1, y <= -1)), x == y)
    for i in range(-6, 7):
        for j in range(-6, 7):
            point = {"x": Fraction(i, 2), "y": Fraction(j, 2)}
            for part in (formula, *formula.args):
                _, slack = evaluate(part, point)
                assert evaluate(fails_by(part, Fraction(1)), point)[0] == (slack <= -1)


def test_an_index_of_no_input_is_refused():
    layer = Selection([0], 2)
    for index in (-1, 2):
        layer.index = torch.tensor([index])
        with pytest.raises(ValueError, match=r"Selection of 2 inputs has an index"):
            apply(nn.Sequential(layer), [X, Y])
