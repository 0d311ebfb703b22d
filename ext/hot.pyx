"""The operations that a training loop calls most, compiled: + - * /, negation, and the sum and mean of all elements, as nodes of the graph.

Each is what it would be in minigrad/ops: a Function and a function. The difference is speed for small tensors: equal shapes (or a
0-d operand) of one float type go straight to the C kernel, anything else through promotion and broadcasting.
"""
import math

import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t

from minigrad._ext.engine cimport Function, TensorBase, attach, begin, edge_of, end, grad_enabled, needs_grad, watching, wrap
from minigrad._ext.elementwise import ufunc
from minigrad._ext.index import merged
from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef extern from "elementwise.h" nogil:
    void binary_add(...)
    void binary_sub(...)
    void binary_mul(...)
    void binary_div(...)


cdef extern from "reduce.h" nogil:
    void reduce_sum(...)


cdef enum Operation:
    ADD
    SUB
    MUL
    DIV

cdef tuple SYMBOLS = ("+", "-", "*", "/")
cdef tuple NAMES = ("add", "sub", "mul", "div")
cdef tuple UFUNCS = (np.add, np.subtract, np.multiply)

cdef object MOST = (1 << 63) - 1

cdef object promote = None
cdef object expand = None
cdef list kernels = []


def configure(*, promotion, expansion, add, sub, mul, div):
    """Tells this module about the Python half of the library. Called once, by minigrad/tensor.py.

    promotion(x, y, division) -> two Tensors of the result's dtype; expansion(x, shape): differentiable broadcasting; add ... div:
    kernels for arrays of any layout that broadcast.
    """
    global promote, expand
    promote, expand = promotion, expansion
    kernels[:] = [add, sub, mul, div]


cdef inline bint fast(TensorBase t) noexcept:
    cdef int typenum = cnp.PyArray_TYPE(t._array)
    return (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and cnp.PyArray_IS_C_CONTIGUOUS(t._array)


cdef TensorBase scalar_like(object value, int typenum):
    """A Python number as a 0-d tensor."""
    cdef cnp.ndarray array = empty(0, NULL, typenum)
    if typenum == cnp.NPY_FLOAT32:
        (<float *> cnp.PyArray_DATA(array))[0] = <float> (<double> value)
    else:
        (<double *> cnp.PyArray_DATA(array))[0] = <double> value
    return wrap(array)


cdef cnp.ndarray compute(Operation op, cnp.ndarray x, cnp.ndarray y):
    """x op y for contiguous arrays of one float type: of one shape, or one of them 0-d."""
    cdef bint x_scalar = cnp.PyArray_NDIM(x) == 0, y_scalar = cnp.PyArray_NDIM(y) == 0
    cdef cnp.ndarray big = y if x_scalar else x
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(big), cnp.PyArray_DIMS(big), typenum)
    cdef int64_t n = cnp.PyArray_SIZE(out)
    cdef int64_t x_step = 0 if x_scalar else 1, y_step = 0 if y_scalar else 1
    cdef int threads = plan_threads(n >> 1)      # about half a nanosecond an element, from memory
    cdef float *fx
    cdef float *fy
    cdef float *fo
    cdef double *dx
    cdef double *dy
    cdef double *do
    if n == 0:
        return out
    if typenum == cnp.NPY_FLOAT32:
        fx, fy, fo = <float *> cnp.PyArray_DATA(x), <float *> cnp.PyArray_DATA(y), <float *> cnp.PyArray_DATA(out)
        if op == ADD:
            binary_add(fx, x_step, fy, y_step, fo, n, threads)
        elif op == SUB:
            binary_sub(fx, x_step, fy, y_step, fo, n, threads)
        elif op == MUL:
            binary_mul(fx, x_step, fy, y_step, fo, n, threads)
        else:
            binary_div(fx, x_step, fy, y_step, fo, n, threads)
    else:
        dx, dy, do = <double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(y), <double *> cnp.PyArray_DATA(out)
        if op == ADD:
            binary_add(dx, x_step, dy, y_step, do, n, threads)
        elif op == SUB:
            binary_sub(dx, x_step, dy, y_step, do, n, threads)
        elif op == MUL:
            binary_mul(dx, x_step, dy, y_step, do, n, threads)
        else:
            binary_div(dx, x_step, dy, y_step, do, n, threads)
    return out


