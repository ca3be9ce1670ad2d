"""What every kernel of `make lab` runs first: a name that is missing asks for the cells above.

`make lab` names this file in PYTHONSTARTUP: it is there before a lesson's first cell is run.
"""

import builtins


def _explain(shell, kind, error, trace, tb_offset=None):  # type: ignore[no-untyped-def]
    """Show a NameError as ever, with one sentence more."""
    import sys

    if "lipteach" in sys.modules:
        error.add_note("Does a cell above define it? Run that one first.")
    else:
        error.add_note("Run the first cell first: its imports are used by all others.")
    error.add_note("(Run ▸ Run All Above Selected Cell runs every cell above this one.)")
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)


if hasattr(builtins, "get_ipython"):  # not in a plain python, which reads PYTHONSTARTUP as well
    builtins.get_ipython().set_custom_exc((NameError,), _explain)
del builtins, _explain
