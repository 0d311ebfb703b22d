"""Variable, the name of old programs for a Tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigrad._ext.engine import TensorBase

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TensorBase)


class Variable(metaclass=_VariableMeta):
    """Variable(data, requires_grad=False): the tensor outside of the graph, sharing its memory. Every Tensor is an instance of it."""

    def __new__(cls, data: Tensor, requires_grad: bool = False, volatile: bool | None = None) -> Any:
        """Raises TypeError for what is no Tensor, RuntimeError for integers that are to require grad."""
        if not isinstance(data, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)
