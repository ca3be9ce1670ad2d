"""The guard survives what a student may hand in, and leaves no trace of it."""

import _thread
import contextlib
import random
import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from classroom_support import Recursive, endless, recursive

from lipteach.classroom import guard


def stubborn():
    end = time.monotonic() + 3
    while time.monotonic() < end:
        with contextlib.suppress(BaseException):
            time.sleep(0.001)


def leave():
    sys.exit(3)


def interrupt():
    raise KeyboardInterrupt


def test_value_and_prints(capsys):
    assert guard.run(lambda: print("noise") or 7).value == 7
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda: 1 / 0, ZeroDivisionError),
        (leave, SystemExit),
        (interrupt, KeyboardInterrupt),
        (recursive, RecursionError),
        (lambda: Recursive()(torch.zeros(1)), RecursionError),
        (lambda: bytearray(2**62), MemoryError),
        (lambda: torch.zeros(2**50), RuntimeError),
    ],
)
def test_exceptions_come_back(function, error):
    outcome = guard.run(function)
    assert type(outcome.error) is error
    assert not outcome.timed_out


def test_endless_loop_is_ended():
    before = threading.active_count()
    assert guard.run(endless, seconds=0.1).timed_out
    assert threading.active_count() == before


def test_loop_that_swallows_everything_does_not_hang():
    start = time.monotonic()
    assert guard.run(stubborn, seconds=0.1).timed_out
    assert time.monotonic() - start < 3


def test_sleeping_call_is_left_behind():
    start = time.monotonic()
    assert guard.run(lambda: time.sleep(2), seconds=0.1).timed_out
    assert time.monotonic() - start < 1.5


def test_reader_can_interrupt():
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        guard.run(endless, seconds=20)
    timer.join()


def settings():
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_num_threads(),
        sys.getrecursionlimit(),
        list(warnings.filters),
        sys.stdout,
        sys.stderr,
    )


def meddle():
    torch.set_default_dtype(torch.float16)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_num_threads(torch.get_num_threads() + 1)
    sys.setrecursionlimit(5000)
    warnings.simplefilter("error")
    sys.stdout = None


@pytest.mark.parametrize("fails", [False, True])
def test_global_state_is_restored(fails):
    before = settings()
    guard.run(lambda: (meddle(), 1 / (not fails)))
    assert settings() == before


def test_warnings_do_not_become_errors():
    assert guard.run(lambda: warnings.warn("old", stacklevel=1)).error is None


def test_grad_mode_of_the_caller_does_not_matter():
    with torch.no_grad():
        assert guard.run(torch.is_grad_enabled).value


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("bad"), "ValueError: bad"),
        (KeyError(), "KeyError"),
        (TypeError("<A object at 0x7f01ab>"), "TypeError: <A object at …>"),
        (OSError("no /home/someone/x.py here"), "OSError: no … here"),
        (OSError(r"no C:\Users\someone\x.py here"), "OSError: no … here"),
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("n/2 is 0.333333333"), "ValueError: n/2 is 0.3333"),
        (
            SyntaxError("'(' was never closed", ("<ipython-input-1-7f>", 2, 1, "f(", 2, 1)),
            "SyntaxError: '(' was never closed, in line 2",
        ),
        (MemoryError(), "MemoryError: it asked for more memory than there is"),
    ],
)
def test_descriptions_are_the_same_everywhere(error, text):
    assert guard.describe(error) == text


def test_description_of_an_error_without_words():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    assert guard.describe(Mute()) == "Mute"
    assert len(guard.describe(ValueError("x" * 10_000))) < 200
