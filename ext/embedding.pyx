"""Rows of a table by index, and their adjoint: arrays in, arrays out."""
cimport numpy as cnp
from libc.stdint cimport int64_t

cnp.import_array()


cdef extern from *:
    """
    #define ADD_ROWS(REAL, name)                                                                            \
        static void name(const REAL *rows, const int64_t *indices, REAL *table, int64_t n, int64_t width) { \
            for (int64_t i = 0; i < n; i++) {                                                               \
                REAL *to = table + indices[i] * width;                                                      \
                for (int64_t j = 0; j < width; j++) to[j] += rows[i * width + j];                           \
            }                                                                                               \
        }
    ADD_ROWS(float, add_rows_f32)
    ADD_ROWS(double, add_rows_f64)
    """
    void add_rows_f32(const float *, const int64_t *, float *, int64_t, int64_t) nogil
    void add_rows_f64(const double *, const int64_t *, double *, int64_t, int64_t) nogil


def add_rows(cnp.ndarray rows, cnp.ndarray indices, cnp.ndarray table):
    """table[indices[i]] += rows[i], in the order of i: contiguous (n, width) and (m, width) arrays of one float type, int64 indices
    that are all in range."""
    cdef int64_t n = cnp.PyArray_DIM(rows, 0), width = cnp.PyArray_DIM(rows, 1)
    cdef const int64_t *where = <const int64_t *> cnp.PyArray_DATA(indices)
    cdef void *source = cnp.PyArray_DATA(rows)
    cdef void *out = cnp.PyArray_DATA(table)
    cdef bint single = cnp.PyArray_TYPE(rows) == cnp.NPY_FLOAT32
    with nogil:
        if single:
            add_rows_f32(<const float *> source, where, <float *> out, n, width)
        else:
            add_rows_f64(<const double *> source, where, <double *> out, n, width)
