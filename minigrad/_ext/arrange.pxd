cimport numpy as cnp

cdef bint may_overlap(cnp.ndarray x, cnp.ndarray y) noexcept
