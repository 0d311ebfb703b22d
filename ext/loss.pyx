"""softmax, cross entropy, negative log likelihood and squared error kernels. Classes are the middle axis of (N, C, D)."""
import numpy as np

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.around cimport Around, around
from minigrad._ext.memory cimport empty
from minigrad._ext.memory import empty_array
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "loss.h" nogil:
    void softmax_forward_c "softmax_forward"(...)
    void softmax_backward_c "softmax_backward"(...)
    void cross_entropy_forward_c "cross_entropy_forward"(...)
    void cross_entropy_backward_c "cross_entropy_backward"(...)
    void nll_forward_c "nll_forward"(...)
    void nll_backward_c "nll_backward"(...)
    void log_sum_exp_c "log_sum_exp"(...)
    void multilabel_margin_c "multilabel_margin"(...)
    void multi_margin_c "multi_margin"(...)
    void squared_error_c "squared_error"(...)
    void scaled_difference_c "scaled_difference"(...)
    void c_absolute_error "absolute_error"(...)
    void c_absolute_error_gradient "absolute_error_gradient"(...)
    void c_huber_error "huber_error"(...)
    void c_huber_error_gradient "huber_error_gradient"(...)
    void c_logit_error "logit_error"(...)
    void c_logit_error_gradient "logit_error_gradient"(...)
    const int LOSS_MEAN_SEGMENT


def softmax_forward(cnp.ndarray x, int dim, bint logarithm):
    """softmax of a float array over a dimension, or (logarithm) its logarithm."""
    cdef cnp.ndarray source = cnp.PyArray_GETCONTIGUOUS(x)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    cdef Around at = around(x, dim, 1)
    cdef int threads = plan_threads(cnp.PyArray_SIZE(x))
    cdef void *start = cnp.PyArray_DATA(source)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef bint single = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
    cdef int how = logarithm
    if cnp.PyArray_SIZE(x) == 0:
        return out
    with nogil:
        if single:
            softmax_forward_c(<const float *> start, <float *> to, how, at.outer, at.size, at.inner, threads)
        else:
            softmax_forward_c(<const double *> start, <double *> to, how, at.outer, at.size, at.inner, threads)
    return out


def softmax_backward(cnp.ndarray g, cnp.ndarray y, int dim, bint logarithm):
    """y (g - sum g y) for y = softmax(x) over a dimension, or (logarithm) g - exp(y) sum g for y = log_softmax(x)."""
    cdef cnp.ndarray slope = cnp.PyArray_GETCONTIGUOUS(g), value = cnp.PyArray_GETCONTIGUOUS(y)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(y), cnp.PyArray_DIMS(y), cnp.PyArray_TYPE(y))
    cdef Around at = around(y, dim, 1)
    cdef int threads = plan_threads(cnp.PyArray_SIZE(y))
    cdef void *pg = cnp.PyArray_DATA(slope)
    cdef void *py = cnp.PyArray_DATA(value)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef bint single = cnp.PyArray_TYPE(y) == cnp.NPY_FLOAT32
    cdef int how = logarithm
    if cnp.PyArray_SIZE(y) == 0:
        return out
    with nogil:
        if single:
            softmax_backward_c(<const float *> pg, <const float *> py, <float *> to, how, at.outer, at.size, at.inner, threads)
        else:
            softmax_backward_c(<const double *> pg, <const double *> py, <double *> to, how, at.outer, at.size, at.inner, threads)
    return out


cdef inline int64_t inner_size(cnp.ndarray x) noexcept:
    """D of (N, C, D), 1 of (N, C)."""
    return cnp.PyArray_DIM(x, 2) if cnp.PyArray_NDIM(x) == 3 else 1


cpdef int64_t find_bad_target(cnp.ndarray target, int64_t classes, int64_t ignore):
    """The position of the first target, in order, that is neither in [0, classes) nor `ignore`, -1 if there is none."""
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    cdef int64_t i, count = cnp.PyArray_SIZE(target), found = -1
    with nogil:
        for i in range(count):
            if (t[i] < 0 or t[i] >= classes) and t[i] != ignore:
                found = i
                break
    return found


cdef void run_cross_entropy_forward(const floating *x, const int64_t *target, const floating *weight, int64_t ignore,
                                    double smoothing, floating *losses, floating *maxima, floating *logs, double *totals, int64_t N,
                                    int64_t C, int64_t D) noexcept nogil:
    cross_entropy_forward_c(x, target, weight, ignore, smoothing, losses, maxima, logs, totals, N, C, D,
                            plan_threads(N * C * D + 20 * N * D))