cdef class AddFunction(Function):
    """d(x + y) = g, g"""

    cdef object run_backward(self, object g, bint create_graph):
        return (g, g)


cdef class SubFunction(Function):
    """d(x - y) = g, -g"""
    cdef bint reversed

    def own_name(self):
        return "RsubBackward1" if self.reversed else "SubBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        return (g if self.needs(0) else None, neg(g) if self.needs(1) else None)


cdef class MulFunction(Function):
    """d(x y) = g y, g x"""

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        return (
            binary(MUL, g, y) if self.needs(0) else None,
            binary(MUL, g, x) if self.needs(1) else None,
        )


cdef class DivFunction(Function):
    """d(x / y) = g / y, -g (x / y) / y"""

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        return (
            binary(DIV, g, y) if self.needs(0) else None,
            neg(binary(MUL, g, binary(DIV, binary(DIV, x, y), y))) if self.needs(1) else None,
        )


cdef class NegFunction(Function):
    """d(-x) = -g"""

    cdef object run_backward(self, object g, bint create_graph):
        return neg(g)


cdef object record(Operation op, TensorBase out, TensorBase x, TensorBase y):
    """The node of out = x op y, with no more than its backward reads."""
    cdef object ex = edge_of(x), ey = edge_of(y)
    cdef Function node
    if op == ADD:
        node = AddFunction.__new__(AddFunction)
    elif op == SUB:
        node = SubFunction.__new__(SubFunction)
    elif op == MUL:
        node = MulFunction.__new__(MulFunction)
        node.keep(x if ey is not None else None, y if ex is not None else None)
    else:
        node = DivFunction.__new__(DivFunction)
        node.keep(x if ey is not None else None, y)
    attach(out, node, (ex, ey))
    return out


cdef object binary(Operation op, object left, object right):
    if not watching:
        return run_binary(op, left, right)
    out = None
    begin(NAMES[op], (left, right))
    try:
        out = run_binary(op, left, right)
    finally:
        end(NAMES[op], (left, right), out)
    return out


cdef object run_binary(Operation op, object left, object right):
    cdef TensorBase x, y, out
    cdef bint recorded
    if isinstance(left, TensorBase):
        x = <TensorBase> left
        if isinstance(right, TensorBase):
            y = <TensorBase> right
        elif type(right) is float or type(right) is int:
            if not fast(x):
                return general(op, left, right)
            y = scalar_like(right, cnp.PyArray_TYPE(x._array))
        else:
            return general(op, left, right)
    elif type(left) is float or type(left) is int:
        y = <TensorBase?> right
        if not fast(y):
            return general(op, left, right)
        x = scalar_like(left, cnp.PyArray_TYPE(y._array))
    else:
        return general(op, left, right)
    if not (fast(x) and fast(y) and cnp.PyArray_TYPE(x._array) == cnp.PyArray_TYPE(y._array)):
        return general(op, left, right)
    recorded = grad_enabled() and (needs_grad(x) or needs_grad(y))
    if not cnp.PyArray_SAMESHAPE(x._array, y._array):
        if not (
            cnp.PyArray_NDIM(y._array) == 0 and not (recorded and needs_grad(y))
            or cnp.PyArray_NDIM(x._array) == 0 and not (recorded and needs_grad(x))
        ):
            return broadcast(op, x, y)
    out = wrap(compute(op, x._array, y._array))
    return record(op, out, x, y) if recorded else out


cdef object general(Operation op, object left, object right):
    """Any operands: promoted to one dtype, broadcast to one shape."""
    pair = promote(left, right, op == DIV, SYMBOLS[op])
    if pair is NotImplemented:
        return NotImplemented
    x, y = pair
    return broadcast(op, x, y)


cdef object broadcast(Operation op, TensorBase x, TensorBase y):
    """Operands of the dtype of their result, broadcast to one shape."""
    cdef TensorBase out
    try:
        out = wrap(np.asarray(kernels[<int> op](x._array, y._array)))
    except ValueError as error:
        raise_shapes(op, x, y, error)
    if not grad_enabled() or not (needs_grad(x) or needs_grad(y)) or not cnp.PyArray_ISFLOAT(out._array):
        return out
    if needs_grad(x) and not cnp.PyArray_SAMESHAPE(x._array, out._array):
        x = expand(x, (<object> out._array).shape)
    if needs_grad(y) and not cnp.PyArray_SAMESHAPE(y._array, out._array):
        y = expand(y, (<object> out._array).shape)
    return record(op, out, x, y)


