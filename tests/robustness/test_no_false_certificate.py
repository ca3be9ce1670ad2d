"""Nothing is claimed of a model in which a module does not do what its class does."""

import math
from contextlib import contextmanager

import pytest
import torch
from alterations import ALTERATIONS, SEVENFOLD, SURROUNDINGS, Inherits, globally
from support import uniform
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt


def identity() -> nn.Linear:
    """A layer of norm 1 in every norm, of the class of Theorem 3."""
    layer = nn.Linear(4, 4, dtype=torch.float64)
    layer.weight.data, layer.bias.data = torch.eye(4).double(), torch.zeros(4).double()
    return layer


@pytest.mark.parametrize("p", [1, 2, math.inf])
@pytest.mark.parametrize("alter", ALTERATIONS)
def test_the_upper_bound_is_infinite_and_the_module_is_named(alter, p: float) -> None:
    layer = alter(identity())
    network = nn.Sequential(nn.ReLU(), nn.Sequential(layer))
    kind = type(layer).__name__
    x = uniform(8, 4)
    with pytest.warns(lt.UnknownBoundWarning, match=rf"none is known for 1\.0 \({kind}\)") as said:
        lower, upper = lt.lipschitz_bounds(network, x, p)
    assert upper == math.inf
    assert said[0].filename == __file__
    if alter in SEVENFOLD:
        assert lower == pytest.approx(7)


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_the_audit_has_no_norm_for_it(alter, capsys) -> None:
    layer = alter(identity())
    network = nn.Sequential(nn.Linear(4, 4).double(), layer)
    found = lt.audit(network, uniform(3, 4))
    assert found.upper == math.inf
    assert found.unknown == f"1 ({type(layer).__name__})"
    assert math.isnan(found.layers[1].upper)
    assert found.layers[1].method.startswith("none: it has ")
    assert "no upper bound: 1 (" in found.text


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_no_member_of_theorem_3_and_no_joining(alter) -> None:
    for layers in ([alter(identity())], [identity(), lt.MaxMin(), alter(identity())]):
        assert not lt.in_lipschitz_class(nn.Sequential(*layers), math.inf)
        f, g = nn.Sequential(*layers), nn.Sequential(identity())
        for join in (lt.maximum, lt.minimum, lt.stack):
            for pair in ((f, g), (g, f)):
                with pytest.raises(ValueError, match="must be linear layers with MaxMin between"):
                    join(*pair)


@pytest.mark.parametrize("alter", ALTERATIONS)
def test_nothing_is_proved_and_nothing_collapsed(alter) -> None:
    layer = alter(identity())
    for network in (layer, nn.Sequential(layer)):
        with pytest.raises(ValueError, match=r"network (must be made of|has a )|the network has a"):
            lt.prove(network, lambda x: list(x), domain=[(-1, 1)] * 4)
    last = nn.Linear(4, 1, dtype=torch.float64)
    last.weight.data, last.bias.data = torch.eye(4)[:1].double(), torch.zeros(1).double()
    with pytest.raises(ValueError, match=r"must be plain modules|must alternate Linear"):
        lt.collapse_affine(nn.Sequential(layer, nn.Identity(), last), uniform(5, 4))


def test_a_hooked_activation_and_a_hooked_sequential() -> None:
    for module in (nn.ReLU(), nn.Sequential(identity()), nn.Sequential(lt.MaxMin())):
        module.register_forward_pre_hook(lambda m, i: (7 * i[0],))
        network = nn.Sequential(module, identity())
        with pytest.warns(lt.UnknownBoundWarning, match=r"for 0 \(\w+\), which has hooks\."):
            lower, upper = lt.lipschitz_bounds(network, uniform(4, 4))
        assert lower == pytest.approx(7)
        assert upper == math.inf
        with pytest.raises(ValueError, match=r"its \w+ has hooks"):
            lt.prove(network, nn.Identity())
        with pytest.raises(ValueError, match=r"its \w+ has hooks"):
            lt.gradient_norms(nn.Sequential(*network, nn.Linear(4, 1).double()), uniform(4, 4))


