"""The frame of the pages for students and instructors: plain HTML that needs no network."""

from __future__ import annotations

import html
from pathlib import Path

from lipteach.classroom.style import BLUE, GREEN, ORANGE

_STYLE = f"""
:root {{ color-scheme: light dark; --line: #8888; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto;
  padding: 0 1rem }}
h1 {{ font-size: 1.5rem }} h2 {{ font-size: 1.15rem; margin: 2rem 0 0.4rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ border-bottom: 1px solid var(--line); padding: 0.3rem 0.6rem; text-align: left;
  vertical-align: top }}
td.number, th.number {{ text-align: right; white-space: nowrap }}
img {{ max-width: 100%; background: white; border-radius: 0.5rem }}
.passed, .open, .wrong {{ border-left: 0.4rem solid; padding: 0.2rem 0.8rem; margin: 0.8rem 0 }}
.passed {{ border-color: {GREEN} }}
.wrong {{ border-color: {ORANGE} }}
.open {{ border-color: {BLUE} }}
pre {{ overflow-x: auto; font-size: 0.85rem; margin: 0.4rem 0 }}
.small {{ font-size: 0.9rem; opacity: 0.85 }} p {{ margin: 0.3rem 0 }}
"""


def text(value: object) -> str:
    """A value as text of a page, whatever letters it holds."""
    return html.escape(str(value))


def write_page(path: Path, title: str, body: str) -> None:
    """Write a page that stands alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{_STYLE}</style></head>"
    )
    page = f"{head}\n<body><main><h1>{text(title)}</h1>\n{body}\n</main></body></html>\n"
    path.write_text(page, encoding="utf-8", errors="replace")


def many(number: int, one: str, more: str = "") -> str:
    """A number with its word.

    >>> many(1, "submission"), many(2, "submission")
    ('1 submission', '2 submissions')
    """
    return f"{number} {one if number == 1 else more or one + 's'}"
