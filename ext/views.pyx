"""The arrays of views, for the arguments that views mostly have: an array in, an array of the same memory out.

Most functions give None where there is more to do than that (other types of arguments, an error to raise, elements to copy), and
minigrad/ops/shape.py and index.py go the general way. They are compiled because views of small tensors are what a program makes most of,
and a few checks in Python take longer than PyTorch's whole call.
"""
cimport numpy as cnp
from cpython.long cimport PyLong_CheckExact
from cpython.slice cimport PySlice_Check

from minigrad._ext.memory cimport view_of

cnp.import_array()


cdef enum:
    MAX_NDIM = 64

cdef object MAX_SIZE = 1 << 62
cdef double MOST_ELEMENTS = 1e18

cdef struct Sizes:
    int count
    cnp.npy_intp[MAX_NDIM] size


cdef bint read_sizes(tuple arguments, Sizes *out) except -1:
    """The ints of (2, 3), ((2, 3),) or ([2, 3],); False for anything else, and for a number that no size can be."""
    cdef object items = arguments
    cdef int i
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        items = arguments[0]
    if len(items) > MAX_NDIM:
        return False
    out.count = <int> len(items)
    for i in range(out.count):
        item = items[i]
        if not PyLong_CheckExact(item) or not -MAX_SIZE < item < MAX_SIZE:
            return False
        out.size[i] = item
    return True


def sizes_of(tuple arguments):
    """The sizes of f(2, 3), f((2, 3)) or f([2, 3]) as a tuple, if they are ints."""
    cdef object items = arguments
    if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)):
        items = tuple(arguments[0])
    for item in items:
        if not PyLong_CheckExact(item):
            return None
    return items


def new_shape(tuple arguments):
    """sizes_of for a new tensor: None also for negative sizes, and where their product might be too large."""
    cdef Sizes wanted
    cdef double total = 1
    cdef int i
    if not read_sizes(arguments, &wanted):
        return None
    for i in range(wanted.count):
        if wanted.size[i] < 0:
            return None
        total *= <double> wanted.size[i]
    return sizes_of(arguments) if total < MOST_ELEMENTS else None


cdef inline int axis_of(object dim, int ndim) except -2:
    """A dimension counted from the front; -1 if it is not an int in range."""
    cdef Py_ssize_t axis
    if not PyLong_CheckExact(dim) or not -MAX_NDIM <= dim <= MAX_NDIM:
        return -1
    axis = dim
    if not -ndim <= axis < ndim:
        return -1
    return <int> (axis + ndim if axis < 0 else axis)


cdef object in_shape(cnp.ndarray x, int ndim, cnp.npy_intp *shape):
    cdef cnp.PyArray_Dims dims
    dims.ptr, dims.len = shape, ndim
    return cnp.PyArray_Newshape(x, &dims, cnp.NPY_CORDER)


def reshaped(cnp.ndarray x, tuple sizes):
    """x.reshape(*sizes) of a contiguous array; one size may be -1."""
    cdef Sizes wanted
    cdef cnp.npy_intp known = 1, total = cnp.PyArray_SIZE(x)
    cdef int i, open_ = -1
    if not cnp.PyArray_IS_C_CONTIGUOUS(x) or total == 0 or not read_sizes(sizes, &wanted):
        return None
    for i in range(wanted.count):
        if wanted.size[i] == -1 and open_ < 0:
            open_ = i
        elif wanted.size[i] <= 0 or wanted.size[i] > total:
            return None
        else:
            known *= wanted.size[i]
            if known > total:
                return None
    if open_ >= 0:
        wanted.size[open_] = total // known
        known *= wanted.size[open_]
    return in_shape(x, wanted.count, wanted.size) if known == total else None


def flattened(cnp.ndarray x, start_dim, end_dim):
    """One dimension in the place of start_dim ... end_dim, two or more, of a contiguous array."""
    cdef int ndim = cnp.PyArray_NDIM(x), first = axis_of(start_dim, ndim), last = axis_of(end_dim, ndim), i
    cdef cnp.npy_intp[MAX_NDIM] shape
    if not cnp.PyArray_IS_C_CONTIGUOUS(x) or first < 0 or last <= first:
        return None
    for i in range(first + 1):
        shape[i] = cnp.PyArray_DIM(x, i)
    for i in range(first + 1, last + 1):
        shape[first] *= cnp.PyArray_DIM(x, i)
    for i in range(last + 1, ndim):
        shape[i - last + first] = cnp.PyArray_DIM(x, i)
    return in_shape(x, ndim - last + first, shape)


def unsqueezed(cnp.ndarray x, dim):
    """x with a new dimension of size 1."""
    cdef int ndim = cnp.PyArray_NDIM(x), axis = axis_of(dim, ndim + 1), i
    cdef cnp.npy_intp[MAX_NDIM + 1] shape
    if axis < 0 or ndim == MAX_NDIM:
        return None
    for i in range(ndim):
        shape[i + (i >= axis)] = cnp.PyArray_DIM(x, i)
    shape[axis] = 1
    return in_shape(x, ndim + 1, shape)


def squeezed(cnp.ndarray x, dim):
    """x without its dimensions of size 1, or without this one if its size is 1."""
    cdef int ndim = cnp.PyArray_NDIM(x), axis = -1 if dim is None else axis_of(dim, ndim), left = 0, i
    cdef cnp.npy_intp[MAX_NDIM] shape
    if axis < 0 and dim is not None:
        return None
    for i in range(ndim):
        if cnp.PyArray_DIM(x, i) != 1 or axis >= 0 and i != axis:
            shape[left] = cnp.PyArray_DIM(x, i)
            left += 1
    return in_shape(x, left, shape)


