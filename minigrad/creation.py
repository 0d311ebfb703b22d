"""Functions that make tensors: from data, filled, and in ranges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype
from minigrad._arguments import MOST_ELEMENTS, as_size, check_elements
from minigrad._device import check_device
from minigrad._dtype import dtype as DType
from minigrad._ext.arrange import converted, filled
from minigrad._ext.engine import TensorBase, from_array
from minigrad._ext.memory import empty_array, zeros_array
from minigrad._ext.views import new_shape

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


# Bytes from which on zeros are the system's promise, kept page by page at the first touch, rather than written at once.
_LAZY_ZEROS = 32 << 20
_FEW_ZEROS = 64 << 10  # bytes that are not worth a second thread


def _finish(array: np.ndarray, requires_grad: bool, device: object = None) -> Tensor:
    if device is not None:
        check_device(device)
    out = from_array(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _array_of(data: Any, dtype: DType | None) -> np.ndarray:
    """A new array of the data: a tensor, an array, a number, or a nest of sequences of these."""
    if isinstance(data, TensorBase):
        return np.array(data._array, dtype=dtype.np if dtype else None, order="C")
    if isinstance(data, (np.ndarray, np.generic)):
        source = np.asarray(data)
        if dtype is None:
            dtype = _dtype.from_numpy(source.dtype)
        return np.array(source, dtype=dtype.np, order="C")
    if _is_sequence(data):
        data = _plain(data)
    elif not isinstance(data, (int, float, bool)):
        if hasattr(data, "__array__"):
            return _array_of(np.asarray(data), dtype)
        raise _no_dtype(data)
    try:
        array = np.array(data)
    except ValueError:
        raise ValueError("tensor(): the nested sequences have different lengths: a tensor is a full rectangle") from None
    if array.dtype == object:
        raise _no_dtype(next((x for x in array.flat if not isinstance(x, (*_NUMBERS, np.generic))), 0))
    if array.dtype.kind in "USV":
        raise ValueError(f"tensor(): too many dimensions, or strings where numbers should be: {array.dtype}")
    if dtype is None:
        if array.size == 0 or array.dtype.kind == "f":
            dtype = _dtype.get_default_dtype() if array.dtype != np.float64 or _only_python_floats(data) else _dtype.float64
        else:
            dtype = _dtype.from_numpy(array.dtype)
    if array.dtype is dtype.np:
        return np.asarray(array, order="C")
    if array.dtype == np.float64 and dtype is _dtype.float32:
        return converted(np.asarray(array, order="C"), dtype.np)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(array.astype(dtype.np, copy=False), order="C")


def _no_dtype(value: Any) -> Exception:
    """The error for what is no element of a tensor."""
    if isinstance(value, (str, bytes)):
        return TypeError(f"tensor(): invalid data type {type(value).__name__!r}: expected numbers, arrays or tensors")
    if isinstance(value, int):
        return ValueError("tensor(): Overflow when unpacking long long: an integer does not fit into 64 bits")
    return RuntimeError(
        f"Could not infer dtype of {type(value).__name__}: expected numbers, arrays, tensors or sequences of these"
    )


def _plain(data: Sequence) -> list:
    """The nest with tensors as what numpy understands."""
    return [
        x if type(x) in _NUMBERS else _plain(x) if _is_sequence(x) else x._array if isinstance(x, TensorBase) else x
        for x in data
    ]


_NUMBERS = (float, int, bool)


def _is_sequence(data: Any) -> bool:
    """Whether data is a list, a tuple, a deque, a range or the like, but no string, array or tensor."""
    if isinstance(data, (list, tuple)):
        return True
    return isinstance(data, Sequence) and not isinstance(data, (str, np.ndarray, TensorBase))


def _only_python_floats(data: Any) -> bool:
    """Whether the nest holds Python numbers alone: then its floats take the default dtype; numpy's keep theirs."""
    while isinstance(data, list) and data:
        data = data[0]
    return not isinstance(data, (np.ndarray, np.generic))


