"""In-place operations. All are one idea: compute out of place, write the result into the storage, take over its place in the graph.

A write through a view changes its base and every other view of it. The base gets the node of a ViewScatterFunction (the base as
it was, with the new values in the view's place); every view, when next used, gets the node of a ViewGatherFunction of the base
as it is now.
"""

from __future__ import annotations

import functools
import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype
from minigrad._arguments import as_size
from minigrad._ext.arrange import copy_into, fill_with
from minigrad._ext.engine import (
    Function,
    _set_grad_enabled,
    apply,
    constant_of,
    from_array,
    is_grad_enabled,
    is_inference_mode_enabled,
    overwritten,
    raise_function_view,
)
from minigrad._ext.memory import broadcast_view
from minigrad.ops.elementwise import number_for
from minigrad.ops.shape import cast, expand

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from minigrad.tensor import Tensor


def view_positions(base: np.ndarray, view: np.ndarray) -> np.ndarray:
    """For each element of the view, its position in base.reshape(-1)."""
    start = view.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    offsets = np.full(view.shape, start, dtype=np.int64)
    for axis, (size, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        offsets += (np.arange(size) * stride).reshape((-1,) + (1,) * (view.ndim - 1 - axis))
    positions = np.zeros_like(offsets)
    places = np.cumprod([1, *base.shape[:0:-1]])[::-1] if base.ndim else []
    for axis in sorted(range(base.ndim), key=lambda axis: -base.strides[axis]):
        if base.shape[axis] > 1:
            positions += offsets // base.strides[axis] * places[axis]
            offsets %= base.strides[axis]
    return positions


class ViewGatherFunction(Function):
    """The elements of x at these positions of its flat order."""

    label = "AsStridedBackward0"

    def __init__(self, positions):
        self.positions = positions

    def forward(self, x):
        self.source = x.shape
        return x.reshape(-1)[self.positions]

    def backward(self, g):
        return apply(ViewScatterAddFunction(self.positions, self.source), g)


class ViewScatterAddFunction(Function):
    """Zeros of a shape with x added at these positions of its flat order: the adjoint of ViewGatherFunction."""

    def __init__(self, positions, shape):
        self.positions, self.shape = positions, shape

    def forward(self, x):
        out = np.zeros(self.shape, x.dtype)
        np.add.at(out.reshape(-1), self.positions, x)
        return out

    def backward(self, g):
        return apply(ViewGatherFunction(self.positions), g)


class ViewScatterFunction(Function):
    """x with the values y at these positions of its flat order."""

    label = "CopySlices"

    def __init__(self, positions):
        self.positions = positions

    def forward(self, x, y):
        out = np.array(x, order="C")
        out.reshape(-1)[self.positions] = y
        return out

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return (
            apply(ViewScatterFunction(self.positions), g, g.new_zeros(())) if gx else None,
            apply(ViewGatherFunction(self.positions), g) if gy else None,
        )


def refresh_view(view: Tensor) -> None:
    """Derives a view from its base again, after the base was written through another tensor. Called by the engine."""
    base = view._base
    if not base.requires_grad:
        view._set_view_node(view.detach())
        return
    before = _set_grad_enabled(True)
    try:
        view._set_view_node(apply(ViewGatherFunction(view_positions(base._array, view._array)), base))
    finally:
        _set_grad_enabled(before)


def check_target(target: Tensor) -> bool:
    """Whether a write is recorded. Raises RuntimeError for a tensor that may not be written in this mode."""
    recorded = is_grad_enabled() and not is_inference_mode_enabled()
    if target.is_inference() and not is_inference_mode_enabled():
        raise RuntimeError(
            "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal tensor before "
            "doing inplace update."
        )
    if recorded:
        base = target._base
        if target.requires_grad and target.is_leaf:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        if base is not None and base.requires_grad and base.is_leaf:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
    return recorded


def write(target: Tensor, compute: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """Writes compute(target as it is) into target's storage, and gives target.

    Raises RuntimeError for a leaf that requires grad (or a view of one) while grad mode is on, for a result that does not fit target's
    shape or dtype, and for a target whose elements share memory, before anything is written.
    """
    recorded = check_target(target)
    base = target._base
    array = target._array
    if array.size and any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. Please clone() "
            f"the tensor before performing the operation {name}."
        )
    if not array.flags.writeable:
        raise RuntimeError(f"{name}: the tensor's memory is read-only. Please clone() the tensor before writing to it.")
    before = target._shadow()
    result = compute(before)
    if recorded and result.requires_grad:
        kept, before = weakref.ref(before), None
        if kept() is not None:
            kept()._own_storage()
    if result._array.shape != array.shape:
        raise RuntimeError(
            f"output with shape {list(array.shape)} doesn't match the broadcast shape {list(result._array.shape)} ({name})"
        )
    if not _can_cast(result.dtype, target.dtype):
        raise RuntimeError(f"result type {result.dtype} can't be cast to the desired output type {target.dtype} ({name})")
    result = cast(result, target.dtype)
    if recorded and base is not None and target._origin() == 2:
        raise_function_view(target, "is being")
    if recorded and base is not None and (base.requires_grad or result.requires_grad) and target._origin() in (1, 3):
        made = "no_grad mode" if target._origin() == 1 else "inference mode"
        raise RuntimeError(
            f"A view was created in {made} and is being modified inplace with grad mode enabled ({name}). Make the view outside of it, "
            "or write to it inside."
        )
    copy_into(array, result._array)
    if recorded and (result.requires_grad or target.requires_grad or (base is not None and base.requires_grad)):
        take_place(target, result)
    else:
        target._bump_version()
    return target


def take_place(target: Tensor, result: Tensor) -> None:
    """Gives target, whose storage holds the values of result by now, result's place in the graph; for a view, by way of its base."""
    base = target._base
    if base is None:
        target._rebind(result)
    else:
        base._rebind(apply(ViewScatterFunction(view_positions(base._array, target._array)), base._shadow(), result))


def _can_cast(source: _dtype.dtype, target: _dtype.dtype) -> bool:
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    return rank[source.np.kind] <= rank[target.np.kind]


class FillFunction(Function):
    """A constant in the shape of x: its gradient is zero."""

    label = "FillBackward2"

    def __init__(self, value):
        self.value = value

    def forward(self, x):
        return broadcast_view(np.full((), self.value, x.dtype), x.shape)

    def backward(self, g):
        return g.new_zeros(g.shape)


def fill_(input: Tensor, value: Tensor | float) -> Tensor:
    """Sets every element to the value."""
    if isinstance(value, (int, float)):
        value = number_for(value, input.dtype)
    if type(value) in (int, float) and overwritten(fill_with, input, (value,), {}):
        return input
    if hasattr(value, "_array"):
        if value.ndim:
            raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")
        return copy_(input, value)
    return write(input, lambda x: apply(FillFunction(value), x), "fill_")


def zero_(input: Tensor) -> Tensor:
    """Sets every element to 0."""
    return input if overwritten(fill_with, input, (0,), {}) else fill_(input, 0)


class CopyFunction(Function):
    """y in the place of x, whose gradient is zero."""

    label = "CopyBackwards"

    def forward(self, x, y):
        return y

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return g.new_zeros(g.shape) if gx else None, g if gy else None


def copy_(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Sets the elements to those of src, which is broadcast and cast; gradients flow to src."""
    values = constant_of(src)
    if type(values) is np.ndarray and input._is_plain():
        array = input._array
        if values.dtype is array.dtype and values.shape == array.shape:
            copy_into(array, values)
            input._bump_version()
            return input
    return write(input, lambda x: apply(CopyFunction(), x, expand(cast(src, input.dtype), x._array.shape)), "copy_")


# Made of the operations that they are the in-place variants of


def in_place(compute: Callable[..., Tensor], overwrite: Callable[..., bool] | None = None) -> Callable[..., Tensor]:
    """The in-place variant of an operation on its first argument: exp_ of exp, with the same further arguments.

    overwrite(array, ...), a kernel that writes over its first argument and gives whether it did, serves where nothing is recorded.
    """
    name = compute.__name__ + "_"

    @functools.wraps(compute)
    def method(input: Tensor, *args: object, **kwargs: object) -> Tensor:
        if overwrite is not None and overwritten(overwrite, input, args, kwargs):
            return input
        return write(input, (lambda x: compute(x, *args, **kwargs)) if args or kwargs else compute, name)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"{compute.__name__}, written into the tensor."
    return method


def in_place_without_gradient(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """in_place of an operation that is not differentiable: the gradient of what was there before is zero."""

    @functools.wraps(compute)
    def overwritten(x: Tensor, *args: object, **kwargs: object) -> Tensor:
        result = compute(x, *args, **kwargs)
        return apply(CopyFunction(), x, cast(result, x.dtype)) if result._array.shape == x._array.shape else result

    return in_place(overwritten)


def rearrange(compute: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The in-place variant of an operation that gives a view of its first argument: unsqueeze_ of unsqueeze.

    The tensor itself gets the view's shape and strides; its views and its base keep theirs.
    """
    name = compute.__name__ + "_"

    @functools.wraps(compute)
    def method(input: Tensor, *args: object, **kwargs: object) -> Tensor:
        recorded = check_target(input)
        input._rearrange(compute(input._shadow(), *args, **kwargs), recorded)
        return input

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"{compute.__name__} of the tensor itself."
    return method


def resize_(input: Tensor, *sizes: int | Sequence[int]) -> Tensor:
    """Gives the tensor another shape: its first elements in order, in memory of their own if there are to be more than there are.

    What is added is not initialised to anything in PyTorch and is zero here. Raises RuntimeError for a tensor that requires grad.
    """
    shape = as_size(sizes, "resize_")
    if input.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    check_target(input)
    old, count = input._array, math.prod(shape)
    if count <= old.size and old.flags.c_contiguous:
        array = old.reshape(-1)[:count].reshape(shape)
    else:
        array = np.zeros(shape, old.dtype)
        kept = min(count, old.size)
        array.reshape(-1)[:kept] = old.reshape(-1)[:kept]
    input._rearrange(from_array(array), False)
    return input


def resize_as_(input: Tensor, the_template: Tensor) -> Tensor:
    """resize_ to the shape of another tensor."""
    return resize_(input, *the_template.shape)


def apply_(input: Tensor, callable: Callable[[Any], Any]) -> Tensor:
    """Sets each element to callable(element). Slow, and not differentiable: RuntimeError for a tensor that requires grad."""
    if input.requires_grad:
        raise RuntimeError("Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead.")
    values = np.array([callable(value) for value in input._array.reshape(-1).tolist()], input._array.dtype)
    return write(input, lambda x: from_array(values.reshape(x._array.shape)), "apply_")
