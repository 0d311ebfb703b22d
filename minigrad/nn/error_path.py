"""Where an error happened: `features.3 (Conv2d(6, 16, kernel_size=(5, 5), stride=(1, 1))): <the message>`.

`Module.__call__` hands every exception that leaves it to `locate`. The innermost module describes itself; each module further
out extends the path by the names that lead to the one before. Nothing is done while nothing is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.nn.module import Module


class _Origin:
    """What is known so far about the place of one exception."""

    __slots__ = ("description", "message", "outermost", "path", "text")

    def __init__(self, module: Module, message: str | None) -> None:
        self.message = message  # the first message, None where str(error) is not its single argument
        self.description = _describe(module)
        self.path = ""
        self.outermost = module  # the module from which `path` starts
        self.text = ""  # what was written last

    def extend(self, module: Module) -> bool:
        """Puts the names that lead from `module` to the outermost module so far before the path; False where none do."""
        for name, child in module.named_modules(remove_duplicate=False):
            if child is self.outermost and name:
                self.path = f"{name}.{self.path}" if self.path else name
                self.outermost = module
                return True
        return False

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickled or copied exception keeps its text and forgets the modules, which may not be picklable."""
        return _no_origin, ()

    def compose(self) -> str:
        return f"{self.path} ({self.description})" if self.path else self.description


def _no_origin() -> None:
    return None


def locate(error: Exception, module: Module) -> None:
    """Writes the path of `module` into the exception that leaves its call.

    An exception whose text is its one string argument gets the path in front of that text; any other (KeyError, one with an
    odd constructor or its own `__str__`) keeps its arguments and gets the path as a note. The type and the traceback stay.
    """
    if isinstance(error, RecursionError | StopIteration):
        return
    origin = getattr(error, "_minigrad_origin", None)
    if origin is None:
        plain = type(error).__str__ is BaseException.__str__ and len(error.args) == 1 and isinstance(error.args[0], str)
        origin = error._minigrad_origin = _Origin(module, error.args[0] if plain else None)  # type: ignore[attr-defined]
    elif not origin.extend(module):
        return
    where = origin.compose()
    if origin.message is not None:
        error.args = (f"{where}: {origin.message}",)
        return
    notes = getattr(error, "__notes__", [])
    if origin.text in notes:
        notes.remove(origin.text)
    origin.text = f"in {where}"
    error.add_note(origin.text)


def _describe(module: Module) -> str:
    """One line for a module: its repr if it has no children, else its class name."""
    name = type(module).__name__
    if next(module.children(), None) is not None:
        return name
    try:
        text = repr(module)
    except Exception:  # a module that fails half-built may not be able to describe itself
        return name
    return " ".join(text.split())
