"""Constrained layers under torch.func and torch.compile, on the meta device, and when frozen."""

import copy

import pytest
import torch
from support import uniform
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, jacfwd, jacrev, stack_module_state, vmap

import lipteach as lt

KINDS = (lt.orthonormal, lt.spectral, lt.linf)
LAYERS = {
    "linear": (lambda: nn.Linear(4, 3), (2, 4)),
    "tall": (lambda: nn.Conv2d(2, 5, 3, padding=1), (2, 2, 5, 4)),
    "wide": (lambda: nn.Conv2d(5, 2, (3, 1)), (2, 5, 5, 4)),
    "strided": (lambda: nn.Conv2d(2, 3, 3, 2), (2, 2, 5, 4)),
    "patches": (lambda: nn.Conv2d(2, 3, 2, 2), (2, 2, 5, 4)),
    "groups": (lambda: nn.Conv1d(4, 6, 3, 2, dilation=3, groups=2), (2, 4, 9)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 4, 3, 2, groups=2), (2, 2, 3, 3)),
}

every = pytest.mark.parametrize("name", LAYERS)
each = pytest.mark.parametrize("constrain", KINDS)


def made(constrain, name: str, seed: int = 0) -> tuple[nn.Sequential, torch.Tensor]:
    """A model of one constrained layer in float64, and a batch for it."""
    make, shape = LAYERS[name]
    model = nn.Sequential(constrain(make().double()))
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(uniform(*p.shape, seed=10 * seed + i))
    return model, uniform(*shape, seed=99)


@each
@every
def test_an_ensemble_is_a_loop_over_its_members(constrain, name: str) -> None:
    models = [made(constrain, name, seed)[0] for seed in range(3)]
    x = made(constrain, name)[1]
    stacked, _ = stack_module_state(models)

    def loss(parameters):
        return functional_call(models[0], parameters, (x,)).sin().sum()

    out = vmap(lambda parameters: functional_call(models[0], parameters, (x,)))(stacked)
    gradients = vmap(grad(loss))(stacked)
    for i, model in enumerate(models):
        assert torch.allclose(out[i], model(x), atol=1e-9)
        model(x).sin().sum().backward()
        for key, p in model.named_parameters():
            assert torch.allclose(gradients[key][i], p.grad, atol=1e-9)


@each
@every
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_forward_and_reverse_derivatives_agree(constrain, name: str) -> None:
    model, x = made(constrain, name)
    parameters = {key: p.detach() for key, p in model.named_parameters()}
    reverse, forward = (
        way(lambda p: functional_call(model, p, (x,)))(parameters) for way in (jacrev, jacfwd)
    )
    for key in parameters:
        assert torch.allclose(reverse[key], forward[key], atol=1e-9)


@each
@pytest.mark.parametrize("name", ["linear", "strided"])  # it takes seconds: one of each path
@pytest.mark.filterwarnings("ignore")  # the compiler's own, at what it leaves to Python
def test_a_compiled_layer_computes_the_same(constrain, name: str) -> None:
    model, x = made(constrain, name)
    torch._dynamo.reset()
    compiled = torch.compile(copy.deepcopy(model), backend="aot_eager")
    assert torch.allclose(compiled(x), model(x), atol=1e-9)
    compiled(x).sum().backward()
    model(x).sum().backward()
    for p, q in zip(model.parameters(), compiled.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, atol=1e-9)


@each
@every
def test_a_layer_is_constrained_where_it_has_no_data_yet(constrain, name: str) -> None:
    model, x = made(constrain, name)
    with torch.device("meta"):
        inside = nn.Sequential(constrain(LAYERS[name][0]().double()))
        outside = nn.Sequential(LAYERS[name][0]().double())
    constrain(outside[0])
    for empty in (inside, outside, copy.deepcopy(model).to("meta")):
        assert empty[0].weight.is_meta
        assert empty[0].weight.shape == model[0].weight.shape
        assert empty(x.to("meta")).shape == model(x).shape
        filled = copy.deepcopy(empty).to_empty(device="cpu")
        filled.load_state_dict(model.state_dict(), strict=True)
        assert torch.equal(filled(x), model(x))
        assigned = copy.deepcopy(empty)
        assigned.load_state_dict(model.state_dict(), strict=True, assign=True)
        assert torch.equal(assigned(x), model(x))
        anew = copy.deepcopy(empty).to_empty(device="cpu")
        anew[0].weight = model[0].weight.detach()
        anew[0].bias.data = model[0].bias.detach()
        assert torch.allclose(anew(x), model(x), atol=1e-5)
    with torch.device("meta"):  # a default that this layer does not follow
        constrain(LAYERS[name][0]().to_empty(device="meta"))
        assert torch.equal(copy.deepcopy(model)[0].weight, model[0].weight)
    with FakeTensorMode():
        fake = constrain(LAYERS[name][0]())
    want = {key: p.shape for key, p in model[0].named_parameters()}
    assert {key: p.shape for key, p in fake.named_parameters()} == want


@each
@every
def test_a_shape_is_asked_for_without_data_too(constrain, name: str) -> None:
    with torch.device("meta"):
        layer = constrain(LAYERS[name][0]())
        shape = tuple(layer.weight.shape)
        with pytest.raises(ValueError, match="weight must have shape"):
            layer.weight = torch.empty((1, *shape))


@each
@every
def test_layers_made_without_gradients_can_be_trained(constrain, name: str) -> None:
    for mode in (torch.inference_mode, torch.no_grad):
        layer, x = LAYERS[name][0](), torch.ones(LAYERS[name][1])
        with mode():
            constrain(layer)
            layer(x)
        layer(x).sum().backward()
        assert all(p.grad is not None for p in layer.parameters())
    frozen = LAYERS[name][0]()
    frozen.weight.requires_grad_(False)
    constrain(frozen)
    assert [key for key, p in frozen.named_parameters() if p.requires_grad] == ["bias"]
    with torch.inference_mode():
        assert constrain(LAYERS[name][0]())(x).is_inference()


@each
@every
def test_an_exported_layer_is_a_program(constrain, name: str) -> None:
    """Of torch.export, which the constraint itself, with its look at the data, is not for."""
    model, x = made(constrain, name)
    program = torch.export.export(lt.export(model), (x,))
    assert torch.allclose(program.module()(x), model(x), atol=1e-9)
