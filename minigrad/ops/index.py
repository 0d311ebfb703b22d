"""Operations that choose elements by index: indexing, gather and scatter, masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from minigrad import _dtype
from minigrad._arguments import accepts_axis, normalize_dim
from minigrad._ext import hot, views
from minigrad._ext import index as kernels
from minigrad._ext.arrange import copied, copy_into, fill_with
from minigrad._ext.elementwise import masked_fill_ as masked_fill_kernel
from minigrad._ext.engine import Function, TensorBase, apply, as_view, constant_of, from_array, try_kernel
from minigrad._ext.memory import zeros_array
from minigrad._naming import named_node
from minigrad.ops.elementwise import as_tensor_like, number_for, where
from minigrad.ops.inplace import copy_, write
from minigrad.ops.shape import SliceFunction, cast, clone, expand, flatten, permute, reshape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from minigrad.tensor import Tensor


# Entries: along one dimension, or along several that are next to each other and count as one. x is seen as (outer, size, inner) around
# them. Positions are int64 and in range.


def raise_outside(error: type[Exception], positions: np.ndarray, size: int, dim: int) -> NoReturn:
    """Refuses positions of which one is not in a dimension of this size."""
    worst = positions.max() if positions.max() >= size else positions.min()
    raise error(f"index out of range in self: index {worst} is out of bounds for dimension {dim} with size {size}")


def _taken(shape: tuple[int, ...], positions: np.ndarray, dim: int, merged: int) -> tuple[int, ...]:
    """The shape with that of the positions in the place of the merged dimensions."""
    return (*shape[:dim], *positions.shape, *shape[dim + merged :])


def _added(
    start: np.ndarray | None, shape: tuple[int, ...], rows: np.ndarray, node: RowsAddFunction | RowsPutFunction
) -> np.ndarray:
    """start, or zeros of a shape, with rows added at a node's positions, in order. IndexError for one that is not in range."""
    size = math.prod(shape[node.dim : node.dim + node.merged])
    if rows.itemsize in (4, 8):
        out = kernels.add_rows(start, shape, np.ascontiguousarray(rows), node.positions, node.dim, node.merged)
    elif kernels.are_inside(node.positions, size):
        out = zeros_array(shape, rows.dtype) if start is None else start.copy()
        flat = out.reshape(*shape[: node.dim], size, *shape[node.dim + node.merged :])
        np.add.at(flat, (slice(None),) * node.dim + (node.positions,), rows)
    else:
        out = None
    return out if out is not None else raise_outside(IndexError, node.positions, size, node.dim)


class RowsFunction(Function):
    """The entries of dimensions dim ... dim + merged - 1, seen as one, at positions of any shape, which takes their place."""

    label = "IndexSelectBackward0"

    def __init__(self, positions, dim, merged=1):
        self.positions, self.dim, self.merged = positions, dim, merged

    def forward(self, x):
        self.source = x.shape
        out = kernels.take_rows(x, self.positions, self.dim, self.merged)
        if out is None:
            raise_outside(IndexError, self.positions, math.prod(x.shape[self.dim : self.dim + self.merged]), self.dim)
        return out

    def backward(self, g):
        return apply(RowsAddFunction(self.positions, self.dim, self.source, self.merged), g)


class RowsAddFunction(Function):
    """Zeros of a shape with the entries of x added at positions, in order: the adjoint of RowsFunction."""

    label = "IndexAddBackward0"

    def __init__(self, positions, dim, shape, merged=1):
        self.positions, self.dim, self.shape, self.merged = positions, dim, shape, merged

    def forward(self, x):
        return _added(None, self.shape, x, self)

    def backward(self, g):
        return apply(RowsFunction(self.positions, self.dim, self.merged), g)


