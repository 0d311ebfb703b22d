"""Sorting along the last axis: arrays in, arrays out."""
cimport numpy as cnp
from libc.stdint cimport int32_t, int64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef extern from "sort_lines.h" nogil:
    int mg_sort_lines_f32(const float *x, float *values, int64_t *order, int64_t lines, int64_t n, int64_t first, int64_t last,
                          int descending, int threads)
    int mg_sort_lines_f64(const double *x, double *values, int64_t *order, int64_t lines, int64_t n, int64_t first, int64_t last,
                          int descending, int threads)
    int mg_sort_lines_i32(const int32_t *x, int32_t *values, int64_t *order, int64_t lines, int64_t n, int64_t first, int64_t last,
                          int descending, int threads)
    int mg_sort_lines_i64(const int64_t *x, int64_t *values, int64_t *order, int64_t lines, int64_t n, int64_t first, int64_t last,
                          int descending, int threads)


def sorts(cnp.ndarray x) -> bool:
    """Whether sort_lines takes this array: float32, float64, int32 or int64, with fewer than 2^32 elements in a line."""
    cdef int typenum = cnp.PyArray_TYPE(x)
    return typenum in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64, cnp.NPY_INT32, cnp.NPY_INT64) and cnp.PyArray_SIZE(x) < 1 << 32


def sort_lines(cnp.ndarray x, int64_t first, int64_t last, bint descending):
    """(values, order) of the elements first <= i < last of each line of a contiguous x (..., n), sorted stably; order is int64.

    NaN counts as the largest value, -0 and 0 as equal.
    """
    cdef int ndim = cnp.PyArray_NDIM(x), axis, typenum = cnp.PyArray_TYPE(x), good
    cdef cnp.npy_intp[64] shape
    for axis in range(ndim):
        shape[axis] = cnp.PyArray_DIM(x, axis)
    shape[ndim - 1] = last - first
    cdef cnp.ndarray values = empty(ndim, shape, typenum), order = empty(ndim, shape, cnp.NPY_INT64)
    cdef int64_t n = cnp.PyArray_DIM(x, ndim - 1), lines = cnp.PyArray_SIZE(x) // n if n else 0
    cdef int threads = plan_threads(lines * n * (1 if last < 48 else 8)), down = descending
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(values)
    cdef int64_t *places = <int64_t *> cnp.PyArray_DATA(order)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            good = mg_sort_lines_f32(<float *> source, <float *> to, places, lines, n, first, last, down, threads)
        elif typenum == cnp.NPY_FLOAT64:
            good = mg_sort_lines_f64(<double *> source, <double *> to, places, lines, n, first, last, down, threads)
        elif typenum == cnp.NPY_INT32:
            good = mg_sort_lines_i32(<int32_t *> source, <int32_t *> to, places, lines, n, first, last, down, threads)
        else:
            good = mg_sort_lines_i64(<int64_t *> source, <int64_t *> to, places, lines, n, first, last, down, threads)
    if not good:
        raise MemoryError(f"sort: no memory for lines of {n} elements")
    return values, order
