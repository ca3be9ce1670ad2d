"""Full MNIST and Fashion-MNIST: only the original is loaded, and nothing good is ever lost."""

import gzip
import hashlib
import os
import struct
import subprocess
import sys
import urllib.error
from http.client import IncompleteRead
from pathlib import Path

import numpy as np
import pytest
import torch
from support import uniform

from lipteach.training import load_mnist, mnist, mnist_sample


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def tiny(kind: str) -> dict[str, np.ndarray]:
    """Random arrays with the names of the four files."""
    seed, arrays = 10 * (kind == "fashion"), {}
    for i, name in enumerate(mnist.MNIST):
        count = 5 if name.startswith("train") else 3
        images = "images" in name
        noise = uniform(*((count, 28, 28) if images else (count,)), low=0, seed=seed + i)
        arrays[name] = (noise * (256 if images else 10)).to(torch.uint8).numpy()
    return arrays


ARRAYS = {kind: tiny(kind) for kind in ("mnist", "fashion")}
DATA = {kind: {name: idx(array) for name, array in ARRAYS[kind].items()} for kind in ARRAYS}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The checksums of the tiny files; their packed copies lie where a download looks."""
    for kind, files in DATA.items():
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        monkeypatch.setitem(mnist.SHA256, kind, sums)
        server = tmp_path / "server" / kind
        server.mkdir(parents=True)
        for name, data in files.items():
            (server / f"{name}.gz").write_bytes(gzip.compress(data))
        monkeypatch.setitem(mnist.URLS, kind, server.as_uri() + "/")


def lay(folder: Path, kind: str = "mnist", packed: bool = False) -> Path:
    """The four files of a kind in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in DATA[kind].items():
        path = folder / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["mnist", "fashion"])
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_what_is_loaded(packed: bool, kind: str, nested: bool, split: str, tmp_path: Path) -> None:
    raw = {"mnist": "MNIST/raw", "fashion": "FashionMNIST/raw"}[kind]
    lay(tmp_path / "data" / raw if nested else tmp_path / "data", kind, packed)
    for root in (tmp_path / "data", str(tmp_path / "data")):
        images, labels = load_mnist(root, split, kind)
        prefix = {"train": "train", "test": "t10k"}[split]
        bytes_ = ARRAYS[kind][f"{prefix}-images-idx3-ubyte"]
        assert torch.equal(images, torch.tensor(bytes_) / 255)
        assert labels.tolist() == ARRAYS[kind][f"{prefix}-labels-idx1-ubyte"].tolist()
        sample_images, sample_labels = mnist_sample()
        assert images.dtype == sample_images.dtype
        assert labels.dtype == sample_labels.dtype
        assert images.ndim == sample_images.ndim


@pytest.mark.parametrize("kind", ["mnist", "fashion"])
def test_a_tenth_of_the_training_file_is_kept_for_validation(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts share no image, miss none, and keep the file's order; the labels go along."""
    arrays = {
        IMAGES: np.repeat(np.arange(40, dtype=np.uint8), 784).reshape(40, 28, 28),
        LABELS: np.arange(40, dtype=np.uint8),
    }
    files = {name: idx(array) for name, array in arrays.items()}
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    monkeypatch.setitem(mnist.SHA256, kind, sums)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    parts = {}
    for split in ("train", "validation", "train+validation"):
        images, labels = load_mnist(tmp_path, split, kind)
        assert torch.equal(images[:, 0, 0].mul(255).round().long(), labels)
        assert labels.tolist() == sorted(labels.tolist())
        parts[split] = set(labels.tolist())
    assert parts["train+validation"] == set(range(40))
    assert parts["train"] | parts["validation"] == set(range(40))
    assert parts["validation"] == {4, 20, 22, 25}  # RandomState(0).permutation(40)[:4]
    assert not parts["train"] & parts["validation"]


def test_the_validation_rows_of_mnist_never_change() -> None:
    """NumPy freezes the stream of RandomState; these are the first and the sum of the 6,000."""
    rows = mnist.validation_rows(60_000).nonzero().flatten()
    assert len(rows) == 6000
    assert (rows[:5].tolist(), int(rows.sum())) == ([17, 18, 28, 50, 66], 179_834_904)


def test_the_table_is_that_of_the_sample_s_provenance() -> None:
    """MNIST's sums stand beside the sample too; all eight differ and are sums."""
    text = (Path(mnist.__file__).parent / "mnist_sample.md").read_text(encoding="utf-8")
    assert all(f"{name} `{sha256}`" in text for name, sha256 in mnist.MNIST.items())
    sums = {*mnist.MNIST.values(), *mnist.FASHION.values()}
    assert len(sums) == 8
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in sums)


