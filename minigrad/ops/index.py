"""Operations that choose elements by index: indexing, gather and scatter, masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from minigrad import _dtype
from minigrad._arguments import accepts_axis, normalize_dim
from minigrad._ext import index as kernels
from minigrad._ext.arrange import copied, copy_into, fill_with
from minigrad._ext.elementwise import masked_fill_ as masked_fill_kernel
from minigrad._ext.engine import Function, TensorBase, apply, constant_of, from_array
from minigrad._ext.memory import zeros_array
from minigrad._naming import named_node
from minigrad.ops.elementwise import as_tensor_like, number_for, where
from minigrad.ops.inplace import copy_, write
from minigrad.ops.shape import SliceFunction, cast, expand, flatten, reshape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


# x[index]


class IndexFunction(Function):
    """x[index] for an index with arrays in it: a copy."""

    def __init__(self, index):
        self.index = index

    def forward(self, x):
        self.source = x.shape
        return x[self.index]

    def backward(self, g):
        return apply(IndexAddFunction(self.index, self.source), g)


class IndexAddFunction(Function):
    """Zeros of a shape with x added at an index, repeated positions accumulating: the adjoint of IndexFunction."""

    def __init__(self, index, shape):
        self.index, self.shape = index, shape

    def forward(self, x):
        out = np.zeros(self.shape, x.dtype)
        np.add.at(out, self.index, x)
        return out

    def backward(self, g):
        return apply(IndexFunction(self.index), g)


# Along one axis: x is seen as (outer, size, inner). Positions are int64 and in range.


def raise_outside(error: type[Exception], positions: np.ndarray, size: int, dim: int) -> NoReturn:
    """Refuses positions of which one is not in a dimension of this size."""
    worst = positions.max() if positions.max() >= size else positions.min()
    raise error(f"index out of range in self: index {worst} is out of bounds for dimension {dim} with size {size}")


def _around(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])


class RowsFunction(Function):
    """The entries of a dimension at positions of any shape, which takes the dimension's place."""

    label = "IndexSelectBackward0"

    def __init__(self, positions, dim):
        self.positions, self.dim = positions, dim

    def forward(self, x):
        self.source = x.shape
        out = kernels.take_rows(np.ascontiguousarray(x), self.positions, *_around(x.shape, self.dim))
        if out is None:
            raise_outside(IndexError, self.positions, x.shape[self.dim], self.dim)
        return out.reshape((*x.shape[: self.dim], *self.positions.shape, *x.shape[self.dim + 1 :]))

    def backward(self, g):
        return apply(RowsAddFunction(self.positions, self.dim, self.source), g)


class RowsAddFunction(Function):
    """Zeros of a shape with the entries of x added at positions of a dimension, in order: the adjoint of RowsFunction."""

    def __init__(self, positions, dim, shape):
        self.positions, self.dim, self.shape = positions, dim, shape

    def forward(self, x):
        if x.itemsize in (4, 8):
            return kernels.add_rows(None, self.shape, np.ascontiguousarray(x), self.positions, *_around(self.shape, self.dim))
        out = zeros_array(self.shape, x.dtype)
        np.add.at(out, (slice(None),) * self.dim + (self.positions,), x)
        return out

    def backward(self, g):
        return apply(RowsFunction(self.positions, self.dim), g)


class RowsPutFunction(Function):
    """x with the entries of y added at positions of a dimension, in order."""

    def __init__(self, positions, dim):
        self.positions, self.dim = positions, dim

    def forward(self, x, y):
        start, rows = np.ascontiguousarray(x), np.ascontiguousarray(y)
        out = kernels.add_rows(start, x.shape, rows, self.positions, *_around(x.shape, self.dim))
        if out is None:
            raise_outside(IndexError, self.positions, x.shape[self.dim], self.dim)
        return out

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return g if gx else None, apply(RowsFunction(self.positions, self.dim), g) if gy else None


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


class IndexPutFunction(Function):
    """x with y at an index; where positions repeat, the last value stays."""

    def __init__(self, index):
        self.index = index

    def forward(self, x, y):
        out = np.array(x, order="C")
        out[self.index] = y
        return out

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return (
            apply(IndexPutFunction(self.index), g, g.new_zeros(())) if gx else None,
            where(_stayed(g._array.shape, self.index), apply(IndexFunction(self.index), g), g.new_zeros(())) if gy else None,
        )


def _stayed(shape: tuple[int, ...], index: tuple) -> Tensor:
    """Which of the values written at an index stayed: numpy writes repeated positions in order, the last has the gradient."""
    owner = np.full(shape, -1, np.int64)
    writers = np.arange(owner[index].size).reshape(owner[index].shape)
    owner[index] = writers
    return from_array(np.asarray(owner[index] == writers))


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
            array = item._array.copy()  # the graph keeps it, and its owner may write to it
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


