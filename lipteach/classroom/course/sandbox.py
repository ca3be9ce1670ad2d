"""Limits for the process that runs a student's code, and which of them the system lacks.

Each is asked for, tried, and named: `Walls.up` says what holds, `Walls.lacking` what does not. On
Linux the process gets a network, a table of processes and a tree of files of its own: nothing can
be written but in a home in memory, and the folders of the course stand empty. A root user becomes
one that owns nothing. Elsewhere the limits of POSIX hold as far as the system keeps them.
"""

from __future__ import annotations

import importlib
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipteach.classroom.course import namespaces

resource: Any = importlib.import_module("resource") if os.name == "posix" else None

_MIB = 2**20
_FILES = 64 * _MIB  # for one file, and for the whole of a home in memory
_PROCESSES = 64  # threads count
_OPEN = 256
_NOBODY = 61_200  # the first of the users that own nothing, one for each worker


@dataclass(frozen=True)
class Limits:
    """What one process may take; ``hidden`` are the folders and files that it must not see.

    The seconds are those of computing; one that waits is stopped after three times as many.
    """

    seconds: float
    megabytes: int
    home: str
    hidden: Sequence[str] = ()
    number: int = 0  # of the worker


@dataclass
class Walls:
    """Sentences: what holds, and what this system lacks."""

    up: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def attempt(self, what: str, without: str, act: Callable[[], None]) -> bool:
        """Put up one wall, or say that it is not there, and why."""
        try:
            act()
        except (OSError, ValueError, AttributeError, NotImplementedError) as error:
            number = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(number) if number else str(error)
            self.lacking.append(f"{without} ({reason or type(error).__name__})")
            return False
        self.up.append(what)
        return True


def build(limits: Limits) -> Walls:
    """Put up what has to stand before the process is forked that runs a student's code."""
    walls = Walls()
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    user, group = _ids()
    separate = walls.attempt(
        "no network, and no other process in sight",
        "the network is not cut off, and processes left behind may go on",
        lambda: namespaces.separate(own_user=not root),
    )
    if separate:
        if not root:
            namespaces.map_ids(user, group)
        walls.attempt(
            "nothing can be written but in a home in memory; the folders of the course are empty",
            "the files are not walled off",
            lambda: _wall_off_files(limits, _NOBODY + limits.number if root else user),
        )
    else:
        walls.lacking.append("the files are not walled off (it takes a tree of their own)")
        if root:
            _own(limits.home, _NOBODY + limits.number)
    return walls


def enter(limits: Limits, walls: Walls) -> Walls:
    """Put up the rest, from within the process itself; it must not have begun with the code."""
    separate = any("network" in line for line in walls.up)
    with suppress(OSError, NotImplementedError):
        namespaces.end_with_parent()
    if separate:
        with suppress(OSError):
            namespaces.mount_processes()
    _limit_resources(limits, walls)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    changed = root and walls.attempt(
        "it runs as a user that owns nothing",
        "it runs as root",
        lambda: _become(_NOBODY + limits.number, any("memory; the" in line for line in walls.up)),
    )
    if separate and not root:
        namespaces.keep_capabilities(0)
    _limit_processes(walls, counted=changed or (separate and not root))
    with suppress(OSError, NotImplementedError):
        namespaces.gain_no_rights()
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept, HOME=limits.home, TMPDIR=limits.home, TEMP=limits.home)
    tempfile.tempdir = None  # found anew, at home
    os.chdir(limits.home)
    return walls


_KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "OMP_NUM_THREADS", "SYSTEMROOT", "PATHEXT")


def _limit_resources(limits: Limits, walls: Walls) -> None:
    memory = f"{limits.megabytes} MB of memory a process"
    if resource is None:
        for lack in ("memory is not limited", "what is written is not limited in size"):
            walls.lacking.append(f"{lack} (this system has no rlimits)")
        return
    held = sys.platform.startswith("linux")  # others take the number and do not keep to it

    def limit_memory() -> None:
        if not held:
            raise NotImplementedError("this system does not keep to RLIMIT_AS")
        most = _used() + limits.megabytes * _MIB
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def limit_rest() -> None:
        # Of computing, since a busy machine is nobody's fault; an import before was ours.
        cpu = math.ceil(time.process_time() + limits.seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILES, _FILES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = _OPEN if hard == resource.RLIM_INFINITY else min(_OPEN, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    walls.attempt(memory, "memory is not limited", limit_memory)
    walls.attempt("64 MB a file", "files are not limited in size", limit_rest)


def _limit_processes(walls: Walls, counted: bool) -> None:
    """Where its processes are counted apart from the instructor's: else a limit would hit these."""

    def limit() -> None:
        if not counted:
            raise NotImplementedError("its processes are not counted apart from yours")
        hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, hard))
        try:
            _fork_once()
        except OSError:
            resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
            raise
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))

    said = f"at most {_PROCESSES} processes and threads"
    walls.attempt(said, "the number of processes is not limited", limit)


def _fork_once() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _used() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _ids() -> tuple[int, int]:
    return (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (0, 0)


def _wall_off_files(limits: Limits, user: int) -> None:
    """A tree of files of its own, read-only, where what is hidden is empty and home is memory."""
    namespaces.own_tree()
    for one in limits.hidden:
        if os.path.isdir(one):
            namespaces.mount_memory(one, "size=4k,mode=755", read_only=True)
        elif os.path.exists(one):
            namespaces.empty_file(one)
    namespaces.make_read_only()
    namespaces.mount_memory(limits.home, f"size={_FILES},mode=700,uid={user}")


def _own(folder: str, user: int) -> None:
    with suppress(OSError):
        os.chown(folder, user, user)


def _become(user: int, walled: bool) -> None:
    """Another user. What only root can read it may read still, where the course is hidden."""
    package, torch = sys.modules[__package__.partition(".")[0]], sys.modules.get("torch")
    files = [Path(str(getattr(m, "__file__", os.__file__))) for m in (os, package, torch)]
    closed = [p for f in files for p in f.resolve().parents if not p.stat().st_mode & 0o001]
    if closed and not walled:
        raise NotImplementedError(f"no other user can read {closed[-1]}")
    if closed:
        namespaces.keep_rights_as_another_user()
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    namespaces.keep_capabilities(namespaces.READ_ALL if closed else 0)