cdef raise_shapes(Operation op, TensorBase x, TensorBase y, error):
    a, b = (<object> x._array).shape, (<object> y._array).shape
    for i in range(1, min(len(a), len(b)) + 1):
        if a[-i] != b[-i] and a[-i] != 1 and b[-i] != 1:
            raise RuntimeError(
                f"The size of tensor a ({a[-i]}) must match the size of tensor b ({b[-i]}) at non-singleton dimension "
                f"{max(len(a), len(b)) - i}: a {SYMBOLS[op]} b with shapes {a} and {b}"
            ) from None
    raise error


def add(x, y, /):
    """x + y with broadcasting and type promotion."""
    return binary(ADD, x, y)


def sub(x, y, /):
    """x - y with broadcasting and type promotion."""
    return binary(SUB, x, y)


def rsub(x, y, /):
    """y - x with broadcasting and type promotion."""
    out = binary(SUB, y, x)
    if isinstance(out, TensorBase) and (<TensorBase> out).node is not None:
        (<SubFunction> (<TensorBase> out).node).reversed = True
    return out


def mul(x, y, /):
    """x * y with broadcasting and type promotion."""
    return binary(MUL, x, y)


def div(x, y, /):
    """x / y with broadcasting and type promotion; integers divide to the default float type."""
    return binary(DIV, x, y)


def rdiv(x, y, /):
    """y / x with broadcasting and type promotion."""
    return binary(DIV, y, x)


def try_ufunc(function, x, y, /):
    """A ufunc of two operands, without a gradient: of tensors of one dtype and shape, or of a tensor and a Python number
    that its dtype takes in. None for any others, which are to be promoted and broadcast."""
    cdef TensorBase a
    cdef cnp.ndarray other
    cdef int typenum
    if not isinstance(x, TensorBase):
        return None
    a = <TensorBase> x
    typenum = cnp.PyArray_TYPE(a._array)
    if isinstance(y, TensorBase):
        other = (<TensorBase> y)._array
        if cnp.PyArray_TYPE(other) != typenum or not cnp.PyArray_SAMESHAPE(other, a._array):
            return None
    elif (type(y) is float or type(y) is int) and (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64):
        other = scalar_like(y, typenum)._array
    elif type(y) is int and typenum == cnp.NPY_INT64 and -MOST <= y <= MOST:
        other = empty(0, NULL, typenum)
        (<int64_t *> cnp.PyArray_DATA(other))[0] = <int64_t> y
    else:
        return None
    return wrap(ufunc(function, a._array, other))


cpdef object neg(object input):
    """-input"""
    if not watching:
        return run_neg(input)
    out = None
    begin("neg", (input,))
    try:
        out = run_neg(input)
    finally:
        end("neg", (input,), out)
    return out


cdef object run_neg(object input):
    cdef TensorBase x = <TensorBase?> input, out
    cdef Function node
    if cnp.PyArray_TYPE(x._array) == cnp.NPY_BOOL:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    out = wrap(ufunc(np.negative, x._array))
    if grad_enabled() and needs_grad(x):
        node = NegFunction.__new__(NegFunction)
        attach(out, node, (edge_of(x),))
    return out


# Up to this many elements the gradient of a sum is written out: the next node's kernel then runs on contiguous operands at once.
# Beyond it, a view of the one value costs no memory.
cdef enum:
    WRITTEN_OUT = 4096


