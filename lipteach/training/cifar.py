"""CIFAR-10 from its binary archive, by checksum; nothing is unpickled, nothing unpacked to disk."""

from __future__ import annotations

import hashlib
import os
import tarfile
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipteach.training.mnist import SPLITS, check_split, validation_rows

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as its page gives it
TRAIN = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST = ("test_batch.bin",)
ROWS, ROW = 10_000, 1 + 3 * 32 * 32  # of a file, and the bytes of one: a label and three planes
BLOCK = 2**20


def load_cifar10(
    root: str | os.PathLike[str], split: str = "train", download: bool = False
) -> tuple[Tensor, Tensor]:
    """Load the images of CIFAR-10 in [0, 1], and their labels, from ``cifar-10-binary.tar.gz``.

    The archive lies in root and must have the MD5 of the original. It is read where it is: its
    pictures are bytes, so nothing needs to be unpickled. A download shows its progress, and one
    that was broken off goes on where it ended; what comes gets its name only if it is the original.

    A tenth of the training images is kept for validation: 5,000 rows, drawn as `load_mnist` does.

    Args:
        root: the folder.
        split: "train", 45,000 images, "validation", 5,000, "train+validation", 50,000, or "test",
            10,000.
        download: whether to fetch the archive, 170 MB, if it is missing.

    Returns:
        Images of shape (N, 3, 32, 32), float32 in [0, 1], and labels of shape (N,), int64: 0
        airplane, automobile, bird, cat, deer, dog, frog, horse, ship, 9 truck.

    Raises:
        ValueError: if split is another word, or the archive is not the original.
        FileNotFoundError: if it is missing; the message says where it belongs.
        OSError: if it cannot be read, or fetched.

    Example:
        >>> from lipteach.training import load_cifar10
        >>> images, labels = load_cifar10("data", "test", download=True)  # doctest: +SKIP
        >>> images.shape, labels.shape  # doctest: +SKIP
        (torch.Size([10000, 3, 32, 32]), torch.Size([10000]))

    Source: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images.
    """
    check_split(split, SPLITS)
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path; got {type(root).__name__}.")
    if not isinstance(download, bool):
        raise TypeError(f"download must be True or False; got {download!r}.")
    archive = Path(root) / "cifar-10-binary.tar.gz"
    if not archive.is_file():
        if archive.exists():
            raise FileNotFoundError(f"{archive} must be a file; it is a folder.")
        if not download:
            raise FileNotFoundError(
                f"CIFAR-10 is missing: put {archive.name} into {archive.parent}, or load with "
                "download=True to fetch it."
            )
        _fetch(archive)
    _check_sum(archive)
    rows = _read(archive, TEST if split == "test" else TRAIN)
    if split in ("train", "validation"):
        rows = rows[validation_rows(len(rows)) == (split == "validation")]
    images = rows[:, 1:].reshape(-1, 3, 32, 32)
    return images.float().div_(255), rows[:, 0].long()


def _read(archive: Path, names: tuple[str, ...]) -> Tensor:
    """Read files of the archive, as the rows of one tensor of bytes."""
    parts = {}
    try:
        with tarfile.open(archive, "r:gz") as files:
            for member in files:
                name = Path(member.name).name
                if name in names and (file := files.extractfile(member)):
                    parts[name] = np.frombuffer(file.read(), np.uint8).reshape(ROWS, ROW)
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{archive} cannot be unpacked ({error}); fetch it anew.") from error
    if missing := [name for name in names if name not in parts]:
        raise ValueError(f"{archive} must hold {', '.join(names)}; {missing[0]} is missing.")
    return torch.from_numpy(np.concatenate([parts[name] for name in names]))


def _check_sum(path: Path, where: str = "") -> None:
    """Require the original."""
    found = _digest(path)
    if found != MD5:
        raise ValueError(
            f"{where or path} is not CIFAR-10's archive: its MD5 begins with {found[:12]} and must "
            f"begin with {MD5[:12]}."
        )


def _is_original(path: Path) -> bool:
    return path.exists() and _digest(path) == MD5


def _digest(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _fetch(archive: Path) -> None:
    """Download the archive beside its place, from where an earlier try ended, and move it there."""
    part = archive.with_name(f"{archive.name}.part")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        if not _is_original(part):  # an earlier try may have ended before it got its name
            _continue(part)
    except (OSError, HTTPException) as error:
        kept = "; the part that came is kept" if part.exists() else ""
        raise OSError(f"CIFAR-10 could not be fetched from {URL} ({error}){kept}.") from error
    try:
        _check_sum(part, f"What {URL} sent")
    except ValueError:
        part.unlink()
        raise
    os.replace(part, archive)


def _continue(part: Path) -> None:
    """Fetch what follows what is there; all of it, if the server cannot begin in the middle."""
    done = part.stat().st_size if part.exists() else 0
    asked = urllib.request.Request(URL, headers={"Range": f"bytes={done}-"} if done else {})
    with urllib.request.urlopen(asked) as answer:
        if getattr(answer, "status", None) != 206:
            done = 0
        rest = int(answer.headers.get("Content-Length") or 0)
        with (
            part.open("ab" if done else "wb") as file,
            tqdm(total=done + rest or None, initial=done, unit="B", unit_scale=True) as bar,
        ):
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    if rest and part.stat().st_size < done + rest:
        raise OSError(f"the connection ended after {part.stat().st_size:,} bytes")
