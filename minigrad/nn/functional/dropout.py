"""Dropout: random zeros while training. The masks come from `minigrad.random`'s default generator."""

from __future__ import annotations

import math
import warnings

import numpy as np

from minigrad._ext.engine import TensorBase, from_array
from minigrad.random import draw_keep_factor, draw_keep_mask
from minigrad.tensor import Tensor

# The value that SELU saturates at, negated: scale * alpha of Klambauer et al., "Self-normalizing neural networks", 2017.
_SELU_SATURATION = 1.7580993408473766


def _check(input: Tensor, p: float, function: str) -> None:
    if not isinstance(input, TensorBase):
        raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _check_float(input: Tensor) -> None:
    if not input.is_floating_point():
        raise RuntimeError(f"result type Float can't be cast to the desired output type {input.dtype}; use a float tensor")


def _multiply(input: Tensor, factor: np.ndarray, inplace: bool) -> Tensor:
    return input.mul_(from_array(factor)) if inplace else input * from_array(factor)


def _drop(input: Tensor, p: float, training: bool, inplace: bool, mask_shape: tuple[int, ...]) -> Tensor:
    if not training or p == 0 or input.numel() == 0:
        return input
    _check_float(input)
    real = input.dtype.np
    factor = draw_keep_factor(mask_shape, 1 - p, real) if p < 1 else np.zeros(mask_shape, real)
    return _multiply(input, factor, inplace)


def _alpha_drop(input: Tensor, p: float, training: bool, inplace: bool, mask_shape: tuple[int, ...]) -> Tensor:
    if not training or p == 0 or input.numel() == 0:
        return input
    _check_float(input)
    real = input.dtype.np
    if p == 1:
        return _multiply(input, np.zeros(mask_shape, real), inplace)
    alpha = _SELU_SATURATION
    a = 1 / math.sqrt((alpha * alpha * p + 1) * (1 - p))
    keep = draw_keep_mask(mask_shape, 1 - p).astype(real)
    shift = from_array((keep - 1) * real.type(alpha * a) + real.type(alpha * a * p))
    result = _multiply(input, keep * real.type(a), inplace)
    return result.add_(shift) if inplace else result + shift


def _channel_mask_shape(input: Tensor) -> tuple[int, ...]:
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input.shape[:2], *(1,) * (input.ndim - 2))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes each element with probability p and multiplies the rest by 1 / (1 - p); the input itself if not training.

    ValueError unless 0 <= p <= 1; RuntimeError for an integer tensor. `inplace` writes into the input.
    """
    _check(input, p, "dropout")
    return _drop(input, p, training, inplace, tuple(input.shape))


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Sets each element with probability p to SELU's negative saturation value, then rescales to keep mean 0 and variance 1.

    With alpha = 1.7581 and a = ((alpha**2 * p + 1) * (1 - p))**-0.5: a * (x or -alpha) + alpha * a * p. Errors as `dropout`.
    """
    _check(input, p, "alpha_dropout")
    return _alpha_drop(input, p, training, inplace, tuple(input.shape))


def _with_batch(input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    """Drops channels, the first dimension of `input`, which has no batch dimension."""
    return _drop(input, p, training, inplace, (input.shape[0], *(1,) * (input.ndim - 1)))


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels of (N, C, L) or (C, L) with probability p and multiplies the rest by 1 / (1 - p).

    RuntimeError for another number of dimensions; otherwise errors as `dropout`.
    """
    _check(input, p, "dropout1d")
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    if input.ndim == 2:
        return _with_batch(input, p, training, inplace)
    return _drop(input, p, training, inplace, _channel_mask_shape(input))


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels of (N, C, H, W) with probability p and multiplies the rest by 1 / (1 - p).

    Warns about other numbers of dimensions and takes the first two as (N, C), as PyTorch does. Errors as `dropout`.
    """
    _check(input, p, "dropout2d")
    if input.ndim not in (3, 4):
        _warn_ndim(
            "dropout2d",
            input.ndim,
            "2 spatial dimensions, a channel dimension, and an optional batch dimension (i.e. 3D or 4D inputs)",
        )
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input is "
            "interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future release to "
            "interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise dropout "
            "behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _drop(input, p, training, inplace, _channel_mask_shape(input))


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p and multiplies the rest by 1 / (1 - p).

    Warns about other numbers of dimensions. Errors as `dropout`.
    """
    _check(input, p, "dropout3d")
    if input.ndim not in (4, 5):
        _warn_ndim(
            "dropout3d",
            input.ndim,
            "3 spatial dimensions, a channel dimension, and an optional batch dimension (i.e. 4D or 5D inputs)",
        )
    if input.ndim != 5 and input.ndim > 0:
        return _with_batch(input, p, training, inplace)
    return _drop(input, p, training, inplace, _channel_mask_shape(input))


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels: one draw for each (n, c) of (N, C, ...). RuntimeError below 2 dimensions."""
    _check(input, p, "feature_alpha_dropout")
    return _alpha_drop(input, p, training, inplace, _channel_mask_shape(input))


def _warn_ndim(function: str, ndim: int, wanted: str) -> None:
    warnings.warn(
        f"{function}: Received a {ndim}-D input to {function}, which is deprecated and will result in an error in a future "
        "release. To retain the behavior and silence this warning, please use dropout instead. Note that "
        f"{function} exists to provide channel-wise dropout on inputs with {wanted}.",
        stacklevel=3,
    )
