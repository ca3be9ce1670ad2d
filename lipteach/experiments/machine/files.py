"""Kept files: whole or not there, known to be what was written, and of the structure asked for.

A file is written beside, flushed to the disk, then renamed. It carries the SHA-256 of what it
holds, which tells a flipped bit, a lost end or a careless edit (not a forger, who would write
another). JSON has it under "sha256", over the canonical text of the rest; a checkpoint has it as
its last 32 bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

DIGEST = 32  # bytes
MADE_BY = "made by"


class RunError(RuntimeError):
    """A run cannot go on; one sentence says why and what helps."""


def check_writable(folder: Path, option: str) -> None:
    """Require that files can be made in a folder, or where it would be made."""
    there = next(one for one in [folder, *folder.absolute().parents] if os.path.lexists(one))
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise RunError(
            f"{folder} cannot be written ({error.strerror or error}): "
            f"choose another folder with {option}."
        ) from error


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file by `data`, so that a kill at any moment leaves the old one or the new one.

    Raises:
        RunError: if the system refuses; the old file is then as it was.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise RunError(
            f"{path} cannot be written ({error.strerror or error}); what was saved before is kept: "
            "mend that and run the same command again."
        ) from error


def save_state(path: Path, state: Any) -> None:
    """Write tensors, numbers, strings, and containers of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    write_whole(path, data + hashlib.sha256(data).digest())


def load_state(path: Path, shape: Any = object) -> Any:
    """Read what `save_state` wrote, onto the CPU, or None if there is no such file."""
    data = _read(path)
    if data is None:
        return None
    if hashlib.sha256(data[:-DIGEST]).digest() != data[-DIGEST:]:
        raise damaged(path)
    try:
        state = torch.load(io.BytesIO(data[:-DIGEST]), map_location="cpu", weights_only=True)
    except Exception as error:  # of another kind than `save_state` writes: it may raise anything
        raise damaged(path, "it is no checkpoint") from error
    check_structure(path, state, shape)
    return state


def signed(found: dict[str, Any]) -> dict[str, Any]:
    """Add the checksum of all the rest; whitespace and the order of names do not count."""
    text = json.dumps(found, sort_keys=True, allow_nan=False)
    return {**found, "sha256": hashlib.sha256(text.encode()).hexdigest()}


def save_json(path: Path, found: dict[str, Any]) -> None:
    """Write a JSON object with its checksum."""
    write_whole(path, (json.dumps(signed(found)) + "\n").encode())


def load_json(path: Path, shape: Any = dict) -> Any:
    """Read a `signed` JSON object, without its checksum, or None if there is no such file."""
    data = _read(path)
    if data is None:
        return None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "it is no JSON") from error
    check_structure(path, found, {"sha256": str})
    try:
        whole = signed({name: found[name] for name in found if name != "sha256"})
    except ValueError as error:
        raise damaged(path, "it holds NaN or infinity") from error  # which JSON has not
    if whole != found:
        raise damaged(path, "its sha256 is of other contents: it was edited, or lost a bit")
    del found["sha256"]
    check_structure(path, found, shape)
    return found


def check_structure(path: Path, found: Any, shape: Any) -> None:
    """Require that a file holds what the machine would have written there."""
    if said := misfit(found, shape):
        raise damaged(path, said)


def misfit(found: Any, shape: Any, where: str = "it") -> str:
    """Say where `found` is not of a shape; nothing if it is.

    A shape is a type or a union of types; ``[shape]`` is a list or tuple of such entries; a dict
    gives the shapes of the names that there must be, ``{str: shape}`` that of all names.
    """
    kinds: dict[Any, Any] = {dict: dict, list: list | tuple}
    kind = kinds.get(type(shape), shape)
    if not isinstance(found, kind):
        return f"{where} is {type(found).__name__}, not {getattr(kind, '__name__', kind)}"
    if isinstance(shape, list):
        inner = [(entry, shape[0], f"{where}[{k}]") for k, entry in enumerate(found)]
    elif isinstance(shape, dict):
        names = list(found) if str in shape else list(shape)
        if missing := [name for name in names if name not in found]:
            return f"{where} lacks {missing[0]!r}"
        inner = [(found[n], shape.get(n, shape.get(str)), f"{where}[{n!r}]") for n in names]
    else:
        inner = []
    return next(filter(None, (misfit(*one) for one in inner)), "")


def check_identity(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Require that the file was saved by this very cell, and by the same code and versions.

    The latter stand under the name `MADE_BY`: one record must not mix two of them.
    """
    keys, how, begin_anew = _differing(saved, wanted), "with other settings", "delete it"
    if keys == [MADE_BY]:
        saved, wanted = saved.get(MADE_BY, {}), wanted.get(MADE_BY, {})
        keys, how = _differing(saved, wanted), "by other code or versions"
        begin_anew = f"go back to those, or delete {path.parent}"
    keys = [key for key in keys if key != MADE_BY]
    if keys:
        there = ", ".join(f"{key} = {saved.get(key)!r}" for key in keys)
        here = ", ".join(f"{key} = {wanted.get(key)!r}" for key in keys)
        raise RunError(
            f"{path} was saved {how} ({there}; now {here}): "
            f"{begin_anew} to begin anew, or choose another folder with --runs."
        )


def _differing(saved: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [key for key in {**wanted, **saved} if saved.get(key) != wanted.get(key)]


def damaged(path: Path, why: str = "") -> RunError:
    """Make the error for a file that cannot be used."""
    said = f" ({why})" if why else ""
    return RunError(
        f"{path} is damaged and cannot be read: delete it, and a run makes it anew{said}."
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # it is a folder, or we may not
        raise RunError(f"{path} cannot be read ({error.strerror or error}).") from error
