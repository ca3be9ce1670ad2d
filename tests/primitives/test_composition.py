"""The walker of compositions: what it opens, and what it does not believe."""

import functools
import types
import warnings

import pytest
import torch
from alterations import ALTERATIONS, SURROUNDINGS, Inherits, globally, with_a_tensor_of_its_own
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.primitives.composition import (
    alteration,
    check_sequence,
    linear_layers,
    read,
    refuse_cycles,
    runs_as,
    walk,
)


def test_modules_come_in_the_order_in_which_they_run_with_their_names() -> None:
    shared = nn.Linear(2, 2)
    inner = lt.ChunkedSequential(lt.MaxMin(), shared)
    network = nn.Sequential(shared, nn.Sequential(inner, nn.ReLU()), nn.Sequential())
    found = list(walk(network))
    assert [name for name, _ in found] == ["0", "1.0.0", "1.0.1", "1.1"]
    assert found[0][1] is found[2][1] is shared
    assert linear_layers(network) == [shared, shared]
    assert list(walk(shared)) == [("", shared)]


@pytest.mark.parametrize("constrain", [lt.orthonormal, lt.spectral, lt.linf])
def test_a_parametrized_layer_is_of_its_class(constrain) -> None:
    layer = constrain(nn.Linear(2, 2))
    assert type(layer) is not nn.Linear
    assert runs_as(layer, nn.Linear)
    parametrize.register_parametrization(layer, "weight", nn.Tanh())
    assert runs_as(layer, nn.Linear)
    assert runs_as(constrain(nn.Conv2d(2, 2, 1)), (nn.Linear, nn.Conv2d))


def test_a_subclass_that_inherits_its_forward_is_of_its_class() -> None:
    assert runs_as(Inherits(4, 4), nn.Linear)
    assert not runs_as(nn.Linear(4, 4), Inherits)
    selection = lt.Selection([0], 1)
    assert runs_as(selection, lt.Selection)
    assert not runs_as(selection, nn.Linear), "its forward is its own"


@pytest.mark.parametrize("alter", [*ALTERATIONS, with_a_tensor_of_its_own])
def test_nothing_is_believed_of_what_is_altered(alter) -> None:
    layer = alter(nn.Linear(4, 4))
    assert not runs_as(layer, nn.Linear)
    network = nn.Sequential(nn.ReLU(), layer)
    assert list(walk(network)) == [("0", network[0]), ("1", layer)]
    if alteration(layer):
        with pytest.raises(ValueError, match=r"network must be plain modules; its \w+ has "):
            check_sequence(network)


@pytest.mark.parametrize(
    "register", ["forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"]
)
def test_hooks_of_every_kind_and_of_a_sequential(register: str) -> None:
    network = nn.Sequential(nn.ReLU())
    handle = getattr(network, f"register_{register}")(lambda *_: None)
    assert alteration(network) == "hooks"
    assert list(walk(network)) == [("", network)], "it is not opened"
    handle.remove()
    assert alteration(network) == ""
    assert len(list(walk(network))) == 1


@pytest.mark.parametrize("register", globally)
def test_a_global_hook_is_seen(register) -> None:
    handle = register(lambda *_: None)
    try:
        assert not runs_as(nn.ReLU(), nn.ReLU)
    finally:
        handle.remove()
    assert runs_as(nn.ReLU(), nn.ReLU)


def test_a_sequential_with_a_forward_of_its_own_is_not_opened() -> None:
    class Twice(nn.Sequential):
        def forward(self, x):
            return super().forward(super().forward(x))

    class Backwards(nn.Sequential):
        def __iter__(self):
            return reversed(list(self._modules.values()))

    for kind in (Twice, Backwards):
        network = kind(nn.Linear(2, 2), nn.ReLU())
        assert list(walk(network)) == [("", network)]
        with pytest.raises(ValueError, match=r"must be a plain nn\.Sequential; \w+ has a forward"):
            check_sequence(network)
    own = nn.Sequential(nn.Linear(2, 2))
    own.forward = types.MethodType(lambda self, x: x, own)
    assert list(walk(own)) == [("", own)]


def test_methods_that_a_forward_calls_count_as_well() -> None:
    class Seven(nn.Conv2d):
        def _conv_forward(self, x, weight, bias):
            return 7 * super()._conv_forward(x, weight, bias)

    assert not runs_as(Seven(1, 1, 1), nn.Conv2d)
    conv = nn.Conv2d(1, 1, 1)
    conv._conv_forward = functools.partial(conv._conv_forward)
    assert not runs_as(conv, nn.Conv2d)


