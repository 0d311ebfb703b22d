"""Switching the recording of operations off and on, per thread: as context managers and as decorators."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from minigrad._ext.engine import _set_grad_enabled, _set_inference_mode
from minigrad._ext.engine import is_grad_enabled as is_grad_enabled
from minigrad._ext.engine import is_inference_mode_enabled as is_inference_mode_enabled

F = TypeVar("F", bound=Callable[..., Any])


def _is_generator(function: Any) -> bool:
    return bool(getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x20)


class _GradMode:
    """A context manager and decorator that sets grad mode and puts the old mode back."""

    mode: bool

    def __init__(self) -> None:
        self._before: list[Any] = []

    def __call__(self, function: F) -> F:
        """The function, running in this mode; of a class, its construction; of a generator, its own steps and not its caller's."""
        if isinstance(function, type):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate functions or "
                "methods. To preserve the current behavior of class decoration, you can directly decorate the `__init__` method and "
                "nothing else.",
                FutureWarning,
                stacklevel=2,
            )
            function.__init__ = self(function.__init__)  # type: ignore[misc]
            return function
        if _is_generator(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                steps = function(*args, **kwargs)
                step, value = steps.send, None
                while True:
                    with self._clone():
                        try:
                            item = step(value)
                        except StopIteration as stop:
                            return stop.value
                    try:
                        step, value = steps.send, (yield item)
                    except GeneratorExit:
                        with self._clone():
                            steps.close()
                        raise
                    except BaseException as error:  # thrown in by the caller: the generator may catch it
                        step, value = steps.throw, error

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._clone():
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]

    def _clone(self) -> _GradMode:
        new = object.__new__(type(self))
        new.mode, new._before = self.mode, []
        return new

    def __enter__(self) -> None:
        self._before.append(_set_grad_enabled(self.mode))

    def __exit__(self, *_: object) -> None:
        _set_grad_enabled(self._before.pop())


class no_grad(_GradMode):
    """Operations inside are not recorded: results do not require grad. `with no_grad():` or `@no_grad()` (or `@no_grad`)."""

    mode = False

    def __new__(cls, function: F | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: F | None = None) -> None:
        super().__init__()


class enable_grad(_GradMode):
    """Operations inside are recorded again, within a no_grad. `with enable_grad():` or `@enable_grad()` (or `@enable_grad`)."""

    mode = True

    def __new__(cls, function: F | None = None) -> Any:
        return object.__new__(cls) if function is None else cls()(function)

    def __init__(self, function: F | None = None) -> None:
        super().__init__()


class set_grad_enabled(_GradMode):
    """Sets grad mode: at once when called as a function, until the end of the block as a context manager, inside it as a decorator."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        self._outside: bool | None = _set_grad_enabled(self.mode)

    def __call__(self, function: F) -> F:
        if self._outside is not None:
            _set_grad_enabled(self._outside)
            self._outside = None
        return super().__call__(function)

    def __enter__(self) -> None:
        before, outside = _set_grad_enabled(self.mode), getattr(self, "_outside", None)
        self._before.append(before if outside is None else outside)
        self._outside = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mode={self.mode})"


class inference_mode(_GradMode):
    """no_grad whose tensors stay out of every graph for good: they require no grad later, are not saved for a backward, and are written in
    place only in inference mode. Views of other tensors are ordinary. inference_mode(False) is the usual mode, with recording.
    """

    def __new__(cls, mode: Any = True) -> Any:
        return object.__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__()
        self.mode = mode

    def __enter__(self) -> None:
        self._before.append(_set_inference_mode(self.mode, not self.mode))

    def __exit__(self, *_: object) -> None:
        _set_inference_mode(*self._before.pop())
