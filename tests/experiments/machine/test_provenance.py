"""By what code a number was made: what changes the digest, and what does not."""

import shutil
from pathlib import Path

import pytest
from tiny_experiment import train

from lipteach.experiments.machine import provenance

digest = provenance.digest_code.__wrapped__  # without its memory


@pytest.fixture
def package(tmp_path: Path, monkeypatch) -> Path:
    """A copy of the package that may be changed."""
    here, there = provenance.PACKAGE, tmp_path / "lipteach"
    shutil.copytree(here, there, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("PACKAGE", "MACHINE"):
        monkeypatch.setattr(provenance, name, there / getattr(provenance, name).relative_to(here))
    others = {there / path.relative_to(here) for path in provenance.OTHERS}
    monkeypatch.setattr(provenance, "OTHERS", others)
    return there


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("primitives/norms.py", True),
        ("layers/retraction.py", True),
        ("training/networks.py", True),
        ("training/mnist_sample.npz", True),
        ("experiments/machine/checkpoints.py", True),
        ("experiments/fig16_jacobian.py", False),
        ("classroom/checks.py", False),
        ("classroom/lessons/l04_bjorck/exercises.py", False),
    ],
)
def test_the_package_under_a_training_counts(file: str, counts: bool, package: Path) -> None:
    before, path = digest(train), package / file
    path.write_bytes(path.read_bytes() + b"\nMORE = 1\n")
    assert (digest(train) != before) is counts


def test_comments_and_docstrings_do_not_count(package: Path) -> None:
    before, path = digest(train), package / "primitives" / "norms.py"
    text = path.read_text(encoding="utf-8").replace('"""', '"""Said otherwise. ', 1)
    path.write_text(text.replace("\n\n\ndef ", "\n\n\n# a word\ndef "), encoding="utf-8")
    assert digest(train) == before


def test_a_training_that_stands_in_no_file_counts_itself() -> None:
    def typed(text: str):
        found: dict = {}
        exec(
            compile(f"def train(settings, seed, run):\n    return {text}", "<stdin>", "exec"), found
        )
        return found["train"]

    assert digest(typed("-seed")) == digest(typed("-seed"))
    texts = [
        "[-seed for _ in run]",
        "[+seed for _ in run]",
        "seed",
        "run.seed",
        "run.need",
        "1",
        "2",
    ]
    assert len({digest(typed(text)) for text in texts}) == len(texts)
