"""Fig. 17: a WGAN whose critic is 1-Lipschitz, beside one whose critic is clipped.

Networks of InfoGAN's shape; the critic has orthonormal layers, its convolutions as operators, and
no batch normalization. The figure shows samples of MNIST and CIFAR-10 and no number. Ours has the
samples of one seed at five moments, and what can be counted: whether the critic claims more than
there is, and what a classifier says of the samples.

The shorter profiles have narrower networks, larger rates that fall to 0, and Fashion-MNIST. The
laptop's rates and steps were chosen for MaxMin, by what the classifier says of samples of MNIST,
with a seed of its own; ReLU has the same ones.

Source: Anil, Lucas and Grosse (2019), appendix H.3 and Figure 17; X. Chen et al. (2016), InfoGAN.
"""

from __future__ import annotations

from typing import Any

from lipteach.experiments import Experiment
from lipteach.experiments.machine.adversarial import Match
from lipteach.experiments.machine.sample_table import compare_matches, train_and_score

CRITICS_SHOWN = ("Lipschitz, MaxMin", "Lipschitz, ReLU", "clipped")
LIPSCHITZ = {"quick": (2e-3, 1e-2), "laptop": (2e-3, 1.5e-3)}  # rates of generator and critic
CLIPPED = (5e-4, 5e-4)


def cells(profile: str) -> tuple[Match, ...]:
    """List the sets of images times the critics; in full with the authors' settings.

    Their 50 epochs are passes of the critic, which takes 5 steps to one of the generator.
    """
    if profile == "full":
        return tuple(
            Match(data, critic, steps, side, critic_rate=2e-4 if critic == "clipped" else 2e-3)
            for data, side, steps in (("mnist", 28, 9_400), ("cifar", 32, 7_800))
            for critic in CRITICS_SHOWN
        )
    own: dict[str, Any] = {"falling": True, "betas": (0.5, 0.9)}
    if profile == "quick":
        own |= {"steps": 120, "side": 14, "width": 8}
    else:
        own |= {"steps": 1800, "critic_steps": 3, "width": 16}
    grid = []
    for data in ("sample",) if profile == "quick" else ("mnist", "fashion"):
        for critic in CRITICS_SHOWN:
            rate, critic_rate = CLIPPED if critic == "clipped" else LIPSCHITZ[profile]
            grid.append(Match(data, critic, rate=rate, critic_rate=critic_rate, **own))
    return tuple(grid)


EXPERIMENT = Experiment(
    name="fig17_wgan",
    item="Fig. 17",
    title="samples of WGANs with 1-Lipschitz critics",
    cells=cells,
    train=train_and_score,
    compare=compare_matches,
)
