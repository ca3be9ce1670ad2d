"""The README: its ten lines run and print what it says, its links and commands exist."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from lipteach.experiments import NAMES, experiment
from lipteach.experiments.machine.records import RESULTS, record_path

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_print_what_the_readme_says() -> None:
    code, printed = re.findall(r"```(?:python)?\n(.*?)```", README, re.DOTALL)[1:3]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {})
    assert out.getvalue() == printed
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", "COMING_FROM.md", "notebooks/README.md"]
)
def test_links_lead_somewhere(page: str) -> None:
    folder = (ROOT / page).parent
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (folder / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "notebooks/README.md"])
def test_make_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)\b", text, re.MULTILINE))
    assert named <= targets


def test_what_is_recorded_and_what_waits_is_what_the_profiles_have() -> None:
    """Each experiment has a row and a record; its widths, epochs and steps stand in some cells."""
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(NAMES)
    for name, *said in rows:
        assert record_path(RESULTS, name, "laptop").exists()
        for profile, part in zip(("laptop", "full"), said, strict=True):
            grid = experiment(name).grid(profile)
            given = [("width", number) for number in re.findall(r"width (\d+)", part)]
            counted = re.findall(r"([\d,]+) (epochs|steps)", part)
            given += [(field, number.replace(",", "")) for number, field in counted]
            for field, number in given:
                assert any(getattr(one, field) == int(number) for one in grid), (name, field)
