"""Matrix products: arrays in, arrays out."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from minigrad._ext.memory cimport empty

cnp.import_array()


cdef extern from "gemm.h" nogil:
    const int64_t GEMM_SCRATCH
    void gemm_block(...)


def matmul_into(const floating[:, :] a, const floating[:, :] b, floating[:, ::1] out, bint accumulate):
    """out = a @ b, or out += a @ b, on one thread."""
    cdef int64_t M = out.shape[0], N = out.shape[1], K = a.shape[1], size = sizeof(floating)
    cdef int64_t a_row = a.strides[0] // size, a_col = a.strides[1] // size
    cdef int64_t b_row = b.strides[0] // size, b_col = b.strides[1] // size
    cdef floating *scratch
    if M == 0 or N == 0:
        return
    with nogil:
        scratch = <floating *> malloc(GEMM_SCRATCH * size)
        gemm_block(M, N, K, <const floating *> &a[0, 0] if K > 0 else <const floating *> scratch, a_row, a_col,
                   <const floating *> &b[0, 0] if K > 0 else <const floating *> scratch, b_row, b_col, &out[0, 0], N,
                   <int> accumulate, scratch)
        free(scratch)
