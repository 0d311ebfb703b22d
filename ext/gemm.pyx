"""Matrix products: arrays in, arrays out."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef extern from "gemm.h" nogil:
    void gemm(...)


cdef struct Operand:
    void *data
    int64_t batch, rows, columns      # sizes, batch 1 for a matrix
    int64_t by_batch, by_row, by_column  # strides in elements, by_batch 0 for a matrix or a batch of 1


cdef inline Operand operand(cnp.ndarray x, bint transpose):
    """Sizes and strides of a 2-d or 3-d array, or of the transposes of its matrices."""
    cdef int row = cnp.PyArray_NDIM(x) - (1 if transpose else 2)
    cdef int column = cnp.PyArray_NDIM(x) - (2 if transpose else 1)
    cdef int first = cnp.PyArray_NDIM(x) - 2
    cdef cnp.npy_intp *shape = cnp.PyArray_DIMS(x)
    cdef cnp.npy_intp *strides = cnp.PyArray_STRIDES(x)
    cdef int64_t size = cnp.PyArray_ITEMSIZE(x)
    cdef Operand view
    view.data = cnp.PyArray_DATA(x)
    view.batch = shape[0] if first else 1
    view.rows, view.columns = shape[row], shape[column]
    view.by_batch = strides[0] // size if view.batch > 1 else 0
    view.by_row, view.by_column = strides[row] // size, strides[column] // size
    return view


cdef inline cnp.ndarray usable(cnp.ndarray x):
    """x itself, or a contiguous copy where an element is misaligned or a stride no multiple of the item size."""
    cdef int axis
    cdef int64_t size = cnp.PyArray_ITEMSIZE(x)
    cdef bint ok = cnp.PyArray_ISBEHAVED_RO(x)
    for axis in range(cnp.PyArray_NDIM(x)):
        ok = ok and cnp.PyArray_STRIDE(x, axis) % size == 0
    return x if ok else cnp.PyArray_GETCONTIGUOUS(x)


cdef void run(
    floating *unused, Operand a, Operand b, const void *e, int64_t e_batch, int64_t e_row, void *out
) noexcept nogil:
    cdef int64_t batch = a.batch if a.batch > b.batch else b.batch, M = a.rows, N = b.columns, K = a.columns
    # one product of many rows is better cut than many of few
    if batch > 1 and b.by_batch == 0 and a.by_batch == M * a.by_row and (e == NULL or e_batch == M * e_row):
        M, batch = batch * M, 1
    # 100 GFLOP/s of float, 50 of double; or 25 GB/s, which is what one core gets from memory (a dot of 65,536: 5.6 us on one
    # thread, 3.9 on two)
    cdef int64_t flops = batch * M * N * K * sizeof(floating) // 200
    cdef int64_t memory = batch * (M * K + K * N + M * N) * sizeof(floating) // 25
    gemm(batch, M, N, K, <const floating *> a.data, a.by_batch, a.by_row, a.by_column,
         <const floating *> b.data, b.by_batch, b.by_row, b.by_column, <floating *> out, <const floating *> e, e_batch, e_row,
         plan_threads(flops if flops > memory else memory))


cdef inline void multiply(
    int typenum, Operand a, Operand b, const void *e, int64_t e_batch, int64_t e_row, void *out
) noexcept nogil:
    if typenum == cnp.NPY_FLOAT:
        run[float](NULL, a, b, e, e_batch, e_row, out)
    else:
        run[double](NULL, a, b, e, e_batch, e_row, out)


cdef cnp.ndarray product(cnp.ndarray a, bint transpose_a, cnp.ndarray b, bint transpose_b, cnp.ndarray bias):
    """matmul of a and b, or of the transposes of their matrices. bias: None, (N,), or whatever has the shape of the result."""
    a, b = usable(a), usable(b)
    cdef Operand x = operand(a, transpose_a), y = operand(b, transpose_b)
    cdef int ndim = max(cnp.PyArray_NDIM(a), cnp.PyArray_NDIM(b))
    cdef cnp.npy_intp[3] shape
    cdef cnp.ndarray out
    cdef Operand e
    e.data, e.by_batch, e.by_row = NULL, 0, 0
    shape[0] = x.batch if y.batch == 1 else y.batch
    shape[ndim - 2], shape[ndim - 1] = x.rows, y.columns
    out = empty(ndim, shape, cnp.PyArray_TYPE(a))
    if cnp.PyArray_SIZE(out) == 0:
        return out
    if bias is not None:
        bias = usable(bias)
        if cnp.PyArray_NDIM(bias) == 1:
            bias = cnp.PyArray_GETCONTIGUOUS(bias)
            e.data = cnp.PyArray_DATA(bias)
        else:
            e = operand(bias, False)
            if e.by_column != 1:
                bias = cnp.PyArray_GETCONTIGUOUS(bias)
                e = operand(bias, False)
    with nogil:
        multiply(cnp.PyArray_TYPE(out), x, y, e.data, e.by_batch, e.by_row, cnp.PyArray_DATA(out))
    return out


cdef inline Operand of_vector(cnp.ndarray x, bint is_row):
    """A vector as a matrix of one row or of one column."""
    cdef Operand view
    cdef int64_t size = cnp.PyArray_DIM(x, 0), step = cnp.PyArray_STRIDE(x, 0) // cnp.PyArray_ITEMSIZE(x)
    view.data, view.batch, view.by_batch = cnp.PyArray_DATA(x), 1, 0
    view.rows, view.columns = 1 if is_row else size, size if is_row else 1
    view.by_row, view.by_column = 0 if is_row else step, step if is_row else 0
    return view


cdef cnp.ndarray matrix_by_vector(cnp.ndarray a, bint transpose, cnp.ndarray x):
    """a @ x, (M, K) @ (K,) -> (M,), or that of a's transpose."""
    a, x = usable(a), usable(x)
    cdef Operand matrix = operand(a, transpose), column = of_vector(x, False)
    cdef cnp.npy_intp[1] shape
    shape[0] = matrix.rows
    cdef cnp.ndarray out = empty(1, shape, cnp.PyArray_TYPE(a))
    with nogil:
        multiply(cnp.PyArray_TYPE(out), matrix, column, NULL, 0, 0, cnp.PyArray_DATA(out))
    return out


