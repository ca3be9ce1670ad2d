"""Numbers for a lesson's equations, and links from the names of the appendix's items to the map."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from pages import section_label, slug

from lipteach.appendix import rows

ALONE = re.compile(  # what no link may stand in: code, mathematics, links, HTML, headings
    r"```.*?```|`[^`]+`|\$\$.*?\$\$|\$[^$]+\$|!?\[[^\]]*\]\([^)]*\)|<[^>]+>|^#+ .*?$|^\(.*\)=$",
    re.MULTILINE | re.DOTALL,
)
NAME = re.compile(
    r"\b(?:(Theorem|Lemma|Algorithm|Table) (\d+)|(Figure|Fig\.) (\d+)|(Equation|Eq\.) \((\d+)\)"
    r"|(?<!\()\b([A-H]\.\d)\b)"
)
EQUATION = re.compile(r"^(\$\$.*?\$\$)(?=\s*$)", re.MULTILINE | re.DOTALL)
ITEMS = {row.item for row in rows()}


def with_references(text: str, stem: str, numbers: count[int]) -> str:
    """The text of a cell, its equations labelled, and each name of an item leading to the map."""

    def label(equation: re.Match[str]) -> str:
        own = "\\tag" in equation[1] or re.search(r"\(\d+\)", equation[1])  # the appendix's number
        return equation[1] if own else f"{equation[1]} ({section_label(stem, str(next(numbers)))})"

    return "".join(_linked(EQUATION.sub(label, text)))


def _linked(text: str) -> Iterator[str]:
    last = 0
    for piece in ALONE.finditer(text):
        yield NAME.sub(_link, text[last : piece.start()])
        yield piece[0]
        last = piece.end()
    yield NAME.sub(_link, text[last:])


def _link(found: re.Match[str]) -> str:
    kind, number, figure, drawn, equation, given, section = found.groups()
    item = section or (f"{kind} {number}" if kind else f"Fig. {drawn}" if figure else "")
    item = item or (f"Eq. ({given})" if equation else "")
    return f"[{found[0]}](#{slug(item)})" if item in ITEMS else found[0]
