r"""Numbers for generated images: what a small classifier says of them, and a Fréchet distance.

No number tells how good images are. These tell whether all classes are there, whether a classifier
is sure of what it sees, and how far its features are from those of real images; real images beside
them tell what can be reached.

Source: T. Salimans et al. (2016); M. Heusel et al. (2017).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lipteach.layers.copies import evaluating
from lipteach.primitives._validate import check_integer, check_tensor
from lipteach.training.classification import ROWS, Epochs
from lipteach.training.networks import check_generator, initialize_

SURE = 0.9


def train_judge(
    images: Tensor, labels: Tensor, generator: torch.Generator, epochs: int = 3
) -> nn.Sequential:
    """Train the small classifier that judges samples: two convolutions and two linear layers.

    All but its last layer give the 64 features in which `frechet_distance` is taken. Of 60,000
    images of 28 × 28 three epochs take about 15 seconds.

    Args:
        images: (N, channels, side, side), in [0, 1].
        labels: integers in 0, …, 9, (N,).
        generator: the source of randomness.
        epochs: how often each image is shown.

    Returns:
        The classifier, in evaluation mode: images to 10 logits.

    Example:
        >>> from lipteach.training import mnist_sample, score_samples, train_judge
        >>> images, labels = mnist_sample()
        >>> source = torch.Generator().manual_seed(0)
        >>> judge = train_judge(images[::4, None], labels[::4], source)
        >>> judge(images[:5, None]).shape
        torch.Size([5, 10])

    Source: ours.
    """
    check_tensor(images, "images", min_dim=4)
    check_integer(epochs, "epochs")
    check_generator(generator)
    labels_given: Any = labels
    if (
        not isinstance(labels_given, Tensor)
        or labels.shape != images.shape[:1]
        or labels.is_floating_point()
    ):
        raise ValueError(f"labels must hold one integer for each of {len(images)} images.")
    if not 0 <= int(labels.min()) <= int(labels.max()) <= 9:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"labels must be in 0, …, 9; got {found}.")
    small = -(-images.shape[-1] // 4)
    with torch.device("meta"):
        judge = nn.Sequential(
            *(nn.Conv2d(images.shape[1], 16, 3, 2, padding=1), nn.ReLU()),
            *(nn.Conv2d(16, 32, 3, 2, padding=1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(32 * small**2, 64), nn.ReLU(), nn.Linear(64, 10)),
        ).to_empty(device="cpu")
    initialize_(judge, generator)
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.001)
    batches = Epochs(len(images), 64, generator)
    for _ in range(batches.steps(epochs)):
        rows = batches.draw()
        optimizer.zero_grad()
        functional.cross_entropy(judge(images[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return judge.eval()


@torch.no_grad()
def score_samples(judge: nn.Sequential, samples: Tensor, real: Tensor) -> dict[str, float]:
    r"""Score images by a classifier.

    With p(k|x) its probabilities, and p(k) their mean over the samples:

    - "entropy", $-\sum_k p(k) \log p(k)$, of the classes: log 10 = 2.303 where all are as frequent;
    - "confident", the share of the samples in which one class has more than 0.9;
    - "score", $\exp E_x \sum_k p(k|x) \log (p(k|x) / p(k))$, between 1 and 10: large where the
      classifier is sure of each sample and all classes are there (the "inception score");
    - "frechet", `frechet_distance` of the features of the samples and of real images.

    Args:
        judge: a classifier whose last layer reads the features, as `train_judge` makes it.
        samples: images, (N, channels, side, side).
        real: others to compare with, (M, channels, side, side).

    Returns:
        The four by name.

    Example:
        >>> from lipteach.training import score_samples
        >>> judge = nn.Sequential(nn.Flatten(), lt.Scale(9))  # of images of ten pixels
        >>> found = score_samples(judge, torch.eye(10).view(10, 1, 1, 10), torch.rand(9, 1, 1, 10))
        >>> {name: round(value, 2) for name, value in found.items() if name != "frechet"}
        {'entropy': 2.3, 'confident': 1.0, 'score': 9.89}

    Source: T. Salimans et al. (2016); M. Heusel et al. (2017).
    """
    if not isinstance(judge, nn.Sequential):
        raise TypeError(f"judge must be an nn.Sequential; got {type(judge).__name__}.")
    check_tensor(samples, "samples", min_dim=2)
    check_tensor(real, "real", min_dim=2)
    features = features_of(judge, samples)
    p = judge[-1](features.to(samples)).double().softmax(dim=1)
    mean = p.mean(dim=0)
    gain = torch.special.entr(mean).sum() - torch.special.entr(p).sum(dim=1).mean()
    return {
        "entropy": float(torch.special.entr(mean).sum()),
        "confident": float((p.amax(dim=1) > SURE).double().mean()),
        "score": math.exp(float(gain)),
        "frechet": frechet_distance(features, features_of(judge, real)),
    }


@torch.no_grad()
def features_of(judge: nn.Sequential, images: Tensor) -> Tensor:
    """Return what the last layer of a classifier reads, in float64: (N, features)."""
    with evaluating(judge):
        return torch.cat([judge[:-1](part) for part in torch.split(images, ROWS)]).double()


def frechet_distance(x: Tensor, y: Tensor) -> float:
    r"""The squared Wasserstein distance W₂ of the normal distributions that fit two samples.

    With means μ, ν and covariances A, B (with 1/(N − 1)):

    $$\|\mu - \nu\|_2^2 + \operatorname{tr} A + \operatorname{tr} B
      - 2 \operatorname{tr} (A^{1/2} B A^{1/2})^{1/2}$$

    It is 0 for equal samples, and for two samples of one distribution it is not: compare like with
    like, at the same numbers of points.

    Args:
        x: points, (N, d), N at least 2.
        y: points, (M, d), M at least 2.

    Returns:
        The number, at least 0 up to rounding.

    Example:
        >>> from lipteach.training import frechet_distance
        >>> x = torch.tensor([[-1.0], [1.0]])
        >>> round(frechet_distance(x, 3 * x + 1), 6)  # (√18 − √2)² + 1
        9.0

    Source: D. Dowson and B. Landau (1982); M. Heusel et al. (2017).
    """
    check_tensor(x, "x", min_dim=2)
    check_tensor(y, "y", min_dim=2)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            "x and y must have shapes (N, d) and (M, d), with N and M at least 2; got "
            f"{tuple(x.shape)} and {tuple(y.shape)}."
        )
    x, y = x.double(), y.double()
    d = x.shape[1]
    A, B = (z.T.cov().view(d, d) for z in (x, y))
    values, vectors = torch.linalg.eigh(A)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    middle = torch.linalg.eigvalsh(root @ B @ root).clamp(min=0).sqrt().sum()
    apart = (x.mean(dim=0) - y.mean(dim=0)).square().sum()
    return float(apart + A.trace() + B.trace() - 2 * middle)
