"""The map: every item of the paper's appendix, what we make of it, and where it is built.

The appendix is that of "Sorting Out Lipschitz Function Approximation" (Anil, Lucas and Grosse,
2019). The rows stand in ``appendix.toml`` beside this file, in the order of the appendix. A row
with a function is built: it also names the section of the lesson that teaches the item and the
test that holds it. A row without one belongs to a lesson that is still planned.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

VERDICTS = ("correct", "under conditions", "erratum", "ambiguous")

_CAUTIONS = {
    "erratum": "Errata: what holds differs from what is written",
    "under conditions": "True under conditions",
    "ambiguous": "Ambiguous: the reading we take",
}


@dataclass(frozen=True)
class Row:
    """One item of the appendix, and our judgement of it.

    Attributes:
        item: the name by which lessons and tests call it: ``"A.1"``, ``"Fig. 10"``,
            ``"A.2 leaky ReLU"``.
        title: a few words.
        says: what the appendix says, in our words.
        verdict: one of ``VERDICTS``.
        remark: the condition, or the erratum with what breaks it and what holds.
        lesson: the lesson that treats it, ``"01_groupsort"``.
        function: the dotted name of what builds it; empty while it is not yet built.
        anchor: the heading of the lesson's section, word for word.
        test: the test that holds it, as pytest names it.
    """

    item: str
    title: str
    says: str
    verdict: str
    lesson: str
    remark: str = ""
    function: str = ""
    anchor: str = ""
    test: str = ""

    @property
    def built(self) -> bool:
        """Whether the package has a function for the item."""
        return bool(self.function)

    @property
    def link(self) -> str:
        """Markdown: a link to the lesson's section, or the words "not yet built".

        The anchor follows JupyterLab's rule, which puts a hyphen for each space of a heading.
        """
        if not self.built:
            return f"not yet built: lesson {self.lesson}"
        target = f"{self.lesson}.ipynb"
        if self.anchor:
            target += "#" + self.anchor.replace(" ", "-")
        return f"[{self.lesson}]({target})"


@cache
def rows() -> tuple[Row, ...]:
    """Return every row of the map, in the order of the appendix.

    >>> [row.item for row in rows()][:3]
    ['A', 'A.1', 'Fig. 10']
    """
    text = resources.files("lipteach").joinpath("appendix.toml").read_text(encoding="utf-8")
    return tuple(Row(**entry) for entry in tomllib.loads(text)["row"])


def errata() -> tuple[Row, ...]:
    """Return the rows where what holds differs from what the appendix says.

    >>> find("Theorem 2") in errata()
    True
    """
    return tuple(row for row in rows() if row.verdict == "erratum")


def find(item: str) -> Row:
    """Return the row of one item.

    Raises:
        TypeError: if ``item`` is not a string.
        ValueError: if the map has no such item; the message offers the nearest names.

    >>> find("A.3 chunking").verdict
    'erratum'
    """
    if not isinstance(item, str):
        raise TypeError(
            f"find got {type(item).__name__} and needs the name of an item, such as 'Fig. 10'."
        )
    by_item = {row.item: row for row in rows()}
    if item in by_item:
        return by_item[item]
    near = get_close_matches(item, by_item, n=3, cutoff=0.4) or ["A.1", "Fig. 10", "Theorem 1"]
    raise ValueError(f"find got {item!r} and needs an item of the map, such as {_listed(near)}.")


def markdown_table(selected: Iterable[Row] | None = None) -> str:
    """Return rows as a Markdown table whose links work from within ``notebooks/``.

    Without an argument the table holds the whole map.

    Raises:
        TypeError: if something else than a ``Row`` is among them.

    >>> print(markdown_table([find("F")]).splitlines()[0])
    | item | what it says | verdict | lesson, function, test |
    """
    head = ["item", "what it says", "verdict", "lesson, function, test"]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in rows() if selected is None else _rows_only(selected):
        where = [row.link, *map(_code, [row.function, *row.test.split("::")])]
        cells = [_escaped(row.item), _escaped(row.says), row.verdict]
        lines.append(_line([*cells, "<br>".join(filter(None, where))]))
    return "\n".join(lines)


def _rows_only(selected: Any) -> list[Row]:
    listed = list(selected) if isinstance(selected, Iterable) else [selected]
    wrong = [type(row).__name__ for row in listed if not isinstance(row, Row)]
    if wrong:
        raise TypeError(
            f"markdown_table got {wrong[0]} and needs rows of the map, such as find('A.1')."
        )
    return listed


def markdown_errata() -> str:
    """Return, as a Markdown list, all that a reader of the appendix should be told.

    The errata come first, then what is true only under conditions, then what can be read in
    more than one way. Each entry says what is written and then what holds.

    >>> "**Algorithm 1**" in markdown_errata()
    True
    """
    parts = []
    for verdict, heading in _CAUTIONS.items():
        entries = [_entry(row) for row in rows() if row.verdict == verdict]
        parts.append("\n".join([f"**{heading}** ({len(entries)})", "", *entries]))
    return "\n\n".join(parts)


def _entry(row: Row) -> str:
    says, remark = _escaped(row.says), _escaped(row.remark)
    return f"- **{_escaped(row.item)}**, {_escaped(row.title)}. {says} *{remark}* ({row.link})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _escaped(text: str) -> str:
    """Keep the characters that Markdown would take for its own: |x| must not end a cell."""
    return re.sub(r"([|_*<$`\\])", r"\\\1", text)


def _listed(names: list[str]) -> str:
    *first, last = (repr(name) for name in names)
    return f"{', '.join(first)} or {last}" if first else last
