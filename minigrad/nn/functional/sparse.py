"""Functions of class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._ext.engine import TensorBase, from_array
from minigrad.ops.embedding import embedding as embedding_op
from minigrad.ops.index import index_select
from minigrad.ops.shape import reshape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of a table at the given indices.

    Args:
        input: int64 or int32 indices, any shape.
        weight: the table, (V, D).
        padding_idx: a row that gets no gradient; negative counts from the end.
        max_norm: not supported (NotImplementedError): it would change weight in place.
        norm_type: the p of max_norm.
        scale_grad_by_freq: divide each row's gradient by how often the row occurs in input.
        sparse: not supported (NotImplementedError): gradients are dense.

    Returns:
        (*input.shape, D).

    Raises:
        IndexError: an index out of range.
        RuntimeError: an input that is not int32 or int64, or a weight that is not 2-D.
        AssertionError: padding_idx out of range.
    """
    for name, value in (("input", input), ("weight", weight)):
        if not isinstance(value, TensorBase):
            raise TypeError(f"embedding(): argument '{name}' must be Tensor, not {type(value).__name__}")
    if weight.ndim != 2:
        raise RuntimeError(f"embedding(): 'weight' must be 2-D, but its shape is {tuple(weight.shape)}")
    rows = weight._array.shape[0]
    if max_norm is not None:
        raise NotImplementedError("embedding(): max_norm is not supported: renormalise weight yourself under no_grad()")
    if sparse:
        raise NotImplementedError("embedding(): sparse gradients are not supported: pass sparse=False")
    padding = -1
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"embedding(): Padding_idx must be within num_embeddings: got {padding_idx}, {rows} rows")
        padding = padding_idx % rows
    if input.dtype not in (_dtype.int64, _dtype.int32):
        raise RuntimeError(
            f"embedding(): expected indices of dtype int64 or int32, but got {input.dtype}: convert with .long()"
        )
    indices = input._array.astype(np.int64, copy=False)
    if indices.size and (indices.min() < 0 or indices.max() >= rows):
        worst = indices.max() if indices.max() >= rows else indices.min()
        raise IndexError(f"embedding(): index out of range in self: {worst} with {rows} rows")
    if not weight.dtype.is_floating_point:
        chosen = index_select(weight, 0, reshape(input, -1))
        return reshape(chosen, *input._array.shape, weight._array.shape[1])
    return embedding_op(weight, indices, padding, scale_grad_by_freq)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 vectors (*, C) that are 1 at the given classes and 0 elsewhere; C is the greatest class + 1 if num_classes is -1.

    Raises RuntimeError unless the classes are int64, non-negative and below num_classes.
    """
    if not isinstance(tensor, TensorBase):
        raise TypeError(f"one_hot(): argument 'tensor' must be Tensor, not {type(tensor).__name__}")
    classes = tensor._array
    if classes.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type int64, but got {tensor.dtype}")
    if classes.size == 0 and num_classes <= 0:
        raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor: pass num_classes")
    if classes.size and classes.min() < 0:
        raise RuntimeError(f"one_hot: Class values must be non-negative, but got {classes.min()}")
    if num_classes == -1:
        num_classes = int(classes.max()) + 1
    elif classes.size and classes.max() >= num_classes:
        raise RuntimeError(f"one_hot: Class values must be smaller than num_classes, but got {classes.max()} and {num_classes}")
    out = np.zeros((classes.size, num_classes), np.int64)
    out[np.arange(classes.size), classes.reshape(-1)] = 1
    return from_array(out.reshape(*classes.shape, num_classes))