cdef cnp.ndarray outer_product(cnp.ndarray x, cnp.ndarray y):
    """x y^T, (M,), (N,) -> (M, N)."""
    x, y = usable(x), usable(y)
    cdef Operand column = of_vector(x, False), row = of_vector(y, True)
    cdef cnp.npy_intp[2] shape
    shape[0], shape[1] = column.rows, row.columns
    cdef cnp.ndarray out = empty(2, shape, cnp.PyArray_TYPE(x))
    with nogil:
        multiply(cnp.PyArray_TYPE(out), column, row, NULL, 0, 0, cnp.PyArray_DATA(out))
    return out


cdef cnp.ndarray inner_product(cnp.ndarray x, cnp.ndarray y):
    """The sum of x * y for two vectors, as a 0-d array: a row by a column."""
    x, y = cnp.PyArray_GETCONTIGUOUS(x), cnp.PyArray_GETCONTIGUOUS(y)
    cdef Operand row = of_vector(x, True), column = of_vector(y, False)
    cdef cnp.ndarray out = empty(0, cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    row.by_column = column.by_row = 1  # whatever numpy says of a vector of one element
    with nogil:
        multiply(cnp.PyArray_TYPE(out), row, column, NULL, 0, 0, cnp.PyArray_DATA(out))
    return out


cdef cnp.ndarray sum_of_rows(cnp.ndarray x):
    """The sum of the rows of a matrix, in order: a row of ones @ x."""
    x = usable(x)
    cdef Operand ones, y = operand(x, False)
    cdef cnp.npy_intp[1] shape
    cdef cnp.ndarray out
    cdef float one = 1
    cdef double double_one = 1
    shape[0] = y.columns
    out = empty(1, shape, cnp.PyArray_TYPE(x))
    ones.batch, ones.rows, ones.columns = 1, 1, y.rows
    ones.by_batch, ones.by_row, ones.by_column = 0, 0, 0
    ones.data = <void *> &one if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else <void *> &double_one
    multiply(cnp.PyArray_TYPE(out), ones, y, NULL, 0, 0, cnp.PyArray_DATA(out))
    return out


def matmul(cnp.ndarray a, cnp.ndarray b, cnp.ndarray bias):
    """a @ b + bias, (M, K) @ (K, N) -> (M, N) or (B, M, K) @ (B, K, N) -> (B, M, N).

    a and b have 2 or 3 axes and any strides; a batch axis that is missing or 1 in one is repeated. bias is None, (N,) or of the
    result's shape.
    All are of one type, float32 or float64.
    """
    return product(a, False, b, False, bias)


def matmul_into(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, bint accumulate):
    """out = a @ b, or out += a @ b; as matmul, into a C-contiguous array of the result's shape that overlaps neither."""
    a, b = usable(a), usable(b)
    cdef Operand x = operand(a, False), y = operand(b, False)
    cdef int64_t M = x.rows, N = y.columns
    cdef void *data = cnp.PyArray_DATA(out)
    if cnp.PyArray_SIZE(out) == 0:
        return
    with nogil:
        multiply(cnp.PyArray_TYPE(out), x, y, data if accumulate else NULL, M * N, N, data)
