cimport numpy as cnp

cpdef double squared_error(cnp.ndarray x, cnp.ndarray y) except? -1
cpdef int scaled_difference(cnp.ndarray x, cnp.ndarray y, double scale, cnp.ndarray out) except -1
