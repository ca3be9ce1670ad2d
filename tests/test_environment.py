"""environment.yml, pyproject.toml, CITATION.cff and the changelog say the same (offline)."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import lipteach as lt

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAME = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "POT": "pot"}
NOT_ON_CONDA_FORGE = {"pytorch-optimizer"}  # it comes with `pip: -e .`


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
    asked = [r for r in map(Requirement, wanted) if r.name not in NOT_ON_CONDA_FORGE]
    pypi = {CONDA_NAME.get(r.name, r.name): r.specifier for r in asked}
    assert conda == pypi


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