def tensor(
    data: Any, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of the data: numbers, nested sequences of numbers, an array, a tensor.

    Python floats become the default dtype (float32), ints int64, bools bool; arrays keep theirs. Raises ValueError for ragged nests
    and TypeError for what is no number.
    """
    if dtype is not None:
        dtype = _dtype.check(dtype, "tensor")
    return _finish(_array_of(data, dtype), requires_grad, device)


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory; it cannot be written to if the array cannot.

    A write to the array is not seen by the tensor's version counter. Raises TypeError for what is no array or has a dtype that
    tensors cannot have; ValueError for another byte order than the machine's, or strides that are negative or no multiples of the
    element's size, as fields of structures have.
    """
    if not isinstance(ndarray, np.ndarray):
        module = "numpy." if isinstance(ndarray, np.generic) else ""
        raise TypeError(f"expected np.ndarray (got {module}{type(ndarray).__name__})")
    if not ndarray.dtype.isnative:
        raise ValueError("given numpy array has byte order different from the native byte order. Conversion is not supported.")
    dtype = _dtype.from_numpy(ndarray.dtype)
    if any(stride < 0 for stride in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not supported. "
            "(You can probably work around this by making a copy of your array with array.copy().)"
        )
    if any(stride % ndarray.itemsize for stride in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory."
        )
    return from_array(np.asarray(ndarray).view(dtype.np))


def as_tensor(data: Any, dtype: DType | None = None, device: object = None) -> Tensor:
    """A tensor of the data, sharing its memory (and graph) where that is possible."""
    check_device(device)
    if isinstance(data, TensorBase):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or dtype.np == data.dtype):
        return from_numpy(data)
    return tensor(data, dtype=dtype)


