"""Table 7's laptop record against its bars and the paper's claims, whichever way they fall."""

import pytest

from lipteach.experiments import CellRecord, Record, load_record
from lipteach.experiments.table7_robustness import MARGINS, PAPER, RADII, select


@pytest.fixture(scope="module")
def recorded() -> Record:
    return load_record("table7_robustness", "laptop")


@pytest.fixture(scope="module")
def best(recorded: Record) -> CellRecord:
    """The MaxMin networks with the margin .3."""
    return select(recorded, "Margin", "MaxMin", 0.3)


def test_the_laptop_record_is_of_all_images_and_three_seeds(recorded: Record) -> None:
    for cell in recorded.cells:
        assert (cell.settings["judged"], cell.settings["steps"]) == (10_000, 200)
        assert cell.settings["width"] == 256
        assert len(cell.metrics["test_error"]) == 3
        for name in ("test_error", "pgd_0.1"):
            assert all(abs(100 * e - round(100 * e)) < 1e-9 for e in cell.metrics[name])


def test_the_laptop_record_has_rates_chosen_by_validation(recorded: Record) -> None:
    """At three times the authors' rate ReLU learns nothing; at theirs MaxMin is ahead as well."""
    for margin in (0.1, 0.3):
        chosen = [
            select(recorded, "Margin", a, margin).settings["rate"] for a in ("ReLU", "MaxMin")
        ]
        assert chosen == [0.0033, 0.01]
        row = {"training": "Margin", "value": margin}
        assert min(recorded.cell(activation="ReLU", rate=0.01, **row).metrics["test_error"]) > 85
        relu, maxmin = (recorded.cell(activation=a, rate=0.0033, **row) for a in ("ReLU", "MaxMin"))
        for name in ("test_error", "fgs_0.1", "pgd_0.1"):
            assert max(maxmin.metrics[name]) < min(relu.metrics[name])


def test_in_the_laptop_record_nothing_crosses(recorded: Record) -> None:
    """Counted image by image; and so the errors are in order, for each seed."""
    for cell in recorded.cells:
        for eps in RADII:
            assert cell.metrics[f"crossings_{eps:g}"] == [0, 0, 0]
            kinds = [f"{kind}_{eps:g}" for kind in ("fgs", "pgd", "attacked", "intervals")]
            columns = ["test_error", *kinds, f"product_{eps:g}"]
            for errors in zip(*(cell.metrics[name] for name in columns), strict=True):
                images = [round(100 * error) for error in errors]
                assert images == sorted(images)
        for kind in ("fgs", "pgd", "attacked", "intervals", "product"):
            pairs = zip(cell.metrics[f"{kind}_0.1"], cell.metrics[f"{kind}_0.3"], strict=True)
            assert all(near <= far + 1e-9 for near, far in pairs)


def test_the_laptop_record_reaches_the_bars_at_a_tenth(recorded: Record, best: CellRecord) -> None:
    """With every seed; ReLU with the same margin is more than 15 points worse."""
    assert max(best.metrics["test_error"]) <= 7.5
    assert max(best.metrics["pgd_0.1"]) <= 23
    pairs = zip(best.metrics["attacked_0.1"], best.metrics["intervals_0.1"], strict=True)
    assert all(certified - attacked <= 2 for attacked, certified in pairs)
    relu = select(recorded, "Margin", "ReLU", 0.3)
    assert max(relu.metrics["test_error"]) < 20, "it has learnt"
    assert min(relu.metrics["pgd_0.1"]) >= max(best.metrics["pgd_0.1"]) + 15


@pytest.mark.parametrize("margin", [0.1, 0.3])
def test_in_the_laptop_record_maxmin_resists_better_than_relu(recorded, margin) -> None:
    """[45], with every seed, at rest and under each attack, as in the paper's table."""
    relu, maxmin = (select(recorded, "Margin", name, margin) for name in ("ReLU", "MaxMin"))
    for name in ("test_error", "fgs_0.1", "pgd_0.1"):
        assert max(maxmin.metrics[name]) < min(relu.metrics[name])
    for name in ("fgs_0.3", "pgd_0.3"):
        worse = max(maxmin.metrics[name]) >= min(relu.metrics[name])
        assert worse == (margin == 0.1), "there both are lost"
        if worse:
            assert min(maxmin.metrics[name] + relu.metrics[name]) > 94


def test_the_laptop_record_reaches_the_far_column_with_twice_the_margin(recorded, best) -> None:
    """The paper has 62.2 and 77.7 with the margin .3; ours has less with .6, but not at rest."""
    paper = PAPER["Margin", "MaxMin", 0.3]
    assert min(best.metrics["pgd_0.3"]) > paper[4] + 10
    far = select(recorded, "Margin", "MaxMin", 0.6)
    assert max(far.metrics["pgd_0.3"]) < paper[4]
    assert far.mean("fgs_0.3") < paper[3]
    assert min(far.metrics["test_error"]) > paper[0] + 10
    for kind in ("attacked_0.3", "intervals_0.3"):
        means = {m: select(recorded, "Margin", "MaxMin", m).mean(kind) for m in MARGINS}
        assert min(means, key=means.__getitem__) == 0.6


def test_in_the_laptop_record_nothing_is_certified_without_a_constant(recorded: Record) -> None:
    """Not of networks trained on attacks either, though these err least under ours at .1."""
    rows = {row: select(recorded, *row).metrics for row in PAPER}
    for row, found in rows.items():
        if row[0] == "Margin":
            assert max(found["intervals_0.1"]) < PAPER[row][2], "what their attack found"
        else:
            assert min(found["intervals_0.1"]) == 100
    on_attacks = [e for row in rows if row[0] == "PGD" for e in rows[row]["attacked_0.1"]]
    margins = [e for row in rows if row[0] == "Margin" for e in rows[row]["attacked_0.1"]]
    assert max(on_attacks) < min(margins)


def test_gradients_of_the_laptop_record_lie_on_strokes_where_the_constant_is_small(
    recorded,
) -> None:
    """Figure 7; and so they do where training is on attacks."""
    shares = {
        (row[0], row[2]): select(recorded, *row).metrics["on_strokes"]
        for row in (
            ("Standard", "MaxMin", 0.0),
            ("Björck", "MaxMin", 10.0),
            ("Björck", "MaxMin", 1.0),
        )
    }
    small = shares.pop(("Björck", 1.0))
    assert min(small) > 0.6 > 0.4 > max(max(others) for others in shares.values())
    assert min(select(recorded, "PGD", "ReLU", 0.1).metrics["on_strokes"]) > 0.6
