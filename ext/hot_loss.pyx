"""The losses of most training steps, compiled, as nodes of the graph: what they would be in minigrad/ops/loss.py, but for their speed."""
import math

cimport numpy as cnp
from libc.string cimport memcpy

from minigrad._ext.engine cimport Function, TensorBase, attach, begin, edge_of, end, grad_enabled, needs_grad, watching, wrap
from minigrad._ext.loss cimport (
    cross_entropy_backward,
    cross_entropy_forward,
    find_bad_target,
    nll_backward,
    nll_forward,
    scaled_difference,
    squared_error,
)
from minigrad._ext.memory cimport empty, zeros

cnp.import_array()


cdef class MseLossFunction(Function):
    """scale * sum (x - y)^2, of equal shapes. gx = 2 scale g (x - y), gy = -gx."""
    cdef double scale

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        x, y = self.saved
        if create_graph:
            gx = (x - y) * (g * (2 * self.scale))
        else:
            gx = wrap(difference((<TensorBase> x)._array, (<TensorBase> y)._array, 2 * self.scale * number((<TensorBase> g)._array)))
        gy = -gx if self.needs(1) else None
        return (gx if self.needs(0) else None, gy)


cdef inline cnp.ndarray dense(cnp.ndarray x):
    return x if cnp.PyArray_ISCARRAY_RO(x) else cnp.PyArray_GETCONTIGUOUS(x)


cdef inline double number(cnp.ndarray x):
    """The value of a 0-d array of float32 or float64."""
    return (<float *> cnp.PyArray_DATA(x))[0] if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32 else (<double *> cnp.PyArray_DATA(x))[0]


cdef cnp.ndarray difference(cnp.ndarray x, cnp.ndarray y, double scale):
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    scaled_difference(dense(x), dense(y), scale, out)
    return out


cdef TensorBase run(MseLossFunction node, TensorBase x, TensorBase y):
    cdef cnp.ndarray loss = empty(0, NULL, cnp.PyArray_TYPE(x._array))
    cdef double total = squared_error(dense(x._array), dense(y._array)) * node.scale
    cdef TensorBase out
    if cnp.PyArray_TYPE(loss) == cnp.NPY_FLOAT32:
        (<float *> cnp.PyArray_DATA(loss))[0] = <float> total
    else:
        (<double *> cnp.PyArray_DATA(loss))[0] = total
    out = wrap(loss)
    if grad_enabled() and (needs_grad(x) or needs_grad(y)):
        node.keep(x, y)
        attach(out, node, (edge_of(x), edge_of(y)))
    return out


