"""Holds each notebook to the run time that its own header states."""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest

STATED = re.compile(r" · running: under (\d+) seconds")
NOTEBOOKS = Path(__file__).parent
spent: dict[str, float] = defaultdict(float)


def stated_seconds(notebook: Path) -> int:
    """The bound in the notebook's first cell."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    found = STATED.search("".join(cells[0]["source"]))
    if not found:
        raise ValueError(f"{notebook.name}: no words 'running: under S seconds'")
    return int(found.group(1))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a cell's time, the kernel's start included, to its notebook."""
    spent[report.nodeid.partition("::")[0]] += report.duration


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if a notebook took longer than it says."""
    for name in sorted(spent):
        notebook = NOTEBOOKS / Path(name).name
        bound = stated_seconds(notebook)
        verdict = "within" if spent[name] < bound else "OVER"
        sys.stdout.write(f"\n{notebook.name}: {spent[name]:.1f} s, {verdict} its {bound} s")
        if spent[name] >= bound:
            session.exitstatus = 1
    sys.stdout.write("\n")
