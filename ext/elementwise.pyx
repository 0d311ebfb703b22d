"""Elementwise kernels: arrays in, arrays out."""
import numpy as np

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "elementwise.h" nogil:
    void binary_add(...)


def add(const floating[::1] x, const floating[::1] y, floating[::1] out):
    """out = x + y, elementwise."""
    cdef int64_t n = out.shape[0]
    if n == 0:
        return
    with nogil:
        binary_add(&x[0], 1, &y[0], 1, &out[0], n, plan_threads(n))
