"""Operations that only rearrange elements: views where PyTorch gives views, copies where it copies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype
from minigrad._arguments import accepts_axis, as_size, check_elements, normalize_dim, normalize_dims
from minigrad._ext import arrange as kernels
from minigrad._ext import memory, views
from minigrad._ext.engine import Function, apply, are_alike, as_view, try_kernel
from minigrad._naming import named_node

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


# Copies and dtypes


class CloneFunction(Function):
    def forward(self, x):
        return kernels.copied(x)

    def backward(self, g):
        return g


def clone(input: Tensor, *, memory_format: object = None) -> Tensor:
    """A copy in memory of its own; gradients flow through it."""
    return apply(CloneFunction(), input)


def contiguous(input: Tensor, memory_format: object = None) -> Tensor:
    """The tensor itself if its elements lie in order in memory, otherwise a copy that does."""
    return input if input._array.flags.c_contiguous else clone(input)


class CastFunction(Function):
    label = "ToCopyBackward0"

    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, x):
        self.source = _dtype.from_numpy(x.dtype)
        return kernels.converted(x, self.dtype.np)

    def backward(self, g):
        return cast(g, self.source)


def cast(input: Tensor, dtype: _dtype.dtype) -> Tensor:
    """The tensor with elements of this dtype; the tensor itself if it has it already."""
    if input.dtype is dtype:
        return input
    out = try_kernel(kernels.converted, input, dtype.np)
    return apply(CastFunction(dtype), input) if out is None else out


# Broadcasting


class ExpandFunction(Function):
    returns_view = True

    def __init__(self, shape):
        self.shape = shape

    def forward(self, x):
        self.source = x.shape
        return memory.broadcast_view(x, self.shape)

    def backward(self, g):
        return sum_to_size(g, self.source)


def expand(input: Tensor, *sizes: int | Sequence[int], size: Sequence[int] | None = None) -> Tensor:
    """A view in which dimensions of size 1 (and new leading ones) are repeated without a copy; -1 keeps a size.

    Raises RuntimeError where a size does not fit.
    """
    array = views.expanded(input._array, sizes if size is None else (size,))
    if array is not None:
        return as_view(input, array, ExpandFunction, array.shape)
    wanted = as_size(sizes if size is None else (size,), "expand")
    source = input._array.shape
    lead = len(wanted) - len(source)
    if lead < 0:
        raise RuntimeError(
            f"expand({list(source)}, size={list(wanted)}): the number of sizes provided ({len(wanted)}) must be greater or "
            f"equal to the number of dimensions in the tensor ({len(source)})"
        )
    shape = []
    for i, size in enumerate(wanted):
        old = source[i - lead] if i >= lead else None
        if size == -1:
            if old is None:
                raise RuntimeError(
                    f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {i}"
                )
            size = old
        if size < 0:
            raise RuntimeError(f"expand: sizes must be non-negative, but got {size} at dimension {i} of {list(wanted)}")
        if old not in (None, 1, size):
            raise RuntimeError(
                f"The expanded size of the tensor ({size}) must match the existing size ({old}) at non-singleton dimension {i}."
                f"  Target sizes: {list(wanted)}.  Tensor sizes: {list(source)}"
            )
        shape.append(size)
    return apply(ExpandFunction(tuple(shape)), input)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """expand to other's shape."""
    return expand(input, *other._array.shape)


def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    """expand, as a function."""
    return expand(input, *size)


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that these broadcast to. Raises RuntimeError if they do not."""
    first = shapes[0] if shapes else ()
    if type(first) is tuple and all(s == first for s in shapes):
        return first
    try:
        return np.broadcast_shapes(*[(s,) if isinstance(s, int) else tuple(s) for s in shapes])
    except ValueError:
        raise RuntimeError(
            f"Shape mismatch: objects cannot be broadcast to a single shape: {', '.join(str(tuple(s)) for s in shapes)}"
        ) from None


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, each expanded to the shape that they broadcast to."""
    shape = broadcast_shapes(*[t._array.shape for t in tensors])
    return tuple(expand(t, *shape) for t in tensors)


