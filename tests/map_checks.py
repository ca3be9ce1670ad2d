"""What the map of the appendix must hold, and checkers that return its faults as sentences."""

import ast
import re
from importlib import import_module
from pathlib import Path

from lipteach import appendix
from lipteach.appendix import Row

ROOT = Path(__file__).parents[1]

# The numbered items of the appendix, copied from its pages and not from the map.
SUBSECTIONS = {"A": 4, "B": 4, "C": 0, "D": 0, "E": 0, "F": 0, "G": 3, "H": 5}
SECTIONS = [
    *SUBSECTIONS,
    *(f"{s}.{i + 1}" for s, count in SUBSECTIONS.items() for i in range(count)),
]
WHERE = {  # each numbered item, and the section it stands in
    **{"Fig. 10": "A.1", "Fig. 11": "A.1", "Fig. 12": "B.1", "Fig. 13": "B.1", "Fig. 14": "B.2"},
    **{"Fig. 15": "G.2", "Fig. 16": "G.3", "Fig. 17": "H.3", "Table 3": "B.4", "Table 4": "G.1"},
    **{"Table 5": "G.1", "Table 6": "G.1", "Table 7": "H.5", "Eq. (8)": "B.1", "Eq. (9)": "B.3"},
    **{"Eq. (10)": "B.3", "Eq. (11)": "B.3", "Eq. (12)": "D", "Theorem 1": "D", "Theorem 2": "D"},
    **{"Theorem 3": "E", "Lemma 1": "E", "Observation E": "E", "Algorithm 1": "C"},
    **{"Algorithm 2": "F", "Eq. (6)": "A.2", "Eq. (7)": "A.2"},
}

NAMED = re.compile(r"Fig|Eq|Table|Theorem|Lemma|Algorithm|Observation|[A-Z](\.\d.*| .*)?$")
NUMBERED = re.compile(
    r"Fig\. \d+|Eq\. \(\d+\)|(?:Table|Theorem|Lemma|Algorithm) \d+|Observation [A-Z]\b"
)
ITEM = re.compile(
    r"(Fig\. |Table |Theorem |Lemma |Algorithm )\d+|Eq\. \(\d+\)|Observation E|[\w.]+"
)


def function_faults(row: Row) -> list[str]:
    """The function must be found by importing it."""
    parts = row.function.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name, None)
        if callable(found):
            return []
    return [f"{row.item}: no function {row.function}"]


def node_faults(row: Row) -> list[str]:
    """The test must stand in its file; it need not be run for that."""
    path, *names = row.test.split("[")[0].split("::")
    file = ROOT / path
    if not names or not file.is_file():
        return [f"{row.item}: no test file for {row.test!r}"]
    body = ast.parse(file.read_text(encoding="utf-8")).body
    for name in names:
        named = [node for node in body if getattr(node, "name", None) == name]
        if not named or not name.lower().startswith("test"):
            return [f"{row.item}: no test {name} in {path}"]
        body = named[0].body
    return []


def headings(source: str) -> list[str]:
    """The headings of a notebook's percent script, outside its fenced code."""
    found, markdown, fenced = [], False, False
    for line in source.splitlines():
        if line.startswith("# %%"):
            markdown, fenced = "[markdown]" in line, False
        elif markdown and line.startswith("# ```"):
            fenced = not fenced
        elif markdown and not fenced and (match := re.match(r"# #+ (.*\S)", line)):
            found.append(match[1])
    return found


def named_items(heading: str) -> list[str]:
    """The appendix items in the parentheses that end a heading."""
    match = re.search(r"\(((?:[^()]|\([^()]*\))*)\)$", heading)
    return [name for name in match[1].split(", ") if NAMED.match(name)] if match else []


def heading_faults(heading: str) -> list[str]:
    """The items a heading names must be in the map."""
    known = {row.item for row in appendix.rows()}
    named = dict.fromkeys([*named_items(heading), *NUMBERED.findall(heading)])
    unknown = [name for name in named if name not in known]
    return [f"heading {heading!r} names {name!r}, which the map lacks" for name in unknown]


def anchor_faults(row: Row, present: list[str]) -> list[str]:
    """The anchor must be a heading of the lesson, once, that names the row's item."""
    if present.count(row.anchor) != 1:
        return [f"{row.item}: {present.count(row.anchor)} headings {row.anchor!r} in {row.lesson}"]
    if not re.fullmatch(r"[ -~]*", row.anchor) or set('"`<>*$') & set(row.anchor):
        return [f"{row.item}: JupyterLab follows links to plain ASCII only, not {row.anchor!r}"]
    named = named_items(row.anchor)
    within = {*named, *(WHERE.get(name, name) for name in named)}
    within |= {name.split(".")[0] for name in within if name in SECTIONS}
    item = ITEM.match(row.item)
    if row.item in named or (item and item[0] in within):
        return []
    return [f"{row.item}: the heading {row.anchor!r} does not name it"]


def lesson_headings(lesson: str) -> list[str] | None:
    """The headings of a lesson; None where it is not written yet."""
    file = ROOT / "notebooks" / f"{lesson}.py"
    return headings(file.read_text(encoding="utf-8")) if file.is_file() else None
