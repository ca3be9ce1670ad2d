"""What classifications of digits share: their data, their batches, and what is measured of them."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.layers import convolution_norm_bounds
from lipteach.layers.copies import evaluating
from lipteach.layers.padding import padding_norm
from lipteach.primitives import operator_norm
from lipteach.primitives._validate import check_integer, check_norm, check_tensor
from lipteach.robustness import lipschitz_bounds
from lipteach.robustness.attack_losses import margin
from lipteach.theory.lipschitz_class import dual
from lipteach.training.arrangement import layers_of
from lipteach.training.mnist import load_mnist, mnist_sample, validation_rows
from lipteach.training.networks import check_generator

ROWS = 2000  # at once, where a whole part is evaluated


def load_digits(data: str, split: str, root: str | os.PathLike[str]) -> tuple[Tensor, Tensor]:
    """Load one part of all of MNIST, or of the embedded sample, as training needs it.

    Args:
        data: "mnist", as `load_mnist` finds it in `root`, or "sample": the 2,000 training images of
            `mnist_sample`, of which a tenth is kept for validation, by the same rule.
        split: "train", "validation" or "test".
        root: the folder of "mnist".

    Returns:
        Images of shape (N, 28, 28) in [0, 1], and labels.

    Example:
        >>> from lipteach.training import load_digits
        >>> [len(load_digits("sample", s, "data")[1]) for s in ("train", "validation", "test")]
        [1800, 200, 1000]

    Source: as `load_mnist`.
    """
    if data not in ("mnist", "sample"):
        raise ValueError(f'data must be "mnist" or "sample"; got {data!r}.')
    if split not in ("train", "validation", "test"):
        raise ValueError(f'split must be "train", "validation" or "test"; got {split!r}.')
    if data == "mnist":
        return load_mnist(root, split)
    images, labels = mnist_sample("test" if split == "test" else "train")
    if split == "test":
        return images, labels
    rows = validation_rows(len(images)) == (split == "validation")
    return images[rows], labels[rows]


def draw_balanced(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw rows at random, without repetition and with equally many of each label.

    Args:
        labels: integers of shape (N,).
        count: how many rows; the number of different labels divides it.
        generator: the source of randomness.

    Returns:
        The rows, (count,), in ascending order.

    Raises:
        ValueError: if some label has too few rows, or the labels do not divide the count.

    Example:
        >>> from lipteach.training import draw_balanced
        >>> labels = torch.tensor([0, 1, 1, 1, 0, 0])
        >>> labels[draw_balanced(labels, 4, torch.Generator().manual_seed(0))].bincount()
        tensor([2, 2])

    Source: ours.
    """
    check_generator(generator)
    check_integer(count, "count")
    labels_given: Any = labels
    if not isinstance(labels_given, Tensor) or labels.ndim != 1 or labels.is_floating_point():
        found = type(labels).__name__
        raise TypeError(f"labels must be integers in one dimension; got {found}.")
    kinds = torch.unique(labels)
    each, rest = divmod(count, len(kinds))
    if rest:
        raise ValueError(f"count must be a multiple of the {len(kinds)} labels; got {count}.")
    order = torch.randperm(len(labels), generator=generator)
    parts = [order[labels[order] == kind][:each] for kind in kinds]
    if min(map(len, parts)) < each:
        raise ValueError(f"count must leave enough rows of each label; got {count}.")
    return torch.cat(parts).sort().values