def sum_to_size(input: Tensor, *size: int | Sequence[int]) -> Tensor:
    """The sum over the dimensions in which `size` was broadcast to the input's shape: the adjoint of expand."""
    size = as_size(size, "sum_to_size")
    source = input._array.shape
    if source == size:
        return input
    lead = len(source) - len(size)
    if lead < 0 or any(s not in (1, source[lead + i]) for i, s in enumerate(size)):
        raise RuntimeError(f"size {list(size)} is not expandable to size {list(source)}.")
    dims = tuple(range(lead)) + tuple(lead + i for i, s in enumerate(size) if s == 1 and source[lead + i] != 1)
    return reshape(input.sum(dims) if dims else input, size)


# Reshape


class ViewFunction(Function):
    returns_view = True

    def __init__(self, shape, label="ViewBackward0"):
        self.shape, self.label = shape, label

    def forward(self, x):
        self.source = x.shape
        return x.reshape(self.shape)

    def backward(self, g):
        return _in_shape(g, self.source)


def _in_shape(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The elements in order, in a shape of as many elements. A view where that is possible, otherwise a copy."""
    return apply(ViewFunction(shape), input if _can_view(input._array, shape) else clone(input))


def _complete_shape(shape: tuple[int, ...], source: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with its -1 worked out. Raises RuntimeError if it does not fit."""
    numel = math.prod(source)
    if shape.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(s < -1 for s in shape):
        raise RuntimeError(f"invalid shape dimension {min(shape)} at index {shape.index(min(shape))} of shape {list(shape)}")
    known = math.prod([s for s in shape if s != -1])
    if -1 in shape:
        if known == 0:
            raise RuntimeError(
                f"cannot reshape tensor of {numel} elements into shape {list(shape)} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        if numel % known == 0:
            return tuple(numel // known if s == -1 else s for s in shape)
    elif known == numel:
        return shape
    raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel} (its shape is {tuple(source)})")


def _can_view(array: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether the elements in order, in another shape, are a view: each run of dimensions whose elements follow each other at one
    distance must be cut into whole sizes of the shape."""
    if array.flags.c_contiguous or array.size == 0:
        return True
    d, distance, run, cut = len(shape) - 1, array.strides[-1], 1, 1
    for i in range(array.ndim - 1, -1, -1):
        run *= array.shape[i]
        if i > 0 and (array.shape[i - 1] == 1 or array.strides[i - 1] == run * distance):
            continue
        while d >= 0 and (cut < run or shape[d] == 1):
            cut *= shape[d]
            d -= 1
        if cut != run:
            return False
        distance, run, cut = array.strides[i - 1], 1, 1
    return d == -1


def reshape(input: Tensor, *sizes: int | Sequence[int], shape: Sequence[int] | None = None) -> Tensor:
    """The elements in order, in another shape; one size may be -1. A view where that is possible, otherwise a copy.

    Raises RuntimeError if the number of elements differs.
    """
    array = views.reshaped(input._array, sizes if shape is None else (shape,))
    if array is not None:
        return as_view(input, array, ViewFunction, array.shape)
    source = input._array.shape
    wanted = as_size(sizes if shape is None else (shape,), "reshape")
    if wanted == source:
        return alias(input)
    return _in_shape(input, _complete_shape(wanted, source))


def view(
    input: Tensor, *shape: int | Sequence[int], size: Sequence[int] | None = None, dtype: _dtype.dtype | None = None
) -> Tensor:
    """reshape that never copies. Raises RuntimeError where only a copy would do. A dtype of the same size reinterprets the bytes."""
    if dtype is not None:
        return _view_as_dtype(input, dtype)
    if size is not None:
        shape = (size,)
    array = views.reshaped(input._array, shape)
    if array is not None:
        return as_view(input, array, ViewFunction, array.shape)
    if len(shape) == 1 and isinstance(shape[0], _dtype.dtype):
        return _view_as_dtype(input, shape[0])
    wanted = _complete_shape(as_size(shape, "view"), input._array.shape)
    if not _can_view(input._array, wanted):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two contiguous "
            "subspaces). Use .reshape(...) instead."
        )
    return apply(ViewFunction(wanted), input)


def _view_as_dtype(input: Tensor, dtype: _dtype.dtype) -> Tensor:
    if dtype.itemsize != input.dtype.itemsize:
        raise RuntimeError(f"view: a view of {input.dtype} as {dtype} needs elements of the same size")
    if dtype is input.dtype:
        return alias(input)
    out = input.detach()
    out._set_array(input._array.view(dtype.np))
    return out


def alias(input: Tensor) -> Tensor:
    """A view of all of the tensor."""
    return apply(ViewFunction(input._array.shape), input)


def view_as(input: Tensor, other: Tensor) -> Tensor:
    """view in other's shape."""
    return view(input, *other._array.shape)


def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """reshape to other's shape."""
    return reshape(input, *other._array.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """One dimension in the place of start_dim ... end_dim."""
    array = views.flattened(input._array, start_dim, end_dim)
    if array is not None:
        return as_view(input, array, ViewFunction, array.shape)
    shape = input._array.shape
    start, end = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return reshape(input, 1)
    if start == end:
        return input
    return _in_shape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """The elements in order, in one dimension."""
    return reshape(input, input._array.size)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Several dimensions of these sizes (one may be -1) in the place of one."""
    dim = normalize_dim(dim, input.ndim)
    shape = input._array.shape
    sizes = as_size((tuple(sizes),), "unflatten")
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        sizes = _complete_shape(sizes, (shape[dim],))
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} ({shape[dim]}) in the input tensor"
        ) from None
    return reshape(input, *shape[:dim], *sizes, *shape[dim + 1 :])


@accepts_axis
def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """A view without the dimensions of size 1 (of those named, if any are)."""
    label = "SqueezeBackward0" if dim is None else "SqueezeBackward1" if isinstance(dim, int) else "SqueezeBackward2"
    array = views.squeezed(input._array, dim)
    if array is not None:
        return as_view(input, array, ViewFunction, array.shape, label)
    shape = input._array.shape
    dims = normalize_dims(dim, len(shape))
    return apply(ViewFunction(tuple(s for i, s in enumerate(shape) if s != 1 or i not in dims), label), input)


def unsqueeze(input: Tensor, dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """A view with a new dimension of size 1 at `dim`."""
    array = views.unsqueezed(input._array, dim if axis is None else axis)
    if array is not None:
        return as_view(input, array, ViewFunction, array.shape, "UnsqueezeBackward0")
    shape = input._array.shape
    dim = normalize_dim(dim if axis is None else axis, len(shape) + 1)
    return apply(ViewFunction((*shape[:dim], 1, *shape[dim:]), "UnsqueezeBackward0"), input)


# Permute


class PermuteFunction(Function):
    returns_view = True

    def __init__(self, dims, label="PermuteBackward0"):
        self.dims, self.label = dims, label

    def forward(self, x):
        return x.transpose(self.dims)

    def backward(self, g):
        return apply(PermuteFunction(tuple(self.dims.index(d) for d in range(len(self.dims)))), g)


def _permutation(*order: int | Sequence[int]) -> PermuteFunction:
    dims = as_size(order, "permute")
    return PermuteFunction(tuple([d % len(dims) for d in dims]))


def _exchange(ndim: int, dim0: int, dim1: int) -> PermuteFunction:
    order = list(range(ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return PermuteFunction(tuple(order), "TransposeBackward0")


def _reversal(ndim: int, label: str) -> PermuteFunction:
    return PermuteFunction(tuple(range(ndim))[::-1], label)


def permute(input: Tensor, *order: int | Sequence[int], dims: Sequence[int] | None = None) -> Tensor:
    """A view with the dimensions in this order. Raises RuntimeError unless each is named once."""
    order = order if dims is None else (dims,)
    array = views.permuted(input._array, order)
    if array is not None:
        return as_view(input, array, _permutation, *order)
    wanted = as_size(order, "permute")
    if len(wanted) != input.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering of dimensions "
            f"i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(wanted)}"
        )
    normal = tuple(normalize_dim(d, input.ndim) for d in wanted)
    if len(set(normal)) != len(normal):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return apply(PermuteFunction(normal), input)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dimensions exchanged."""
    array = views.transposed(input._array, dim0, dim1)
    if array is not None:
        return as_view(input, array, _exchange, input.ndim, dim0, dim1)
    dim0, dim1 = normalize_dim(dim0, input.ndim), normalize_dim(dim1, input.ndim)
    return apply(_exchange(input.ndim, dim0, dim1) if input.ndim else PermuteFunction((), "TransposeBackward0"), input)


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """transpose by numpy's name."""
    return transpose(input, axis0, axis1)


def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; a vector or scalar as it is. Raises RuntimeError beyond two dimensions."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return as_view(input, input._array.T, _reversal, input.ndim, "TBackward0")


def reversed_dims(input: Tensor) -> Tensor:
    """Tensor.T: a view with the dimensions in reverse order."""
    return as_view(input, input._array.T, _reversal, input.ndim, "PermuteBackward0")


def matrix_transpose(input: Tensor) -> Tensor:
    """Tensor.mT: a view with the last two dimensions exchanged."""
    if input.ndim < 2:
        raise RuntimeError(f"tensor.mT is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor.")
    return transpose(input, -2, -1)


def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """A view with the source dimensions at the destinations, the others in order."""
    sources = normalize_dims(source, input.ndim)
    destinations = normalize_dims(destination, input.ndim)
    if len(sources) != len(destinations):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(sources)} dims) should contain the same number of dims as "
            f"destination ({list(destinations)} dims)"
        )
    rest = iter([d for d in range(input.ndim) if d not in sources])
    places = dict(zip(destinations, sources, strict=True))
    return permute(input, tuple(places[d] if d in places else next(rest) for d in range(input.ndim)))


# Joining and repeating


class CatFunction(Function):
    def __init__(self, dim):
        self.dim = dim

    def forward(self, *arrays):
        self.sizes = [a.shape[self.dim] for a in arrays]
        return kernels.joined(self.dim, *arrays)

    def backward(self, g):
        parts = split(g, self.sizes, self.dim)
        return tuple(part if wanted else None for part, wanted in zip(parts, self.needs_input_grad, strict=True))


def cat(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors one after the other along an existing dimension. Raises RuntimeError unless their other sizes agree."""
    dim = dim if axis is None else axis
    tensors = list(tensors)
    if not tensors:
        raise ValueError("cat(): expected a non-empty list of Tensors")
    if are_alike(tensors) and tensors[0].ndim:
        dim = normalize_dim(dim, tensors[0].ndim)
        out = try_kernel(kernels.joined, dim, *tensors)
        return apply(CatFunction(dim), *tensors) if out is None else out
    for i, x in enumerate(tensors):
        if not hasattr(x, "_array"):
            raise TypeError(f"cat(): expected Tensor as element {i} in argument 0, but got {type(x).__name__}")
        if x.ndim == 0:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    dtype = _dtype.result_dtype([(x.dtype, x.ndim) for x in tensors], [])
    if any(x.ndim != 1 for x in tensors):  # as in PyTorch, an empty vector goes with tensors of any shape
        tensors = [x for x in tensors if x._array.shape != (0,)]
    first = tensors[0]
    dim = normalize_dim(dim, first.ndim)
    for i, x in enumerate(tensors):
        if x.ndim != first.ndim:
            raise RuntimeError(f"Tensors must have same number of dimensions: got {first.ndim} and {x.ndim}")
        for d, (a, b) in enumerate(zip(first._array.shape, x._array.shape, strict=True)):
            if d != dim and a != b:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {a} but got size {b} for tensor number "
                    f"{i} in the list."
                )
    return apply(CatFunction(dim), *[cast(x, dtype) for x in tensors])


def _as_alike(tensors: list[Tensor]) -> list[Tensor]:
    """Tensors of one shape as tensors of one dtype."""
    for i, x in enumerate(tensors):
        if x._array.shape != tensors[0]._array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0]._array.shape)} at entry 0 and "
                f"{list(x._array.shape)} at entry {i}"
            )
    dtype = _dtype.result_dtype([(x.dtype, x.ndim) for x in tensors], [])
    return [cast(x, dtype) for x in tensors]


@named_node
def stack(tensors: Sequence[Tensor], dim: int = 0, *, axis: int | None = None) -> Tensor:
    """The tensors, all of one shape, along a new dimension."""
    dim = dim if axis is None else axis
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError("stack expects a non-empty TensorList")
    if not are_alike(tensors):
        tensors = _as_alike(tensors)
    dim = normalize_dim(dim, tensors[0].ndim + 1)
    out = try_kernel(kernels.stacked, dim, *tensors)
    return apply(StackFunction(dim), *tensors) if out is None else out


class StackFunction(Function):
    """Arrays of one shape and dtype along a new dimension."""

    def __init__(self, dim):
        self.dim = dim

    def forward(self, *arrays):
        return kernels.stacked(self.dim, *arrays)

    def backward(self, g):
        parts = apply(UnbindFunction(self.dim), g)
        return tuple([part if wanted else None for part, wanted in zip(parts, self.needs_input_grad, strict=True)])


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """cat along the second dimension (the first for vectors)."""
    tensors = [reshape(x, 1) if x.ndim == 0 else x for x in tensors]
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """cat along the first dimension, vectors as rows."""
    return cat([reshape(x, 1, x._array.size) if x.ndim < 2 else x for x in tensors], 0)


@named_node
def repeat(input: Tensor, *sizes: int | Sequence[int], repeats: Sequence[int] | None = None) -> Tensor:
    """Copies of the tensor side by side: repeats[i] along dimension i, missing dimensions in front."""
    repeats = as_size(sizes if repeats is None else (repeats,), "repeat")
    if len(repeats) < input.ndim:
        raise RuntimeError("Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor")
    if any(r < 0 for r in repeats):
        raise RuntimeError(f"Trying to create tensor with negative dimension: {list(repeats)}")
    shape = (1,) * (len(repeats) - input.ndim) + input._array.shape
    paired = [size for s in shape for size in (1, s)]
    spread = [size for r, s in zip(repeats, shape, strict=True) for size in (r, s)]
    total = [r * s for r, s in zip(repeats, shape, strict=True)]
    check_elements(total, "repeat")
    return reshape(clone(expand(reshape(input, paired), spread)), total)


def tile(input: Tensor, *sizes: int | Sequence[int], dims: Sequence[int] | None = None) -> Tensor:
    """repeat, with missing repeats taken as 1."""
    dims = as_size(sizes if dims is None else (dims,), "tile")
    return repeat(input, *((1,) * (input.ndim - len(dims)) + dims))


# Slices of a tensor


class SliceFunction(Function):
    """x[index] for a tuple of ints, slices with positive steps, None and Ellipsis: a view."""

    returns_view = True

    def __init__(self, index):
        self.index = index

    def own_name(self):
        """That of the last step that PyTorch would take."""
        steps = [item for item in self.index if item is not Ellipsis and item != slice(None)]
        last = steps[-1] if steps else slice(None)
        return "UnsqueezeBackward0" if last is None else "SliceBackward0" if isinstance(last, slice) else "SelectBackward0"

    def forward(self, x):
        self.source = x.shape
        y = x[self.index]
        return y if isinstance(y, np.ndarray) else x[(*self.index, Ellipsis)]

    def backward(self, g):
        return apply(UnsliceFunction(self.index, self.source), g)


class UnsliceFunction(Function):
    """Zeros of a shape, with x at an index: the adjoint of SliceFunction."""

    def __init__(self, index, shape):
        self.index, self.shape = index, shape

    def forward(self, x):
        y = np.zeros(self.shape, x.dtype)
        y[self.index] = x
        return y

    def backward(self, g):
        return apply(SliceFunction(self.index), g)


def _slice_dim(input: Tensor, dim: int, piece: int | slice) -> Tensor:
    return apply(SliceFunction((slice(None),) * dim + (piece,)), input)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A view of `length` entries of a dimension, from `start`."""
    if input.ndim == 0:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, input.ndim)
    size = input._array.shape[dim]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(f"start out of range (expected to be in range of [{-size}, {size}], but got {start})")
    start = start + size if start < 0 else start
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return _slice_dim(input, dim, slice(start, start + length))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """A view of one entry of a dimension, without that dimension."""
    if input.ndim == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = normalize_dim(dim, input.ndim)
    size = input._array.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input._array.shape)} at dimension {dim}"
        )
    return _slice_dim(input, dim, int(index) % size)


