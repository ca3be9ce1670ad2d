"""Export: plain layers, the same function, and the original left alone."""

import copy

import pytest
import torch
from support import uniform
from torch import nn
from torch.nn.utils import parametrize

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


def test_a_model_that_cannot_be_the_same_is_refused() -> None:
    class Odd(nn.Linear):
        def forward(self, x):
            return super().forward(x) * (2.0 if parametrize.is_parametrized(self) else 1.0)

    odd = lt.orthonormal(Odd(3, 3))
    with pytest.raises(RuntimeError, match="differs on x by"):
        lt.export(odd, uniform(2, 3).float())
