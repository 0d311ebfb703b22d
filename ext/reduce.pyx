"""Reductions: arrays in, arrays out.

Every function takes a float32 or float64 numpy array of any layout, sum, prod and the extrema also int32 and int64 (TYPES).
`axes` is a tuple of axes 0 <= axis < x.ndim without repeats, None for all of them; the result is a new C-contiguous array, 0-d where
nothing is left. The caller has checked the axes. The order of every sum of floats depends on the shape alone, so the bits do not depend
on threads.
"""
import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "reduce.h" nogil:
    void reduce_sum(...)
    void reduce_prod(...)
    void reduce_deviation(...)
    void reduce_square_deviation(...)
    void reduce_max(...)
    void reduce_min(...)


ctypedef void (*integer_fold)(const void *x, void *out, int64_t *at, int64_t outer, int64_t n, int64_t inner, int64_t item,
                              int threads) noexcept nogil

cdef extern from "reduce_integer.h" nogil:
    void mg_integer_sum(const void *, void *, int64_t *, int64_t, int64_t, int64_t, int64_t, int) noexcept
    void mg_integer_prod(const void *, void *, int64_t *, int64_t, int64_t, int64_t, int64_t, int) noexcept
    void mg_integer_max(const void *, void *, int64_t *, int64_t, int64_t, int64_t, int64_t, int) noexcept
    void mg_integer_min(const void *, void *, int64_t *, int64_t, int64_t, int64_t, int64_t, int) noexcept


TYPES = frozenset(np.dtype(t) for t in ("f4", "f8", "i4", "i8"))


cdef enum Fold:
    SUM
    PROD
    DEVIATION
    SQUARE_DEVIATION
    MAX
    MIN


cdef enum:
    MAX_NDIM = 64


cdef cnp.ndarray contiguous(object x, str name):
    """x as an aligned C-contiguous array of one of TYPES."""
    if isinstance(x, np.generic):
        x = np.asarray(x)
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name} expects a numpy array, but got {type(x).__name__}")
    cdef int typenum = cnp.PyArray_TYPE(<cnp.ndarray> x)
    if typenum != cnp.NPY_FLOAT32 and typenum != cnp.NPY_FLOAT64 and x.dtype not in TYPES:
        raise TypeError(f"{name} expects a float32 or float64 array, but got {x.dtype}")
    return cnp.PyArray_FROMANY(x, typenum, 0, 0, cnp.NPY_ARRAY_CARRAY_RO)


cdef cnp.ndarray fold(cnp.ndarray x, Fold how, int64_t outer, int64_t n, int64_t inner, cnp.ndarray center,
                      cnp.ndarray indices):
    """One reduction over the middle axis of x seen as (outer, n, inner), to an array (outer, inner).

    center is (outer, inner) for the deviations, None otherwise. indices is int64 (outer, inner) or None, for MAX and MIN.
    """
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef cnp.npy_intp[2] shape = [outer, inner]
    cdef cnp.ndarray result = empty(2, shape, typenum)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *out = cnp.PyArray_DATA(result)
    cdef const void *middle = NULL if center is None else cnp.PyArray_DATA(center)
    cdef int64_t *where = NULL if indices is None else <int64_t *> cnp.PyArray_DATA(indices)
    # 0.1 ns for each float32 from cache, twice that for float64, and about 10 ns for each result.
    cdef int64_t work = outer * n * inner * (1 if typenum == cnp.NPY_FLOAT32 else 2) // 10 + outer * inner // 4
    cdef int threads = plan_threads(work)
    cdef int64_t item = cnp.PyArray_ITEMSIZE(x)
    cdef integer_fold whole = mg_integer_sum if how == SUM else mg_integer_prod if how == PROD else mg_integer_max if how == MAX \
        else mg_integer_min
    with nogil:
        if typenum != cnp.NPY_FLOAT32 and typenum != cnp.NPY_FLOAT64:
            whole(source, out, where, outer, n, inner, item, threads)
        elif typenum == cnp.NPY_FLOAT32:
            if how == SUM:
                reduce_sum(<const float *> source, NULL, <float *> out, outer, n, inner, threads)
            elif how == PROD:
                reduce_prod(<const float *> source, NULL, <float *> out, outer, n, inner, threads)
            elif how == DEVIATION:
                reduce_deviation(<const float *> source, <const float *> middle, <float *> out, outer, n, inner, threads)
            elif how == SQUARE_DEVIATION:
                reduce_square_deviation(<const float *> source, <const float *> middle, <float *> out, outer, n, inner, threads)
            elif how == MAX:
                reduce_max(<const float *> source, <float *> out, where, outer, n, inner, threads)
            else:
                reduce_min(<const float *> source, <float *> out, where, outer, n, inner, threads)
        else:
            if how == SUM:
                reduce_sum(<const double *> source, NULL, <double *> out, outer, n, inner, threads)
            elif how == PROD:
                reduce_prod(<const double *> source, NULL, <double *> out, outer, n, inner, threads)
            elif how == DEVIATION:
                reduce_deviation(<const double *> source, <const double *> middle, <double *> out, outer, n, inner, threads)
            elif how == SQUARE_DEVIATION:
                reduce_square_deviation(<const double *> source, <const double *> middle, <double *> out, outer, n, inner,
                                        threads)
            elif how == MAX:
                reduce_max(<const double *> source, <double *> out, where, outer, n, inner, threads)
            else:
                reduce_min(<const double *> source, <double *> out, where, outer, n, inner, threads)
    return result


