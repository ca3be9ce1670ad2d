"""Export: plain layers, the same function, and the original left alone."""

import copy
import functools
import math
import types

import pytest
import torch
from support import uniform
from torch import nn
from torch.nn.utils import parameters_to_vector, parametrize, prune

import lipteach as lt


def nested() -> nn.Sequential:
    shared = lt.orthonormal(nn.Linear(4, 4))
    inner = nn.ModuleDict({"a": lt.linf(nn.Linear(4, 4)), "b": nn.BatchNorm1d(4)})
    net = nn.Sequential(
        lt.spectral(nn.Conv2d(1, 2, 3, padding=1)),
        lt.MaxMin(1),
        lt.orthonormal(nn.Conv2d(2, 2, 2, stride=2)),
        nn.Flatten(),
        nn.Linear(8, 4),
        shared,
        lt.MaxMin(),
        nn.Sequential(shared, inner["a"], inner["b"]),
    )
    net.register_buffer("scale", torch.ones(3))
    return net


def test_the_copy_is_plain_and_computes_the_same() -> None:
    net, x = nested(), uniform(5, 1, 4, 4).float()
    plain = lt.export(net, x)
    assert not any(parametrize.is_parametrized(m) for m in plain.modules())
    assert type(plain[0]) is nn.Conv2d
    assert type(plain[5]) is nn.Linear
    with torch.no_grad():
        assert torch.allclose(plain.eval()(x), net.eval()(x), atol=1e-6)
    assert list(plain[5]._parameters) == ["weight", "bias"]
    assert "scale" in dict(plain.named_buffers())
    fresh = nn.Linear(4, 4)
    fresh.load_state_dict(plain[5].state_dict(), strict=True)
    assert torch.equal(fresh.weight, net[5].weight)


def test_effective_weights_not_raw_ones() -> None:
    layer = lt.orthonormal(nn.Linear(4, 4))
    layer.parametrizations.weight.original.data *= 3
    plain = lt.export(layer)
    assert torch.equal(plain.weight, layer.weight)
    assert not torch.allclose(plain.weight, layer.parametrizations.weight.original)


def test_the_original_keeps_its_parametrizations() -> None:
    """`remove_parametrizations` on a deep copy strips the original: the class is shared."""
    faulty, x = nested(), uniform(5, 1, 4, 4).float()
    parametrize.remove_parametrizations(copy.deepcopy(faulty)[0], "weight")
    with pytest.raises(AttributeError):
        _ = faulty[0].weight
    net = nested()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    lt.export(net, x)
    assert parametrize.is_parametrized(net[0])
    net(x).sum().backward()
    assert net[0].parametrizations.weight.original.grad is not None
    net2 = net.state_dict()
    changed = {name for name in state if not torch.equal(state[name], net2[name])}
    assert all(name.startswith("7.2.") for name in changed), "the batch norm saw one batch"


def test_shared_modules_flags_and_gradients() -> None:
    net = nested().train()
    net[4].eval()
    net[5].parametrizations.weight.original.requires_grad_(False)
    plain = lt.export(net)
    assert plain[5] is plain[7][0]
    assert plain.training
    assert not plain[4].training
    assert not plain[5].weight.requires_grad
    assert plain[0].weight.requires_grad
    plain[0].weight.data.zero_()
    assert net[0].weight.abs().sum() > 0


def test_parametrizations_of_others_are_exported_too() -> None:
    other = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    assert torch.equal(lt.export(other).weight, other.weight)


def test_a_weight_that_is_random_is_refused() -> None:
    class Noise(nn.Module):
        def forward(self, X):
            return X * torch.rand_like(X)

    layer = nn.Linear(3, 2)
    parametrize.register_parametrization(layer, "weight", Noise())
    with pytest.raises(RuntimeError, match="The weight of this Linear changes each time"):
        lt.export(nn.Sequential(layer))
    with pytest.warns(lt.UnknownBoundWarning, match="Sequential, which draws random numbers"):
        assert lt.lipschitz_bounds(nn.Sequential(layer), torch.ones(1, 3)) == (0, float("inf"))
    assert lt.audit(nn.Sequential(layer)).upper == float("inf")
    layer.bias.data.zero_()
    assert not lt.in_lipschitz_class(nn.Sequential(layer), tol=100.0)


def test_a_model_that_draws_beyond_a_unit_that_is_off_has_no_bound(capsys) -> None:
    """Found by an attack: where the first sample was off, the drawing was not seen."""

    class Noisy(nn.Module):
        def forward(self, x):
            x = x.relu()
            return x * torch.rand_like(x)

    x = torch.tensor([[-1.0, -2.0], [1.0, 2.0]])
    for points in (x, x.flip(0)):
        with pytest.warns(lt.UnknownBoundWarning, match="Noisy, which draws random numbers"):
            assert lt.lipschitz_bounds(Noisy(), points) == (0, float("inf"))
        assert lt.audit(Noisy(), points).upper == float("inf")