def _check_index(shape: tuple[int, ...], index: list) -> None:
    """Raises IndexError for too many indices, one out of range, or a mask of another shape."""
    used = sum(
        item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else item is not None and item is not Ellipsis
        for item in index
    )
    if used > len(shape):
        raise IndexError(f"too many indices for tensor of dimension {len(shape)}")
    if sum(item is Ellipsis for item in index) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    dim = 0
    for item in index:
        if item is None:
            continue
        if item is Ellipsis:
            dim += len(shape) - used
            continue
        if isinstance(item, int) and not -shape[dim] <= item < shape[dim]:
            raise IndexError(f"index {item} is out of bounds for dimension {dim} with size {shape[dim]}")
        if isinstance(item, np.ndarray):
            if item.dtype == bool:
                if item.shape != shape[dim : dim + item.ndim]:
                    raise IndexError(
                        f"The shape of the mask {list(item.shape)} at index {dim} does not match the shape of the indexed tensor "
                        f"{list(shape)} at index {dim}"
                    )
                dim += item.ndim
                continue
            if item.size and (item.min() < -shape[dim] or item.max() >= shape[dim]):
                worst = item.max() if item.max() >= shape[dim] else item.min()
                raise IndexError(f"index {worst} is out of bounds for dimension {dim} with size {shape[dim]}")
        dim += 1


def _without_integers(input: Tensor, index: tuple) -> tuple[Tensor, tuple]:
    """input and an index with arrays in it, after the index's integers have selected: to numpy they would be index arrays, too."""
    if not any(isinstance(item, int) for item in index):
        return input, index
    first, rest = [], []
    for item in index:
        if isinstance(item, np.ndarray):
            first += [slice(None)] * (item.ndim if item.dtype == bool else 1)
            rest.append(item)
        else:
            first.append(item)
            if item is Ellipsis:
                rest.append(item)
            elif not isinstance(item, int):
                rest.append(slice(None))
    return apply(SliceFunction(tuple(first)), input), tuple(rest)


def _rows_of(index: tuple) -> np.ndarray | None:
    """The positions of an index that is one array of integers, for the first dimension; None for any other."""
    return index[0] if len(index) == 1 and isinstance(index[0], np.ndarray) and index[0].dtype != bool else None


def getitem(input: Tensor, index: object) -> Tensor:
    """input[index]: ints, slices, None and Ellipsis give a view; integer and bool tensors, arrays or lists a copy."""
    index, basic = _normalize_index(input, index)
    if basic:
        return apply(SliceFunction(index), input)
    input, index = _without_integers(input, index)
    if len(index) == 1 and isinstance(index[0], np.ndarray) and index[0].dtype == bool and index[0].shape == input._array.shape:
        if input.ndim:
            return apply(RowsFunction(kernels.places(np.ascontiguousarray(index[0])), 0), reshape(input, -1))
    rows = _rows_of(index)
    if rows is not None:
        node = RowsFunction(np.where(rows < 0, rows + input._array.shape[0], rows).astype(np.int64), 0)
        node.label = "IndexBackward0"
        return apply(node, input)
    try:
        return apply(IndexFunction(index), input)
    except IndexError as error:
        raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together: {error}") from None


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


def _assigned_at(input: Tensor, index: tuple, value: object) -> bool:
    """_assigned for an index with arrays in it, and without integers, which would be arrays to numpy."""
    values = constant_of(value)
    if values is None or not input._is_plain() or any(isinstance(item, int) for item in index):
        return False
    array = input._array
    if type(values) is np.ndarray:
        if values.dtype is not array.dtype or np.may_share_memory(values, array):
            return False
    elif array.dtype.kind != "f" and type(values) is not int:
        return False
    elif len(index) == 1 and masked_fill_kernel(array, index[0], values):
        input._bump_version()
        return True
    try:
        array[index] = values
    except (ValueError, IndexError, OverflowError, TypeError):  # the general way says what is wrong with it, or does it
        return False
    input._bump_version()
    return True