class RowsPutFunction(Function):
    """x with the entries of y at their positions, the last of equals; or (add) with them added, in order."""

    def __init__(self, positions, dim, add, merged=1):
        self.positions, self.dim, self.add, self.merged = positions, dim, add, merged

    def forward(self, x, y):
        start = np.ascontiguousarray(x)
        if self.add:
            return _added(start, x.shape, y, self)
        out = kernels.put_rows(start, np.ascontiguousarray(y), self.positions, self.dim, self.merged, False)
        if out is None:
            raise_outside(IndexError, self.positions, math.prod(x.shape[self.dim : self.dim + self.merged]), self.dim)
        return out

    def backward(self, g):
        gx, gy = self.needs_input_grad
        if self.add:
            return g if gx else None, apply(RowsFunction(self.positions, self.dim, self.merged), g) if gy else None
        shape = g._array.shape
        hole = expand(g.new_zeros(()), _taken(shape, self.positions, self.dim, self.merged))
        return (
            apply(RowsPutFunction(self.positions, self.dim, False, self.merged), g, hole) if gx else None,
            self._of_those_that_stayed(apply(RowsFunction(self.positions, self.dim, self.merged), g)) if gy else None,
        )

    def _of_those_that_stayed(self, g):
        """g where the entry is not overwritten by a later one, else 0."""
        count = self.positions.size
        writers = np.arange(count)
        size = int(self.positions.max(initial=0)) + 1
        last = kernels.put_rows(np.empty(size, np.int64), writers, self.positions, 0, 1, True)
        stayed = (last[self.positions.reshape(-1)] == writers).reshape(self.positions.shape)
        if stayed.all():
            return g
        inner = g.ndim - self.dim - stayed.ndim
        return where(from_array(stayed.reshape(*stayed.shape, *(1,) * inner)), g, g.new_zeros(()))


# Elements: along one dimension, at positions of their own in every line of it


def _around(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])


class ElementsFunction(Function):
    """x[i][positions[i][j][k]][k] for dim 1, and so on: positions have the sizes of x in the other dimensions."""

    label = "GatherBackward0"

    def __init__(self, positions, dim):
        self.positions, self.dim = positions, dim

    def forward(self, x):
        self.source = x.shape
        out = kernels.gather(np.ascontiguousarray(x), self.positions, *_around(x.shape, self.dim))
        if out is None:
            raise_outside(RuntimeError, self.positions, x.shape[self.dim], self.dim)
        return out

    def backward(self, g):
        return apply(ElementsAddFunction(self.positions, self.dim, self.source), g)


class ElementsAddFunction(Function):
    """Zeros of a shape with the elements of x added at their positions, in order: the adjoint of ElementsFunction."""

    def __init__(self, positions, dim, shape):
        self.positions, self.dim, self.shape = positions, dim, shape

    def forward(self, x):
        return kernels.scatter(None, self.shape, np.ascontiguousarray(x), self.positions, *_around(self.shape, self.dim), True)

    def backward(self, g):
        return apply(ElementsFunction(self.positions, self.dim), g)


class ElementsPutFunction(Function):
    """x with the elements of y at their positions, the last of equals; or (add) with them added."""

    def __init__(self, positions, dim, add):
        self.positions, self.dim, self.add = positions, dim, add

    def own_name(self):
        return "ScatterAddBackward0" if self.add else "ScatterBackward0"

    def forward(self, x, y):
        start, values = np.ascontiguousarray(x), np.ascontiguousarray(y)
        out = kernels.scatter(start, x.shape, values, self.positions, *_around(x.shape, self.dim), self.add)
        if out is None:
            raise_outside(RuntimeError, self.positions, x.shape[self.dim], self.dim)
        return out

    def backward(self, g):
        gx, gy = self.needs_input_grad
        hole = expand(g.new_zeros(()), self.positions.shape)
        return (
            (g if self.add else apply(ElementsPutFunction(self.positions, self.dim, False), g, hole)) if gx else None,
            apply(ElementsFunction(self.positions, self.dim), g) if gy else None,
        )


