"""What check says, and that no answer makes it crash, hang or ramble."""

import dataclasses
import math
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from classroom_support import Recursive, endless, recursive
from torch import nn

from lipteach.classroom import Exercise, Hint, check, checks, exercises, guard
from lipteach.classroom.checks import examine
from lipteach.classroom.lessons.l00_start_here import exercises as l00_exercises

NAME = "00.first-check"


class Hostile:
    """An answer that fights back whenever it is looked at."""

    def _raise(self, *args, **kwargs):
        raise RuntimeError("do not look")

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = __array__ = __float__ = _raise
    __hash__ = object.__hash__
    __torch_function__ = classmethod(_raise)


class Mimic:
    """Says it is a tensor, and is not."""

    @property
    def __class__(self):
        return torch.Tensor


class Rebel(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *args, **kwargs):
        raise RuntimeError("no operation is allowed")


class UnhappyError(Exception):
    def __str__(self):
        raise KeyboardInterrupt


class BadBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        return torch.maximum(a, b)

    @staticmethod
    def backward(ctx, grad):
        raise RuntimeError("no way back")


def raising(error):
    def function(a, b):
        raise error

    return function


def forgot_return(a, b):
    c = torch.maximum(a, b)  # noqa: F841


def global_dtype(a, b):
    torch.set_default_dtype(torch.float64)
    return a + 1


HOSTILE = {
    "number": (3, "type", "A function is needed, and this is an int"),
    "string": ("torch.maximum", "type", "A function is needed"),
    "hostile object": (Hostile(), "type", "A function is needed"),
    "class": (Recursive, "type", "hand in an instance"),
    "returns a hostile object": (lambda a, b: Hostile(), "type", "this is a Hostile"),
    "returns a mimic": (lambda a, b: Mimic(), "error", "could not read"),
    "returns a rebel": (lambda a, b: a.as_subclass(Rebel), "error", "could not read"),
    "returns a string": (lambda a, b: "max", "type", "this is a str"),
    "returns a dict": (lambda a, b: {}, "type", "this is a dict"),
    "returns itself": (lambda a, b: endless, "type", "this is a function"),
    "object array": (lambda a, b: np.array([None]), "type", "is not a number"),
    "complex": (lambda a, b: a + 0j, "type", "Real numbers"),
    "bool": (lambda a, b: a > b, "type", "True or False"),
    "meta device": (lambda a, b: a.to("meta"), "type", "on 'meta'"),
    "empty": (lambda a, b: a[:0], "shape", "shape (0,)"),
    "nan": (lambda a, b: a * math.nan, "value", "nan"),
    "forgot return": (forgot_return, "type", "does it end with `return`?"),
    "wrong arity": (lambda a: a, "error", "positional argument"),
    "recursion": (recursive, "error", "calls itself without end"),
    "recursive module": (Recursive(), "error", "calls itself without end"),
    "exit": (raising(SystemExit(1)), "error", "SystemExit"),
    "interrupt": (raising(KeyboardInterrupt()), "error", "KeyboardInterrupt"),
    "memory": (lambda a, b: torch.zeros(2**50), "error", "more memory than there is"),
    "path in the error": (raising(OSError("in /home/me/x.py")), "error", "OSError: in …"),
    "unspeakable error": (raising(UnhappyError()), "error", "UnhappyError"),
    "endless loop": (endless, "time", "stopped after 0.3 seconds"),
    "sleep": (lambda a, b: time.sleep(2), "time", "stopped after"),
    "in place": (lambda a, b: a.copy_(torch.maximum(a, b)), "mutation", "changes its input"),
    "resized in place": (lambda a, b: a.resize_(1), "shape", "shape (1,)"),
    "bad backward": (BadBackward.apply, "gradient", "RuntimeError: no way back"),
    "numpy inside": (
        lambda a, b: torch.from_numpy(np.maximum(a.numpy(), b.numpy())),
        "gradient",
        "needs a gradient",
    ),
    "no operator": (lambda a, b: torch.linalg.svd(a.to("meta")).S.cpu(), "error", "Error"),
    "global dtype": (global_dtype, "value", "is right"),
}


