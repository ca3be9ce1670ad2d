"""What stands between a student's code and the rest, and what is said where it is missing."""

import errno
import math
import os
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from course_support import RIGHT

import lipteach.classroom
from lipteach.classroom import checks, compare, guard
from lipteach.classroom.checks import lesson_exercises
from lipteach.classroom.course import namespaces, sandbox
from lipteach.classroom.course.answers import pack, unpack
from lipteach.classroom.course.attempts import Ended, spawn_attempt
from lipteach.classroom.course.sandbox import Limits, Walls
from lipteach.classroom.course.seal import Seal
from lipteach.classroom.course.serving import judge_submission

DATA = [
    *(True, 3, -0.5, math.inf, "erratum", Fraction(1, 3), (1, [2.0, "a"])),
    *(torch.tensor(2), torch.ones(2, 3, dtype=torch.float64), torch.ones(0)),
    *(np.float32(0.5), np.eye(2)),
]


@pytest.mark.parametrize("value", DATA, ids=repr)
def test_data_comes_back_as_it_was(value) -> None:
    again = unpack(pack(value))
    assert type(again) is type(value)
    if isinstance(value, torch.Tensor):
        torch.testing.assert_close(again, value, rtol=0, atol=0)
    elif isinstance(value, np.ndarray):
        np.testing.assert_array_equal(again, value)
    else:
        assert again == value


@pytest.mark.parametrize("value", [max, torch.nn.ReLU(), {}, [max], 1j, ...])
def test_what_is_no_data_is_not_carried(value) -> None:
    assert pack(value) is None


@pytest.mark.parametrize(
    "sent", [1, ["plain", {}], ["tensor", ["<f4", [5], "AAAA"]], ["list"], "x"]
)
def test_a_forged_answer_is_refused(sent) -> None:
    with pytest.raises(ValueError, match="no packed answer"):
        unpack(sent)


def test_a_seal_finds_what_was_replaced_and_puts_it_back() -> None:
    bank = lesson_exercises("00")
    exercise = bank["00.verdict"]
    seal, before = Seal(bank), (checks.examine, compare.close, guard.SECONDS, exercise.judge)
    code, passed = compare.fault.__code__, checks.Report.__str__
    assert seal.mend() == []
    checks.examine = compare.close = lambda *a: True
    guard.SECONDS = 1e9
    object.__setattr__(exercise, "judge", print)
    compare.fault.__code__ = (lambda kind, general, mistakes, matches: None).__code__
    checks.Report.__str__ = lambda self: "passed"
    compare.len = lambda x: 0
    sys.modules["lipteach.classroom.slips"] = compare
    changed = seal.mend()
    assert (checks.examine, compare.close, guard.SECONDS, exercise.judge) == before
    assert compare.fault.__code__ is code
    assert checks.Report.__str__ is passed
    assert not hasattr(compare, "len")
    assert sys.modules["lipteach.classroom.slips"] is lipteach.classroom.slips
    for name in (
        "checks.examine",
        "compare.close",
        "guard.SECONDS",
        "compare.fault",
        "compare.len",
    ):
        assert f"lipteach.classroom.{name}" in changed
    assert seal.mend() == []


def test_a_default_dtype_is_nobody_replacing_the_judge() -> None:
    """PyTorch itself puts another class under one of its names then."""
    seal = Seal(lesson_exercises("00"))
    with guard.kept_settings():
        torch.set_default_dtype(torch.float64)
        assert seal.mend() == []


def test_a_wall_that_the_system_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(namespaces, "separate", refuse)
    monkeypatch.setattr(sandbox, "_own", lambda *_: None)
    walls = sandbox.build(Limits(1, 100, "/nowhere"))
    assert walls.up == []
    first, second = walls.lacking
    assert first.startswith("the network is not cut off")
    assert first.endswith(f"({os.strerror(errno.EPERM)})")
    assert second.startswith("the files are not walled off")


def test_a_system_without_rlimits_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    walls = Walls()
    monkeypatch.setattr(sandbox, "resource", None)
    sandbox._limit_resources(Limits(1, 100, "/"), walls)
    sandbox._limit_processes(walls, counted=True)
    assert walls.up == []
    assert [line.split(" (")[0] for line in walls.lacking] == [
        "memory is not limited",
        "what is written is not limited in size",
        "the number of processes is not limited",
    ]


def test_other_systems_do_not_keep_to_a_limit_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits = []
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    monkeypatch.setattr(sandbox.resource, "setrlimit", lambda *given: set_limits.append(given))
    walls = Walls()
    sandbox._limit_resources(Limits(2, 100, "/"), walls)
    assert walls.lacking == ["memory is not limited (this system does not keep to RLIMIT_AS)"]
    assert sandbox.resource.RLIMIT_CPU in dict(set_limits)


def job(first: str, **more) -> dict:
    exercises = [{"name": "00.first-check", "variable": "larger", "places": [1]}]
    return {"cells": [[0, "import torch"], [1, first]], "own": [1], "exercises": exercises,
            "seconds": 5, "megabytes": 512, "hidden": [], "number": 0, "student": "ada",
            "vary": None} | more  # fmt: skip


LIMITED = """\
import os, tempfile
assert "SECRET" not in os.environ
assert os.environ["HOME"] == os.getcwd() == tempfile.gettempdir()
try:
    bytearray(800 * 2**20)
    raise AssertionError("memory")
except MemoryError:
    pass
try:
    open("big", "wb").write(bytes(65 * 2**20))
    raise AssertionError("a file")
except OSError:
    pass
"""


def test_where_nothing_forks_a_process_is_started_and_the_lack_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its limits are tried from within: where one does not hold, there is no answer."""
    monkeypatch.setenv("SECRET", "x")
    first = LIMITED + RIGHT if sys.platform == "linux" else RIGHT
    found = judge_submission(job(first), spawn_attempt)
    assert found["results"]["00.first-check"]["passed"], found
    assert "the files are not walled off" in found["lacking"]
    assert any("network is not cut off" in line for line in found["lacking"])


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (Ended(at=1, how="time"), "Cell 2 did not end within 5 seconds of computing."),
        (Ended(at="check", how="exit 3"), "ended its own process (exit code 3)"),
        (Ended(at=1, how="signal 9"), "Cell 2 was killed (signal 9)"),
        (Ended(at=1, how="flood"), "wrote megabytes into the channel of the judge"),
        (Ended(at="check", failed="MemoryError"), "could not be judged (MemoryError)"),
        (Ended(how="exit 1"), "The process ended its own process"),
    ],
)
def test_each_end_has_its_sentence(ended: Ended, said: str) -> None:
    result = judge_submission(job(RIGHT), lambda *_: ended)["results"]["00.first-check"]
    assert not result["passed"]
    assert result["tried"]
    assert said in result["hint"]


def test_a_cell_that_stops_an_answer_is_left_out_the_next_time() -> None:
    tried = []

    def launch(attempt, _limits):
        tried.append([place for place, _ in attempt["cells"]])
        return Ended(at=0, how="time")

    given = job(RIGHT, cells=[[0, "torch = 1"], [1, RIGHT]], own=[0, 1])
    result = judge_submission(given, launch)["results"]["00.first-check"]
    assert tried == [[0, 1], [1]]
    assert result["said"] == [
        "Cell 1 did not end within 5 seconds of computing. Cell 1 was left out."
    ]


def test_lines_without_the_word_are_not_read() -> None:
    ended = Ended()
    ended.read([b'{"word": "no", "found": {}}', b"[]", b"\xff", b'{"word": "w", "at": 3}'], "w")
    assert (ended.found, ended.at, ended.forged) == (None, 3, 3)
