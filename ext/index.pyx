"""Elements and rows by index along one axis, and their adjoints: arrays in, arrays out.

An array is seen as (outer, size, inner) around the axis; rows may also lie along several axes that are next to each other and count as
one. Indices are int64, and either one list for all (rows) or an array (outer, count, inner) of their own (elements); for one that is not
in [0, size) the result is None. What is added is added in the order of the indices, by one thread for an element, so that the bits do not
depend on the number of threads.
"""
import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memset

from minigrad._ext.around cimport Around, around
from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef enum:
    MAX_NDIM = 64


# void pointers throughout: the functions take words of the size in their names, or numbers of what they were found for.
cdef extern from "index_rows.h" nogil:
    int64_t mg_places(uint8_t *mask, int64_t n, int64_t *places)
    int64_t mg_count(uint8_t *mask, int64_t n)
    int64_t mg_largest(int64_t *x, int64_t n)
    void mg_count_each(int64_t *x, int64_t n, int64_t *counts, int64_t *table, int64_t size)
    int mg_check_indices(int64_t *at, int64_t *to, int64_t n, int64_t size, int threads)
    int mg_merge_indices(int64_t *at, int64_t *next, int64_t n, int64_t size, int threads)
    int mg_put_rows(void *x, void *source, int64_t *at, void *table, int64_t outer, int64_t size, int64_t bytes, int64_t count, int threads)
    int mg_take_rows(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t bytes, int64_t count, int threads)
    int mg_take_32(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t count, int threads)
    int mg_take_64(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t count, int threads)
    int mg_gather_32(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count, int threads)
    int mg_gather_64(void *x, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count, int threads)
    ctypedef int (*rows_adder "mg_rows_adder")(
        void *x, void *rows, int64_t *source_at, int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner, int64_t count,
        int threads
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


def merged(list indices, list sizes):
    """Where elements lie in several dimensions seen as one: ((i0 * n1) + i1) * n2 + i2 ... for contiguous int64 arrays of one shape and
    the sizes of their dimensions, from whose end negative indices count. None if one is not in range."""
    cdef cnp.ndarray first = indices[0], index
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(first), cnp.PyArray_DIMS(first), cnp.NPY_INT64)
    cdef int64_t *to = <int64_t *> cnp.PyArray_DATA(out)
    cdef int64_t *at
    cdef int64_t n = cnp.PyArray_SIZE(first), size
    cdef int threads = plan_threads(n // 2), i, inside = 1
    memset(to, 0, n * sizeof(int64_t))
    for i in range(len(indices)):
        index, size = indices[i], sizes[i]
        at = <int64_t *> cnp.PyArray_DATA(index)
        with nogil:
            inside &= mg_merge_indices(to, at, n, size, threads)
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


def counted(cnp.ndarray x, int64_t least):
    """How often each number 0, 1, ... is in a contiguous int64 array, for at least so many numbers; None if there is a negative one."""
    cdef int64_t *numbers = <int64_t *> cnp.PyArray_DATA(x)
    cdef int64_t n = cnp.PyArray_SIZE(x), most
    cdef cnp.npy_intp size, room
    with nogil:
        most = mg_largest(numbers, n)
    if most < 0:
        return None
    if most > 1 << 59:
        raise MemoryError(f"bincount: no memory for the counts of the numbers up to {most}")
    size = max(most + 1 if n else 0, least)
    cdef cnp.ndarray counts = empty(1, &size, cnp.NPY_INT64), tables
    cdef int64_t *to = <int64_t *> cnp.PyArray_DATA(counts)
    cdef int64_t *scratch = NULL
    if size <= 1024 and 4 * size < n:
        room = 3 * size
        tables = empty(1, &room, cnp.NPY_INT64)
        scratch = <int64_t *> cnp.PyArray_DATA(tables)
    with nogil:
        mg_count_each(numbers, n, to, scratch, size)
    return counts


def take_rows(cnp.ndarray x, cnp.ndarray index, int dim, int merged):
    """The entries of dimensions dim ... dim + merged - 1, seen as one, at an index of any shape, which takes their place."""
    cdef int ndim = cnp.PyArray_NDIM(x), places = cnp.PyArray_NDIM(index), d
    cdef Around at = around(x, dim, merged)
    cdef int64_t count = cnp.PyArray_SIZE(index), bytes = at.inner * cnp.PyArray_ITEMSIZE(x)
    cdef cnp.npy_intp[MAX_NDIM] shape
    cdef int threads = plan_threads(at.outer * count * (bytes // 16 + 3)), inside = 1
    if ndim - merged + places > MAX_NDIM:
        raise RuntimeError(f"a tensor can have at most {MAX_NDIM} dimensions, but the result would have {ndim - merged + places}")
    if at.outer * at.inner == 0 and not are_inside(index, at.size):
        return None
    if not cnp.PyArray_IS_C_CONTIGUOUS(x):
        if at.outer * count * at.inner < cnp.PyArray_SIZE(x):  # less than a copy of x
            if not are_inside(index, at.size):
                return None
            return x[(slice(None),) * dim + np.unravel_index(index, (<object> x).shape[dim : dim + merged])]
        x = cnp.PyArray_GETCONTIGUOUS(x)
    for d in range(dim):
        shape[d] = cnp.PyArray_DIM(x, d)
    for d in range(places):
        shape[dim + d] = cnp.PyArray_DIM(index, d)
    for d in range(dim + merged, ndim):
        shape[d - merged + places] = cnp.PyArray_DIM(x, d)
    cdef cnp.ndarray out = empty(ndim - merged + places, shape, cnp.PyArray_TYPE(x))
    cdef int64_t *positions = <int64_t *> cnp.PyArray_DATA(index)
    cdef void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if bytes == 4:
            inside = mg_take_32(source, positions, to, at.outer, at.size, count, threads)
        elif bytes == 8:
            inside = mg_take_64(source, positions, to, at.outer, at.size, count, threads)
        elif bytes > 0:
            inside = mg_take_rows(source, positions, to, at.outer, at.size, bytes, count, threads)
    return out if inside else None


cdef cnp.ndarray like_table(cnp.ndarray x, tuple shape, cnp.ndarray source):
    """A new array in the shape of a table, and of the dtype of what goes into it."""
    cdef cnp.npy_intp[MAX_NDIM] dims
    cdef int i
    if x is not None:
        return empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    for i in range(len(shape)):
        dims[i] = shape[i]
    return empty(<int> len(shape), dims, cnp.PyArray_TYPE(source))


def add_rows(cnp.ndarray x, tuple shape, cnp.ndarray source, cnp.ndarray index, int dim, int merged, cnp.ndarray source_index=None):
    """out = x, or zeros of a shape if x is None; then what is in source added to the entries that take_rows takes, in the order of the
    index. All contiguous and of one dtype, floats or integers of 4 or 8 bytes.

    With a source_index (for dim 0), of as many int64, source[source_index] is added; it is not formed.
    """
    cdef cnp.ndarray out = like_table(x, shape, source)
    cdef Around at = around(out, dim, merged)
    cdef int64_t count = cnp.PyArray_SIZE(index)
    cdef int64_t *positions = <int64_t *> cnp.PyArray_DATA(index)
    cdef int64_t *rows_at = NULL if source_index is None else <int64_t *> cnp.PyArray_DATA(source_index)
    cdef void *start = NULL if x is None else cnp.PyArray_DATA(x)
    cdef void *rows = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef rows_adder add = mg_find_rows_adder(cnp.PyArray_ISFLOAT(source), cnp.PyArray_ITEMSIZE(source))
    cdef int inside, threads = plan_threads(at.outer * (at.size * (at.inner // 16 + 1) + count * (at.inner // 8 + 2)))
    if source_index is not None and not are_inside(source_index, cnp.PyArray_DIM(source, 0)):
        return None
    if cnp.PyArray_SIZE(out) == 0:
        return out if are_inside(index, at.size) else None
    with nogil:
        inside = add(start, rows, rows_at, positions, to, at.outer, at.size, at.inner, count, threads)
    return out if inside else None


def put_rows(cnp.ndarray x, cnp.ndarray source, cnp.ndarray index, int dim, int merged, bint in_place):
    """A copy of x, or x itself (in_place), with what is in source in place of the entries that take_rows takes, in the order of the
    index. All contiguous and of one dtype. With an index that is not in range, x itself has what the others put there."""
    cdef Around at = around(x, dim, merged)
    cdef int64_t count = cnp.PyArray_SIZE(index), bytes = at.inner * cnp.PyArray_ITEMSIZE(x)
    cdef cnp.ndarray out = x if in_place else empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    cdef int64_t *positions = <int64_t *> cnp.PyArray_DATA(index)
    cdef void *start = cnp.PyArray_DATA(x)
    cdef void *rows = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef int inside, threads = plan_threads(at.outer * ((0 if in_place else at.size * (bytes // 64 + 1)) + count * (bytes // 32 + 2)))
    if cnp.PyArray_SIZE(x) == 0:
        return out if are_inside(index, at.size) else None
    with nogil:
        inside = mg_put_rows(start, rows, positions, to, at.outer, at.size, bytes, count, threads)
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
