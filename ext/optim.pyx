"""Optimizer updates: each writes parameters and their state in one pass over every parameter.

The functions take parallel lists of arrays: parameters, gradients and state of equal shapes and one float type an entry, None
for an absent state array. State arrays are C-contiguous; parameters and gradients may be strided.
"""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "optim.h" nogil:
    void optim_sgd(...)
    void optim_adam(...)
    void optim_rmsprop(...)
    void optim_adagrad(...)
    void optim_adadelta(...)


cdef inline cnp.ndarray gradient(cnp.ndarray grad, cnp.ndarray param):
    """The gradient, contiguous, once it is known to fit: `param.data = ...` may have changed the parameter since backward."""
    if cnp.PyArray_SIZE(grad) != cnp.PyArray_SIZE(param) or cnp.PyArray_TYPE(grad) != cnp.PyArray_TYPE(param):
        raise RuntimeError(
            f"optimizer: a gradient of shape {(<object> grad).shape} and type {(<object> grad).dtype} does not fit its "
            f"parameter of shape {(<object> param).shape} and type {(<object> param).dtype}"
        )
    return dense(grad)


cdef inline cnp.ndarray dense(cnp.ndarray array):
    """The array itself if it is C-contiguous, else a contiguous copy."""
    return array if cnp.PyArray_IS_C_CONTIGUOUS(array) else cnp.PyArray_GETCONTIGUOUS(array)


cdef inline cnp.ndarray writable(cnp.ndarray param):
    """The array to update: `param`, or a contiguous copy to be written back by `finish`."""
    if not cnp.PyArray_ISWRITEABLE(param):
        raise RuntimeError("optimizer: a parameter shares memory with a read-only array; make it from a copy")
    return dense(param)


cdef inline int finish(cnp.ndarray param, cnp.ndarray updated) except -1:
    if updated is not param:
        cnp.PyArray_CopyInto(param, updated)
    return 0


cdef inline void *data_of(object state, cnp.ndarray param) except? NULL:
    """The memory of a state array, NULL for an absent one. Users can write to the state, so it is checked here."""
    if state is None:
        return NULL
    cdef cnp.ndarray array = state
    if (cnp.PyArray_SIZE(array) != cnp.PyArray_SIZE(param) or cnp.PyArray_TYPE(array) != cnp.PyArray_TYPE(param)
            or not cnp.PyArray_ISCARRAY(array)):
        raise RuntimeError(
            f"optimizer: state of shape {(<object> array).shape} and type {(<object> array).dtype} does not fit a parameter of "
            f"shape {(<object> param).shape} and type {(<object> param).dtype}"
        )
    return cnp.PyArray_DATA(array)


cdef inline bint is_double(cnp.ndarray array) noexcept:
    return cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE


# Estimates of the work on one thread, ns an element: measured on a Zen 4 core with arrays of 4 MB.
cdef double SGD_NS = 0.35
cdef double ADAM_NS = 0.8


cdef inline int threads_for(int64_t n, double ns, bint double_precision) noexcept nogil:
    return plan_threads(<int64_t> (n * ns * (2 if double_precision else 1)))


cdef void run_sgd(floating *p, void *g, void *b, int64_t n, double lr, double momentum, double dampening, double weight_decay,
                  int nesterov, int maximize, int first) noexcept nogil:
    cdef int threads = threads_for(n, SGD_NS, sizeof(floating) == 8)
    optim_sgd(p, <const floating *> g, <floating *> b, n, lr, momentum, dampening, weight_decay, nesterov, maximize, first,
              threads)


def sgd(list params, list grads, list buffers, list first, double lr, double momentum, double dampening,
        double weight_decay, bint nesterov, bint maximize):
    """d = +-g + weight_decay p; b = momentum b + (1 - dampening) d (b = d where first[i]); p -= lr b, or lr (d + momentum b)."""
    cdef Py_ssize_t i
    cdef cnp.ndarray param, p, g
    cdef void *b
    cdef int64_t n
    cdef int fresh
    for i in range(len(params)):
        param = params[i]
        p, g = writable(param), gradient(grads[i], param)
        b = data_of(buffers[i], p)
        n, fresh = cnp.PyArray_SIZE(p), first[i]
        if is_double(p):
            with nogil:
                run_sgd(<double *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), b, n, lr, momentum, dampening, weight_decay,
                        nesterov, maximize, fresh)
        else:
            with nogil:
                run_sgd(<float *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), b, n, lr, momentum, dampening, weight_decay,
                        nesterov, maximize, fresh)
        finish(param, p)


cdef void run_adam(floating *p, void *g, void *m, void *v, void *top, int64_t n, double step_size, double beta1, double beta2,
                   double eps, double root, double shrink, double weight_decay, int maximize) noexcept nogil:
    cdef int threads = threads_for(n, ADAM_NS, sizeof(floating) == 8)
    optim_adam(p, <const floating *> g, <floating *> m, <floating *> v, <floating *> top, n, step_size, beta1, beta2, eps, root,
               shrink, weight_decay, maximize, threads)


