"""The picture beside a record: those of its cells, one below the other, as one PNG file."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lipteach.experiments.machine.files import RunError, damaged

GAP = 4  # rows of white between two cells


def join_pictures(pictures: Sequence[Tensor]) -> bytes:
    """Make a PNG file of pictures, uint8 of shape (height, width) or (height, width, 3)."""
    try:
        from PIL import Image  # here, since most experiments have no picture
    except ModuleNotFoundError as error:
        raise RunError(
            "The picture beside the record is written by Pillow, which is not installed: "
            'pip install -e ".[experiments]" brings it.'
        ) from error
    if any(picture.ndim == 3 for picture in pictures):
        pictures = [p if p.ndim == 3 else p[..., None].expand(*p.shape, 3) for p in pictures]
    height = sum(len(picture) + GAP for picture in pictures) - GAP
    width = max(picture.shape[1] for picture in pictures)
    page = torch.full((height, width, *pictures[0].shape[2:]), 255, dtype=torch.uint8)
    top = 0
    for picture in pictures:
        page[top : top + len(picture), : picture.shape[1]] = picture
        top += len(picture) + GAP
    buffer = io.BytesIO()
    Image.fromarray(page.numpy()).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def split_picture(data: bytes, count: int) -> list[Tensor]:
    """Take apart what `join_pictures` made of so many pictures of one height and width."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as opened:
        mode = "RGB" if opened.mode == "RGB" else "L"
        page = torch.frombuffer(bytearray(opened.convert(mode).tobytes()), dtype=torch.uint8)
        page = page.view(opened.height, opened.width, -1)
    height, left = divmod(len(page) + GAP, count)
    gaps = [rows[height - GAP :] for rows in torch.split(page, height)[:-1]]
    if left or height <= GAP or any((gap != 255).any() for gap in gaps):
        raise ValueError(f"{count} pictures of one height do not make one of {len(page)} rows.")
    pictures = [rows[: height - GAP] for rows in torch.split(page, height)]
    return pictures if mode == "RGB" else [picture[..., 0] for picture in pictures]


def digest(data: bytes) -> str:
    """Return what a record says of the file of its picture."""
    return hashlib.sha256(data).hexdigest()


def read_picture(record: Path, wanted: str) -> bytes:
    """Read the picture beside a record.

    Raises:
        RunError: if there is none, or another than the record was written with.
    """
    path = picture_path(record, wanted)
    data = path.read_bytes() if path.is_file() else b""
    if digest(data) != wanted:
        raise damaged(record, f"{path.name} beside it is {'another' if data else 'missing'}")
    return data


def picture_path(record: Path, of: str) -> Path:
    """Return where the picture of a digest stands beside a record.

    A new record's picture does not overwrite the former one's: a kill between its two files leaves
    the former record whole.
    """
    return record.with_suffix(f".{of[:8]}.png")


def remove_others(record: Path, picture: Path | None) -> None:
    """Remove the pictures of former records."""
    for path in record.parent.glob(f"{record.stem}.*.png"):
        if path != picture:
            path.unlink()
