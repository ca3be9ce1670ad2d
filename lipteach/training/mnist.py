"""MNIST: a small sample inside the package; all of it, and Fashion-MNIST, by checksum."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipteach.training.idx_files import decode, read_unpacked

SAMPLE = Path(__file__).parent / "mnist_sample.npz"
SAMPLE_SHA256 = "71538cdf978bccc8702bf5d530e59f68a8a0ae038ea3e3d3249d3caad0b11b36"
FOLDERS = {"mnist": "MNIST", "fashion": "FashionMNIST"}  # torchvision's
TITLES = {"mnist": "MNIST", "fashion": "Fashion-MNIST"}
URLS = {
    "mnist": "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "fashion": "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
}
# The SHA-256 of the unpacked files.
MNIST = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
FASHION = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
PART = ".download-"
SPLITS = ("train", "validation", "train+validation", "test")
SHA256 = {"mnist": MNIST, "fashion": FASHION}


def mnist_sample(split: str = "train") -> tuple[Tensor, Tensor]:
    """Load the embedded sample of MNIST: images in [0, 1] and their labels, without a download.

    "train" holds 2,000 images, the first 200 of each digit in MNIST's training file; "test" holds
    1,000, the first 100 of each digit in its test file. Both keep MNIST's order. Provenance and
    licence (CC BY-SA 3.0) stand in ``mnist_sample.md`` beside the file.

    Args:
        split: "train" or "test".

    Returns:
        Images of shape (N, 28, 28), float32 in [0, 1], and labels of shape (N,), int64.

    Raises:
        ValueError: if split is another word, or the file is not the one that was shipped.
        FileNotFoundError: if the file is missing.

    Example:
        >>> from lipteach.training import mnist_sample
        >>> images, labels = mnist_sample("test")
        >>> images.shape, labels.bincount().tolist()
        (torch.Size([1000, 28, 28]), [100, 100, 100, 100, 100, 100, 100, 100, 100, 100])

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, the MNIST database of handwritten digits.
    """
    check_split(split, ("train", "test"))
    images, labels = _read_sample(SAMPLE, split)
    return torch.from_numpy(images).float() / 255, torch.from_numpy(labels).long()


def check_split(split: Any, splits: tuple[str, ...]) -> None:
    """Require one of the names."""
    *first, last = (f'"{name}"' for name in splits)
    names = f"{', '.join(first)} or {last}"
    if not isinstance(split, str):
        raise TypeError(f"split must be {names}; got {type(split).__name__}.")
    if split not in splits:
        raise ValueError(f'split must be {names}; got "{split}".')


def validation_rows(count: int) -> Tensor:
    """Mark the rows of `count` training images that are kept for validation: a tenth of them.

    They are drawn without regard to the labels, by NumPy's legacy ``RandomState(0)``, whose stream
    is frozen (NEP 19): the same rows under every version, here and elsewhere.

    >>> int(validation_rows(60_000).sum())
    6000
    """
    chosen = np.random.RandomState(0).permutation(count)[: count // 10]
    rows = torch.zeros(count, dtype=torch.bool)
    rows[torch.from_numpy(chosen)] = True
    return rows


def _read_sample(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Read one split, after the whole file has shown the expected checksum."""
    if not path.is_file():
        raise FileNotFoundError(f"The MNIST sample {path.name} is missing; reinstall lipteach.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SAMPLE_SHA256:
        raise ValueError(
            f"{path.name} is damaged: its SHA-256 begins with {found[:12]} and must begin with "
            f"{SAMPLE_SHA256[:12]}; reinstall lipteach."
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        return file[f"{split}_images"], file[f"{split}_labels"]


def load_mnist(
    root: str | os.PathLike[str], split: str = "train", kind: str = "mnist", download: bool = False
) -> tuple[Tensor, Tensor]:
    """Load all images of MNIST or of Fashion-MNIST in [0, 1], and their labels.

    The two idx files are looked for as torchvision lays them, in ``root/MNIST/raw`` or
    ``root/FashionMNIST/raw``, and then in ``root`` itself; plain, or packed as ``.gz``. Each must
    have the SHA-256 of the original, so that a file that was damaged, cut off, or exchanged with
    another of the eight, is refused. A download shows its progress. What comes is checked beside
    the files that are there, and only then gets its name; a file that is there is never replaced.

    A tenth of the training file is kept for validation: 6,000 rows, the same of both kinds, drawn
    by a fixed seed from a generator whose stream is frozen (`numpy.random.RandomState`), and not
    stratified: a digit has about a tenth of its images there, not exactly. Each part keeps the
    order of the file.

    Args:
        root: the folder.
        split: "train", 54,000 images, "validation", 6,000, "train+validation", the whole training
            file of 60,000, or "test", 10,000.
        kind: "mnist" or "fashion".
        download: whether to fetch a file that is missing.

    Returns:
        Images of shape (N, 28, 28), float32 in [0, 1], and labels of shape (N,), int64; as
        `mnist_sample` returns them.

    Raises:
        ValueError: if split or kind is another word, or a file is not the original.
        FileNotFoundError: if a file is missing; the message says where it belongs.
        OSError: if a file cannot be read, or fetched.

    Example:
        >>> from lipteach.training import load_mnist
        >>> images, labels = load_mnist("data", "test", download=True)  # doctest: +SKIP
        >>> images.shape, labels.shape  # doctest: +SKIP
        (torch.Size([10000, 28, 28]), torch.Size([10000]))

    Source: Y. LeCun, C. Cortes and C. J. C. Burges, the MNIST database of handwritten digits;
    H. Xiao, K. Rasul and R. Vollgraf (2017), Fashion-MNIST.
    """
    check_split(split, SPLITS)
    if not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path; got {type(root).__name__}.")
    if not isinstance(kind, str):
        raise TypeError(f'kind must be "mnist" or "fashion"; got {type(kind).__name__}.')
    if kind not in FOLDERS:
        raise ValueError(f'kind must be "mnist" or "fashion"; got "{kind}".')
    if not isinstance(download, bool):
        raise TypeError(f"download must be True or False; got {download!r}.")
    prefix = "t10k" if split == "test" else "train"
    names = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    images, labels = (torch.tensor(_find(Path(root), kind, name, download)) for name in names)
    if split in ("train", "validation"):
        rows = validation_rows(len(images)) == (split == "validation")
        images, labels = images[rows], labels[rows]
    return images.float().div_(255), labels.long()


def _find(root: Path, kind: str, name: str, download: bool) -> np.ndarray[Any, Any]:
    """Return what the file of that name holds, found in the folder or fetched into it."""
    folder = root / FOLDERS[kind] / "raw"
    for path in (folder / name, folder / f"{name}.gz", root / name, root / f"{name}.gz"):
        if path.is_symlink() and not path.exists():
            raise OSError(f"{path} is a link that leads to no file.")
        if path.exists() and not path.is_dir():
            return _decode(read_unpacked(path, str(path)), kind, name, str(path))
    if download:
        return _fetch(folder, kind, name)
    where = f"put it, or {name}.gz, into {folder}"
    for taken in (root, folder):
        if taken.exists() and not taken.is_dir():
            where = f"{taken} must be a folder, and is a file"
    if (folder / name).is_dir():
        where = f"{folder / name} must be a file, and is a folder"
    raise FileNotFoundError(
        f"{name} of {TITLES[kind]} is missing: {where}, or load with download=True to fetch it."
    )


def _decode(data: bytes, kind: str, name: str, source: str) -> np.ndarray[Any, Any]:
    """Decode the file of that name, told from the other seven by its checksum."""
    names = {
        sha256: f"{file} of {TITLES[which]}"
        for which, files in SHA256.items()
        for file, sha256 in files.items()
    }
    return decode(data, f"{name} of {TITLES[kind]}", source, names)


def _fetch(folder: Path, kind: str, name: str) -> np.ndarray[Any, Any]:
    """Download a file beside its place, check it, and move it there, unpacked."""
    url = f"{URLS[kind]}{name}.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_parts(folder)
        with tempfile.TemporaryDirectory(prefix=f"{PART}{os.getpid()}-", dir=folder) as beside:
            packed, plain = Path(beside, f"{name}.gz"), Path(beside, name)
            torch.hub.download_url_to_file(url, str(packed))
            data = read_unpacked(packed, f"What {url} sent")
            array = _decode(data, kind, name, f"What {url} sent")
            plain.write_bytes(data)
            os.replace(plain, folder / name)
    except (OSError, HTTPException) as error:
        raise OSError(
            f"{name} could not be fetched from {url} into {folder} ({error}); nothing was changed."
        ) from error
    return array


def _remove_parts(folder: Path) -> None:
    """Remove what downloads have left that were killed; one that goes on keeps its part."""
    for part in folder.glob(f"{PART}*"):
        process = part.name.removeprefix(PART).partition("-")[0]
        if not (process.isdecimal() and _runs(int(process))):
            shutil.rmtree(part, ignore_errors=True)


def _runs(process: int) -> bool:
    if os.name == "nt":
        return False  # what is open there cannot be removed
    try:
        os.kill(process, 0)  # only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