cpdef tuple cross_entropy_forward(cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, int64_t ignore, double smoothing,
                                  cnp.ndarray losses, cnp.ndarray maxima, cnp.ndarray logs):
    """Writes the loss, the largest logit and log(sum(exp(x - max))) of each of the N * D positions of x (N, C, D) or (N, C).

    Returns the sum of the losses and the sum of the weights of the targets that are not `ignore`. weight (C) may be None. All are
    contiguous and of x's type but for target, int64; the targets have been checked.
    """
    cdef int64_t N = cnp.PyArray_DIM(x, 0), C = cnp.PyArray_DIM(x, 1), D = inner_size(x)
    cdef double[2] totals
    cdef const void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    totals[0] = totals[1] = 0
    if N * D == 0:
        return 0.0, 0.0
    if C == 0:                                       # every target is ignored: there is no other that passes validation
        losses.fill(0)
        return 0.0, 0.0
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        with nogil:
            run_cross_entropy_forward[float](
                <const float *> cnp.PyArray_DATA(x), t, <const float *> w, ignore, smoothing, <float *> cnp.PyArray_DATA(losses),
                <float *> cnp.PyArray_DATA(maxima), <float *> cnp.PyArray_DATA(logs), totals, N, C, D)
    else:
        with nogil:
            run_cross_entropy_forward[double](
                <const double *> cnp.PyArray_DATA(x), t, <const double *> w, ignore, smoothing, <double *> cnp.PyArray_DATA(losses),
                <double *> cnp.PyArray_DATA(maxima), <double *> cnp.PyArray_DATA(logs), totals, N, C, D)
    return totals[0], totals[1]


cdef void run_cross_entropy_backward(const floating *g, int64_t step, double scale, const floating *x, const int64_t *target,
                                     const floating *weight, int64_t ignore, double smoothing, const floating *maxima,
                                     const floating *logs, floating *gx, int64_t N, int64_t C, int64_t D) noexcept nogil:
    cross_entropy_backward_c(g, step, scale, x, target, weight, ignore, smoothing, maxima, logs, gx, N, C, D,
                             plan_threads(N * C * D + 20 * N * D))


cpdef object cross_entropy_backward(cnp.ndarray g, double scale, cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, int64_t ignore,
                                    double smoothing, cnp.ndarray maxima, cnp.ndarray logs, cnp.ndarray gx):
    """gx of the losses of cross_entropy_forward for the incoming gradient g * scale; g has one element, or one a position."""
    cdef int64_t N = cnp.PyArray_DIM(x, 0), C = cnp.PyArray_DIM(x, 1), D = inner_size(x)
    cdef int64_t step = 1 if cnp.PyArray_SIZE(g) > 1 else 0
    cdef const void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    if N * C * D == 0:
        return
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        with nogil:
            run_cross_entropy_backward[float](
                <const float *> cnp.PyArray_DATA(g), step, scale, <const float *> cnp.PyArray_DATA(x), t, <const float *> w, ignore,
                smoothing, <const float *> cnp.PyArray_DATA(maxima), <const float *> cnp.PyArray_DATA(logs),
                <float *> cnp.PyArray_DATA(gx), N, C, D)
    else:
        with nogil:
            run_cross_entropy_backward[double](
                <const double *> cnp.PyArray_DATA(g), step, scale, <const double *> cnp.PyArray_DATA(x), t, <const double *> w, ignore,
                smoothing, <const double *> cnp.PyArray_DATA(maxima), <const double *> cnp.PyArray_DATA(logs),
                <double *> cnp.PyArray_DATA(gx), N, C, D)


cpdef tuple nll_forward(cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, int64_t ignore, cnp.ndarray losses):
    """losses = -weight[t] x[n, t, d], 0 where t is `ignore`. Returns the sums of the losses and of the weights that count."""
    cdef int64_t N = cnp.PyArray_DIM(x, 0), C = cnp.PyArray_DIM(x, 1), D = inner_size(x)
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef const void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    cdef void *to = cnp.PyArray_DATA(losses)
    cdef double[2] totals
    totals[0] = totals[1] = 0
    if N * D == 0:
        return 0.0, 0.0
    if C == 0:
        losses.fill(0)
        return 0.0, 0.0
    with nogil:
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
            nll_forward_c(<const float *> source, t, <const float *> w, ignore, <float *> to, &totals[0], N, C, D)
        else:
            nll_forward_c(<const double *> source, t, <const double *> w, ignore, <double *> to, &totals[0], N, C, D)
    return totals[0], totals[1]