def flipped(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


GOOD = DATA["mnist"][IMAGES]
TRUNCATED_GZIP = gzip.compress(GOOD)[:-20]
BAD = {
    "one bit": (flipped(GOOD), "is not train-images-idx3-ubyte of MNIST: its SHA-256 begins with"),
    "cut off": (GOOD[:-1], "is cut off or damaged: 3,936 bytes for its shape (5, 28, 28)"),
    "too long": (GOOD + b"x", "is cut off or damaged: 3,936 bytes"),
    "empty": (b"", "is no idx file of bytes: it begins with ''"),
    "three bytes": (GOOD[:3], "is no idx file of bytes: it begins with '000008'"),
    "no dimension": (b"\0\0\x08\0", "is cut off or damaged: 5 bytes for its shape ()"),
    "255 dimensions": (
        b"\0\0\x08\xff" + b"\xff" * 1020,
        "is cut off or damaged: over 10¹⁵ bytes for its shape (4294967295,",
    ),
    "half a header": (GOOD[:7], "is no idx file of bytes: it begins with '00000803'"),
    "other entries": (b"\0\0\x0d" + GOOD[3:], "is no idx file of bytes: it begins with '00000d03'"),
    "a page": (b"<html>no such file</html>", "is no idx file of bytes: it begins with '3c68746d'"),
    "one more": (GOOD[:7] + b"\x06" + GOOD[8:], "is cut off or damaged: 4,720 bytes"),
    "packed, cut off": (TRUNCATED_GZIP, "is cut off or damaged: gzip cannot unpack it"),
    "packed, one bit": (flipped(gzip.compress(GOOD)), "is cut off or damaged: gzip cannot unpack"),
    "packed, no such block": (
        gzip.compress(GOOD)[:10] + b"\xff" + gzip.compress(GOOD)[11:],
        "is cut off or damaged: gzip cannot unpack it",
    ),
    "packed, a stub": (b"\x1f\x8b", "is cut off or damaged: gzip cannot unpack it"),
    "packed, no gzip": (b"\x1f\x8bno", "is cut off or damaged: gzip cannot unpack it"),
    "test": (
        DATA["mnist"]["t10k-images-idx3-ubyte"],
        "must hold train-images-idx3-ubyte of MNIST; it holds t10k-images-idx3-ubyte of MNIST",
    ),
    "labels": (DATA["mnist"][LABELS], "it holds train-labels-idx1-ubyte of MNIST"),
    "Fashion": (
        gzip.compress(DATA["fashion"][IMAGES]),
        "must hold train-images-idx3-ubyte of MNIST; it holds train-images-idx3-ubyte of Fashion-",
    ),
}


@pytest.mark.parametrize("download", [False, True])
@pytest.mark.parametrize("bad", BAD)
def test_another_file_is_refused_and_left_alone(bad: str, download: bool, tmp_path: Path) -> None:
    raw = lay(tmp_path / "data" / "MNIST" / "raw")
    data, message = BAD[bad]
    (raw / IMAGES).write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="data") as caught:
        load_mnist(tmp_path / "data", download=download)
    assert str(caught.value).startswith(str(raw / IMAGES))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before
    assert len(load_mnist(tmp_path / "data", "test")[0]) == 3, "the others are still good"


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_download_leaves_nothing(bad: str, tmp_path: Path) -> None:
    raw = lay(tmp_path / "data" / "MNIST" / "raw")
    (raw / IMAGES).unlink()
    data, message = BAD[bad]
    (tmp_path / "server" / "mnist" / f"{IMAGES}.gz").write_bytes(data)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="What file://") as caught:
        load_mnist(tmp_path / "data", download=True)
    assert message in str(caught.value)
    assert tree(tmp_path) == before
    assert not [path for path in raw.iterdir() if path.is_dir()]


