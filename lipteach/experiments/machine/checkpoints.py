"""What a training loop sees of the machine: its steps, its curves, its device."""

from __future__ import annotations

import copy
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from lipteach.experiments.machine.files import RunError, check_identity, load_state, save_state
from lipteach.primitives._validate import check_integer

Curve = list[tuple[int, float]]
LOOP = {"step": int, "total": int, "state": dict, "curves": {str: [[int | float]]}}
CHECKPOINT = {"identity": dict, "loops": [LOOP], "seconds": float}


def find_device(name: torch.device | str) -> torch.device:
    """Return a device that works here; for "auto" a GPU if PyTorch finds one, or the CPU."""
    if not isinstance(name, torch.device | str):
        raise TypeError(f"device must be a name or a torch.device; got {type(name).__name__}.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except Exception as error:  # PyTorch knows no such name, or lacks the device, in many ways
        raise ValueError(
            f"device must be auto, cpu or another that PyTorch can use here; got {str(name)!r}."
        ) from error
    return torch.device(name)


class Run:
    """One training of one cell, which a kill interrupts and does not undo.

    ``Run()`` keeps nothing and shows nothing: enough for a test or a lesson.

    Attributes:
        device: where tensors go.
        curves: what `log` has kept: for each name a list of (step, value).
        picture: what `show` was given, or None.

    Example:
        >>> from lipteach.experiments import Run
        >>> run, total = Run(), 0
        >>> for step in run.steps(4):
        ...     total += step
        ...     run.log("total", total)
        >>> run.curves["total"]
        [(1, 1.0), (2, 3.0), (3, 6.0), (4, 10.0)]
    """

    def __init__(
        self,
        device: torch.device | str = "cpu",
        path: Path | None = None,
        identity: dict[str, Any] | None = None,
        every: float = 10.0,
        progress: str = "",
    ) -> None:
        self.device = find_device(device)
        self.curves: dict[str, Curve] = {}
        self.picture: Tensor | None = None
        self._path, self._identity, self._every = path, identity or {}, every
        self._progress = progress
        self._step = 0
        self._loops = 0  # how many loops the training has begun
        self._saved: list[dict[str, Any]] = []  # what was last saved in each loop
        self._began = time.monotonic()
        found = load_state(path, CHECKPOINT) if path else None
        if path and found:
            check_identity(path, found["identity"], self._identity)
            self._saved = found["loops"]
            self._began -= found["seconds"]

    @property
    def seconds(self) -> float:
        """Seconds that the training took, without those between a kill and the next start."""
        return time.monotonic() - self._began

    def steps(self, total: int, **state: Any) -> Iterator[int]:
        """Yield 1, 2, …, total, beginning after the last step that was saved.

        Between two steps, when `every` seconds have passed, and after the last step, all of
        `state` is saved. Whatever changes from step to step must be in it: then a run that was
        killed ends with the numbers of one that was not. There may be several such loops, one
        after another.

        Args:
            total: the number of steps.
            state: by name, each a module, an optimizer or what else has `state_dict` and
                `load_state_dict`; a ``torch.Generator``; or a dict of tensors and numbers whose
                entries the loop replaces.
        """
        check_integer(total, "total", 0)
        loop, self._loops = self._loops, self._loops + 1
        done = self._restore(loop, total, state) if loop < len(self._saved) else 0
        last = time.monotonic()
        name = self._progress
        quiet = not name or sys.stderr is None  # under pythonw
        bar = tqdm(total=total, initial=done, desc=name, unit="step", leave=False, disable=quiet)
        with bar:
            for self._step in range(done + 1, total + 1):
                yield self._step
                bar.update()
                if self._step == total or time.monotonic() - last >= self._every:
                    self._save(loop, total, state)
                    last = time.monotonic()

    def log(self, name: str, value: float) -> None:
        """Keep a point of a curve, at the present step."""
        self.curves.setdefault(name, []).append((self._step, float(value)))

    def show(self, picture: Tensor) -> None:
        """Keep a picture, uint8 of shape (height, width) or (height, width, 3), after all loops.

        Those of the first seed stand beside the record, as one PNG file.
        """
        self.picture = picture

    def _save(self, loop: int, total: int, state: dict[str, Any]) -> None:
        if self._path is None:
            return
        now = {name: _state_of(value) for name, value in state.items()}
        saved = {"step": self._step, "total": total, "state": now, "curves": self.curves}
        self._saved[loop:] = [copy.deepcopy(saved)]
        found = {"identity": self._identity, "loops": self._saved, "seconds": self.seconds}
        save_state(self._path, found)

    def _restore(self, loop: int, total: int, state: dict[str, Any]) -> int:
        saved = self._saved[loop]
        held, now = (", ".join(sorted(map(str, keys))) for keys in (saved["state"], state))
        if held != now:
            raise self._other_training(f"it holds {held}, and {now} is needed")
        if saved["total"] != total:
            raise self._other_training(f"of {saved['total']} steps, and {total} are needed")
        for name, value in state.items():
            try:
                _load(value, saved["state"][name])
            except Exception as error:  # each kind of state refuses in its own way
                raise self._other_training(f"its {name} does not fit: {error}") from error
        self.curves, self._step = saved["curves"], saved["step"]
        return self._step

    def _other_training(self, why: str) -> RunError:
        said = textwrap.shorten(why, 300)  # in one line, where PyTorch speaks in several
        return RunError(
            f"{self._path} was saved by another training: {said}; delete it to begin anew."
        )


def _state_of(value: Any) -> Any:
    if isinstance(value, torch.Generator):
        return value.get_state()
    return value if isinstance(value, dict) else value.state_dict()


def _load(value: Any, saved: Any) -> None:
    if isinstance(value, torch.Generator):
        value.set_state(saved)
    elif isinstance(value, dict):
        for key, entry in saved.items():
            before = value.get(key)
            value[key] = entry.to(before.device) if isinstance(before, Tensor) else entry
    else:
        value.load_state_dict(saved)
