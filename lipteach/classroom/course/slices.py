"""The part of a notebook that an exercise needs, found by the names that its cells use."""

from __future__ import annotations

import ast
import functools
import symtable
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_SEEDS = {"torch.manual_seed", "random.seed", "np.random.seed", "numpy.random.seed"}
_AT_ONCE = {"listcomp", "setcomp", "dictcomp", "genexpr"}


@dataclass
class Names:
    """What a cell reads, what it makes, and what it may change: by a method or by ``f_(name)``.

    ``read`` leaves out what the cell has made before it reads it. ``late`` is what its functions
    read, whenever they are called; ``bound`` is what it makes whatever happens. ``sets`` is true
    where it sets what the whole process goes by: a seed, a default dtype.
    """

    read: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    bound: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    sets: bool = False


@functools.lru_cache(maxsize=1024)  # slices of one lesson read the same cells
def names(source: str) -> Names:
    """Read a cell without running it; SyntaxError where it is no Python.

    >>> sorted(names("y = f(x)").read), names("y = f(x)").made
    (['f', 'x'], {'y'})
    >>> names("f = lambda x: x + z").read
    {'z'}
    """
    found, tree = Names(), ast.parse(source)
    for statement in tree.body:
        at_once, late = _global_reads(statement)
        found.read |= (at_once | late) - found.bound
        found.late |= late
        found.bound |= _bound_by(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.made.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.made.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.imported |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if isinstance(node.func, ast.Attribute):
                found.changed |= base(node.func)
                found.sets |= called in _SEEDS or called.startswith("torch.set_")
            if called.endswith("_"):
                inside = [part for given in node.args for part in ast.walk(given)]
                found.changed |= {part.id for part in inside if isinstance(part, ast.Name)}
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            found.changed |= base(node)
    return found


def _global_reads(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """The global names that a statement reads itself, and those of its functions."""
    at_once: set[str] = set()
    late: set[str] = set()
    for table, deferred in _scopes(symtable.symtable(ast.unparse(statement), "cell", "exec")):
        top = table.get_type() == "module"
        symbols = [s for s in table.get_symbols() if s.is_referenced() and (top or s.is_global())]
        (late if deferred else at_once).update(s.get_name() for s in symbols)
    changed = [n.target for n in ast.walk(statement) if isinstance(n, ast.AugAssign)]
    at_once |= {target.id for target in changed if isinstance(target, ast.Name)}
    return at_once, late


def _scopes(
    table: symtable.SymbolTable, deferred: bool = False
) -> Iterator[tuple[symtable.SymbolTable, bool]]:
    yield table, deferred
    for child in table.get_children():
        function = child.get_type() == "function" and child.get_name() not in _AT_ONCE
        yield from _scopes(child, deferred or function)


def _bound_by(statement: ast.stmt) -> set[str]:
    """What stands after a statement whatever happens in it; nothing of an ``if`` or a ``try``."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(a.asname or a.name).partition(".")[0] for a in statement.names}
    if isinstance(statement, ast.With):
        return set().union(*(_bound_by(one) for one in statement.body))
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    inside = [node for target in targets for node in ast.walk(target)]
    return {n.id for n in inside if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


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
    kept, late = [answer], dict.fromkeys(_late(cells, [answer]), answer)
    while True:  # a function reads what stands when it is called: a later cell may have made it
        kept = _slice(cells, answer, late)
        found = dict(late)
        for place in kept:
            for name in _late(cells, [place]):
                found[name] = min(place, found.get(name, place))
        if found == late:
            return kept
        late = found


def _late(cells: Mapping[int, Names], places: list[int]) -> set[str]:
    return set().union(*(cells[place].late for place in places if place in cells))


def _slice(cells: Mapping[int, Names], answer: int, late: Mapping[str, int]) -> list[int]:
    modules = set().union(*(cell.imported for cell in cells.values()))
    wanted = set(cells[answer].read) if answer in cells else set()
    kept = [answer]
    for place in sorted((place for place in cells if place < answer), reverse=True):
        cell = cells[place]
        makes = cell.made | cell.imported | (cell.changed - modules)
        asked = wanted | {name for name, since in late.items() if since < place}
        if makes & asked or cell.sets or "*" in cell.imported:
            kept.append(place)
            wanted = (wanted - cell.bound) | cell.read
    return kept[::-1]
