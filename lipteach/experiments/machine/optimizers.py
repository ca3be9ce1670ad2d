"""The authors' optimizer AggMo, which the extra "experiments" brings."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from lipteach.experiments.machine.files import RunError


def make_agg_mo(parameters: Iterable[torch.nn.Parameter], rate: float) -> torch.optim.Optimizer:
    """Make AggMo of Lucas et al. (2019), with its momenta 0, 0.9 and 0.99."""
    try:
        from pytorch_optimizer import AggMo  # here, since it takes seconds to import
    except ModuleNotFoundError as error:
        raise RunError(
            "This is trained by AggMo, which is in pytorch-optimizer, and that is not installed: "
            'pip install -e ".[experiments]" brings it.'
        ) from error
    return AggMo(parameters, lr=rate)
