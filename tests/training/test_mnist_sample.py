"""The embedded digits: what is loaded, and that a damaged file is refused."""

import hashlib
from pathlib import Path

import pytest
import torch

from lipteach.training import mnist, mnist_sample


@pytest.mark.parametrize(("split", "count"), [("train", 2000), ("test", 1000)])
def test_shapes_range_and_balance(split: str, count: int) -> None:
    images, labels = mnist_sample(split)
    assert images.shape == (count, 28, 28)
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert images.min() == 0
    assert images.max() == 1
    assert labels.bincount().tolist() == [count // 10] * 10


def test_the_images_are_the_digits_their_labels_say() -> None:
    """The nearest training image names the digit of a test image 87 times in 100."""
    images, labels = mnist_sample("train")
    test_images, test_labels = mnist_sample("test")
    nearest = torch.cdist(test_images.flatten(1), images.flatten(1)).argmin(1)
    assert (labels[nearest] == test_labels).float().mean() > 0.85


def test_train_and_test_share_no_image() -> None:
    train = {hashlib.sha256(image.numpy().tobytes()).digest() for image in mnist_sample("train")[0]}
    test = {hashlib.sha256(image.numpy().tobytes()).digest() for image in mnist_sample("test")[0]}
    assert len(train) == 2000
    assert len(test) == 1000
    assert not train & test


def test_provenance_names_the_checksum_and_the_licence() -> None:
    text = mnist.SAMPLE.with_suffix(".md").read_text(encoding="utf-8")
    assert mnist.SAMPLE_SHA256 in text
    assert "CC BY-SA 3.0" in text
    assert mnist.SAMPLE.stat().st_size < 512 * 1024


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty", "swapped"])
def test_a_damaged_file_is_refused(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = mnist.SAMPLE.read_bytes()
    middle = len(good) // 2
    flipped = good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]
    bad = {"truncated": good[:-1], "one bit": flipped, "empty": b"", "swapped": b"PK" + good}
    path = tmp_path / "mnist_sample.npz"
    path.write_bytes(bad[damage])
    monkeypatch.setattr(mnist, "SAMPLE", path)
    with pytest.raises(ValueError, match="is damaged: its SHA-256 begins with"):
        mnist_sample()


def test_a_missing_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "SAMPLE", tmp_path / "gone.npz")
    with pytest.raises(FileNotFoundError, match=r"gone\.npz is missing"):
        mnist_sample()
