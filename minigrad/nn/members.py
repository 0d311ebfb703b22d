"""The tables of a Module: its parameters, buffers and children by name."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigrad.nn.module import Module


class Members(dict[str, Any]):
    """A dictionary whose entries are at the same time in the `__dict__` of its module.

    Attribute access then finds `layer.weight` at once (0.03 us) and not by way of `__getattr__` (0.7 us), which matters where a
    training step takes 20 us. The module is held weakly: no cycle keeps its parameters alive. Pickles and copies as a plain dict.
    """

    __slots__ = ("_module",)

    def __init__(self, module: Module, entries: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__()
        self._module = weakref.ref(module)
        self.update(entries)

    def _attributes(self) -> dict[str, Any]:
        module = self._module()
        return {} if module is None else module.__dict__

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._attributes()[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._attributes().pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        """As `dict.pop`."""
        if name in self:
            self._attributes().pop(name, None)
        return super().pop(name, *default)

    def popitem(self) -> tuple[str, Any]:
        """As `dict.popitem`."""
        name, value = super().popitem()
        self._attributes().pop(name, None)
        return name, value

    def clear(self) -> None:
        """As `dict.clear`."""
        for name in list(self):
            del self[name]

    def setdefault(self, name: str, default: Any = None) -> Any:
        """As `dict.setdefault`."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *entries: Any, **named: Any) -> None:
        """As `dict.update`."""
        for name, value in dict(*entries, **named).items():
            self[name] = value

    def __ior__(self, entries: Any) -> Members:  # type: ignore[override,misc]
        self.update(entries)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (dict(self),)
