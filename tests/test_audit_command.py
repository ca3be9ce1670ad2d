"""``python -m lipteach.audit``: its exit status and words, and the function of the same name."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import normal
from torch import nn
from torch.nn.utils import parametrize

import lipteach as lt
from lipteach.audit import main


def saved(path: Path, model: object) -> str:
    torch.save(model, path / "model.pt")
    return str(path / "model.pt")


def scaled(norm: float) -> nn.Sequential:
    return nn.Sequential(lt.linear(norm * torch.eye(4)), lt.MaxMin())


@pytest.mark.parametrize(
    ("model", "arguments", "status", "said"),
    [
        (
            scaled(1.0),
            [],
            0,
            "Within: the Lipschitz constant is at most 1 + 0.001, by the upper",
        ),
        (scaled(1.0), ["--input", "4"], 0, "Within: "),
        (scaled(1.2), [], 1, "Above: a layer has a norm of more than 1 + 0.001."),
        (scaled(1.2), ["--input", "4"], 1, "Above: the Jacobian has norm 1.2000 at a sample, more"),
        (scaled(1.2), ["--tol", "0.21"], 0, "at most 1 + 0.21, by"),
        (scaled(1.2), ["--tol", "0.1"], 1, "Fault: 0 (Linear 4→4) has norm 1.2000."),
        (nn.Sequential(nn.GELU()), [], 2, "Unknown: no bound is known for 0 (GELU); with --input"),
        (nn.Sequential(nn.Softplus()), ["--input", "3"], 2, "no bound is known for 0 (Softplus)."),
        (
            nn.Sequential(*3 * [lt.Scale(1.0005)]),
            [],
            2,
            "Unknown: the upper bound is 1.0015, and no",
        ),
        (nn.Sequential(nn.Softshrink(0.0), nn.Conv2d(1, 1, 1)), ["--input", "1,2,2"], 0, "Within"),
        ({"w": 2 * torch.eye(2)}, [], 1, "Above: a tensor has a norm of more than 1 + 0.001, read"),
        ({"w": torch.eye(2)}, [], 2, "w       2×2    1.0000  a Linear's weight"),
        ({"w": torch.eye(2)}, [], 2, "Unknown: the model is not in the file."),
        (scaled(1.0).state_dict(), ["--tol", "0"], 2, "not known are the stride"),
        (
            lt.orthonormal(nn.Linear(2, 2)).state_dict(),
            [],
            2,
            "computed from parametrizations.weigh",
        ),
        (
            {"k": torch.full((1, 1, 3, 3), 0.3)},
            [],
            2,
            "Fault: k, as a Conv2d's kernel, stride 1, 1 group, has norm 2.7000.",
        ),
        ({"k": torch.full((1, 1, 3, 3), 0.4)}, [], 1, "Above: a tensor has a norm of more than"),
        (
            {"k": torch.full((2, 1, 1), 1.5)},
            [],
            1,
            "has norm 2.1213, and with more groups no less than 1.5000.",
        ),
    ],
)
def test_the_status_says_what_is_known(model, arguments, status, said, tmp_path, capsys) -> None:
    if isinstance(model, nn.Sequential) and isinstance(model[-1], nn.Conv2d):
        model[-1].weight.data.fill_(0.5)
    file = saved(tmp_path, model)
    assert main([file, "--trust", *arguments]) == status
    out = capsys.readouterr()
    assert said in out.out
    assert out.err == ""


def test_what_runs_tell_is_not_called_a_proof(tmp_path: Path, capsys) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(1, 1, 2, stride=2), nn.Flatten(), Own(16, 2))
    model[0].weight.data.fill_(0.5)
    model[2].weight.data = lt.polar(normal(2, 16)).float()
    file = saved(tmp_path, model)
    assert main([file, "--trust", "--input", "1,2,2"]) == 0
    out = capsys.readouterr().out
    assert "Within: the Lipschitz constant is at most 1 + 0.001, as far as runs tell, which" in out


class Over(nn.Module):
    """An orthonormal part, and something else in training mode."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.part = lt.linear(torch.eye(4))
        self.factor = factor

    def forward(self, x):
        return self.factor * self.part(x) if self.training else self.part(x)


def test_of_a_forward_that_is_traced_training_mode_is_only_run(tmp_path: Path, capsys) -> None:
    for factor, status, said in (
        (1.0, 0, "by the upper bound, and in training mode as far as runs tell, which prove noth"),
        (0.5, 0, "by the upper bound, and in training mode as far as runs tell, which prove noth"),
        (3.0, 1, "Above: a layer has a norm of more than 1 + 0.001."),
    ):
        file = saved(tmp_path, nn.Sequential(Over(factor), nn.ReLU()).eval())
        assert main([file, "--trust", "--input", "4"]) == status
        assert said in capsys.readouterr().out
    file = saved(tmp_path, lt.ConvexCombination(lt.linear(torch.eye(4))))
    assert main([file, "--trust", "--input", "4"]) == 0
    assert "at most 1 + 0.001, by the upper bound.\n" in capsys.readouterr().out


