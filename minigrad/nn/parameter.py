"""Tensors that a Module knows as its own: Parameter (trained) and Buffer (state that is not trained)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from minigrad._dtype import float32, float64, get_default_dtype
from minigrad.creation import empty
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


class UninitializedTensorMixin:
    """What the uninitialised parameter and buffer share: a dtype, and no shape until `materialize` gives one.

    A method or operator that needs elements raises ValueError, asking for the shape RuntimeError.
    """

    __slots__ = ()
    cls_to_become: type[Tensor]

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Makes this the tensor that it stands for, of this shape, with elements of any value; the object stays the same."""
        made = empty(*shape, device=device, dtype=self.dtype if dtype is None else dtype)  # type: ignore[attr-defined]
        self._set_array(made._array)  # type: ignore[attr-defined]
        self.__class__ = self.cls_to_become  # type: ignore[assignment]

    @property
    def shape(self) -> Any:
        """Raises RuntimeError: there is none yet."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when "
            "trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before "
            "accessing their attributes."
        )

    @property
    def _array(self) -> Any:
        raise _uninitialized(self, "an operation")

    def detach(self) -> Any:
        """Returns self."""
        return self

    def to(self, dtype: Any) -> Any:
        """One like this for elements of another dtype."""
        return type(self)(self.requires_grad, dtype=dtype)  # type: ignore[call-arg,attr-defined]

    def float(self) -> Any:
        """One like this for float32."""
        return self.to(float32)

    def double(self) -> Any:
        """One like this for float64."""
        return self.to(float64)

    def __repr__(self, **options: Any) -> str:
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = self.to(self.dtype)  # type: ignore[attr-defined]
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, None, self.dtype)  # type: ignore[attr-defined]


def _uninitialized(tensor: Any, what: str) -> ValueError:
    return ValueError(
        f"Attempted to use an uninitialized parameter in {what}. This error happens when you are using a `LazyModule` or "
        f"explicitly manipulating `{type(tensor).__name__}` objects. When using LazyModules Call `forward` with a dummy batch to "
        "initialize the parameters before calling functions of them."
    )


def _refuse_methods() -> None:
    """Gives the mixin a refusal in the place of every method and operator of Tensor that needs elements."""

    def refusal(name: str) -> Any:
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            raise _uninitialized(self, f"Tensor.{name}")

        return method

    known = {
        *dir(object),
        *vars(UninitializedTensorMixin),
        "dim",
        "is_floating_point",
        "is_complex",
        "cpu",
        "get_device",
        "zero_grad",
    }
    private = {name for name in dir(Tensor) if name.startswith("_") and not name.startswith("__")}
    for name in set(dir(Tensor)) - known - private:
        if callable(getattr(Tensor, name)):
            setattr(UninitializedTensorMixin, name, refusal(name))


_refuse_methods()


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc,override]
    """A parameter whose shape is not known yet; `materialize` makes it a Parameter."""

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:  # type: ignore[misc]
        self = _share(cls, empty(0, device=device, dtype=dtype))
        self.requires_grad = requires_grad
        return self

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        pass


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc,override]
    """A buffer whose shape is not known yet; `materialize` makes it a Tensor."""

    __slots__ = ()
    cls_to_become = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> UninitializedBuffer:
        self = _share(cls, empty(0, device=device, dtype=dtype))
        self.requires_grad = requires_grad
        return self

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> None:
        pass


def is_lazy(tensor: Any) -> bool:
    """Whether this is a parameter or buffer whose shape is not known yet."""
    return isinstance(tensor, UninitializedTensorMixin)