class SplitFunction(Function):
    """Consecutive pieces of a dimension, all from one node, so that their gradients are put together once."""

    returns_view = True

    def __init__(self, sizes, dim, label="SplitBackward0"):
        self.sizes, self.dim, self.label = sizes, dim, label

    def forward(self, x):
        self.source = x.shape
        return views.pieces(x, self.sizes, self.dim)

    def backward(self, g):
        some = next(part for part in g if part is not None)
        before, after = self.source[: self.dim], self.source[self.dim + 1 :]
        return cat(
            [
                some.new_zeros((*before, size, *after)) if part is None else part
                for part, size in zip(g, self.sizes, strict=True)
            ],
            self.dim,
        )


def split(
    tensor: Tensor, split_size_or_sections: int | Sequence[int] | None = None, dim: int = 0, *, split_size: Any = None
) -> tuple[Tensor, ...]:
    """Views of consecutive pieces of a dimension: of one size (the last may be smaller), or of these sizes."""
    if tensor.ndim == 0:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    if split_size is not None:
        split_size_or_sections = split_size
    if split_size_or_sections is None:
        raise TypeError("split() missing 1 required argument: 'split_size_or_sections'")
    dim = normalize_dim(dim, tensor.ndim)
    size = tensor._array.shape[dim]
    if isinstance(split_size_or_sections, (int, np.integer)):
        step = int(split_size_or_sections)
        if step < 0:
            raise RuntimeError(f"split expects split_size be non-negative, but got split_size={step}")
        if step == 0 and size != 0:
            raise RuntimeError(f"split_size can only be 0 if dimension size is 0, but got dimension size of {size}")
        sizes = [min(step, size - start) for start in range(0, size, step)] if size else [0]
        label = "SplitBackward0"
    else:
        label = "SplitWithSizesBackward0"
        sizes = [int(s) for s in split_size_or_sections]
        if any(s < 0 for s in sizes) or sum(sizes) != size:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {size} (input tensor's size at dimension {dim}), but got "
                f"split_sizes={sizes}"
            )
    return apply(SplitFunction(sizes, dim, label), tensor)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most this many views of consecutive pieces of equal size (the last may be smaller)."""
    if input.ndim == 0:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = normalize_dim(dim, input.ndim)
    size = input._array.shape[dim]
    return split(input, -(-size // chunks), dim) if size else split(input, [0] * chunks, dim)


@accepts_axis
@named_node
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of each entry of a dimension, without that dimension."""
    if input.ndim == 0:
        raise RuntimeError("Dimension specified as 0 but tensor has no dimensions")
    dim = normalize_dim(dim, input.ndim)
    if input._array.shape[dim] == 0:
        return ()
    return apply(UnbindFunction(dim), input)