def other_than(layer: nn.Linear) -> None:
    """A forward of a layer that is no part of the model."""
    layer.forward = nn.Linear(4, 4).forward


def itself_in_closure(layer: nn.Linear) -> None:
    inner = layer.forward
    layer.forward = lambda x: 7 * inner(x)


def as_method(layer: nn.Linear) -> None:
    layer.forward = types.MethodType(lambda self, x: 7 * x @ self.weight.T, layer)


def of_arguments(layer: nn.Linear) -> None:
    layer.forward = functools.partial(nn.functional.linear, weight=layer.weight)


@pytest.mark.parametrize("alter", [other_than, itself_in_closure, as_method, of_arguments])
def test_a_forward_of_its_own_has_no_plain_copy(alter) -> None:
    layer = nn.Linear(4, 4)
    alter(layer)
    for model, name in ((nn.Sequential(layer), "0 "), (layer, "Linear ")):
        with pytest.raises(
            ValueError, match=rf"^{name}.*a forward of its own, which no plain copy"
        ):
            lt.export(model)


def holding_hook(how: str, model: nn.Module):
    """A hook that runs a part of the model: held in one of the ways in which a function holds."""
    first = model[0]
    if how == "closure":
        return lambda m, i, o: o + first(i[0])
    if how == "method":
        call = first.forward
        return lambda m, i, o: o + call(i[0])
    if how == "weight":
        weight = first.weight
        return lambda m, i, o: o + i[0] @ weight.T
    if how == "default":
        return lambda m, i, o, held=first: o + held(i[0])
    if how == "keyword":
        return lambda m, i, o, *, held=first: o + held(i[0])
    if how == "list":
        parts = [{"whole": (model,)}]
        return lambda m, i, o: o + parts[0]["whole"][0][0](i[0])
    if how == "another function":
        inner = holding_hook("closure", model)
        return lambda m, i, o: inner(m, i, o)
    if how == "partial":
        run = functools.partial(nn.functional.linear, weight=first.weight)
        return lambda m, i, o: o + run(i[0])
    if how == "function of an object":
        return types.MethodType(lambda self, m, i, o: o + first(i[0]), "an object")
    if how == "function of arguments":
        return functools.partial(lambda scale, m, i, o: o + scale * first(i[0]), 2.0)
    if how == "another module":
        wrapper = nn.Sequential(first)
        return lambda m, i, o: o + wrapper(i[0])
    globals()["_held"] = first
    return lambda m, i, o: o + _held(i[0])  # noqa: F821


WAYS = [
    "function of an object",
    "function of arguments",
    "closure",
    "method",
    "weight",
    "default",
    "keyword",
    "list",
    "another function",
]


