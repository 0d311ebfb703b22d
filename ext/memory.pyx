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


def broadcast_view(cnp.ndarray array, tuple shape):
    """A view of the array in a shape that it broadcasts to (the caller has checked that it does)."""
    cdef cnp.npy_intp dims[64]
    cdef cnp.npy_intp strides[64]
    cdef int i, n = len(shape), lead = n - cnp.PyArray_NDIM(array)
    for i in range(n):
        dims[i] = shape[i]
        if i < lead or (cnp.PyArray_DIM(array, i - lead) == 1 and dims[i] != 1):
            strides[i] = 0
        else:
            strides[i] = cnp.PyArray_STRIDES(array)[i - lead]
    cdef cnp.ndarray view = cnp.PyArray_New(
        np.ndarray, n, dims, cnp.PyArray_TYPE(array), strides, cnp.PyArray_DATA(array), 0,
        cnp.PyArray_FLAGS(array) & (cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE), <object> NULL
    )
    cnp.set_array_base(view, array)
    return view
