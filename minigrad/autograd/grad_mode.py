"""Switching the recording of operations off and on, per thread: as context managers and as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from minigrad._ext.engine import _set_grad_enabled
from minigrad._ext.engine import is_grad_enabled as is_grad_enabled

F = TypeVar("F", bound=Callable[..., Any])


class _GradMode:
    """A context manager and decorator that sets grad mode and puts the old mode back."""

    mode: bool

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __call__(self, function: F) -> F:
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & 0x20:  # a generator function

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                # The mode holds while the generator's body runs, not while its caller has the turn.
                steps = function(*args, **kwargs)
                value = None
                while True:
                    with self._clone():
                        try:
                            item = steps.send(value)
                        except StopIteration as stop:
                            return stop.value
                    value = yield item

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
        before = _set_grad_enabled(self.mode)
        self._before.append(before if getattr(self, "_outside", None) is None else self._outside)
        self._outside = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mode={self.mode})"


class inference_mode(_GradMode):
    """no_grad under the name that PyTorch recommends for inference; inference_mode(False) records. Its results are ordinary tensors."""

    def __new__(cls, mode: Any = True) -> Any:
        return object.__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__()
        self.mode = not mode
