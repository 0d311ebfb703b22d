"""Normalisation functions: arguments are checked here, the work is minigrad.ops.norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigrad._arguments import normalize_dims
from minigrad._ext.engine import TensorBase
from minigrad.ops import norm as ops
from minigrad.ops.elementwise import clamp_min
from minigrad.ops.reduce import norm
from minigrad.ops.shape import cat, expand, narrow

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

_TORCH_NAMES = {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}


def _check_input(function: str, input: Tensor) -> None:
    """Raises TypeError for anything but a tensor and NotImplementedError for a tensor of integers."""
    if not isinstance(input, TensorBase):
        raise TypeError(f"{function}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if not input.dtype.is_floating_point:
        raise NotImplementedError(f"\"{function}\" not implemented for '{_TORCH_NAMES[input.dtype.name]}': pass a float tensor")


def _check_dtype(function: str, input: Tensor, **others: Tensor | None) -> None:
    """Raises RuntimeError for a parameter of another dtype than the input's."""
    dtype = input.dtype
    for name, other in others.items():
        if other is None:
            continue
        if not isinstance(other, TensorBase):
            raise TypeError(f"{function}(): argument '{name}' must be Tensor, not {type(other).__name__}")
        if other.dtype is not dtype:
            raise RuntimeError(
                f"mixed dtype (CPU): {function} expects input and {name} of one dtype, but got {input.dtype} and {other.dtype}"
            )


