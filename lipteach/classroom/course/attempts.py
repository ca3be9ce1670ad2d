"""One attempt at one exercise, in a process of its own: forked where that can be, else started."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lipteach.classroom.course import sandbox
from lipteach.classroom.course.judging import judge_attempt, silence
from lipteach.classroom.course.sandbox import Limits, Walls
from lipteach.classroom.course.seal import Seal
from lipteach.classroom.guard import describe

_MOST = 16 * 2**20  # bytes that one attempt may send
_WAITS = 3  # times the seconds of computing pass until a process is stopped that only waits
_PATIENCE = 10.0  # seconds that the system may take to end its processes
_START = 60.0  # seconds that a process may take to begin, where torch is imported anew


@dataclass
class Ended:
    """How an attempt ended: what the judge found, or where the process was when it stopped.

    ``how`` is "" if all went well, "time", "flood", or the way the process ended: "exit 3",
    "signal 9".
    """

    found: dict[str, Any] | None = None
    at: int | str | None = None
    how: str = ""
    failed: str = ""
    errors: dict[str, str] = field(default_factory=dict)  # of cells, by place
    up: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    forged: int = 0

    def read(self, lines: Iterable[bytes], word: str) -> None:
        """Take in what was sent; what does not bear the word is not from the judge."""
        for line in lines:
            try:
                said = json.loads(line)
                if said.pop("word") != word:
                    raise ValueError
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.forged += 1
                continue
            for name, value in said.items():
                if name in ("found", "at", "how", "failed", "errors", "up", "lacking"):
                    setattr(self, name, value)


Launch = Callable[[dict[str, Any], Limits], Ended]


def launcher(seal: Callable[[], Seal]) -> Launch:
    """How attempts are made on this system."""
    if hasattr(os, "fork"):
        return lambda attempt, limits: fork_attempt(attempt, limits, seal())
    return spawn_attempt


def fork_attempt(attempt: dict[str, Any], limits: Limits, seal: Seal) -> Ended:
    """Fork one process that walls itself off, and from it the one that runs the code."""
    word = secrets.token_hex(16)
    limits, ended = _with_home(limits), Ended()
    reading, writing = os.pipe()
    outer = os.fork()
    if outer == 0:
        try:
            os.close(reading)
            _keep_only(writing)
            _wall_off(attempt | {"word": word}, limits, seal, writing)
        finally:
            os._exit(1)
    os.close(writing)
    inner = _read_until(reading, ended, word, time.monotonic() + _WAITS * limits.seconds)
    os.close(reading)
    _end(inner, outer)
    shutil.rmtree(limits.home, ignore_errors=True)
    return ended


def _end(inner: int, outer: int) -> None:
    """Kill what is left of the inner process; the outer one ends when all of that is gone."""
    if inner:
        with suppress(OSError):  # it has ended
            os.kill(inner, signal.SIGKILL)
        with suppress(OSError):
            os.killpg(inner, signal.SIGKILL)
    deadline = time.monotonic() + _PATIENCE
    while os.waitpid(outer, os.WNOHANG) == (0, 0):
        if not inner or time.monotonic() > deadline:
            os.kill(outer, signal.SIGKILL)
        time.sleep(0.002)


def _with_home(limits: Limits) -> Limits:
    home = os.path.realpath(tempfile.mkdtemp(prefix="lipteach-"))
    return Limits(**{**vars(limits), "home": home})


def _keep_only(one: int) -> None:
    """Close every way to the other processes but one."""
    silence()
    os.closerange(3, one)
    os.closerange(one + 1, 4096)


def _wall_off(attempt: dict[str, Any], limits: Limits, seal: Seal, writing: int) -> None:
    """The outer process: it puts up the walls, forks the inner one, and says how that ended."""
    word = attempt["word"]

    def write(line: bytes) -> None:
        while line:
            line = line[os.write(writing, line) :]

    def send(**said: Any) -> None:
        write(json.dumps({"word": word} | said).encode() + b"\n")

    walls = sandbox.build(limits)
    inner = os.fork()
    if inner == 0:
        os.setsid()
        sandbox.enter(limits, walls)
        send(up=walls.up, lacking=walls.lacking)
        try:
            judge_attempt(attempt, write, seal)
        except BaseException as error:  # the judge's own, or what was made of it
            send(failed=describe(error))
        os._exit(0)
    send(inner=inner)
    _, status, used = os.wait4(inner, 0)
    code = os.waitstatus_to_exitcode(status)
    how = "" if code == 0 else f"signal {-code}" if code < 0 else f"exit {code}"
    if code < 0 and used.ru_utime + used.ru_stime >= limits.seconds - 0.5:
        how = "time"
    send(how=how, over=True)
    os._exit(0)


def _read_until(reading: int, ended: Ended, word: str, deadline: float) -> int:
    """Read lines until the process has ended or its time is up; return the inner process."""
    left, size, inner, over = b"", 0, 0, False
    while not over:
        wait = deadline - time.monotonic()
        if wait <= 0 or not select.select([reading], [], [], wait)[0]:
            ended.how = "time"
            break
        data = os.read(reading, 2**16)
        size += len(data)
        if not data:
            ended.how = ended.how or "signal 9"
            break
        if size > _MOST:
            ended.how = "flood"
            break
        *lines, left = (left + data).split(b"\n")
        for line in lines:
            with suppress(ValueError, AttributeError, RecursionError):
                said = json.loads(line)
                if said.get("word") == word:
                    inner, over = said.get("inner", inner), over or said.get("over", False)
        ended.read(lines, word)
    return inner


def apart(function: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a function of ours gives, in a fork: autograd, once used, would not work in the next."""
    if not hasattr(os, "fork"):
        return function()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as sent:
                sent.write(json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as received:
        data = received.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(data)
    return found


def spawn_attempt(attempt: dict[str, Any], limits: Limits) -> Ended:
    """Start a process with an interpreter of its own: slower, and with fewer walls."""
    word = secrets.token_hex(16)
    limits, ended = _with_home(limits), Ended()
    given = json.dumps([attempt | {"word": word}, vars(limits)]).encode()
    with tempfile.TemporaryFile() as sent:
        process = subprocess.Popen(
            [sys.executable, "-m", "lipteach.classroom.course.serving", "attempt"],
            stdin=subprocess.PIPE,
            stdout=sent,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.communicate(given, timeout=_WAITS * limits.seconds + _START)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            ended.how = "time"
        sent.seek(0)
        ended.read(sent.read(_MOST).splitlines(), word)
    if not ended.how and process.returncode:
        code = process.returncode
        ended.how = f"signal {-code}" if code < 0 else f"exit {code}"
    shutil.rmtree(limits.home, ignore_errors=True)
    return ended


def attempt_here(given: bytes, seal: Callable[[], Seal]) -> None:
    """What a process started by `spawn_attempt` does."""
    attempt, limits = json.loads(given)
    writing = os.dup(1)
    silence()

    def write(line: bytes) -> None:
        os.write(writing, line)

    kept = seal()
    walls = Walls(lacking=["the network is not cut off, and processes left behind may go on"])
    walls.lacking.append("the files are not walled off")
    sandbox.enter(Limits(**limits), walls)
    said = {"word": attempt["word"], "up": walls.up, "lacking": walls.lacking}
    write(json.dumps(said).encode() + b"\n")
    try:
        judge_attempt(attempt, write, kept)
    except BaseException as error:
        write(json.dumps({"word": said["word"], "failed": describe(error)}).encode() + b"\n")
    os._exit(0)
