"""The matrix product and the linear layer, compiled, as nodes of the graph.

They are what they would be in minigrad/ops/linalg.py, which says what they are for and checks their arguments; the
difference is speed for small tensors.
"""
cimport numpy as cnp

from minigrad._ext.engine cimport Function, TensorBase, attach, begin, edge_of, end, grad_enabled, needs_grad, watching, wrap
from minigrad._ext.gemm cimport inner_product, matrix_by_vector, outer_product, product, sum_of_rows

cnp.import_array()

cdef object sum_rows = None


def configure(*, sum) -> None:
    """Tells this module about the Python half of the library: sum(x, 0), differentiable. Called by minigrad/ops/linalg.py."""
    global sum_rows
    sum_rows = sum


cdef class MatmulFunction(Function):
    """z = x' @ y' with x' = x or its transpose, y' likewise; a family that is closed under differentiation.

    gx' = g @ y'.T, gy' = x'.T @ g; where x' is a transpose, gx = gx'.T = y' @ g.T.
    """
    cdef bint transpose_x
    cdef bint transpose_y

    def own_name(self):
        return "MmBackward0" if self.out_ndim == 2 else "BmmBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        cdef object gx = None, gy = None
        if self.needs(0):
            gx = multiply(y, g, self.transpose_y, True) if self.transpose_x else multiply(g, y, False, not self.transpose_y)
        if self.needs(1):
            gy = multiply(g, x, True, self.transpose_x) if self.transpose_y else multiply(x, g, not self.transpose_x, False)
        return (gx, gy)


cdef class LinearFunction(Function):
    """x @ w.T + b: (R, I) @ (I, O) + (O,) -> (R, O). gx = g @ w, gw = g.T @ x, gb = the sum of g's rows."""
    label = "AddmmBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        cdef object gb = None
        cdef bint few
        self.check_saved()
        x, w = self.saved
        if self.needs(2):
            # few rows may be added one after the other; many are added in blocks, which rounds less
            few = cnp.PyArray_DIM((<TensorBase> g)._array, 0) <= 512
            gb = sum_rows(g, 0) if create_graph or not few else wrap(sum_of_rows((<TensorBase> g)._array))
        return (
            multiply(g, w, False, False) if self.needs(0) else None,
            multiply(g, x, True, False) if self.needs(1) else None,
            gb,
        )


cdef class DotFunction(Function):
    """The sum of x * y: (K,), (K,) -> (). gx = g y, gy = g x."""
    label = "DotBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        return (g * y if self.needs(0) else None, g * x if self.needs(1) else None)


cdef TensorBase record(str name, TensorBase x, TensorBase y, cnp.ndarray array, Function node):
    """array as the result of this node upon x and y, recorded if need be."""
    cdef TensorBase out = wrap(array)
    cdef object ex, ey
    if grad_enabled() and (needs_grad(x) or needs_grad(y)):
        ex, ey = edge_of(x), edge_of(y)
        node.keep(x if ey is not None else None, y if ex is not None else None)
        attach(out, node, (ex, ey))
    if watching:
        end(name, (x, y), out)
    return out


cdef TensorBase multiply(TensorBase x, TensorBase y, bint transpose_x, bint transpose_y):
    """x' @ y', recorded if need be. Shapes and types agree."""
    if watching:
        begin("matmul", (x, y))
    cdef MatmulFunction node = MatmulFunction.__new__(MatmulFunction)
    node.transpose_x, node.transpose_y = transpose_x, transpose_y
    return record("matmul", x, y, product(x._array, transpose_x, y._array, transpose_y, None), node)


def matmul(TensorBase x, TensorBase y, /):
    """x @ y for two matrices, or two batches of as many, of one float type, whose shapes agree."""
    return multiply(x, y, False, False)


cdef class MvFunction(Function):
    """z = x' y with x' = x or its transpose: (M, K), (K,) -> (M,). gx' = g y^T, gy = x'^T g."""
    cdef bint transpose_x
    label = "MvBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        cdef object gx = None, gy = None
        if self.needs(0):
            gx = outer_of(y, g) if self.transpose_x else outer_of(g, y)
        if self.needs(1):
            gy = mv_of(x, g, not self.transpose_x)
        return (gx, gy)


cdef class OuterFunction(Function):
    """x y^T: (M,), (N,) -> (M, N). gx = g y, gy = g^T x: no product of g's size is made to be summed."""
    label = "MulBackward0"

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        return (mv_of(g, y, False) if self.needs(0) else None, mv_of(g, x, True) if self.needs(1) else None)


cdef TensorBase mv_of(TensorBase x, TensorBase y, bint transpose_x):
    """x' y, recorded if need be. Shapes and types agree."""
    if watching:
        begin("mv", (x, y))
    cdef MvFunction node = MvFunction.__new__(MvFunction)
    node.transpose_x = transpose_x
    return record("mv", x, y, matrix_by_vector(x._array, transpose_x, y._array), node)


