"""The part of a notebook that its exercises need, found by the names that its cells use."""

import ast
from dataclasses import dataclass, field


@dataclass
class Names:
    """What a cell reads, what it makes, and what it may change: by a method or by ``f_(name)``."""

    read: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)


def names(source: str) -> Names:
    found = Names()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            (found.read if isinstance(node.ctx, ast.Load) else found.made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imported |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute):
                found.changed |= base(node.func)
            if ast.unparse(node.func).endswith("_"):
                inside = [part for given in node.args for part in ast.walk(given)]
                found.changed |= {part.id for part in inside if isinstance(part, ast.Name)}
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.changed |= base(node)
    return found


def base(node: ast.expr) -> set[str]:
    """The name that a chain of attributes and entries begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def needed(sources: dict[int, str], answers: set[int]) -> list[int]:
    """The cells of the answers, what these read, directly or not, and what reads the answers."""
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
