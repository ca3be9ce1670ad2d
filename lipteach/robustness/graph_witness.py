"""What a forward does while it is traced, and whether a trace can then stand for every run.

A stand-in walks through the forward instead of a tensor. Code that can tell the two apart, or a
trace from a run, may do something else in a run; so may code that asks for what is no input, such
as whether gradients are recorded; and code that changes an object may be seen by another part of
the model, which the trace does not show. All code that is neither torch's, Python's nor this
package's is therefore watched: it may call functions of tensors, modules, Python's arithmetic and
containers of its own, and functions of its own, which are watched as well. Nothing is known of what
else it does: a list of all that may give a trace away would never be complete.

What is believed is Python itself, the compiled code of torch, and that code stands in the file that
it names. Compiled code of a stranger is not seen, unless it is called from Python.
"""

from __future__ import annotations

import dis
import functools
import gc
import itertools
import operator
import os
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

# Looks at an attribute and calls of a class are not reported to a profile: seen by their name.
REVEALING = {
    *("type", "Tensor", "TensorBase", "Parameter", "Proxy"),
    *("tracer", "node", "_is_fx_tracing_flag"),  # which stand-ins have, or a trace
    "data",  # the same memory, whose changes are not counted
    *("requires_grad", "grad_fn", "is_leaf", "grad", "prev"),  # whether gradients are recorded
}
ASKING: list[Any] = [  # the same by whatever name; the others hide a name, or a call
    *(type, Tensor, nn.Parameter, fx.Proxy, map, filter, functools.partial),
    *(operator.attrgetter, operator.methodcaller, itertools.takewhile, itertools.dropwhile),
    *(itertools.starmap, itertools.filterfalse, itertools.accumulate, itertools.groupby),
]
HIDDEN = {"out", "key"}  # arguments: what is written into, what compiled code calls
# What leaves something behind, or compares two objects themselves.
STORING = {
    *("STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_SUBSCR"),
    *("DELETE_SUBSCR", "STORE_SLICE", "MATCH_CLASS"),
}
ARITHMETIC = {
    *("abs", "all", "any", "divmod", "len", "max", "min", "next", "pow", "round", "sorted", "sum"),
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "pos", "getitem", "reduce"),
}
COUNTING = ("builtins", "_operator", "_functools")
READING = {"copy", "count", "get", "index", "items", "keys", "values"}
CONTAINERS = (list, dict, set)
PLAIN = (tuple, frozenset, str, bytes, int, float, range)
FUNCTIONS = ("torch._C._nn", "torch._C._linalg", "torch._C._fft", "torch._C._special")

TORCH = f"{Path(torch.__file__).parent}{os.sep}"
OURS = f"{Path(__file__).parent.parent}{os.sep}"
PYTHON = f"{sysconfig.get_path('stdlib')}{os.sep}"
# Of torch, a file may be called from outside, or a function of it.
FILES = {
    *("nn/functional.py", "functional.py", "_tensor.py", "autograd/grad_mode.py"),
    *("utils/_contextlib.py", "fx/proxy.py"),
}
OF_MODULES = {  # what changes no module
    *("__getattr__", "__iter__", "__getitem__", "__len__", "__contains__", "forward", "children"),
    *("named_children", "modules", "named_modules", "parameters", "named_parameters", "buffers"),
    *("named_buffers", "keys", "items", "values", "get_submodule", "get_parameter", "get_buffer"),
}
BY_NAME = {
    *("leaf_of_fx.<locals>.call", "_StandIn._refuse", "_StandIn.__getattr__"),
    "Tracer.trace.<locals>.module_call_wrapper",
    "Tracer.trace.<locals>.module_getattr_wrapper",
    "_create_wrapped_func.<locals>.wrapped",
    "boolean_dispatch.<locals>.fn",
}
OF_PYTHON = {"enum.py"}
CAST = ("typing.py", "cast")
SHARING = {"numpy", "__array__", "__dlpack__"}  # arrays of the same memory


