"""The loop in which a classifier is trained under a scheme, resumable at every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.experiments.machine.checkpoints import Run
from lipteach.training import Epochs, Scheme


def train_classifier(
    run: Run,
    scheme: Scheme,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: torch.optim.lr_scheduler.LRScheduler,
    images: tuple[Tensor, Tensor],
    epochs: Epochs,
    total: int,
) -> None:
    """Take so many steps down the cross entropy of images and labels; the loss is logged."""
    x, y = (tensor.to(run.device) for tensor in images)
    memory: dict[str, Tensor] = {}
    state: dict[str, Any] = {"network": network, "optimizer": optimizer, "rate": rate}
    state |= {"memory": memory, "epochs": epochs, "generator": epochs.generator}
    for step in run.steps(total, **state):
        rows = epochs.draw().to(run.device)
        loss = functional.cross_entropy(network(x[rows]), y[rows])
        scheme.step(network, scheme.add_penalty(loss, network, (x[rows],), memory), optimizer)
        rate.step()
        if step % max(1, total // 25) == 0:
            run.log("loss", float(loss.detach()))