class UnbindFunction(Function):
    """The entries of a dimension, all from one node, as in SplitFunction."""

    returns_view = True

    def __init__(self, dim):
        self.dim = dim

    def forward(self, x):
        return views.entries(x, self.dim)

    def backward(self, g):
        some = next(part for part in g if part is not None)
        return stack([some.new_zeros(some.shape) if part is None else part for part in g], self.dim)


def _diagonal_of(x: np.ndarray, offset: int, dim1: int, dim2: int) -> np.ndarray:
    """A view of a diagonal of two dimensions, as the last dimension."""
    view = x.diagonal(offset, dim1, dim2)
    view.flags.writeable = x.flags.writeable
    return view


def _copied_diagonal(x: np.ndarray, offset: int) -> np.ndarray:
    return kernels.copied(x.diagonal(offset))


class DiagonalFunction(Function):
    returns_view = True

    def __init__(self, offset, dim1, dim2):
        self.where = offset, dim1, dim2

    def forward(self, x):
        self.source = x.shape
        return _diagonal_of(x, *self.where)

    def backward(self, g):
        return apply(DiagonalScatterFunction(self.where, self.source), g)


class DiagonalScatterFunction(Function):
    """Zeros with x on a diagonal: the adjoint of DiagonalFunction."""

    label = "DiagEmbedBackward0"

    def __init__(self, where, shape):
        self.where, self.shape = where, shape

    def forward(self, x):
        y = memory.zeros_array(self.shape, x.dtype)
        kernels.copy_into(_diagonal_of(y, *self.where), x)
        return y

    def backward(self, g):
        return diagonal(g, *self.where)


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of a diagonal of two dimensions, as the last dimension."""
    dim1, dim2 = normalize_dim(dim1, input.ndim), normalize_dim(dim2, input.ndim)
    if dim1 == dim2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return apply(DiagonalFunction(offset, dim1, dim2), input)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or a square matrix with this vector on its diagonal."""
    if input.ndim == 1:
        n = input._array.shape[0] + abs(diagonal)
        return apply(DiagonalScatterFunction((diagonal, 0, 1), (n, n)), input)
    if input.ndim == 2:
        out = try_kernel(_copied_diagonal, input, diagonal)
        return clone(apply(DiagonalFunction(diagonal, 0, 1), input)) if out is None else out
    raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")


