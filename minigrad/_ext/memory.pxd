cimport numpy as cnp

cdef cnp.ndarray empty(int ndim, const cnp.npy_intp *shape, int typenum)
