"""What ``python -m lipteach.audit`` cannot read, or what ends it: one sentence, and status 2."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import lipteach as lt
from lipteach.audit import main


def saved(path: Path, model: object) -> str:
    torch.save(model, path / "model.pt")
    return str(path / "model.pt")


def test_errors_are_one_sentence(tmp_path: Path, capsys) -> None:
    model = saved(tmp_path, nn.Sequential(lt.linear(torch.eye(4)), lt.MaxMin()))
    spoilt = str(tmp_path / "spoilt.pt")
    torch.save({"w": torch.full((2, 2), torch.nan)}, spoilt)
    sparse = str(tmp_path / "sparse.pt")
    torch.save({"w": torch.eye(2).to_sparse()}, sparse)
    for arguments, part in (
        ([sparse], "w must be a dense tensor; got layout torch.sparse_coo."),
        ([model], "give --trust only if you know where it comes from"),
        ([str(tmp_path / "none.pt")], "There is no file"),
        ([model, "--trust", "--input", "5"], "x of shape (8, 5) does not fit the model: "),
        ([spoilt], "w must be finite; it holds NaN or infinity."),
    ):
        assert main(arguments) == 2
        out = capsys.readouterr()
        assert part in out.err
        assert out.err.count("\n") == 1
        assert out.out == ""
    for bad in (["--input", "0,2"], ["--input", "a"], ["--tol", "-1"], ["--tol", "x"], []):
        with pytest.raises(SystemExit) as caught:
            main([*([model] if bad else []), *bad])
        assert caught.value.code == 2
        assert capsys.readouterr().err


EXITS = """
import sys
from torch import nn

def make_net():
    return nn.Sequential(nn.Linear(4, 4), Leaving())

class Leaving(nn.Module):
    def forward(self, x):
        sys.exit(0)

def leave():
    sys.exit(0)
"""


def test_code_that_ends_the_program_is_no_proof(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "nets_that_exit.py").write_text(EXITS)
    (tmp_path / "script_that_exits.py").write_text(EXITS + "leave()")
    file = saved(tmp_path, nn.Sequential(nn.Linear(4, 4)).state_dict())
    for name, part in (
        ("script_that_exits:make_net", "makes no module: SystemExit: 0"),
        ("nets_that_exit:leave", "makes no module: SystemExit: 0"),
        ("nets_that_exit:make_net", "model.pt could not be audited: SystemExit: 0"),
    ):
        assert main([file, "--model", name, "--input", "4"]) == 2
        out = capsys.readouterr()
        assert part in out.err
        assert out.err.count("\n") == 1
        assert out.out == ""
    torch.save(Exit(), tmp_path / "exit.pt")
    assert main([str(tmp_path / "exit.pt"), "--trust"]) == 2
    assert "could not be loaded: SystemExit: 0" in capsys.readouterr().err


class Exit:
    def __reduce__(self):
        return sys.exit, (0,)
