"""One page on what a class got wrong, and what to say on Monday; no names."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping
from pathlib import Path

from lipteach.classroom.course.counting import ClassCount, Counted, Met
from lipteach.classroom.course.hint_bars import draw_hints
from lipteach.classroom.course.pages import many, text, write_page

_SHARE, _MOST = 0.1, 5  # of a class that must have met a hint to be spoken of; points of a Monday


def write_report(place: Path, title: str, found: ClassCount, cures: Mapping[str, str]) -> Path:
    """Write report.html, hints.png and report.csv into a folder, and return the page's path."""
    place.mkdir(parents=True, exist_ok=True)
    figure = draw_hints(found.exercises, title)
    figure.savefig(place / "hints.png", dpi=150)
    _write_table(place / "report.csv", found, cures)
    picture = f'<img src="hints.png" alt="{text(figure.get_label())}">'
    body = [
        _summary(found),
        "<h2>What to say on Monday</h2>",
        _monday(found, cures),
        "<h2>At a glance</h2>",
        picture,
        "<h2>Exercise by exercise</h2>",
        *(_exercise(one, cures.get(one.name, "")) for one in found.exercises),
        "<h2>Shared by several exercises</h2>",
        _shared(found),
        "<h2>What happened to notebooks</h2>",
        _happened(found),
        "<h2>How they were judged</h2>",
        _walls(found),
    ]
    write_page(place / "report.html", f"{title}: the class", "\n".join(body))
    return place / "report.html"


def _summary(found: ClassCount) -> str:
    if not found.scores:
        return "<p>Nothing was handed in.</p>"
    middle = f"{statistics.median(found.scores):g}"
    said = f"{many(len(found.scores), 'submission')}; median {middle} of {found.points} points."
    if found.absent:
        who = "student of the gradebook has", "students of the gradebook have"
        said += f" {many(found.absent, *who)} nothing in submitted/: absent.csv."
    said += " No name of a student stands on this page; notebooks.csv has them."
    return f"<p>{said}</p>"


def points_of_monday(found: ClassCount) -> list[tuple[Counted, Met]]:
    """The hints that most of the class met, each with its exercise; single ones are left out."""
    least = max(2, _SHARE * len(found.scores))
    pairs = [(one, met) for one in found.exercises for met in one.hints if met.count >= least]
    return sorted(pairs, key=lambda pair: -pair[1].count)[:_MOST]


def _monday(found: ClassCount, cures: Mapping[str, str]) -> str:
    lines = []
    for one, met in points_of_monday(found):
        label = f" ({text(met.label)})" if met.label else ""
        cure = cures.get(one.name, "")
        show = f"<br>Show again: <b>{text(cure)}</b>." if cure else ""
        share = f"<b>{met.count} of {one.of}</b> in {text(one.name)}{label}"
        lines.append(f"<li>{share}: “{text(met.hint)}”{show}</li>")
    tried = [one for one in found.exercises if one.tried > one.of / 2]
    hardest = min(tried, key=lambda one: one.passed / one.of, default=None)
    if hardest and len(found.scores) > 1 and hardest.passed < hardest.of:
        where = cures.get(hardest.name, "")
        show = f"<br>Show again: <b>{text(where)}</b>." if where else ""
        share = f"{hardest.passed} of {hardest.of}"
        lines.append(f"<li>Fewest passed {text(hardest.name)}: <b>{share}</b>.{show}</li>")
    untried = [one for one in found.exercises if one.of - one.tried > one.of / 2]
    lines += [f"<li>More than half did not try {text(one.name)}.</li>" for one in untried]
    return f"<ol>{''.join(lines)}</ol>" if lines else "<p>No hint was met by several.</p>"


def _exercise(one: Counted, cure: str) -> str:
    minutes = f" · {one.minutes:g} min in the middle" if one.minutes is not None else ""
    numbers = f"{one.passed} passed, {one.tried} tried, of {one.of}{minutes}"
    where = f'<p class="small">Taught in: {text(cure)}</p>' if cure else ""
    rows = "".join(
        f'<tr><td class="number">{met.count} of {one.of}</td><td>{text(met.label) or "–"}</td>'
        f"<td>{text(met.hint)}</td></tr>"
        for met in one.hints
    )
    head = '<tr><th class="number">met by</th><th>mistake</th><th>hint</th></tr>'
    table = f"<table>{head}{rows}</table>" if rows else ""
    return f"<h3>{text(one.name)}</h3><p>{numbers}</p>{where}{table}"


def _shared(found: ClassCount) -> str:
    said = (
        '<p class="small">A slip counts as shared by a student who met it in two exercises or '
        "more: the same question of the check (numbers apart), or a hint of the same kind.</p>"
    )
    if not found.shared:
        return f"{said}<p>None.</p>"
    rows = "".join(
        f'<tr><td class="number">{many(one.students, "student")}</td><td>{text(one.what)}</td>'
        f"<td>{text(', '.join(one.exercises))}</td></tr>"
        for one in found.shared
    )
    return f"{said}<table>{rows}</table>"


def _happened(found: ClassCount) -> str:
    if not found.said:
        return "<p>All were whole.</p>"
    lines = (f"<li>{many(number, 'notebook')}: {text(line)}</li>" for number, line in found.said)
    return f"<ul>{''.join(lines)}</ul>"


def _walls(found: ClassCount) -> str:
    up = "".join(f"<li>{text(line)}</li>" for line in found.up)
    lacking = "".join(f"<li><b>Not here:</b> {text(line)}</li>" for line in found.lacking)
    first = "Each exercise ran in a process of its own, by the released checks."
    return f"<p>{first}</p><ul>{up}{lacking}</ul>"


def _write_table(path: Path, found: ClassCount, cures: Mapping[str, str]) -> None:
    head = ["exercise", "students", "tried", "passed", "minutes", "taught in"]
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        table = csv.writer(file)
        table.writerow([*head, "met by", "mistake", "kind", "hint"])
        for one in found.exercises:
            first = [one.name, one.of, one.tried, one.passed, one.minutes, cures.get(one.name, "")]
            for met in one.hints or (Met("", "", 0, ""),):
                table.writerow([*first, met.count, met.label, met.kind, met.hint])
