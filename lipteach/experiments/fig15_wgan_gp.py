"""Fig. 15: WGANs with a gradient penalty, whose critics have LeakyReLU or MaxMin.

The paper's settings were tuned for LeakyReLU, and MaxMin takes its place (G.2). The figure shows
faces and no number; ours counts whether the critics claim more than there is, how steep they are,
and what a classifier says of the samples.

The paper has faces of CelebA, which cannot be shipped: the full profile takes any pictures in the
folder ``faces`` of the data. The shorter ones have digits, and clothes, and settings that were
tuned for neither activation.

Source: Anil, Lucas and Grosse (2019), appendix G.2 and Figure 15; I. Gulrajani et al. (2017).
"""

from __future__ import annotations

from typing import Any

from lipteach.experiments import Experiment
from lipteach.experiments.machine.adversarial import Match
from lipteach.experiments.machine.sample_table import compare_matches, train_and_score

CRITICS_SHOWN = ("penalty, LeakyReLU", "penalty, MaxMin")


def cells(profile: str) -> tuple[Match, ...]:
    """List the sets of images times the critics."""
    if profile == "full":  # the critic's 50 passes of nine tenths of CelebA's 202,599
        deep: dict[str, Any] = {"steps": 28_500, "side": 64, "rate": 1e-4, "critic_rate": 1e-4}
        deep |= {"betas": (0.5, 0.9), "deep": True}
        return tuple(Match("faces", critic, **deep) for critic in CRITICS_SHOWN)
    own: dict[str, Any] = {"falling": True, "betas": (0.5, 0.9)}
    own |= {"rate": 1e-3, "critic_rate": 1e-3}
    if profile == "quick":
        own |= {"steps": 120, "side": 14, "width": 8}
    else:
        own |= {"steps": 1000, "width": 16}
    return tuple(
        Match(data, critic, **own)
        for data in (("sample",) if profile == "quick" else ("mnist", "fashion"))
        for critic in CRITICS_SHOWN
    )


EXPERIMENT = Experiment(
    name="fig15_wgan_gp",
    item="Fig. 15",
    title="samples of WGANs with a gradient penalty",
    cells=cells,
    train=train_and_score,
    compare=compare_matches,
)
