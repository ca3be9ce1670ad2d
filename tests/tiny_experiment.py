"""An experiment of milliseconds with everything in it that a kill could spoil; also a program."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import parametrizations

from lipteach.experiments import Experiment, Record, Run, run_experiment
from lipteach.training import orthonormal_network


@dataclass(frozen=True)
class Settings:
    optimizer: str
    widths: tuple[int, ...] = (3, 8, 1)
    steps: int = 60
    pause: float = 0.0


def agg_mo(parameters, lr: float) -> torch.optim.Optimizer:
    from pytorch_optimizer import AggMo  # here, since it takes seconds to import

    return AggMo(parameters, lr=lr)


OPTIMIZERS = {"Adam": torch.optim.Adam, "AggMo": agg_mo}


def cells(profile: str) -> tuple[Settings, ...]:
    pause = 0.004 if profile == "full" else 0.0
    return tuple(Settings(name, pause=pause) for name in ("Adam", "AggMo"))


def train(settings: Settings, seed: int, run: Run) -> dict[str, float | list[float]]:
    """Two loops; power iteration's buffers, momentum, a schedule, a mean and random numbers."""
    generator = torch.Generator().manual_seed(seed)
    model = orthonormal_network(settings.widths, nn.Tanh, generator, torch.float32).to(run.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parametrizations.spectral_norm(model[0])
    optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.9)
    mean = {"loss": torch.zeros((), device=run.device), "count": 0}
    run.log("before", 1.0)

    def step() -> float:
        x = torch.randn(16, settings.widths[0], generator=generator).to(run.device)
        loss = (model(x) - x.norm(dim=1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        mean["loss"] = 0.9 * mean["loss"] + 0.1 * loss.detach()
        mean["count"] += 1
        time.sleep(settings.pause)
        return loss.item()

    state = {"model": model, "optimizer": optimizer, "schedule": schedule}
    state |= {"mean": mean, "generator": generator}
    for k in run.steps(settings.steps, **state):
        loss = step()
        if k % 3 == 0:
            run.log("loss", loss)
    middle = [float(p.detach().sum()) for p in model.parameters()]
    run.log("between", middle[0])
    for _ in run.steps(settings.steps // 2, **state):
        run.log("loss again", step())
    return {"loss": float(mean["loss"]), "count": mean["count"], "middle": middle}


def compare(record: Record) -> str:
    return "\n".join(f"{c.settings['optimizer']}: {c.mean('loss'):.3f}" for c in record.cells)


TINY = Experiment("tiny", "H.1", "a tiny experiment", cells, train, compare)

if __name__ == "__main__":
    torch.set_num_threads(1)
    runs, results = map(Path, sys.argv[1:])
    run_experiment(TINY, "full", seeds=2, device="cpu", runs=runs, results=results, every=0.0)
