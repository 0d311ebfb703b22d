"""relu, sigmoid and tanh, compiled, as nodes of the graph.

Each is two nodes, as the activations of minigrad/ops/activation.py are: y = f(x), and g f'(x), which is differentiable again. The slope
of all three is a function of y alone, so that y is all they keep.
"""
cimport numpy as cnp

from minigrad._ext cimport elementwise as kernels
from minigrad._ext.engine cimport (
    Function, TensorBase, attach, begin, edge_of, end, grad_enabled, keep_out, needs_grad, unpack_out, watching, wrap,
)

cnp.import_array()


cdef class CurveFunction(Function):
    """y = f(x). A subclass gives value(x) and a new node of the slope."""

    cdef cnp.ndarray value(self, cnp.ndarray x):
        raise NotImplementedError

    cdef SlopeFunction slope(self):
        raise NotImplementedError

    cdef object run_backward(self, object g, bint create_graph):
        self.check_saved()
        return times_slope(self.slope(), g, unpack_out(self, create_graph))


cdef class SlopeFunction(Function):
    """g f'(x) as a function of g and y. A subclass gives product(g, y) and bend(y): the derivative of f' by y, None for zero."""

    cdef cnp.ndarray product(self, cnp.ndarray g, cnp.ndarray y):
        raise NotImplementedError

    cdef object bend(self, TensorBase y):
        return None

    cdef object run_backward(self, object gg, bint create_graph):
        cdef object of_y = None
        self.check_saved()
        g, y = self.saved
        if self.needs(1):
            bend = self.bend(y)
            of_y = None if bend is None else gg * g * bend
        return (times_slope(type(self)(), gg, y) if self.needs(0) else None, of_y)


cdef TensorBase times_slope(SlopeFunction node, TensorBase g, TensorBase y):
    """g f'(x), recorded if need be."""
    if not watching:
        return run_slope(node, g, y)
    out = None
    begin(node, (g, y))
    try:
        out = run_slope(node, g, y)
    finally:
        end(node, (g, y), out)
    return out


cdef TensorBase run_slope(SlopeFunction node, TensorBase g, TensorBase y):
    cdef TensorBase out = wrap(node.product(g._array, y._array))
    cdef object eg, ey
    if grad_enabled() and (needs_grad(g) or needs_grad(y)):
        eg, ey = edge_of(g), edge_of(y)
        node.keep(g if ey is not None else None, y)
        attach(out, node, (eg, ey))
    return out


cdef class ReluFunction(CurveFunction):
    """max(x, 0)"""

    cdef cnp.ndarray value(self, cnp.ndarray x):
        return kernels.relu(x)

    cdef SlopeFunction slope(self):
        return ReluGradFunction.__new__(ReluGradFunction)


cdef class ReluGradFunction(SlopeFunction):
    """g where y > 0, 0 elsewhere"""

    cdef cnp.ndarray product(self, cnp.ndarray g, cnp.ndarray y):
        return kernels.relu_backward(g, y)


cdef class SigmoidFunction(CurveFunction):
    """1 / (1 + e^-x)"""

    cdef cnp.ndarray value(self, cnp.ndarray x):
        return kernels.sigmoid(x)

    cdef SlopeFunction slope(self):
        return SigmoidGradFunction.__new__(SigmoidGradFunction)


cdef class SigmoidGradFunction(SlopeFunction):
    """g y (1 - y)"""

    cdef cnp.ndarray product(self, cnp.ndarray g, cnp.ndarray y):
        return kernels.sigmoid_backward(g, y)

    cdef object bend(self, TensorBase y):
        return 1 - y * 2.0


cdef class TanhFunction(CurveFunction):
    """The hyperbolic tangent"""

    cdef cnp.ndarray value(self, cnp.ndarray x):
        return kernels.tanh(x)

    cdef SlopeFunction slope(self):
        return TanhGradFunction.__new__(TanhGradFunction)


cdef class TanhGradFunction(SlopeFunction):
    """g (1 - y^2)"""

    cdef cnp.ndarray product(self, cnp.ndarray g, cnp.ndarray y):
        return kernels.tanh_backward(g, y)

    cdef object bend(self, TensorBase y):
        return y * -2.0


cdef object run(CurveFunction node, object input):
    """f(x) for a tensor of a float type, else None."""
    if not isinstance(input, TensorBase) or not cnp.PyArray_ISFLOAT((<TensorBase> input)._array):
        return None
    if not watching:
        return run_curve(node, <TensorBase> input)
    out = None
    begin(node, (input,))
    try:
        out = run_curve(node, <TensorBase> input)
    finally:
        end(node, (input,), out)
    return out


cdef TensorBase run_curve(CurveFunction node, TensorBase x):
    cdef TensorBase out = wrap(node.value(x._array))
    if grad_enabled() and needs_grad(x):
        attach(out, node, (edge_of(x),))
        keep_out(node, out)
    return out


def try_relu(input, /):
    """max(x, 0) for a tensor of a float type, else None."""
    return run(ReluFunction.__new__(ReluFunction), input)


def try_sigmoid(input, /):
    """1 / (1 + e^-x) for a tensor of a float type, else None."""
    return run(SigmoidFunction.__new__(SigmoidFunction), input)


def try_tanh(input, /):
    """The hyperbolic tangent of a tensor of a float type, else None."""
    return run(TanhFunction.__new__(TanhFunction), input)
