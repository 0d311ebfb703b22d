"""torch.jit: functions and modules as they are. minigrad always runs Python, so a compiled program and its source are the same."""

from __future__ import annotations

from typing import Any


def script(obj: Any, *args: Any, **keywords: Any) -> Any:
    """The function, module or class itself. There is no saving of programs: save the state_dict()."""
    return obj


def trace(func: Any, example_inputs: Any = None, *args: Any, **keywords: Any) -> Any:
    """The function or module itself. A trace in PyTorch freezes the branches that the example takes; here they stay alive."""
    return func


def ignore(drop: Any = False, **keywords: Any) -> Any:
    """A decorator that changes nothing."""
    return drop if callable(drop) else lambda function: function


def export(fn: Any) -> Any:
    """A decorator that changes nothing."""
    return fn


unused = export


def is_scripting() -> bool:
    """Whether a compiled program runs: never."""
    return False


def is_tracing() -> bool:
    """Whether a trace is taken: never."""
    return False
