"""Normalisation kernels: batch_norm over (N, C, P), and row_norm (layer, group, instance and rms norm) over rows."""
import numpy as np

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

from minigrad._ext.memory import empty_array

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "norm.h" nogil:
    void batch_norm_forward_c "batch_norm_forward"(...)
    void batch_norm_backward_c "batch_norm_backward"(...)
    void row_norm_forward_c "row_norm_forward"(...)
    void row_norm_backward_c "row_norm_backward"(...)
    const int NORM_ROWS
    const int NORM_SMALL_PLANE


cdef inline const floating* data(const floating[::1] x) noexcept nogil:
    """The first element's address, NULL for None and for an empty array."""
    if x is None or x.shape[0] == 0:
        return NULL
    return &x[0]


def batch_norm_forward(const floating[:, :, ::1] x, const floating[::1] weight, const floating[::1] bias, double eps,
                       bint training, floating[:, :, ::1] out, double[::1] mean, double[::1] var):
    """out = (x - mean) / sqrt(var + eps) * weight + bias for each channel of x (N, C, P); weight and bias may be None.

    training: mean and var (biased) are computed and written; otherwise they are read. Nothing happens where x is empty.
    """
    cdef int64_t N = x.shape[0], C = x.shape[1], P = x.shape[2]
    cdef const floating *w = data(weight)
    cdef const floating *b = data(bias)
    if N * C * P == 0:
        return
    with nogil:
        batch_norm_forward_c(&x[0, 0, 0], w, b, eps, <int> training, &out[0, 0, 0], &mean[0], &var[0], N, C, P,
                             plan_threads(N * C * P // 4))


def batch_norm_backward(const floating[:, :, ::1] g, const floating[:, :, ::1] x, const floating[::1] weight,
                        const double[::1] mean, const double[::1] var, double eps, bint training, floating[:, :, ::1] gx,
                        floating[::1] gw, floating[::1] gb):
    """The gradients of batch_norm_forward: gx (or None if it is not wanted), gw = sum g xh, gb = sum g (all are written).

    training: mean and var are functions of x; otherwise they are constants.
    """
    cdef int64_t N = x.shape[0], C = x.shape[1], P = x.shape[2]
    cdef const floating *w = data(weight)
    cdef floating *out = NULL
    if N * C * P == 0:
        gw[:] = 0
        gb[:] = 0
        return
    if gx is not None:
        out = &gx[0, 0, 0]
    with nogil:
        batch_norm_backward_c(&g[0, 0, 0], &x[0, 0, 0], w, &mean[0], &var[0], eps, <int> training, out, &gw[0], &gb[0], N, C, P,
                              plan_threads(N * C * P // 3))


def update_running(floating[:] running, const double[::1] batch, double factor, double momentum):
    """running = (1 - momentum) running + momentum factor batch"""
    cdef int64_t i
    for i in range(running.shape[0]):
        running[i] = <floating> ((1 - momentum) * running[i] + momentum * (factor * batch[i]))


def row_norm_forward(cnp.ndarray x, cnp.ndarray weight, cnp.ndarray bias, double eps, bint centered, int64_t groups,
                     int64_t channels, int64_t plane):
    """(out, mean, var) with out = (x - mean) / sqrt(var + eps) * weight + bias, with one mean and (biased) var for each row of
    channels * plane neighbours of x.

    Row r uses the weights from (r % groups) * channels on, each for `plane` neighbours; weight and bias (groups * channels) may be None.
    Not centered: mean is 0 and var the mean square. mean and var are float64, the others of one float type.
    """
    cdef int64_t n = channels * plane
    cdef cnp.npy_intp rows = cnp.PyArray_SIZE(x) // n if n else 0
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), cnp.PyArray_TYPE(x))
    cdef cnp.ndarray mean = empty(1, &rows, cnp.NPY_FLOAT64), var = empty(1, &rows, cnp.NPY_FLOAT64)
    if rows == 0:
        return out, mean, var
    if 1 < plane < NORM_SMALL_PLANE and (weight is not None or bias is not None):
        weight = None if weight is None else np.repeat(weight, plane)
        bias = None if bias is None else np.repeat(bias, plane)
        channels, plane = n, 1
    x = cnp.PyArray_GETCONTIGUOUS(x)
    weight = None if weight is None else cnp.PyArray_GETCONTIGUOUS(weight)
    bias = None if bias is None else cnp.PyArray_GETCONTIGUOUS(bias)
    cdef const void *w = NULL if weight is None else cnp.PyArray_DATA(weight)
    cdef const void *b = NULL if bias is None else cnp.PyArray_DATA(bias)
    cdef const void *source = cnp.PyArray_DATA(x)
    cdef void *to = cnp.PyArray_DATA(out)
    cdef double *mean_of = <double *> cnp.PyArray_DATA(mean)
    cdef double *var_of = <double *> cnp.PyArray_DATA(var)
    cdef bint single = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32
    cdef int center = centered, threads = plan_threads(rows * n // 4 + 10 * rows)
    with nogil:
        if single:
            row_norm_forward_c(<const float *> source, <const float *> w, <const float *> b, eps, center, <float *> to, mean_of, var_of,
                               rows, groups, channels, plane, threads)
        else:
            row_norm_forward_c(<const double *> source, <const double *> w, <const double *> b, eps, center, <double *> to, mean_of,
                               var_of, rows, groups, channels, plane, threads)
    return out, mean, var


def row_norm(x, weight, bias, eps, centered, groups, channels, plane):
    """What row_norm_forward gives, without the statistics."""
    return row_norm_forward(x, weight, bias, eps, centered, groups, channels, plane)[0]


def row_norm_backward(const floating[::1] g, const floating[::1] x, const floating[::1] weight, const double[::1] mean,
                      const double[::1] var, double eps, bint centered, floating[::1] gx, floating[::1] gw, floating[::1] gb,
                      int64_t groups, int64_t channels, int64_t plane):
    """The gradients of row_norm_forward: gx, and the pair gw = sum g xh, gb = sum g. gx may be None, and so may the pair."""
    cdef int64_t R = mean.shape[0], n = channels * plane, blocks
    cdef const floating *w
    cdef floating *gx_data = NULL
    cdef floating *gw_data = NULL
    cdef floating *gb_data = NULL
    cdef floating *partial_data = NULL
    cdef floating[::1] partial, gw_wide, gb_wide
    cdef bint narrow = 1 < plane < NORM_SMALL_PLANE and (weight is not None or gw is not None)
    cdef int64_t small_plane = plane
    dtype = np.float32 if floating is float else np.float64
    if R * n == 0:
        if gw is not None:
            gw[:] = 0
            gb[:] = 0
        return
    gw_wide, gb_wide = gw, gb
    if narrow:                                      # every element of a small plane as a channel of its own
        weight = None if weight is None else np.repeat(weight, plane)
        channels, plane = n, 1
        if gw is not None:
            gw_wide, gb_wide = empty_array((groups * n,), dtype), empty_array((groups * n,), dtype)
    w = data(weight)
    if gx is not None:
        gx_data = &gx[0]
    if gw is not None:
        blocks = (R + NORM_ROWS - 1) // NORM_ROWS
        partial = np.zeros(blocks * 2 * groups * channels, dtype)
        partial_data, gw_data, gb_data = &partial[0], &gw_wide[0], &gb_wide[0]
    with nogil:
        row_norm_backward_c(&g[0], &x[0], w, &mean[0], &var[0], eps, <int> centered, gx_data, gw_data, gb_data, partial_data, R,
                            groups, channels, plane, plan_threads(R * n // 3 + 10 * R))
    if narrow and gw is not None:
        np.sum(np.asarray(gw_wide).reshape(-1, small_plane), axis=1, out=np.asarray(gw))
        np.sum(np.asarray(gb_wide).reshape(-1, small_plane), axis=1, out=np.asarray(gb))
