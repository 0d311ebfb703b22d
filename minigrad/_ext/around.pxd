cimport numpy as cnp
from libc.stdint cimport int64_t


cdef struct Around:
    int64_t outer
    int64_t size
    int64_t inner


cdef inline Around around(cnp.ndarray x, int dim, int merged) noexcept:
    """The sizes before, of and after the dimensions dim ... dim + merged - 1 of an array, seen as one; 1 each for a 0-d one."""
    cdef Around sizes = [1, 1, 1]
    cdef int d
    for d in range(cnp.PyArray_NDIM(x)):
        if d < dim:
            sizes.outer *= cnp.PyArray_DIM(x, d)
        elif d < dim + merged:
            sizes.size *= cnp.PyArray_DIM(x, d)
        else:
            sizes.inner *= cnp.PyArray_DIM(x, d)
    return sizes