def _has_kernel(x: Tensor, positions: np.ndarray, dim: int) -> bool:
    """Whether the kernels of elements serve: elements of 4 or 8 bytes and equal other sizes."""
    array = x._array
    return (
        array.itemsize in (4, 8)
        and x.ndim > 0
        and positions.shape[:dim] == array.shape[:dim]
        and positions.shape[dim + 1 :] == array.shape[dim + 1 :]
    )


# x[index]


def _is_plain_slice(item: object) -> bool:
    """Whether it is a slice that needs no conversion and no check."""
    return (
        type(item) is slice
        and (item.step is None or (type(item.step) is int and item.step > 0))
        and (item.start is None or type(item.start) is int)
        and (item.stop is None or type(item.stop) is int)
    )


def _normalize_index(input: Tensor, index: object) -> tuple[tuple, bool]:
    """The index as a tuple that numpy understands, and whether it is basic (so that the result is a view)."""
    if isinstance(index, list) and index and not any(isinstance(i, (slice, type(None), type(Ellipsis))) for i in index):
        index = (np.asarray([i.item() if isinstance(i, TensorBase) else i for i in index]),)
    items = index if isinstance(index, tuple) else (index,)
    if len(items) <= input.ndim and all(map(_is_plain_slice, items)):
        return items, True
    out, basic = [], True
    for item in items:
        if isinstance(item, TensorBase):
            array = item._array
            if array.dtype.kind == "f":
                raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
            if array.dtype == np.uint8:
                array = array.astype(bool)
            if array.ndim == 0 and array.dtype.kind in "iu":
                out.append(int(array))
                continue
            out.append(array)
            basic = False
        elif isinstance(item, (np.ndarray, list, range)):
            array = np.asarray(item)
            if array.size == 0:
                array = array.astype(np.int64)
            if array.dtype.kind not in "iub":
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices"
                )
            out.append(array)
            basic = False
        elif isinstance(item, (bool, np.bool_)):
            out.append(np.asarray(item))
            basic = False
        elif isinstance(item, slice):
            step = 1 if item.step is None else item.step.__index__()
            if step <= 0:
                raise ValueError("step must be greater than zero")
            out.append(slice(*[None if part is None else part.__index__() for part in (item.start, item.stop, item.step)]))
        elif item is None or item is Ellipsis:
            out.append(item)
        elif hasattr(item, "__index__"):
            out.append(item.__index__())
        else:
            raise (TypeError if isinstance(item, (str, bytes)) else IndexError)(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got "
                f"{type(item).__name__})"
            )
    _check_index(input._array.shape, out)
    return tuple(out), basic


def _dimensions_of(item: object) -> int:
    """How many dimensions of a tensor an item of an index takes."""
    if isinstance(item, np.ndarray) and item.dtype == bool:
        return item.ndim
    return int(item is not None and item is not Ellipsis)


def _check_index(shape: tuple[int, ...], index: list) -> None:
    """Raises IndexError for too many indices, an integer out of range, or a mask of another shape."""
    used = sum(map(_dimensions_of, index))
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    if sum(item is Ellipsis for item in index) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    dim = 0
    for item in index:
        if isinstance(item, int) and not -shape[dim] <= item < shape[dim]:
            raise IndexError(f"index {item} is out of bounds for dimension {dim} with size {shape[dim]}")
        if isinstance(item, np.ndarray) and item.dtype == bool and item.shape != shape[dim : dim + item.ndim]:
            raise IndexError(
                f"The shape of the mask {list(item.shape)} at index {dim} does not match the shape of the indexed tensor "
                f"{list(shape)} at index {dim}"
            )
        dim += len(shape) - used if item is Ellipsis else _dimensions_of(item)


