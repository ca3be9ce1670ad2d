"""What is measured is a copy: it must be the model, and what it is measured by must fit."""

import math
import warnings

import pytest
import torch
from support import matrix_of, normal, uniform
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.layers.layer_norms import spectrum
from lipteach.primitives import modules

HIDES = nn.Threshold(100.0, 100.0)  # the slopes of what follows, from Jacobians at samples


class Sets(nn.Linear):
    def __setstate__(self, state):
        super().__setstate__(state)
        self._parameters["weight"] = nn.Parameter(torch.zeros(2, 2))


class Gets(nn.Linear):
    def __getstate__(self):
        zero = {**self._parameters, "weight": nn.Parameter(torch.zeros(2, 2))}
        return {**self.__dict__, "_parameters": zero}


class Copies(nn.Linear):
    def __deepcopy__(self, memo):
        return lt.linear(torch.zeros(2, 2))


class Zero(nn.Parameter):
    def __deepcopy__(self, memo):
        return nn.Parameter(torch.zeros_like(self.data))


class Sevens(nn.Parameter):
    """Of the value of a weight, yet each linear map by it is sevenfold; its copy is not."""

    @classmethod
    def __torch_function__(cls, function, kinds, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            found = function(*args, **(kwargs or {}))
        return 7 * found if function is nn.functional.linear else found

    def __deepcopy__(self, memo):
        return nn.Parameter(self.data.clone())


class Slope(nn.LeakyReLU):
    def __getstate__(self):
        return {**self.__dict__, "negative_slope": 0.5}


class Unhooked(nn.Linear):
    def __getstate__(self):
        return {**self.__dict__, "_forward_hooks": type(self._forward_hooks)()}


class Lean(nn.Sequential):
    def __getstate__(self):
        return {**self.__dict__, "_modules": {}}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.append(lt.orthonormal(nn.Linear(2, 2)))


class Drops(nn.Sequential):
    def __getstate__(self):
        return {**self.__dict__, "_modules": {}}


def sevenfold(kind: type[nn.Linear] = nn.Linear) -> nn.Linear:
    layer = kind(2, 2)
    layer.weight.data = 7 * torch.eye(2)
    return layer


def of_another_parameter() -> nn.Module:
    layer = sevenfold()
    layer.weight = Zero(layer.weight.data)
    return layer


def of_a_parameter_with_a_say() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.weight = Sevens(torch.eye(2))
    return layer


def with_a_hook() -> nn.Module:
    layer = Unhooked(2, 2)
    layer.register_forward_hook(lambda module, inputs, output: 7 * output)
    return layer


COPIES = {
    "setstate": lambda: sevenfold(Sets),
    "getstate": lambda: sevenfold(Gets),
    "deepcopy": lambda: sevenfold(Copies),
    "parameter": of_another_parameter,
    "say": of_a_parameter_with_a_say,
    "setting": lambda: Slope(7.0),
    "hook": with_a_hook,
    "other modules": lambda: Lean(sevenfold()),
    "no modules": lambda: Drops(sevenfold()),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_model_that_is_another_in_its_copy_has_no_bound_and_is_not_exported(kind, capsys) -> None:
    model = nn.Sequential(COPIES[kind]())
    with pytest.warns(lt.UnknownBoundWarning, match=r"for 0.* another in its copy"):
        assert lt.lipschitz_bounds(model, uniform(3, 2)) == (0, math.inf)
    for x in (None, uniform(3, 2)):
        found = lt.audit(model, x)
        assert (found.lower, found.upper) == (0, math.inf)
        assert all(math.isnan(layer.upper) for layer in found.layers)
    with pytest.raises(RuntimeError, match=r"0.* is not copied as it is: its"):
        lt.export(model)


class Drop(nn.Module):
    def forward(self, X):
        return X * (torch.rand_like(X) > 0.5)


class Rare(nn.Module):
    """A number is drawn, yet has a say in no reading of a test."""

    def forward(self, X):
        return X * (7 if torch.rand(()) > 1 - 1e-6 else 1)


class Asks(nn.Module):
    def forward(self, X):
        return X * (7 if torch.is_grad_enabled() else 1)


class AsksForInference(nn.Module):
    def forward(self, X):
        return X * (7 if torch.is_inference_mode_enabled() else 1)


class Turns(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def forward(self, X):
        self.count += 1
        return X * (1 if self.count % 2 else 7)


class ByMode(nn.Module):
    def forward(self, X):
        return X * (3 if self.training else 1)


@pytest.mark.parametrize("made", [Drop, Rare, Asks, AsksForInference, Turns])
@pytest.mark.parametrize("size", [1.0, 1e-9])
@pytest.mark.parametrize("kind", [lambda: lt.linear(torch.eye(4)), lambda: nn.PReLU(4)])
def test_a_weight_that_changes_has_no_bound(made, size: float, kind, capsys) -> None:
    module = kind()
    module.weight.data.fill_(size)
    parametrize.register_parametrization(module, "weight", made(), unsafe=True)
    count = vars(module.parametrizations.weight[0]).get("count")
    model = nn.Sequential(HIDES, module, lt.Scale(1 / size))
    with pytest.warns(lt.UnknownBoundWarning, match="has a weight that changes each time"):
        assert lt.lipschitz_bounds(model, uniform(3, 4)) == (0, math.inf)
    for x in (None, uniform(3, 4)):
        assert lt.audit(model, x).upper == math.inf
    with pytest.raises(RuntimeError, match=r"The weight of this .* changes each time"):
        lt.export(model)
    assert vars(module.parametrizations.weight[0]).get("count") == count


def test_a_weight_that_is_cached_is_the_one_that_runs() -> None:
    layer = lt.linear(7 * torch.eye(2)).requires_grad_()
    parametrize.register_parametrization(layer, "weight", ByMode())
    model, x = nn.Sequential(layer), uniform(3, 2)
    with parametrize.cached():
        assert lt.lipschitz_bounds(model, x).upper == pytest.approx(7)
        assert torch.allclose(layer(x), 21 * x), "a weight of evaluation was left in the cache"
        layer(x).sum().backward()
        assert layer.parametrizations.weight.original.grad is not None
        layer.parametrizations.weight.original.data /= 7
        layer.eval()
        with pytest.warns(lt.UnknownBoundWarning, match="a weight that is another in its copy"):
            assert lt.lipschitz_bounds(model, x).upper == math.inf
    assert lt.lipschitz_bounds(model, x).upper == pytest.approx(1)


@pytest.mark.parametrize("constrain", [lt.linf, lt.spectral, lt.orthonormal])
def test_a_convolution_is_measured_beside_a_weight_that_changes(constrain, capsys) -> None:
    conv = constrain(nn.Conv2d(1, 2, 3, padding=1, bias=False)).double()
    dense = nn.Linear(50, 2).double()
    parametrize.register_parametrization(dense, "weight", Drop())
    found = lt.audit(nn.Sequential(conv, nn.Flatten(), dense), uniform(2, 1, 5, 5)).layers
    truth = float(torch.linalg.matrix_norm(matrix_of(conv, 1, 5, 5), 2))
    assert found[0].lower == found[0].upper == pytest.approx(truth)
    assert math.isnan(found[1].upper)


@pytest.mark.parametrize(("p", "truth"), [(1, 4.0), (2, 2.0), (math.inf, 1.0)])
def test_the_rows_of_a_chunk_count_as_one_sample(p: float, truth: float) -> None:
    pool = lt.ChunkedSequential(nn.Flatten(1), nn.AdaptiveMaxPool1d(1))
    model = nn.Sequential(HIDES, lt.linear(torch.ones(4, 1)), nn.Unflatten(1, (4, 1)), pool)
    y = model(torch.tensor([[200.0], [300.0]]).double())
    assert float((y[1] - y[0]).flatten().norm(p)) / 100 == pytest.approx(truth)
    assert lt.lipschitz_bounds(model, uniform(5, 1), p).upper == pytest.approx(truth)


@pytest.mark.parametrize("p", [1, 2])
def test_a_sample_that_a_chunk_takes_in_parts_has_no_bound(p, monkeypatch) -> None:
    """A part has fewer numbers than the sample: counted so, the bound would be 1."""
    monkeypatch.setattr(modules, "MOST_ENTRIES", 1)
    chunk = lt.ChunkedSequential(nn.ReLU())
    model = nn.Sequential(HIDES, lt.linear(torch.ones(4, 1)), nn.Unflatten(1, (4, 1)), chunk)
    y = model(torch.tensor([[200.0], [300.0]]).double())
    assert float((y[1] - y[0]).flatten().norm(p)) / 100 == pytest.approx(4 ** (1 / p))
    with pytest.warns(lt.UnknownBoundWarning, match="ReLU"):
        assert lt.lipschitz_bounds(model, uniform(5, 1), p).upper == math.inf


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_selection_is_known_by_its_index(size: int, capsys) -> None:
    layer = lt.Selection([0, 0, 2], in_features=3)
    layer.out_features = size - 1
    model, x = nn.Sequential(layer), uniform(4, 3)
    for p in (1, 2, math.inf):
        want = float(torch.linalg.matrix_norm(matrix_of(layer, 3), p))
        assert lt.lipschitz_bounds(model, x, p) == pytest.approx((want, want))
    assert torch.equal(layer.weight, matrix_of(layer, 3))
    layer.in_features = -1
    assert lt.audit(model).upper == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    ("pad", "padding", "shape"),
    [
        (nn.ConstantPad1d(1, 1.0), (0, 0, 1, -1), (3, 2)),
        (nn.ZeroPad1d(1), (0, 0, 0, 0, 1, -1), (3, 2, 2)),
    ],
)
def test_a_padding_acts_on_as_many_dimensions_as_it_has_pairs(pad, padding, shape, capsys) -> None:
    pad.padding = padding
    model, x = nn.Sequential(pad), uniform(*shape)
    assert torch.equal(model(x)[1], x[0]), "it moves the samples of a batch"
    with pytest.warns(lt.UnknownBoundWarning, match="mixes the samples"):
        assert lt.lipschitz_bounds(model, x).upper == math.inf
    assert lt.audit(model, x).upper == math.inf
    inner = nn.Sequential(nn.ZeroPad2d((1, -1, 0, 2)))
    assert lt.lipschitz_bounds(inner, uniform(3, 4, 4)).upper == 1


def test_the_lower_bound_of_a_convolution_holds_at_its_size(capsys) -> None:
    conv = nn.Conv2d(1, 1, (40, 1), bias=False).double()
    conv.weight.data.fill_(1.0)
    layer = lt.audit(conv, uniform(1, 1, 45, 45)).layers[0]
    rows = [nn.functional.pad(torch.ones(40).double(), (i, 5 - i)) for i in range(6)]
    truth = float(torch.linalg.matrix_norm(torch.stack(rows), 2))
    assert layer.method == "grid, all sizes"
    assert 0.9 * truth < layer.lower <= truth * (1 + 1e-12)
    assert layer.upper > truth


def test_an_export_is_compared_by_the_size_of_its_outputs() -> None:
    class Odd(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (7e-8 if parametrize.is_parametrized(self) else 1e-8)

    odd = lt.orthonormal(Odd(3, 3))
    with pytest.raises(RuntimeError, match="differs on x by"):
        lt.export(odd, uniform(2, 3).float())


def test_settings_that_were_set_as_one_number_are_read_as_torch_does(capsys) -> None:
    strided, circular = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    pool = nn.AvgPool2d(2)
    strided.stride, circular.padding, pool.stride = 2, 1, ()
    assert lt.audit(nn.Sequential(pool), uniform(1, 1, 4, 4)).upper == 0.5
    for conv in (strided.double(), circular.double()):
        truth = float(
            torch.linalg.matrix_norm(matrix_of(lambda x, f=conv: f(x) - f(0 * x), 1, 7, 7), 2)
        )
        assert spectrum(conv, {(1, 7, 7)}).upper == pytest.approx(truth)
        assert spectrum(conv, set()).upper > 0.99 * truth


def test_a_layer_whose_weight_or_factor_is_no_number_has_no_bound(capsys) -> None:
    row, scales = nn.Linear(2, 2, bias=False), []
    row.weight = nn.Parameter(torch.ones(2))
    for factor in (math.nan, math.inf, torch.tensor(5.0), torch.tensor([1.0, 5.0])):
        scales.append(lt.Scale(1.0))
        vars(scales[-1])["factor"] = factor
    for module in (row, *scales):
        found = lt.audit(nn.Sequential(module))
        assert found.upper == math.inf
        assert math.isnan(found.layers[0].upper)


def test_a_weight_whose_norm_is_no_float_has_no_direction_left() -> None:
    layer = nn.Linear(2, 2)
    layer.weight.data.fill_(3e38)
    with pytest.raises(ValueError, match=r"norm of the weight must fit torch\.float32"):
        lt.spectral(layer)


def test_graphs_scripts_and_recurrent_modules_are_copied_as_they_are() -> None:
    model, x = nn.Sequential(lt.linear(normal(3, 3)), nn.ReLU()).double(), uniform(2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.trace(model, x)
    for other in (torch.fx.symbolic_trace(model), script):
        with pytest.warns(lt.UnknownBoundWarning):
            assert lt.lipschitz_bounds(other, x).lower > 0
        assert torch.equal(lt.export(other)(x), model(x))
    assert isinstance(lt.export(nn.RNN(3, 2).double()), nn.RNN)


class Merges(nn.Linear):
    """As layers of low-rank updates do: the update joins the weight in ``eval()``."""

    def __init__(self, n: int) -> None:
        super().__init__(n, n)
        self.update, self.merged = nn.Parameter(torch.ones(n, n)), False

    def train(self, mode: bool = True):
        super().train(mode)
        if mode == self.merged:
            self.weight.data += self.update.data * (-1 if mode else 1)
            self.merged = not mode
        return self

    def forward(self, x):
        return super().forward(x) + (0 if self.merged else x @ self.update.T)


@pytest.mark.parametrize("asked", ["bounds", "audit", "export", "export on x"])
def test_a_module_that_changes_weights_in_eval_is_left_as_it_is(asked: str, capsys) -> None:
    """Found by an attack: the update had no gradient any more."""
    model, x = nn.Sequential(Merges(4), lt.MaxMin()), uniform(3, 4).float()
    before, want = model[0].weight.detach().clone(), model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lt.UnknownBoundWarning)
        if asked == "bounds":
            assert lt.lipschitz_bounds(model, x) == (0, math.inf)
        elif asked == "audit":
            assert lt.audit(model, x).upper == math.inf
        else:
            plain = lt.export(model, x if asked == "export on x" else None)
            assert torch.equal(plain(x), want)
    assert torch.equal(model[0].weight, before)
    assert torch.equal(model(x), want)
    assert model.training
    assert not model[0].merged
    assert lt.lipschitz_bounds(model.eval()[1:], x).upper == 1