class Witness:
    """Watches what runs, as a profile; `objects` says whether a trace is not to be believed."""

    def __init__(self, module: nn.Module) -> None:
        self.tensors = [*module.parameters(), *module.buffers()]
        self.objects = False
        self._seen: set[types.CodeType] = set()

    def __enter__(self) -> Witness:
        """Watch, in place of another profile; no garbage is collected meanwhile."""
        self._before = sys.getprofile(), gc.isenabled()
        gc.disable()  # from here on what is made stays in the youngest generation
        self._there = {id(one): one for one in gc.get_objects(generation=0)}
        sys.setprofile(self._look)
        return self

    def __exit__(self, *_: object) -> None:
        """Look away."""
        before, collects = self._before
        sys.setprofile(before)
        self._there.clear()
        if collects:
            gc.enable()

    def _look(self, frame: types.FrameType, event: str, what: Any) -> None:
        if event == "call":
            if is_strange(frame.f_code):
                self.objects |= self._asks(frame)
            elif frame.f_back is not None and is_strange(frame.f_back.f_code):
                self.objects |= not _may_be_called(frame.f_code)
        elif event == "c_call" and is_strange(frame.f_code):
            self.objects |= not self._may_call(what)

    def _asks(self, frame: types.FrameType) -> bool:
        """Whether code that runs has a name, or an instruction, that tells too much."""
        code = frame.f_code
        names = {*code.co_names, *code.co_freevars}
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        around = map(vars_of, frame.f_locals.values())
        held = _found(names, [frame.f_builtins, frame.f_globals, frame.f_locals, *around])
        held += [part for one in held if type(one) is dict for part in one.values()]
        held += [frame.f_locals.get(name) for name in given if name != ".0"]
        held += [part for one in held if type(one) in (tuple, list) for part in one]
        if names & REVEALING or any(map(_is_dunder, names)):
            return True
        if any(one is other for one in held for other in ASKING):
            return True
        if any(map(self._hides_a_call, held)):
            return True
        if any(hasattr(type(one), "__next__") for one in held):  # it is another at each look
            return True
        if any(hasattr(type(one), "__missing__") and self._lasts(one) for one in held):
            return True  # a look at what it lacks adds to it
        if _changes_in_place(code) and any(map(self._may_be_changed, held)):
            return True
        if code in self._seen:
            return False
        self._seen.add(code)
        return _stores(code) or _hands_over(code)

    def _may_call(self, what: Any) -> bool:
        """Whether a compiled function is one of tensors, or of numbers and containers."""
        name, owner = what.__name__, getattr(what, "__self__", None)
        room = getattr(what, "__module__", None)
        if isinstance(owner, Tensor) or room in FUNCTIONS or _is_of_tensors(what):
            return not (name in SHARING or name.startswith("unsafe") or _writes(name))
        if isinstance(owner, types.ModuleType):
            return room == "math" or (room in COUNTING and name in ARITHMETIC)
        if type(owner) in CONTAINERS:
            return name in READING or not self._lasts(owner)
        if type(owner) is str:
            return name not in ("format", "format_map")  # which look at attributes
        return type(owner) in PLAIN or owner is tuple  # which named tuples make

    def _hides_a_call(self, one: Any) -> bool:
        """Whether an object calls a compiled function that a profile would not see."""
        if not isinstance(one, functools.partial):
            return False
        called = _unwrapped(one)
        compiled = isinstance(called, types.BuiltinFunctionType)
        return isinstance(called, type) or (compiled and not self._may_call(called))

    def _may_be_changed(self, one: Any) -> bool:
        """Whether an object is changed by `+=`, and is none of the tensors that are compared."""
        if isinstance(one, Tensor):
            return all(one is not held for held in self.tensors)
        return type(one) in CONTAINERS or type(one).__module__ == "numpy"

    def _lasts(self, container: Any) -> bool:
        """Whether a container was there before the forward, or may have been."""
        made = {*map(id, gc.get_objects(generation=0))} - self._there.keys()
        if gc.is_tracked(container):
            return id(container) not in made
        # A dictionary of numbers is not listed. What holds it is, unless it is frozen.
        return gc.get_freeze_count() > 0 or any(
            id(holder) not in made for holder in gc.get_referrers(container)
        )