cpdef object nll_backward(cnp.ndarray g, double scale, cnp.ndarray target, cnp.ndarray weight, int64_t ignore, cnp.ndarray gx):
    """Writes -weight[t] g scale to gx[n, t, d], which the caller has zeroed; g has one element, or one a position."""
    cdef int64_t N = cnp.PyArray_DIM(gx, 0), C = cnp.PyArray_DIM(gx, 1), D = inner_size(gx)
    cdef int64_t step = 1 if cnp.PyArray_SIZE(g) > 1 else 0
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    cdef const void *along = cnp.PyArray_DATA(g)
    cdef const void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    cdef void *to = cnp.PyArray_DATA(gx)
    if N * C * D == 0:
        return
    with nogil:
        if cnp.PyArray_TYPE(gx) == cnp.NPY_FLOAT32:
            nll_backward_c(<const float *> along, step, scale, t, <const float *> w, ignore, <float *> to, N, C, D)
        else:
            nll_backward_c(<const double *> along, step, scale, t, <const double *> w, ignore, <double *> to, N, C, D)


def log_sum_exp(cnp.ndarray x, int64_t n):
    """log(sum(exp(x))) over the last n elements at a time of a contiguous x, as a vector; n > 0."""
    cdef int64_t rows = cnp.PyArray_SIZE(x) // n
    cdef cnp.ndarray out = empty_array((rows,), x.dtype)
    cdef int threads = plan_threads(rows * n)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    with nogil:
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
            log_sum_exp_c(<const float *> source, <float *> to, rows, n, threads)
        else:
            log_sum_exp_c(<const double *> source, <double *> to, rows, n, threads)
    return out


