"""Files in MNIST's idx format: unpacked, decoded, and recognized by their SHA-256."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lipteach.primitives._validate import shown

GZIP = b"\x1f\x8b"  # no idx file begins so
MOST = 100_000_000  # bytes that we unpack; MNIST's largest file has 47,040,016


def read_unpacked(path: Path, source: str) -> bytes:
    """Read a file, unpacked if it is compressed by gzip; an error calls it `source`."""
    data = path.read_bytes()
    if not data.startswith(GZIP):
        return data
    try:
        with gzip.open(path) as file:
            return file.read(MOST)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{source} is cut off or damaged: gzip cannot unpack it.") from error


def decode(data: bytes, name: str, source: str, names: Mapping[str, str]) -> np.ndarray:
    """Decode an idx file, if it is the file that is wanted.

    An idx file of bytes holds 0, 0, 8, the number d of dimensions, the d lengths as big-endian
    integers of 32 bits, and the entries.

    Args:
        data: the unpacked bytes.
        name: which file is wanted, one of the values of `names`.
        source: what an error calls the bytes.
        names: for each known SHA-256, the name of the file.

    Returns:
        An array of uint8, which cannot be written to.

    Raises:
        ValueError: if the bytes are of another file, cut off or damaged; the message says which.
    """
    digest = hashlib.sha256(data).hexdigest()
    found = names.get(digest)
    if found not in (None, name):
        raise ValueError(f"{source} must hold {name}; it holds {found}.")
    if data[:3] != b"\0\0\x08" or len(data) < 4 or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"{source} is no idx file of bytes: it begins with {data[:4].hex()!r}.")
    start = 4 + 4 * data[3]
    shape = tuple(np.frombuffer(data[4:start], ">u4").tolist())
    if len(data) != start + math.prod(shape):
        bytes_needed = start + math.prod(shape)
        count = f"{bytes_needed:,}" if bytes_needed < 10**15 else "over 10¹⁵"
        need = f"{count} bytes for its shape {shown(shape)}"
        raise ValueError(f"{source} is cut off or damaged: {need}, and it has {len(data):,}.")
    if found is None:
        wanted = next(sha256 for sha256, known in names.items() if known == name)
        begins = f"its SHA-256 begins with {digest[:12]}"
        raise ValueError(f"{source} is not {name}: {begins} and must begin with {wanted[:12]}.")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
