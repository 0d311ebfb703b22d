"""Tensors that a Module knows as its own: Parameter (trained) and Buffer (state that is not trained)."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from minigrad._dtype import get_default_dtype
from minigrad.tensor import Tensor

_T = TypeVar("_T", bound=Tensor)


def _share(cls: type[_T], data: Tensor | None) -> _T:
    """A leaf of this class around the memory of `data`. TypeError for what is no Tensor."""
    if data is not None and not isinstance(data, Tensor):
        raise TypeError(f"{cls.__name__}: expected a Tensor, but got {type(data).__name__}; make one with minigrad.tensor()")
    new = Tensor.__new__(cls)
    new._set_array(np.empty(0, get_default_dtype().np) if data is None else data._array)
    return new


class Parameter(Tensor):
    """A Tensor that a Module registers as one of its parameters when it is assigned as an attribute.

    It shares memory with `data` (an empty tensor when omitted), is a leaf of the graph, and requires a gradient unless told
    otherwise, also under `no_grad`.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        self = _share(cls, data)
        self.requires_grad = requires_grad
        return self

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        pass

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__(**options)

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]


class Buffer(Tensor):
    """A Tensor that a Module registers as a buffer when it is assigned as an attribute.

    Shares memory with `data`. With `persistent=False` it stays out of the module's `state_dict`.
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        return _share(cls, data)

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        self.persistent = persistent

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), persistent=self.persistent)
        return memo[id(self)]