@pytest.mark.parametrize("label", HOSTILE)
def test_hostile_answers_get_one_line(label, monkeypatch, capsys):
    answer, kind, fragment = HOSTILE[label]
    monkeypatch.setattr(guard, "SECONDS", 0.3 if kind == "time" else 5.0)
    report = check(NAME, answer)
    line = capsys.readouterr().out
    assert line == f"{NAME}: not yet. {report.hint}\n"
    assert (report.passed, report.tried, report.kind) == (False, True, kind)
    assert fragment in report.hint
    assert "0x" not in line
    assert torch.get_default_dtype() == torch.float32


def stub(a, b): ...


def stub_with_words(a, b):
    """Return the larger."""


def stub_not_implemented(a, b):
    raise NotImplementedError


STUBS = [None, ..., (..., ...), [1, ...], stub, stub_with_words, stub_not_implemented]


@pytest.mark.parametrize("answer", [*STUBS, lambda a, b: ..., lambda a, b: None])
def test_stubs_are_not_tried(answer, capsys):
    report = check(NAME, answer)
    assert capsys.readouterr().out == f"{NAME}: not tried yet\n"
    assert (report.passed, report.tried, report.hint) == (False, False, "")


def test_module_without_forward_is_not_tried():
    assert not examine(exercises()[NAME], nn.Module()).tried


def test_short_functions_are_no_stubs():
    assert checks.is_stub(lambda x: ...)
    assert not checks.is_stub(lambda x: 0)
    assert not checks.is_stub(lambda x: x)
    assert not checks.is_stub(torch.maximum)


def test_pass(capsys):
    report = check(NAME, torch.maximum)
    assert capsys.readouterr().out == f"{NAME}: passed\n"
    assert report.passed


def test_report_shows_nothing_more_in_a_notebook(capsys):
    report = check(NAME, torch.maximum)
    capsys.readouterr()
    assert report._ipython_display_() is None
    assert capsys.readouterr().out == ""
    assert repr(report) == f"<Report {NAME}: passed>"


@pytest.mark.parametrize(("name", "near"), [("00.first-chek", NAME), ("00.first", NAME)])
def test_unknown_name_names_the_nearest(name, near):
    with pytest.raises(ValueError, match=f"the nearest name is '{near}'"):
        check(name, 1)


def test_name_of_wrong_type():
    with pytest.raises(TypeError, match="is a string; got int"):
        check(3, 1)


def test_registry_is_read_only():
    with pytest.raises(TypeError):
        exercises()["00.other"] = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "first"}, "is named like"),
        ({"name": "01.Max Min"}, "is named like"),
        ({"wrong": {}, "mistakes": {}}, "3 wrong answers are needed"),
        ({"right": {}}, "1 other right"),
    ],
)
def test_exercises_are_complete(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(exercises()[NAME], **change)


def test_two_exercises_of_one_name(monkeypatch):
    monkeypatch.setattr(l00_exercises, "EXERCISES", l00_exercises.EXERCISES * 2)
    with pytest.raises(ValueError, match="stands twice"):
        checks.lesson_exercises.__wrapped__("00")


def test_an_exercise_stands_in_its_own_lesson(monkeypatch):
    moved = dataclasses.replace(exercises()[NAME], name="07.first-check")
    monkeypatch.setattr(l00_exercises, "EXERCISES", (moved,))
    with pytest.raises(ValueError, match="not in its own lesson"):
        checks.lesson_exercises.__wrapped__("00")


def test_a_first_check_loads_its_own_lesson_only():
    code = (
        "import sys; from lipteach import classroom; classroom.check('04.steps', 10);"
        "print(sorted(m for m in sys.modules if m.endswith('.exercises') or m == 'torch._dynamo'))"
    )  # torch's compiler takes over a second to import
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "04.steps: passed",
        "['lipteach.classroom.lessons.l04_bjorck.exercises']",
    ]


def test_kind_of_hint_is_known():
    with pytest.raises(ValueError, match="kind of a hint"):
        Hint("style", "no")


def test_broken_judge_is_said_not_raised():
    def judge(answer, mistakes=()):
        raise ZeroDivisionError

    broken = dataclasses.replace(exercises()[NAME], judge=judge)
    assert isinstance(broken, Exercise)
    assert "could not read your answer (ZeroDivisionError)" in examine(broken, 1).hint
