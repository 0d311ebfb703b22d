"""Moving elements: copies between layouts, conversions of floats. Arrays in, arrays out."""
cimport numpy as cnp
from libc.stdint cimport int64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef extern from "strided_copy.h" nogil:
    ctypedef struct copy_plan "mg_copy_plan":
        int ndim
        int64_t shape[64], to[64]
        int64_t source "from"[64]
    void mg_merge_copy(copy_plan *plan)
    void mg_copy_8(char *to, const char *source, copy_plan *plan, int threads)
    void mg_copy_32(char *to, const char *source, copy_plan *plan, int threads)
    void mg_copy_64(char *to, const char *source, copy_plan *plan, int threads)


cdef extern from *:
    """
    #define MG_CONVERT(FROM, TO, name)                                                                     \
        static void name(const FROM *x, TO *out, int64_t n, int threads) {                                 \
            _Pragma("omp parallel for simd num_threads(threads) if (parallel : threads > 1) schedule(static)") \
            for (int64_t i = 0; i < n; i++) out[i] = (TO)x[i];                                             \
        }
    MG_CONVERT(double, float, mg_narrow)
    MG_CONVERT(float, double, mg_widen)
    """
    void mg_narrow(const double *, float *, int64_t, int) nogil
    void mg_widen(const float *, double *, int64_t, int) nogil


cdef void find_bounds(cnp.ndarray x, char **first, char **last) noexcept:
    """The addresses of the first and the last element in memory; x has elements."""
    cdef int d
    cdef int64_t reach
    first[0] = last[0] = <char *> cnp.PyArray_DATA(x)
    for d in range(cnp.PyArray_NDIM(x)):
        reach = (cnp.PyArray_DIM(x, d) - 1) * cnp.PyArray_STRIDE(x, d)
        if reach > 0:
            last[0] += reach
        else:
            first[0] += reach


cdef bint may_overlap(cnp.ndarray x, cnp.ndarray y) noexcept:
    """Whether the ranges of memory that two arrays of one dtype span have bytes in common."""
    cdef char *first_x
    cdef char *last_x
    cdef char *first_y
    cdef char *last_y
    find_bounds(x, &first_x, &last_x)
    find_bounds(y, &first_y, &last_y)
    return first_x < last_y + cnp.PyArray_ITEMSIZE(y) and first_y < last_x + cnp.PyArray_ITEMSIZE(x)


cdef int copy_part(cnp.ndarray out, int64_t offset, cnp.ndarray x, int64_t work) except -1:
    """Writes x, of out's dtype, so many bytes after out's first element, with out's strides; work: bytes, for the number of threads."""
    cdef copy_plan plan
    cdef int d, threads
    cdef int64_t item = cnp.PyArray_ITEMSIZE(x)
    cdef char *to = <char *> cnp.PyArray_DATA(out) + offset
    cdef const char *source = <const char *> cnp.PyArray_DATA(x)
    plan.ndim = cnp.PyArray_NDIM(x)
    for d in range(plan.ndim):
        plan.shape[d] = cnp.PyArray_DIM(x, d)
        plan.to[d], plan.source[d] = cnp.PyArray_STRIDE(out, d), cnp.PyArray_STRIDE(x, d)
    with nogil:
        mg_merge_copy(&plan)
        threads = plan_threads(work // 20)
        if item == 4:
            mg_copy_32(to, source, &plan, threads)
        elif item == 8:
            mg_copy_64(to, source, &plan, threads)
        else:
            mg_copy_8(to, source, &plan, threads)
    return 0


cdef bint is_served(cnp.ndarray x) noexcept:
    """Whether the kernels copy such arrays."""
    return cnp.PyArray_ITEMSIZE(x) in (1, 4, 8) and cnp.PyArray_ISBEHAVED_RO(x)


def copy_into(cnp.ndarray out, cnp.ndarray x) -> None:
    """out[...] = x for arrays of one shape and dtype, of any strides; where they overlap, the values are those of before."""
    if not cnp.PyArray_SAMESHAPE(out, x) or cnp.PyArray_TYPE(out) != cnp.PyArray_TYPE(x):
        raise ValueError(f"copy_into: {<object> x!r} does not go into an array of another shape or dtype")
    if cnp.PyArray_SIZE(x) == 0:
        return
    if not is_served(x) or not is_served(out) or may_overlap(out, x):
        cnp.PyArray_CopyInto(out, x)
        return
    copy_part(out, 0, x, cnp.PyArray_NBYTES(x))


def join(cnp.ndarray out, tuple parts, int axis) -> None:
    """Writes arrays of out's dtype, which fill it, one after the other along an axis; out is new."""
    cdef int64_t start = 0, size
    cdef cnp.ndarray part
    for part in parts:
        size = cnp.PyArray_DIM(part, axis)
        if not is_served(part):
            out[(slice(None),) * axis + (slice(start, start + size),)] = part
        elif cnp.PyArray_SIZE(part):
            copy_part(out, start * cnp.PyArray_STRIDE(out, axis), part, cnp.PyArray_NBYTES(out))
        start += size


def copied(cnp.ndarray x):
    """A C-contiguous copy, of any layout."""
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    copy_into(out, x)
    return out


def converted(cnp.ndarray x, dtype):
    """A C-contiguous copy as another dtype (or the same), rounded as numpy does."""
    cdef int source = cnp.PyArray_TYPE(x), target = (<cnp.dtype> dtype).type_num
    cdef int64_t n = cnp.PyArray_SIZE(x)
    cdef int threads = plan_threads(n // 2)
    cdef cnp.ndarray out
    if source == target:
        return copied(x)
    if not cnp.PyArray_ISCARRAY_RO(x) or not (
        source == cnp.NPY_FLOAT64 and target == cnp.NPY_FLOAT32 or source == cnp.NPY_FLOAT32 and target == cnp.NPY_FLOAT64
    ):
        return x.astype(dtype, order="C")
    out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), target)
    cdef const void *start = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if target == cnp.NPY_FLOAT32:
            mg_narrow(<const double *> start, <float *> to, n, threads)
        else:
            mg_widen(<const float *> start, <double *> to, n, threads)
    return out
