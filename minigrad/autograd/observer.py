"""Observers: what is told of every operation, forward and backward, and of every call of a Module.

The profiler, the summary and anomaly mode are observers. While there is none, an operation pays one test for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from minigrad._ext.engine import Function, _set_observers

if TYPE_CHECKING:
    from minigrad.nn.module import Module

_active: list[Observer] = []
_switches: list[Callable[[bool], None]] = []


class Observer:
    """Watches while its `with` block runs, in all threads. Subclasses override what they want to hear of.

    An operation is a node of the graph (whose class names it), or the name of a compiled operation. Operations nest: what an
    operation calls begins after it and ends before it.
    """

    def __enter__(self) -> Self:
        _active.append(self)
        _changed()
        return self

    def __exit__(self, *_: object) -> None:
        _active.remove(self)
        _changed()

    def begin(self, operation: Function | str, inputs: tuple[Any, ...]) -> None:
        """An operation starts."""

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        """An operation has ended. outputs: a Tensor or a tuple of Tensors with their grad_fn, or None after an error."""

    def begin_backward(self, node: Function, gradient: Any) -> None:
        """The rule of a node starts; gradient: that of its output, or a tuple for a node with several."""

    def end_backward(self, node: Function, gradients: Any) -> None:
        """The rule of a node has ended; gradients: one, or a tuple, or None after an error."""

    def failed_backward(self, node: Function, error: Exception) -> None:
        """The rule of a node has raised; end_backward follows."""

    def enter(self, module: Module) -> None:
        """A module is called."""

    def leave(self, module: Module, result: Any) -> None:
        """The call of a module has ended; result: None after an error."""

    def open(self, label: str) -> None:
        """A stretch of code with a name starts: see record_function."""

    def close(self, label: str) -> None:
        """A stretch of code with a name has ended."""


class record_function:
    """Names a stretch of code for a profiler: `with record_function("loading"): ...`, or `@record_function("loading")`.

    Costs next to nothing while nobody watches.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._told: list[tuple[Observer, ...]] = []

    def __enter__(self) -> Self:
        told = tuple(_active)
        self._told.append(told)
        for observer in told:
            observer.open(self.name)
        return self

    def __exit__(self, *_: object) -> None:
        for observer in reversed(self._told.pop()):
            observer.close(self.name)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def named(*args: Any, **keywords: Any) -> Any:
            with record_function(self.name):
                return function(*args, **keywords)

        return named


def active_observers() -> tuple[Observer, ...]:
    """Who is watching."""
    return tuple(_active)


def on_change(switch: Callable[[bool], None]) -> None:
    """Has switch(watching) called whenever the observers change."""
    _switches.append(switch)


def _changed() -> None:
    _set_observers(tuple(_active))
    for switch in _switches:
        switch(bool(_active))
