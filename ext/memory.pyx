"""Where the library's own arrays come from: every output and every scratch buffer of a kernel is made here.

Arrays of 64 KB and more come from the caching allocator of include/caching_allocator.h. numpy sees its handler only while such an array
is made, or a node's forward works on one; the array remembers it, so that its memory goes back there, whoever frees it.
"""
import os

import numpy as np

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New

cnp.import_array()


cdef extern from "caching_allocator.h" nogil:
    ctypedef struct memory_t "mg_memory_t":
        size_t live, peak, cached, limit, reused, fresh
    memory_t mg_memory
    void *HANDLER "(&mg_handler)"
    void mg_start_memory(size_t limit)
    void mg_empty_cache()
    void mg_reset_peak()
    void mg_set_limit(size_t limit)
    int mg_memory_is_checked()


# CACHED_FROM (memory.pxd) bytes and more are worth the cache: below, numpy's own allocation is as fast, and its memory is warm.
cdef enum:
    LARGEST_ITEM = 8

cdef extern from *:
    """
    static _Thread_local int mg_in_cache = 0;
    """
    int mg_in_cache                                  # whether enter_cache was called in this thread, and leave_cache not yet

cdef object handler = PyCapsule_New(HANDLER, "mem_handler", NULL)
cdef bint caching = False


cdef inline bint is_large(int ndim, const cnp.npy_intp *shape, int typenum):
    """Whether an array is to come from the cache."""
    cdef double n = 1
    cdef int i
    for i in range(ndim):
        n *= shape[i]
    return n * LARGEST_ITEM >= CACHED_FROM and n * cnp.PyArray_DescrFromType(typenum).itemsize >= CACHED_FROM


cdef object enter_cache():
    """Has numpy make its arrays in the cache, in this thread, until leave_cache. None where it does already, or caching is off."""
    global mg_in_cache
    if mg_in_cache or not caching:
        return None
    mg_in_cache = 1
    return cnp.PyDataMem_SetHandler(handler)


cdef leave_cache(object before):
    """Undoes enter_cache, which gave `before`."""
    global mg_in_cache
    if before is not None:
        mg_in_cache = 0
        cnp.PyDataMem_SetHandler(before)


cdef cnp.ndarray empty(int ndim, const cnp.npy_intp *shape, int typenum):
    """An uninitialised C-contiguous array."""
    if not is_large(ndim, shape, typenum):
        return cnp.PyArray_EMPTY(ndim, <cnp.npy_intp *> shape, typenum, 0)
    before = enter_cache()
    try:
        return cnp.PyArray_EMPTY(ndim, <cnp.npy_intp *> shape, typenum, 0)
    finally:
        leave_cache(before)


cdef cnp.ndarray zeros(int ndim, const cnp.npy_intp *shape, int typenum):
    """A C-contiguous array of zeros."""
    if not is_large(ndim, shape, typenum):
        return cnp.PyArray_ZEROS(ndim, <cnp.npy_intp *> shape, typenum, 0)
    before = enter_cache()
    try:
        return cnp.PyArray_ZEROS(ndim, <cnp.npy_intp *> shape, typenum, 0)
    finally:
        leave_cache(before)


cdef cnp.ndarray copied(cnp.ndarray array):
    """A C-contiguous copy."""
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(array), cnp.PyArray_DIMS(array), cnp.PyArray_TYPE(array))
    cnp.PyArray_CopyInto(out, array)
    return out


cdef inline int read_shape(tuple shape, cnp.npy_intp *dims) except -1:
    """Writes the sizes to dims, of at most 64 places, and gives their number."""
    cdef Py_ssize_t i, n = len(shape)
    for i in range(n):
        dims[i] = shape[i]
    return <int> n


cdef inline int number_of(object dtype) except -1:
    """The type number of a numpy dtype, or of what numpy takes for one."""
    return (<cnp.dtype> dtype if isinstance(dtype, cnp.dtype) else <cnp.dtype> np.dtype(dtype)).type_num


def empty_array(tuple shape, dtype):
    """An uninitialised C-contiguous array of this shape and numpy dtype. MemoryError if there is not that much memory."""
    cdef cnp.npy_intp[64] dims
    return empty(read_shape(shape, dims), dims, number_of(dtype))


def zeros_array(tuple shape, dtype):
    """A C-contiguous array of zeros of this shape and numpy dtype. MemoryError if there is not that much memory."""
    cdef cnp.npy_intp[64] dims
    return zeros(read_shape(shape, dims), dims, number_of(dtype))


cdef cnp.ndarray view_of(cnp.ndarray array, int ndim, cnp.npy_intp *shape, cnp.npy_intp *strides, char *start):
    """A view of the array's memory, from `start` on in steps of its own."""
    cdef cnp.ndarray view = cnp.PyArray_New(
        np.ndarray, ndim, shape, cnp.PyArray_TYPE(array), strides, start, 0,
        cnp.PyArray_FLAGS(array) & (cnp.NPY_ARRAY_ALIGNED | cnp.NPY_ARRAY_WRITEABLE), <object> NULL
    )
    cnp.set_array_base(view, array)
    return view


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
    return view_of(array, n, dims, strides, <char *> cnp.PyArray_DATA(array))


def memory_stats() -> dict:
    """How the memory of large arrays (64 KB and more) stands, in bytes.

    allocated: in use by arrays now. peak_allocated: the most that ever was, since the start or reset_peak_memory_stats().
    cached: freed, and kept for the next array of about its size. cache_limit: the most that is kept, 0 where caching is off.
    reused, fresh: how many arrays were made of cached memory, and of new. Sizes are rounded up to four steps a power of two.
    """
    return {
        "allocated": mg_memory.live,
        "peak_allocated": mg_memory.peak,
        "cached": mg_memory.cached,
        "cache_limit": mg_memory.limit,
        "reused": mg_memory.reused,
        "fresh": mg_memory.fresh,
    }


def reset_peak_memory_stats() -> None:
    """Starts the search for memory_stats()["peak_allocated"] anew."""
    mg_reset_peak()


def empty_cache() -> None:
    """Gives all cached memory back to the system."""
    mg_empty_cache()


def set_cache_limit(bytes) -> int:
    """Sets how many bytes of freed memory are kept for reuse at most, and returns what it was; 0 keeps nothing.

    By default a quarter of the machine's memory. Independently of it, memory in use and cached together stay within 9/8 of the most
    that was ever in use (plus 16 MB). Raises TypeError for anything but an int, ValueError for a negative one. Without effect where
    caching is off: with MINIGRAD_CACHING_ALLOCATOR=0 in the environment, under valgrind or a sanitizer, and in a debug build.
    """
    if not isinstance(bytes, int) or isinstance(bytes, bool):
        raise TypeError(f"set_cache_limit expects an int, but got {type(bytes).__name__}")
    if bytes < 0:
        raise ValueError(f"set_cache_limit expects a number of bytes that is not negative, but got {bytes}")
    before = mg_memory.limit
    if caching:
        mg_set_limit(min(bytes, 1 << 62))
    return before


cdef start():
    global caching
    caching = os.environ.get("MINIGRAD_CACHING_ALLOCATOR", "1") != "0" and not mg_memory_is_checked()
    if caching:
        mg_start_memory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)


start()
