"""Fig. 15's laptop record: what a gradient penalty holds, and what lesson 14 says of it."""

from itertools import pairwise

import pytest
from experiments_support import SETS, last

from lipteach.experiments import Record, load_record

LEAKY, MAXMIN = "penalty, LeakyReLU", "penalty, MaxMin"


@pytest.fixture(scope="module")
def recorded() -> Record:
    return load_record("fig15_wgan_gp", "laptop")


@pytest.mark.parametrize("data", SETS)
def test_the_exchange_breaks_nothing(recorded: Record, data: str) -> None:
    """G.2: with the same settings, tuned for neither, MaxMin is better with every seed."""
    leaky, maxmin = (recorded.cell(data=data, critic=critic) for critic in (LEAKY, MAXMIN))
    assert {**leaky.settings, "critic": ""} == {**maxmin.settings, "critic": ""}
    assert min(last(maxmin, "confident")) > max(last(leaky, "confident"))
    assert max(last(maxmin, "frechet")) < min(last(leaky, "frechet"))
    assert min(last(maxmin, "entropy")) > 2.2


@pytest.mark.parametrize("data", SETS)
def test_samples_come_nearer_in_features(recorded: Record, data: str) -> None:
    for critic in (LEAKY, MAXMIN):
        found = recorded.cell(data=data, critic=critic).metrics
        for values, real in zip(found["frechet"], found["frechet_real"], strict=True):
            assert all(a > b for a, b in pairwise(values))
            assert values[-1] > real > 0


def test_a_penalty_is_no_bound(recorded: Record) -> None:
    """After the start every critic is steeper than 1 at some place; nobody knows by how much."""
    for cell in recorded.cells:
        for lower, upper in zip(cell.metrics["lower"], cell.metrics["upper"], strict=True):
            assert min(lower[1:]) > 1.28
            assert all(high > 3 * low for low, high in zip(lower, upper, strict=True))


def test_one_critic_claims_more_than_there_is(recorded: Record) -> None:
    """Early in training, of the same images and samples; a 1-Lipschitz critic never does."""
    cheats = [
        (cell.settings["data"], cell.settings["critic"], k)
        for cell in recorded.cells
        for claimed, exact in zip(cell.metrics["claimed"], cell.metrics["exact"], strict=True)
        for k, (claim, most) in enumerate(zip(claimed, exact, strict=True))
        if claim > most
    ]
    assert cheats == [("mnist", LEAKY, 1)]
