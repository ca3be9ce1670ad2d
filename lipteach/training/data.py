"""Real handwritten digits inside the package: a small, class-balanced sample of MNIST."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SAMPLE = Path(__file__).parent / "mnist_sample.npz"
SHA256 = "71538cdf978bccc8702bf5d530e59f68a8a0ae038ea3e3d3249d3caad0b11b36"


def mnist_sample(split: str = "train") -> tuple[Tensor, Tensor]:
    """The embedded sample of MNIST: images in [0, 1] and their labels, without a download.

    "train" holds 2,000 images, the first 200 of each digit in MNIST's training file; "test" holds
    1,000, the first 100 of each digit in its test file. Both keep MNIST's order. Provenance and
    licence (CC BY-SA 3.0) stand in ``mnist_sample.md`` beside the file.

    Args:
        split: "train" or "test".

    Returns:
        Images of shape (N, 28, 28), float32 in [0, 1], and labels of shape (N,), int64.

    Raises:
        TypeError: if split is not a string.
        ValueError: if split is another word, or the file is not the one that was shipped.
        FileNotFoundError: if the file is missing.

    Example:
        >>> from lipteach.training import mnist_sample
        >>> images, labels = mnist_sample("test")
        >>> images.shape, labels.bincount().tolist()
        (torch.Size([1000, 28, 28]), [100, 100, 100, 100, 100, 100, 100, 100, 100, 100])

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, the MNIST database of handwritten digits.
    """
    check_split(split)
    images, labels = _read(SAMPLE, split)
    return torch.from_numpy(images).float() / 255, torch.from_numpy(labels).long()


def check_split(split: Any) -> None:
    """Require "train" or "test"."""
    if not isinstance(split, str):
        raise TypeError(f'split must be "train" or "test"; got {type(split).__name__}.')
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; got "{split}".')


def _read(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The arrays of one split, after the whole file has shown the expected checksum."""
    if not path.is_file():
        raise FileNotFoundError(f"The MNIST sample {path.name} is missing; reinstall lipteach.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{path.name} is damaged: its SHA-256 begins with {found[:12]} and must begin with "
            f"{SHA256[:12]}; reinstall lipteach."
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return file[f"{split}_images"], file[f"{split}_labels"]
