"""The part of a notebook that an exercise needs, found by the names that its cells use."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Names:
    """What a cell reads, what it makes, and what it may change: by a method or by ``f_(name)``.

    ``sets`` is true where it sets what the whole process goes by: a seed, a default dtype.
    """

    read: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    sets: bool = False


def names(source: str) -> Names:
    """Read a cell without running it; SyntaxError where it is no Python.

    >>> sorted(names("y = f(x)").read), names("y = f(x)").made
    (['f', 'x'], {'y'})
    """
    found = Names()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (found.read if isinstance(node.ctx, ast.Load) else found.made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imported |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if isinstance(node.func, ast.Attribute):
                found.changed |= base(node.func)
                found.sets |= node.func.attr.startswith("set_") or called.endswith("seed")
            if called.endswith("_"):
                inside = [part for given in node.args for part in ast.walk(given)]
                found.changed |= {part.id for part in inside if isinstance(part, ast.Name)}
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.changed |= base(node)
    return found


def base(node: ast.expr) -> set[str]:
    """The name that a chain of attributes and entries begins with.

    >>> base(ast.parse("a.b[0].c").body[0].value)
    {'a'}
    """
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def needed(sources: Mapping[int, str], answers: set[int]) -> list[int]:
    """The cells of the answers, what these read, directly or not, and what reads the answers.

    >>> needed({0: "a = 1", 1: "b = 2", 2: "answer = a", 3: "print(answer)"}, {2})
    [0, 2, 3]
    """
    cells = {place: names(source) for place, source in sources.items()}
    modules = set().union(*(cell.imported for cell in cells.values()))
    given = set().union(*(cells[place].made for place in answers))
    wanted: set[str] = set()
    kept = []
    for place in sorted(cells, reverse=True):
        cell = cells[place]
        makes = cell.made | (cell.changed - modules)
        if place in answers or cell.imported or makes & wanted or cell.read & given:
            kept.append(place)
            wanted |= cell.read
    return kept[::-1]


def needed_before(sources: Mapping[int, str], answer: int) -> list[int]:
    """The cells up to an answer which it cannot do without, and no other; the answer's is the last.

    Cells of a student may hold anything: what is no Python is left out, and what an answer does not
    ask for is not run, except for what sets a seed or a default.

    >>> needed_before({0: "import os; os._exit(1)", 1: "b = 2", 2: "answer = b"}, 2)
    [1, 2]
    """
    cells = {}
    for place, source in sources.items():
        try:
            cells[place] = names(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    wanted = set(cells[answer].read) if answer in cells else set()
    modules = set().union(*(cell.imported for cell in cells.values()))
    kept = [answer]
    for place in sorted((place for place in cells if place < answer), reverse=True):
        cell = cells[place]
        makes = cell.made | cell.imported | (cell.changed - modules)
        if makes & wanted or cell.sets or "*" in cell.imported:
            kept.append(place)
            wanted |= cell.read
    return kept[::-1]
