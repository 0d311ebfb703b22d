"""Functions of class indices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad import _dtype
from minigrad._ext.engine import TensorBase, from_array
from minigrad.creation import zeros
from minigrad.ops.embedding import embedding as embedding_op
from minigrad.ops.embedding import sums_of_rows
from minigrad.ops.index import index_add, index_select, masked_fill
from minigrad.ops.reduce import max as max_
from minigrad.ops.shape import narrow, reshape, unsqueeze

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _check_table(input: Tensor, weight: Tensor, max_norm: float | None, sparse: bool) -> None:
    """Raises what embedding raises for its input and weight, and for what is not supported."""
    for name, value in (("input", input), ("weight", weight)):
        if not isinstance(value, TensorBase):
            raise TypeError(f"embedding(): argument '{name}' must be Tensor, not {type(value).__name__}")
    if weight.ndim != 2:
        raise RuntimeError(f"embedding(): 'weight' must be 2-D, but its shape is {tuple(weight.shape)}")
    if max_norm is not None:
        raise NotImplementedError("embedding(): max_norm is not supported: renormalise weight yourself under no_grad()")
    if sparse:
        raise NotImplementedError("embedding(): sparse gradients are not supported: pass sparse=False")
    if input.dtype not in (_dtype.int64, _dtype.int32):
        raise RuntimeError(
            f"embedding(): expected indices of dtype int64 or int32, but got {input.dtype}: convert with .long()"
        )


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
    _check_table(input, weight, max_norm, sparse)
    rows = weight._array.shape[0]
    padding = -1
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise AssertionError(f"embedding(): Padding_idx must be within num_embeddings: got {padding_idx}, {rows} rows")
        padding = padding_idx % rows
    if not weight.dtype.is_floating_point:
        chosen = index_select(weight, 0, reshape(input, -1))
        return reshape(chosen, *input._array.shape, weight._array.shape[1])
    return embedding_op(weight, input, padding, scale_grad_by_freq)


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


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[np.ndarray, int]:
    """(the bag of each index, the number of bags). ValueError and RuntimeError as embedding_bag."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. However, "
                f"found offsets of type {type(offsets)}"
            )
        count, length = input._array.shape
        return np.repeat(np.arange(count), length), count
    if input.ndim != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.ndim != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    starts, size = offsets._array.astype(np.int64), input._array.size
    ends = starts[1:] if include_last_offset else np.append(starts[1:], size)
    starts = starts[:-1] if include_last_offset else starts
    if starts.size and starts[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got "
            f"{starts[0]}"
        )
    lengths = ends - starts
    if (lengths < 0).any() or (ends.size and ends[-1] > size):
        raise RuntimeError(f"embedding_bag(): offsets must rise from 0 to at most {size}, but got {offsets.tolist()}")
    bags = np.repeat(np.arange(lengths.size), lengths)
    return bags, int(lengths.size)


def _largest_of_bags(rows: Tensor, bags: np.ndarray, count: int) -> Tensor:
    """(count, D): the maxima over the rows (R, D) of each bag, 0 for an empty one."""
    sizes = np.bincount(bags, minlength=count)
    longest = int(sizes.max(initial=0))
    if longest == 0:
        return zeros(count, rows._array.shape[1], dtype=rows.dtype)
    place = np.arange(bags.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # of a row within its bag
    table, there = np.zeros((count, longest), np.int64), np.zeros((count, longest, 1), np.bool_)
    table[bags, place], there[bags, place] = np.arange(bags.size), True
    wide = reshape(index_select(rows, 0, from_array(table.reshape(-1))), count, longest, rows._array.shape[1])
    largest = max_(masked_fill(wide, from_array(~there), float("-inf")), 1)[0]
    return masked_fill(largest, from_array((sizes == 0)[:, None]), 0.0)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of the rows of a table at the indices of each bag.

    Args:
        input: indices, (B, L) for bags of one length, or (N,) with offsets.
        weight: the table, (V, D).
        offsets: (B,), where each bag begins in input; with include_last_offset also, at the end, where the last one ends.
        mode: "sum", "mean" or "max". An empty bag gives zeros.
        per_sample_weights: as input; what each row is multiplied by, for "sum" alone.
        padding_idx: an index that is not counted.
        max_norm, norm_type, scale_grad_by_freq, sparse: as in embedding.

    Returns:
        (B, D).

    Raises:
        ValueError: a wrong number of dimensions, offsets with 2-D input or none with 1-D, an unknown mode, or weights of another
            shape than input.
        NotImplementedError: max_norm, sparse, or per_sample_weights with another mode than "sum".
        RuntimeError: offsets that do not rise from 0.
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if per_sample_weights is not None:
        if tuple(per_sample_weights.shape) != tuple(input.shape):
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same shape as "
                f"the input ({input.shape})"
            )
        if mode != "sum":
            raise NotImplementedError(
                f"embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' (got mode='{mode}')"
            )
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if input.ndim == 2 and offsets is None and padding_idx is None and input._array.shape[1] > 0 and mode == "max":
        return max_(embedding(input, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse), 1)[0]
    bags, count = _bags(input, offsets, include_last_offset)
    flat, factors = reshape(input, -1), None if per_sample_weights is None else reshape(per_sample_weights, -1)
    if bags.size < flat._array.size:
        flat, factors = narrow(flat, 0, 0, bags.size), None if factors is None else narrow(factors, 0, 0, bags.size)
    if padding_idx is not None:
        kept = np.flatnonzero(flat._array != padding_idx % weight._array.shape[0])
        bags, places = bags[kept], from_array(kept)
        flat = index_select(flat, 0, places)
        factors = None if factors is None else index_select(factors, 0, places)
    _check_table(flat, weight, max_norm, sparse)
    if mode != "max" and factors is None and not scale_grad_by_freq and weight.dtype.is_floating_point:
        total = sums_of_rows(weight, flat, bags, count)
    else:
        rows = embedding(flat, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
        if mode == "max":
            return _largest_of_bags(rows, bags, count)
        if factors is not None:
            rows = rows * unsqueeze(factors, 1)
        total = index_add(zeros(count, rows._array.shape[1], dtype=rows.dtype), 0, from_array(bags), rows)
    if mode == "sum":
        return total
    sizes = np.maximum(np.bincount(bags, minlength=count), 1).astype(total.dtype.np)
    return total / from_array(sizes[:, None])
