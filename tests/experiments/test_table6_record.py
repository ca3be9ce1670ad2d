"""Table 6's laptop record, which is of other images: three seeds, and two bounds of each."""

import pytest
import torch
from scipy import stats
from torch import Tensor

from lipteach.experiments import Record, load_record
from lipteach.experiments.table6_cifar import ACTIVATIONS, PAPER, VALUES, compare


@pytest.fixture(scope="module")
def recorded() -> Record:
    return load_record("table6_cifar", "laptop")


def pair(recorded: Record, scheme: str, metric: str) -> list[Tensor]:
    """One number for each seed, with ReLU and with MaxMin."""
    cells = (recorded.cell(scheme=scheme, activation=name) for name in ACTIVATIONS)
    return [torch.tensor(cell.metrics[metric], dtype=torch.float64) for cell in cells]


def test_it_is_of_three_seeds_and_never_under_the_paper_s_name(recorded: Record) -> None:
    assert len(recorded.cells) == len(PAPER) * len(ACTIVATIONS)
    for cell in recorded.cells:
        own = cell.settings
        assert (own["data"], own["depth"], own["width"], own["epochs"]) == ("fashion", 10, 1, 3)
        assert own["value"] == VALUES[own["scheme"]]
        assert all(len(values) == 3 for values in cell.metrics.values())
    said = compare(recorded)
    assert "Fashion-MNIST, not CIFAR-10" in said
    assert not any(f"{value:.2f}" in said for row in PAPER.values() for value in row)


@pytest.mark.parametrize("scheme", PAPER)
def test_each_network_has_learnt_and_lies_between_its_bounds(recorded: Record, scheme: str) -> None:
    assert all((errors < 15).all() for errors in pair(recorded, scheme, "test_error"))
    both = zip(pair(recorded, scheme, "lower"), pair(recorded, scheme, "upper"), strict=True)
    assert all((lower > 0).all() and (lower < upper).all() for lower, upper in both)


@pytest.mark.parametrize("scheme", PAPER)
def test_three_seeds_cannot_tell_the_activations_apart(recorded: Record, scheme: str) -> None:
    """Three seeds show no difference, and would have hidden one like the paper's."""
    relu, maxmin = pair(recorded, scheme, "test_error")
    widest = max(relu.max() - relu.min(), maxmin.max() - maxmin.min())
    assert abs(relu.mean() - maxmin.mean()) < widest
    low, high = stats.ttest_rel(relu, maxmin).confidence_interval(0.95)
    behind = PAPER[scheme][0] - PAPER[scheme][1]
    assert low < 0 < high
    assert high - low > 2 * behind


@pytest.mark.parametrize("scheme", PAPER)
def test_both_bounds_are_smaller_with_maxmin(recorded: Record, scheme: str) -> None:
    """With every seed; the product of norms by much."""
    relu, maxmin = pair(recorded, scheme, "upper")
    assert (relu > 8 * maxmin).all()
    relu, maxmin = pair(recorded, scheme, "lower")
    assert (relu > maxmin).all()


def test_parseval_has_smaller_products_and_no_smaller_errors(recorded: Record) -> None:
    usual, held = (pair(recorded, scheme, "upper") for scheme in ("Standard", "Parseval"))
    assert all((a > 3.6 * b).all() for a, b in zip(usual, held, strict=True))
    usual, held = (pair(recorded, scheme, "test_error") for scheme in ("Standard", "Parseval"))
    assert all((a <= b).all() for a, b in zip(usual, held, strict=True))