class Own(nn.Linear):
    """A layer with a forward of its own."""

    def forward(self, x):
        return super().forward(x)


def make_net() -> nn.Module:
    return nn.Sequential(lt.orthonormal(nn.Linear(4, 4)), lt.MaxMin())


class Tripled(nn.Module):
    def forward(self, W):
        return 3 * W if self.training else W


def make_stale() -> nn.Module:
    layer = lt.linear(torch.eye(4))
    parametrize.register_parametrization(layer, "weight", Tripled())
    return nn.Sequential(layer)


def make_nothing() -> None:
    return None


def test_a_state_dict_goes_into_a_model_that_is_made(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "nets", sys.modules[__name__])
    torch.manual_seed(0)
    file = saved(tmp_path, make_net().state_dict())
    assert main([file, "--model", "nets:make_net", "--input", "4"]) == 0
    assert "Within: " in capsys.readouterr().out
    assert main([file]) == 2
    file = saved(tmp_path, make_stale().state_dict())
    assert main([file, "--model", "nets:make_stale", "--input", "4"]) == 1
    out = capsys.readouterr().out
    assert "Fault: 0, training (Linear 4→4) has norm 3.0000." in out
    assert "Above: a layer has a norm of more than 1 + 0.001." in out
    other = saved(tmp_path, {"w": torch.eye(2)})
    whole = str(tmp_path / "whole.pt")
    torch.save(scaled(1.0), whole)
    capsys.readouterr()
    for arguments, part in (
        ([other, "--model", "nets:make_net"], "The state is not one of nets:make_net: Missing key"),
        ([other, "--model", "nets:no_net"], "nets:no_net makes no module: AttributeError: "),
        ([other, "--model", "no_nets:f"], "no_nets:f makes no module: ModuleNotFoundError: "),
        ([other, "--model", "nets"], "nets makes no module: AttributeError"),
        ([other, "--model", "nets:make_nothing"], "must make an nn.Module; it made NoneType."),
        ([whole, "--trust", "--model", "nets:make_net"], "The file holds a module of its own"),
    ):
        assert main(arguments) == 2
        out = capsys.readouterr()
        assert part in out.err
        assert out.err.count("\n") == 1


def test_a_kernel_is_no_fault_if_some_number_of_groups_makes_none_of_it(tmp_path, capsys) -> None:
    torch.manual_seed(0)
    conv = lt.export(lt.orthonormal(nn.Conv2d(8, 8, 3, padding=1, groups=4)))
    grouped = nn.Sequential(conv)
    assert lt.lipschitz_bounds(grouped, normal(2, 8, 6, 6)).upper < 1 + 1e-5
    assert main([saved(tmp_path, grouped.state_dict())]) == 2
    out = capsys.readouterr().out
    assert "a Conv2d's kernel, stride 1, 1 group" in out
    assert "Fault" not in out
    assert "Unknown: the model is not in the file." in out


PROGRAM = """
import lipteach as lt
audit = lt.audit
import lipteach.audit
import lipteach.audit as named
from lipteach import audit as taken
from lipteach.audit import main
import importlib, sys, types
assert lt.audit is lipteach.audit is named is taken is audit
assert isinstance(audit, types.FunctionType), audit
module = importlib.import_module("lipteach.audit")
assert module is sys.modules["lipteach.audit"] and module.main is main
importlib.reload(module)
assert lt.audit is audit and audit is lipteach.auditing.audit
lt.audit = 3
assert lt.audit == 3
"""


def test_the_function_keeps_its_name_whatever_is_imported() -> None:
    for program in (PROGRAM, "from lipteach.audit import main\n" + PROGRAM):
        subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    file = saved(tmp_path, {"w": 2 * torch.eye(2)})
    words = [sys.executable, "-W", "error", "-m", "lipteach.audit", file]
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (1, "")
    assert "w       2×2    2.0000" in done.stdout
    plain = {
        "PYTHONIOENCODING": "ascii",
        "PATH": "",
        "PYTHONPATH": str(Path(lt.__file__).parents[1]),
    }
    done = subprocess.run(words, capture_output=True, text=True, env=plain)
    assert (done.returncode, done.stderr) == (1, "")
    assert "w       2x2    2.0000" in done.stdout
