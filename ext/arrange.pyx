"""Moving elements: copies between layouts, conversions to floats. Arrays in, arrays out."""
import numpy as np

cimport numpy as cnp
from libc.stdint cimport int64_t

from minigrad._ext.memory cimport CACHED_FROM, empty
from minigrad._ext.threads cimport plan_threads

from minigrad._ext.memory import empty_array

cnp.import_array()


cdef extern from "strided_copy.h" nogil:
    ctypedef struct copy_plan "mg_copy_plan":
        char *target
        const char *source
        int ndim
        int64_t[64] shape
        int64_t[64] to
        int64_t[64] source_steps "from"
    void mg_plan_copy(copy_plan *plan, int64_t item)
    void mg_copy(const copy_plan *plans, int count, int64_t item, int threads)


cdef extern from "convert.h" nogil:
    ctypedef void (*conversion "mg_conversion")(const void *source, void *out, int64_t n, int threads) noexcept nogil
    conversion mg_find_conversion(int source, int target)


cdef extern from *:
    """
    /* `lines` rows of matrices of `rows` rows of `line` bytes: what lies up to a diagonal, or what lies above, and zeros. */
    static void mg_triangle(char *to, const char *from, int64_t lines, int64_t rows, int64_t line, int64_t item, int lower,
                            int64_t diagonal, int threads) {
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
        for (int64_t r = 0; r < lines; r++) {
            const int64_t end = (r % rows + diagonal + 1) * item, cut = end < 0 ? 0 : end > line ? line : end;
            char *const a = to + r * line;
            const char *const b = from + r * line;
            if (lower) { memcpy(a, b, cut); memset(a + cut, 0, line - cut); }
            else { memset(a, 0, cut); memcpy(a + cut, b + cut, line - cut); }
        }
    }
    """
    void mg_triangle(char *, const char *, int64_t, int64_t, int64_t, int64_t, bint, int64_t, int) nogil


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


cdef enum:
    AT_ONCE = 16  # copies in one parallel region: a plan takes 1.6 KB of stack


cdef void make_copies(const copy_plan *plans, int count, cnp.ndarray out) noexcept:
    """Makes copies into parts of out, in one parallel region."""
    cdef int64_t item = cnp.PyArray_ITEMSIZE(out), work = cnp.PyArray_NBYTES(out) // 20
    with nogil:
        mg_copy(plans, count, item, plan_threads(work))


cdef int add_copy(copy_plan *plans, int count, cnp.ndarray out, int missing, char *target, cnp.ndarray x) noexcept:
    """Plans the copy of x to `target`, a place in out, with out's strides but that of axis `missing` (out's ndim: none); makes
    all planned ones if there is no room for another. Gives the number of those that are planned."""
    cdef copy_plan *plan = plans + count
    cdef int d
    if cnp.PyArray_SIZE(x) == 0:
        return count
    plan.target, plan.source, plan.ndim = target, <const char *> cnp.PyArray_DATA(x), cnp.PyArray_NDIM(x)
    for d in range(plan.ndim):
        plan.shape[d], plan.to[d] = cnp.PyArray_DIM(x, d), cnp.PyArray_STRIDE(out, d + (d >= missing))
        plan.source_steps[d] = cnp.PyArray_STRIDE(x, d)
    return planned(plans, count, out)


cdef int planned(copy_plan *plans, int count, cnp.ndarray out) noexcept:
    """Counts the plan behind the first `count`, and makes all if there is no room for another."""
    mg_plan_copy(plans + count, cnp.PyArray_ITEMSIZE(out))
    if count + 1 < AT_ONCE:
        return count + 1
    make_copies(plans, count + 1, out)
    return 0


cdef bint is_served(cnp.ndarray x) noexcept:
    """Whether the kernels copy such arrays."""
    return cnp.PyArray_ITEMSIZE(x) in (1, 4, 8) and cnp.PyArray_ISBEHAVED_RO(x)