def test_every_module_of_torch_is_its_own_class() -> None:
    """No instance of torch's holds an attribute that would be taken for a method of its own."""
    made = [nn.LSTM(2, 2), nn.MultiheadAttention(2, 1), nn.BatchNorm2d(2), nn.Unflatten(1, (1, 2))]
    made += [nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), nn.PReLU(), nn.Dropout()]
    made += [lt.MaxMin(), lt.Selection([0], 1), lt.Scale(2.0), lt.Maxout(2), lt.Abs()]
    assert [m for m in made if not runs_as(m, type(m))] == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated
        traced = torch.jit.trace(nn.ReLU(), torch.ones(1))
    compiled = nn.ReLU()
    compiled.compile(backend="eager")
    assert alteration(compiled) == "a compiled call"
    for wrapped in (traced, compiled, torch.compile(nn.ReLU(), backend="eager")):
        assert not runs_as(wrapped, nn.ReLU)


@pytest.mark.parametrize("around", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_a_class_that_was_patched_and_a_mode_are_seen(around) -> None:
    network = nn.Sequential(nn.Linear(2, 2), lt.MaxMin())
    with around():
        assert any(alteration(module) for module in network.modules())
        with pytest.raises(ValueError, match="must be plain modules"):
            check_sequence(network)
    assert [alteration(module) for module in network.modules()] == ["", "", ""]


def test_what_changes_no_value_is_no_alteration() -> None:
    linear = nn.Linear(2, 2)
    linear.weight.register_hook(lambda g: 7 * g)
    linear.register_state_dict_post_hook(lambda *_: None)
    linear.note = print
    assert alteration(linear) == ""
    with pytest.MonkeyPatch.context() as patch, torch.device("cpu"):
        patch.setattr(nn.Linear, "reset_parameters", lambda self: None)
        patch.setattr(nn.Linear, "extra_repr", lambda self: "")
        assert runs_as(linear, nn.Linear)


def test_a_compiler_leaves_the_classes_as_they_are() -> None:
    """torch.compile replaces `nn.Module.__setstate__`, which no run reaches."""
    torch.compile(nn.Linear(1, 1), backend="eager")(torch.ones(1, 1))
    torch.export.export(nn.Linear(1, 1), (torch.ones(1, 1),))
    torch.fx.symbolic_trace(nn.Linear(1, 1))
    assert runs_as(nn.Linear(1, 1), nn.Linear)


def test_a_module_that_holds_itself_is_refused() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential())
    network[1].append(network)
    readers = [lambda f: list(walk(f)), check_sequence, lt.export, lt.in_lipschitz_class]
    readers += [lambda f: lt.lipschitz_bounds(f, torch.ones(1, 2)), lt.network_size, lt.audit]
    readers += [lambda f: lt.maximum(f, f), lambda f: lt.prove(f, f)]
    for reader in readers:
        with pytest.raises(ValueError, match="A module must not hold itself; a Sequential does"):
            reader(network)


def test_a_sequential_with_none_in_it_does_not_run() -> None:
    network = nn.Sequential(nn.Linear(2, 2))
    network._modules["1"] = None
    assert list(walk(network)) == [("", network)]
    assert not lt.in_lipschitz_class(network, tol=100)
    with pytest.raises(ValueError, match="has a module that is None"):
        check_sequence(network)


def test_containers_of_another_class_are_not_believed() -> None:
    class Sevens(dict):
        def __getitem__(self, name):
            return 7 * super().__getitem__(name)

    linear = nn.Linear(2, 2)
    linear.__dict__["_parameters"] = Sevens(linear._parameters)
    assert not runs_as(linear, nn.Linear)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_what_changes_at_each_reading_is_refused_by_all_who_read(name: str) -> None:
    class Noise(nn.Module):
        def forward(self, X):
            return X + torch.rand_like(X)

    layer = nn.Linear(2, 2, dtype=torch.float64)
    layer.weight.data.copy_(torch.eye(2))
    parametrize.register_parametrization(layer, name, Noise())
    last, x = nn.Linear(2, 1, dtype=torch.float64), torch.ones(1, 2).double()
    last.weight.data.copy_(torch.eye(2)[:1])
    network, mixed = nn.Sequential(layer, last), nn.Sequential(layer, nn.Identity(), last)
    readers = [lambda f: lt.pad_depth(f, 3), lambda f: lt.stack(f, f), lambda f: lt.prove(f, f)]
    readers += [lambda _: lt.collapse_affine(mixed, x)]
    for reader in readers:
        with pytest.raises(ValueError, match=rf"The {name} of a \w+ layer changes each time"):
            reader(network)
    spoilt = nn.Linear(1, 1)
    spoilt.weight.data.fill_(torch.nan)
    assert read(spoilt).isnan().all(), "NaN has not changed"


def test_what_is_shared_at_every_depth_is_looked_at_once() -> None:
    """Of 2⁶⁰ ways down to the layer."""
    model: nn.Module = nn.Linear(2, 2)
    for _ in range(60):
        model = nn.Sequential(model, nn.Sequential(model))
    refuse_cycles(model)