def test_a_hook_or_a_forward_of_the_whole() -> None:
    hooked, own = (nn.Sequential(identity(), nn.Linear(4, 1).double()) for _ in range(2))
    hooked.register_forward_hook(lambda m, i, o: 7 * o)
    own.forward = lambda x: 7 * own[1](own[0](x))
    for network in (hooked, own):
        with pytest.warns(lt.UnknownBoundWarning, match=r"for Sequential, which has"):
            assert lt.lipschitz_bounds(network, uniform(4, 4)).upper == math.inf
        assert not lt.in_lipschitz_class(network, math.inf)
        first = lambda f, x: lt.singular_value_derivatives(f, 0, x)  # noqa: E731
        for refused in (lt.gradient_norms, lt.collapse_affine, first):
            with pytest.raises(ValueError, match="its Sequential has"):
                refused(network, uniform(4, 4))


@pytest.mark.parametrize("register", globally)
def test_a_global_hook(register) -> None:
    network = nn.Sequential(nn.Identity())
    handle = register(lambda m, *more: None)
    try:
        with pytest.raises(ValueError, match="has hooks"):
            lt.prove(network, lambda x: x[0], domain=[(-1, 1)])
        assert not lt.in_lipschitz_class(nn.Sequential(identity()), math.inf)
    finally:
        handle.remove()
    assert lt.prove(network, lambda x: x[0], domain=[(-1, 1)])


def test_a_backward_hook_changes_no_value_and_no_bound() -> None:
    layer = identity()
    layer.register_full_backward_hook(lambda m, i, o: (7 * i[0],))
    x = uniform(4, 4)
    assert lt.lipschitz_bounds(nn.Sequential(layer), x) == (pytest.approx(1), pytest.approx(1))
    assert layer._backward_hooks, "those of the model itself are left"
    with pytest.raises(ValueError, match="its Linear has hooks"):
        lt.gradient_norms(nn.Sequential(layer, nn.Linear(4, 1).double()), x)


def test_a_compiled_call_is_not_believed() -> None:
    """A compiler may do what it likes."""
    layer = identity()
    layer.compile(backend="eager")
    network = nn.Sequential(layer)
    with pytest.warns(lt.UnknownBoundWarning, match=r"for 0 \(Linear\), which has a compiled call"):
        assert lt.lipschitz_bounds(network, uniform(4, 4)).upper == math.inf
    assert not lt.in_lipschitz_class(network, math.inf)


def test_what_inherits_or_is_parametrized_is_believed() -> None:
    for layer in (Inherits(4, 4), lt.orthonormal(identity())):
        network = nn.Sequential(layer.double())
        assert lt.lipschitz_bounds(network, uniform(4, 4)).upper == pytest.approx(1)
        assert lt.in_lipschitz_class(network, math.inf, 1e-6)
    stacked = lt.orthonormal(identity())

    class Seven(nn.Module):
        def forward(self, X):
            return 7 * X

    parametrize.register_parametrization(stacked, "weight", Seven())
    bounds = lt.lipschitz_bounds(nn.Sequential(stacked), uniform(4, 4))
    assert bounds == (pytest.approx(7), pytest.approx(7))
    assert not lt.in_lipschitz_class(nn.Sequential(stacked), math.inf)


def test_a_class_put_over_a_parametrized_layer_is_kept_and_traced() -> None:
    layer = lt.orthonormal(nn.Linear(4, 4))
    layer.__class__ = type("Tripled", (type(layer),), {"forward": lambda self, x: 3 * x})
    model, x = nn.Sequential(layer), uniform(16, 4).float()
    assert lt.lipschitz_bounds(model, x) == pytest.approx((3, 3))
    assert torch.equal(lt.export(model)(x), model(x))