def _same_shape(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays of an index, broadcast, as contiguous int64. Raises IndexError for shapes that do not broadcast."""
    if any(array.shape != arrays[0].shape for array in arrays[1:]):
        try:
            arrays = list(np.broadcast_arrays(*arrays))
        except ValueError:
            shapes = ", ".join(str(list(array.shape)) for array in arrays)
            raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}") from None
    return [np.asarray(array, np.int64, order="C") for array in arrays]


def _selected(input: Tensor, index: tuple) -> tuple[Tensor, np.ndarray, int, int]:
    """What an index with arrays in it selects: the entries of a tensor that RowsFunction takes, as (tensor, positions, dim, merged).

    The tensor is the view of input that the rest of the index gives. Where the dimensions of the arrays are not next to each other, they
    come first in it, as in numpy.
    """
    basic, arrays, spans = [], [], []  # what makes the view; each array and the dimensions of the view that it is for
    dim, rest = 0, input.ndim - sum(map(_dimensions_of, index))
    for item in index:
        if isinstance(item, np.ndarray):
            single = item.ndim == 0 and item.dtype == bool  # for a new dimension of size 1
            basic += [None] if single else [slice(None)] * _dimensions_of(item)
            arrays.append(kernels.places(np.ascontiguousarray(item)) if item.dtype == bool else item)
            spans.append(range(dim, dim + (1 if single else _dimensions_of(item))))
            dim = spans[-1].stop
        else:
            basic.append(item)
            dim += rest if item is Ellipsis else not isinstance(item, int)
    if any(item is not Ellipsis and item != slice(None) for item in basic):
        input = apply(SliceFunction(tuple(basic)), input)
    shape = input._array.shape
    sizes = [math.prod(shape[span.start : span.stop]) for span in spans]
    positions = kernels.merged(_same_shape(arrays), sizes)
    if positions is None:
        for array, span, size in zip(arrays, spans, sizes, strict=True):
            if array.size and not -size <= array.min() <= array.max() < size:
                worst = array.max() if array.max() >= size else array.min()
                raise IndexError(f"index {worst} is out of bounds for dimension {span.start} with size {size}")
    dims = [d for span in spans for d in span]
    if dims[-1] - dims[0] >= len(dims):
        return permute(input, dims + [d for d in range(len(shape)) if d not in dims]), positions, 0, len(dims)
    return input, positions, dims[0], len(dims)


def getitem(input: Tensor, index: object) -> Tensor:
    """input[index]: ints, slices, None and Ellipsis give a view; integer and bool tensors, arrays or lists a copy."""
    array = views.sliced(input._array, index)
    if array is not None:
        return as_view(input, array, SliceFunction, index if type(index) is tuple else (index,))
    positions, dim, merged = hot.leading_positions(index, input), 0, len(index) if type(index) is tuple else 1
    if positions is None:
        index, basic = _normalize_index(input, index)
        if basic:
            return apply(SliceFunction(index), input)
        input, positions, dim, merged = _selected(input, index)
    out = try_kernel(kernels.take_rows, input, positions, dim, merged)
    if out is not None:
        return out
    node = RowsFunction(positions, dim, merged)
    node.label = "IndexBackward0"
    return apply(node, input)


def _without_ones(value: Tensor, ndim: int) -> Tensor:
    """The value to be written without the leading dimensions of size 1 that its place does not have."""
    while value.ndim > ndim and value._array.shape[0] == 1:
        value = reshape(value, value._array.shape[1:])
    return value


def _assigned(input: Tensor, index: tuple, value: object) -> bool:
    """Whether the elements at a basic index were set at once: to a number or a tensor of their shape and dtype, outside any graph."""
    values = constant_of(value)
    if values is None or not input._is_plain():
        return False
    target = input._array[index if Ellipsis in index else (*index, Ellipsis)]
    if type(values) is not np.ndarray:
        fill_with(target, values)
    elif values.dtype is target.dtype and values.shape == target.shape:
        copy_into(target, values)
    else:
        return False
    input._bump_version()
    return True


def _filled_at(input: Tensor, index: tuple, value: object) -> bool:
    """_assigned for a number and an index that is a mask."""
    number = constant_of(value)
    if type(number) not in (int, float) or len(index) != 1 or not input._is_plain():
        return False
    if (input._array.dtype.kind != "f" and type(number) is float) or not masked_fill_kernel(input._array, index[0], number):
        return False
    input._bump_version()
    return True


def _check_fits(value: Tensor, shape: tuple[int, ...]) -> None:
    """Raises RuntimeError for a value that does not broadcast to the shape of its place."""
    given = value._array.shape
    if len(given) > len(shape) or any(s not in (1, t) for s, t in zip(given[::-1], shape[::-1], strict=False)):
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(given)} cannot be broadcast to indexing result of shape {list(shape)}"
        )


def setitem(input: Tensor, index: object, value: object) -> None:
    """input[index] = value, in place; gradients flow to value and to what was not overwritten."""
    positions = hot.leading_positions(index, input)
    if isinstance(value, (int, float)):
        value = number_for(value, input.dtype)
    basic = False
    if positions is None:
        index, basic = _normalize_index(input, index)
        if (_assigned if basic else _filled_at)(input, index, value):
            return
    if isinstance(value, (str, bytes)) or value is None:
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor")
    value = as_tensor_like(value, input.dtype) if not isinstance(value, np.ndarray) else cast(from_array(value), input.dtype)
    if positions is not None:
        _put(input, positions, 0, len(index) if type(index) is tuple else 1, value, False)
    elif not basic:
        target, positions, dim, merged = _selected(input, index)
        _put(target, positions, dim, merged, value, False)
    else:
        target = apply(SliceFunction(index), input)
        value = _without_ones(value, target.ndim)
        _check_fits(value, target._array.shape)
        copy_(target, value)


def _put(target: Tensor, positions: np.ndarray, dim: int, merged: int, value: Tensor, add: bool) -> None:
    """The entries of target that RowsFunction takes = value, or (add) += value with repeated positions accumulating, in place."""
    array, shape = target._array, _taken(target._array.shape, positions, dim, merged)
    if value._array.shape != shape:
        value = _without_ones(value, len(shape))
        _check_fits(value, shape)
    rows = constant_of(value)
    if rows is not None and not add and target._is_plain() and not np.may_share_memory(rows, array):
        if rows.shape != shape or not rows.flags.c_contiguous:
            rows = np.ascontiguousarray(np.broadcast_to(rows, shape))
        kernels.put_rows(array, rows, positions, dim, merged, True)
        target._bump_version()
        return
    write(target, lambda x: apply(RowsPutFunction(positions, dim, add, merged), x, expand(value, shape)), "index_put_")


@named_node
def index_put(input: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy of input with values at the index (added to what is there if accumulate, repeated positions accumulating)."""
    out = clone(input)
    index, basic = _normalize_index(out, tuple(slice(None) if i is None else i for i in indices))
    if basic:
        setitem(out, index, getitem(out, index) + values if accumulate else values)
    else:
        _put(*_selected(out, index), as_tensor_like(values, input.dtype), accumulate)
    return out


# Along one dimension


def _check_gather(name: str, input: Tensor, dim: int, index: Tensor, *others: Tensor) -> tuple[int, np.ndarray]:
    dim = normalize_dim(dim, input.ndim)
    if index.dtype not in (_dtype.int64, _dtype.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index, but got {index.dtype}")
    if max(index.ndim, 1) != max(input.ndim, 1):
        raise RuntimeError(
            f"Index tensor must have the same number of dimensions as input tensor ({name}): got {index.ndim} and {input.ndim}"
        )
    size = input._array.shape[dim] if input.ndim else 1
    return dim, kept_positions(RuntimeError, index, size, dim, input, *others)


def kept_positions(error: type[Exception], index: Tensor, size: int, dim: int, *operands: Tensor) -> np.ndarray:
    """The index as contiguous int64: a copy in range, where a graph keeps it; else as it is, for a kernel that looks itself."""
    given = np.asarray(index._array, np.int64, order="C")
    if not any(constant_of(x) is None for x in operands):
        return given
    positions = kernels.checked(given, size)
    if positions is None:
        raise_outside(error, given, size, dim)
    return positions


def _in_range(error: type[Exception], positions: np.ndarray, size: int, dim: int) -> np.ndarray:
    """The positions, for what does not look itself."""
    if not kernels.are_inside(positions, size):
        raise_outside(error, positions, size, dim)
    return positions


def _flat(positions: np.ndarray, dim: int, shape: tuple[int, ...]) -> np.ndarray:
    """The places of the elements [i, positions[i, j], ...] in the flat order of a tensor of this shape."""
    axes = [np.arange(n).reshape((-1,) + (1,) * (positions.ndim - 1 - axis)) for axis, n in enumerate(positions.shape)]
    axes[dim] = positions
    return kernels.merged(_same_shape(axes), list(shape))


@named_node
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j][k] = input[i][index[i][j][k]][k] for dim 1, and so on; index may be smaller in the other dimensions."""
    dim, positions = _check_gather("gather", input, dim, index)
    for d in range(input.ndim):
        if d != dim and positions.shape[d] > input._array.shape[d]:
            raise RuntimeError(
                f"Size does not match at dimension {d} expected index {list(positions.shape)} to be no larger than self "
                f"{list(input._array.shape)} apart from dimension {dim}"
            )
    if input.ndim and index.ndim and _has_kernel(input, positions, dim):
        return apply(ElementsFunction(positions, dim), input)
    _in_range(RuntimeError, positions, input._array.shape[dim] if input.ndim else 1, dim)
    if input.ndim == 0 or index.ndim == 0:
        return reshape(apply(RowsFunction(positions.reshape(-1), 0), reshape(input, -1)), positions.shape)
    return apply(RowsFunction(_flat(positions, dim, input._array.shape), 0, input.ndim), input)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """gather whose other dimensions broadcast; of the flat tensor without dim. Negative indices count from the end."""
    if dim is None:
        return take_along_dim(reshape(input, -1), reshape(indices, -1), 0)
    dim = normalize_dim(dim, input.ndim)
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"take_along_dim(): input and indices should have the same number of dimensions, but got {input.ndim} and {indices.ndim}"
        )
    pairs = list(zip(input._array.shape, indices._array.shape, strict=True))
    both = [np.broadcast_shapes((a,), (b,))[0] if d != dim else None for d, (a, b) in enumerate(pairs)]
    wide = expand(input, [a if d == dim else both[d] for d, (a, _) in enumerate(pairs)])
    positions = expand(indices, [b if d == dim else both[d] for d, (_, b) in enumerate(pairs)])
    if positions._array.dtype.kind == "i" and (positions._array < 0).any():
        size = input._array.shape[dim]
        positions = from_array(np.where(positions._array < 0, positions._array + size, positions._array))
    return gather(wide, dim, positions)


@named_node
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at these positions of the flat tensor."""
    return getitem(reshape(input, -1), index) if index.ndim else reshape(getitem(reshape(input, -1), reshape(index, 1)), ())


class ScatterMultiplyFunction(Function):
    """x with the elements at places of its flat order multiplied by y, one after the other. As in PyTorch it has no derivative."""

    def __init__(self, places):
        self.places = places

    def forward(self, x, y):
        out = np.array(x, order="C")
        np.multiply.at(out.reshape(-1), self.places, y)
        return out


def _scatter_source(name: str, input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    if src.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype, but got {input.dtype} and {src.dtype}")
    shape = index._array.shape
    if src.ndim != index.ndim or any(n > m for n, m in zip(shape, src._array.shape, strict=False)):
        raise RuntimeError(
            f"Expected index {list(shape)} to be no larger than src {list(src._array.shape)} in all dimensions ({name})"
        )
    for d, (n, m) in enumerate(zip(shape, input._array.shape, strict=False)):
        if d != dim and n > m:
            raise RuntimeError(
                f"Expected index {list(shape)} to be no larger than self {list(input._array.shape)} apart from dimension {dim} ({name})"
            )
    return src if src._array.shape == shape else getitem(src, tuple(slice(0, n) for n in shape))


@named_node
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Tensor | None = None, *, value: float | None = None, reduce: str | None = None
) -> Tensor:
    """A copy of input with out[i][index[i][j][k]][k] = src[i][j][k] for dim 1, and so on.

    src: a tensor of input's dtype, or a number (also as value=). reduce="add" or "multiply" combines instead of replacing.
    As in PyTorch the gradient for src is right only where no position repeats.
    """
    if src is not None and not isinstance(src, TensorBase):
        src, value = None, src
    if (src is None) == (value is None):
        raise TypeError("scatter() expects either src or value")
    dim, positions = _check_gather("scatter", input, dim, index, *(() if src is None else (src,)))
    if src is None:
        src = expand(as_tensor_like(value, input.dtype), positions.shape)
    src = _scatter_source("scatter", input, dim, index, src)
    if input.ndim == 0:
        return reshape(scatter(reshape(input, 1), 0, reshape(index, -1), reshape(src, -1), reduce=reduce), ())
    if reduce is None and _has_kernel(input, positions, dim):
        return apply(ElementsPutFunction(positions, dim, False), input, src)
    _in_range(RuntimeError, positions, input._array.shape[dim], dim)
    places = _flat(positions, dim, input._array.shape)
    if reduce == "add":
        return apply(RowsPutFunction(places, 0, True, input.ndim), input, src)
    if reduce == "multiply":
        return apply(ScatterMultiplyFunction(places), input, src)
    if reduce is not None:
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce}")
    return apply(RowsPutFunction(places, 0, False, input.ndim), input, src)