def test_a_download_fetches_what_is_missing_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = load_mnist(tmp_path / "data", "train", "fashion", download=True)
    assert "100%" in capsys.readouterr().err, "the progress is shown"
    raw = tmp_path / "data" / "FashionMNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == {
        name: DATA["fashion"][name] for name in (IMAGES, LABELS)
    }, "unpacked, where torchvision looks"
    (raw / LABELS).unlink()
    stamp = (raw / IMAGES).stat()
    again = load_mnist(tmp_path / "data", "train", "fashion", download=True)
    assert torch.equal(again[0], images)
    assert torch.equal(again[1], labels)
    assert (raw / IMAGES).stat().st_ino == stamp.st_ino
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    load_mnist(tmp_path / "data", "train", "fashion", download=True)


ERRORS = [
    urllib.error.URLError("no route to host"),
    IncompleteRead(b"", 10),
    ConnectionResetError(104, "Connection reset by peer"),
    OSError(28, "No space left on device"),
    PermissionError(13, "Permission denied"),
]


@pytest.mark.parametrize("error", [*ERRORS, KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_an_interrupted_download_leaves_nothing(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = lay(tmp_path / "data" / "MNIST" / "raw")
    (raw / LABELS).unlink()
    before = tree(tmp_path)

    def break_off(url: str, dst: str) -> None:
        Path(dst).write_bytes(b"\x1f\x8bhalf")
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", break_off)
    with pytest.raises((OSError, KeyboardInterrupt)) as caught:
        load_mnist(tmp_path / "data", download=True)
    if not isinstance(error, KeyboardInterrupt):
        assert f"{LABELS} could not be fetched from file://" in str(caught.value)
        assert f"into {raw} ({error}); nothing was changed" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before
    assert not [path for path in raw.iterdir() if path.is_dir()]


def test_a_kill_between_the_check_and_the_name_leaves_the_place_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(source: Path, target: Path) -> None:
        assert Path(source).read_bytes() == DATA["mnist"][IMAGES], "checked and whole by now"
        assert not Path(target).exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        load_mnist(tmp_path / "data", download=True)
    assert tree(tmp_path / "data") == {}


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    raw = lay(tmp_path / "MNIST" / "raw", packed=True)
    (raw / f"{LABELS}.gz").unlink()
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{LABELS} of MNIST is missing: put it, or {LABELS}.gz, into {raw}")
    assert "load with download=True" in message
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte of Fashion-MNIST is miss"):
        load_mnist(tmp_path, kind="fashion")


def test_a_place_that_cannot_be_written_or_read(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"could not be fetched from file:.*nothing was changed"):
        load_mnist(tmp_path / "file", download=True)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    raw = lay(tmp_path / "MNIST" / "raw")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(PermissionError, match=rf"Permission denied: '{raw / IMAGES}'"):
        load_mnist(tmp_path)


def test_a_folder_of_that_name_hides_no_packed_file(tmp_path: Path) -> None:
    raw = lay(tmp_path / "MNIST" / "raw", packed=True)
    (raw / IMAGES).mkdir()
    assert len(load_mnist(tmp_path)[0]) == 5
    (raw / f"{IMAGES}.gz").unlink()
    with pytest.raises(FileNotFoundError, match=rf"{raw / IMAGES} must be a file, and is a folder"):
        load_mnist(tmp_path)


@pytest.mark.parametrize("download", [False, True])
def test_a_link_that_leads_nowhere_is_said(download: bool, tmp_path: Path) -> None:
    raw = lay(tmp_path / "MNIST" / "raw")
    for target in (IMAGES, "nothing"):  # a loop, and a file that is gone
        (raw / IMAGES).unlink()
        (raw / IMAGES).symlink_to(target)
        with pytest.raises(OSError, match=rf"^{raw / IMAGES} is a link that leads to no file\.$"):
            load_mnist(tmp_path, download=download)


def test_a_file_in_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"file must be a folder, and is a file, or"):
        load_mnist(tmp_path / "file")


def test_the_part_of_a_killed_download_is_removed(tmp_path: Path) -> None:
    """That of a download which is still at work is not."""
    raw = tmp_path / "data" / "MNIST" / "raw"
    code = "import os; print(os.getpid())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    alive = raw / f".download-{os.getpid()}-x"
    for part in (raw / f".download-{ended.strip()}-x", raw / ".download-old", alive):
        part.mkdir(parents=True)
        (part / "half").write_bytes(b"half")
    load_mnist(tmp_path / "data", download=True)
    assert [*raw.glob(".download-*")] == [alive]