def multilabel_margin(cnp.ndarray x, cnp.ndarray target):
    """(losses (N), their derivatives (N, C)) of x (N, C) and int64 targets (N, C), checked; both are contiguous."""
    cdef int64_t N = cnp.PyArray_DIM(x, 0), C = cnp.PyArray_DIM(x, 1)
    cdef cnp.ndarray losses = empty_array((N,), x.dtype), slopes = empty_array((N, C), x.dtype), rest = empty_array((N, 3, C), x.dtype)
    cdef int threads = plan_threads(N * C * (16 + C // 8))  # 17 ns for each target of 20 classes, most of it two sums across lanes
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    cdef void *scratch = cnp.PyArray_DATA(rest)
    cdef void *to = cnp.PyArray_DATA(losses)
    cdef void *along = cnp.PyArray_DATA(slopes)
    with nogil:
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
            multilabel_margin_c(<const float *> source, t, <float *> scratch, <float *> to, <float *> along, N, C, threads)
        else:
            multilabel_margin_c(<const double *> source, t, <double *> scratch, <double *> to, <double *> along, N, C, threads)
    return losses, slopes


def multi_margin(cnp.ndarray x, cnp.ndarray target, cnp.ndarray weight, double margin):
    """(losses (N), their derivatives (N, C)) of contiguous x (N, C), checked int64 targets (N) and weights (C), or None."""
    cdef int64_t N = cnp.PyArray_DIM(x, 0), C = cnp.PyArray_DIM(x, 1)
    cdef cnp.ndarray losses = empty_array((N,), x.dtype), slopes = empty_array((N, C), x.dtype)
    cdef int threads = plan_threads(N * C // 4)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef const int64_t *t = <const int64_t *> cnp.PyArray_DATA(target)
    cdef const void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    cdef void *to = cnp.PyArray_DATA(losses)
    cdef void *along = cnp.PyArray_DATA(slopes)
    with nogil:
        if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
            multi_margin_c(<const float *> source, t, <const float *> w, margin, <float *> to, <float *> along, N, C, threads)
        else:
            multi_margin_c(<const double *> source, t, <const double *> w, margin, <double *> to, <double *> along, N, C, threads)
    return losses, slopes


cpdef double squared_error(cnp.ndarray x, cnp.ndarray y) except? -1:
    """The sum of (x - y)^2 of two arrays of one size, added up in REAL over short segments and in double over these, in order."""
    cdef int64_t n = cnp.PyArray_SIZE(x), blocks = (n + LOSS_MEAN_SEGMENT - 1) // LOSS_MEAN_SEGMENT, b
    cdef double total = 0
    cdef double *partial = &total
    cdef int threads = 1
    if n == 0:
        return 0.0
    if blocks > 1:
        sums = empty_array((blocks,), np.float64)
        partial = <double *> cnp.PyArray_DATA(<cnp.ndarray> sums)
        threads = plan_threads(n // 4)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        with nogil:
            squared_error_c(<const float *> cnp.PyArray_DATA(x), <const float *> cnp.PyArray_DATA(y), partial, n, threads)
    else:
        with nogil:
            squared_error_c(<const double *> cnp.PyArray_DATA(x), <const double *> cnp.PyArray_DATA(y), partial, n, threads)
    if blocks > 1:
        for b in range(blocks):
            total += partial[b]
    return total


cpdef int scaled_difference(cnp.ndarray x, cnp.ndarray y, double scale, cnp.ndarray out) except -1:
    """out = (x - y) * scale, of arrays of one size"""
    cdef int64_t n = cnp.PyArray_SIZE(x)
    cdef int threads = plan_threads(n // 4)
    if n == 0:
        return 0
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32:
        with nogil:
            scaled_difference_c(<const float *> cnp.PyArray_DATA(x), <const float *> cnp.PyArray_DATA(y), scale,
                                <float *> cnp.PyArray_DATA(out), n, threads)
    else:
        with nogil:
            scaled_difference_c(<const double *> cnp.PyArray_DATA(x), <const double *> cnp.PyArray_DATA(y), scale,
                                <double *> cnp.PyArray_DATA(out), n, threads)
    return 0


def difference_loss(const floating[::1] x, const floating[::1] y, delta):
    """The sum of |x - y| (delta None), or of Huber's function of x - y, added up as in squared_error."""
    cdef int64_t n = x.shape[0], blocks = (n + LOSS_MEAN_SEGMENT - 1) // LOSS_MEAN_SEGMENT, b
    cdef double total = 0, limit = 0 if delta is None else delta
    cdef double[::1] partial
    cdef bint absolute = delta is None
    cdef int threads = plan_threads(n // 4)
    if n == 0:
        return 0.0
    partial = np.empty(blocks)
    with nogil:
        if absolute:
            c_absolute_error(&x[0], &y[0], limit, &partial[0], n, threads)
        else:
            c_huber_error(&x[0], &y[0], limit, &partial[0], n, threads)
        for b in range(blocks):
            total += partial[b]
    return total


def difference_loss_gradient(const floating[::1] x, const floating[::1] y, delta, double scale, floating[::1] out):
    """out = scale times the slope of difference_loss at x - y: its sign, or its value cut to [-delta, delta]."""
    cdef int64_t n = x.shape[0]
    cdef double limit = 0 if delta is None else delta
    cdef bint absolute = delta is None
    cdef int threads = plan_threads(n // 4)
    if n == 0:
        return
    with nogil:
        if absolute:
            c_absolute_error_gradient(&x[0], &y[0], limit, scale, &out[0], n, threads)
        else:
            c_huber_error_gradient(&x[0], &y[0], limit, scale, &out[0], n, threads)


def logit_loss(const floating[::1] x, const floating[::1] y):
    """The sum of the binary cross entropies of sigmoid(x) and y, added up as in squared_error."""
    cdef int64_t n = x.shape[0], blocks = (n + LOSS_MEAN_SEGMENT - 1) // LOSS_MEAN_SEGMENT, b
    cdef double total = 0
    cdef double[::1] partial
    cdef int threads = plan_threads(n)
    if n == 0:
        return 0.0
    partial = np.empty(blocks)
    with nogil:
        c_logit_error(&x[0], &y[0], <double> 0, &partial[0], n, threads)
        for b in range(blocks):
            total += partial[b]
    return total


def logit_loss_gradient(const floating[::1] x, const floating[::1] y, double scale, floating[::1] out):
    """out = scale (sigmoid(x) - y)"""
    cdef int64_t n = x.shape[0]
    cdef int threads = plan_threads(n)
    if n:
        with nogil:
            c_logit_error_gradient(&x[0], &y[0], <double> 0, scale, &out[0], n, threads)
