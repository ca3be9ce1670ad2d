"""Every exercise of every lesson: right answers pass, each wrong one gets its own hint."""

import copy

import pytest
import torch
from torch import nn

from lipteach.classroom import exercises
from lipteach.classroom.calling import is_float
from lipteach.classroom.checks import examine

BANK = exercises()
RIGHT = [(name, label) for name, e in BANK.items() for label in ("solution", *e.right)]


def stub(*args, **kwargs): ...


@pytest.mark.parametrize(("name", "label"), RIGHT)
def test_right_answers_pass(name, label):
    exercise = BANK[name]
    answer = exercise.solution if label == "solution" else exercise.right[label]
    assert str(examine(exercise, answer)) == f"{name}: passed"


def in_float32(solution):
    """The same answer as most students have it: numbers and lists become float32 tensors."""
    if isinstance(solution, nn.Module):
        return copy.deepcopy(solution).float()
    if callable(solution):
        return lambda *given: solution(*[a.float() if is_float(a) else a for a in given])
    if isinstance(solution, tuple):
        return tuple(in_float32(part) for part in solution)
    return solution if isinstance(solution, str) else torch.as_tensor(solution).float()


@pytest.mark.parametrize("name", BANK)
def test_the_solution_passes_in_float32(name):
    assert str(examine(BANK[name], in_float32(BANK[name].solution))) == f"{name}: passed"


@pytest.mark.parametrize("name", BANK)
def test_each_wrong_answer_gets_its_own_hint(name):
    """The named mistakes, word for word, and other wrong answers; no two get the same one."""
    exercise = BANK[name]
    reports = {m.label: (examine(exercise, m.answer), m.hint, None) for m in exercise.known}
    for label, (answer, fragment) in exercise.wrong.items():
        reports[label] = (examine(exercise, answer), None, fragment)
    for label, (report, words, fragment) in reports.items():
        assert (report.passed, report.tried) == (False, True), label
        assert report.hint == (words or report.hint), label
        assert (fragment or "") in report.hint, label
        assert report.hint.count("\n") == 0, label
        assert "could not read" not in report.hint, label
    assert len({report.hint for report, *_ in reports.values()}) == len(reports) >= 3
    kinds = {report.kind for report, *_ in reports.values()}
    assert len(kinds) >= 2, f"all hints are of kind {kinds}: add a wrong answer of another kind"


@pytest.mark.parametrize("name", BANK)
def test_labels_and_fragments_tell_the_wrong_answers_apart(name):
    """No hint of one wrong answer would also satisfy another's test."""
    exercise = BANK[name]
    labels = [*(m.label for m in exercise.known), *exercise.wrong]
    fragments = [fragment for _, fragment in exercise.wrong.values()]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    assert all(fragments)
    assert len(set(fragments)) == len(fragments)
    assert not any(f in m.hint for f in fragments for m in exercise.known)


@pytest.mark.parametrize("name", BANK)
@pytest.mark.parametrize("answer", [None, ..., stub], ids=["none", "ellipsis", "stub"])
def test_stubs_are_not_tried(name, answer):
    assert not examine(BANK[name], answer).tried