def copy_into(cnp.ndarray out, cnp.ndarray x) -> None:
    """out[...] = x for arrays of one shape and dtype, of any strides; where they overlap, the values are those of before."""
    cdef copy_plan[1] plan
    if not cnp.PyArray_SAMESHAPE(out, x) or cnp.PyArray_TYPE(out) != cnp.PyArray_TYPE(x):
        raise ValueError(f"copy_into: {<object> x!r} does not go into an array of another shape or dtype")
    if cnp.PyArray_SIZE(x) == 0:
        return
    if not is_served(x) or not is_served(out) or may_overlap(out, x):
        cnp.PyArray_CopyInto(out, x)
        return
    add_copy(plan, 0, out, cnp.PyArray_NDIM(out), <char *> cnp.PyArray_DATA(out), x)
    make_copies(plan, 1, out)


def joined(int axis, *parts):
    """Arrays of one dtype, and of one shape but along an axis, one after the other along it."""
    cdef cnp.ndarray first = parts[0], part, out
    cdef cnp.npy_intp[64] shape
    cdef int d
    for d in range(cnp.PyArray_NDIM(first)):
        shape[d] = cnp.PyArray_DIM(first, d)
    shape[axis] = 0
    for part in parts:
        shape[axis] += cnp.PyArray_DIM(part, axis)
    out = empty(cnp.PyArray_NDIM(first), shape, cnp.PyArray_TYPE(first))
    join(out, parts, axis)
    return out


def stacked(int axis, *parts):
    """Arrays of one dtype and shape along a new axis."""
    cdef cnp.ndarray first = parts[0], out
    cdef cnp.npy_intp[64] shape
    cdef int d
    if cnp.PyArray_NDIM(first) == 64:
        raise RuntimeError("stack: a tensor can have at most 64 dimensions")
    for d in range(cnp.PyArray_NDIM(first)):
        shape[d + (d >= axis)] = cnp.PyArray_DIM(first, d)
    shape[axis] = len(parts)
    out = empty(cnp.PyArray_NDIM(first) + 1, shape, cnp.PyArray_TYPE(first))
    join(out, parts, axis)
    return out


cdef join(cnp.ndarray out, tuple parts, int axis):
    """Writes arrays of out's dtype, which fill it, one after the other along an axis, or as its entries if they lack it; out is
    new."""
    cdef copy_plan[AT_ONCE] plans
    cdef int64_t start = 0, size, step = cnp.PyArray_STRIDE(out, axis)
    cdef int count = 0, ndim = cnp.PyArray_NDIM(out)
    cdef bint lack
    cdef cnp.ndarray part
    for part in parts:
        lack = cnp.PyArray_NDIM(part) < ndim
        size = 1 if lack else cnp.PyArray_DIM(part, axis)
        if is_served(part):
            count = add_copy(plans, count, out, axis if lack else ndim, <char *> cnp.PyArray_DATA(out) + start * step, part)
        else:
            out[(slice(None),) * axis + (start if lack else slice(start, start + size),)] = part
        start += size
    make_copies(plans, count, out)


