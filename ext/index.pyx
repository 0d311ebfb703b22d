"""Elements and rows by index along one axis, and their adjoints: arrays in, arrays out.

An array is seen as (outer, size, inner) around the axis. Its indices are int64, and either one list for all (rows) or an array
(outer, count, inner) of their own (elements); for one that is not in [0, size) the result is None. What is added is added in the order
of the indices, by one thread for an element, so that the bits do not depend on the number of threads.
"""
cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# void pointers throughout: the functions take words of the size in their names, or numbers of what they were found for.
cdef extern from "index_rows.h" nogil:
    int64_t mg_places(uint8_t *mask, int64_t n, int64_t *places)
    int64_t mg_count(uint8_t *mask, int64_t n)
    int mg_check_indices(int64_t *at, int64_t *to, int64_t n, int64_t size, int threads)
    int mg_take_rows(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t bytes, int64_t count, int threads)
    int mg_take_32(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t count, int threads)
    int mg_take_64(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t count, int threads)
    int mg_gather_32(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count, int threads)
    int mg_gather_64(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count, int threads)
    ctypedef int (*rows_adder "mg_rows_adder")(
        void *x, void *rows, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count, int threads
    ) noexcept nogil
    ctypedef int (*scatterer "mg_scatterer")(
        void *x, void *values, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count, int add, int threads
    ) noexcept nogil
    rows_adder mg_find_rows_adder(int floats, int64_t item)
    scatterer mg_find_scatterer(int floats, int64_t item)


