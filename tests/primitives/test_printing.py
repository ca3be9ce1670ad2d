"""Printing where → cannot be written, or nothing can: no result is lost with it."""

import io
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import lipteach as lt
from lipteach import classroom
from lipteach.primitives._printing import PLAIN, say, writable


class Stream(io.TextIOWrapper):
    def __init__(self, encoding: str, raw: io.RawIOBase | None = None) -> None:
        super().__init__(raw or io.BytesIO(), encoding=encoding, newline="\n", write_through=True)


class Broken(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, _data) -> int:
        raise BrokenPipeError


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(lt.linf(nn.Linear(4, 4)), nn.Tanhshrink(), lt.Scale(2.0))


@pytest.mark.parametrize(("encoding", "cross"), [("ascii", "x"), ("cp1252", "×"), ("utf-8", "×")])
def test_audit_prints_what_can_be_printed(encoding: str, cross: str, monkeypatch) -> None:
    stream = Stream(encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    report = lt.audit(network(), torch.zeros(2, 4))
    printed = stream.buffer.getvalue().decode(encoding)
    arrow, infinity = ("→", "∞") if encoding == "utf-8" else ("->", "inf")
    assert f"Linear 4{arrow}4" in printed
    assert f"Scale {cross}2" in printed
    assert f"{infinity}-norm" in printed
    assert "→" in report.text
    if encoding == "utf-8":
        assert printed == report.text + "\n"


@pytest.mark.parametrize("stream", [None, Stream("utf-8", Broken())])
def test_a_result_does_not_need_a_stream(stream, monkeypatch) -> None:
    expected = lt.audit(network())
    monkeypatch.setattr(sys, "stdout", stream)
    assert lt.audit(network()).upper == expected.upper
    assert classroom.check("00.first-check", ...).passed is False


def test_a_closed_stream_is_no_error(monkeypatch) -> None:
    stream = Stream("utf-8")
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    say("→")


def test_letters_are_replaced_only_where_they_must_be() -> None:
    assert writable("ö → ∞ × ²", "cp1252") == "ö -> inf × ²"
    assert writable("ö → ∞ × ² \U0001f600", "ascii") == "o -> inf x 2 ?"
    assert writable("\udc80 →", "utf-8") == "? →"
    assert writable("→", "no-such-encoding") == writable("→", None) == "→"
    assert "".join(PLAIN.values()).isascii()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_command_line_lists_the_experiments(encoding: str) -> None:
    plain = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "lipteach.experiments", "list"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, **plain}, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "fig14_spectral" in done.stdout.decode(encoding)
