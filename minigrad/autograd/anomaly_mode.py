"""Anomaly mode: finds the operation that made the first NaN or Inf, forward or backward, and the line of the user's code that called it.

It is an observer of every operation, so that it costs nothing while it is off. PyTorch's looks at gradients for NaN only; this one also
looks at what operations compute, and for Inf.
"""

from __future__ import annotations

import linecache
import math
import os
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigrad._ext.engine import Function, TensorBase
from minigrad.autograd.observer import Observer

if TYPE_CHECKING:
    from types import TracebackType

    from minigrad.nn.module import Module

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_KEY = "called_at"


class _Place(NamedTuple):
    """Where an operation was called: a line of the user's code, and the modules around it, the outermost first."""

    file: str
    line: int
    function: str
    modules: tuple[Module, ...]

    def __str__(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        where = f"{self.file}:{self.line}, in {self.function}" + (f": `{text}`" if text else "")
        path = _path(self.modules)
        return f"{where}, in {path}" if path else where


def _path(modules: tuple[Module, ...]) -> str:
    """The names that lead from the outermost module to the innermost, and what that one is: `features.3 (Conv2d)`."""
    if not modules:
        return ""
    names, outer = [], modules[0]
    for module in modules[1:]:
        name = next((name for name, child in outer.named_modules(remove_duplicate=False) if child is module and name), None)
        if name is not None:
            names.append(name)
            outer = module
    kind = type(modules[-1]).__name__
    return f"{'.'.join(names)} ({kind})" if names else kind


def _here(modules: tuple[Module, ...]) -> _Place:
    """The innermost line that is being run outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return _Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, modules)


def _tensors(value: Any) -> list[Any]:
    values = value if isinstance(value, (tuple, list)) else (value,)
    return [t for t in values if isinstance(t, TensorBase)]


def _fault(tensor: Any) -> str | None:
    """ "nan" or "inf" if the tensor has such elements, nan first."""
    array = tensor._array
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    return "nan" if np.isnan(array).any() else "inf"


def _given(inputs: tuple[Any, ...], operation: Any) -> set[str]:
    """What an operation was given: the faults of its inputs, and of the numbers it has as parameters (masked_fill's -inf)."""
    found = {_fault(t) for t in inputs if isinstance(t, TensorBase)} - {None}
    numbers = [*inputs, *vars(operation).values()] if isinstance(operation, Function) else inputs
    for number in numbers:
        if isinstance(number, float) and not math.isfinite(number):
            found.add("nan" if math.isnan(number) else "inf")
    return found  # type: ignore[return-value]


class _Thread(threading.local):
    """What a thread is doing."""

    def __init__(self) -> None:
        self.modules: list[Module] = []
        self.in_backward = 0


class _Anomaly(Observer):
    """Notes on every node where its operation was called, and raises at the first one that makes a NaN or an Inf."""

    def __init__(self) -> None:
        self.check_nan = True
        self.thread = _Thread()

    def enter(self, module: Module) -> None:
        self.thread.modules.append(module)

    def leave(self, module: Module, result: Any) -> None:
        if self.thread.modules:
            self.thread.modules.pop()

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        place = None
        for i, out in enumerate(_tensors(outputs)):
            if out.grad_fn is not None and _KEY not in out.grad_fn.metadata:
                place = place or _here(tuple(self.thread.modules))
                out.grad_fn.metadata[_KEY] = place
            if self.check_nan and not self.thread.in_backward:
                fault = _fault(out)
                given = _given(inputs, operation) if fault else set()
                if fault and fault not in given and not (fault == "inf" and "nan" in given):
                    name = operation.capitalize() if isinstance(operation, str) else operation.name().partition("Backward")[0]
                    raise RuntimeError(
                        f"Operation '{name}' made {fault} values in its {i}th output"
                        + (f", of {'nan and inf' if len(given) > 1 else given.pop()} values among its inputs" if given else "")
                        + f". It was called at {place or _here(())}"
                    )

    def begin_backward(self, node: Function, gradient: Any) -> None:
        self.thread.in_backward += 1

    def end_backward(self, node: Function, gradients: Any) -> None:
        self.thread.in_backward -= 1
        if not self.check_nan:
            return
        for i, g in enumerate(gradients if isinstance(gradients, tuple) else (gradients,)):
            fault = _fault(g) if isinstance(g, TensorBase) else None
            if fault:
                raise RuntimeError(
                    f"Function '{node.name()}' returned {fault} values in its {i}th output." + _forward_call(node)
                )

    def failed_backward(self, node: Function, error: Exception) -> None:
        error.add_note(f"in the backward of {node.name()}." + _forward_call(node))


def _forward_call(node: Function) -> str:
    place = node.metadata.get(_KEY)
    return "" if place is None else f" The operation was called at {place}"


_anomaly = _Anomaly()
_enabled = False


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return _enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, when it is on, looks for NaN and Inf."""
    return _anomaly.check_nan


def _switch(mode: bool, check_nan: bool) -> tuple[bool, bool]:
    """Sets the mode, and gives the one before."""
    global _enabled
    before = _enabled, _anomaly.check_nan
    _anomaly.check_nan = check_nan
    if mode and not _enabled:
        _anomaly.__enter__()
    elif _enabled and not mode:
        _anomaly.__exit__()
    _enabled = mode
    return before


class set_detect_anomaly:
    """Turns anomaly mode on or off: at once, and until the end of the block when used as a context manager. In all threads.

    While it is on, an operation that makes a NaN or an Inf of inputs that have none raises RuntimeError with the operation, the path of the
    module around it, and the line of the user's code that called it; so does one whose backward gives a NaN or an Inf. What moves an Inf
    that it was given (masked_fill with -inf) makes none. An error in a backward says where the forward was called. check_nan=False leaves
    the values alone. Everything runs more slowly.
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = _switch(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _switch(*self._before)


class detect_anomaly:
    """Turns anomaly mode on for a block: see set_detect_anomaly."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        self._before = _switch(True, self._check_nan)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _switch(*self._before)
