"""Weights that somebody else holds too: a tied layer, an optimizer."""

import pytest
import torch
from support import uniform
from torch import nn

import lipteach as lt

KINDS = (lt.orthonormal, lt.spectral, lt.linf)
LAYERS = {
    "linear": lambda: nn.Linear(4, 4),
    "patches": lambda: nn.Conv2d(2, 3, 2, 2),
    "overlapping": lambda: nn.Conv2d(3, 3, 3),
    "without a basis": lambda: nn.Conv2d(1, 4, 3, 2),
    "one tap": lambda: nn.Conv2d(2, 5, 1),
    "line": lambda: nn.Conv1d(4, 6, 2, 2, groups=2),
}


def tied(make) -> nn.Sequential:
    model = nn.Sequential(make(), make())
    model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize("constrain", KINDS)
@pytest.mark.parametrize("name", LAYERS)
def test_a_tie_is_kept_or_its_loss_is_said(constrain, name: str) -> None:
    """A convolution's parameters are others: a tied layer keeps the old one, as it was."""
    model = tied(LAYERS[name])
    before = model[1].weight.detach().clone()
    constrain(model[0])
    if constrain is lt.orthonormal and name in ("overlapping", "without a basis"):
        assert torch.equal(model[1].weight, before)
        with pytest.raises(ValueError, match="weight of this Conv2d must not be shared; a tied"):
            lt.orthonormal(model[1])
        model[1].weight = nn.Parameter(before)
        lt.orthonormal(model[1])
        return
    constrain(model[1])
    assert len({id(p) for p in model.parameters() if p.ndim > 1}) == 1
    with torch.no_grad():
        original = next(p for p in model.parameters() if p.ndim > 1)
        original += uniform(*original.shape).float()
    assert torch.equal(model[0].weight, model[1].weight)
    assert not torch.allclose(model[0].weight, before, atol=1e-3)


@pytest.mark.parametrize("constrain", KINDS)
@pytest.mark.parametrize("name", ["linear", "patches", "one tap", "line"])
def test_an_optimizer_made_before_still_moves_the_weight(constrain, name: str) -> None:
    layer = LAYERS[name]()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    constrain(layer)
    before = layer.weight.detach().clone()
    (layer.weight * uniform(*before.shape).float()).sum().backward()
    optimizer.step()
    assert not torch.allclose(layer.weight, before, atol=1e-3)