def try_squared_error(x, y, bint mean, /):
    """The sum, or mean, of (x - y)^2 over all elements if x and y have one shape and one float type, else None."""
    if not (isinstance(x, TensorBase) and isinstance(y, TensorBase)):
        return None
    cdef cnp.ndarray a = (<TensorBase> x)._array, b = (<TensorBase> y)._array
    cdef int typenum = cnp.PyArray_TYPE(a)
    if not (
        (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and cnp.PyArray_TYPE(b) == typenum and cnp.PyArray_SAMESHAPE(a, b)
    ):
        return None
    cdef MseLossFunction node = MseLossFunction.__new__(MseLossFunction)
    node.scale = 1 if not mean else 1.0 / cnp.PyArray_SIZE(a) if cnp.PyArray_SIZE(a) else math.nan
    if not watching:
        return run(node, x, y)
    out = None
    begin(node, (x, y))
    try:
        out = run(node, x, y)
    finally:
        end(node, (x, y), out)
    return out


# The losses of class indices: scores (N, C) and targets (N) without weights, the mean or the sum. The others are in minigrad/ops/loss.py,
# and so are the gradients that are themselves recorded.


cdef object cross_entropy_gradient = None
cdef object nll_gradient = None


def configure(*, cross_entropy, nll):
    """Tells this module the differentiable gradients: cross_entropy(g, x, target, ignore, smoothing, reduction), nll(g, shape, target,
    ignore, reduction, scale) for arrays target. Called once, by minigrad/ops/loss.py."""
    global cross_entropy_gradient, nll_gradient
    cross_entropy_gradient, nll_gradient = cross_entropy, nll


cdef class ClassLossFunction(Function):
    """A loss of scores (N, C) at the classes of a target: its copy, and what the sum of the losses is multiplied by."""
    cdef cnp.ndarray target
    cdef cnp.npy_intp ignore
    cdef double scale
    cdef bint mean

    def own_name(self):
        return "NllLossBackward0"

    cdef tuple totals(self, TensorBase x):
        """The sum of the losses and the number of targets that count."""
        raise NotImplementedError


cdef class CrossEntropyFunction(ClassLossFunction):
    """-(1 - s) log p[t] - s / C sum log p for p = softmax(x) and the label smoothing s"""
    cdef cnp.ndarray maxima, logs
    cdef double smoothing

    cdef tuple totals(self, TensorBase x):
        cdef int typenum = cnp.PyArray_TYPE(x._array)
        cdef cnp.npy_intp *count = cnp.PyArray_DIMS(self.target)
        self.maxima, self.logs = empty(1, count, typenum), empty(1, count, typenum)
        return cross_entropy_forward(
            x._array, self.target, None, self.ignore, self.smoothing, empty(1, count, typenum), self.maxima, self.logs
        )

    cdef object run_backward(self, object g, bint create_graph):
        cdef TensorBase x
        cdef cnp.ndarray gx
        self.check_saved()
        x = self.saved[0]
        if create_graph:
            return (cross_entropy_gradient(g, x, self.target, self.ignore, self.smoothing, "mean" if self.mean else "sum"),)
        gx = empty(2, cnp.PyArray_DIMS(x._array), cnp.PyArray_TYPE(x._array))
        cross_entropy_backward(
            (<TensorBase> g)._array, self.scale, x._array, self.target, None, self.ignore, self.smoothing, self.maxima, self.logs, gx
        )
        return (wrap(gx),)


cdef class NllLossFunction(ClassLossFunction):
    """-x[t], linear in x"""
    cdef cnp.npy_intp[2] shape

    cdef tuple totals(self, TensorBase x):
        self.shape[0], self.shape[1] = cnp.PyArray_DIM(x._array, 0), cnp.PyArray_DIM(x._array, 1)
        return nll_forward(x._array, self.target, None, self.ignore, empty(1, self.shape, cnp.PyArray_TYPE(x._array)))

    cdef object run_backward(self, object g, bint create_graph):
        cdef cnp.ndarray gx
        if create_graph:
            reduction = "mean" if self.mean else "sum"
            return (nll_gradient(g, (self.shape[0], self.shape[1]), self.target, self.ignore, reduction, self.scale),)
        gx = zeros(2, self.shape, cnp.PyArray_TYPE((<TensorBase> g)._array))
        nll_backward((<TensorBase> g)._array, self.scale, self.target, None, self.ignore, gx)
        return (wrap(gx),)


cdef TensorBase run_class_loss(ClassLossFunction node, TensorBase x, bint entropy):
    cdef cnp.ndarray loss = empty(0, NULL, cnp.PyArray_TYPE(x._array))
    cdef double total, count
    cdef TensorBase out
    total, count = node.totals(x)
    node.scale = 1
    if node.mean:
        node.scale = 1 / count if count else 0
        total = total / count if count else math.nan
    if cnp.PyArray_TYPE(loss) == cnp.NPY_FLOAT32:
        (<float *> cnp.PyArray_DATA(loss))[0] = <float> total
    else:
        (<double *> cnp.PyArray_DATA(loss))[0] = total
    out = wrap(loss)
    if grad_enabled() and needs_grad(x):
        if entropy:
            node.keep(x, None)
        attach(out, node, (edge_of(x),))
    return out


def try_class_loss(x, target, ignore, bint mean, bint entropy, double smoothing, /):
    """The cross entropy (or, not entropy: the negative log likelihood) of contiguous float scores x (N, C) and valid int64 targets (N), C
    and N above 0; None for any other. smoothing, in [0, 1], is the cross entropy's."""
    if not (isinstance(x, TensorBase) and isinstance(target, TensorBase) and type(ignore) is int):
        return None
    cdef cnp.ndarray a = (<TensorBase> x)._array, t = (<TensorBase> target)._array
    cdef int typenum = cnp.PyArray_TYPE(a)
    if not (
        (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64) and cnp.PyArray_TYPE(t) == cnp.NPY_INT64
        and cnp.PyArray_NDIM(a) == 2 and cnp.PyArray_NDIM(t) == 1 and cnp.PyArray_DIM(a, 0) == cnp.PyArray_DIM(t, 0)
        and cnp.PyArray_SIZE(a) and cnp.PyArray_ISCARRAY_RO(a) and cnp.PyArray_ISCARRAY_RO(t)
    ):
        return None
    if find_bad_target(t, cnp.PyArray_DIM(a, 1), ignore) >= 0:
        return None
    cdef ClassLossFunction node = CrossEntropyFunction() if entropy else NllLossFunction()
    if entropy:
        (<CrossEntropyFunction> node).smoothing = smoothing
    node.target = empty(1, cnp.PyArray_DIMS(t), cnp.NPY_INT64)
    memcpy(cnp.PyArray_DATA(node.target), cnp.PyArray_DATA(t), cnp.PyArray_NBYTES(t))
    node.ignore, node.mean = ignore, mean
    if not watching:
        return run_class_loss(node, x, entropy)
    out = None
    begin(node, (x,))
    try:
        out = run_class_loss(node, x, entropy)
    finally:
        end(node, (x,), out)
    return out
