"""The picture beside a record: joined, written, checked, and written again."""

import dataclasses
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from lipteach.experiments import Experiment, Run, RunError, load_record, run_experiment
from lipteach.experiments.machine.pictures import GAP, join_pictures
from lipteach.experiments.machine.records import write_record


@dataclass(frozen=True)
class Shade:
    shade: int


def paint(settings: Shade, seed: int, run: Run) -> dict:
    for _ in run.steps(2):
        pass
    run.show(torch.full((3, 5), settings.shade + seed, dtype=torch.uint8))
    return {"shade": float(settings.shade)}


PAINTED = Experiment("painted", "Fig. 0", "", lambda _: (Shade(10), Shade(200)), paint, str)


def pixels(path: Path) -> list:
    with Image.open(path) as image:
        return list(image.convert("L").tobytes())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return run_experiment(PAINTED, seeds=2, runs=tmp_path / "runs", results=tmp_path / "results")


def test_the_first_seed_s_pictures_stand_beside_the_record(made: Path, tmp_path: Path) -> None:
    assert pixels(made.with_suffix(".png")) == 15 * [10] + GAP * 5 * [255] + 15 * [200]
    record = load_record("painted", "quick", made.parent)
    again = write_record(record, tmp_path / "again")
    for suffix in (".json", ".png"):
        assert again.with_suffix(suffix).read_bytes() == made.with_suffix(suffix).read_bytes()


def test_another_picture_or_none_is_told(made: Path) -> None:
    made.with_suffix(".png").write_bytes(b"another")
    with pytest.raises(RunError, match=r"painted_quick\.png beside it is another"):
        load_record("painted", "quick", made.parent)
    made.with_suffix(".png").unlink()
    with pytest.raises(RunError, match=r"painted_quick\.png beside it is missing"):
        load_record("painted", "quick", made.parent)


def test_a_finished_cell_s_picture_is_kept_over_a_kill(tmp_path: Path) -> None:
    asked = {"seeds": 1, "runs": tmp_path / "runs", "results": tmp_path / "results"}

    def fails(settings: Shade, seed: int, run: Run) -> dict:
        if settings.shade == 200:
            raise KeyboardInterrupt
        return paint(settings, seed, run)

    with pytest.raises(KeyboardInterrupt):
        run_experiment(dataclasses.replace(PAINTED, train=fails), **asked)
    path = run_experiment(dataclasses.replace(PAINTED, train=paint), **asked)
    assert pixels(path.with_suffix(".png"))[0] == 10


def test_grey_and_coloured_pictures_of_any_width_fit_one_page() -> None:
    red = torch.zeros(2, 3, 3, dtype=torch.uint8)
    red[..., 0] = 255
    grey = torch.full((1, 2), 100, dtype=torch.uint8)
    with Image.open(io.BytesIO(join_pictures([grey, red]))) as page:
        assert (page.size, page.mode) == ((3, 3 + GAP), "RGB")
        assert page.getpixel((1, 0)) == (100, 100, 100)
        assert page.getpixel((2, 0)) == (255, 255, 255)
        assert page.getpixel((2, 2 + GAP)) == (255, 0, 0)


def test_without_pillow_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(RunError, match=r"Pillow, which is not installed: pip install -e"):
        join_pictures([torch.zeros(1, 1, dtype=torch.uint8)])
