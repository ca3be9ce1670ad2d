"""A warning names the line of the reader's code, however deep it arises, and comes once."""

import pytest
import torch
from torch import nn

import lipteach as lt

DEFICIENT = torch.ones(3, 3)


def deficient_layer() -> nn.Linear:
    layer = nn.Linear(3, 3)
    layer.weight.data = DEFICIENT.clone()
    return layer


def parametrized() -> nn.Linear:
    layer = lt.orthonormal(nn.Linear(3, 3))
    layer.parametrizations.weight.original.data = DEFICIENT.clone()
    return layer


LAYER = parametrized()
SIX = torch.full((6, 6), 0.3) + torch.eye(6)
CALLS = {
    "polar": lambda: lt.polar(DEFICIENT),
    "polar by products": lambda: lt.polar(DEFICIENT, method="bjorck"),
    "polar under vmap": lambda: torch.vmap(lt.polar)(DEFICIENT[None]),
    "polar's tol": lambda: lt.polar(SIX, tol=1e-9),
    "a layer registered": lambda: lt.orthonormal(deficient_layer()),
    "a layer's weight": lambda: LAYER.weight,
    "a layer called": lambda: nn.Sequential(LAYER)(torch.ones(3)),
    "retract_": lambda: lt.retract_(nn.Sequential(deficient_layer())),
    "retract_ by qr": lambda: lt.retract_(nn.Sequential(deficient_layer()), method="qr"),
    "bjorck": lambda: lt.bjorck(1e9 * SIX, steps=9),
    "beta": lambda: lt.parseval_step(SIX, 1.5),
    "bjorck_apply": lambda: lt.bjorck_apply(SIX, torch.ones(6), 4),
    "bjorck_apply's tol": lambda: lt.bjorck_apply(SIX / 3, torch.ones(6), 3, tol=1e-9),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_caller_is_named_once(name: str) -> None:
    with pytest.warns((lt.RankWarning, lt.ConvergenceWarning)) as caught:
        CALLS[name]()
    assert [warning.filename for warning in caught] == [__file__]
    line = CALLS[name].__code__.co_firstlineno
    assert caught[0].lineno == line
