"""The Tensor: a compiled core (ext/engine_tensor.pxi) with PyTorch's operators and methods, each delegating to minigrad.ops."""

from __future__ import annotations

import copy
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype, _repr, creation, random
from minigrad._arguments import normalize_dim
from minigrad._device import CPU, check_device, layout, strided
from minigrad._device import device as Device
from minigrad._ext import elementwise as kernels
from minigrad._ext import engine, hot
from minigrad._ext.engine import TensorBase
from minigrad._ufunc import array_ufunc
from minigrad.autograd.backward import backward
from minigrad.ops import (
    activation,
    arrange,
    elementwise,
    factor,
    index,
    inplace,
    linalg,
    loss,
    mathematics,
    reduce,
    shape,
    special,
    statistics,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


_TYPE_NAMES = {
    _dtype.float32: "FloatTensor",
    _dtype.float64: "DoubleTensor",
    _dtype.int64: "LongTensor",
    _dtype.int32: "IntTensor",
    _dtype.int16: "ShortTensor",
    _dtype.int8: "CharTensor",
    _dtype.uint8: "ByteTensor",
    _dtype.bool: "BoolTensor",
}


class Size(tuple):
    """A shape: a tuple of ints with PyTorch's repr and numel()."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"minigrad.Size({list(self)})"

    def numel(self) -> int:
        """The number of elements of a tensor of this shape."""
        n = 1
        for size in self:
            n *= size
        return n

    def __getitem__(self, item: Any) -> Any:
        got = tuple.__getitem__(self, item)
        return Size(got) if isinstance(item, slice) else got

    def __add__(self, other: tuple) -> Size:
        return Size(tuple.__add__(self, tuple(other)))


class Tensor(TensorBase):
    """An array with elements of one dtype that remembers how it was computed, so that gradients can flow back through it.

    Tensor(2, 3) is an uninitialised float32 tensor, Tensor([1, 2]) one with these values; minigrad.tensor(data) is the usual way.
    """

    __slots__ = ()
    __array_ufunc__ = array_ufunc
    __array_priority__ = 1000

    def __init__(self, *args: Any) -> None:
        if len(args) == 1 and isinstance(args[0], (list, tuple, np.ndarray, TensorBase)):
            self._set_array(creation.tensor(args[0], dtype=_dtype.get_default_dtype())._array)
        else:
            self._set_array(creation.empty(*args)._array if args else creation.empty(0)._array)

    # What it is

    @property
    def device(self) -> Device:
        """Where the elements are: the CPU."""
        return CPU

    @property
    def layout(self) -> layout:
        """How the elements lie: minigrad.strided."""
        return strided

    @property
    def is_cpu(self) -> bool:
        """Whether the elements are in the CPU's memory: always."""
        return True

    is_cuda = is_mps = is_xpu = is_meta = is_sparse = is_sparse_csr = is_mkldnn = is_quantized = is_nested = property(
        lambda self: False, doc="Whether it is a tensor of that kind: never."
    )

    @property
    def T(self) -> Tensor:
        """A view with the dimensions in reverse order."""
        return shape.reversed_dims(self)

    @property
    def mT(self) -> Tensor:
        """A view with the last two dimensions exchanged."""
        return shape.matrix_transpose(self)

    @property
    def H(self) -> Tensor:
        """The transpose of a matrix."""
        if self.ndim not in (0, 2):
            raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.")
        return shape.t(self)

    @property
    def mH(self) -> Tensor:
        """A view with the last two dimensions exchanged."""
        return shape.matrix_transpose(self)

    @property
    def nbytes(self) -> int:
        """The bytes of the elements."""
        return self._array.nbytes

    @property
    def itemsize(self) -> int:
        """The bytes of an element."""
        return self._array.itemsize

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self._array.shape[self._existing_dim(dim)]

    def _existing_dim(self, dim: int) -> int:
        if self.ndim == 0:
            raise IndexError("Dimension specified as 0 but tensor has no dimensions")
        return normalize_dim(dim, self.ndim)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.ndim

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return self._array.size

    nelement = numel

    def element_size(self) -> int:
        """The bytes of an element."""
        return self._array.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """How many elements lie in memory from one entry of each dimension (or of one) to the next."""
        strides = tuple(s // self._array.itemsize for s in self._array.strides)
        return strides if dim is None else strides[self._existing_dim(dim)]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the elements lie in order in memory, whatever the memory_format."""
        return self._array.flags.c_contiguous

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the elements are complex: never."""
        return False

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return self._array.dtype.kind in "if"

    def get_device(self) -> int:
        """The number of the GPU: -1, the CPU."""
        return -1

    def storage_offset(self) -> int:
        """How many elements lie in the storage before the first one."""
        base = self._base
        return 0 if base is None else (self.data_ptr() - base.data_ptr()) // self._array.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._array.ctypes.data

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(
                "Boolean value of Tensor with "
                + ("no values" if self._array.size == 0 else "more than one value")
                + " is ambiguous"
            )
        return bool(self._array.reshape(())[()])

    def _one(self) -> Any:
        if self._array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self._array.item()

    def __float__(self) -> float:
        return float(self._one())

    def __int__(self) -> int:
        return int(self._one())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __contains__(self, element: Any) -> bool:
        if not isinstance(element, (TensorBase, int, float, np.number, np.bool_)):
            raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
        return bool(elementwise.eq(self, element)._array.any())  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(shape.unbind(self))

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return _repr.tensor_repr(self)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 else object.__format__(self, spec)

    # From and to other things

    def item(self) -> Any:
        """The one element as a Python number. Raises RuntimeError if there is not just one."""
        if self._array.size != 1:
            raise RuntimeError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
        return self._array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a number for a 0-d tensor."""
        return self._array.tolist()

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """An array that shares the tensor's memory. Raises RuntimeError for a tensor that requires grad, unless force or no_grad."""
        if self.requires_grad and not force and engine.is_grad_enabled():
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            raise ValueError("Unable to avoid copy while creating an array as requested: the tensor has another dtype")
        return array.astype(dtype)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        if self.requires_grad:
            raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
        return self._array.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)

    def __deepcopy__(self, memo: dict) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
            )
        if id(self) in memo:
            return memo[id(self)]
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new._set_array(_copied(self._array, memo))
        new.requires_grad = self.requires_grad
        if self.grad is not None:
            new.grad = self.grad.__deepcopy__(memo)
        new.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return new

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), np.asarray(self._array, order="C"), self.requires_grad, dict(self.__dict__))

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """The tensor with another dtype: to(dtype), to(other tensor) or to("cpu"); itself if nothing changes (unless copy).

        A memory_format is accepted and changes nothing.
        """
        for value in args:
            if isinstance(value, TensorBase):
                dtype = value.dtype
            elif isinstance(value, _dtype.dtype) or value in (float, int, bool):
                dtype = value
            elif isinstance(value, (str, Device)):
                device = value
            elif not isinstance(value, bool):
                raise TypeError(f"to() received an invalid argument of type {type(value).__name__}")
        check_device(device)
        out = self if dtype is None else shape.cast(self, _dtype.check(dtype, "to"))
        return shape.clone(out) if copy and out is self else out

    def type(self, dtype: Any = None) -> Any:
        """The tensor with another dtype, given by itself or as FloatTensor and its like, by name too; without one, that name."""
        if dtype is None:
            return f"minigrad.{_TYPE_NAMES[self.dtype]}"
        if isinstance(dtype, str):
            name = dtype.rpartition(".")[2]
            dtype = next((known for known, type_name in _TYPE_NAMES.items() if type_name == name), None)
            if dtype is None:
                raise ValueError(f"invalid type: {name!r}")
        return self.to(getattr(dtype, "dtype", dtype))

    def type_as(self, other: Tensor) -> Tensor:
        """to(other.dtype)"""
        return shape.cast(self, other.dtype)

    def cpu(self) -> Tensor:
        """The tensor itself: it is on the CPU."""
        return self

    def pin_memory(self, device: Any = None) -> Tensor:
        """Raises RuntimeError: memory is pinned for a GPU, and there is none."""
        raise RuntimeError("pin_memory: minigrad runs on the CPU only, there is no GPU to pin memory for")

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is pinned for a GPU: never."""
        return False

    def share_memory_(self) -> Tensor:
        """Moves the elements into memory that processes forked from now on share. Views of the tensor stay where they are."""
        if not self.is_shared() and self._array.size:
            array = np.frombuffer(mmap.mmap(-1, self._array.nbytes), self._array.dtype).reshape(self._array.shape)
            array[...] = self._array
            self.data = engine.from_array(array)
        return self

    def is_shared(self) -> bool:
        """Whether forked processes share the elements."""
        base: Any = self._array
        while isinstance(base, np.ndarray):
            base = base.base
        return isinstance(base, mmap.mmap) or isinstance(getattr(base, "obj", None), mmap.mmap)

    def cuda(self, device: Any = None) -> Tensor:
        """Raises RuntimeError: minigrad computes on the CPU only."""
        check_device("cuda")
        return self

    def float(self) -> Tensor:
        """to(float32)"""
        return shape.cast(self, _dtype.float32)

    def double(self) -> Tensor:
        """to(float64)"""
        return shape.cast(self, _dtype.float64)

    def long(self) -> Tensor:
        """to(int64)"""
        return shape.cast(self, _dtype.int64)

    def int(self) -> Tensor:
        """to(int32)"""
        return shape.cast(self, _dtype.int32)

    def byte(self) -> Tensor:
        """to(uint8)"""
        return shape.cast(self, _dtype.uint8)

    def char(self) -> Tensor:
        """to(int8)"""
        return shape.cast(self, _dtype.int8)

    def short(self) -> Tensor:
        """to(int16)"""
        return shape.cast(self, _dtype.int16)

    def bool(self) -> Tensor:
        """to(bool)"""
        return shape.cast(self, _dtype.bool)

    # New tensors of the same dtype

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Tensor:
        """tensor(data) in this tensor's dtype."""
        return creation.tensor(data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_empty(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """empty(size) in this tensor's dtype."""
        return creation.empty(*sizes, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_zeros(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """zeros(size) in this tensor's dtype."""
        return creation.zeros(*sizes, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_ones(
        self, *sizes: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """ones(size) in this tensor's dtype."""
        return creation.ones(*sizes, size=size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False
    ) -> Tensor:
        """full(size, fill_value) in this tensor's dtype."""
        return creation.full(size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad)

    # Operators

    __add__ = hot.add
    __radd__ = hot.add
    __sub__ = hot.sub
    __rsub__ = hot.rsub
    __mul__ = hot.mul
    __rmul__ = hot.mul
    __truediv__ = hot.div
    __rtruediv__ = hot.rdiv
    __neg__ = hot.neg
    __matmul__ = linalg.matmul
    __rmatmul__ = linalg.rmatmul
    __pow__ = elementwise.pow
    __rpow__ = elementwise.rpow
    __floordiv__ = elementwise.floor_divide
    __mod__ = elementwise.remainder
    __abs__ = elementwise.abs
    __invert__ = elementwise.bitwise_not
    __and__ = elementwise.bitwise_and
    __rand__ = elementwise.bitwise_and
    __or__ = elementwise.bitwise_or
    __ror__ = elementwise.bitwise_or
    __xor__ = elementwise.bitwise_xor
    __rxor__ = elementwise.bitwise_xor
    __lshift__ = mathematics.bitwise_left_shift
    __rshift__ = mathematics.bitwise_right_shift
    __eq__ = elementwise.eq  # type: ignore[assignment]
    __ne__ = elementwise.ne  # type: ignore[assignment]
    __lt__ = elementwise.lt
    __le__ = elementwise.le
    __gt__ = elementwise.gt
    __ge__ = elementwise.ge
    __getitem__ = index.getitem
    __setitem__ = index.setitem

    def __pos__(self) -> Tensor:
        return self

    def __rlshift__(self, other: Any) -> Tensor:
        return mathematics.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return mathematics.bitwise_right_shift(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return elementwise.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return elementwise.remainder(other, self)

    __iadd__ = inplace.in_place(hot.add, kernels.add_)
    __isub__ = inplace.in_place(hot.sub, kernels.sub_)
    __imul__ = inplace.in_place(hot.mul, kernels.mul_)
    __itruediv__ = inplace.in_place(hot.div, kernels.div_)

    def __ipow__(self, other: Any) -> Tensor:  # type: ignore[misc]
        return inplace.write(self, lambda x: elementwise.pow(x, other), "pow_")

    # Elementwise

    add = elementwise.add
    sub = subtract = elementwise.sub
    mul = multiply = elementwise.mul
    div = divide = true_divide = elementwise.div
    floor_divide = elementwise.floor_divide
    remainder = elementwise.remainder
    fmod = elementwise.fmod
    neg = negative = hot.neg
    pow = elementwise.pow
    square = elementwise.square
    abs = absolute = elementwise.abs
    sign = elementwise.sign
    floor = elementwise.floor
    ceil = elementwise.ceil
    trunc = elementwise.trunc
    round = elementwise.round
    frac = elementwise.frac
    exp = elementwise.exp
    expm1 = elementwise.expm1
    log = elementwise.log
    log1p = elementwise.log1p
    log2 = elementwise.log2
    log10 = elementwise.log10
    sqrt = elementwise.sqrt
    rsqrt = elementwise.rsqrt
    reciprocal = elementwise.reciprocal
    sin = elementwise.sin
    cos = elementwise.cos
    tan = elementwise.tan
    atan = elementwise.atan
    erf = elementwise.erf
    tanh = elementwise.tanh
    relu = activation.relu
    relu_ = activation.relu_
    hardshrink = activation.hardshrink
    prelu = activation.prelu
    softmax = loss.softmax
    log_softmax = loss.log_softmax
    sigmoid = elementwise.sigmoid
    maximum = elementwise.maximum
    minimum = elementwise.minimum
    clamp = clip = elementwise.clamp
    clamp_min = elementwise.clamp_min
    clamp_max = elementwise.clamp_max
    lerp = elementwise.lerp
    addcmul = elementwise.addcmul
    addcdiv = elementwise.addcdiv
    eq = elementwise.eq
    ne = elementwise.ne
    lt = elementwise.lt
    le = elementwise.le
    gt = elementwise.gt
    ge = elementwise.ge
    isnan = elementwise.isnan
    isinf = elementwise.isinf
    isfinite = elementwise.isfinite
    logical_not = elementwise.logical_not
    logical_and = elementwise.logical_and
    logical_or = elementwise.logical_or
    logical_xor = elementwise.logical_xor
    bitwise_and = elementwise.bitwise_and
    bitwise_or = elementwise.bitwise_or
    bitwise_xor = elementwise.bitwise_xor
    bitwise_not = elementwise.bitwise_not
    equal = elementwise.equal
    isclose = elementwise.isclose
    allclose = elementwise.allclose

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """This tensor where the condition holds, other elsewhere."""
        return elementwise.where(condition, self, other)

    # More functions of each element

    asin = arcsin = mathematics.asin
    acos = arccos = mathematics.acos
    atan2 = arctan2 = mathematics.atan2
    sinh = mathematics.sinh
    cosh = mathematics.cosh
    asinh = arcsinh = mathematics.asinh
    acosh = arccosh = mathematics.acosh
    atanh = arctanh = mathematics.atanh
    sinc = mathematics.sinc
    deg2rad = mathematics.deg2rad
    rad2deg = mathematics.rad2deg
    exp2 = mathematics.exp2
    logaddexp = mathematics.logaddexp
    logaddexp2 = mathematics.logaddexp2
    logit = mathematics.logit
    xlogy = mathematics.xlogy
    hypot = mathematics.hypot
    float_power = mathematics.float_power
    fmax = mathematics.fmax
    fmin = mathematics.fmin
    copysign = mathematics.copysign
    signbit = mathematics.signbit
    isposinf = mathematics.isposinf
    isneginf = mathematics.isneginf
    isreal = mathematics.isreal
    positive = mathematics.positive
    nan_to_num = mathematics.nan_to_num
    bitwise_left_shift = mathematics.bitwise_left_shift
    bitwise_right_shift = mathematics.bitwise_right_shift
    arctan = elementwise.atan
    fix = elementwise.trunc
    sgn = elementwise.sign
    not_equal = elementwise.ne
    less = elementwise.lt
    less_equal = elementwise.le
    greater = elementwise.gt
    greater_equal = elementwise.ge

    # Joining, splitting, placing, counting

    split_with_sizes = arrange.split_with_sizes
    tensor_split = arrange.tensor_split
    hsplit = arrange.hsplit
    vsplit = arrange.vsplit
    dsplit = arrange.dsplit
    unfold = arrange.unfold
    rot90 = arrange.rot90
    adjoint = arrange.adjoint
    diag_embed = arrange.diag_embed
    diagflat = arrange.diagflat
    trace = arrange.trace
    select_scatter = arrange.select_scatter
    slice_scatter = arrange.slice_scatter
    diagonal_scatter = arrange.diagonal_scatter
    index_put = index.index_put
    masked_scatter = arrange.masked_scatter
    cummax = arrange.cummax
    cummin = arrange.cummin
    diff = arrange.diff
    msort = arrange.msort
    dist = arrange.dist
    cross = arrange.cross
    kron = arrange.kron
    argwhere = arrange.argwhere
    bincount = arrange.bincount
    is_nonzero = arrange.is_nonzero
    is_same_size = arrange.is_same_size
    addr = linalg.addr
    addbmm = linalg.addbmm
    matrix_power = linalg.matrix_power
    vdot = linalg.dot

    conj = special.conj
    digamma = special.digamma
    erfc = special.erfc
    erfinv = special.erfinv
    gcd = special.gcd
    heaviside = special.heaviside
    lcm = special.lcm
    lgamma = special.lgamma
    corrcoef = statistics.corrcoef
    cov = statistics.cov
    histc = statistics.histc
    mode = statistics.mode
    nanmedian = statistics.nanmedian
    nanquantile = statistics.nanquantile
    quantile = statistics.quantile
    renorm = statistics.renorm
    unique_consecutive = statistics.unique_consecutive
    cholesky = factor.cholesky
    det = factor.det
    inverse = factor.inv
    logdet = factor.logdet
    slogdet = factor.slogdet

    # In place: computed out of place, then written

    digamma_ = inplace.in_place(special.digamma)
    erfc_ = inplace.in_place(special.erfc)
    erfinv_ = inplace.in_place(special.erfinv)
    lgamma_ = inplace.in_place(special.lgamma)
    renorm_ = inplace.in_place(statistics.renorm)

    add_ = inplace.in_place(elementwise.add, kernels.add_)
    sub_ = subtract_ = inplace.in_place(elementwise.sub, kernels.sub_)
    mul_ = multiply_ = inplace.in_place(elementwise.mul, kernels.mul_)
    div_ = divide_ = true_divide_ = inplace.in_place(elementwise.div, kernels.div_)
    floor_divide_ = inplace.in_place(elementwise.floor_divide)
    remainder_ = inplace.in_place(elementwise.remainder)
    fmod_ = inplace.in_place(elementwise.fmod)
    pow_ = inplace.in_place(elementwise.pow)
    square_ = inplace.in_place(elementwise.square, kernels.square_)
    abs_ = absolute_ = inplace.in_place(elementwise.abs, kernels.abs_)
    sign_ = sgn_ = inplace.in_place(elementwise.sign, kernels.sign_)
    floor_ = inplace.in_place(elementwise.floor, kernels.floor_)
    ceil_ = inplace.in_place(elementwise.ceil, kernels.ceil_)
    trunc_ = fix_ = inplace.in_place(elementwise.trunc, kernels.trunc_)
    round_ = inplace.in_place(elementwise.round)
    frac_ = inplace.in_place(elementwise.frac)
    neg_ = negative_ = inplace.in_place(hot.neg, kernels.neg_)
    exp_ = inplace.in_place(elementwise.exp, kernels.exp_)
    expm1_ = inplace.in_place(elementwise.expm1, kernels.expm1_)
    log_ = inplace.in_place(elementwise.log, kernels.log_)
    log1p_ = inplace.in_place(elementwise.log1p, kernels.log1p_)
    log2_ = inplace.in_place(elementwise.log2)
    log10_ = inplace.in_place(elementwise.log10)
    sqrt_ = inplace.in_place(elementwise.sqrt, kernels.sqrt_)
    rsqrt_ = inplace.in_place(elementwise.rsqrt, kernels.rsqrt_)
    reciprocal_ = inplace.in_place(elementwise.reciprocal, kernels.reciprocal_)
    sin_ = inplace.in_place(elementwise.sin)
    cos_ = inplace.in_place(elementwise.cos)
    tan_ = inplace.in_place(elementwise.tan)
    atan_ = arctan_ = inplace.in_place(elementwise.atan)
    tanh_ = inplace.in_place(elementwise.tanh, kernels.tanh_)
    sigmoid_ = inplace.in_place(elementwise.sigmoid, kernels.sigmoid_)
    erf_ = inplace.in_place(elementwise.erf, kernels.erf_)
    clamp_ = clip_ = inplace.in_place(elementwise.clamp, kernels.clamp_)
    clamp_min_ = inplace.in_place(elementwise.clamp_min)
    clamp_max_ = inplace.in_place(elementwise.clamp_max)
    lerp_ = inplace.in_place(elementwise.lerp, kernels.lerp_)
    addcmul_ = inplace.in_place(elementwise.addcmul, kernels.addcmul_)
    addcdiv_ = inplace.in_place(elementwise.addcdiv, kernels.addcdiv_)
    eq_ = inplace.in_place_without_gradient(elementwise.eq)
    ne_ = not_equal_ = inplace.in_place_without_gradient(elementwise.ne)
    lt_ = less_ = inplace.in_place_without_gradient(elementwise.lt)
    le_ = less_equal_ = inplace.in_place_without_gradient(elementwise.le)
    gt_ = greater_ = inplace.in_place_without_gradient(elementwise.gt)
    ge_ = greater_equal_ = inplace.in_place_without_gradient(elementwise.ge)
    logical_and_ = inplace.in_place_without_gradient(elementwise.logical_and)
    logical_or_ = inplace.in_place_without_gradient(elementwise.logical_or)
    logical_xor_ = inplace.in_place_without_gradient(elementwise.logical_xor)
    logical_not_ = inplace.in_place_without_gradient(elementwise.logical_not)
    bitwise_and_ = inplace.in_place(elementwise.bitwise_and)
    bitwise_or_ = inplace.in_place(elementwise.bitwise_or)
    bitwise_xor_ = inplace.in_place(elementwise.bitwise_xor)
    bitwise_not_ = inplace.in_place(elementwise.bitwise_not)
    asin_ = arcsin_ = inplace.in_place(mathematics.asin)
    acos_ = arccos_ = inplace.in_place(mathematics.acos)
    atan2_ = arctan2_ = inplace.in_place(mathematics.atan2)
    sinh_ = inplace.in_place(mathematics.sinh)
    cosh_ = inplace.in_place(mathematics.cosh)
    asinh_ = arcsinh_ = inplace.in_place(mathematics.asinh)
    acosh_ = arccosh_ = inplace.in_place(mathematics.acosh)
    atanh_ = arctanh_ = inplace.in_place(mathematics.atanh)
    sinc_ = inplace.in_place(mathematics.sinc)
    deg2rad_ = inplace.in_place(mathematics.deg2rad)
    rad2deg_ = inplace.in_place(mathematics.rad2deg)
    exp2_ = inplace.in_place(mathematics.exp2)
    logit_ = inplace.in_place(mathematics.logit)
    xlogy_ = inplace.in_place(mathematics.xlogy)
    hypot_ = inplace.in_place(mathematics.hypot)
    float_power_ = inplace.in_place(mathematics.float_power)
    copysign_ = inplace.in_place(mathematics.copysign)
    nan_to_num_ = inplace.in_place(mathematics.nan_to_num)
    gcd_ = inplace.in_place(special.gcd)
    lcm_ = inplace.in_place(special.lcm)
    heaviside_ = inplace.in_place_without_gradient(special.heaviside)
    bitwise_left_shift_ = inplace.in_place(mathematics.bitwise_left_shift)
    bitwise_right_shift_ = inplace.in_place(mathematics.bitwise_right_shift)
    tril_ = inplace.in_place(shape.tril)
    triu_ = inplace.in_place(shape.triu)
    masked_fill_ = inplace.in_place(index.masked_fill, kernels.masked_fill_)
    scatter_ = inplace.in_place(index.scatter)
    scatter_add_ = inplace.in_place(index.scatter_add)
    index_add_ = inplace.in_place(index.index_add)
    index_fill_ = inplace.in_place(index.index_fill)
    index_copy_ = inplace.in_place(index.index_copy)
    index_put_ = inplace.in_place(index.index_put)
    masked_scatter_ = inplace.in_place(arrange.masked_scatter)
    cumsum_ = inplace.in_place(reduce.cumsum)
    cumprod_ = inplace.in_place(reduce.cumprod)
    addmm_ = inplace.in_place(linalg.addmm)
    addmv_ = inplace.in_place(linalg.addmv)
    addr_ = inplace.in_place(linalg.addr)
    addbmm_ = inplace.in_place(linalg.addbmm)
    baddbmm_ = inplace.in_place(linalg.baddbmm)
    squeeze_ = inplace.rearrange(shape.squeeze)
    unsqueeze_ = inplace.rearrange(shape.unsqueeze)
    t_ = inplace.rearrange(shape.t)
    transpose_ = swapdims_ = inplace.rearrange(shape.transpose)
    swapaxes_ = inplace.rearrange(shape.swapaxes)
    resize_ = inplace.resize_
    resize_as_ = inplace.resize_as_
    fill_diagonal_ = index.fill_diagonal_
    apply_ = inplace.apply_
    fill_ = inplace.fill_
    zero_ = inplace.zero_
    copy_ = inplace.copy_
    uniform_ = random.uniform_
    normal_ = random.normal_
    bernoulli_ = random.bernoulli_
    random_ = random.random_
    exponential_ = random.exponential_
    bernoulli = random.bernoulli
    multinomial = random.multinomial

    # Shape

    clone = shape.clone
    contiguous = shape.contiguous
    expand = shape.expand
    expand_as = shape.expand_as
    broadcast_to = shape.broadcast_to
    sum_to_size = shape.sum_to_size
    reshape = shape.reshape
    reshape_as = shape.reshape_as
    view = shape.view
    view_as = shape.view_as
    flatten = shape.flatten
    ravel = shape.ravel
    unflatten = shape.unflatten
    squeeze = shape.squeeze
    unsqueeze = shape.unsqueeze
    permute = shape.permute
    transpose = swapdims = shape.transpose
    swapaxes = shape.swapaxes
    t = shape.t
    movedim = moveaxis = shape.movedim
    repeat = shape.repeat
    tile = shape.tile
    narrow = shape.narrow
    select = shape.select
    split = shape.split
    chunk = shape.chunk
    unbind = shape.unbind
    diagonal = shape.diagonal
    diag = shape.diag
    flip = shape.flip
    fliplr = shape.fliplr
    flipud = shape.flipud
    roll = shape.roll
    tril = shape.tril
    triu = shape.triu

    # Index

    gather = index.gather
    take = index.take
    take_along_dim = index.take_along_dim
    scatter = index.scatter
    scatter_add = index.scatter_add
    index_select = index.index_select
    index_add = index.index_add
    index_fill = index.index_fill
    index_copy = index.index_copy
    repeat_interleave = index.repeat_interleave
    masked_fill = index.masked_fill
    masked_select = index.masked_select
    nonzero = index.nonzero

    # Matrix products

    matmul = linalg.matmul
    mm = linalg.mm
    bmm = linalg.bmm
    mv = linalg.mv
    dot = linalg.dot
    outer = ger = linalg.outer
    inner = linalg.inner
    addmm = linalg.addmm
    addmv = linalg.addmv
    baddbmm = linalg.baddbmm

    # Reductions

    all = reduce.all
    amax = reduce.amax
    amin = reduce.amin
    aminmax = reduce.aminmax
    any = reduce.any
    argmax = reduce.argmax
    argmin = reduce.argmin
    argsort = reduce.argsort
    count_nonzero = reduce.count_nonzero
    cumprod = reduce.cumprod
    cumsum = reduce.cumsum
    kthvalue = reduce.kthvalue
    logsumexp = reduce.logsumexp
    max = reduce.max
    mean = reduce.mean
    median = reduce.median
    min = reduce.min
    nanmean = reduce.nanmean
    nansum = reduce.nansum
    norm = reduce.norm
    prod = reduce.prod
    sort = reduce.sort
    std = reduce.std
    sum = reduce.sum
    topk = reduce.topk
    unique = reduce.unique
    var = reduce.var


def _copied(array: np.ndarray, memo: dict) -> np.ndarray:
    """A copy of the array; within one deepcopy, the copies of arrays that share memory do so too."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if owner is array or not owner.flags.c_contiguous:
        return copy.deepcopy(array, memo)
    memory = copy.deepcopy(owner, memo).reshape(-1).view(np.uint8)
    return np.ndarray(array.shape, array.dtype, memory.data, array.ctypes.data - owner.ctypes.data, array.strides)


def _rebuild(cls: Any, array: np.ndarray, requires_grad: bool, attributes: dict) -> Tensor:
    """Makes the tensor that was pickled."""
    new = cls.__new__(cls)
    new._set_array(array)
    new.requires_grad = requires_grad
    new.__dict__.update(attributes)
    return new


def is_tensor(obj: object) -> bool:
    """Whether obj is a Tensor."""
    return isinstance(obj, Tensor)


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.numel()


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floats."""
    return input.is_floating_point()


engine.configure(
    tensor=Tensor,
    size=Size,
    dtypes=_dtype.BY_TYPENUM,
    add=hot.add,
    cast=shape.cast,
    refresh=inplace.refresh_view,
    backward=backward,
)
hot.configure(
    promotion=elementwise.promote,
    expansion=shape.expand,
    add=kernels.add,
    sub=kernels.sub,
    mul=kernels.mul,
    div=kernels.div,
)