cdef class SumFunction(Function):
    """d sum(x) = g for each element; (mean) divided by their number."""
    cdef bint mean
    cdef int ndim
    cdef cnp.npy_intp[8] shape

    def own_name(self):
        return "MeanBackward0" if self.mean else "SumBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        cdef TensorBase incoming
        cdef cnp.ndarray out
        cdef cnp.npy_intp i, n = 1
        cdef int axis
        for axis in range(self.ndim):
            n *= self.shape[axis]
        if self.mean:
            g = binary(MUL, g, 1.0 / n if n else math.nan)
        if create_graph or n > WRITTEN_OUT:
            return expand(g, tuple([self.shape[axis] for axis in range(self.ndim)]))
        incoming = <TensorBase> g
        out = empty(self.ndim, self.shape, cnp.PyArray_TYPE(incoming._array))
        if cnp.PyArray_TYPE(out) == cnp.NPY_FLOAT32:
            for i in range(n):
                (<float *> cnp.PyArray_DATA(out))[i] = (<float *> cnp.PyArray_DATA(incoming._array))[0]
        else:
            for i in range(n):
                (<double *> cnp.PyArray_DATA(out))[i] = (<double *> cnp.PyArray_DATA(incoming._array))[0]
        return wrap(out)


cdef TensorBase reduce_all(TensorBase x, bint mean):
    """The sum, or mean, of all elements of a contiguous float tensor of at most 8 dimensions."""
    cdef cnp.ndarray total = empty(0, NULL, cnp.PyArray_TYPE(x._array))
    cdef int64_t n = cnp.PyArray_SIZE(x._array)
    cdef int axis, threads = plan_threads(n // (10 if cnp.PyArray_TYPE(x._array) == cnp.NPY_FLOAT32 else 5))
    cdef const float *fx = <const float *> cnp.PyArray_DATA(x._array)
    cdef const double *dx = <const double *> cnp.PyArray_DATA(x._array)
    cdef float *single = <float *> cnp.PyArray_DATA(total)
    cdef double *wide = <double *> cnp.PyArray_DATA(total)
    cdef SumFunction node
    cdef TensorBase out
    if cnp.PyArray_TYPE(x._array) == cnp.NPY_FLOAT32:
        reduce_sum(fx, NULL, single, <int64_t> 1, n, <int64_t> 1, threads)
        if mean:
            single[0] = single[0] / <float> n
    else:
        reduce_sum(dx, NULL, wide, <int64_t> 1, n, <int64_t> 1, threads)
        if mean:
            wide[0] = wide[0] / <double> n
    out = wrap(total)
    if grad_enabled() and needs_grad(x):
        node = SumFunction.__new__(SumFunction)
        node.mean, node.ndim = mean, cnp.PyArray_NDIM(x._array)
        for axis in range(node.ndim):
            node.shape[axis] = cnp.PyArray_DIM(x._array, axis)
        attach(out, node, (edge_of(x),))
    return out


cdef object watched_reduce_all(object input, bint mean):
    cdef TensorBase x = <TensorBase?> input, out
    cdef str name = "mean" if mean else "sum"
    if not fast(x) or cnp.PyArray_NDIM(x._array) > 8:
        return None
    if not watching:
        return reduce_all(x, mean)
    begin(name, (input,))
    out = reduce_all(x, mean)
    end(name, (input,), out)
    return out


def sum_all(input):
    """The sum of all elements of a contiguous float tensor of at most 8 dimensions; None for any other."""
    return watched_reduce_all(input, False)


def mean_all(input):
    """The mean of all elements of a contiguous float tensor of at most 8 dimensions, NaN for none; None for any other."""
    return watched_reduce_all(input, True)


def leading_positions(index, TensorBase x):
    """Where the elements of x lie in its first dimensions seen as one, for an index of contiguous int64 tensors of one shape. None for
    any other index, and for one that is not in range."""
    cdef tuple items = <tuple> index if type(index) is tuple else (index,)
    cdef list arrays = [], sizes = []
    cdef cnp.ndarray array, first
    cdef int k
    if not 0 < len(items) <= cnp.PyArray_NDIM(x._array):
        return None
    for k in range(<int> len(items)):
        if not isinstance(items[k], TensorBase):
            return None
        array = (<TensorBase> items[k])._array
        first = arrays[0] if k else array
        if cnp.PyArray_TYPE(array) != cnp.NPY_INT64 or cnp.PyArray_NDIM(array) == 0 or not cnp.PyArray_IS_C_CONTIGUOUS(array):
            return None
        if not cnp.PyArray_SAMESHAPE(array, first):
            return None
        arrays.append(array)
        sizes.append(cnp.PyArray_DIM(x._array, k))
    return merged(arrays, sizes)