@pytest.mark.parametrize("around", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_nothing_is_claimed_where_a_class_was_patched_or_a_mode_is_at_work(around) -> None:
    network, x = nn.Sequential(identity(), lt.MaxMin(), identity()), uniform(4, 4)
    refused = [lambda: lt.prove(network, lt.MaxMin()), lambda: lt.maximum(network, network)]
    refused += [lambda: lt.gradient_norms(network, x, torch.sum), lambda: lt.pad_depth(network, 3)]
    refused += [lambda: lt.singular_value_derivatives(network, 0, x)]
    refused += [lambda: lt.collapse_affine(network, x), lambda: lt.network_size(network)]
    with around():
        with pytest.warns(lt.UnknownBoundWarning):
            assert lt.lipschitz_bounds(network, x).upper == math.inf
        assert lt.audit(network, x).upper == math.inf
        assert not lt.in_lipschitz_class(network, math.inf)
        for call in refused:
            with pytest.raises(ValueError, match=r"plain|must be linear layers|was replaced"):
                call()
    assert lt.in_lipschitz_class(network, math.inf)


@pytest.mark.parametrize(
    "around",
    [
        lambda: torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.autograd.graph.saved_tensors_hooks(lambda t: 7 * t, lambda t: t),
        lambda: global_hook(globally[2], lambda m, i, o: (7 * i[0],)),
        lambda: global_hook(globally[3], lambda m, o: (7 * o[0],)),
    ],
)
def test_what_surrounds_a_call_changes_no_number(around) -> None:
    network = nn.Sequential(nn.Linear(4, 4), lt.MaxMin(), nn.Linear(4, 1))
    linear = nn.Sequential(*(m.double() for m in (nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))))
    normalized = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)).eval()

    def numbers():
        x = torch.linspace(-1, 1, 20).view(5, 4)
        yield from lt.lipschitz_bounds(network, x)
        yield from (lt.audit(network, x).lower, lt.audit(network, x).upper)
        for found in (
            *(lt.gradient_norms(network, x), lt.gradient_norms(linear, x.double())),
            lt.singular_value_derivatives(linear, 0, x.double())[1],
            lt.export(normalized).weight,
        ):
            yield from found.flatten().tolist()

    want = list(numbers())
    with around():
        got = list(numbers())
    assert got == want


@contextmanager
def global_hook(register, hook):
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


def test_global_backward_hooks_are_put_back() -> None:
    seen = []
    with global_hook(globally[2], lambda m, i, o: seen.append(m)):
        lt.lipschitz_bounds(nn.Sequential(identity()), uniform(2, 4))
        assert seen == []
        layer, x = identity(), uniform(1, 4).requires_grad_()
        layer(x).sum().backward()
        assert seen == [layer]


def test_a_class_that_was_patched_after_the_parametrization() -> None:
    layer = lt.orthonormal(identity())
    type(layer).forward = lambda self, x: 7 * nn.functional.linear(x, self.weight, self.bias)
    network, x = nn.Sequential(layer), uniform(4, 4)
    with pytest.warns(lt.UnknownBoundWarning, match="for 0 "):
        lower, upper = lt.lipschitz_bounds(network, x)
    assert (lower, upper) == (pytest.approx(7), math.inf)
    assert torch.equal(lt.export(network)(x), network(x))


def test_the_cache_of_weights_gives_no_stale_bound() -> None:
    with parametrize.cached():
        for bound in range(1, 30):  # copies that are gone leave their place, and id, to others
            layer = lt.linf(nn.Linear(3, 3), bound=float(bound))
            with torch.no_grad():
                layer.parametrizations.weight.original.mul_(1000)
            upper = lt.lipschitz_bounds(nn.Sequential(layer), uniform(2, 3), math.inf).upper
            assert upper == pytest.approx(bound, rel=1e-5)
            del layer


def test_a_forward_of_its_own_in_float32() -> None:
    """Its weights are those of the original, of which the copy that is measured has none."""
    layer, inner, other = (identity().float() for _ in range(3))
    layer.forward = lambda x: 7 * nn.functional.linear(x, layer.weight, layer.bias)
    before = inner.forward
    inner.forward = lambda x: 7 * before(x)
    other.forward = nn.Linear(4, 4).forward
    for altered, slope in ((layer, 7), (inner, 7), (other, None)):
        network, x = nn.Sequential(identity().float(), altered), uniform(4, 4).float()
        with pytest.warns(lt.UnknownBoundWarning, match=r"for 1 \(Linear\), which has a forward"):
            lower, upper = lt.lipschitz_bounds(network, x)
        assert upper == lt.audit(network, x).upper == math.inf
        assert lower > 0
        assert slope is None or lower == pytest.approx(slope)
