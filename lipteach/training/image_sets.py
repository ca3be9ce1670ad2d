"""Sets of images for generators, all of one form: the embedded digits, MNIST, others, a folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lipteach.primitives._validate import check_integer
from lipteach.training.cifar import load_cifar10
from lipteach.training.mnist import load_mnist, mnist_sample, validation_rows

IMAGE_SETS = ("sample", "mnist", "fashion", "cifar", "faces")
ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


def load_image_set(
    name: str, split: str, side: int, root: str | os.PathLike[str]
) -> tuple[Tensor, Tensor]:
    """Load images of one size, and their labels.

    Args:
        name: "sample", the digits of `mnist_sample`; "mnist" or "fashion", as `load_mnist` finds
            them in `root`; "cifar", as `load_cifar10` does; or "faces": the pictures of the folder
            ``root/faces``, by `load_image_folder`, which have no labels: all are 0.
        split: "train" or "test". Of "mnist", "fashion" and "cifar" the former is all of their
            training images; of "faces" the latter is a tenth, the rows that `load_mnist` would keep
            for validation.
        side: of the images. That of the set is a multiple of it: each pixel is a mean of several.
        root: the folder of the large sets.

    Returns:
        Images of shape (N, channels, side, side) in [0, 1], and labels of shape (N,).

    Example:
        >>> from lipteach.training import load_image_set
        >>> images, labels = load_image_set("sample", "train", 14, "data")
        >>> images.shape, labels.shape
        (torch.Size([2000, 1, 14, 14]), torch.Size([2000]))

    Source: as `load_mnist`.
    """
    if name not in IMAGE_SETS:
        raise ValueError(f"name must be one of {', '.join(IMAGE_SETS)}; got {name!r}.")
    if split not in ("train", "test"):
        raise ValueError(f'split must be "train" or "test"; got {split!r}.')
    check_integer(side, "side")
    if name == "faces":
        files = _list_pictures(Path(root) / "faces")
        kept = validation_rows(len(files)) == (split == "test")
        images = _read_all([file for file, wanted in zip(files, kept, strict=True) if wanted], side)
        return images, torch.zeros(len(images), dtype=torch.int64)
    whole_split = "test" if split == "test" else "train+validation"
    if name == "sample":
        images, labels = mnist_sample(split)
    elif name == "cifar":
        images, labels = load_cifar10(root, whole_split)
    else:
        images, labels = load_mnist(root, whole_split, name)
    images = images[:, None] if images.ndim == 3 else images
    whole = images.shape[-1]
    if whole % side:
        raise ValueError(f"side must divide {whole}, that of {name}; got {side}.")
    return functional.avg_pool2d(images, whole // side), labels


def load_image_folder(path: str | os.PathLike[str], side: int) -> Tensor:
    """Load all pictures of a folder and of those in it, in the order of their paths, as colours.

    The largest square in the middle is cut out and scaled.

    Args:
        path: the folder; files with other endings than those of pictures are left out.
        side: of the images.

    Returns:
        Images of shape (N, 3, side, side) in [0, 1].

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
        ValueError: if a picture cannot be read.
        ModuleNotFoundError: if Pillow is not installed.

    Example:
        >>> from lipteach.training import load_image_folder
        >>> images = load_image_folder("data/faces", 64)  # doctest: +SKIP

    Source: ours.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path; got {type(path).__name__}.")
    check_integer(side, "side")
    return _read_all(_list_pictures(Path(path)), side)


def _list_pictures(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS)
    if not files:
        raise FileNotFoundError(
            f"{folder} must be a folder with pictures, {', '.join(sorted(ENDINGS))}; there is none."
        )
    return files


def _read_all(files: Sequence[Path], side: int) -> Tensor:
    images = torch.empty(len(files), 3, side, side)
    for row, file in enumerate(files):
        images[row] = torch.from_numpy(_read(file, side)).permute(2, 0, 1)
    return images.div_(255)


def _read(file: Path, side: int) -> np.ndarray[Any, Any]:
    try:
        from PIL import Image, ImageOps  # here, since no other loader needs it
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Pictures are read by Pillow, which is not installed: pip install pillow brings it."
        ) from error
    try:
        with Image.open(file) as picture:
            scaled = ImageOps.fit(picture.convert("RGB"), (side, side), Image.Resampling.BOX)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read as a picture: {error}.") from error
    return np.array(scaled, np.float32)
