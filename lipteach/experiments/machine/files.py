"""Files that are whole or not there: written beside, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path
from typing import Any

import torch


class RunError(RuntimeError):
    """A run cannot go on; one sentence says why and what helps."""


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


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, and containers of them."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: Path) -> dict[str, Any] | None:
    """Read what `save_state` wrote, onto the CPU, or None if there is no such file."""
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise anything
        raise _unreadable(path) from error
    return state


def save_json(path: Path, found: dict[str, Any]) -> None:
    """Write a JSON object."""
    write_whole(path, (json.dumps(found, allow_nan=False) + "\n").encode())


def load_json(path: Path) -> dict[str, Any] | None:
    """Read what `save_json` wrote, or None if there is no such file."""
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    return found


def check_identity(path: Path, saved: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Require that the file was saved by this very cell: its settings, seed and device."""
    keys = [key for key in {**wanted, **saved} if saved.get(key) != wanted.get(key)]
    if keys:
        there = ", ".join(f"{key} = {saved.get(key)!r}" for key in keys)
        here = ", ".join(f"{key} = {wanted.get(key)!r}" for key in keys)
        raise RunError(
            f"{path} was saved with other settings ({there}; now {here}): "
            "delete it to begin anew, or choose another folder with --runs."
        )


def _unreadable(path: Path) -> RunError:
    return RunError(f"{path} is damaged and cannot be read: delete it, and a run makes it anew.")
