"""The first-run check: green here, and each fault has a line with its mend."""

import importlib.metadata
import subprocess
import sys

import pytest

from lipteach import check_environment as ce


def test_a_good_machine_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    assert ce.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "Ready."
    assert all(line.startswith("[OK]") for line in lines[:-1])
    names = {line.split()[1] for line in lines[:-1]}
    assert {"Python", "torch", "jupyterlab", "z3-solver", "MaxMin", "solver", "digits"} <= names


def test_a_missing_package_is_named_with_its_mend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ce, "requirements", lambda: {"no-such-package": "1.0", "torch": "999.0"})
    assert ce.main() == 1
    out = capsys.readouterr().out
    assert "[FAIL] no-such-package not installed; pip install" in out
    assert "need at least 999.0" in out
    assert out.splitlines()[-1].startswith("2 of ")


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 2))
    with pytest.raises(ce.Problem, match=r"found 3\.10\.2; lipteach needs 3\.11"):
        ce.check_python()


def test_a_package_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _name: "2.0")
    with pytest.raises(ce.Problem, match=r"2\.0 cannot be imported \(ModuleNotFoundError\)"):
        ce.check_package("nosuchmodule", "1.0")


def test_the_requirements_are_those_of_the_lab() -> None:
    names = set(ce.requirements())
    assert {"torch", "numpy", "z3-solver", "jupyterlab", "matplotlib"} <= names
    assert "pytest" not in names


def test_a_requirement_with_a_cap_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    written = [
        "torch<2.14,>=2.9",
        "numpy>=1.26",
        "tqdm>=4.66; extra == 'lab'",
        "a>=1; extra == 'b'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _name: written)
    assert ce.requirements() == {"torch": "2.9", "numpy": "1.26", "tqdm": "4.66"}


def test_run_as_a_file_it_needs_the_standard_library_only() -> None:
    """A Python without any package (-S hides them) hears what is missing, not a traceback."""
    done = subprocess.run(
        [sys.executable, "-S", "-E", ce.__file__], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 1
    assert not done.stderr
    assert "[FAIL] lipteach     not installed" in done.stdout
    assert "[OK]   Python" in done.stdout
