"""Constrained layers hand on the memory format that the plain layer has: strides, to the last."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support import uniform
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.training import clip_singular_values_

FORMATS = (torch.contiguous_format, torch.channels_last)


def retracted(layer: nn.Module) -> nn.Module:
    """A plain layer, trained the other way."""
    layer.weight.grad = torch.ones_like(layer.weight)
    return lt.retract_(lt.make_tangent_(clip_singular_values_(layer)))


KINDS = (lt.orthonormal, lt.spectral, lt.linf, retracted)


def loaded(layer: nn.Module, constrain, plain: nn.Module) -> nn.Module:
    other = constrain(copy.deepcopy(plain))
    other.load_state_dict(layer.state_dict(), strict=True)
    return other


def assigned(layer: nn.Module) -> nn.Module:
    """With a new weight, whose strides run backwards: it is laid out as a new tensor is."""
    shape = layer.weight.shape
    Q = uniform(*reversed(shape)).float().permute(*reversed(range(len(shape))))
    if parametrize.is_parametrized(layer):
        layer.weight = Q
    return layer


def states(layer: nn.Module, constrain, plain: nn.Module) -> dict[str, nn.Module]:
    return {
        "made": layer,
        "copied": copy.deepcopy(layer),
        "exported": lt.export(layer),
        "exported and retracted": lt.retract_(lt.export(layer)),
        "loaded": loaded(layer, constrain, plain),
        "in float64 and back": copy.deepcopy(layer).double().float(),
        "assigned": assigned(copy.deepcopy(layer)),
    }


@pytest.mark.parametrize("constrain", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    k=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.integers(1, 2),
    groups=st.sampled_from([1, 1, 2]),
    kind=st.sampled_from([nn.Conv2d, nn.Conv2d, nn.ConvTranspose2d]),
    formats=st.tuples(st.sampled_from(FORMATS), st.sampled_from(FORMATS)),
)
def test_outputs_of_convolutions_have_the_strides_of_the_plain_layer(
    constrain, channels, k, stride: int, groups: int, kind, formats
) -> None:
    if min(k) < stride and channels[0] != channels[1]:
        stride = 1
    channels = tuple(groups * c for c in channels)
    options = {"padding": 0 if kind is nn.ConvTranspose2d else 1, "groups": groups}
    plain = kind(*channels, k, stride, **options).to(memory_format=formats[0])
    x = uniform(2, channels[0], 5, 4).float().contiguous(memory_format=formats[1])
    want = plain(x).stride()
    layer = constrain(copy.deepcopy(plain))
    for said, found in states(layer, constrain, plain).items():
        y = found(x)
        if said == "assigned" and formats[0] is torch.channels_last:
            continue
        if channels != (1, 1):  # where both formats are one
            assert y.stride() == want, said
            assert found.weight.stride() == plain.weight.stride(), said
        if formats == (FORMATS[0], FORMATS[0]):
            assert y.view(2, -1).shape[0] == 2
            vector = nn.utils.parameters_to_vector(found.parameters())
            assert vector.ndim == 1
        y.sum().backward()


@pytest.mark.parametrize("constrain", KINDS)
@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (1, 3), (3, 1)])
@pytest.mark.parametrize("transposed", [False, True])
def test_weights_of_linear_layers_are_contiguous(constrain, shape, transposed: bool) -> None:
    """Also where the weight that they were made of is the transpose of another."""
    plain = nn.Linear(*shape)
    if transposed and constrain is not retracted:  # in place, a weight stays what it is
        plain.weight = nn.Parameter(uniform(*shape).float().mT)
    layer = constrain(copy.deepcopy(plain))
    for said, found in states(layer, constrain, plain).items():
        assert found.weight.is_contiguous(), said
        assert nn.utils.parameters_to_vector(found.parameters()).ndim == 1, said


def test_a_model_that_changes_its_format_afterwards() -> None:
    for channels, k in (((4, 6), 3), ((6, 4), 3), ((4, 4), 1), ((1, 4), 3)):
        plain = nn.Conv2d(*channels, k, padding=1)
        x = uniform(2, channels[0], 6, 6).float()
        for constrain in KINDS[:3]:
            layer = constrain(copy.deepcopy(plain))
            for memory_format in (*FORMATS, FORMATS[0]):
                want = plain.to(memory_format=memory_format)(x).stride()
                assert layer.to(memory_format=memory_format)(x).stride() == want
