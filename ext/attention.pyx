"""Attention of several heads in one pass: arrays in, arrays out.

q (B, H, L, E), k (B, H, S, E), v (B, H, S, V) and whatever has their shapes are of one float type, with a contiguous last axis
and any other strides.
"""
cimport numpy as cnp
from libc.stdint cimport int64_t

from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef extern from "attention.h" nogil:
    ctypedef struct attention_shape:
        int64_t B, H, L, S, E, V
        int64_t q[3]
        int64_t k[3]
        int64_t v[3]
        int64_t out[3]
        int64_t bias[4]
        int64_t gq[3]
        int64_t gk[3]
        int64_t gv[3]
        double scale
        int causal

    void attention_forward(...)
    void attention_backward(...)


cdef void strides_of(cnp.ndarray x, int64_t *strides, int count) noexcept:
    cdef int axis
    for axis in range(count):
        strides[axis] = cnp.PyArray_STRIDE(x, axis) // cnp.PyArray_ITEMSIZE(x)


cdef attention_shape shape_of(cnp.ndarray q, cnp.ndarray k, cnp.ndarray v, cnp.ndarray out, double scale, bint causal):
    cdef attention_shape s
    s.B, s.H, s.L, s.E = cnp.PyArray_DIM(q, 0), cnp.PyArray_DIM(q, 1), cnp.PyArray_DIM(q, 2), cnp.PyArray_DIM(q, 3)
    s.S, s.V = cnp.PyArray_DIM(k, 2), cnp.PyArray_DIM(v, 3)
    strides_of(q, s.q, 3)
    strides_of(k, s.k, 3)
    strides_of(v, s.v, 3)
    strides_of(out, s.out, 3)
    s.scale, s.causal = scale, causal
    return s


cdef int threads_for(attention_shape *s, int products) noexcept nogil:
    """Two flops a product at 100 GFLOP/s, and 1 ns for the functions of a score."""
    return plan_threads(s.B * s.H * s.L * s.S * (1 + products * (s.E + s.V) // 100))


cdef inline void *data_of(cnp.ndarray x) noexcept:
    return NULL if x is None else cnp.PyArray_DATA(x)


def forward(cnp.ndarray q, cnp.ndarray k, cnp.ndarray v, cnp.ndarray bias, cnp.ndarray factor, cnp.ndarray weights,
            cnp.ndarray out, double scale, bint causal):
    """Writes softmax(scale q k^T + bias) to weights, unless that is None, and its product with factor, and that with v, to out.

    bias: None or (B, H, L, S) with any strides; factor: None or contiguous, as weights is; out: (B, H, L, V). causal: query i
    sees keys 0 to i.
    """
    cdef attention_shape s = shape_of(q, k, v, out, scale, causal)
    cdef int threads = threads_for(&s, 2)
    cdef void *x = data_of(q)
    cdef void *y = data_of(k)
    cdef void *z = data_of(v)
    cdef void *e = data_of(bias)
    cdef void *f = data_of(factor)
    cdef void *w = data_of(weights)
    cdef void *o = data_of(out)
    if cnp.PyArray_SIZE(out) == 0 and (weights is None or cnp.PyArray_SIZE(weights) == 0):
        return
    if bias is not None:
        strides_of(bias, s.bias, 4)
    with nogil:
        if cnp.PyArray_TYPE(q) == cnp.NPY_FLOAT:
            attention_forward(<const float *> x, y, z, e, f, w, o, &s, threads)
        else:
            attention_forward(<const double *> x, y, z, e, f, w, o, &s, threads)


def backward(cnp.ndarray g, cnp.ndarray g_weights, cnp.ndarray q, cnp.ndarray k, cnp.ndarray v, cnp.ndarray factor,
             cnp.ndarray weights, cnp.ndarray gq, cnp.ndarray gk, cnp.ndarray gv, cnp.ndarray g_scores, double scale,
             bint causal):
    """Writes the gradients for q, k, v and (g_scores, contiguous or None) the bias from that for out and from that for the
    weights, contiguous or None. factor, weights: as forward took and left them."""
    cdef attention_shape s = shape_of(q, k, v, g, scale, causal)
    cdef int threads = threads_for(&s, 5)
    cdef void *x = data_of(q)
    cdef void *y = data_of(k)
    cdef void *z = data_of(v)
    cdef void *f = data_of(factor)
    cdef void *w = data_of(weights)
    cdef void *of_out = data_of(g)
    cdef void *of_weights = data_of(g_weights)
    cdef void *of_x = data_of(gq)
    cdef void *of_y = data_of(gk)
    cdef void *of_z = data_of(gv)
    cdef void *of_scores = data_of(g_scores)
    strides_of(gq, s.gq, 3)
    strides_of(gk, s.gk, 3)
    strides_of(gv, s.gv, 3)
    with nogil:
        if cnp.PyArray_TYPE(q) == cnp.NPY_FLOAT:
            attention_backward(<const float *> of_out, of_weights, x, y, z, f, w, of_x, of_y, of_z, of_scores, &s, threads)
        else:
            attention_backward(<const double *> of_out, of_weights, x, y, z, f, w, of_x, of_y, of_z, of_scores, &s, threads)
