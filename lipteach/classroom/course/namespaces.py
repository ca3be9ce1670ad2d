"""Calls of Linux by which a process gets a network, a table of processes and files of its own.

Each raises OSError where the system refuses, NotImplementedError where it is not Linux. The numbers
are those of unshare(2), mount(2), mount_setattr(2), prctl(2) and capset(2).
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _RDONLY, _BIND, _REC, _PRIVATE = 2, 4, 1, 4096, 16384, 1 << 18
_MOUNT_SETATTR, _AT_RECURSIVE, _AT_FDCWD = 442, 0x8000, -100
_SIGKILL, _PDEATHSIG, _KEEPCAPS, _NO_NEW_PRIVS = 9, 1, 8, 38
READ_ALL = 1 << 2  # CAP_DAC_READ_SEARCH


def separate(own_user: bool) -> None:
    """Leave the network, the processes and the tree of files of the others.

    Who is not root takes a table of users of their own, too; `map_ids` fills it.
    """
    _call("unshare", _NEWUSER * own_user | _NEWNS | _NEWIPC | _NEWPID | _NEWNET)


def map_ids(user: int, group: int) -> None:
    """Be the same user in the new table."""
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def own_tree() -> None:
    """What is mounted from here on, others do not see."""
    _mount("none", "/", "", _REC | _PRIVATE)


def mount_memory(place: str, options: str, read_only: bool = False) -> None:
    """An empty folder in memory in the place of another."""
    _mount("none", place, "tmpfs", _NOSUID | _NODEV | _RDONLY * read_only, options)


def empty_file(place: str) -> None:
    """Nothing in the place of a file."""
    _mount("/dev/null", place, "", _BIND)


def mount_processes() -> None:
    """Show in /proc the processes of this table."""
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV)


def make_read_only() -> None:
    """All that is mounted."""
    attributes = (ctypes.c_uint64 * 4)(_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    at = ctypes.c_int(_AT_FDCWD)
    _call("syscall", _MOUNT_SETATTR, at, b"/", _AT_RECURSIVE, ctypes.byref(attributes), size)


def end_with_parent() -> None:
    """Be killed when the process that made this one ends."""
    _call("prctl", _PDEATHSIG, _SIGKILL, 0, 0, 0)


def gain_no_rights() -> None:
    """No program started from here has more rights than this process."""
    _call("prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)


def keep_rights_as_another_user() -> None:
    """Let `keep_capabilities` choose after a change of user what is kept."""
    _call("prctl", _KEEPCAPS, 1, 0, 0, 0)


def keep_capabilities(kept: int) -> None:
    """Give up all others: whoever may mount could take the walls down."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    _call("capset", ctypes.byref(header), ctypes.byref(sets))


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    names = (text.encode() for text in (source, target, kind))
    _call("mount", *names, ctypes.c_ulong(flags), data.encode())


def _call(name: str, *arguments: object) -> None:
    if not sys.platform.startswith("linux"):
        raise NotImplementedError("this system has no namespaces")
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