def frombuffer(buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A 1-d tensor that shares the memory of an object with Python's buffer protocol: `count` elements from byte `offset` on.

    All that is there for a negative count. It cannot be written to if the buffer cannot. Raises ValueError for an object without
    that protocol, an empty buffer or count, or a part that is not within the buffer or no whole number of elements.
    """
    dtype = _dtype.check(dtype, "frombuffer")
    try:
        size = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if size == 0 or count == 0:
        raise ValueError(f"both buffer length ({size}) and count ({count}) must not be 0")
    if not 0 <= offset < size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({size} bytes) minus 1"
        )
    if count < 0:
        if (size - offset) % dtype.itemsize:
            raise ValueError(
                f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a multiple of element size "
                f"({dtype.itemsize})"
            )
    elif offset + count * dtype.itemsize > size:
        raise ValueError(
            f"requested buffer length ({count} * {dtype.itemsize} bytes) after offset ({offset} bytes) must not be greater than "
            f"actual buffer length ({size} bytes)"
        )
    return _finish(np.frombuffer(buffer, dtype.np, max(count, -1), offset), requires_grad)


class _Capsule:
    """What np.from_dlpack takes, around a DLPack capsule of the CPU's memory."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule


def _is_capsule(obj: Any) -> bool:
    return type(obj).__name__ == "PyCapsule"


def from_dlpack(ext_tensor: Any, *, device: object = None, copy: bool | None = None) -> Tensor:
    """A tensor in the memory of another library's array (one with `__dlpack__`, or a DLPack capsule), or with `copy` a copy.

    It cannot be written to if the array cannot. Raises RuntimeError for another object, TypeError for a dtype that tensors cannot
    have, ValueError for strides that they cannot have, and what the other library raises, as for a tensor that requires grad.
    """
    check_device(device)
    if not _is_capsule(ext_tensor) and not hasattr(ext_tensor, "__dlpack__"):
        raise RuntimeError(
            f"from_dlpack: expected an object with __dlpack__, or a capsule, but got {type(ext_tensor).__name__}"
        )
    array = np.from_dlpack(_Capsule(ext_tensor) if _is_capsule(ext_tensor) else ext_tensor)
    return from_numpy(array.copy() if copy else array)


def asarray(
    obj: Any,
    *,
    dtype: DType | None = None,
    device: object = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """A tensor of a tensor, an array, an object with `__dlpack__`, a DLPack capsule, a buffer (bytes, ...), numbers or sequences.

    It shares memory, and a tensor's graph, unless it is of numbers, `dtype` is another one, or `copy` is True; ValueError if it
    must not be copied (False) but has to be. The bytes of a buffer are read as `dtype`, float32 unless given. A tensor's
    `requires_grad` stays unless given; False detaches. Other errors as those of `tensor`, `frombuffer` and `from_dlpack`.
    """
    check_device(device)
    if dtype is not None:
        dtype = _dtype.check(dtype, "asarray")
    source = _alias(obj, dtype)
    if source is None:
        if copy is False:
            raise ValueError("asarray: can't alias a number or an arbitrary sequence into a tensor; leave out copy=False")
        return _finish(_array_of(obj, dtype), bool(requires_grad))
    if dtype is not None and source.dtype is not dtype:
        if copy is False:
            raise ValueError(f"asarray: can't alias a tensor with dtype {source.dtype} into dtype {dtype}")
        source = source.to(dtype)
    elif copy:
        source = source.clone()
    if requires_grad is False:
        return source.detach() if source.requires_grad else source
    return source.requires_grad_() if requires_grad and not source.requires_grad else source


def _alias(obj: Any, dtype: DType | None) -> Tensor | None:
    """A tensor in the memory of the object; None for numbers and sequences of them."""
    if isinstance(obj, TensorBase):
        return obj  # type: ignore[return-value]
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if _is_capsule(obj) or hasattr(obj, "__dlpack__"):
        return from_dlpack(obj)
    if isinstance(obj, (int, float, str, list, tuple, np.generic)):
        return None
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=_dtype.get_default_dtype() if dtype is None else dtype)


def _numpy_dtype(dtype: DType | None, function: str) -> np.dtype:
    return (_dtype.get_default_dtype() if dtype is None else _dtype.check(dtype, function)).np


def _checked_size(size: tuple, function: str) -> tuple[int, ...]:
    plain = new_shape(size)
    if plain is not None:
        return plain
    sizes = as_size(size, function)
    check_elements(sizes, function)
    for s in sizes:
        if s < 0:
            raise RuntimeError(f"Trying to create tensor with negative dimension {s}: {list(sizes)}")
    return sizes


def empty(
    *sizes: int,
    size: Sequence[int] | None = None,
    dtype: DType | None = None,
    device: object = None,
    requires_grad: bool = False,
    **_: object,
) -> Tensor:
    """A tensor whose elements are not set."""
    return _finish(
        empty_array(_checked_size(sizes if size is None else (size,), "empty"), _numpy_dtype(dtype, "empty")),
        requires_grad,
        device,
    )


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    if size < _FEW_ZEROS:
        return zeros_array(shape, dtype)
    return np.zeros(shape, dtype) if size > _LAZY_ZEROS else filled(shape, 0, dtype)


def zeros(
    *sizes: int,
    size: Sequence[int] | None = None,
    dtype: DType | None = None,
    device: object = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros."""
    shape, kind = _checked_size(sizes if size is None else (size,), "zeros"), _numpy_dtype(dtype, "zeros")
    return _finish(_zeros(shape, kind), requires_grad, device)


def ones(
    *sizes: int,
    size: Sequence[int] | None = None,
    dtype: DType | None = None,
    device: object = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones."""
    return _finish(
        filled(_checked_size(sizes if size is None else (size,), "ones"), 1, _numpy_dtype(dtype, "ones")), requires_grad, device
    )


def full(
    size: Sequence[int], fill_value: float, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one value; its dtype follows the value's: bool, int64 or the default float type."""
    value = fill_value.item() if isinstance(fill_value, TensorBase) else fill_value
    dtype = _dtype.of_scalar(value) if dtype is None else _dtype.check(dtype, "full")
    return _finish(filled(_checked_size((tuple(size),), "full"), value, dtype.np), requires_grad, device)


def _like(input: Tensor, dtype: DType | None) -> DType:
    if not isinstance(input, TensorBase):
        raise TypeError(f"argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    return input.dtype if dtype is None else dtype


def empty_like(
    input: Tensor, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False, **_: object
) -> Tensor:
    """empty in input's shape and dtype."""
    return empty(*input._array.shape, dtype=_like(input, dtype), device=device, requires_grad=requires_grad)


def zeros_like(
    input: Tensor, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False, **_: object
) -> Tensor:
    """zeros in input's shape and dtype."""
    return _finish(_zeros(input._array.shape, _dtype.check(_like(input, dtype), "zeros_like").np), requires_grad, device)


def ones_like(
    input: Tensor, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False, **_: object
) -> Tensor:
    """ones in input's shape and dtype."""
    return _finish(filled(input._array.shape, 1, _dtype.check(_like(input, dtype), "ones_like").np), requires_grad, device)


def full_like(
    input: Tensor,
    fill_value: float,
    *,
    dtype: DType | None = None,
    device: object = None,
    requires_grad: bool = False,
    **_: object,
) -> Tensor:
    """full in input's shape and dtype."""
    dtype = _like(input, dtype)
    return full(input._array.shape, fill_value, dtype=dtype, device=device, requires_grad=requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False
) -> Tensor:
    """An (n, m) matrix, m = n by default, with ones on its diagonal."""
    if n < 0 or (m is not None and m < 0):
        raise RuntimeError(f"n must be greater or equal to 0, got {n if n < 0 else m}")
    check_elements((n, n if m is None else m), "eye")
    return _finish(np.eye(n, m, dtype=_numpy_dtype(dtype, "eye")), requires_grad, device)


def arange(
    *bounds: float, dtype: DType | None = None, device: object = None, requires_grad: bool = False, **named: float
) -> Tensor:
    """arange([start=0,] end, step=1): start, start + step, ... below end. int64 for integers, otherwise the default float type.

    Raises RuntimeError for a step of 0 or one that leads away from end.
    """
    if dtype is None and not named and 0 < len(bounds) <= 3 and all(type(b) is int and abs(b) < MOST_ELEMENTS for b in bounds):
        whole = np.arange(*bounds, dtype=np.int64) if bounds[2:] != (0,) else None
        if whole is not None and whole.size:
            return _finish(whole, requires_grad, device)
    values = [b.item() if isinstance(b, TensorBase) else b for b in bounds]
    if len(values) == 1 and "end" not in named:
        values = [named.pop("start", 0), values[0]]
    start = values[0] if values else named.pop("start", 0)
    if len(values) < 2 and "end" not in named:
        raise TypeError("arange() expects at least an end")
    end = values[1] if len(values) > 1 else named.pop("end")
    step = values[2] if len(values) > 2 else named.pop("step", 1)
    if named or len(values) > 3:
        raise TypeError(f"arange() got unexpected arguments: {list(named) or values[3:]}")
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (end - start) * step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if dtype is None:
        whole = all(isinstance(v, (int, np.integer)) for v in (start, end, step))
        dtype = _dtype.int64 if whole else _dtype.get_default_dtype()
    if not math.isfinite((end - start) / step):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    n = math.ceil((end - start) / step)
    check_elements((n,), "arange")
    return _finish((start + np.arange(n) * step).astype(_dtype.check(dtype, "arange").np), requires_grad, device)


def linspace(
    start: float, end: float, steps: int, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False
) -> Tensor:
    """`steps` values from start to end, both included."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return _finish(np.linspace(float(start), float(end), steps).astype(_numpy_dtype(dtype, "linspace")), requires_grad, device)


def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: DType | None = None, device: object = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """base to the power of linspace(start, end, steps)."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    return _finish(
        np.logspace(float(start), float(end), steps, base=base).astype(_numpy_dtype(dtype, "logspace")), requires_grad, device
    )


def meshgrid(*tensors: Tensor, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: each vector along its own dimension, expanded to the shape of all ("xy" exchanges the first two)."""
    vectors = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else list(tensors)
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: {indexing}")
    swap = indexing == "xy" and len(vectors) >= 2
    if swap:
        vectors[0], vectors[1] = vectors[1], vectors[0]
    shape = [v.numel() for v in vectors]
    grids = [v.reshape([-1 if i == d else 1 for i in range(len(vectors))]).expand(shape) for d, v in enumerate(vectors)]
    if swap:
        grids = [g.transpose(0, 1) for g in grids]
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def scalar_tensor(s: float, *, dtype: DType | None = None, device: object = None, requires_grad: bool = False) -> Tensor:
    """A 0-d tensor of this number, in the default float type unless dtype says otherwise."""
    return full((), s, dtype=dtype or _dtype.get_default_dtype(), device=device, requires_grad=requires_grad)
