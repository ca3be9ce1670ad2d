"""The faults that libraries of Lipschitz layers are known for, each rebuilt and named."""

import math

import pytest
import torch
from auditing.blocks import Counting
from support import matrix_of, normal
from torch import nn
from torch.nn.utils import parametrizations, parametrize

import lipteach as lt


class Kept(nn.Module):
    """The polar factor of a weight, computed in training and kept for evaluation."""

    def __init__(self, weight) -> None:
        super().__init__()
        self.register_buffer("kept", weight.detach().clone())

    def forward(self, W):
        if self.training:
            self.kept = lt.polar(W).detach()
            return lt.polar(W)
        return self.kept


class Truncated(nn.Module):
    """The exponential of a skew matrix, by so many terms of its series."""

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.terms = terms

    def forward(self, W):
        A = W.triu(1) - W.triu(1).mT
        term = total = torch.eye(len(A), dtype=A.dtype)
        for k in range(1, self.terms):
            term = term @ A / k
            total = total + term
        return total


class Halves(nn.Linear):
    """A layer whose own forward does something else in training mode."""

    def forward(self, x):
        return super().forward(x) * (1.0 if self.training else 0.5)


def kept(W) -> nn.Linear:
    layer = nn.Linear(4, 4, bias=False).double()
    layer.weight.data = lt.polar(W)
    parametrize.register_parametrization(layer, "weight", Kept(layer.weight))
    return layer


def test_a_weight_that_is_kept_may_be_stale(capsys) -> None:
    layer = kept(normal(4, 4))
    network = nn.Sequential(layer, lt.MaxMin())
    fresh = lt.audit(network.eval(), normal(3, 4))
    assert fresh.training == ()
    assert fresh.faults() == ()
    assert fresh.within()
    layer.parametrizations.weight.original.data = normal(4, 4, seed=1)  # as a step in eval mode
    state = {name: value.clone() for name, value in network.state_dict().items()}
    found = lt.audit(network, normal(3, 4))
    assert [row.name for row in found.training] == ["0, training"]
    expected = (lt.polar(normal(4, 4, seed=1)) - lt.polar(normal(4, 4))).abs().max()
    assert found.training[0].method == f"SVD; entries differ by {float(expected):.2g}"
    assert found.faults() == (
        "0 (Linear 4→4) computes another weight in training mode: norm 1.0000 there and 1.0000 in "
        "evaluation mode.",
    )
    assert found.within(), "both are orthonormal"
    assert found.text.splitlines()[2].startswith("0, training  Linear 4→4")
    assert "in training mode, with the weights that it computes: 1.0000" in found.text
    assert not network.training, "the model is left as it was"
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_a_stale_weight_of_another_norm_counts_in_either_mode(capsys) -> None:
    layer = kept(normal(4, 4))
    layer.parametrizations.weight[0].kept.mul_(1.5)
    found = lt.audit(nn.Sequential(layer.eval()), normal(3, 4))
    assert (found.upper, found.in_training) == (pytest.approx(1.5), pytest.approx(1))
    assert found.within() is False
    assert found.faults()[0] == "0 (Linear 4→4) has norm 1.5000."
    assert "norm 1.0000 there and 1.5000 in evaluation mode" in found.faults()[1]
    layer = nn.Linear(4, 4).double()
    layer.weight.data = torch.eye(4).double()
    parametrize.register_parametrization(layer, "weight", Times(3.0))
    found = lt.audit(nn.Sequential(layer.eval()), normal(3, 4))
    assert (found.upper, found.in_training) == (pytest.approx(1), pytest.approx(3))
    assert found.within() is None, "one mode is within, and no sample was run in the other"
    assert found.faults()[0] == "0, training (Linear 4→4) has norm 3.0000."