@named_node
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with out[i][index[i][j][k]][k] += src[i][j][k] for dim 1, and so on."""
    dim, positions = _check_gather("scatter_add", input, dim, index, src)
    src = _scatter_source("scatter_add", input, dim, index, src)
    if input.ndim == 0:
        return reshape(scatter_add(reshape(input, 1), 0, reshape(index, -1), reshape(src, -1)), ())
    if _has_kernel(input, positions, dim):
        return apply(ElementsPutFunction(positions, dim, True), input, src)
    _in_range(RuntimeError, positions, input._array.shape[dim], dim)
    return apply(RowsPutFunction(_flat(positions, dim, input._array.shape), 0, True, input.ndim), input, src)


def _check_index_vector(name: str, input: Tensor, dim: int, index: Tensor, *others: Tensor) -> tuple[int, np.ndarray]:
    """The dimension counted from the front, and the positions as a vector."""
    dim = normalize_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if index.dtype not in (_dtype.int64, _dtype.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index, but got {index.dtype}")
    size = input._array.shape[dim] if input.ndim else 1
    return dim, kept_positions(IndexError, index, size, dim, input, *others).reshape(-1)


@accepts_axis
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The entries of a dimension at these indices, in their order."""
    dim, positions = _check_index_vector("index_select", input, dim, index)
    if input.ndim == 0:
        return reshape(apply(RowsFunction(positions, dim), reshape(input, 1)), ())
    return apply(RowsFunction(positions, dim), input)