def are_inside(cnp.ndarray index, int64_t size) -> bool:
    """Whether all elements of a contiguous int64 array are in [0, size)."""
    cdef int64_t *at = <int64_t *> cnp.PyArray_DATA(index)
    cdef int64_t n = cnp.PyArray_SIZE(index)
    cdef int threads = plan_threads(n // 4), inside
    with nogil:
        inside = mg_check_indices(at, NULL, n, size, threads)
    return inside != 0


def checked(cnp.ndarray index, int64_t size):
    """A copy of a contiguous int64 array, None if there is an element that is not in [0, size)."""
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(index), cnp.PyArray_DIMS(index), cnp.NPY_INT64)
    cdef int64_t *at = <int64_t *> cnp.PyArray_DATA(index)
    cdef int64_t *to = <int64_t *> cnp.PyArray_DATA(out)
    cdef int64_t n = cnp.PyArray_SIZE(index)
    cdef int threads = plan_threads(n // 2), inside
    with nogil:
        inside = mg_check_indices(at, to, n, size, threads)
    return out if inside else None


def places(cnp.ndarray mask):
    """Where a contiguous bool array holds, as flat int64 positions in order."""
    cdef uint8_t *start = <uint8_t *> cnp.PyArray_DATA(mask)
    cdef int64_t n = cnp.PyArray_SIZE(mask), count
    cdef cnp.npy_intp room
    cdef cnp.ndarray out
    with nogil:
        count = mg_count(start, n)
    room = count + 1
    out = empty(1, &room, cnp.NPY_INT64)
    cdef int64_t *to = <int64_t *> cnp.PyArray_DATA(out)
    with nogil:
        mg_places(start, n, to)
    return out[:count]


def take_rows(cnp.ndarray x, cnp.ndarray index, int64_t outer, int64_t size, int64_t inner):
    """x[o, index[i], :] as (outer, len(index), inner), of a contiguous x."""
    cdef int64_t count = cnp.PyArray_SIZE(index), item = cnp.PyArray_ITEMSIZE(x)
    cdef cnp.npy_intp[3] shape = [outer, count, inner]
    cdef cnp.ndarray out = empty(3, shape, cnp.PyArray_TYPE(x))
    cdef int64_t *at = <int64_t *> cnp.PyArray_DATA(index)
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef int inside = 1, threads = plan_threads(outer * count * (inner * item // 16 + 3))
    if outer * inner == 0:
        return out if are_inside(index, size) else None
    with nogil:
        if inner == 1 and item == 4:
            inside = mg_take_32(source, at, to, outer, size, count, threads)
        elif inner == 1 and item == 8:
            inside = mg_take_64(source, at, to, outer, size, count, threads)
        else:
            inside = mg_take_rows(source, at, to, outer, size, inner * item, count, threads)
    return out if inside else None


cdef cnp.ndarray like_table(cnp.ndarray x, tuple shape, cnp.ndarray source):
    """A new array in the shape of a table, and of the dtype of what goes into it."""
    cdef cnp.npy_intp[64] dims
    cdef int i
    if x is not None:
        return empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    for i in range(len(shape)):
        dims[i] = shape[i]
    return empty(<int> len(shape), dims, cnp.PyArray_TYPE(source))


def add_rows(cnp.ndarray x, tuple shape, cnp.ndarray source, cnp.ndarray index, int64_t outer, int64_t size, int64_t inner):
    """out = x, or zeros of a shape if x is None; then out[o, index[i], :] += source[o, i, :] in the order of i. All contiguous and of one
    dtype, floats or integers of 4 or 8 bytes."""
    cdef int64_t count = cnp.PyArray_SIZE(index)
    cdef cnp.ndarray out = like_table(x, shape, source)
    cdef int64_t *at = <int64_t *> cnp.PyArray_DATA(index)
    cdef void *start = NULL if x is None else cnp.PyArray_DATA(x)
    cdef void *rows = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef rows_adder add = mg_find_rows_adder(cnp.PyArray_ISFLOAT(source), cnp.PyArray_ITEMSIZE(source))
    cdef int inside, threads = plan_threads(outer * (size * (inner // 16 + 1) + count * (inner // 8 + 2)))
    if outer * inner * size == 0:
        return out if are_inside(index, size) else None
    with nogil:
        inside = add(start, rows, at, to, outer, size, inner, count, threads)
    return out if inside else None


def gather(cnp.ndarray x, cnp.ndarray index, int64_t outer, int64_t size, int64_t inner):
    """x[o, index[o, i, k], k] in the shape of index, for a contiguous x with elements of 4 or 8 bytes and a contiguous index."""
    cdef int64_t count = cnp.PyArray_SIZE(index) // (outer * inner) if outer * inner else 0
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(index), cnp.PyArray_DIMS(index), cnp.PyArray_TYPE(x))
    cdef int64_t *at = <int64_t *> cnp.PyArray_DATA(index)
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef bint narrow = cnp.PyArray_ITEMSIZE(x) == 4
    cdef int inside, threads = plan_threads(outer * count * inner)
    with nogil:
        if narrow:
            inside = mg_gather_32(source, at, to, outer, size, inner, count, threads)
        else:
            inside = mg_gather_64(source, at, to, outer, size, inner, count, threads)
    return out if inside else None


def scatter(cnp.ndarray x, tuple shape, cnp.ndarray source, cnp.ndarray index, int64_t outer, int64_t size, int64_t inner, bint add):
    """out = x, or zeros of a shape if x is None; then out[o, index[o, i, k], k] = source[o, i, k], or (add) += it, in the order of i. All
    contiguous, x and source of one dtype, floats or integers of 4 or 8 bytes."""
    cdef int64_t count = cnp.PyArray_SIZE(index) // (outer * inner) if outer * inner else 0
    cdef cnp.ndarray out = like_table(x, shape, source)
    cdef int64_t *at = <int64_t *> cnp.PyArray_DATA(index)
    cdef void *start = NULL if x is None else cnp.PyArray_DATA(x)
    cdef void *values = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef scatterer put = mg_find_scatterer(cnp.PyArray_ISFLOAT(source), cnp.PyArray_ITEMSIZE(source))
    cdef int inside, adds = add, threads = plan_threads(outer * inner * (count + size // 16))
    with nogil:
        inside = put(start, values, at, to, outer, size, inner, count, adds, threads)
    return out if inside else None