def adam(list params, list grads, list means, list squares, list tops, list steps, double lr, double beta1, double beta2,
         double eps, double weight_decay, bint decoupled, bint maximize):
    """m += (1 - beta1)(d - m); v = beta2 v + (1 - beta2) d^2; p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps).

    t is steps[i]. `tops` holds the running maximum of v that takes its place (amsgrad) or None. The weight decay adds to the
    gradient, or, if decoupled, shrinks p by the factor 1 - lr weight_decay first.
    """
    cdef Py_ssize_t i
    cdef cnp.ndarray param, p, g
    cdef void *m
    cdef void *v
    cdef void *top
    cdef int64_t n
    cdef double t, rate, root
    cdef double shrink = 1 - lr * weight_decay if decoupled else 1.0
    cdef double decay = 0.0 if decoupled else weight_decay
    for i in range(len(params)):
        param = params[i]
        p, g = writable(param), gradient(grads[i], param)
        m, v, top = data_of(means[i], p), data_of(squares[i], p), data_of(tops[i], p)
        n, t = cnp.PyArray_SIZE(p), steps[i]
        rate, root = lr / (1 - beta1**t), (1 - beta2**t)**0.5
        if is_double(p):
            with nogil:
                run_adam(<double *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), m, v, top, n, rate, beta1, beta2, eps, root,
                         shrink, decay, maximize)
        else:
            with nogil:
                run_adam(<float *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), m, v, top, n, rate, beta1, beta2, eps, root,
                         shrink, decay, maximize)
        finish(param, p)


cdef void run_rmsprop(floating *p, void *g, void *s, void *a, void *b, int64_t n, double lr, double alpha, double eps,
                      double weight_decay, double momentum, int maximize) noexcept nogil:
    cdef int threads = threads_for(n, ADAM_NS, sizeof(floating) == 8)
    optim_rmsprop(p, <const floating *> g, <floating *> s, <floating *> a, <floating *> b, n, lr, alpha, eps, weight_decay,
                  momentum, maximize, threads)


def rmsprop(list params, list grads, list squares, list averages, list buffers, double lr, double alpha, double eps,
            double weight_decay, double momentum, bint maximize):
    """s = alpha s + (1 - alpha) d^2; u = d / (sqrt(s) + eps); b = momentum b + u; p -= lr b.

    With averages (centered) a += (1 - alpha)(d - a) and sqrt(s - a^2); without buffers p -= lr u.
    """
    cdef Py_ssize_t i
    cdef cnp.ndarray param, p, g
    cdef void *s
    cdef void *a
    cdef void *b
    cdef int64_t n
    for i in range(len(params)):
        param = params[i]
        p, g = writable(param), gradient(grads[i], param)
        s, a, b = data_of(squares[i], p), data_of(averages[i], p), data_of(buffers[i], p)
        n = cnp.PyArray_SIZE(p)
        if is_double(p):
            with nogil:
                run_rmsprop(<double *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), s, a, b, n, lr, alpha, eps, weight_decay,
                            momentum, maximize)
        else:
            with nogil:
                run_rmsprop(<float *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), s, a, b, n, lr, alpha, eps, weight_decay,
                            momentum, maximize)
        finish(param, p)


cdef void run_adagrad(floating *p, void *g, void *s, int64_t n, double lr, double eps, double weight_decay,
                      int maximize) noexcept nogil:
    cdef int threads = threads_for(n, ADAM_NS, sizeof(floating) == 8)
    optim_adagrad(p, <const floating *> g, <floating *> s, n, lr, eps, weight_decay, maximize, threads)


def adagrad(list params, list grads, list sums, list rates, double eps, double weight_decay, bint maximize):
    """s += d^2; p -= rates[i] d / (sqrt(s) + eps)."""
    cdef Py_ssize_t i
    cdef cnp.ndarray param, p, g
    cdef void *s
    cdef int64_t n
    cdef double rate
    for i in range(len(params)):
        param = params[i]
        p, g = writable(param), gradient(grads[i], param)
        s = data_of(sums[i], p)
        n, rate = cnp.PyArray_SIZE(p), rates[i]
        if is_double(p):
            with nogil:
                run_adagrad(<double *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), s, n, rate, eps, weight_decay, maximize)
        else:
            with nogil:
                run_adagrad(<float *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), s, n, rate, eps, weight_decay, maximize)
        finish(param, p)


cdef void run_adadelta(floating *p, void *g, void *s, void *t, int64_t n, double lr, double rho, double eps,
                       double weight_decay, int maximize) noexcept nogil:
    cdef int threads = threads_for(n, ADAM_NS, sizeof(floating) == 8)
    optim_adadelta(p, <const floating *> g, <floating *> s, <floating *> t, n, lr, rho, eps, weight_decay, maximize, threads)


def adadelta(list params, list grads, list squares, list updates, double lr, double rho, double eps, double weight_decay,
             bint maximize):
    """s = rho s + (1 - rho) d^2; u = sqrt(t + eps) / sqrt(s + eps) d; t = rho t + (1 - rho) u^2; p -= lr u."""
    cdef Py_ssize_t i
    cdef cnp.ndarray param, p, g
    cdef void *s
    cdef void *t
    cdef int64_t n
    for i in range(len(params)):
        param = params[i]
        p, g = writable(param), gradient(grads[i], param)
        s, t = data_of(squares[i], p), data_of(updates[i], p)
        n = cnp.PyArray_SIZE(p)
        if is_double(p):
            with nogil:
                run_adadelta(<double *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), s, t, n, lr, rho, eps, weight_decay, maximize)
        else:
            with nogil:
                run_adadelta(<float *> cnp.PyArray_DATA(p), cnp.PyArray_DATA(g), s, t, n, lr, rho, eps, weight_decay, maximize)
        finish(param, p)