def _found(names: set[str], scopes: list[dict[str, Any]]) -> list[Any]:
    """What names may mean in these scopes, and as attributes of what they may mean."""
    found: dict[int, Any] = {}
    while scopes:
        scope = scopes.pop()
        new = {id(scope[name]): scope[name] for name in names & scope.keys()}
        scopes += [vars_of(one) for key, one in new.items() if key not in found]
        found |= new
    return [*found.values()]


def is_strange(code: types.CodeType) -> bool:
    """Whether code is neither torch's, nor this package's, nor Python's own."""
    file = code.co_filename
    python_s = file.startswith(PYTHON) and "-packages" not in file
    return not (file.startswith((TORCH, OURS, "<frozen")) or python_s)


def _may_be_called(code: types.CodeType) -> bool:
    """Whether a function of torch, of this package or of Python's is known to tell nothing."""
    file, name = code.co_filename, code.co_qualname
    if file.startswith(OURS):
        return name in BY_NAME
    if not file.startswith(TORCH):
        file = file.removeprefix(PYTHON)
        return file in OF_PYTHON or name.startswith("nullcontext.") or (file, name) == CAST
    file = file.removeprefix(TORCH).replace(os.sep, "/")
    if file.startswith("nn/modules/"):
        return code.co_name in OF_MODULES
    return name in BY_NAME or (file in FILES and not name.startswith(("_rebuild", *SHARING)))


def _stores(code: types.CodeType) -> bool:
    """Whether code changes more than its own variables, compares by `is`, or handles errors."""
    before: Any = None
    for step in dis.get_instructions(code):
        outer = step.opname == "STORE_DEREF" and step.argval in code.co_freevars
        by_identity = step.opname == "IS_OP" and not (
            before.opname == "LOAD_CONST" and isinstance(before.argval, (bool, types.NoneType))
        )
        handler = before is not None and before.opname == "PUSH_EXC_INFO"
        if handler and step.opname != "WITH_EXCEPT_START":  # a stand-in may fail where x does not
            return True
        if step.opname in STORING or outer or by_identity:
            return True
        before = step
    return False


def _hands_over(code: types.CodeType) -> bool:
    """Whether a call may have an argument of `HIDDEN`: ``out=…``, also by ``**{"out": …}``."""
    unpacked = any(step.opname == "CALL_FUNCTION_EX" for step in dis.get_instructions(code))
    names = [name for one in code.co_consts if isinstance(one, tuple) for name in one]
    return not HIDDEN.isdisjoint(n for n in (*names, *code.co_consts * unpacked) if type(n) is str)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _changes_in_place(code: types.CodeType) -> bool:
    steps = dis.get_instructions(code)
    return any(step.opname == "BINARY_OP" and step.argrepr.endswith("=") for step in steps)


def _writes(name: str) -> bool:
    """Whether a method of tensors writes into its own, by its name."""
    return name.endswith("_") and not name.startswith("__")


def vars_of(held: Any) -> dict[str, Any]:
    """The attributes that are written down in an object or in its class."""
    own = object.__getattribute__(held, "__dict__") if type(held).__dictoffset__ else {}
    return {**vars(type(held)), **own}


def _is_of_tensors(what: Any) -> bool:
    return bool(getattr(torch._C._VariableFunctions, what.__name__, None) == what)


def _unwrapped(held: Any) -> Any:
    while isinstance(held, functools.partial):
        held = held.func
    return held
