"""Rows of a table by index, and their adjoint: arrays in, arrays out."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

cnp.import_array()


def add_rows(const floating[:, ::1] rows, const int64_t[::1] indices, floating[:, ::1] table):
    """table[indices[i]] += rows[i], in the order of i. Every index is in range."""
    cdef int64_t i, j, n = rows.shape[0], width = rows.shape[1]
    cdef floating *to
    cdef const floating *row
    if width == 0:
        return
    with nogil:
        for i in range(n):
            to, row = &table[indices[i], 0], &rows[i, 0]
            for j in range(width):
                to[j] += row[j]