class Epochs:
    """Batches of shuffled epochs, one after another, that a checkpoint can save and restore.

    As `minibatches`, the last batch of an epoch is smaller where `size` does not divide `count`.

    Args:
        count: the number of rows.
        size: the rows of a batch.
        generator: the source of randomness; it is to be saved beside this.

    Example:
        >>> from lipteach.training import Epochs
        >>> epochs = Epochs(5, 2, torch.Generator().manual_seed(0))
        >>> [len(epochs.draw()) for _ in range(4)], epochs.steps(10)
        ([2, 2, 1, 2], 30)

    Source: ours.
    """

    def __init__(self, count: int, size: int, generator: torch.Generator) -> None:
        check_generator(generator)
        self.count, self.size = check_integer(count, "count"), check_integer(size, "size")
        self.generator = generator
        self._left = torch.empty(0, dtype=torch.int64)

    def steps(self, epochs: int) -> int:
        """Return the number of batches of so many epochs."""
        return epochs * -(-self.count // self.size)

    def draw(self) -> Tensor:
        """Return the rows of the next batch."""
        if len(self._left) == 0:
            self._left = torch.randperm(self.count, generator=self.generator)
        rows, self._left = self._left[: self.size], self._left[self.size :]
        return rows

    def state_dict(self) -> dict[str, Any]:
        """Return what is left of the present epoch."""
        return {"left": self._left.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with what was left of an epoch."""
        self._left = state["left"]


@torch.no_grad()
def error_percent(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the share of the inputs, in percent, whose largest output is not at their label.

    The network is in float64.

    >>> from lipteach.training.classification import error_percent
    >>> error_percent(nn.Identity(), torch.eye(4), torch.tensor([0, 1, 2, 2]))
    25.0
    """
    pairs = zip(torch.split(x, ROWS), torch.split(y, ROWS), strict=True)
    wrong = sum(int((network(a.double()).argmax(dim=1) != b).sum()) for a, b in pairs)
    return 100 * wrong / len(y)


def measure_classifier(
    network: nn.Module, parts: dict[str, tuple[Tensor, Tensor]], p: float = 2, points: int = 8
) -> dict[str, float | list[float]]:
    """Measure the errors of a classifier, and its Lipschitz constant from both sides.

    Args:
        network: with plain weights, in float64.
        parts: by name ("train", "validation", …) inputs and labels, "test" among them.
        p: the norm of the constant.
        points: the number of test inputs at which `lt.lipschitz_bounds` begins.

    Returns:
        By name: "train_error" and so on, in percent; "lower" and "upper" of `lt.lipschitz_bounds`;
        and "norms", the operator norms of the layers one by one. Of a convolution it is an upper
        bound of its 2-norm, for every image size, whatever p is.

    Example:
        >>> from lipteach.training import measure_classifier
        >>> network, x = nn.Sequential(nn.Identity(), lt.Scale(3)), torch.eye(4).double()
        >>> found = measure_classifier(network, {"test": (x, torch.tensor([0, 1, 2, 2]))})
        >>> {name: round(value, 6) for name, value in found.items() if name != "norms"}
        {'test_error': 25.0, 'lower': 3.0, 'upper': 3.0}

    Source: ours.
    """
    if not isinstance(network, nn.Module):
        raise TypeError(f"network must be an nn.Module; got {type(network).__name__}.")
    if "test" not in parts:
        raise ValueError(f'parts must hold "test"; got {", ".join(parts)}.')
    errors = {f"{name}_error": error_percent(network, *part) for name, part in parts.items()}
    x = parts["test"][0]
    lower, upper = lipschitz_bounds(network, x[:: -(-len(x) // points)].double(), p)
    norms = [_norm(layer, p) for layer in layers_of(network)]
    return {**errors, "lower": lower, "upper": upper, "norms": norms}


def measure_margins(
    network: nn.Module, x: Tensor, y: Tensor, p: float = 2
) -> dict[str, list[float]]:
    r"""Measure how far the right output is above the others, and how fast that may change.

    The margin of an input is $Z_y - \max_{k \ne y} Z_k$, and its gradient is taken in the dual norm
    of p. If the network has the Lipschitz constant L in the 2-norm, no gradient is above
    $\sqrt 2\,L$; in the ∞-norm of inputs and outputs none is above $2L$.

    Args:
        network: in float64, with two outputs at least; it is taken in evaluation mode.
        x: inputs of shape (N, …), of which the network treats each by itself.
        y: their labels, integers of shape (N,).
        p: the norm of the inputs, 1, 2 or ``math.inf``.

    Returns:
        By name: "margins" and "gradients", their 5%, 25%, 50%, 75% and 95% quantiles.

    Example:
        >>> from lipteach.training import measure_margins
        >>> x = torch.tensor([[1.0, 0.0, 0.0]] * 5).double()
        >>> found = measure_margins(lt.Scale(2), x, torch.zeros(5).long())
        >>> found["margins"][2], round(found["gradients"][2] ** 2, 6)
        (2.0, 8.0)

    Source: ours; the bounds follow from appendix H.5's margins.
    """
    check_norm(p)
    check_tensor(x, "x", min_dim=2)
    if y.shape != x.shape[:1] or y.is_floating_point():
        raise ValueError(
            f"y must hold {len(x)} integers, one for each x; got shape {tuple(y.shape)}, {y.dtype}."
        )
    margins, gradients = [], []
    with evaluating(network), torch.enable_grad():
        for part, labels in zip(torch.split(x, ROWS), torch.split(y, ROWS), strict=True):
            inputs = part.detach().double().requires_grad_()
            outputs = network(inputs)
            count = outputs.shape[1]
            if not count > 1 or not 0 <= int(labels.min()) <= int(labels.max()) < count:
                found = f"{count} outputs and labels from {int(y.min())} to {int(y.max())}"
                raise ValueError(f"Each label must be one of several outputs; got {found}.")
            found_margins = margin(outputs, labels)
            (gradient,) = torch.autograd.grad(found_margins.sum(), inputs)
            margins.append(found_margins.detach())
            gradients.append(torch.linalg.vector_norm(gradient.flatten(1), dual(p), dim=1))
    ranks = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95], dtype=torch.float64)
    return {
        "margins": torch.quantile(torch.cat(margins), ranks).tolist(),
        "gradients": torch.quantile(torch.cat(gradients), ranks).tolist(),
    }


@torch.no_grad()
def _norm(layer: Any, p: float) -> float:
    if isinstance(layer, nn.Conv2d):
        settings: Any = layer.stride, layer.dilation, layer.groups
        return float(convolution_norm_bounds(layer.weight, *settings)[1]) * padding_norm(layer)
    return float(operator_norm(layer.weight, p))
