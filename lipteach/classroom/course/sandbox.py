"""Limits for the process that runs a student's code, and which of them the system lacks.

Each is asked for, tried, and named: `Walls.up` says what holds, `Walls.lacking` what does not. On
Linux the process gets a network, a table of processes and a tree of files of its own: nothing can
be written but in a home in memory, and the folders of the course stand empty. A root user becomes
one that owns nothing. Elsewhere the limits of POSIX hold as far as the system keeps them.
"""

from __future__ import annotations

import ctypes
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

resource: Any = importlib.import_module("resource") if os.name == "posix" else None

_MIB = 2**20
_FILES = 64 * _MIB  # for one file, and for the whole of a home in memory
_PROCESSES = 64  # threads count
_OPEN = 256
_NOBODY = 61_200  # the first of the users that own nothing, one for each worker
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _RDONLY, _BIND, _REC, _PRIVATE = 2, 4, 1, 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_RECURSIVE, _AT_FDCWD = 442, 0x8000, -100
_SIGKILL, _PDEATHSIG, _KEEPCAPS, _NO_NEW_PRIVS = 9, 1, 8, 38
_READ_ALL = 1 << 2  # CAP_DAC_READ_SEARCH


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
    own_user = 0 if root else _NEWUSER
    together = own_user | _NEWNS | _NEWIPC | _NEWPID | _NEWNET
    user, group = _ids()
    separate = walls.attempt(
        "no network, and no other process in sight",
        "the network is not cut off, and processes left behind may go on",
        lambda: _unshare(together),
    )
    if separate:
        if not root:
            _map_ids(user, group)
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
    with suppress(OSError, AttributeError):
        _libc().prctl(_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if separate:
        with suppress(OSError):
            _mount("proc", "/proc", "proc", _NOSUID | _NODEV)
    _limit_resources(limits, walls)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    changed = root and walls.attempt(
        "it runs as a user that owns nothing",
        "it runs as root",
        lambda: _become(_NOBODY + limits.number, any("memory; the" in line for line in walls.up)),
    )
    if separate and not root:
        _keep_capabilities(0)
    _limit_processes(walls, counted=changed or (separate and not root))
    with suppress(OSError, AttributeError):
        _libc().prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
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


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if not sys.platform.startswith("linux"):
        raise NotImplementedError("this system has no namespaces")
    if getattr(_libc(), name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def _unshare(flags: int) -> None:
    _call("unshare", flags)


def _ids() -> tuple[int, int]:
    return (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (0, 0)


def _map_ids(user: int, group: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _call(
        "mount", *(s.encode() for s in (source, target, kind)), ctypes.c_ulong(flags), data.encode()
    )


def _wall_off_files(limits: Limits, user: int) -> None:
    """A tree of files of its own, read-only, where what is hidden is empty and home is memory."""
    _mount("none", "/", "", _REC | _PRIVATE)
    for one in limits.hidden:
        if os.path.isdir(one):
            _mount("none", one, "tmpfs", _NOSUID | _NODEV | _RDONLY, "size=4k,mode=755")
        elif os.path.exists(one):
            _mount("/dev/null", one, "", _BIND)
    _make_read_only()
    own = f"size={_FILES},mode=700,uid={user}"
    _mount("none", limits.home, "tmpfs", _NOSUID | _NODEV, own)


def _make_read_only() -> None:
    """All that is mounted, by mount_setattr(2)."""
    libc = _libc()
    attributes = (ctypes.c_uint64 * 4)(_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    libc.syscall.restype = ctypes.c_long
    at = ctypes.c_int(_AT_FDCWD)
    if libc.syscall(_MOUNT_SETATTR, at, b"/", _AT_RECURSIVE, ctypes.byref(attributes), size) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


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
    if closed and _libc().prctl(_KEEPCAPS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "")
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _keep_capabilities(_READ_ALL if closed else 0)


def _keep_capabilities(kept: int) -> None:
    """Give up all others: whoever may mount could take the walls down."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    _call("capset", ctypes.byref(header), ctypes.byref(sets))
