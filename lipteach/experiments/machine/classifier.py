"""The loop in which a classifier is trained under a scheme, resumable at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.experiments.machine.checkpoints import Run
from lipteach.training import Epochs, Scheme

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Called with a network, images and labels."""


def cross_entropy(network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross entropy of a batch."""
    return functional.cross_entropy(network(x), y)


def train_classifier(
    run: Run,
    scheme: Scheme,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rate: torch.optim.lr_scheduler.LRScheduler,
    images: tuple[Tensor, Tensor],
    epochs: Epochs,
    total: int,
    loss_of: Loss = cross_entropy,
) -> None:
    """Take so many steps down a loss of images and labels, which is logged."""
    x, y = (tensor.to(run.device) for tensor in images)
    memory: dict[str, Tensor] = {}
    state: dict[str, Any] = {"network": network, "optimizer": optimizer, "rate": rate}
    state |= {"memory": memory, "epochs": epochs, "generator": epochs.generator}
    for step in run.steps(total, **state):
        rows = epochs.draw().to(run.device)
        loss = loss_of(network, x[rows], y[rows])
        scheme.step(network, scheme.add_penalty(loss, network, (x[rows],), memory), optimizer)
        rate.step()
        if step % max(1, total // 25) == 0:
            run.log("loss", float(loss.detach()))
