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
from lipteach.experiments.machine import records
from lipteach.experiments.machine.pictures import GAP, join_pictures, split_picture
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


def picture_of(record: Path) -> Path:
    [path] = record.parent.glob(f"{record.stem}.*.png")
    return path


def pixels(record: Path) -> list:
    with Image.open(picture_of(record)) as image:
        return list(image.convert("L").tobytes())


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return run_experiment(PAINTED, seeds=2, runs=tmp_path / "runs", results=tmp_path / "results")


def test_the_first_seed_s_pictures_stand_beside_the_record(made: Path, tmp_path: Path) -> None:
    assert pixels(made) == 15 * [10] + GAP * 5 * [255] + 15 * [200]
    record = load_record("painted", "quick", made.parent)
    again = write_record(record, tmp_path / "again")
    assert again.read_bytes() == made.read_bytes()
    assert picture_of(again).name == picture_of(made).name
    assert picture_of(again).read_bytes() == picture_of(made).read_bytes()


def test_another_picture_or_none_is_told(made: Path) -> None:
    picture_of(made).write_bytes(b"another")
    with pytest.raises(RunError, match=r"painted_quick\.\w{8}\.png beside it is another"):
        load_record("painted", "quick", made.parent)
    picture_of(made).unlink()
    with pytest.raises(RunError, match=r"painted_quick\.\w{8}\.png beside it is missing"):
        load_record("painted", "quick", made.parent)


def test_a_kill_between_picture_and_record_leaves_the_former_whole(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = load_record("painted", "quick", made.parent)
    new = dataclasses.replace(record, picture=join_pictures([torch.ones(2, 2, dtype=torch.uint8)]))
    write = records.write_whole

    def killed(path: Path, data: bytes) -> None:
        if path.suffix == ".json":
            raise KeyboardInterrupt
        write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(records, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            write_record(new, made.parent)
    assert load_record("painted", "quick", made.parent).picture == record.picture
    write_record(new, made.parent)
    assert load_record("painted", "quick", made.parent).picture == new.picture
    assert picture_of(made).read_bytes() == new.picture, "the former one's is gone"


def test_a_finished_cell_s_picture_is_kept_over_a_kill(tmp_path: Path) -> None:
    asked = {"seeds": 1, "runs": tmp_path / "runs", "results": tmp_path / "results"}

    def fails(settings: Shade, seed: int, run: Run) -> dict:
        if settings.shade == 200:
            raise KeyboardInterrupt
        return paint(settings, seed, run)

    with pytest.raises(KeyboardInterrupt):
        run_experiment(dataclasses.replace(PAINTED, train=fails), **asked)
    path = run_experiment(dataclasses.replace(PAINTED, train=paint), **asked)
    assert pixels(path)[0] == 10


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


@pytest.mark.parametrize("shape", [(3, 5), (4, 2, 3)])
@pytest.mark.parametrize("count", [1, 3])
def test_a_picture_is_taken_apart(shape: tuple[int, ...], count: int) -> None:
    source = torch.Generator().manual_seed(0)
    pictures = list(torch.randint(256, (count, *shape), dtype=torch.uint8, generator=source))
    again = split_picture(join_pictures(pictures), count)
    assert len(again) == count
    assert all(torch.equal(a, b) for a, b in zip(again, pictures, strict=True))


@pytest.mark.parametrize(
    ("heights", "count"),
    [([5], 2), ([5], 9), ([5], 3), ([3, 5], 2)],  # a row too many, no rows, and no gap, twice
)
def test_pictures_that_are_not_there_are_refused(heights: list[int], count: int) -> None:
    page = join_pictures([torch.zeros(height, 2, dtype=torch.uint8) for height in heights])
    with pytest.raises(ValueError, match=f"{count} pictures of one height"):
        split_picture(page, count)
