"""numpy's functions on Tensors: np.add(t, a), np.sin(t), a + t."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minigrad import _dtype
from minigrad._ext.engine import TensorBase, from_array

# What Python's operators do, the Tensor's own do, and remember: `a + t`, for an array a, is a call of np.add.
_OPERATORS: dict[np.ufunc, Any] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.true_divide: operator.truediv,
    np.floor_divide: operator.floordiv,
    np.remainder: operator.mod,
    np.power: operator.pow,
    np.matmul: operator.matmul,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.bitwise_and: operator.and_,
    np.bitwise_or: operator.or_,
    np.bitwise_xor: operator.xor,
    np.negative: operator.neg,
    np.absolute: operator.abs,
}


def _operand(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        _dtype.from_numpy(value.dtype)
        return from_array(value)
    return value.item() if isinstance(value, np.generic) else value


def _result(value: Any) -> Any:
    array = np.asarray(value)
    return from_array(array) if array.dtype in {t.np for t in _dtype.ALL} else value


def array_ufunc(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    """`Tensor.__array_ufunc__`: the Tensor's operator where there is one, with its gradient; else numpy's function on the arrays.

    RuntimeError for a tensor that requires grad where there is no operator. TypeError for a tensor as `out`.
    """
    if ufunc in _OPERATORS and method == "__call__" and not options:
        return _OPERATORS[ufunc](*map(_operand, inputs))
    out = options.get("out", ())
    if any(isinstance(value, TensorBase) for value in out):
        return NotImplemented
    arrays = [value.__array__() if isinstance(value, TensorBase) else value for value in inputs]
    result = getattr(ufunc, method)(*arrays, **options)
    if out:
        return result
    return tuple(map(_result, result)) if isinstance(result, tuple) else _result(result)