cdef TensorBase outer_of(TensorBase x, TensorBase y):
    """x y^T, recorded if need be. The types agree."""
    if watching:
        begin("outer", (x, y))
    return record("outer", x, y, outer_product(x._array, y._array), OuterFunction.__new__(OuterFunction))


cdef bint of_floats(object x, object y, int x_ndim, int y_ndim) noexcept:
    """Whether x and y are tensors of one float type with so many dimensions."""
    if not (isinstance(x, TensorBase) and isinstance(y, TensorBase)):
        return False
    cdef int typenum = cnp.PyArray_TYPE((<TensorBase> x)._array)
    return (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and (
        typenum == cnp.PyArray_TYPE((<TensorBase> y)._array)
        and cnp.PyArray_NDIM((<TensorBase> x)._array) == x_ndim and cnp.PyArray_NDIM((<TensorBase> y)._array) == y_ndim)


def try_dot(x, y, /):
    """The sum of x * y for two vectors of one float type and length, else None."""
    if not of_floats(x, y, 1, 1) or (
            cnp.PyArray_DIM((<TensorBase> x)._array, 0) != cnp.PyArray_DIM((<TensorBase> y)._array, 0)):
        return None
    if watching:
        begin("dot", (x, y))
    cdef cnp.ndarray out = inner_product((<TensorBase> x)._array, (<TensorBase> y)._array)
    return record("dot", x, y, out, DotFunction.__new__(DotFunction))


def try_mv(x, y, /):
    """x @ y for a matrix and a vector of one float type whose sizes agree, else None."""
    if not of_floats(x, y, 2, 1) or (
            cnp.PyArray_DIM((<TensorBase> x)._array, 1) != cnp.PyArray_DIM((<TensorBase> y)._array, 0)):
        return None
    return mv_of(x, y, False)


def try_vm(x, y, /):
    """x @ y for a vector and a matrix of one float type whose sizes agree, else None."""
    if not of_floats(x, y, 1, 2) or (
            cnp.PyArray_DIM((<TensorBase> x)._array, 0) != cnp.PyArray_DIM((<TensorBase> y)._array, 0)):
        return None
    return mv_of(y, x, True)


def try_outer(x, y, /):
    """x y^T for two vectors of one float type, else None."""
    return outer_of(x, y) if of_floats(x, y, 1, 1) else None


cdef inline bint is_matrix(object x, int typenum) noexcept:
    return isinstance(x, TensorBase) and cnp.PyArray_NDIM((<TensorBase> x)._array) == 2 and (
        cnp.PyArray_TYPE((<TensorBase> x)._array) == typenum)


def try_matmul(x, y, /):
    """x @ y if both are matrices of one float type whose shapes agree, else None."""
    if not isinstance(x, TensorBase):
        return None
    cdef int typenum = cnp.PyArray_TYPE((<TensorBase> x)._array)
    if (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and is_matrix(x, typenum) and is_matrix(y, typenum) and (
            cnp.PyArray_DIM((<TensorBase> x)._array, 1) == cnp.PyArray_DIM((<TensorBase> y)._array, 0)):
        return multiply(x, y, False, False)
    return None


def try_linear(x, w, b, /):
    """x @ w.T + b if x (R, I) and w (O, I) are matrices of one float type and b is (O,) of that type or None, else None."""
    if not isinstance(x, TensorBase):
        return None
    cdef int typenum = cnp.PyArray_TYPE((<TensorBase> x)._array)
    if not ((typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and is_matrix(x, typenum) and is_matrix(w, typenum)):
        return None
    cdef cnp.ndarray rows = (<TensorBase> x)._array, weight = (<TensorBase> w)._array, bias = None
    if cnp.PyArray_DIM(rows, 1) != cnp.PyArray_DIM(weight, 1):
        return None
    if b is not None:
        if not isinstance(b, TensorBase):
            return None
        bias = (<TensorBase> b)._array
        if not (cnp.PyArray_TYPE(bias) == typenum and cnp.PyArray_NDIM(bias) == 1 and (
                cnp.PyArray_DIM(bias, 0) == cnp.PyArray_DIM(weight, 0))):
            return None
    if watching:
        begin("linear", (x, w, b))
    cdef TensorBase out = wrap(product(rows, False, weight, True, bias))
    cdef object ex, ew, eb
    cdef LinearFunction node
    if grad_enabled() and (needs_grad(x) or needs_grad(w) or (b is not None and needs_grad(b))):
        ex, ew, eb = edge_of(x), edge_of(w), None if b is None else edge_of(b)
        node = LinearFunction.__new__(LinearFunction)
        node.keep(x if ew is not None else None, w if ex is not None else None)
        attach(out, node, (ex, ew, eb))
    if watching:
        end("linear", (x, w, b), out)
    return out