@pytest.mark.parametrize("how", [*WAYS, "partial", "another module", "global"])
def test_a_hook_that_holds_the_model_is_refused(how: str) -> None:
    """A deep copy keeps the function, which would run the weights of the original."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    model[1].register_forward_hook(holding_hook(how, model))
    with pytest.raises(
        ValueError, match=r"1 \(ReLU\) has a function, such as a hook, that holds a"
    ):
        lt.export(model)


def test_a_class_that_holds_the_model_is_refused() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = lt.orthonormal(nn.Linear(4, 4))

        def forward(self, x):
            return outer.inner(x)

    outer = Outer()
    with pytest.raises(ValueError, match=r"^Outer has a function"):
        lt.export(outer)


_network = None


def test_hooks_and_classes_that_hold_no_part_are_kept() -> None:
    """`self._network` is no global variable, though there is one of that name."""

    class Net(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 4)
            self._network = lt.orthonormal(nn.Linear(4, 4))

        def forward(self, x):
            return super().forward(self._network(x))

    global _network
    _network, seen, x = Net(), [], uniform(3, 4).float()
    _network.register_forward_hook(lambda m, i, o: seen.append(o))
    plain = lt.export(_network, x)
    assert torch.equal(plain(x), _network(x))
    assert len(seen) == 4


def test_a_copy_stands_alone() -> None:
    """With hooks that compute, pruning, old weight norm, a compiled call: no weight is shared."""
    x = uniform(3, 4).float()
    compiled = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    compiled.compile(backend="eager")
    models = [compiled, prune.l1_unstructured(nn.Linear(4, 4), "weight", 0.5)]
    models += [torch.fx.symbolic_trace(nn.Sequential(nn.Linear(4, 4)))]
    models += [torch.optim.swa_utils.AveragedModel(lt.linf(nn.Linear(4, 4)))]
    for model in models:
        plain = lt.export(model, x)
        before = plain(x)
        assert torch.allclose(before, model(x), atol=1e-6)
        for parameter in model.parameters():
            parameter.data.mul_(3)
        assert torch.equal(plain(x), before)


def test_what_cannot_be_copied_is_met_with_a_sentence() -> None:
    layer = nn.Linear(2, 2)
    layer._parameters["weight"] = torch.ones(2, 2).as_subclass(type("Own", (torch.Tensor,), {}))
    with pytest.raises(TypeError, match="model must be one that can be copied: "):
        lt.export(layer)
    with pytest.raises(
        TypeError, match=r"0 \(LazyLinear\) of model has no shape yet; run the lazy"
    ):
        lt.export(nn.Sequential(nn.LazyLinear(2)))
    with pytest.raises(TypeError, match=r"model must return a torch\.Tensor; got tuple"):
        lt.export(nn.LSTM(2, 2), torch.ones(1, 2))


def tied(constrain, other=None, kind=nn.Linear, sizes=(4, 4)) -> nn.Sequential:
    """Two layers with one weight and one bias, each constrained."""
    a, b = kind(*sizes), kind(*sizes)
    b.weight, b.bias = a.weight, a.bias
    return nn.Sequential(constrain(a), nn.ReLU(), (other or constrain)(b))


@pytest.mark.parametrize("constrain", [lt.orthonormal, lt.spectral, lt.linf])
def test_tied_weights_stay_one_parameter(constrain) -> None:
    for model in (tied(constrain), tied(constrain, None, nn.Conv2d, (4, 4, 1))):
        plain = lt.export(model)
        assert plain[0].weight is plain[2].weight
        assert plain[0].bias is plain[2].bias
        with torch.no_grad():
            assert torch.equal(plain[0].weight, model[0].weight)
        assert len(list(plain.parameters())) == 2


def test_weights_that_are_tied_but_not_equal_are_two() -> None:
    model = tied(lambda layer: lt.linf(layer, bound=0.5), lt.linf)
    model[0].parametrizations.weight.original.data.mul_(10)
    plain = lt.export(model)
    assert [lt.operator_norm(plain[k].weight.detach(), math.inf) for k in (0, 2)] == pytest.approx(
        [0.5, 1]
    )
    equal = nn.Sequential(lt.orthonormal(nn.Linear(2, 2)), lt.orthonormal(nn.Linear(2, 2)))
    for layer in equal:
        layer.weight = torch.eye(2)
    plain = lt.export(equal)
    assert plain[0].weight is not plain[1].weight, "equal, and not tied"


@pytest.mark.parametrize("constrain", [lt.orthonormal, lt.spectral, lt.linf])
def test_exported_weights_are_contiguous(constrain) -> None:
    model = nn.Sequential(*(constrain(nn.Conv2d(4, 4, k, stride=s)) for k, s in [(3, 1), (2, 2)]))
    plain = lt.export(model)
    assert all(parameter.is_contiguous() for parameter in plain.parameters())
    count = sum(parameter.numel() for parameter in plain.parameters())
    assert parameters_to_vector(plain.parameters()).shape == (count,)


def test_torch_can_export_what_was_exported() -> None:
    conv = nn.Sequential(lt.orthonormal(nn.Conv2d(1, 4, 3, padding=1)), lt.MaxMin(1), nn.Flatten())
    dense = nn.Sequential(lt.spectral(nn.Linear(64, 8)), lt.GroupSort(4), lt.linf(nn.Linear(8, 4)))
    ends = nn.Sequential(lt.FullSort(), lt.Maxout(2), lt.Abs(), lt.Scale(2.0), lt.Selection([1], 2))
    model, x = nn.Sequential(conv, dense, ends), uniform(3, 1, 4, 4).float()
    program = torch.export.export(lt.export(model, x).eval(), (x,))
    assert torch.allclose(program.module()(x), model(x), atol=1e-6)


def test_the_original_is_the_measure_and_keeps_its_flags() -> None:
    model = nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), nn.Dropout(), nn.BatchNorm1d(4))
    model[1].eval()
    flags = [module.training for module in model.modules()]
    lt.export(model, uniform(3, 4).float())
    assert [module.training for module in model.modules()] == flags
    assert model[2].num_batches_tracked == 0


def test_a_weight_that_asks_whether_gradients_are_wanted_is_refused() -> None:
    class Asks(nn.Module):
        def forward(self, X):
            return X * (7 if torch.is_grad_enabled() else 1)

    layer = nn.Linear(3, 2)
    parametrize.register_parametrization(layer, "weight", Asks())
    with pytest.raises(RuntimeError, match="changes each time"):
        lt.export(layer)


def test_a_model_that_cannot_be_the_same_is_refused() -> None:
    class Odd(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (2.0 if parametrize.is_parametrized(self) else 1.0)

    odd = lt.orthonormal(Odd(3, 3))
    with pytest.raises(RuntimeError, match="differs on x by"):
        lt.export(odd, uniform(2, 3).float())
