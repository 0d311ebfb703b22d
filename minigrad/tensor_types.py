"""PyTorch's old names of tensors by dtype: FloatTensor, LongTensor and their like."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import _dtype, creation
from minigrad._dtype import dtype as DType
from minigrad._ext.engine import TensorBase
from minigrad.tensor import Size, Tensor


class TensorType(type):
    """The class of FloatTensor and its like: calling one makes a Tensor, isinstance asks for the dtype."""

    dtype: DType

    def __new__(cls, name: str, dtype: DType) -> TensorType:
        return super().__new__(cls, name, (), {"dtype": dtype, "__doc__": f"{name}(data), {name}(*sizes): {dtype.name}."})

    def __init__(cls, name: str, dtype: DType) -> None:
        super().__init__(name, (), {})

    def __call__(cls, *args: Any) -> Tensor:
        """From data (a sequence, an array, a tensor of this dtype), or of a size, with elements that are not set.

        Raises TypeError for a tensor of another dtype.
        """
        if len(args) == 1 and isinstance(args[0], (list, tuple, np.ndarray)) and not isinstance(args[0], Size):
            return creation.tensor(args[0], dtype=cls.dtype)
        if len(args) == 1 and isinstance(args[0], TensorBase):
            if args[0].dtype is not cls.dtype:
                raise TypeError(f"expected {cls.dtype!r} (got {args[0].dtype!r})")
            return args[0].detach()
        return creation.empty(*args, dtype=cls.dtype) if args else creation.empty(0, dtype=cls.dtype)

    def __instancecheck__(cls, obj: object) -> bool:
        return isinstance(obj, Tensor) and obj.dtype is cls.dtype

    def __repr__(cls) -> str:
        return f"<class 'minigrad.{cls.__name__}'>"


FloatTensor = TensorType("FloatTensor", _dtype.float32)
DoubleTensor = TensorType("DoubleTensor", _dtype.float64)
LongTensor = TensorType("LongTensor", _dtype.int64)
IntTensor = TensorType("IntTensor", _dtype.int32)
ShortTensor = TensorType("ShortTensor", _dtype.int16)
CharTensor = TensorType("CharTensor", _dtype.int8)
ByteTensor = TensorType("ByteTensor", _dtype.uint8)
BoolTensor = TensorType("BoolTensor", _dtype.bool)