def rolled(cnp.ndarray x, tuple moves):
    """A C-contiguous copy with the entries of each axis moved on, around the end, by less than its size (0 where there are none)."""
    cdef copy_plan[AT_ONCE] plans
    cdef copy_plan *plan
    cdef cnp.ndarray out
    cdef int64_t[64] move
    cdef int64_t pieces = 1, piece, around
    cdef int d, count = 0, ndim = cnp.PyArray_NDIM(x)
    if not is_served(x):
        return copied(np.roll(x, moves, tuple(range(ndim))) if ndim else x)
    out = empty(ndim, cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    if cnp.PyArray_SIZE(x) == 0:
        return out
    for d in range(ndim):
        move[d] = moves[d]
        if move[d]:
            pieces *= 2
    for piece in range(pieces):                     # a bit for each axis that moves: whether this is what goes around its end
        plan = plans + count
        plan.target, plan.source, plan.ndim = <char *> cnp.PyArray_DATA(out), <const char *> cnp.PyArray_DATA(x), ndim
        around = piece
        for d in range(ndim):
            plan.to[d], plan.source_steps[d] = cnp.PyArray_STRIDE(out, d), cnp.PyArray_STRIDE(x, d)
            if move[d] and around & 1:
                plan.shape[d] = move[d]
                plan.source += (cnp.PyArray_DIM(x, d) - move[d]) * plan.source_steps[d]
            else:
                plan.shape[d] = cnp.PyArray_DIM(x, d) - move[d]
                plan.target += move[d] * plan.to[d]
            if move[d]:
                around >>= 1
        count = planned(plans, count, out)
    make_copies(plans, count, out)
    return out


def flipped(cnp.ndarray x, tuple axes):
    """A C-contiguous copy with these axes in reverse."""
    cdef copy_plan[1] plan
    cdef cnp.ndarray out
    cdef int d, ndim = cnp.PyArray_NDIM(x)
    if not is_served(x):
        return copied(np.flip(x, axes) if axes else x)
    out = empty(ndim, cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    if cnp.PyArray_SIZE(x) == 0:
        return out
    plan.target, plan.source, plan.ndim = <char *> cnp.PyArray_DATA(out), <const char *> cnp.PyArray_DATA(x), ndim
    for d in range(ndim):
        plan.shape[d], plan.to[d] = cnp.PyArray_DIM(x, d), cnp.PyArray_STRIDE(out, d)
        plan.source_steps[d] = cnp.PyArray_STRIDE(x, d)
    for d in axes:
        plan.source += (plan.shape[d] - 1) * plan.source_steps[d]
        plan.source_steps[d] = -plan.source_steps[d]
    mg_plan_copy(plan, cnp.PyArray_ITEMSIZE(out))
    make_copies(plan, 1, out)
    return out


def filled(tuple shape, value, cnp.dtype dtype):
    """A C-contiguous array of this shape and dtype, of one value (which numpy converts)."""
    cdef cnp.ndarray out = empty_array(shape, dtype)
    fill_with(out, value)
    return out


def fill_with(cnp.ndarray out, value) -> bool:
    """Sets all elements of an array to one value, which numpy converts. True, as a kernel that overwrites gives it."""
    cdef copy_plan[1] plan
    cdef cnp.ndarray one
    cdef int d
    if cnp.PyArray_NBYTES(out) < CACHED_FROM or not is_served(out):
        cnp.PyArray_FillWithScalar(out, value)
        return True
    one = empty(0, NULL, cnp.PyArray_TYPE(out))
    cnp.PyArray_FillWithScalar(one, value)
    plan.target, plan.source = <char *> cnp.PyArray_DATA(out), <const char *> cnp.PyArray_DATA(one)
    plan.ndim = cnp.PyArray_NDIM(out)
    for d in range(plan.ndim):
        plan.shape[d], plan.to[d], plan.source_steps[d] = cnp.PyArray_DIM(out, d), cnp.PyArray_STRIDE(out, d), 0
    mg_plan_copy(plan, cnp.PyArray_ITEMSIZE(out))
    make_copies(plan, 1, out)
    return True


def triangle(cnp.ndarray x, bint lower, int64_t diagonal):
    """The elements of C-contiguous matrices (..., rows, columns) at columns <= row + diagonal, or (not lower) at those above; zeros
    elsewhere."""
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    cdef int ndim = cnp.PyArray_NDIM(x)
    cdef int64_t rows = cnp.PyArray_DIM(x, ndim - 2), line = cnp.PyArray_DIM(x, ndim - 1) * cnp.PyArray_ITEMSIZE(x)
    cdef int64_t item = cnp.PyArray_ITEMSIZE(x), size = cnp.PyArray_NBYTES(x)
    cdef const char *source = <const char *> cnp.PyArray_DATA(x)
    cdef char *target = <char *> cnp.PyArray_DATA(out)
    if size:
        with nogil:
            mg_triangle(target, source, size // line, rows, line, item, lower, diagonal, plan_threads(size // 20))
    return out


def copied(cnp.ndarray x):
    """A C-contiguous copy, of any layout."""
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    copy_into(out, x)
    return out


def converted(cnp.ndarray x, dtype):
    """A C-contiguous copy as another dtype (or the same), rounded as numpy does, without warnings."""
    cdef int source = cnp.PyArray_TYPE(x), target = (<cnp.dtype> dtype).type_num
    cdef conversion convert = mg_find_conversion(source, target)
    cdef int64_t n = cnp.PyArray_SIZE(x)
    cdef int threads = plan_threads(n // 2)
    cdef cnp.ndarray out
    if source == target:
        return copied(x)
    if convert == NULL or not cnp.PyArray_ISCARRAY_RO(x):
        with np.errstate(invalid="ignore", over="ignore"):
            return x.astype(dtype, order="C")
    out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), target)
    cdef const void *start = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        convert(start, to, n, threads)
    return out
