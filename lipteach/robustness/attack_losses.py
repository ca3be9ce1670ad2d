r"""What an attack ascends: the loss f6 of Carlini and Wagner, and cross entropy (appendix H.5)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lipteach.primitives._validate import check_tensor, shown, transforming

Goal = Callable[[Tensor], Tensor]
"""What an attack makes large, for each row of logits."""


def cw_f6(logits: Tensor, target: Tensor) -> Tensor:
    r"""Return the loss f6 of Carlini and Wagner, which is 0 where the target has the largest logit.

    $$f_6(Z, t) = \bigl(\max_{i \ne t} Z_i - Z_t\bigr)^+$$

    An attack makes it small, and t is the class that the attack wants, not the true one. It is
    taken on logits Z, not on probabilities: softmax saturates, and a saturated loss has no
    gradient.

    Args:
        logits: Z, of shape (…, classes), with two classes at least.
        target: t, integers of shape (…).

    Returns:
        A tensor of shape (…).

    Example:
        >>> lt.cw_f6(torch.tensor([[2.0, 5.0, 1.0]] * 2), torch.tensor([0, 1])).tolist()
        [3.0, 0.0]

    Source: Carlini and Wagner (2017), "Towards Evaluating the Robustness of Neural Networks";
    Anil, Lucas and Grosse (2019), appendix H.5, names it and does not write it out.
    """
    check_tensor(logits, "logits")
    return functional.relu(-margin(logits, check_labels(target, logits, "target")))


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Z_y minus the largest other logit, (…): not above 0 where another class is told."""
    classes = torch.arange(logits.shape[-1], device=logits.device)
    own = y[..., None] == classes
    others = logits.masked_fill(own, -torch.inf)
    # `max` has the gradient of one of several largest, and `amax` a mean of theirs
    return logits.gather(-1, y[..., None]).squeeze(-1) - others.max(-1).values


def goals(loss: str, targets: str, y: Tensor, classes: int) -> list[Goal]:
    """What to ascend: one goal by the runner-up, or one for each class that may be the target t.

    It is Z_t − Z_y, that is f6 with its sign changed, as long as y has the largest logit, and not
    cut off at 0.
    """
    if targets == "runner-up":
        likeness = {"cw": margin, "ce": _log_probability}[loss]
        return [lambda logits: -likeness(logits, y)]
    each = [(y + shift) % classes for shift in range(1, classes)]
    return [
        partial(_gain, y=y, t=t) if loss == "cw" else partial(_log_probability, y=t) for t in each
    ]


def _gain(logits: Tensor, y: Tensor, t: Tensor) -> Tensor:
    return (logits.gather(-1, t[..., None]) - logits.gather(-1, y[..., None])).squeeze(-1)


def _log_probability(logits: Tensor, y: Tensor) -> Tensor:
    return -functional.cross_entropy(logits, y, reduction="none")


def check_labels(y: Any, logits: Tensor, name: str) -> Tensor:
    """Require one integer for each row of logits, which names one of two classes or more.

    They are returned as int64, on the device of the logits.
    """
    if not isinstance(y, Tensor):
        raise TypeError(f"{name} must be a tensor of integers; got {shown(y)}.")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers; got {y.dtype}.")
    if y.shape != logits.shape[:-1]:
        raise ValueError(
            f"{name} must have shape {tuple(logits.shape[:-1])}, one integer for each row of "
            f"logits; got {tuple(y.shape)}."
        )
    count = logits.shape[-1]
    if count < 2:
        raise ValueError(f"There must be two classes at least; got {count}.")
    labels = y.to(logits.device, torch.int64)
    if not transforming() and not 0 <= int(labels.min()) <= int(labels.max()) < count:
        found = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise ValueError(f"{name} must be in [0, {count}), one of the classes; it holds {found}.")
    return labels
