"""Pooling kernels: arrays in, arrays out. Every array is seen as planes, one for each (batch, channel), of D x H x W elements.

Indices are int32 flat positions in a plane, which must therefore have fewer than 2**31 elements. The bits of no result depend
on the number of threads: an element is computed by one thread, from operands in a fixed order.
"""
import numpy as np

cimport numpy as cnp
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()

ctypedef fused integer:
    uint8_t
    int8_t
    int16_t
    int32_t
    int64_t


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "pool.h" nogil:
    ctypedef struct pool_axis:
        int64_t size, out, kernel, stride, padding, dilation
        const int32_t *start
        const int32_t *stop
        const double *divisor
    const int POOL_SLACK
    bint pool_is_2x2(const pool_axis *axes)
    int64_t pool_taps(const pool_axis *axis, int64_t o)
    int64_t pool_max_scratch(const pool_axis *axes)
    int64_t pool_avg_scratch(const pool_axis *axes)
    void max_pool_forward(...)
    void avg_pool_forward(...)
    void avg_pool_backward(...)
    void gather_planes(...)
    void scatter_planes(...)
    void scatter_2x2(...)


cdef class Geometry:
    """The windows of a pooling op over the last three axes: what every kernel here needs to know besides the arrays.

    Attributes: size (D, H, W), out (OD, OH, OW), and smallest, the least number of input elements that a window holds, padding
    not counted (0 means that some window lies in the padding alone: such a geometry must not reach a kernel). windows tells of each
    axis its (kernel, stride, padding, dilation, first element of each window, end of each window); the stride is 0 where windows
    do not move evenly.
    """

    cdef readonly tuple size, out, windows
    cdef readonly int64_t smallest
    cdef pool_axis axes[3]
    cdef list owned
    cdef bint is_2x2
    cdef int64_t in_plane, out_plane, taps

    def __init__(self, tuple axes):
        """axes: for each of D, H, W what sliding_axis or adaptive_axis gives."""
        cdef int32_t[::1] start, stop
        cdef double[::1] divisor
        cdef pool_axis *axis
        cdef int a
        self.owned = []
        self.in_plane = self.out_plane = self.taps = self.smallest = 1
        for a in range(3):
            size, kernel, stride, padding, dilation, starts, stops, divisors = axes[a]
            start, stop, divisor = starts, stops, divisors
            self.owned.append((starts, stops, divisors))
            axis = &self.axes[a]
            axis.size, axis.kernel, axis.stride, axis.padding, axis.dilation = size, kernel, stride, padding, dilation
            axis.out = stop.shape[0]
            axis.start = &start[0]
            if axis.out:
                axis.stop, axis.divisor = &stop[0], &divisor[0]
                self.smallest *= max(0, int(np.min(-(-(stops - starts[:axis.out]) // dilation))))
            self.in_plane *= axis.size
            self.out_plane *= axis.out
            self.taps *= axis.kernel
        self.size = (self.axes[0].size, self.axes[1].size, self.axes[2].size)
        self.out = (self.axes[0].out, self.axes[1].out, self.axes[2].out)
        self.windows = tuple([(*given[1:5], given[5][:count], given[6]) for given, count in zip(axes, self.out)])
        self.is_2x2 = self.out_plane > 0 and pool_is_2x2(self.axes)


def sliding_axis(size, out, kernel, stride, padding, dilation, count_include_pad):
    """One axis of windows that move by `stride`: window o covers o * stride - padding + j * dilation for j < kernel.

    The divisor counts those elements, the ones in the padding included if count_include_pad (but never those beyond it, which
    ceil_mode adds).
    """
    begin = np.arange(out, dtype=np.int64) * stride - padding
    start = np.where(begin < 0, begin + (-begin + dilation - 1) // dilation * dilation, begin)
    stop = np.minimum(begin + (kernel - 1) * dilation + 1, size)
    counted = np.minimum(begin + kernel, size + padding) - begin if count_include_pad else stop - start
    return _axis(size, kernel, stride, padding, dilation, start, stop, counted)


def adaptive_axis(size, out):
    """One axis of `out` windows from floor(o * size / out) to ceil((o + 1) * size / out)."""
    if out and size % out == 0:
        return sliding_axis(size, out, size // out, size // out, 0, 1, False)
    o = np.arange(out, dtype=np.int64)
    start, stop = o * size // max(out, 1), -(-(o + 1) * size // max(out, 1))
    return _axis(size, int(np.max(stop - start, initial=0)), 0, 0, 1, start, stop, stop - start)


def _axis(size, kernel, stride, padding, dilation, start, stop, divisor):
    padded = np.zeros(len(start) + POOL_SLACK, np.int32)
    padded[:len(start)] = start
    return size, kernel, stride, padding, dilation, padded, stop.astype(np.int32), divisor.astype(np.float64)


cdef cnp.ndarray _empty(tuple shape, int typenum):
    cdef cnp.npy_intp c_shape[32]
    cdef int i, ndim = len(shape)
    for i in range(ndim):
        c_shape[i] = shape[i]
    return empty(ndim, c_shape, typenum)


cdef cnp.ndarray _scratch(int64_t size, int threads, int typenum):
    cdef cnp.npy_intp c_size = max(size, 1) * threads
    return empty(1, &c_size, typenum)


def max_pool(cnp.ndarray x, Geometry geometry, tuple shape):
    """(values, indices) of the maximum of each window; both arrays have this shape, x is float32 or float64."""
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef cnp.ndarray y = _empty(shape, typenum), index = _empty(shape, cnp.NPY_INT32), scratch
    cdef int64_t planes, n = cnp.PyArray_SIZE(y)
    cdef int threads
    cdef void *px = cnp.PyArray_DATA(x)
    cdef void *py = cnp.PyArray_DATA(y)
    cdef void *ps
    cdef int32_t *pi = <int32_t *> cnp.PyArray_DATA(index)
    if n == 0:
        return y, index
    planes = n // geometry.out_plane
    # an output costs 2 ns or more (rows are short vectors), a tap 0.1 ns, an element of x 0.1 ns of memory traffic
    threads = plan_threads(2 * n + n * geometry.taps // 8 + planes * geometry.in_plane // 8)
    scratch = _scratch(pool_max_scratch(geometry.axes), threads, typenum)
    ps = cnp.PyArray_DATA(scratch)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            max_pool_forward(<const float *> px, <float *> py, pi, planes, geometry.axes, <float *> ps, threads)
        else:
            max_pool_forward(<const double *> px, <double *> py, pi, planes, geometry.axes, <double *> ps, threads)
    return y, index


def avg_pool(cnp.ndarray x, Geometry geometry, tuple shape):
    """The sum of each window divided by its divisor; the result has this shape, x is float32 or float64."""
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef cnp.ndarray y = _empty(shape, typenum), scratch
    cdef int64_t planes, n = cnp.PyArray_SIZE(y)
    cdef int threads
    cdef void *px = cnp.PyArray_DATA(x)
    cdef void *py = cnp.PyArray_DATA(y)
    cdef void *ps
    if n == 0:
        return y
    planes = n // geometry.out_plane
    threads = plan_threads(n + planes * geometry.in_plane // 5)
    scratch = _scratch(pool_avg_scratch(geometry.axes), threads, typenum)
    ps = cnp.PyArray_DATA(scratch)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            avg_pool_forward(<const float *> px, <float *> py, planes, geometry.axes, <float *> ps, threads)
        else:
            avg_pool_forward(<const double *> px, <double *> py, planes, geometry.axes, <double *> ps, threads)
    return y


def avg_pool_transpose(cnp.ndarray g, Geometry geometry, tuple shape):
    """The adjoint of avg_pool: g has the shape of its result, the array given back this shape, that of its argument."""
    cdef int typenum = cnp.PyArray_TYPE(g)
    cdef cnp.ndarray gx = _empty(shape, typenum), scratch
    cdef int64_t planes, n = cnp.PyArray_SIZE(gx)
    cdef int threads
    cdef void *pg = cnp.PyArray_DATA(g)
    cdef void *px = cnp.PyArray_DATA(gx)
    cdef void *ps
    if n == 0:
        return gx
    planes = n // geometry.in_plane
    threads = plan_threads(cnp.PyArray_SIZE(g) * 2 + n // 5)
    scratch = _scratch(pool_avg_scratch(geometry.axes), threads, typenum)
    ps = cnp.PyArray_DATA(scratch)
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            avg_pool_backward(<const float *> pg, <float *> px, planes, geometry.axes, <float *> ps, threads)
        else:
            avg_pool_backward(<const double *> pg, <double *> px, planes, geometry.axes, <double *> ps, threads)
    return gx


def gather_at(cnp.ndarray x, cnp.ndarray index, int64_t size):
    """x[plane, index[plane, i]] in the shape of index; x is planes of `size` elements, index int32 and in range."""
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef cnp.ndarray out = empty(cnp.PyArray_NDIM(index), cnp.PyArray_DIMS(index), typenum)
    cdef int64_t planes, count, n = cnp.PyArray_SIZE(out)
    cdef int threads = plan_threads(n)
    cdef void *px = cnp.PyArray_DATA(x)
    cdef void *po = cnp.PyArray_DATA(out)
    cdef int32_t *pi = <int32_t *> cnp.PyArray_DATA(index)
    if n == 0:
        return out
    planes = cnp.PyArray_SIZE(x) // size
    count = n // planes
    with nogil:
        if typenum == cnp.NPY_FLOAT32:
            gather_planes(<const float *> px, pi, <float *> po, planes, size, count, threads)
        else:
            gather_planes(<const double *> px, pi, <double *> po, planes, size, count, threads)
    return out


def scatter_at(cnp.ndarray g, cnp.ndarray index, int64_t size, tuple shape, bint accumulate, Geometry geometry):
    """Planes of `size` zeros, in this shape, to which g[plane, i] is added at index[plane, i]: the adjoint of gather_at.

    Without accumulate an element is overwritten, so that the last of several stays. A geometry that is not None says that index
    came from max_pool with it, and may choose a faster way.
    """
    cdef int typenum = cnp.PyArray_TYPE(g)
    cdef cnp.ndarray out = _empty(shape, typenum)
    cdef int64_t planes, count, H, W, OH, OW, n = cnp.PyArray_SIZE(out)
    cdef int threads = plan_threads(cnp.PyArray_SIZE(g) + n // 5), add = accumulate
    cdef bint is_2x2 = geometry is not None and geometry.is_2x2
    cdef void *pg = cnp.PyArray_DATA(g)
    cdef void *po = cnp.PyArray_DATA(out)
    cdef int32_t *pi = <int32_t *> cnp.PyArray_DATA(index)
    if n == 0:
        return out
    planes = n // size
    count = cnp.PyArray_SIZE(g) // planes
    if is_2x2:
        H, W, OH, OW = geometry.axes[1].size, geometry.axes[2].size, geometry.axes[1].out, geometry.axes[2].out
    with nogil:
        if is_2x2 and typenum == cnp.NPY_FLOAT32:
            scatter_2x2(<const float *> pg, pi, <float *> po, planes, H, W, OH, OW, threads)
        elif is_2x2:
            scatter_2x2(<const double *> pg, pi, <double *> po, planes, H, W, OH, OW, threads)
        elif typenum == cnp.NPY_FLOAT32:
            scatter_planes(<const float *> pg, pi, <float *> po, planes, size, count, add, threads)
        else:
            scatter_planes(<const double *> pg, pi, <double *> po, planes, size, count, add, threads)
    return out


def max_pool_integers(const integer[:, ::1] x, Geometry geometry, integer[:, ::1] y, int32_t[:, ::1] index):
    """max_pool for integers: x (planes, D*H*W), y and index (planes, OD*OH*OW) are written."""
    cdef pool_axis D = geometry.axes[0], H = geometry.axes[1], W = geometry.axes[2]
    cdef int64_t p, od, oh, ow, d, h, w, o, row, at, best
    with nogil:
        for p in range(x.shape[0]):
            o = 0
            for od in range(D.out):
                for oh in range(H.out):
                    for ow in range(W.out):
                        best = (D.start[od] * H.size + H.start[oh]) * W.size + W.start[ow]
                        for d in range(pool_taps(&D, od)):
                            for h in range(pool_taps(&H, oh)):
                                row = (D.start[od] + d * D.dilation) * H.size + H.start[oh] + h * H.dilation
                                for w in range(pool_taps(&W, ow)):
                                    at = row * W.size + W.start[ow] + w * W.dilation
                                    if x[p, at] > x[p, best]:
                                        best = at
                        y[p, o] = x[p, best]
                        index[p, o] = <int32_t> best
                        o += 1


def avg_pool_integers(const int64_t[:, ::1] x, Geometry geometry, int64_t[:, ::1] y):
    """avg_pool for integers, the quotient cut towards zero: x (planes, D*H*W), y (planes, OD*OH*OW) is written."""
    cdef pool_axis D = geometry.axes[0], H = geometry.axes[1], W = geometry.axes[2]
    cdef int64_t p, od, oh, ow, d, h, w, o, total
    with nogil:
        for p in range(x.shape[0]):
            o = 0
            for od in range(D.out):
                for oh in range(H.out):
                    for ow in range(W.out):
                        total = 0
                        for d in range(D.start[od], D.stop[od]):
                            for h in range(H.start[oh], H.stop[oh]):
                                for w in range(W.start[ow], W.stop[ow]):
                                    total += x[p, (d * H.size + h) * W.size + w]
                        y[p, o] = total // <int64_t> (D.divisor[od] * H.divisor[oh] * W.divisor[ow])
                        o += 1