def permuted(cnp.ndarray x, tuple order):
    """x.transpose(*order)."""
    cdef Sizes wanted
    cdef cnp.PyArray_Dims dims
    cdef unsigned long long seen = 0
    cdef int i, ndim = cnp.PyArray_NDIM(x)
    if not read_sizes(order, &wanted) or wanted.count != ndim:
        return None
    for i in range(ndim):
        if not -ndim <= wanted.size[i] < ndim:
            return None
        if wanted.size[i] < 0:
            wanted.size[i] += ndim
        if seen >> wanted.size[i] & 1:
            return None
        seen |= <unsigned long long> 1 << wanted.size[i]
    dims.ptr, dims.len = wanted.size, ndim
    return cnp.PyArray_Transpose(x, &dims)


def transposed(cnp.ndarray x, dim0, dim1):
    """x with two dimensions exchanged."""
    cdef int ndim = cnp.PyArray_NDIM(x), first = axis_of(dim0, ndim), second = axis_of(dim1, ndim)
    return None if first < 0 or second < 0 else cnp.PyArray_SwapAxes(x, first, second)


def expanded(cnp.ndarray x, tuple sizes):
    """A view in which dimensions of size 1, and new leading ones, are repeated; -1 keeps a size."""
    cdef Sizes wanted
    cdef cnp.npy_intp[MAX_NDIM] strides
    cdef cnp.npy_intp own
    cdef int i, lead
    if not read_sizes(sizes, &wanted):
        return None
    lead = wanted.count - cnp.PyArray_NDIM(x)
    if lead < 0:
        return None
    for i in range(wanted.count):
        strides[i] = 0
        own = cnp.PyArray_DIM(x, i - lead) if i >= lead else 1
        if i >= lead and wanted.size[i] == -1:
            wanted.size[i] = own
        if wanted.size[i] == own and i >= lead:
            strides[i] = cnp.PyArray_STRIDE(x, i - lead)
        elif own != 1 or wanted.size[i] < 0:
            return None
    return view_of(x, wanted.count, wanted.size, strides, <char *> cnp.PyArray_DATA(x))


def sliced(cnp.ndarray x, index):
    """x[index] for ints, slices of ints without negative steps, None and Ellipsis: a view, 0-d where an element is meant."""
    cdef tuple items = <tuple> index if type(index) is tuple else (index,)
    cdef int ndim = cnp.PyArray_NDIM(x), dim = 0, new = 0, ints = 0, left = ndim
    cdef bint rest = False
    for item in items:
        left -= item is not None and item is not Ellipsis
    for item in items:
        if PyLong_CheckExact(item):
            if not is_entry(item, x, dim):
                return None
            dim += 1
            ints += 1
        elif PySlice_Check(item):
            if not (is_plain(item.start) and is_plain(item.stop) and is_plain(item.step)) or item.step is not None and item.step <= 0:
                return None
            dim += 1
        elif item is None:
            new += 1
        elif item is Ellipsis and not rest:
            rest = True
            dim += left
        else:
            return None
    if left < 0 or ndim - ints + new > MAX_NDIM:
        return None
    return x[items] if rest or ints < ndim or new else x[(*items, Ellipsis)]


cdef inline bint is_plain(object bound) noexcept:
    return bound is None or PyLong_CheckExact(bound)


cdef inline bint is_entry(object item, cnp.ndarray x, int dim) except -1:
    """Whether there is such an entry of a dimension."""
    if not 0 <= dim < cnp.PyArray_NDIM(x):
        return False
    cdef cnp.npy_intp size = cnp.PyArray_DIM(x, dim)
    return -size <= item < size


def entries(cnp.ndarray x, int axis) -> tuple:
    """Views of each entry of an axis, without it."""
    cdef cnp.npy_intp[MAX_NDIM] shape
    cdef cnp.npy_intp[MAX_NDIM] strides
    cdef int d, last = cnp.PyArray_NDIM(x) - 1
    cdef char *start = <char *> cnp.PyArray_DATA(x)
    cdef list views = []
    for d in range(last):
        shape[d], strides[d] = cnp.PyArray_DIM(x, d + (d >= axis)), cnp.PyArray_STRIDE(x, d + (d >= axis))
    for _ in range(cnp.PyArray_DIM(x, axis)):
        views.append(view_of(x, last, shape, strides, start))
        start += cnp.PyArray_STRIDE(x, axis)
    return tuple(views)


def pieces(cnp.ndarray x, list sizes, int axis) -> tuple:
    """Views of consecutive pieces of these sizes, which add up to that of the axis."""
    cdef cnp.npy_intp[MAX_NDIM] shape
    cdef int d, ndim = cnp.PyArray_NDIM(x)
    cdef char *start = <char *> cnp.PyArray_DATA(x)
    cdef list views = []
    for d in range(ndim):
        shape[d] = cnp.PyArray_DIM(x, d)
    for size in sizes:
        shape[axis] = size
        views.append(view_of(x, ndim, shape, cnp.PyArray_STRIDES(x), start))
        start += size * cnp.PyArray_STRIDE(x, axis)
    return tuple(views)
