"""Linear and bilinear maps of the last dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigrad._ext import hot_linalg
from minigrad._ext.engine import TensorBase
from minigrad.ops import linalg

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _check_tensors(function: str, **arguments: object) -> None:
    for name, value in arguments.items():
        if not isinstance(value, TensorBase):
            raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(value).__name__}")


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias.

    Args:
        input: (*, I), any number of leading dimensions.
        weight: (O, I), or (I,) for a single output without a dimension of its own.
        bias: (O,), or whatever broadcasts to the result; None for none.

    Returns:
        (*, O), of the same dtype.

    Raises:
        RuntimeError: shapes that cannot be multiplied, or different dtypes.
    """
    out = hot_linalg.try_linear(input, weight, bias)
    if out is not None:
        return out
    _check_tensors("linear", input=input, weight=weight, **({} if bias is None else {"bias": bias}))
    x, w = input._array, weight._array
    if x.ndim == 0 or w.ndim == 0:
        raise RuntimeError(f"both arguments to linear need to be at least 1D, but they are {x.ndim}D and {w.ndim}D")
    if w.ndim > 2:
        raise RuntimeError(
            f"linear: t() expects a tensor with <= 2 dimensions, but weight is {w.ndim}D: its shape must be (O, I)"
        )
    if x.shape[-1] != w.shape[-1]:
        rows = x.size // x.shape[-1] if x.shape[-1] else 0
        shapes = f"{rows}x{x.shape[-1]} and {w.shape[-1]}x{w.shape[0] if w.ndim == 2 else 1}"
        raise RuntimeError(
            f"linear: mat1 and mat2 shapes cannot be multiplied ({shapes}): the last dimension of input {tuple(x.shape)} must be "
            f"{w.shape[-1]}, that of weight {tuple(w.shape)}"
        )
    if x.dtype != w.dtype or (bias is not None and bias.dtype is not weight.dtype):
        given = f"{input.dtype} and {weight.dtype}" + ("" if bias is None else f", bias {bias.dtype}")
        raise RuntimeError(
            f"linear: expected input and weight to have the same dtype, but got {given}: convert with .to(dtype)"
        )
    if w.ndim == 1 or x.dtype.kind != "f":
        y = linalg.matmul(input, weight if w.ndim == 1 else weight.t())
        return y if bias is None else y + bias
    if bias is None or bias._array.shape == w.shape[:1]:
        return linalg.linear(input, weight, bias)
    y = linalg.linear(input, weight, None)
    return y + bias.expand(y.shape)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[*, o] = sum over i and j of input1[*, i] weight[o, i, j] input2[*, j], plus bias[o].

    Args:
        input1: (*, I).
        input2: (*, J), with the same leading dimensions.
        weight: (O, I, J).
        bias: (O,) or None.

    Returns:
        (*, O).

    Raises:
        RuntimeError: shapes that do not agree.
    """
    _check_tensors("bilinear", input1=input1, input2=input2, weight=weight)
    if input1.ndim != input2.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    for d, (n, m) in enumerate(zip(input1._array.shape[:-1], input2._array.shape[:-1], strict=True)):
        if n != m:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {d}: got {n} and {m}")
    if weight.ndim != 3:
        raise IndexError(f"bilinear(): weight must have the shape (O, I, J), but got {tuple(weight.shape)}")
    for i, x in enumerate((input1, input2), 1):
        if x.ndim == 0 or x._array.shape[-1] != weight._array.shape[i]:
            got = x._array.shape[-1] if x.ndim else "a 0-d tensor"
            raise RuntimeError(
                f"bilinear(): input{i} size does not match weight size: got {got} but expected {weight._array.shape[i]}"
            )
    if bias is not None and bias._array.shape != weight._array.shape[:1]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._array.shape[0] if bias.ndim else 0} but expected "
            f"{weight._array.shape[0]}"
        )
    return linalg.bilinear(input1, input2, weight, bias)