def _check_channels(function: str, shape: tuple[int, ...], channels: int, **others: Tensor | None) -> None:
    """Raises RuntimeError for a vector that has not one element a channel."""
    for name, other in others.items():
        if other is not None and other._array.shape != (channels,):
            raise RuntimeError(
                f"{function}: {name} should contain {channels} elements not {other._array.size} (its shape is "
                f"{list(other._array.shape)}, the input's {list(shape)})"
            )


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias for each channel of input (N, C, ...).

    training: mean and (biased) var are those of the batch, and the running statistics, where given, become
    (1 - momentum) running + momentum batch, with the unbiased variance. Otherwise they are the running statistics.
    Raises ValueError for a training batch of one value a channel, RuntimeError for shapes and dtypes that do not fit.
    """
    _check_input("batch_norm", input)
    shape = input._array.shape
    if not isinstance(momentum, (int, float)):
        raise TypeError(f"batch_norm(): argument 'momentum' (position 7) must be float, not {type(momentum).__name__}")
    if eps < 0:
        raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
    if len(shape) < 2:
        raise RuntimeError(f"batch_norm: expected an input (N, C, ...) of at least 2 dimensions, but got shape {list(shape)}")
    if training:
        _check_more_than_one(shape, shape[0] * math.prod(shape[2:]))
    else:
        for name, running in (("running_mean", running_mean), ("running_var", running_var)):
            if running is None:
                raise RuntimeError(f"{name} must be defined in evaluation mode")
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_dtype("batch_norm", input, **vectors)
    _check_channels("batch_norm", shape, shape[1], **vectors)
    return ops.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


def _check_more_than_one(shape: Sequence[int], values: int) -> None:
    if values == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(shape)}")


def _normalized_size(function: str, input: Tensor, normalized_shape: Sequence[int], **parameters: Tensor | None) -> int:
    """The number of elements in normalized_shape, after checking that the input ends in it and the parameters have it."""
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(
            f"{function}(): argument 'normalized_shape' (position 2) must be tuple of ints, not {type(normalized_shape).__name__}"
        )
    wanted, shape = tuple(normalized_shape), input._array.shape
    if not wanted:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
            "normalized_shape = []"
        )
    for name, parameter in parameters.items():
        if parameter is not None and parameter._array.shape != wanted:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(parameter._array.shape)} and "
                f"normalized_shape = {list(wanted)}"
            )
    if len(shape) < len(wanted) or shape[-len(wanted) :] != wanted:
        raise RuntimeError(
            f"Given normalized_shape={list(wanted)}, expected input with shape [*, {', '.join(map(str, wanted))}], but got input "
            f"of size{list(shape)}"
        )
    _check_dtype(function, input, **parameters)
    return math.prod(wanted)


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias, with one mean and (biased) variance over the last dimensions.

    weight and bias have the shape normalized_shape, which the input's must end in: RuntimeError otherwise.
    """
    _check_input("layer_norm", input)
    size = _normalized_size("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return ops.layer_norm(input, size, weight, bias, eps)


def rms_norm(input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """input / sqrt(mean(input^2) + eps) * weight over the last dimensions; eps is by default the dtype's machine epsilon.

    weight has the shape normalized_shape, which the input's must end in: RuntimeError otherwise.
    """
    _check_input("rms_norm", input)
    size = _normalized_size("rms_norm", input, normalized_shape, weight=weight)
    return ops.rms_norm(input, size, weight, float(np.finfo(input._array.dtype).eps) if eps is None else eps)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-05
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias for each sample's groups of C / num_groups channels of input (N, C, ...).

    weight and bias have one element a channel. Raises RuntimeError where shapes do not fit, ValueError for one value a group.
    """
    _check_input("group_norm", input)
    shape = input._array.shape
    if len(shape) < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {len(shape)}")
    if num_groups == 0:
        raise ZeroDivisionError("group_norm: num_groups must be positive, but got 0")
    if num_groups < 0:
        raise RuntimeError(f"group_norm: expected num_groups to be greater than 0, got {num_groups}")
    _check_more_than_one(shape, shape[0] * shape[1] // num_groups * math.prod(shape[2:]))
    if shape[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and "
            f"num_groups={num_groups}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and parameter._array.shape != (shape[1],):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(parameter._array.shape)} and input of shape {list(shape)}"
            )
    _check_dtype("group_norm", input, weight=weight, bias=bias)
    return ops.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-05,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) * weight + bias for each sample and channel of input (N, C, ...).

    use_input_stats: the statistics are those of the sample's channel, and the running ones, where given, move towards their average.
    Otherwise they are the running statistics. Raises ValueError for one spatial element, RuntimeError where shapes do not fit.
    """
    _check_input("instance_norm", input)
    shape = input._array.shape
    if use_input_stats and math.prod(shape[2:]) == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {list(shape)}")
    if len(shape) < 3:
        raise RuntimeError(
            f"instance_norm: expected an input (N, C, ...) of at least 3 dimensions, but got shape {list(shape)}"
        )
    if not use_input_stats and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when use_input_stats is false")
    vectors = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    _check_dtype("instance_norm", input, **vectors)
    _check_channels("instance_norm", shape, shape[1], **vectors)
    if not use_input_stats:
        return ops.batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)
    return ops.instance_norm(input, weight, bias, running_mean, running_var, momentum, eps)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """input / (k + alpha / size * sum of squares over `size` neighbouring channels) ^ beta, for input (N, C, ...).

    The window of channel c goes from c - size // 2 to c + (size - 1) // 2. Raises ValueError for fewer than 3 dimensions.
    """
    _check_input("local_response_norm", input)
    shape = input._array.shape
    if len(shape) < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {len(shape)} dimensions)")
    if size < 1:
        raise RuntimeError(f"local_response_norm: size must be at least 1, but got {size}")
    if input._array.size == 0:
        return input
    squares = input * input
    before, after = size // 2, (size - 1) // 2
    edges = [squares.new_zeros((shape[0], n, *shape[2:])) for n in (before, after)]
    padded = cat([edges[0], squares, edges[1]], 1)
    total = narrow(padded, 1, 0, shape[1])
    for start in range(1, size):
        total = total + narrow(padded, 1, start, shape[1])
    return input / (total * (alpha / size) + k) ** beta


def normalize(
    input: Tensor, p: float = 2.0, dim: int | tuple[int, ...] = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """input / max(|input|_p, eps), with the p-norm over dim. Raises NotImplementedError for `out`."""
    if out is not None:
        raise NotImplementedError("normalize: `out` is not supported; use the result")
    if not isinstance(input, TensorBase):
        raise TypeError(f"normalize(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    if not input.dtype.is_floating_point:
        raise RuntimeError(f"normalize: expected a floating point tensor as input, but got dtype {input.dtype}")
    dims = normalize_dims(dim, input.ndim)
    return input / expand(clamp_min(norm(input, p, dims, True), eps), *input._array.shape)
