"""What was found in a submission, kept in a file, so that no grading is done twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """An exercise as it was judged: the words of the check, and what else is to be said."""

    name: str
    points: int
    passed: bool = False
    tried: bool = False
    hint: str = ""
    kind: str = ""
    said: tuple[str, ...] = ()
    minutes: float | None = None

    @property
    def score(self) -> int:
        """All of its points, or none."""
        return self.points if self.passed else 0


@dataclass(frozen=True)
class Graded:
    """One student's submission with its verdicts, in the order of the lesson."""

    student: str
    verdicts: tuple[Verdict, ...]
    said: tuple[str, ...] = ()
    up: tuple[str, ...] = ()  # the walls that stood around it, and those that were lacking
    lacking: tuple[str, ...] = ()
    key: str = field(default="", compare=False)

    @property
    def score(self) -> int:
        """The sum of the points."""
        return sum(verdict.score for verdict in self.verdicts)

    @property
    def points(self) -> int:
        """The most there is."""
        return sum(verdict.points for verdict in self.verdicts)


def key_of(*parts: Any) -> str:
    """A digest of all that a verdict depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def keep(path: Path, graded: Graded) -> None:
    """Write it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(graded), ensure_ascii=False, indent=1)
    draft = path.with_suffix(".part")
    draft.write_text(text + "\n", encoding="utf-8", errors="replace")
    os.replace(draft, path)


def kept(path: Path, key: str) -> Graded | None:
    """What was found before, if nothing has changed since then."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        found = _graded(read)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if found.key == key else None


def _graded(read: Mapping[str, Any]) -> Graded:
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in read.items()
    }
    verdicts = (Verdict(**{**one, "said": tuple(one["said"])}) for one in read["verdicts"])
    given["verdicts"] = tuple(verdicts)
    return Graded(**given)
