"""Running sums and products along an axis: arrays in, arrays out."""
import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t, uint64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


ctypedef void (*scan_f32)(const float *, float *, int64_t, int64_t, int64_t, int, int) noexcept nogil
ctypedef void (*scan_f64)(const double *, double *, int64_t, int64_t, int64_t, int, int) noexcept nogil
ctypedef void (*scan_i64)(const uint64_t *, uint64_t *, int64_t, int64_t, int64_t, int, int) noexcept nogil

cdef extern from "scan.h" nogil:
    void mg_cumsum_f32(const float *, float *, int64_t, int64_t, int64_t, int, int) noexcept
    void mg_cumsum_f64(const double *, double *, int64_t, int64_t, int64_t, int, int) noexcept
    void mg_cumsum_i64(const uint64_t *, uint64_t *, int64_t, int64_t, int64_t, int, int) noexcept
    void mg_cumprod_f32(const float *, float *, int64_t, int64_t, int64_t, int, int) noexcept
    void mg_cumprod_f64(const double *, double *, int64_t, int64_t, int64_t, int, int) noexcept
    void mg_cumprod_i64(const uint64_t *, uint64_t *, int64_t, int64_t, int64_t, int, int) noexcept


cdef cnp.ndarray scan(cnp.ndarray x, int axis, bint reverse, scan_f32 single, scan_f64 double_, scan_i64 whole):
    cdef cnp.ndarray source = np.ascontiguousarray(x)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(source), cnp.PyArray_DIMS(source), cnp.PyArray_TYPE(source))
    cdef int64_t outer = 1, inner = 1, n = cnp.PyArray_DIM(source, axis)
    cdef int d, threads, backwards = reverse, typenum = cnp.PyArray_TYPE(source)
    for d in range(cnp.PyArray_NDIM(source)):
        if d < axis:
            outer *= cnp.PyArray_DIM(source, d)
        elif d > axis:
            inner *= cnp.PyArray_DIM(source, d)
    threads = plan_threads(outer * n * inner)
    cdef void *start = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if outer * n * inner == 0:
            pass
        elif typenum == cnp.NPY_FLOAT32:
            single(<const float *> start, <float *> to, outer, n, inner, backwards, threads)
        elif typenum == cnp.NPY_INT64:
            whole(<const uint64_t *> start, <uint64_t *> to, outer, n, inner, backwards, threads)
        else:
            double_(<const double *> start, <double *> to, outer, n, inner, backwards, threads)
    return out


def cumsum(cnp.ndarray x, int axis, bint reverse):
    """The running sum of a float or int64 array along an axis (reverse: from its end); of floats in double."""
    return scan(x, axis, reverse, mg_cumsum_f32, mg_cumsum_f64, mg_cumsum_i64)


def cumprod(cnp.ndarray x, int axis, bint reverse):
    """The running product of a float or int64 array along an axis (reverse: from its end); of floats in double."""
    return scan(x, axis, reverse, mg_cumprod_f32, mg_cumprod_f64, mg_cumprod_i64)