def setitem(input: Tensor, index: object, value: object) -> None:
    """input[index] = value, in place; gradients flow to value and to what was not overwritten."""
    if isinstance(value, (int, float)):
        value = number_for(value, input.dtype)
    index, basic = _normalize_index(input, index)
    if (_assigned if basic else _assigned_at)(input, index, value):
        return
    if isinstance(value, (str, bytes)) or value is None:
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor")
    value = as_tensor_like(value, input.dtype) if not isinstance(value, np.ndarray) else cast(from_array(value), input.dtype)
    if basic:
        target = apply(SliceFunction(index), input)
        shape = target._array.shape
        value = _without_ones(value, len(shape))
        if value.ndim > len(shape) or any(s not in (1, t) for s, t in zip(value._array.shape[::-1], shape[::-1], strict=False)):
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(value._array.shape)} cannot be broadcast to indexing result of shape "
                f"{list(shape)}"
            )
        copy_(target, value)
        return
    input, index = _without_integers(input, index)
    try:
        shape = np.broadcast_to(np.empty((), bool), input._array.shape)[index].shape
        value = _without_ones(value, len(shape))
        np.broadcast_shapes(shape, value._array.shape)
    except IndexError as error:
        raise IndexError(f"shape mismatch: indexing tensors could not be broadcast together: {error}") from None
    except ValueError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value._array.shape)} cannot be broadcast to the indexing result"
        ) from None
    write(input, lambda x: apply(IndexPutFunction(index), x, expand(value, shape)), "index_put_")


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


def _grid(positions: np.ndarray, dim: int) -> tuple:
    """The advanced index that picks element [i, positions[i, j], ...] along dim."""
    axes = [np.arange(n).reshape((-1,) + (1,) * (positions.ndim - 1 - axis)) for axis, n in enumerate(positions.shape)]
    axes[dim] = positions
    return tuple(axes)


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
        return reshape(apply(IndexFunction((positions.reshape(-1),)), reshape(input, -1)), positions.shape)
    return apply(IndexFunction(_grid(positions, dim)), input)


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


class ScatterFunction(Function):
    """x with y at an index: see scatter."""

    def __init__(self, index):
        self.index = index

    def forward(self, x, y):
        out = np.array(x, order="C")
        out[self.index] = y
        return out

    def backward(self, g):
        gx, gy = self.needs_input_grad
        return (
            apply(ScatterFunction(self.index), g, g.new_zeros(())) if gx else None,
            apply(IndexFunction(self.index), g) if gy else None,
        )


class ScatterMultiplyFunction(Function):
    """x with the elements at an index multiplied by y, one after the other. As in PyTorch it has no derivative."""

    def __init__(self, index):
        self.index = index

    def forward(self, x, y):
        out = np.array(x, order="C")
        np.multiply.at(out, self.index, y)
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
    if reduce == "add":
        return input + apply(IndexAddFunction(_grid(positions, dim), input._array.shape), src)
    if reduce == "multiply":
        return apply(ScatterMultiplyFunction(_grid(positions, dim)), input, src)
    if reduce is not None:
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce}")
    return apply(ScatterFunction(_grid(positions, dim)), input, src)


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
    return input + apply(IndexAddFunction(_grid(positions, dim), input._array.shape), src)


def _check_index_vector(name: str, input: Tensor, dim: int, index: Tensor, *others: Tensor) -> tuple[int, np.ndarray]:
    """The dimension counted from the front, and the positions as a vector."""
    dim = normalize_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError(f"{name}(): Index is supposed to be a vector, but got dim: {index.ndim}")
    if index.dtype not in (_dtype.int64, _dtype.int32):
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index, but got {index.dtype}")
    size = input._array.shape[dim] if input.ndim else 1
    return dim, kept_positions(IndexError, index, size, dim, input, *others).reshape(-1)


def _entries(name: str, input: Tensor, dim: int, index: Tensor, *others: Tensor) -> tuple:
    """The index of these entries of a dimension."""
    dim, positions = _check_index_vector(name, input, dim, index, *others)
    return (slice(None),) * dim + (_in_range(IndexError, positions, input._array.shape[dim], dim),)


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
    if input._array.itemsize in (4, 8):
        return apply(RowsPutFunction(positions, dim), input, source)
    _in_range(IndexError, positions, input._array.shape[dim], dim)
    return input + apply(RowsAddFunction(positions, dim, input._array.shape), source)


@named_node
def index_fill(input: Tensor, dim: int, index: Tensor, value: float) -> Tensor:
    """A copy of input with the value at these entries of a dimension."""
    if input.ndim == 0:
        return reshape(index_fill(reshape(input, 1), dim, index, value), ())
    where_ = _entries("index_fill", input, dim, index)
    return apply(ScatterFunction(where_), input, as_tensor_like(value, input.dtype).expand(input._array[where_].shape))


@named_node
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy of input with source[i] at entry index[i] of a dimension."""
    if input.ndim == 0:
        return reshape(index_copy(reshape(input, 1), dim, index, reshape(source, -1)), ())
    where_ = _entries("index_copy", input, dim, index, source)
    if input.ndim == 1 and source.ndim == 0:
        source = reshape(source, 1)
    _check_entries("index_copy_", input, len(where_) - 1, index, source)
    return apply(ScatterFunction(where_), input, source)


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
