"""CIFAR-10's archive, made up in its format: what is read is what was written."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from lipteach.training import cifar, load_cifar, load_image_set


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Two images a file, by the name of the file: bytes of labels and channels, then rows."""
    files = {}
    with tarfile.open(tmp_path / cifar.ARCHIVE, "w:gz") as archive:
        for k, name in enumerate([*cifar.FILES["train"], *cifar.FILES["test"]]):
            files[name] = np.random.RandomState(k).randint(0, 256, (2, 3073)).astype(np.uint8)
            files[name][:, 0] %= 10
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = files[name].size
            archive.addfile(member, io.BytesIO(files[name].tobytes()))
    data = (tmp_path / cifar.ARCHIVE).read_bytes()
    monkeypatch.setattr(cifar, "MD5", hashlib.md5(data).hexdigest())
    return files


def test_each_pixel_is_where_the_format_has_it(made_up: dict, tmp_path: Path) -> None:
    images, labels = load_cifar(tmp_path)
    assert images.shape == (10, 3, 32, 32)
    third = made_up["data_batch_2.bin"][0]
    assert labels[2] == third[0]
    for channel, row, column in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (2, 31, 30)):
        byte = third[1 + 1024 * channel + 32 * row + column]
        assert images[2, channel, row, column].item() == pytest.approx(byte / 255)
    images, labels = load_image_set("cifar", "test", 32, tmp_path)
    assert labels.tolist() == made_up["test_batch.bin"][:, 0].tolist()
    halves = load_image_set("cifar", "test", 16, tmp_path)[0]
    assert torch.allclose(halves[1, 2, 3, 4], images[1, 2, 6:8, 8:10].mean())


@pytest.mark.usefixtures("made_up")
def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / cifar.ARCHIVE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"is not cifar-10-binary\.tar\.gz: its MD5 is [0-9a-f]+"):
        load_cifar(tmp_path)