def _check_entries(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    """Raises RuntimeError unless source has the dtype of input and an entry for each index."""
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}(): self and source expected to have the same dtype, but got {input.dtype} and {source.dtype}"
        )
    expected = (*input._array.shape[:dim], index._array.size, *input._array.shape[dim + 1 :])
    if source._array.shape != expected:
        raise RuntimeError(f"{name}(): source must have shape {list(expected)}, but got {list(source._array.shape)}")


@named_node
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A copy of input with alpha * source[i] added at entry index[i] of a dimension."""
    if input.ndim == 0:
        return reshape(index_add(reshape(input, 1), dim, index, reshape(source, -1), alpha=alpha), ())
    dim, positions = _check_index_vector("index_add", input, dim, index, source)
    _check_entries("index_add_", input, dim, index, source)
    source = source if alpha == 1 else source * as_tensor_like(alpha, input.dtype)
    return apply(RowsPutFunction(positions, dim, True), input, source)


@named_node
def index_fill(input: Tensor, dim: int, index: Tensor, value: float) -> Tensor:
    """A copy of input with the value at these entries of a dimension."""
    if input.ndim == 0:
        return reshape(index_fill(reshape(input, 1), dim, index, value), ())
    dim, positions = _check_index_vector("index_fill", input, dim, index)
    hole = expand(as_tensor_like(value, input.dtype), _taken(input._array.shape, positions, dim, 1))
    return apply(RowsPutFunction(positions, dim, False), input, hole)


@named_node
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of input with source[i] at entry index[i] of a dimension."""
    if input.ndim == 0:
        return reshape(index_copy(reshape(input, 1), dim, index, reshape(source, -1)), ())
    dim, positions = _check_index_vector("index_copy", input, dim, index, source)
    if input.ndim == 1 and source.ndim == 0:
        source = reshape(source, 1)
    _check_entries("index_copy_", input, dim, index, source)
    return apply(RowsPutFunction(positions, dim, False), input, source)


