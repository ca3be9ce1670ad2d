"""Modules with a forward of their own over parts: run as a whole, in both modes, and certified."""

import math

import pytest
import torch
from auditing.blocks import Counting, Over
from support import normal
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.auditing import strangers
from lipteach.layers.magnitudes import Magnitude

X = normal(5, 4)


def residual(block, x):
    return x + block.part(x)


def halved(block, x):
    return 0.5 * (x + block.part(x))


def largest(block) -> float:
    """The norm of an affine block's matrix."""
    zero = torch.zeros(1, 4).double()
    block.eval().requires_grad_(False)
    return float(torch.linalg.matrix_norm(block(torch.eye(4).double()) - block(zero), 2))


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    "make", [lambda: Over(residual), lambda: lt.Residual(lt.orthonormal(nn.Linear(4, 4).double()))]
)
def test_a_block_that_stretches_is_named_though_its_parts_do_not(make, capsys) -> None:
    model = nn.Sequential(make(), nn.ReLU(), make())
    found = lt.audit(model, X)
    blocks, parts = found.layers[::2], found.layers[1::2]
    assert [row.name for row in blocks] == ["0", "2"]
    assert all(row.upper == pytest.approx(1, abs=1e-6) for row in parts)
    for row, block in zip(blocks, (model[0], model[2]), strict=True):
        assert [row.largest, row.lower] == pytest.approx(2 * [largest(block)])
        assert row.upper == pytest.approx(2, abs=1e-6)
    assert found.upper == pytest.approx(4, abs=1e-5)
    assert found.within() is False
    (first, second) = found.faults()
    kind = type(model[0]).__name__
    assert first.startswith(f"0 ({kind}) has norm {blocks[0].largest:.4f}")
    assert second.startswith(f"2 ({kind}) has norm {blocks[1].largest:.4f}")
    assert ("(for inputs of this size)" in found.text) is (kind == "Over")
    blind = lt.audit(model)
    assert [row.name for row in blind.layers] == [row.name for row in parts]


def test_the_audit_has_what_lipschitz_bounds_certifies(capsys) -> None:
    block = Over(halved)
    for model in (block, nn.Sequential(block, nn.ReLU(), block)):
        found, upper = lt.audit(model, X), lt.lipschitz_bounds(model, X).upper
        assert found.upper == pytest.approx(upper)
        assert found.unknown == ""
        assert found.within()
        assert found.layers[0].upper == pytest.approx(1, abs=1e-6)
        assert found.layers[0].method.endswith("traced: from above")
    assert largest(block) <= found.layers[0].upper + 1e-12
    with pytest.warns(lt.UnknownBoundWarning):
        assert lt.lipschitz_bounds(Over(lambda b, x: b.part(x).exp().log1p()), X).upper == math.inf
    found = lt.audit(nn.Sequential(Over(lambda b, x: b.part(x).exp().log1p())), X)
    assert found.upper == math.inf
    assert found.unknown == "0 (Over)"
    assert "from above" not in found.text


def test_a_certificate_that_a_run_refutes_is_left_out(capsys, monkeypatch) -> None:
    def certified(*_):
        return {2: Magnitude.of(0.5)}, ""

    monkeypatch.setattr(strangers, "certified", certified)
    for model in (Over(residual), nn.Sequential(Over(residual))):
        found = lt.audit(model, X)
        assert found.upper == math.inf
        assert found.lower > 0.5
        assert math.isnan(found.layers[0].upper)
        assert "from above" not in found.text
        assert found.faults()
    assert lt.audit(nn.Sequential(Over(lambda b, x: 0.4 * x)), X).upper == 0.5


