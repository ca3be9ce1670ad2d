"""H.2: how far is a trained generator from the data? Fresh 1-Lipschitz critics look for it.

The generator is frozen. Critics of ReLU and of MaxMin, with orthonormal weights, look for the
distance of its samples to as many images; beside them stands exact transport on the same samples,
which no 1-Lipschitz function can exceed. Both are measured a second time on samples that no critic
has seen.

In pixels most of the exact distance of a few thousand samples is noise: two sets of real images are
almost as far from one another. So all is done in the first principal components of the images too,
where samples tell more of the distributions (a projection makes no distance larger).

Source: Anil, Lucas and Grosse (2019), appendix H.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.experiments import Experiment, Record, Run
from lipteach.experiments.machine.adversarial import (
    ACROSS,
    Match,
    lay_out,
    load_images,
    take_samples,
    to_unit,
    train_match,
)
from lipteach.layers import export, make_tangent_, retract_
from lipteach.primitives import MaxMin, exact_wasserstein, operator_norm, wasserstein_dual
from lipteach.primitives.composition import linear_layers
from lipteach.training import orthonormal_network

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"ReLU": nn.ReLU, "MaxMin": MaxMin}
SPACES = ("pixels", "components")
COMPONENTS = 4
SEEDS = (1, 2)  # of the samples that critics see, and of those that they do not


@dataclass(frozen=True)
class Settings(Match):
    """One generator, trained as in Fig. 17, and the critics that look for its distance.

    In the shorter profiles it takes fewer steps than there.
    """

    samples: int = 2000  # of each side
    hidden: int = 720
    looks: int = 16_384  # steps of each fresh critic: the authors' 512 × 32
    rows: int = 64  # of each side, in one of them
    look_rate: float = 0.001  # of Adam; it falls to 0 along a line


def cells(profile: str) -> tuple[Settings, ...]:
    """List the sets of images."""
    critic = "Lipschitz, MaxMin"
    if profile == "full":
        return (
            Settings("mnist", critic, 9_400, critic_rate=2e-3),
            Settings("cifar", critic, 7_800, 32, critic_rate=2e-3),
        )
    own: dict[str, Any] = {"betas": (0.5, 0.9), "falling": True, "rate": 2e-3}
    own["critic_rate"] = 1e-2 if profile == "quick" else 1.5e-3
    if profile == "quick":
        own |= {"side": 14, "width": 8, "samples": 250, "hidden": 32, "looks": 60}
        return (Settings("sample", critic, 80, **own, rows=250, look_rate=0.01),)
    own |= {"width": 16, "hidden": 128, "looks": 600, "rows": 500, "look_rate": 0.005}
    own["critic_steps"] = 3
    return tuple(Settings(data, critic, 900, **own) for data in ("mnist", "fashion"))


def train(settings: Settings, seed: int, run: Run) -> dict[str, Any]:
    """Train a generator, freeze it, and look for its distance."""
    trained = train_match(settings, seed, run)
    run.show(lay_out(trained.samples, ACROSS))
    count = settings.samples
    train_images = load_images(settings, "train")[0].flatten(1)
    real = load_images(settings, "test")[0].flatten(1)
    real = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))]
    seen, unseen, third = torch.split(real[: 3 * count], count)
    made = [to_unit(take_samples(trained.maker, count, k)).flatten(1) for k in SEEDS]
    found: dict[str, Any] = {}
    for space in SPACES:
        project = projection(train_images) if space == "components" else identity
        x, held_x, others = (project(part) for part in (seen, unseen, third))
        y, held_y = (project(part) for part in made)
        found[f"{space}_exact"] = float(exact_wasserstein(x.double(), y.double()))
        found[f"{space}_exact_held"] = float(exact_wasserstein(held_x.double(), held_y.double()))
        found[f"{space}_real"] = float(exact_wasserstein(x.double(), others.double()))
        for activation in ACTIVATIONS:
            name = f"{space}_{activation}"
            critic = look(settings, activation, seed, run, x, y, name)
            found[name] = value_of(critic, x, y)
            found[f"{name}_held"] = value_of(critic, held_x, held_y)
    return found


def identity(x: Tensor) -> Tensor:
    """Leave images as they are."""
    return x


def projection(images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the map to the coordinates of rows along the first principal axes of some images."""
    mean = images.double().mean(dim=0)
    covariance = (images.double() - mean).T @ (images.double() - mean)
    axes = torch.linalg.eigh(covariance).eigenvectors[:, -COMPONENTS:].flip(1)
    return lambda x: ((x.double() - mean) @ axes).to(x)


def look(
    settings: Settings, activation: str, seed: int, run: Run, x: Tensor, y: Tensor, name: str
) -> nn.Sequential:
    """Train a fresh critic of norm 1 on samples, and log what it has found."""
    source = torch.Generator().manual_seed(seed)
    sizes = [x.shape[1], settings.hidden, settings.hidden, 1]
    critic = orthonormal_network(sizes, ACTIVATIONS[activation], source, torch.float32)
    critic.to(run.device)
    x, y = x.to(run.device), y.to(run.device)
    optimizer = torch.optim.Adam(critic.parameters(), lr=settings.look_rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / settings.looks)
    state: dict[str, Any] = {"critic": critic, "optimizer": optimizer, "rate": rate}
    for step in run.steps(settings.looks, **state, source=source):
        rows = [torch.randperm(len(z), generator=source)[: settings.rows] for z in (x, y)]
        loss = -wasserstein_dual(critic, x[rows[0].to(x.device)], y[rows[1].to(y.device)])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        make_tangent_(critic)
        optimizer.step()
        rate.step()
        retract_(critic, method="qr")
        if step % max(1, settings.looks // 30) == 0:
            run.log(name, value_of(critic, x, y))
    return critic.cpu()


@torch.no_grad()
def value_of(critic: nn.Sequential, x: Tensor, y: Tensor) -> float:
    """Return the difference of the means over the product of the exact norms, in float64."""
    plain = export(critic).double()
    norms = math.prod(float(operator_norm(layer.weight)) for layer in linear_layers(plain))
    return float(wasserstein_dual(plain, x.double(), y.double())) / norms


def compare(record: Record) -> str:
    """Show the distances, what the critics found of them, and how much is noise."""
    lines = ["Distances of samples: mean over the seeds (largest - smallest)."]
    for cell in record.cells:
        own = cell.settings
        for space in SPACES:
            where = "pixels" if space == "pixels" else f"{COMPONENTS} principal components"
            lines += ["", f"{own['data']}, {own['samples']} samples a side, {where}"]
            rows = {
                "exact, data to generator": f"{space}_exact",
                "exact, data to data": f"{space}_real",
            }
            for title, name in rows.items():
                lines.append(f"  {title:26}{cell.mean(name):7.3f} ({cell.spread(name):.3f})")
            exact = cell.mean(f"{space}_exact")
            for activation in ACTIVATIONS:
                name = f"{space}_{activation}"
                share = cell.mean(name) / exact
                lines.append(
                    f"  {f'found by {activation}':26}{cell.mean(name):7.3f} "
                    f"({cell.spread(name):.3f}), {share:4.0%} of the exact one; "
                    f"on unseen samples {cell.mean(f'{name}_held'):.3f} "
                    f"({cell.spread(f'{name}_held'):.3f})"
                )
    lines += ["", "The paper says what was run, and gives no number in this appendix."]
    return "\n".join(lines)


EXPERIMENT = Experiment(
    name="h2_distance",
    item="H.2",
    title="the distance of a frozen generator to the data",
    cells=cells,
    train=train,
    compare=compare,
)