def repeat_interleave(
    input: Tensor, repeats: int | Tensor | None = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each entry of a dimension (of the flat tensor without dim) repeated in place; a tensor of repeats has one an entry.

    Without repeats, input is the repeats, of the numbers 0, 1, ....
    """
    if repeats is None:
        input, repeats, dim = from_array(np.arange(input._array.size)), input, 0
    if dim is None:
        input, dim = flatten(input), 0
    dim = normalize_dim(dim, input.ndim)
    counts = repeats._array if isinstance(repeats, TensorBase) else np.asarray(repeats)
    if (counts < 0).any():
        raise RuntimeError("repeats can not be negative")
    size = input._array.shape[dim]
    if counts.ndim and counts.size not in (1, size):
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and {size}"
        )
    return index_select(input, dim, from_array(np.repeat(np.arange(size), counts)))


# Masks


@named_node
def masked_fill(input: Tensor, mask: Tensor, value: float | Tensor) -> Tensor:
    """A copy of input with the value wherever the (broadcast) mask holds."""
    if mask.dtype is not _dtype.bool:
        raise RuntimeError(f"masked_fill only supports boolean masks, but got dtype {mask.dtype}")
    if isinstance(value, TensorBase) and value.ndim:
        raise RuntimeError(
            f"masked_fill only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
        )
    if not (type(value) in (int, float) and input.dtype.is_floating_point):
        value = as_tensor_like(value, input.dtype)
    return where(mask, value, input)


def fill_diagonal_(input: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """Sets the main diagonal of a matrix (or of a tensor with equal sizes) to a number; of a tall one, with wrap, again below itself."""
    shape = input._array.shape
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    diagonal = np.zeros(shape, bool)
    np.fill_diagonal(diagonal, True, wrap)
    return write(input, lambda x: masked_fill(x, from_array(diagonal), fill_value), "fill_diagonal_")


@named_node
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, in order, in one dimension; both are broadcast."""
    if mask.dtype is not _dtype.bool:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, but got {mask.dtype}")
    shape = np.broadcast_shapes(input._array.shape, mask._array.shape)
    chosen = copied(np.broadcast_to(mask._array, shape))
    return apply(RowsFunction(kernels.places(chosen), 0), reshape(expand(input, shape), -1))


def _coordinates(x: np.ndarray) -> list[np.ndarray]:
    """The indices of the nonzero elements in order: an int64 array for each axis."""
    rest = kernels.places(np.ascontiguousarray(x != 0))
    along = []
    for size in x.shape[:0:-1]:
        rest, places = np.divmod(rest, size)
        along.append(places)
    return [rest, *along[::-1]] if x.ndim else []


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The indices of the nonzero elements: one row each, or (as_tuple) one tensor a dimension."""
    along = _coordinates(input._array if input.ndim or not as_tuple else input._array.reshape(1))
    if as_tuple:
        return tuple(from_array(places) for places in along)
    return from_array(np.stack(along, 1) if along else np.empty((int(input._array != 0), 0), np.int64))
