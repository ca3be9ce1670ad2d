"""Sets of images: one form for all, and folders of pictures that we make up."""

import builtins
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lipteach.training import image_sets, load_image_folder, load_image_set, mnist_sample


def test_the_embedded_digits_are_means_of_four_pixels_at_14() -> None:
    images, labels = load_image_set("sample", "test", 14, "nowhere")
    whole, same = mnist_sample("test")
    assert images.shape == (1000, 1, 14, 14)
    assert torch.equal(labels, same)
    assert images[7, 0, 5, 6].item() == pytest.approx(whole[7, 10:12, 12:14].mean().item())
    assert torch.equal(load_image_set("sample", "test", 28, "nowhere")[0][:, 0], whole)


@pytest.mark.parametrize("name", ["mnist", "fashion"])
def test_large_sets_are_asked_for_by_their_parts(name: str, monkeypatch) -> None:
    asked = []

    def load(root, split, kind):
        asked.append((root, split, kind))
        return torch.ones(6, 28, 28), torch.zeros(6).long()

    monkeypatch.setattr(image_sets, "load_mnist", load)
    for split in ("train", "test"):
        assert load_image_set(name, split, 28, "data")[0].shape == (6, 1, 28, 28)
    assert asked == [("data", "train+validation", name), ("data", "test", name)]


def test_cifar_is_asked_for_by_its_parts_and_scaled(monkeypatch) -> None:
    asked = []
    images = torch.rand(4, 3, 32, 32)

    def load(root, split):
        asked.append((root, split))
        return images, torch.zeros(4).long()

    monkeypatch.setattr(image_sets, "load_cifar10", load)
    halves = load_image_set("cifar", "train", 16, "data")[0]
    assert torch.allclose(halves[1, 2, 3, 4], images[1, 2, 6:8, 8:10].mean())
    load_image_set("cifar", "test", 32, "data")
    assert asked == [("data", "train+validation"), ("data", "test")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures in two folders, whose colour tells their place in the order of the paths."""
    (tmp_path / "faces" / "more").mkdir(parents=True)
    for k in range(12):
        where = (
            tmp_path / "faces" / ("more" if k > 8 else "") / f"{k:02d}.{'png' if k % 2 else 'BMP'}"
        )
        Image.new("RGB", (20 + k, 31), (20 * k, 255 - 20 * k, 0)).save(where)
    (tmp_path / "faces" / "list.txt").write_text("no picture")
    return tmp_path


def test_a_folder_is_read_in_order_and_scaled(folder: Path) -> None:
    images = load_image_folder(folder / "faces", 8)
    assert images.shape == (12, 3, 8, 8)
    for k, image in enumerate(images):
        wanted = torch.tensor([20 * k, 255 - 20 * k, 0]) / 255
        assert torch.allclose(image, wanted[:, None, None].expand(3, 8, 8), atol=1e-6)


def test_the_square_in_the_middle_is_cut_out_and_pixels_are_means(tmp_path: Path) -> None:
    pixels = np.zeros((4, 10, 3), np.uint8)
    pixels[:, 3:7] = np.random.RandomState(0).randint(0, 256, (4, 4, 3))
    pixels[:, :3] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    found = load_image_folder(tmp_path, 2)[0]
    middle = pixels[:, 3:7].reshape(2, 2, 2, 2, 3).mean(axis=(1, 3)) / 255
    rounded_twice = 1.01 / 255
    assert np.allclose(found.permute(1, 2, 0).numpy(), middle, atol=rounded_twice)


def test_grey_pictures_become_colours(tmp_path: Path) -> None:
    Image.new("L", (9, 9), 51).save(tmp_path / "grey.png")
    assert torch.allclose(load_image_folder(tmp_path, 3), torch.full((1, 3, 3, 3), 0.2))


def test_faces_have_two_parts_and_no_labels(folder: Path) -> None:
    train, test = (load_image_set("faces", split, 8, folder) for split in ("train", "test"))
    assert (len(train[0]), len(test[0])) == (11, 1)
    together = torch.cat([train[0], test[0]]).flatten(1)
    assert len(torch.unique(together, dim=0)) == 12
    assert train[1].tolist() == [0] * 11


def test_a_damaged_picture_is_named(folder: Path) -> None:
    (folder / "faces" / "03.png").write_bytes(b"\x89PNG and no more")
    with pytest.raises(ValueError, match=r"03\.png cannot be read as a picture: .+\.$"):
        load_image_folder(folder / "faces", 8)


def test_without_pillow_one_sentence_names_it(folder: Path, monkeypatch) -> None:
    real = builtins.__import__

    def refuse(name, *rest, **others):
        if name == "PIL":
            raise ModuleNotFoundError(name)
        return real(name, *rest, **others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError, match="read by Pillow, which is not installed"):
        load_image_folder(folder / "faces", 8)
