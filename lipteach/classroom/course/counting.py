"""What a class got wrong: the hints of each exercise by how many met them, and what is shared."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lipteach.classroom.checks import Exercise
from lipteach.classroom.course.verdicts import Graded, Verdict
from lipteach.classroom.own import ANOTHERS, THE_TEXTS

KINDS = {
    "type": "another kind of thing than is asked for",
    "shape": "a result of another shape",
    "mutation": "an input that is changed in place",
    "layout": "right for some shapes, and not for others",
    "ties": "right but where two values are equal",
    "gradient": "a gradient that is lost or wrong",
    "constraint": "a condition of the text that is not kept",
    "error": "code that raises",
    "time": "code that does not end",
}
_NUMBER = re.compile(r"[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_FEW = 3  # who knows the minutes of fewer knows those of single persons


@dataclass(frozen=True)
class Met:
    """A hint with the number of students who met it; ``label`` is the bank's name of the mistake.

    Hints of one kind that ask the same question, or differ in their numbers alone, are counted
    together; ``hint`` is then what they have in common.
    """

    label: str
    hint: str
    count: int
    kind: str


@dataclass(frozen=True)
class Counted:
    """An exercise in figures."""

    name: str
    of: int
    tried: int
    passed: int
    hints: tuple[Met, ...] = ()
    minutes: float | None = None  # the median, where enough notebooks tell


@dataclass(frozen=True)
class Shared:
    """A slip that students met in two exercises or more: the same question, or the same kind."""

    what: str
    students: int
    exercises: tuple[str, ...]


@dataclass
class ClassCount:
    """All that the report shows; it holds no name of a student."""

    exercises: list[Counted] = field(default_factory=list)
    shared: list[Shared] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    scores: list[int] = field(default_factory=list)
    points: int = 0
    absent: int = 0  # who is in the gradebook and handed in nothing


def count(all_of: Sequence[Graded], bank: Mapping[str, Exercise]) -> ClassCount:
    """Count what a class has met.

    >>> count([], {}).exercises
    []
    """
    found = ClassCount()
    if not all_of:
        return found
    for place, first in enumerate(all_of[0].verdicts):
        verdicts = [graded.verdicts[place] for graded in all_of]
        found.exercises.append(_count_one(verdicts, bank[first.name]))
    found.shared = _find_shared(all_of, bank)
    said = Counter(
        _anonymous(line)
        for graded in all_of
        for line in dict.fromkeys((*graded.said, *(s for v in graded.verdicts for s in v.said)))
    )
    found.said = [(many, line) for line, many in said.most_common()]
    found.up = _every(graded.up for graded in all_of)
    found.lacking = _every(graded.lacking for graded in all_of)
    found.scores, found.points = [graded.score for graded in all_of], all_of[0].points
    return found


def _every(lines: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(line for some in lines for line in some))


def _count_one(verdicts: Sequence[Verdict], exercise: Exercise) -> Counted:
    groups: dict[str, list[tuple[str, Verdict]]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.tried and not verdict.passed:
            key, label = recognise(verdict.hint, exercise)
            groups[f"{verdict.kind}: {key}"].append((label, verdict))
    hints = []
    for group in groups.values():
        label, first = group[0]
        hints.append(Met(label, _common([v.hint for _, v in group]), len(group), first.kind))
    hints.sort(key=lambda met: (-met.count, met.hint))
    minutes = [verdict.minutes for verdict in verdicts if verdict.minutes is not None]
    return Counted(
        exercise.name,
        len(verdicts),
        sum(verdict.tried for verdict in verdicts),
        sum(verdict.passed for verdict in verdicts),
        tuple(hints),
        round(statistics.median(minutes), 1) if len(minutes) >= _FEW else None,
    )


def _common(hints: Sequence[str]) -> str:
    """What several hints say alike: all of it, all but numbers and names, or the question alone."""
    for said in (str, _without_numbers, general):
        if len({said(hint) for hint in hints}) == 1:
            break
    return said(hints[0])


_TAKEN = {THE_TEXTS: "the numbers of the text", ANOTHERS: "the numbers of another student"}


def recognise(hint: str, exercise: Exercise) -> tuple[str, str]:
    """What a hint is counted under, and the label of the mistake if it is one of the bank's."""
    labels = {mistake.hint: mistake.label for mistake in exercise.known} | _TAKEN
    if hint in labels:
        return f"known {labels[hint]}", labels[hint]
    return general(hint), ""


def general(hint: str) -> str:
    """A hint without what is special to one answer: its question, and no numbers.

    >>> general("For [1.0] the result is 2; 3 is right. The sign is turned: what is taken?")
    'The sign is turned: what is taken?'
    """
    text = _without_numbers(hint)
    sentences = re.split(r"(?<=[.?!]) (?=[A-Z])", text)
    return sentences[-1] if sentences[-1].endswith("?") else text


def _without_numbers(hint: str) -> str:
    return _NUMBER.sub("…", re.sub(r"`.*?`", "`…`", hint))


def _find_shared(all_of: Sequence[Graded], bank: Mapping[str, Exercise]) -> list[Shared]:
    met: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for graded in all_of:
        for verdict in graded.verdicts:
            if not verdict.tried or verdict.passed:
                continue
            if verdict.kind in KINDS:
                met[KINDS[verdict.kind]][graded.student].add(verdict.name)
            if recognise(verdict.hint, bank[verdict.name])[0] == general(verdict.hint):
                met[general(verdict.hint)][graded.student].add(verdict.name)
    shared = []
    for what, by_student in met.items():
        twice = [names for names in by_student.values() if len(names) > 1]
        if twice:
            shared.append(Shared(what, len(twice), tuple(sorted(set().union(*twice)))))
    return sorted(shared, key=lambda one: (-one.students, one.what))


def _anonymous(line: str) -> str:
    """A sentence without the numbers and the names that are one student's."""
    line = re.sub(
        r"STUDENT .*; the course knows you as .*, and", "STUDENT is another name, and", line
    )
    line = re.sub(r"is called .*; it was", "has another name; it was", line)
    line = re.sub(r"notebooks; .* was graded", "notebooks; one was graded", line)
    line = re.sub(r"(No cell with an answer found|[^:]* counted|[^:]* counts): .*", r"\1.", line)
    return re.sub(r"\bCell \d+\b", "A cell", line)
