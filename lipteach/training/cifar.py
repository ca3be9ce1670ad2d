"""CIFAR-10 from its binary archive, by checksum and without pickle."""

from __future__ import annotations

import hashlib
import os
import tarfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

ARCHIVE = "cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
FOLDER = "cifar-10-batches-bin"
FILES = {"train": [f"data_batch_{k}.bin" for k in range(1, 6)], "test": ["test_batch.bin"]}
LENGTH = 1 + 3 * 32 * 32  # bytes of a label and its image, channel by channel


def load_cifar(root: str | os.PathLike[str], split: str = "train") -> tuple[Tensor, Tensor]:
    """Load CIFAR-10: colour images in [0, 1], and their labels.

    Args:
        root: the folder in which ``cifar-10-binary.tar.gz`` lies, as its authors give it.
        split: "train", 50,000 images, or "test", 10,000.

    Returns:
        Images of shape (N, 3, 32, 32), float32 in [0, 1], and labels of shape (N,), int64.

    Raises:
        FileNotFoundError: if the archive is missing.
        ValueError: if it is not the original.

    Example:
        >>> from lipteach.training import load_cifar
        >>> images, labels = load_cifar("data", "test")  # doctest: +SKIP

    Source: A. Krizhevsky (2009), Learning multiple layers of features from tiny images.
    """
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path; got {type(root).__name__}.")
    if split not in FILES:
        raise ValueError(f'split must be "train" or "test"; got {split!r}.')
    path = Path(root) / ARCHIVE
    if not path.is_file():
        raise FileNotFoundError(
            f"{ARCHIVE} of CIFAR-10 is missing: put it into {Path(root)}, "
            "from https://www.cs.toronto.edu/~kriz/cifar.html."
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != MD5:
        raise ValueError(f"{path} is not {ARCHIVE}: its MD5 is {found} and must be {MD5}.")
    with tarfile.open(path, "r:gz") as archive:
        parts = [archive.extractfile(f"{FOLDER}/{name}") for name in FILES[split]]
        data = b"".join(part.read() for part in parts if part)
    rows = torch.from_numpy(np.frombuffer(data, np.uint8).reshape(-1, LENGTH).copy())
    return rows[:, 1:].reshape(-1, 3, 32, 32).float().div_(255), rows[:, 0].long()
