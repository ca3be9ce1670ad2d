"""CIFAR-10's archive: only the original is read, and a download that broke off goes on."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from support import uniform

from lipteach.training import cifar, load_cifar10

NAME = "cifar-10-binary.tar.gz"
COUNT = 20  # rows of a file


def made_up(name: str) -> np.ndarray:
    """Rows in CIFAR's format: a label, and the planes of red, green and blue."""
    seed = [*cifar.TRAIN, *cifar.TEST].index(name)
    rows = (uniform(COUNT, cifar.ROW, low=0, seed=seed) * 256).to(torch.uint8).numpy()
    rows[:, 0] %= 10
    return rows


def packed(names: tuple[str, ...] = (*cifar.TRAIN, *cifar.TEST), cut: int = 0) -> bytes:
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w:gz") as files:
        for name in names:
            data = made_up(name).tobytes()
            data = data[: len(data) - cut]
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(data)
            files.addfile(member, io.BytesIO(data))
    return found.getvalue()


def lay(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> Path:
    monkeypatch.setattr(cifar, "MD5", hashlib.md5(data).hexdigest())
    (folder / NAME).write_bytes(data)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar, "ROWS", COUNT)
    monkeypatch.setattr(cifar, "BLOCK", 1000)


def test_pixels_and_labels_are_where_the_format_has_them(tmp_path, monkeypatch) -> None:
    folder = lay(tmp_path, monkeypatch, packed())
    images, labels = load_cifar10(folder, "test")
    rows = made_up("test_batch.bin")
    assert (images.dtype, labels.dtype, images.shape) == (
        torch.float32,
        torch.int64,
        (20, 3, 32, 32),
    )
    assert labels.tolist() == rows[:, 0].tolist()
    for image, channel, row, column in ((0, 0, 0, 0), (3, 1, 2, 31), (19, 2, 31, 5)):
        byte = rows[image, 1 + 1024 * channel + 32 * row + column]
        assert images[image, channel, row, column] == np.float32(byte) / np.float32(255)


def test_a_tenth_is_kept_for_validation(tmp_path, monkeypatch) -> None:
    folder = lay(tmp_path, monkeypatch, packed())
    whole, train, validation = (
        load_cifar10(folder, split)[0].flatten(1)
        for split in ("train+validation", "train", "validation")
    )
    assert (len(whole), len(train), len(validation)) == (100, 90, 10)
    distances = torch.cdist(torch.cat([train, validation]), whole)
    assert sorted(distances.argmin(1).tolist()) == list(range(100)), "each once"


@pytest.mark.parametrize("place", [0, 50, -30])
def test_a_damaged_archive_is_refused(place: int, tmp_path, monkeypatch) -> None:
    folder = lay(tmp_path, monkeypatch, packed())
    data = bytearray((folder / NAME).read_bytes())
    data[place] ^= 1
    (folder / NAME).write_bytes(data)
    with pytest.raises(
        ValueError, match=r"is not CIFAR-10's archive: its MD5 begins with [0-9a-f]{12}"
    ):
        load_cifar10(folder)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (packed(cifar.TRAIN[:4]), "must hold .*; data_batch_5.bin is missing"),
        (packed(cut=1), "cannot be unpacked"),
        (packed()[:-400], "cannot be unpacked"),
        (b"no archive", "cannot be unpacked"),
    ],
)
def test_an_archive_of_another_content_is_refused(data, said, tmp_path, monkeypatch) -> None:
    with pytest.raises(ValueError, match=said):
        load_cifar10(lay(tmp_path, monkeypatch, data))


def test_nothing_is_unpickled(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("pickle.loads", None)
    monkeypatch.setattr("pickle.load", None)
    monkeypatch.setattr("pickle.Unpickler", None)
    assert len(load_cifar10(lay(tmp_path, monkeypatch, packed()))[0]) == 90


def test_what_is_missing_is_said(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=f"CIFAR-10 is missing: put {NAME} into"):
        load_cifar10(tmp_path / "nowhere")
    (tmp_path / NAME).mkdir()
    with pytest.raises(FileNotFoundError, match="must be a file; it is a folder"):
        load_cifar10(tmp_path, download=True)


class Server(BaseHTTPRequestHandler):
    """Sends `data`; breaks off after `most` bytes; begins in the middle if it `resumes`."""

    data = b""
    most: int | None = None
    resumes = True
    asked: list[str]

    def do_GET(self) -> None:
        given = self.headers.get("Range", "")
        self.asked.append(given)
        begin = int(given[6:-1]) if given and self.resumes else 0
        rest = self.data[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.most])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch) -> Iterator[type[Server]]:
    handler = type("Handler", (Server,), {"data": packed(), "asked": []})
    monkeypatch.setattr(cifar, "MD5", hashlib.md5(handler.data).hexdigest())
    with HTTPServer(("127.0.0.1", 0), handler) as running:
        monkeypatch.setattr(cifar, "URL", f"http://127.0.0.1:{running.server_port}/{NAME}")
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield handler
        running.shutdown()


@pytest.mark.parametrize("resumes", [True, False])
def test_a_download_that_broke_off_goes_on(resumes: bool, server, tmp_path) -> None:
    server.most, server.resumes = 40_000, resumes
    with pytest.raises(OSError, match=r"could not be fetched .*; the part that came is kept"):
        load_cifar10(tmp_path, download=True)
    assert not (tmp_path / NAME).exists()
    server.most = None
    assert len(load_cifar10(tmp_path, download=True)[0]) == 90
    assert server.asked == ["", "bytes=40000-"]
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    load_cifar10(tmp_path, download=True)
    assert len(server.asked) == 2, "nothing is fetched twice"


def test_a_download_that_had_ended_is_not_asked_for_again(server, tmp_path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(server.data)
    assert len(load_cifar10(tmp_path, download=True)[0]) == 90
    assert not server.asked


def test_what_is_not_the_original_is_not_kept(server, tmp_path) -> None:
    server.data = packed(cifar.TRAIN)
    with pytest.raises(ValueError, match=r"What http.* sent is not CIFAR-10's archive"):
        load_cifar10(tmp_path, download=True)
    assert not [*tmp_path.iterdir()]
