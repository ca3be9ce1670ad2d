"""A folder of unfinished work belongs to one run at a time."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lipteach.experiments.machine.files import RunError, write_whole


class InUseError(RunError):
    """Another holds the folder."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder, which the system gives back if this process dies.

    Raises:
        InUseError: if another run holds it; the sentence says which.
        RunError: if it cannot be written.
    """
    holder = folder / "holder"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / "lock").acquire(timeout=0)
    except Timeout:
        said = holder.read_text(encoding="utf-8") if holder.exists() else "another run"
        raise InUseError(
            f"{folder} is in use by {said}: wait for it, or choose another folder with --runs."
        ) from None
    except OSError as error:
        raise RunError(f"{folder} cannot be written ({error.strerror or error}).") from error
    with held:
        now = datetime.datetime.now().isoformat(" ", "seconds")
        said = f"process {os.getpid()} on {platform.node() or 'this machine'} since {now}"
        write_whole(holder, said.encode())
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
