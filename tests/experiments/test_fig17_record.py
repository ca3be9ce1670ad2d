"""Fig. 17's laptop record against its bars, and what lesson 14 says of it."""

from itertools import pairwise

import pytest
from experiments_support import SETS, last

from lipteach.experiments import Record, load_record

MAXMIN, RELU, CLIPPED = "Lipschitz, MaxMin", "Lipschitz, ReLU", "clipped"


@pytest.fixture(scope="module")
def recorded() -> Record:
    return load_record("fig17_wgan", "laptop")


def test_digits_reach_the_bars_with_every_seed(recorded: Record) -> None:
    """Of real digits nobody has seen the judge is sure of 94 %."""
    best = recorded.cell(data="mnist", critic=MAXMIN)
    assert best.settings["side"] == 28
    assert len(best.metrics["entropy"]) == 3
    assert min(last(best, "entropy")) >= 2.2
    assert min(last(best, "confident")) >= 0.7
    assert all(0.93 < real < 0.95 for real in best.metrics["confident_real"])


@pytest.mark.parametrize("data", SETS)
def test_samples_come_nearer_in_features(recorded: Record, data: str) -> None:
    """Untrained, early, last, real; with every critic and seed."""
    for critic in (MAXMIN, RELU, CLIPPED):
        found = recorded.cell(data=data, critic=critic).metrics
        for values, real in zip(found["frechet"], found["frechet_real"], strict=True):
            assert values[0] > values[1] > values[-1] > real > 0


@pytest.mark.parametrize("data", SETS)
def test_maxmin_is_ahead_of_relu_and_both_of_clipped_weights(recorded: Record, data: str) -> None:
    """With every seed, in confidence and in Fréchet's distance."""
    cells = [recorded.cell(data=data, critic=critic) for critic in (CLIPPED, RELU, MAXMIN)]
    for worse, better in pairwise(cells):
        assert max(last(worse, "confident")) < min(last(better, "confident"))
        assert min(last(worse, "frechet")) > max(last(better, "frechet"))


def test_no_claim_is_above_what_its_constant_allows(recorded: Record) -> None:
    """At every moment; 1-Lipschitz critics never claim more than exact transport."""
    for cell in recorded.cells:
        columns = (cell.metrics[name] for name in ("claimed", "exact", "lower", "upper"))
        for moments in zip(*columns, strict=True):
            for claimed, exact, lower, upper in zip(*moments, strict=True):
                assert claimed <= upper * exact + 1e-9
                assert lower <= upper <= 1 + 1e-6


@pytest.mark.parametrize("data", SETS)
def test_a_clipped_critic_s_claim_has_no_unit(recorded: Record, data: str) -> None:
    """Its constant grows and shrinks in training, and the claim is small in the end."""
    cell = recorded.cell(data=data, critic=CLIPPED)
    for lower, upper, claimed, exact in zip(
        *(cell.metrics[name] for name in ("lower", "upper", "claimed", "exact")), strict=True
    ):
        assert lower[1] > max(upper[0], upper[-1])
        assert claimed[-1] < 0.001 * exact[-1]
