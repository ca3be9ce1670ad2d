"""What a lesson says of itself, and how long its text takes to read."""

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
STEMS = [path.stem for path in sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))]
HEADER = re.compile(
    r"^Reading: (?P<reading>\d+) minutes(?:, optional parts (?P<optional>\d+) more)?"
    r" · exercises: (?P<exercises>\d+) minutes · running: under (?P<seconds>\d+) seconds$",
    re.MULTILINE,
)
EXERCISE = re.compile(r"### Exercise (\d+) (●{1,3}○{0,2}) · (\d+) min · ([a-z0-9]+(?:-[a-z0-9]+)*)")
OPTIONAL = re.compile(r"\s*\*Optional, (\d+) minutes?\.\*\s")
CHECK = re.compile(r"^check\(\"([\w.-]+)\", .+\)$", re.MULTILINE)
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
LINES_A_MINUTE = 15


def cells(stem: str) -> list[nbformat.NotebookNode]:
    return nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4).cells


def header(stem: str) -> dict[str, int]:
    """The four numbers at the end of the first cell; no word of optional parts is 0."""
    found = HEADER.findall(cells(stem)[0].source)
    assert len(found) == 1, f"{stem}: {found}"
    return {name: int(found[0][k - 1] or 0) for name, k in HEADER.groupindex.items()}


@dataclass
class Part:
    """What stands from a heading to the next. Hints, solutions and folded code are not counted."""

    heading: str
    text: str = ""
    code: str = ""
    lines: int = 0
    sliders: int = 0

    def minutes(self, words_a_minute: float) -> float:
        """Each symbol of a formula is a word; a slider takes a minute: predict, move, compare."""
        words = len(f"{self.heading} {self.text}".split())
        return words / words_a_minute + self.lines / LINES_A_MINUTE + self.sliders

    @property
    def optional(self) -> int:
        """The minutes of its mark, or 0."""
        mark = OPTIONAL.match(self.text)
        return int(mark[1]) if mark else 0


def parts(stem: str) -> list[Part]:
    """The lesson, cut at its headings and behind the hints of each exercise."""
    found: list[Part] = []
    for cell in cells(stem):
        if cell.cell_type == "markdown":
            for line in FOLDED.sub("", cell.source).splitlines():
                if re.match(r"#+ ", line):
                    found.append(Part(line))
                else:
                    found[-1].text += line + "\n"
            if FOLDED.search(cell.source) and EXERCISE.match(found[-1].heading):
                found.append(Part(""))
            continue
        found[-1].code += cell.source + "\n"
        if not cell.metadata.get("jupyter", {}).get("source_hidden"):
            read = [line for line in cell.source.splitlines() if re.search(r"\w", line)]
            found[-1].lines += sum(not re.match(r"(from|import) ", line) for line in read)
            found[-1].sliders += "slider_figure(" in cell.source
    return found
