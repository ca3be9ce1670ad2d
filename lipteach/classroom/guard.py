r"""Run what a student hands in: it may raise, recurse, loop or change global settings.

The code runs in a worker thread, so that a time limit holds on every system: an exception is
raised inside the thread when the time is up, and a call that waits outside Python (a sleep, a
long kernel) is left behind as a daemon. Two things cannot be stopped from inside the process: a
call that keeps the interpreter's lock, such as `10**10**9`, and a recursion without end after the
answer itself has raised Python's limit. Global settings are put back afterwards. Whatever the code
prints is swallowed, since a check calls it many times; call the function yourself to see it.
"""

from __future__ import annotations

import ctypes
import io
import os
import random
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lipteach.primitives._torch_private import print_options, restore_print_options

SECONDS = 5.0  # for a whole check
_STACK_BYTES = 64 * 2**20  # recursion through C (nn.Module.__call__) needs room to be noticed
_RECURSION = 10_000  # deeper than any answer needs, and well within that room
_PATIENCE = 0.5  # seconds which a stopped worker has to die


class TimeUp(SystemExit):
    """Raised inside the worker; a SystemExit, which threads end on silently."""


@dataclass(frozen=True)
class Outcome:
    """How a guarded run ended: exactly one of a value, an error, and running out of time."""

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False


class _Silence(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def kept_settings() -> Iterator[None]:
    """Put back the torch settings that change how the next call computes."""
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    device = torch.get_default_device()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


@contextmanager
def _kept_process() -> Iterator[None]:
    """Put back everything global that a student's code is likely to touch, and silence it."""
    streams, recursion = (sys.stdout, sys.stderr), sys.getrecursionlimit()
    seeds = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    strict = _deterministic()
    threads, folder = torch.get_num_threads(), os.getcwd()
    printing, anomaly = print_options(), torch.is_anomaly_enabled()
    with kept_settings(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.stdout = sys.stderr = _Silence()
        sys.setrecursionlimit(min(recursion, _RECURSION))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = streams
            sys.setrecursionlimit(recursion)
            torch.set_rng_state(seeds[0])
            random.setstate(seeds[1])
            np.random.set_state(seeds[2])  # noqa: NPY002
            if _deterministic() != strict:  # setting it imports the compiler: over a second
                torch.use_deterministic_algorithms(strict[0], warn_only=strict[1])
            restore_print_options(printing)
            torch.autograd.set_detect_anomaly(anomaly)
            os.chdir(folder)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


def _deterministic() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


class _Worker:
    """One call in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function, self.outcome = function, Outcome(timed_out=True)
        self.done, self.lock = threading.Event(), threading.Lock()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        before = threading.stack_size()
        with suppress(ValueError, RuntimeError):  # some systems fix the size
            threading.stack_size(_STACK_BYTES)
        try:
            self.thread.start()
        finally:
            threading.stack_size(before)

    def _work(self) -> None:
        # A TimeUp may come on the very last step, or a second one while the first is answered.
        with suppress(BaseException):
            self._call()

    def _call(self) -> None:
        try:
            try:
                outcome = Outcome(value=self.function())
            except TimeUp:
                return
            except BaseException as error:
                outcome = Outcome(error=error)
            with self.lock:  # from here on stop() raises nothing in this thread
                self.outcome = outcome
                self.done.set()
        finally:
            self.done.set()

    def stop(self) -> None:
        """Raise TimeUp in the thread until it ends, or leave it behind."""
        deadline = time.monotonic() + _PATIENCE
        while self.thread.is_alive() and time.monotonic() < deadline:
            with self.lock:
                if not self.done.is_set() and self.thread.ident is not None:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(self.thread.ident), ctypes.py_object(TimeUp)
                    )
            self.thread.join(0.02)


def run(function: Callable[[], Any], seconds: float | None = None) -> Outcome:
    """Call ``function()`` for at most ``seconds`` (default: ``SECONDS``), whatever it does.

    Every exception comes back in the outcome, SystemExit and KeyboardInterrupt too. Only an
    interrupt by the reader, which reaches the main thread, stops the run and is raised again.

    >>> run(lambda: 1 / 0).error
    ZeroDivisionError('division by zero')
    """
    limit = SECONDS if seconds is None else seconds
    with _kept_process():
        worker = _Worker(function)
        worker.start()
        deadline = time.monotonic() + limit
        try:
            # Short waits: on Windows a long one would not hear the reader's interrupt.
            while not worker.done.wait(0.05) and time.monotonic() < deadline:
                pass
        finally:
            if not worker.done.is_set():
                worker.stop()
        return worker.outcome


_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_PATH = re.compile(r"(?<![\w.)\]])(?:[A-Za-z]:[\\/]|~?/)[\w.+-]+(?:[\\/][\w.+-]+)+")
_LONG_NUMBER = re.compile(r"\d+\.\d{5,}(?:e[+-]?\d+)?")


def describe(error: BaseException) -> str:
    """One line for an exception, the same on every machine: no address, path or long number.

    >>> describe(ValueError("no 0.123456789 in /usr/lib/x.py"))
    'ValueError: no 0.1235 in …'
    """
    name = type(error).__name__
    try:
        text = str(error)
    except TimeUp:
        raise
    except BaseException:  # the error is the student's too, and so is its text
        text = ""
    if isinstance(error, MemoryError) or "allocate" in text:
        return f"{name}: it asked for more memory than there is"
    if isinstance(error, RecursionError):
        return f"{name}: it calls itself without end"
    if type(error) is SyntaxError and type(error.lineno) is int:  # without the name of its cell
        text = f"{error.msg}, in line {error.lineno}"
    text = (text.strip().splitlines() or [""])[0]
    text = _PATH.sub("…", _ADDRESS.sub("…", text)).rstrip(".")
    text = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.4g}", text)
    text = text if len(text) <= 160 else text[:159] + "…"
    return f"{name}: {text}" if text else name