# Reordering, with a copy


class FlipFunction(Function):
    def __init__(self, dims):
        self.dims = dims

    def forward(self, x):
        return kernels.flipped(x, self.dims)

    def backward(self, g):
        return apply(FlipFunction(self.dims), g)


def flip(input: Tensor, *order: int | Sequence[int], dims: Sequence[int] | None = None) -> Tensor:
    """A copy with the order of these dimensions reversed."""
    axes = normalize_dims(as_size(order if dims is None else (dims,), "flip"), input.ndim)
    out = try_kernel(kernels.flipped, input, axes)
    return apply(FlipFunction(axes), input) if out is None else out


def fliplr(input: Tensor) -> Tensor:
    """flip of the second dimension."""
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """flip of the first dimension."""
    return flip(input, 0)


class RollFunction(Function):
    def __init__(self, moves):
        self.moves = moves

    def forward(self, x):
        return kernels.rolled(x, self.moves)

    def backward(self, g):
        return _rolled(g, [-move for move in self.moves])


def _rolled(input: Tensor, moves: list[int]) -> Tensor:
    """A copy with the entries of each dimension moved on by any number of places."""
    places = tuple([move % size if size else 0 for move, size in zip(moves, input._array.shape, strict=True)])
    out = try_kernel(kernels.rolled, input, places)
    return apply(RollFunction(places), input) if out is None else out


