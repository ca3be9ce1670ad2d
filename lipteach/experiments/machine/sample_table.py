"""What is measured of a generator and a critic, and the text of it."""

from __future__ import annotations

import math
from typing import Any

import torch

from lipteach.experiments.machine.adversarial import (
    ACROSS,
    MOMENTS,
    SAMPLES,
    Match,
    lay_out,
    load_images,
    to_unit,
    train_match,
)
from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.records import CellRecord, Record
from lipteach.training import score_samples, train_judge

SCORES = ("entropy", "confident", "score", "frechet")
EARLY = 1  # of MOMENTS


def train_and_score(match: Match, seed: int, run: Run) -> dict[str, Any]:
    """Train a generator and a critic, show samples, and score them where there are labels.

    Returns:
        By name, lists over `MOMENTS`: what `measure_critic` tells, and the scores of the samples by
        a judge that is the same for all seeds; "entropy_real" and so on, of real images beside
        others: two parts that neither the generator nor the judge has seen.
    """
    trained = train_match(match, seed, run)
    run.show(lay_out(trained.samples, ACROSS))
    found: dict[str, Any] = dict(trained.measured)
    images, labels = load_images(match, "train")
    if labels.any():
        epochs = 3 if len(images) > 10_000 else 25
        judge = train_judge(images, labels, torch.Generator().manual_seed(0), epochs)
        test = load_images(match, "test")[0]
        count = min(SAMPLES, len(test) // 2)
        real, others = test[:count], test[count : 2 * count]
        rows = [score_samples(judge, to_unit(part[:count]), real) for part in trained.samples]
        truth = score_samples(judge, others, real)
        for name in SCORES:
            found[name] = [row[name] for row in rows]
            found[f"{name}_real"] = truth[name]
    return found


def compare_matches(record: Record) -> str:
    """Show what each critic claimed, what it may, and the scores of the samples."""
    early = f"{MOMENTS[EARLY]:.0%}"
    lines = [
        "Mean over the seeds (largest - smallest), after all steps. The claim and the exact",
        "distance are of the same 500 images and samples; over 1-Lipschitz functions a claim is",
        "never above it.",
        "",
        f"{'':29}{'claim':>16}{'exact':>15}{'constant (bounds)':>22}{'claim / lower':>15}",
    ]
    for cell in record.cells:
        claimed, exact = (last_text(cell, name) for name in ("claimed", "exact"))
        lower, upper = (cell.mean(name)[-1] for name in ("lower", "upper"))
        ratio = cell.mean("claimed")[-1] / lower if lower else math.nan  # a critic that is constant
        lines.append(
            f"{name_text(cell):29}{claimed:>16}{exact:>15}"
            f"{f'{lower:.3g} to {upper:.3g}':>22}{ratio:15.2f}"
        )
    lines += [
        "",
        "Samples, told by a small classifier: untrained, early (after "
        f"{early} of the steps), last; real.",
    ]
    heads = {
        "entropy": "class entropy (of 2.303)",
        "confident": "share above .9",
        "score": "score (of 10)",
        "frechet": "Fréchet distance of features",
    }
    for name, head in heads.items():
        lines += ["", head]
        for cell in record.cells:
            if name not in cell.metrics:
                continue
            of = [cell.mean(name)[k] for k in (0, EARLY)]
            numbers = "".join(f"{number:10.2f}" for number in of)
            real = f"{cell.mean(f'{name}_real'):10.2f}"
            lines.append(f"{name_text(cell):29}{numbers}{last_text(cell, name):>16}{real}")
    return "\n".join(lines)


def last_text(cell: CellRecord, name: str) -> str:
    """Write "2.26 (0.04)", of the last moment."""
    return f"{cell.mean(name)[-1]:.2f} ({cell.spread(name)[-1]:.2f})"


def name_text(cell: CellRecord) -> str:
    """Write "fashion, Lipschitz, MaxMin"."""
    return f"{cell.settings['data']}, {cell.settings['critic']}"
