"""The command line: ``python -m lipteach.classroom`` with one of the commands below."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipteach.classroom.progress_file import progress
from lipteach.primitives._printing import say


@dataclass(frozen=True)
class Command:
    """One word of the command line: its help, its arguments, and what it does with them."""

    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--folder", type=Path, default=Path("course"), help="of the course (course)"
    )


def _release_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lessons", nargs="+", metavar="NN", help="numbers of lessons: 01 04")
    parser.add_argument("--no-hints", action="store_true", help="leave the folded hints out")
    parser.add_argument("--vary", type=int, metavar="SEED", help="other numbers for each student")
    _folder(parser)


def _release(options: argparse.Namespace) -> int:
    from lipteach.classroom.course import release

    release(options.lessons, options.folder, hints=not options.no_hints, vary=options.vary)
    return _check_release(options)


def _check_release(options: argparse.Namespace) -> int:
    from lipteach.classroom.course import check_release

    faults = check_release(options.folder)
    if faults:
        faults.append("Do not hand out release/ like this.")
    say("\n".join(faults) or f"{options.folder}/release can go out: its exercises are whole.")
    return 1 if faults else 0


def _grade_arguments(parser: argparse.ArgumentParser) -> None:
    _folder(parser)
    parser.add_argument("--workers", type=int, default=2, help="processes side by side (2)")
    parser.add_argument("--seconds", type=float, default=20, help="of an exercise's computing (20)")
    parser.add_argument("--megabytes", type=int, default=2048, help="of memory (2048)")


def _grade(options: argparse.Namespace) -> int:
    from lipteach.classroom.course import grade

    limits = {"seconds": options.seconds, "megabytes": options.megabytes}
    try:
        reports = grade(options.folder, workers=options.workers, **limits)
    except KeyboardInterrupt:
        say("Stopped. What is graded is kept: the same command goes on from there.")
        return 130
    for assignment, path in reports.items():
        say(f"{assignment}: {path}")
    return 0


def _progress_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, default=Path("work"), help="of your copies (work)")


def _progress(options: argparse.Namespace) -> int:
    say(progress(options.folder))
    return 0


COMMANDS = {
    "release": Command("lessons as assignments of nbgrader", _release_arguments, _release),
    "grade": Command("what students handed in", _grade_arguments, _grade),
    "check-release": Command("is a release fit to go out?", _folder, _check_release),
    "progress": Command("passed, tried and open exercises", _progress_folder, _progress),
}


def build_parser() -> argparse.ArgumentParser:
    """Build the commands and their options."""
    top = argparse.ArgumentParser(prog="python -m lipteach.classroom", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        command.arguments(commands.add_parser(name, help=command.help))
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return its exit status."""
    options = build_parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
            return COMMANDS[options.command].run(options)
    except (ValueError, TypeError, LookupError, OSError, ImportError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