class Times(nn.Module):
    """A weight that is so many times larger in training mode."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, W):
        return self.factor * W if self.training else W


def test_a_forward_of_its_own_may_differ_too(capsys) -> None:
    layer = Halves(4, 4).double()
    layer.weight.data = lt.polar(normal(4, 4))
    found = lt.audit(nn.Sequential(layer), normal(3, 4))
    assert found.layers[0].if_as_run == pytest.approx(0.5)
    assert found.training[0].if_as_run == pytest.approx(1)
    assert (found.if_as_run, found.in_training) == (pytest.approx(0.5), pytest.approx(1))
    assert found.upper == math.inf
    assert found.within()
    found = lt.audit(nn.Sequential(nn.Dropout(), nn.BatchNorm1d(4)), normal(3, 4).float())
    assert found.training == (), "what training mode draws or takes from a batch is left alone"


def test_a_flattened_kernel_of_norm_1_is_not_a_convolution_of_norm_1(capsys) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 3, padding=1, bias=False).double()
    conv.weight.data = lt.polar(conv.weight.data.flatten(1)).view_as(conv.weight)
    truth = torch.linalg.matrix_norm(matrix_of(conv, 3, 6, 6), 2)
    found = lt.audit(conv, normal(1, 3, 6, 6))
    assert found.layers[0].flat_norm == pytest.approx(1)
    assert float(truth) > 1.1
    assert found.within() is False
    (fault,) = found.faults()
    assert fault == (
        f"model (Conv2d 3→3) has norm {float(truth):.4f}; its flattened kernel has 1.0000, which "
        "is not that of its map."
    )
    normed = parametrizations.spectral_norm(nn.Conv2d(3, 3, 3, padding=1))
    for _ in range(200):
        normed(torch.zeros(1, 3, 3, 3))
    (fault,) = lt.audit(normed.eval()).faults()
    assert "; its flattened kernel has 1.0" in fault
    assert lt.audit(lt.orthonormal(conv), normal(1, 3, 6, 6)).faults() == ()


def test_a_series_that_ends_too_early_leaves_singular_values_near_1(capsys) -> None:
    for terms, within in ((3, False), (20, True)):
        layer = nn.Linear(6, 6, bias=False).double()
        layer.weight.data = 0.15 * normal(6, 6)
        parametrize.register_parametrization(layer, "weight", Truncated(terms))
        found = lt.audit(nn.Sequential(layer), normal(2, 6))
        assert found.within() is within
        sigma = torch.linalg.svdvals(layer.weight.detach())
        if not within:
            assert 1.001 < float(sigma[0]) < 1.1
            assert found.faults() == (
                f"0 (Linear 6→6) has norm {float(sigma[0]):.4f}; its singular values are near 1, "
                f"down to {float(sigma[-1]):.4f}, and not 1.",
            )
            assert found.within(tol=0.1)
            assert found.faults(tol=0.1) == ()
            assert found.within(bound=1.1)
        else:
            assert found.faults() == ()


def test_a_run_with_a_weight_that_moves_on_is_no_bound(capsys) -> None:
    layer = Halves(4, 4).double()
    layer.weight.data = torch.eye(4).double()
    parametrize.register_parametrization(layer, "weight", Counting())
    found = lt.audit(nn.Sequential(layer), normal(3, 4))
    (row,) = found.layers
    assert math.isnan(row.lower)
    assert math.isnan(row.if_as_run)
    assert 0.5 < row.largest <= 1
    assert row.method.endswith("changes each time it is read; SVD of its map at 4, found affine")


def test_a_copy_that_is_not_the_model_is_not_run(capsys) -> None:
    class Copied(Halves):
        def __deepcopy__(self, memo):
            return Copied(4, 4)

    found = lt.audit(nn.Sequential(Copied(4, 4)), normal(3, 4).float())
    (row,) = found.layers
    assert row.method == "none: it has a weight that is another in its copy"
    assert math.isnan(row.largest)
    assert found.if_as_run == math.inf


def test_a_weight_that_moves_on_when_it_is_read(capsys) -> None:
    layer = nn.Linear(4, 4).double()
    layer.weight.data = torch.eye(4).double()
    parametrize.register_parametrization(layer, "weight", Counting())
    found = lt.audit(nn.Sequential(layer), normal(3, 4))
    assert found.upper == found.if_as_run == math.inf
    assert found.within() is None
    (row,) = found.layers
    assert math.isnan(row.upper)
    assert 1 < row.largest <= 2
    assert row.method.endswith("a weight that changes each time it is read (SVD of one reading)")
    assert "0 (Linear 4→4) has a weight that changes each time it is read." in found.faults()
    assert any("has norm" in fault for fault in found.faults())


def test_an_iteration_that_has_converged_is_the_same_in_both_modes(capsys) -> None:
    torch.manual_seed(0)
    layer = parametrizations.spectral_norm(nn.Linear(6, 4))
    for _ in range(200):
        layer(torch.zeros(1, 6))
    assert lt.audit(nn.Sequential(layer.eval()), normal(3, 6).float()).training == ()
    layer.parametrizations.weight.original.data = normal(4, 6, seed=3).float()
    found = lt.audit(nn.Sequential(layer), normal(3, 6).float())
    assert len(found.training) == 1
    assert found.upper > found.in_training > 1


def test_what_rounding_or_a_last_step_changes_is_not_stale(capsys) -> None:
    for factor, rows in ((1 + 1e-6, 0), (1 + 1e-3, 1)):
        layer = nn.Linear(4, 4).double()
        parametrize.register_parametrization(layer, "weight", Times(factor))
        assert len(lt.audit(nn.Sequential(layer), normal(3, 4)).training) == rows


def test_statistics_of_a_batch_are_not_compared(capsys) -> None:
    class Centered(nn.Module):
        def forward(self, x):
            return x - x.mean(0) if self.training else x

    found = lt.audit(nn.Sequential(Centered()), normal(3, 4))
    assert found.layers[0].if_as_run == pytest.approx(1)
    assert found.training == ()


def test_a_kernel_that_is_large_when_flattened_is_not_said_to_deceive(capsys) -> None:
    conv = nn.Conv2d(2, 2, 3, bias=False).double()
    conv.weight.data = 5 * normal(2, 2, 3, 3)
    (fault,) = lt.audit(conv, normal(1, 2, 5, 5)).faults()
    assert "flattened" not in fault


def test_layers_may_make_up_for_one_another(capsys) -> None:
    found = lt.audit(nn.Sequential(lt.Scale(2.0), lt.Scale(0.5)))
    assert found.within()
    assert found.faults() == ("0 (Scale ×2) has norm 2.0000.",)
    close = lt.audit(nn.Sequential(*5 * [lt.Scale(1.0005)]))
    assert close.within() is None
    assert close.faults() == ()
    assert lt.audit(nn.Sequential(*5 * [lt.Scale(1.0005)]), normal(2, 3)).within() is False


def test_what_is_only_a_lower_bound_says_so(capsys) -> None:
    found = lt.audit(nn.Sequential(nn.GELU()), 2 * normal(40, 3))
    assert found.within() is False
    (fault,) = found.faults()
    assert fault == f"0 (GELU) has norm {found.layers[0].lower:.4f} or more."
    assert found.layers[0].lower > 1.01