cdef cnp.ndarray shaped(cnp.ndarray result, cnp.ndarray x, const bint *reduced, bint keepdims):
    """result in the shape of x without its reduced axes, or with 1 in their place."""
    cdef cnp.npy_intp[MAX_NDIM] shape
    cdef cnp.PyArray_Dims dims
    cdef int axis, ndim = 0
    for axis in range(cnp.PyArray_NDIM(x)):
        if keepdims or not reduced[axis]:
            shape[ndim] = 1 if reduced[axis] else cnp.PyArray_DIM(x, axis)
            ndim += 1
    dims.ptr, dims.len = shape, ndim
    return cnp.PyArray_Newshape(result, &dims, cnp.NPY_CORDER)


cdef void mark(cnp.ndarray x, tuple axes, bint *reduced):
    cdef int axis, ndim = cnp.PyArray_NDIM(x)
    for axis in range(ndim):
        reduced[axis] = axes is None
    if axes is not None:
        for axis in axes:
            reduced[axis] = True


cdef cnp.ndarray reduce_axes(object source, str name, Fold how, tuple axes, bint keepdims):
    """A reduction over any axes: neighbouring ones in one go, groups of them from the last to the first."""
    cdef cnp.ndarray x = contiguous(source, name), result = x
    cdef bint[MAX_NDIM] reduced
    cdef int axis, ndim = cnp.PyArray_NDIM(x)
    cdef int64_t outer = cnp.PyArray_SIZE(x), n, inner = 1, size
    cdef bint done = False
    mark(x, axes, reduced)
    if outer == 0:
        return empty_fold(x, how, axes, keepdims)
    axis = ndim - 1
    while axis >= 0:
        if not reduced[axis]:
            inner *= cnp.PyArray_DIM(x, axis)
            axis -= 1
            continue
        n = 1
        while axis >= 0 and (reduced[axis] or cnp.PyArray_DIM(x, axis) == 1):
            n *= cnp.PyArray_DIM(x, axis)
            axis -= 1
        size = cnp.PyArray_SIZE(result)
        if n > 1:
            result = fold(result, SUM if done and how == SQUARE_DEVIATION else how, size // (n * inner), n, inner, None, None)
            done = True
    if not done:
        result = np.asarray(x * x) if how == SQUARE_DEVIATION else cnp.PyArray_NewCopy(x, cnp.NPY_CORDER)
    return shaped(result, x, reduced, keepdims)


cdef cnp.ndarray empty_fold(cnp.ndarray x, Fold how, tuple axes, bint keepdims):
    """The reduction of an array without elements: 0 for sum, 1 for prod."""
    cdef cnp.ndarray out
    if how == PROD:
        out = np.multiply.reduce(x, axis=axes, dtype=x.dtype, keepdims=keepdims, initial=1)[...]
    elif how == SUM or how == SQUARE_DEVIATION:
        out = np.add.reduce(x, axis=axes, dtype=x.dtype, keepdims=keepdims)[...]
    else:
        out = np.maximum.reduce(x, axis=axes, keepdims=keepdims)[...]  # ValueError where the maximum of nothing is asked for
    return out


cdef object without_repeats(cnp.ndarray x, tuple axes):
    """x with one element along those of the axes along which it was expanded: the sum over them needs no copy of it."""
    cdef bint[MAX_NDIM] reduced
    cdef bint found = False
    cdef int axis
    mark(x, axes, reduced)
    for axis in range(cnp.PyArray_NDIM(x)):
        reduced[axis] = reduced[axis] and cnp.PyArray_STRIDE(x, axis) == 0 and cnp.PyArray_DIM(x, axis) > 1
        found = found or reduced[axis]
    if not found:
        return x
    return x[tuple([slice(0, 1) if reduced[axis] else slice(None) for axis in range(cnp.PyArray_NDIM(x))])]


cdef cnp.ndarray sum_of(object x, str name, tuple axes, bint keepdims):
    if type(x) is not np.ndarray or cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray> x) or cnp.PyArray_SIZE(<cnp.ndarray> x) == 0:
        return reduce_axes(x, name, SUM, axes, keepdims)
    once = without_repeats(<cnp.ndarray> x, axes)
    total = reduce_axes(once, name, SUM, axes, keepdims)
    return total if once is x else np.multiply(total, total.dtype.type(x.size // once.size), out=total)


def sum(x, tuple axes, bint keepdims):
    """The sum over axes (None: all). Pairwise, so at least as accurate as numpy's."""
    return sum_of(x, "sum", axes, keepdims)


def sum_squares(x, tuple axes, bint keepdims):
    """The sum of the squares over axes (None: all)."""
    return reduce_axes(x, "sum_squares", SQUARE_DEVIATION, axes, keepdims)


cdef void divide(cnp.ndarray x, double by):
    """x /= by, for a contiguous x."""
    cdef int64_t i, n = cnp.PyArray_SIZE(x)
    cdef float *f = <float *> cnp.PyArray_DATA(x)
    cdef double *d = <double *> cnp.PyArray_DATA(x)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        for i in range(n):
            f[i] = f[i] / <float> by
    else:
        for i in range(n):
            d[i] = d[i] / by


cdef void subtract_square(cnp.ndarray x, cnp.ndarray y, double by):
    """x -= y^2 / by, for contiguous arrays of one shape."""
    cdef int64_t i, n = cnp.PyArray_SIZE(x)
    cdef float *fx = <float *> cnp.PyArray_DATA(x)
    cdef float *fy = <float *> cnp.PyArray_DATA(y)
    cdef double *dx = <double *> cnp.PyArray_DATA(x)
    cdef double *dy = <double *> cnp.PyArray_DATA(y)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        for i in range(n):
            fx[i] = fx[i] - fy[i] * (fy[i] / <float> by)
    else:
        for i in range(n):
            dx[i] = dx[i] - dy[i] * (dy[i] / by)


def mean(x, tuple axes, bint keepdims):
    """The sum over axes divided by the number of elements: NaN for none."""
    cdef cnp.ndarray total = sum_of(x, "mean", axes, keepdims)
    divide(total, <double> count(x, axes))
    return total


def prod(x, tuple axes, bint keepdims):
    """The product over axes (None: all)."""
    return reduce_axes(x, "prod", PROD, axes, keepdims)


def amax(x, tuple axes, bint keepdims):
    """The largest value over axes (None: all), NaN if there is one. ValueError where there is nothing to choose from."""
    return reduce_axes(x, "amax", MAX, axes, keepdims)


def amin(x, tuple axes, bint keepdims):
    """The smallest value over axes (None: all), NaN if there is one. ValueError where there is nothing to choose from."""
    return reduce_axes(x, "amin", MIN, axes, keepdims)


cdef int64_t count(object x, tuple axes):
    cdef int64_t n = 1
    for axis in range(x.ndim) if axes is None else axes:
        n *= x.shape[axis]
    return n


cdef tuple extremum(object source, str name, Fold how, int axis, bint keepdims):
    cdef cnp.ndarray x = contiguous(source, name), values, indices
    cdef bint[MAX_NDIM] reduced
    cdef int i, ndim = cnp.PyArray_NDIM(x)
    cdef int64_t outer = 1, inner = 1, n = cnp.PyArray_DIM(x, axis) if ndim else 1
    cdef cnp.npy_intp[2] shape
    mark(x, (axis,) if ndim else (), reduced)
    for i in range(ndim):
        if i < axis:
            outer *= cnp.PyArray_DIM(x, i)
        elif i > axis:
            inner *= cnp.PyArray_DIM(x, i)
    if n == 0 and outer * inner > 0:
        raise ValueError(f"{name}: axis {axis} of shape {source.shape} is empty")
    shape[0], shape[1] = outer, inner
    indices = empty(2, shape, cnp.NPY_INT64)
    if outer * inner == 0:
        values = empty(2, shape, cnp.PyArray_TYPE(x))
    elif n > 0x7fffffff and inner > 1:  # the kernel counts in 32 bits there
        moved = np.moveaxis(x, axis, -1).copy()
        values = fold(moved, how, outer * inner, n, 1, None, indices)
    else:
        values = fold(x, how, outer, n, inner, None, indices)
    return shaped(values, x, reduced, keepdims), shaped(indices, x, reduced, keepdims)


def max(x, int axis, bint keepdims):
    """(values, int64 indices) of the largest elements along axis; the first of equals, and the first NaN if there is one."""
    return extremum(x, "max", MAX, axis, keepdims)


def min(x, int axis, bint keepdims):
    """(values, int64 indices) of the smallest elements along axis; the first of equals, and the first NaN if there is one."""
    return extremum(x, "min", MIN, axis, keepdims)


def var_mean(x, tuple axes, double correction, bint keepdims):
    """(variance, mean) over axes (None: all): sum (x - mean)^2 / max(0, n - correction), in two passes, with the deviation that
    rounding leaves in the mean taken out (Chan, Golub and LeVeque, 1983)."""
    cdef cnp.ndarray a = contiguous(x, "var_mean"), average, variance, rest
    cdef bint[MAX_NDIM] reduced
    cdef int axis, last = -1, first = -1, ndim = cnp.PyArray_NDIM(a)
    cdef int64_t outer = 1, n = count(a, axes), inner = 1
    cdef cnp.npy_intp[2] shape
    mark(a, axes, reduced)
    for axis in range(ndim):
        if reduced[axis]:
            first = axis if first < 0 else first
            last = axis
    kept = [axis for axis in range(ndim) if not reduced[axis]]
    for axis in range(ndim):
        if first <= axis <= last and not reduced[axis] and cnp.PyArray_DIM(a, axis) != 1:
            # kept axes between the reduced ones: reduced ones last
            return shaped_pair(var_mean(np.ascontiguousarray(a.transpose(kept + [i for i in range(ndim) if reduced[i]])),
                                        tuple(range(len(kept), ndim)), correction, False), a, reduced, keepdims)
        if axis < first:
            outer *= cnp.PyArray_DIM(a, axis)
        elif axis > last:
            inner *= cnp.PyArray_DIM(a, axis)
    if outer * inner == 0:
        shape[0], shape[1] = outer, inner
        average = empty(2, shape, cnp.PyArray_TYPE(a))
        return shaped_pair((average, average.copy()), a, reduced, keepdims)
    average = fold(a, SUM, outer, n, inner, None, None)
    divide(average, <double> n)
    variance = fold(a, SQUARE_DEVIATION, outer, n, inner, average, None)
    rest = fold(a, DEVIATION, outer, n, inner, average, None)
    subtract_square(variance, rest, <double> n)
    divide(variance, n - correction if n > correction else 0)
    return shaped_pair((variance, average), a, reduced, keepdims)


cdef tuple shaped_pair(tuple pair, cnp.ndarray x, const bint *reduced, bint keepdims):
    return shaped(pair[0], x, reduced, keepdims), shaped(pair[1], x, reduced, keepdims)
