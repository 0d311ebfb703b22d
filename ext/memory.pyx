"""Where the library's own arrays come from: every output and every scratch buffer of a kernel is made here."""
import numpy as np

cimport numpy as cnp

cnp.import_array()


cdef cnp.ndarray empty(int ndim, const cnp.npy_intp *shape, int typenum):
    """An uninitialised C-contiguous array."""
    return cnp.PyArray_EMPTY(ndim, <cnp.npy_intp *> shape, typenum, 0)


def empty_array(tuple shape, dtype):
    """An uninitialised C-contiguous array of this shape and numpy dtype."""
    return np.empty(shape, dtype)
