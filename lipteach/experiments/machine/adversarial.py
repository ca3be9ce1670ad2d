"""The loop in which a generator and a critic are trained against each other, resumable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lipteach.experiments.machine.checkpoints import Run
from lipteach.experiments.machine.records import data_folder
from lipteach.primitives import wasserstein_dual
from lipteach.training import (
    CRITICS,
    Epochs,
    Scheme,
    draw_latent,
    load_image_set,
    make_critic_network,
    make_generator,
    measure_critic,
    points_between,
)

MOMENTS = (0.0, 0.05, 0.2, 0.5, 1.0)
"""The shares of the steps at which samples are taken and the critic is measured."""
SAMPLES = 2000
ACROSS = 12  # samples shown of each moment
MEASURED = 500  # images of the test part, and as many generated ones


@dataclass(frozen=True)
class Match:
    """A generator and a critic, and how they are trained against each other."""

    data: str
    critic: str
    steps: int  # of the generator
    side: int = 28
    width: int = 64
    batch: int = 64
    rate: float = 2e-4  # of the generator's Adam
    critic_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)
    falling: bool = False  # both rates fall to 0 along a line
    critic_steps: int = 5  # to one of the generator
    deep: bool = False


class Trained(NamedTuple):
    """What comes out of a match.

    Attributes:
        maker: the generator, in evaluation mode.
        samples: at each of `MOMENTS` 2,000 images of the same latent points, uint8.
        measured: what `measure_critic` tells at each of `MOMENTS`, by name.
    """

    maker: nn.Sequential
    samples: list[Tensor]
    measured: dict[str, list[float]]


def load_images(match: Match, split: str) -> tuple[Tensor, Tensor]:
    """Load images and labels."""
    return load_image_set(match.data, split, match.side, data_folder())


def train_match(match: Match, seed: int, run: Run) -> Trained:
    """Train a generator and a critic against each other."""
    source = torch.Generator().manual_seed(seed)
    images, test = (load_images(match, split)[0] for split in ("train", "test"))
    row, channels = CRITICS[match.critic], images.shape[1]
    maker = make_generator(channels, match.side, match.width, source, match.deep).to(run.device)
    critic = row.scheme.prepare(
        make_critic_network(channels, match.side, match.width, row.activation, source, match.deep),
        source,
    ).to(run.device)
    row.scheme.after_step(critic)
    optimizers = [
        torch.optim.Adam(network.parameters(), lr=rate, betas=match.betas)
        for network, rate in ((maker, match.rate), (critic, match.critic_rate))
    ]
    moments = [max(1, round(share * match.steps)) for share in MOMENTS[1:]]
    kept: dict[str, Any] = {"claims": 0.0, "count": 0}
    keep_moment(0, kept, maker, row.scheme, critic, test)
    epochs = Epochs(len(images), match.batch, source)
    images = images.to(run.device)
    state: dict[str, Any] = {"maker": maker, "critic": critic, "kept": kept}
    state |= {"maker_adam": optimizers[0], "critic_adam": optimizers[1]}
    for step in run.steps(match.steps, **state, epochs=epochs, source=source):
        if match.falling:
            set_rates(optimizers, (match.rate, match.critic_rate), 1 - (step - 1) / match.steps)
        for _ in range(match.critic_steps):
            x = images[epochs.draw().to(run.device)]
            kept["claims"] += improve_critic(row.scheme, critic, maker, optimizers[1], x, source)
            kept["count"] += 1
        improve_maker(critic, maker, optimizers[0], match.batch, source)
        if step % max(1, match.steps // 50) == 0:
            run.log("estimate", kept["claims"] / kept["count"])
            kept["claims"], kept["count"] = 0.0, 0
        for k, moment in enumerate(moments, 1):
            if step == moment:
                keep_moment(k, kept, maker, row.scheme, critic, test)
    names = ("claimed", "exact", "lower", "upper")
    ranks = range(len(MOMENTS))
    measured = {name: [kept[f"{name} {k}"] for k in ranks] for name in names}
    return Trained(maker.cpu().eval(), [kept[f"samples {k}"] for k in ranks], measured)


def set_rates(optimizers: list[torch.optim.Adam], rates: tuple[float, float], share: float) -> None:
    """Set the rates to a share of what they were."""
    for optimizer, rate in zip(optimizers, rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * share


def improve_critic(
    scheme: Scheme,
    critic: nn.Module,
    maker: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    source: torch.Generator,
) -> float:
    """Take one step up the critic's estimate, and return what it was."""
    with torch.no_grad():
        # one alone has no batch to be normalized by
        y = maker(draw_latent(max(2, len(x)), source).to(x.device))[: len(x)]
    with parametrize.cached():  # the weights are computed once for x and y
        claim = wasserstein_dual(critic, x, y)
    loss = -claim
    if scheme.penalty:
        loss = scheme.add_penalty(loss, critic, (points_between(x, y, source),), {})
    scheme.step(critic, loss, optimizer)
    return float(claim.detach())


def improve_maker(
    critic: nn.Module,
    maker: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: int,
    source: torch.Generator,
) -> None:
    """Take one step of the generator up the critic, whose weights stay."""
    critic.requires_grad_(False)
    device = next(maker.parameters()).device
    optimizer.zero_grad()
    (-critic(maker(draw_latent(batch, source).to(device))).mean()).backward()
    optimizer.step()
    critic.requires_grad_(True)


def keep_moment(
    k: int,
    kept: dict[str, Any],
    maker: nn.Module,
    scheme: Scheme,
    critic: nn.Sequential,
    test: Tensor,
) -> None:
    """Keep samples, and what is measured of the critic on some of them."""
    kept[f"samples {k}"] = take_samples(maker, SAMPLES, seed=0)
    x, y = test[:MEASURED], to_unit(kept[f"samples {k}"][:MEASURED])
    found = measure_critic(scheme.finish(critic).cpu(), x, y)
    kept |= {f"{name} {k}": value for name, value in found.items()}


@torch.no_grad()
def take_samples(maker: nn.Module, count: int, seed: int) -> Tensor:
    """Make images as a file holds them, in 256 levels, from latent points of their own."""
    device = next(maker.parameters()).device
    latent = draw_latent(count, torch.Generator().manual_seed(seed)).to(device)
    was = maker.training
    maker.eval()
    made = torch.cat([maker(part) for part in torch.split(latent, 500)])
    maker.train(was)
    return made.mul(255).round().to(torch.uint8).cpu()


def to_unit(samples: Tensor) -> Tensor:
    """Bring images of 256 levels to [0, 1]."""
    return samples.float() / 255


def lay_out(samples: list[Tensor], across: int) -> Tensor:
    """Lay the first samples of each moment out in a row: (height, width) or (height, width, 3).

    There are 16 levels, so that the file of the picture stays small.
    """
    rows = [torch.cat(list(part[:across]), dim=-1) for part in samples]
    picture = torch.cat(rows, dim=1) // 17 * 17
    return picture[0] if len(picture) == 1 else picture.permute(1, 2, 0)
