"""softmax, log_softmax and softmin: arguments are checked here, the work is minigrad.ops.loss."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from minigrad import _dtype
from minigrad._arguments import normalize_dim
from minigrad._ext.engine import TensorBase
from minigrad.ops import loss as ops
from minigrad.ops.shape import cast

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _prepare(function: str, input: Tensor, dim: int | None, stacklevel: int, dtype: Any) -> tuple[Tensor, int]:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {function} has been deprecated. Change the call to include dim=X as an argument.",
            stacklevel=stacklevel + 1,
        )
        dim = 0 if input.ndim in (0, 1, 3) else 1
    if not isinstance(dim, int):
        raise TypeError(f"{function}(): argument 'dim' must be int, not {type(dim).__name__}")
    if dtype is not None:
        input = cast(input, _dtype.check(dtype, function))
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f'"{function}" is not implemented for {input.dtype}: pass dtype=minigrad.float32')
    return input, normalize_dim(dim, input.ndim)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(input) / sum exp(input) along dim. dtype: what the input is cast to first.

    Raises IndexError for a dim that is not there, NotImplementedError for integers without a dtype; warns where dim is None.
    """
    return ops.softmax(*_prepare("softmax", input, dim, _stacklevel, dtype))


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-input)"""
    x, dim = _prepare("softmin", input, dim, _stacklevel, dtype)
    return ops.softmax(-x, dim)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along dim, computed as (x - max) - log sum exp(x - max). Arguments and errors as for softmax."""
    return ops.log_softmax(*_prepare("log_softmax", input, dim, _stacklevel, dtype))
