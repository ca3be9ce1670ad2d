"""Printing that loses no result: what a terminal cannot write is written in plain letters."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, NoReturn

PLAIN = {
    **{"→": "->", "↔": "<->", "∞": "inf", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "…": "..."},
    **{"×": "x", "·": "*", "−": "-", "–": "-", "—": "-", "±": "+-", "√": "sqrt ", "‖": "||"},
    **{"∈": "in", "σ": "sigma", "β": "beta", "ε": "eps", "λ": "lambda", "π": "pi", "Σ": "sum"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "●": "*", "○": "o", "✓": "ok", "✗": "x"},
}


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that an encoding lacks, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(letter: str) -> str:
    parts = unicodedata.normalize("NFKD", letter)  # ö is o with a mark, ² is 2
    return PLAIN.get(letter) or "".join(filter(str.isascii, parts)) or "?"


codecs.register_error("lipteach.plain", _plain)


def writable(text: str, encoding: str | None) -> str:
    """Return the text in letters that the encoding has; where it cannot be told, as it is.

    >>> writable("Linear 4→4, ‖W‖ ≤ ∞, Björck × 2", "ascii")
    'Linear 4->4, ||W|| <= inf, Bjorck x 2'
    """
    try:
        return text.encode(encoding or "utf-8", "lipteach.plain").decode(encoding or "utf-8")
    except LookupError:
        return text


def say(text: object) -> None:
    """Print as `print` does, and return whatever the stream is.

    Under cp1252 or ASCII, as in a log on Windows, → becomes ->. Nothing is written where there is
    no stream (under pythonw) or where it is closed, by us or at its other end.
    """
    stream = sys.stdout
    if stream is None:
        return
    try:
        stream.write(writable(f"{text}\n", getattr(stream, "encoding", None)))
    except (OSError, ValueError):  # closed: a result is not lost with its print
        return


def run_command(main: Callable[[], int], unread: int) -> NoReturn:
    """Run a command line and exit; with `unread` if nobody reads on what it prints."""
    write_plainly()
    try:
        status = main()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # who read this has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = unread
    sys.exit(status)


def write_plainly() -> None:
    """Let all that this process prints be written so, for a command line."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="lipteach.plain")
