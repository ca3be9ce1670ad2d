"""Audit a file: ``python -m lipteach.audit checkpoint.pt``.

Of a module, layer by layer what bounds it, in evaluation and in training mode, and the faults that
libraries of Lipschitz layers are known for. The module comes whole from the file (--trust), or from
a function of yours that makes it (--model), to which the state_dict in the file is given: torch
saves a parametrized module in no other way. Of a state_dict alone, which has no layers, the norms
of its matrices and kernels, and what cannot be known of them.

The exit status is 0 if the Lipschitz constant (2-norm) is at most 1 + tol in both modes, 1 if a
layer or a Jacobian is above, and 2 if neither is known or the file cannot be read. A state_dict
does not say what stands between its tensors: it gives 1 or 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lipteach.auditing import Audit, audit
from lipteach.auditing.audit_rows import TRACED
from lipteach.auditing.checkpoint import TensorAudit, audit_tensors, load_checkpoint, model_with
from lipteach.auditing.faults import above
from lipteach.primitives._printing import run_command, say
from lipteach.primitives._validate import first_line

SAMPLES = 8
WITHIN, ABOVE, UNKNOWN = 0, 1, 2


def build_parser() -> argparse.ArgumentParser:
    """Build the options."""
    parser = argparse.ArgumentParser(
        prog="python -m lipteach.audit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", help="what torch.save has written: a state_dict or a module")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="load a pickled module, which runs the code in the file: only if you know its source",
    )
    parser.add_argument(
        "--model",
        metavar="MODULE:NAME",
        help="what makes the module of a state_dict when it is called, such as nets:make_net",
    )
    parser.add_argument(
        "--input",
        type=_shape,
        metavar="1,28,28",
        help=f"the shape of one sample: {SAMPLES} random ones are run, from a fixed seed",
    )
    parser.add_argument("--tol", type=_tolerance, default=1e-3, help="above 1 (0.001)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        held = load_checkpoint(options.file, options.trust)
        if options.model is not None:
            held = model_with(options.model, held)
        if isinstance(held, nn.Module):
            return _audit_module(held, _samples(options.input), options.tol)
        return _audit_state(held, options.tol)
    except (TypeError, ValueError, RuntimeError) as error:
        print(next(iter(str(error).splitlines()), type(error).__name__), file=sys.stderr)
    except (Exception, SystemExit) as error:  # what was given is code, and may do anything
        said = f"{type(error).__name__}: {first_line(error)}"
        print(f"{options.file} could not be audited: {said}", file=sys.stderr)
    return UNKNOWN


def _audit_module(model: nn.Module, x: Tensor | None, tol: float) -> int:
    found = audit(model, x)
    faults, within = found.faults(tol=tol), found.within(tol=tol)
    for fault in faults:
        say(f"Fault: {fault}")
    if within:
        say(f"Within: the Lipschitz constant is at most 1 + {tol:g}, {_how(found, tol)}.")
        return WITHIN
    if within is False:
        say(f"Above: the Jacobian has norm {found.lower:.4f} at a sample, more than 1 + {tol:g}.")
        return ABOVE
    if above((*found.layers, *found.training), 1 + tol):
        say(f"Above: a layer has a norm of more than 1 + {tol:g}.")
        return ABOVE
    what = f"the upper bound is {found.upper:.4f}, and no layer is above 1 + {tol:g}"
    if found.unknown:
        what = f"no bound is known for {found.unknown.rstrip(',')}"
    hint = "" if x is not None else "; with --input it would be run"
    say(f"Unknown: {what}{hint}.")
    return UNKNOWN


def _how(found: Audit, tol: float) -> str:
    """By what a model is within: of a stranger's forward, training mode is only run."""
    runs = "as far as runs tell, which prove nothing"
    if found.upper > 1 + tol:
        return runs
    methods = [layer.method for layer in (*found.layers, *found.training)]
    if any(method.endswith(TRACED) or method.startswith("none") for method in methods):
        return f"by the upper bound, and in training mode {runs}"
    return "by the upper bound"


def _audit_state(state: dict[str, Any], tol: float) -> int:
    tensors, unknown = audit_tensors(state)
    for line in _lines(tensors):
        say(line)
    if unknown:
        several = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        say(f"Not known: what is computed from {several}.")
    say(
        "A state_dict has no layers: not known are the stride, padding and groups of a convolution "
        "(if it pads by zeros, its norm is at most the one shown), what stands between the layers, "
        "and whether a matrix is a layer's; with --model they would be."
    )
    for tensor in tensors:
        if tensor.in_groups > 1 + tol:
            say(f"Fault: {_fault(tensor)}")
    if any(tensor.least > 1 + tol for tensor in tensors):
        say(
            f"Above: a tensor has a norm of more than 1 + {tol:g}, read as shown, whatever its "
            "stride and its groups."
        )
        return ABOVE
    say("Unknown: the model is not in the file.")
    return UNKNOWN


def _fault(tensor: TensorAudit) -> str:
    said = f"{tensor.name}, as {tensor.read_as}, has norm {tensor.lower:.4f}"
    if tensor.in_groups < tensor.lower:
        return f"{said}, and with more groups no less than {tensor.in_groups:.4f}."
    return f"{said}."


def _lines(tensors: list[TensorAudit]) -> list[str]:
    rows = [["tensor", "shape", "norm", "read as"]]
    for name, shape, lower, upper, *_, read_as in tensors:
        norm = f"{lower:.4f}" if lower == upper else f"{lower:.4f} to {upper:.4f}"
        rows.append([name, "×".join(map(str, shape)), norm, read_as])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _samples(shape: tuple[int, ...] | None) -> Tensor | None:
    if shape is None:
        return None
    return torch.randn(SAMPLES, *shape, generator=torch.Generator().manual_seed(0))


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = (0,)
    if min(shape) < 1:
        raise argparse.ArgumentTypeError(f"must be positive integers, such as 1,28,28; got {text}")
    return shape


def _tolerance(text: str) -> float:
    try:
        tol = float(text)
    except ValueError:
        tol = -1.0
    if not 0 <= tol < 1e300:
        raise argparse.ArgumentTypeError(f"must be a number of at least 0; got {text}")
    return tol


if __name__ == "__main__":
    run_command(main, UNKNOWN)
