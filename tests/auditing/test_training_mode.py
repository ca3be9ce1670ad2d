"""What a block does in training mode only, whatever its parts do: it has a row, and is a fault."""

import math

import pytest
import torch
from auditing.blocks import Over
from support import normal
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

import lipteach as lt

X = normal(5, 4)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Kept(nn.Module):
    """A weight that is made of a layer's in training, and kept for evaluation."""

    def __init__(self, kept) -> None:
        super().__init__()
        self.part = nn.Linear(4, 4, bias=False).double()
        self.register_buffer("kept", kept)

    def forward(self, x):
        if self.training:
            self.kept = torch.linalg.qr(self.part.weight)[0].detach()
        return F.linear(x, self.kept)


class Tripled(nn.Module):
    def forward(self, W):
        return 3 * W if self.training else W


def test_a_kept_weight_in_a_block_is_seen_in_either_mode(capsys) -> None:
    for scale, in_training, within in ((3.0, 1.0, False), (0.5, 1.0, True)):
        block = Kept(scale * torch.eye(4).double())
        found = lt.audit(nn.Sequential(block, nn.ReLU()), X)
        assert found.layers[0].largest == pytest.approx(scale)
        assert found.training[0].name == "0, training"
        assert found.training[0].largest == pytest.approx(in_training)
        assert (found.if_as_run, found.in_training) == (pytest.approx(scale), pytest.approx(1))
        assert found.within() is within
        said = found.faults()
        assert ("0 (Kept) has norm 3.0000." in said) is (scale > 1)
        assert said[-1].startswith("0 (Kept) computes something else in training mode: norm 1.0000")
        assert torch.equal(block.kept, scale * torch.eye(4).double()), "the model is left alone"


@pytest.mark.parametrize("around", [lambda block: nn.Sequential(block, nn.ReLU()), lambda b: b])
def test_what_only_training_mode_does_is_named(around, capsys) -> None:
    block = Over(lambda block, x: 3 * block.part(x) if block.training else block.part(x))
    found = lt.audit(around(block), X)
    assert found.upper == pytest.approx(1, abs=1e-6)
    assert found.in_training == pytest.approx(3, abs=1e-6)
    assert found.within() is None
    name = "model" if around(block) is block else "0"
    assert found.faults()[0] == f"{name}, training (Over) has norm 3.0000."
    assert "in training mode, with the weights that it computes: 3.0000" in found.text


def test_dropout_and_statistics_within_a_block_are_left_alone(capsys) -> None:
    class Block(nn.Module):
        def __init__(self, factor) -> None:
            super().__init__()
            self.parts = nn.ModuleList([nn.Dropout(), nn.BatchNorm1d(4), lt.BoundedBatchNorm(4)])
            self.double().factor = factor

        def forward(self, x):
            for part in self.parts:
                x = part(x)
            return self.factor * x if self.training else x

    assert lt.audit(nn.Sequential(Block(1.0)), X).training == ()
    assert len(lt.audit(nn.Sequential(Block(3.0)), X).training) == 1


def test_a_block_that_cannot_be_compared_may_have_a_part_that_differs(capsys) -> None:
    block = Over(lambda b, x: b.part(x) - b.part(x).mean(0) if b.training else b.part(x))
    found = lt.audit(nn.Sequential(block), X)
    assert found.training == ()
    assert found.within()
    block.part = lt.linear(torch.eye(4).double())
    parametrize.register_parametrization(block.part, "weight", Tripled())
    found = lt.audit(nn.Sequential(block.eval()), X)
    assert [row.name for row in found.training] == ["0.part, training"]
    assert found.if_as_run == pytest.approx(1)
    assert found.in_training == math.inf
    assert found.within() is None