@named_node
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """A copy with the entries of each dimension moved on, around the end; of all elements in order if no dimension is named."""
    shifts = as_size((shifts,), "roll")
    if dims is None or dims == ():
        if len(shifts) != 1:
            raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:0")
        return reshape(_rolled(ravel(input), [shifts[0]]), input._array.shape)
    dims = tuple(normalize_dim(d, input.ndim) for d in as_size((dims,), "roll"))
    if len(shifts) != len(dims):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}")
    moves = [0] * input.ndim
    for shift, dim in zip(shifts, dims, strict=True):
        moves[dim] += shift
    return _rolled(input, moves)


class TriangleFunction(Function):
    """The elements of matrices up to a diagonal, or above it; zeros elsewhere."""

    def __init__(self, lower, diagonal):
        self.lower, self.diagonal = lower, diagonal

    def own_name(self):
        return "TrilBackward0" if self.lower else "TriuBackward0"

    def forward(self, x):
        rows, columns = x.shape[-2:]
        return kernels.triangle(np.ascontiguousarray(x), self.lower, max(-rows, min(self.diagonal, columns)))

    def backward(self, g):
        return apply(TriangleFunction(self.lower, self.diagonal), g)


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of matrices, zero above the given diagonal."""
    if input.ndim < 2:
        raise RuntimeError("tril: input tensor must have at least 2 dimensions")
    return apply(TriangleFunction(True, diagonal), input)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of matrices, zero below the given diagonal."""
    if input.ndim < 2:
        raise RuntimeError("triu: input tensor must have at least 2 dimensions")
    return apply(TriangleFunction(False, diagonal - 1), input)
