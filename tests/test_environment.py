"""environment.yml, pyproject.toml, CITATION.cff and the changelog say the same (offline)."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

import lipteach as lt

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAME = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "POT": "pot"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_environment_yml_asks_for_what_the_lab_extra_asks() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert set(environment) == {"name", "channels", "dependencies"}
    assert environment["channels"] == ["conda-forge"]
    listed = environment["dependencies"]
    assert [entry for entry in listed if isinstance(entry, dict)] == [{"pip": ["-e ."]}]
    own = [e for e in listed if isinstance(e, str) and not e.startswith(("python=", "pip"))]
    conda = {r.name: r.specifier for r in map(Requirement, own)}
    wanted = project()["dependencies"] + project()["optional-dependencies"]["lab"]
    pypi = {CONDA_NAME.get(r.name, r.name): r.specifier for r in map(Requirement, wanted)}
    assert conda == pypi


BOOTSTRAP = ROOT / "tools" / "bootstrap.py"


def load_bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", BOOTSTRAP)
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    return bootstrap


def test_make_installs_the_torch_of_pyproject(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap = load_bootstrap()
    monkeypatch.delenv("LIPTEACH_TORCH", raising=False)
    assert bootstrap.read_torch() in project()["dependencies"]
    monkeypatch.setenv("LIPTEACH_TORCH", "torch==2.9.1")
    assert bootstrap.read_torch() == "torch==2.9.1"
    lines = BOOTSTRAP.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "<2" in line]


def test_an_installation_says_what_it_does_and_for_how_long(capsys: pytest.CaptureFixture) -> None:
    bootstrap = load_bootstrap()
    slow = [sys.executable, "-c", "import time; print('its own words'); time.sleep(0.8)"]
    assert bootstrap.wait("2/3  installing …", slow, every=0.3) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"2/3  installing … (\d s … )+done in \d s\n", said)
    bad = [sys.executable, "-c", "raise SystemExit('no such wheel')"]
    assert bootstrap.wait("3/3  installing …", bad) == 1
    said = capsys.readouterr().out
    assert "failed after" in said
    assert "no such wheel" in said


def test_environment_python_is_one_we_support() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (python,) = (e for e in environment["dependencies"] if str(e).startswith("python="))
    supported = [c.rsplit(" ", 1)[1] for c in project()["classifiers"] if ":: 3." in c]
    assert python.removeprefix("python=") in supported
    assert project()["requires-python"] == ">=3.11,<3.14"
    assert supported == ["3.11", "3.12", "3.13"]


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert lt.__version__ == project()["version"] == citation["version"]
    assert f"## {lt.__version__}" in changelog


def test_citation_names_the_paper_and_the_software() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["title"] == "lipteach"
    (paper,) = citation["references"]
    assert paper["title"] == "Sorting out Lipschitz function approximation"
    assert [author["family-names"] for author in paper["authors"]] == ["Anil", "Lucas", "Grosse"]


@pytest.mark.parametrize("workflow", [".github/workflows/test.yml"])
def test_workflow_runs_make_test_on_three_systems(workflow: str) -> None:
    job = yaml.safe_load((ROOT / workflow).read_text(encoding="utf-8"))["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.13"]
    assert len(job["strategy"]["matrix"]["os"]) == 3
    assert any(step.get("run") == "make test" for step in job["steps"])


def test_workflow_tries_the_oldest_versions_that_we_admit() -> None:
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    (step,) = (s for s in yaml.safe_load(text)["jobs"]["oldest"]["steps"] if "printf" in str(s))
    oldest = {r.name: r.specifier for r in map(Requirement, project()["dependencies"])}
    for name in ("torch", "numpy"):
        (least,) = (s.version for s in oldest[name] if s.operator == ">=")
        assert f"'{name}=={least}.*'" in step["run"]
