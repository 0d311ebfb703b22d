"""Element types and their promotion, as PyTorch has them."""

from __future__ import annotations

from typing import Any

import numpy as np


class dtype:
    """The type of a tensor's elements. The instances are minigrad.float32, float64, int64, int32, int16, int8, uint8 and bool."""

    __slots__ = ("is_floating_point", "itemsize", "name", "np")

    name: str
    np: np.dtype
    itemsize: int
    is_floating_point: bool

    def __init__(self, name: str) -> None:
        self.name = name
        self.np = np.dtype(name)
        self.itemsize = self.np.itemsize
        self.is_floating_point = self.np.kind == "f"

    @property
    def is_complex(self) -> bool:
        """Always False: minigrad has no complex tensors."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether the type has negative values."""
        return self.np.kind in "if"

    def __repr__(self) -> str:
        return f"minigrad.{self.name}"

    def __reduce__(self) -> tuple:
        return (from_name, (self.name,))


float32 = float = dtype("float32")
float64 = double = dtype("float64")
int64 = long = dtype("int64")
int32 = int = dtype("int32")
int16 = short = dtype("int16")
int8 = dtype("int8")
uint8 = dtype("uint8")
bool = dtype("bool")


class absent_dtype(dtype):
    """A dtype of PyTorch that programs name, in tables or comparisons, and that no tensor of minigrad has.

    What asks for its elements raises TypeError.
    """

    __slots__ = ()

    def __init__(self, name: str, itemsize: int) -> None:
        self.name, self.itemsize = name, itemsize
        self.is_floating_point = not name.startswith("complex")

    @property
    def is_complex(self) -> bool:
        """Whether it is one of the complex types."""
        return not self.is_floating_point

    @property
    def is_signed(self) -> bool:
        """Always True."""
        return True

    def __getattr__(self, name: str) -> Any:
        if name == "np":
            raise TypeError(f"minigrad has no {self.name} tensors; its float types are float32 and float64")
        raise AttributeError(f"dtype has no attribute {name!r}")


float16 = half = absent_dtype("float16", 2)
bfloat16 = absent_dtype("bfloat16", 2)
complex64 = cfloat = absent_dtype("complex64", 8)
complex128 = cdouble = absent_dtype("complex128", 16)

ALL = (bool, uint8, int8, int16, int32, int64, float32, float64)
_BY_NAME = {t.name: t for t in (*ALL, float16, bfloat16, complex64, complex128)}
_BY_NUMPY = {t.np: t for t in ALL}
BY_TYPENUM = {t.np.num: t for t in ALL}

_default = float32


def from_name(name: str) -> dtype:
    """The dtype of this name: from_name("float32") is minigrad.float32."""
    return _BY_NAME[name]


def from_numpy(np_dtype: np.dtype) -> dtype:
    """The dtype of a numpy dtype. Raises TypeError for one that tensors cannot have."""
    found = _BY_NUMPY.get(np.dtype(np_dtype))
    if found is None:
        supported = ", ".join(t.name for t in ALL)
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{np.dtype(np_dtype).type.__name__}. The only supported types are: {supported}."
        )
    return found


def check(value: object, function: str) -> dtype:
    """`value` as a dtype: a dtype, or Python's float, int or bool. Raises TypeError for anything else."""
    if isinstance(value, dtype):
        return value
    by_python_type = {"float": float64, "int": int64, "bool": bool}
    if isinstance(value, type) and value.__name__ in by_python_type and value.__module__ == "builtins":
        return by_python_type[value.__name__]
    raise TypeError(f"{function}(): argument 'dtype' must be a minigrad.dtype, not {type(value).__name__}")


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats: float32 unless set_default_dtype changed it."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Sets the dtype of tensors made from Python floats: float32 or float64. Raises TypeError for any other."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point or isinstance(d, absent_dtype):
        raise TypeError("only floating-point types are supported as the default type")
    _default = d


# The lattice of PyTorch: bool < uint8, int8 < int16 < int32 < int64 < float32 < float64, where uint8 and int8 meet in int16.
_CATEGORY = {t: 0 if t.np.kind == "b" else 1 if t.np.kind in "iu" else 2 for t in ALL}


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype that both can be cast to: promote_types(int64, float32) is float32."""
    if type1 is type2:
        return type1
    if {type1, type2} == {uint8, int8}:
        return int16
    return max(type1, type2, key=ALL.index)


def result_dtype(tensors: list[tuple[dtype, int]], scalars: list[object]) -> dtype:
    """The dtype of an operation between tensors, given as (dtype, number of dimensions), and Python numbers.

    A tensor with dimensions has its way over a 0-d one, and that over a number, unless the other is of a higher category
    (bool < integer < float). Source: PyTorch's "Tensor Attributes: type promotion".
    """
    dims = zero = number = None
    for t, ndim in tensors:
        if ndim:
            dims = t if dims is None else promote_types(dims, t)
        else:
            zero = t if zero is None else promote_types(zero, t)
    for value in scalars:
        t = of_scalar(value)
        number = t if number is None else promote_types(number, t)
    result = dims
    for lower in (zero, number):
        if lower is None:
            continue
        if result is None:
            result = lower
        elif _CATEGORY[lower] > _CATEGORY[result]:
            result = _default if lower is number and lower.is_floating_point else lower
    return result


def of_scalar(value: object) -> dtype:
    """The dtype that a Python or numpy number stands for."""
    if isinstance(value, (type(True), np.bool_)):
        return bool
    if isinstance(value, (type(1), np.integer)):
        return int64
    if isinstance(value, (type(1.0), np.floating)):
        return _default
    raise TypeError(f"unsupported operand type: {type(value).__name__}")


class finfo:
    """Limits of a float type: bits, eps, max, min, tiny, smallest_normal, resolution."""

    def __init__(self, type: dtype | None = None) -> None:
        d = _default if type is None else type
        if not d.is_floating_point:
            raise TypeError(f"finfo() requires a floating point input type. Use minigrad.iinfo to handle {d!r}")
        limits = np.finfo(d.np)
        self.dtype, self.bits = d.name, limits.bits
        self.eps, self.max, self.min = limits.eps.item(), limits.max.item(), limits.min.item()
        self.tiny = self.smallest_normal = limits.tiny.item()
        self.resolution = limits.resolution.item()

    def __repr__(self) -> str:
        names = ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        return f"finfo({', '.join(f'{name}={getattr(self, name):.6g}' for name in names)}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer type: bits, max, min."""

    def __init__(self, type: dtype) -> None:
        if type.np.kind not in "iu":
            raise TypeError(f"iinfo() requires an integer input type. Use minigrad.finfo to handle {type!r}")
        limits = np.iinfo(type.np)
        self.dtype, self.bits, self.max, self.min = type.name, limits.bits, limits.max, limits.min

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:.6g}, max={self.max:.6g}, dtype={self.dtype})"
