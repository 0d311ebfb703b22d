"""The argument out= of PyTorch's functions: where the result is written."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from minigrad._ext.engine import TensorBase, is_grad_enabled
from minigrad.autograd.grad_mode import no_grad
from minigrad.ops.special import can_cast

F = TypeVar("F", bound=Callable[..., Any])


def accepts_out(function: F) -> F:
    """The function with a keyword argument `out`: a tensor (or a tuple of tensors, for several results) that takes the result.

    It is resized to the result's shape, with a UserWarning if it had elements. RuntimeError if a gradient is to flow through the
    call, or if the result's dtype cannot be cast to out's.
    """

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **keywords: Any) -> Any:
        if out is None:
            return function(*args, **keywords)
        outs = out if isinstance(out, (tuple, list)) else (out,)
        _check(function.__name__, outs, [*args, *keywords.values()])
        with no_grad():
            result = function(*args, **keywords)
            for target, value in zip(outs, result if isinstance(result, tuple) else (result,), strict=True):
                _write(target, value)
        return type(result)(*outs) if isinstance(result, tuple) else out

    return call  # type: ignore[return-value]


def _check(name: str, outs: tuple, arguments: list) -> None:
    for target in outs:
        if not isinstance(target, TensorBase):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(target).__name__}")
    inside = [x for argument in arguments for x in (argument if isinstance(argument, (tuple, list)) else (argument,))]
    if is_grad_enabled() and any(isinstance(x, TensorBase) and x.requires_grad for x in (*outs, *inside)):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
            "requires grad."
        )


def _write(target: Any, value: Any) -> None:
    if not can_cast(value.dtype, target.dtype):
        raise RuntimeError(f"result type {value.dtype} can't be cast to the desired output type {target.dtype}")
    if target.shape != value.shape:
        if target.numel():
            warnings.warn(
                f"An output with one or more elements was resized since it had shape {list(target.shape)}, which does not match the "
                f"required output shape {list(value.shape)}. This behavior is deprecated.",
                stacklevel=4,
            )
        target.resize_(value.shape)
    target.copy_(value)
