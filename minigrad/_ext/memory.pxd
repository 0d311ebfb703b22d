cimport numpy as cnp

cdef enum:
    CACHED_FROM = 65536

cdef object enter_cache()
cdef leave_cache(object before)
cdef cnp.ndarray empty(int ndim, const cnp.npy_intp *shape, int typenum)
cdef cnp.ndarray zeros(int ndim, const cnp.npy_intp *shape, int typenum)
cdef cnp.ndarray copied(cnp.ndarray array)
cdef cnp.ndarray view_of(cnp.ndarray array, int ndim, cnp.npy_intp *shape, cnp.npy_intp *strides, char *start)