def test_a_block_that_takes_a_sample_as_rows_is_not_certified(capsys) -> None:
    swapped = Over(lambda b, x: b.part(x).view(-1, 2, 4).flip(1).reshape(-1, 4))
    ends = nn.Unflatten(1, (2, 4)), nn.Flatten(0, 1), nn.Unflatten(0, (-1, 2))
    found = lt.audit(nn.Sequential(*ends[:2], swapped, ends[2], nn.Flatten()), normal(5, 8))
    assert found.upper == math.inf
    assert found.unknown == "2 (Over)"
    assert found.layers[0].method.startswith("none: it could not be run on other inputs")


def test_the_way_through_other_norms_may_be_shorter_than_the_product(capsys) -> None:
    W, V = torch.ones(6, 1) / 6, normal(6, 4)
    rows = V / V.norm(dim=1, keepdim=True)
    model = nn.Sequential(lt.linear(rows), nn.ReLU(), lt.linear(W.mT))
    found, bounds = lt.audit(model, X), lt.lipschitz_bounds(model, X)
    assert found.upper == pytest.approx(bounds.upper)
    assert found.upper == pytest.approx(min(1.0, math.prod(row.upper for row in found.layers)))
    model = nn.Sequential(lt.linear(rows), nn.ReLU(), lt.linear(torch.eye(6)[:1]))
    found = lt.audit(model, X)
    assert found.layers[0].upper > 1.2
    assert found.upper == pytest.approx(1)
    assert "upper bound 1.0000: as lipschitz_bounds certifies it" in found.text
    assert "the product of the norms" in lt.audit(model).text


def test_a_sequential_with_a_forward_of_its_own_is_run_as_a_whole(capsys) -> None:
    class Twice(nn.Sequential):
        def forward(self, x):
            return 2 * super().forward(x)

    found = lt.audit(Twice(lt.linear(torch.eye(4).double())), X)
    assert [row.name for row in found.layers] == ["model", "0"]
    assert found.layers[0].largest == pytest.approx(2)
    assert found.faults() == ("model (Twice) has norm 2.0000.",)


def test_who_draws_random_numbers_is_named(capsys) -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4).double()

        def forward(self, x):
            return self.layer(x) + 1e-3 * torch.randn_like(x)

    for model, name in (
        (nn.Sequential(nn.Linear(4, 4).double(), Noisy(), nn.GELU()), "1 (Noisy)"),
        (nn.Sequential(Over(lambda b, x: b.extra(x))), "0.extra (Noisy)"),
        (Noisy(), "Noisy"),
    ):
        if isinstance(model, nn.Sequential) and isinstance(model[0], Over):
            model[0].extra = Noisy()
        found = lt.audit(model, X)
        assert f"no upper bound: {name}, which draws random numbers, has none" in found.text
        assert "no lower bound, for the same reason" in found.text
        assert "no samples" not in found.text
        assert found.upper == found.if_as_run == math.inf
        assert found.lower == 0
        drawing = [row for row in found.layers if row.method == "none: it draws random numbers"]
        assert drawing
        assert not any("GELU" in row.kind for row in found.layers), "of which its inputs are drawn"


def test_of_a_weight_that_moves_on_a_whole_tells_one_reading(capsys) -> None:
    block = Over(residual)
    block.part = lt.linear(torch.eye(4).double())
    parametrize.register_parametrization(block.part, "weight", Counting())
    found = lt.audit(nn.Sequential(block), X)
    assert [row.name for row in found.layers] == ["0", "0.part"]
    assert found.layers[0].largest > 2
    assert math.isnan(found.layers[0].lower)
    assert found.upper == found.if_as_run == math.inf


def test_between_a_lower_and_an_upper_bound_a_fault_says_or_more(capsys) -> None:
    found = lt.audit(nn.Sequential(Over(lambda b, x: x.relu() + b.part(x).sin())), X)
    (row,) = found.layers[:1]
    assert 1.1 < row.lower < 1.9 < row.upper == pytest.approx(2, abs=1e-6)
    assert found.faults() == (f"0 (Over) has norm {row.lower:.4f} or more.",)
    assert f"{row.lower:.4f} to 2.0000" in found.text
