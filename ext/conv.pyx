"""Convolutions and their two adjoints, unfold and fold: arrays in, arrays out.

All of them take a geometry, an int64 array of 19: groups, then three numbers (D, H, W) each for the size of the image, of the
kernel and of the output, stride, padding before the first element, dilation. Padding after the last element is what the
output's size makes it. Images of one or two axes come with leading axes of size 1 in the geometry; arrays may have any number
of axes as long as their elements lie as (N, C, D, H, W), (O, C / groups, KD, KH, KW) and (N, O, OD, OH, OW) do.
"""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t

from minigrad._ext.memory cimport empty
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "conv.h" nogil:
    ctypedef struct conv_geometry:
        int64_t N, C, O, groups, winograd
        int64_t[3] image, kernel, out, stride, padding, dilation
    int64_t c_correlate "correlate"(...)
    int64_t c_correlate_weight "correlate_weight"(...)
    void c_unfold "unfold"(...)
    void c_fold "fold"(...)
    int64_t conv_plan(const conv_geometry *, int, int)
    const int64_t CONV_NO_MEMORY, CONV_NOT_FINITE
    const char *const *CONV_NAMES


cdef int64_t winograd_tile = 4


cdef conv_geometry read_geometry(const int64_t[::1] numbers, int64_t N, int64_t C, int64_t O) except *:
    """The geometry as the kernels take it. What they would not survive raises: an error of the library's, not the user's."""
    cdef conv_geometry s
    cdef int i
    if numbers.shape[0] != 19:
        raise ValueError("a geometry has 19 numbers")
    s.N, s.C, s.O, s.groups = N, C, O, numbers[0]
    if s.groups < 1 or C % s.groups or O % s.groups:
        raise ValueError(f"{s.groups} groups do not divide {C} and {O} channels")
    for i in range(3):
        s.image[i], s.kernel[i], s.out[i] = numbers[1 + i], numbers[4 + i], numbers[7 + i]
        s.stride[i], s.padding[i], s.dilation[i] = numbers[10 + i], numbers[13 + i], numbers[16 + i]
        if s.image[i] < 0 or s.kernel[i] < 1 or s.out[i] < 0 or s.stride[i] < 1 or s.dilation[i] < 1:
            raise ValueError(f"axis {i} of the geometry has a size, stride or dilation that is too small")
    return s


cdef int64_t volume(const int64_t *sizes) noexcept:
    return sizes[0] * sizes[1] * sizes[2]


cdef int check_size(str name, cnp.ndarray array, int64_t size) except -1:
    if cnp.PyArray_SIZE(array) != size or not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError(f"{name} is not a C-contiguous array of {size} elements")
    return 0


cdef int check_type(str name, cnp.ndarray array, int typenum) except -1:
    if cnp.PyArray_TYPE(array) != typenum:
        raise TypeError(f"{name} has another dtype than the first array")
    return 0


cdef int run_correlate(
    const floating *x, const floating *w, const floating *bias, floating *y, conv_geometry *s, int adjoint
) except -1:
    cdef int64_t status = CONV_NOT_FINITE, products = s.N * (s.C // s.groups) * s.O * volume(s.out) * volume(s.kernel)
    cdef cnp.npy_intp bytes
    cdef cnp.ndarray scratch
    cdef char *start
    cdef int threads = plan_threads(products // 25 + s.N * (s.C * volume(s.image) + s.O * volume(s.out)) // 2)
    s.winograd = winograd_tile
    while status == CONV_NOT_FINITE:
        bytes = c_correlate(x, w, bias, y, s, adjoint, threads, <char *> NULL)
        if bytes >= 0:
            scratch = empty(1, &bytes, cnp.NPY_UINT8)
            start = <char *> cnp.PyArray_DATA(scratch)
            with nogil:
                status = c_correlate(x, w, bias, y, s, adjoint, threads, start)
        if bytes < 0 or status == CONV_NO_MEMORY:
            raise MemoryError("no memory for the plan of a convolution")
        s.winograd = 0  # a NaN or Inf spreads over the tile of the fast algorithm: by definition it may not
    return 0


cdef int correlate(cnp.ndarray x, cnp.ndarray w, bias, cnp.ndarray out, conv_geometry *s, int adjoint) except -1:
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef int64_t channels = s.C if adjoint else s.O
    cdef void *add = NULL
    check_size("image", out if adjoint else x, s.N * s.C * volume(s.image))
    check_size("output", x if adjoint else out, s.N * s.O * volume(s.out))
    check_size("kernel", w, s.O * (s.C // s.groups) * volume(s.kernel))
    check_type("kernel", w, typenum)
    check_type("result", out, typenum)
    if bias is not None:
        check_size("bias", bias, channels)
        check_type("bias", bias, typenum)
        add = cnp.PyArray_DATA(bias)
    if cnp.PyArray_SIZE(out) == 0:
        return 0
    if typenum == cnp.NPY_FLOAT:
        run_correlate[float](<const float *> cnp.PyArray_DATA(x), <const float *> cnp.PyArray_DATA(w), <const float *> add,
                             <float *> cnp.PyArray_DATA(out), s, adjoint)
    elif typenum == cnp.NPY_DOUBLE:
        run_correlate[double](<const double *> cnp.PyArray_DATA(x), <const double *> cnp.PyArray_DATA(w), <const double *> add,
                              <double *> cnp.PyArray_DATA(out), s, adjoint)
    else:
        raise TypeError("convolution kernels take float32 and float64")
    return 0


def conv(cnp.ndarray x, cnp.ndarray w, bias, cnp.ndarray out, const int64_t[::1] geometry):
    """out[n, o, m] = bias[o] + sum over c, k of x[n, c, m * stride - padding + k * dilation] * w[o, c, k].

    x (N, C, image), w (O, C / groups, kernel), bias (O,) or None, out (N, O, out).
    """
    cdef conv_geometry s = read_geometry(geometry, x.shape[0], x.shape[1], w.shape[0])
    correlate(x, w, bias, out, &s, 0)


def conv_transpose(cnp.ndarray g, cnp.ndarray w, bias, cnp.ndarray out, const int64_t[::1] geometry):
    """The adjoint of conv in x, plus bias[c]: what each image element gets from the outputs that read it.

    g (N, O, out), w (O, C / groups, kernel), bias (C,) or None, out (N, C, image): image and out as in conv.
    """
    cdef conv_geometry s = read_geometry(geometry, g.shape[0], out.shape[1], g.shape[1])
    correlate(g, w, bias, out, &s, 1)


cdef int run_weight(const floating *x, const floating *g, floating *gw, conv_geometry *s) except -1:
    cdef int64_t status = CONV_NOT_FINITE
    cdef int64_t products = s.N * (s.C // s.groups) * s.O * volume(s.out) * volume(s.kernel)
    cdef cnp.npy_intp bytes
    cdef cnp.ndarray scratch
    cdef char *start
    cdef int threads = plan_threads(products // 20 + s.N * (s.C * volume(s.image) + s.O * volume(s.out)) // 2)
    s.winograd = winograd_tile
    while status == CONV_NOT_FINITE:
        bytes = c_correlate_weight(x, g, gw, s, threads, <char *> NULL)
        scratch = empty(1, &bytes, cnp.NPY_UINT8)
        start = <char *> cnp.PyArray_DATA(scratch)
        with nogil:
            status = c_correlate_weight(x, g, gw, s, threads, start)
        s.winograd = 0  # as in run_correlate
    return 0


def conv_weight(cnp.ndarray x, cnp.ndarray g, cnp.ndarray out, const int64_t[::1] geometry):
    """The adjoint of conv in w: out[o, c, k] = sum over n, m of x[n, c, m * stride - padding + k * dilation] * g[n, o, m].

    x (N, C, image), g (N, O, out), out (O, C / groups, kernel).
    """
    cdef conv_geometry s = read_geometry(geometry, x.shape[0], x.shape[1], g.shape[1])
    cdef int typenum = cnp.PyArray_TYPE(x)
    check_size("image", x, s.N * s.C * volume(s.image))
    check_size("output", g, s.N * s.O * volume(s.out))
    check_size("kernel", out, s.O * (s.C // s.groups) * volume(s.kernel))
    check_type("output", g, typenum)
    check_type("result", out, typenum)
    if cnp.PyArray_SIZE(out) == 0:
        return
    if cnp.PyArray_SIZE(x) == 0 or cnp.PyArray_SIZE(g) == 0:
        out.fill(0)
    elif typenum == cnp.NPY_FLOAT:
        run_weight[float](<const float *> cnp.PyArray_DATA(x), <const float *> cnp.PyArray_DATA(g),
                          <float *> cnp.PyArray_DATA(out), &s)
    elif typenum == cnp.NPY_DOUBLE:
        run_weight[double](<const double *> cnp.PyArray_DATA(x), <const double *> cnp.PyArray_DATA(g),
                           <double *> cnp.PyArray_DATA(out), &s)
    else:
        raise TypeError("convolution kernels take float32 and float64")


def plan(const int64_t[::1] geometry, N, C, filters, direction, is_float) -> str:
    """The algorithm of a convolution of float (or double) by its name: direction 0 forward, 1 gradient of x, 2 gradient of w."""
    cdef conv_geometry s = read_geometry(geometry, N, C, filters)
    s.winograd = winograd_tile
    return CONV_NAMES[conv_plan(&s, direction, is_float)].decode()


def get_winograd_tile() -> int:
    """4: convolutions of stride 1 may be computed by F(4x4, 3x3) or F(2x2, 5x5); 2: by F(2x2, 3x3); 0: never."""
    return winograd_tile


def set_winograd_tile(tile) -> None:
    """Chooses; the caller has checked that it is 4, 2 or 0."""
    global winograd_tile
    winograd_tile = tile


def unfold(const floating[:, :, ::1] x, floating[:, :, ::1] out, const int64_t[::1] geometry):
    """The columns of im2col: out[n, c * kernel + k, p] = x[n, c, p * stride - padding + k * dilation], 0 outside.

    x (N, C, image), out (N, C * kernel, out), with the axes of image and out flat.
    """
    cdef conv_geometry s = read_geometry(geometry, x.shape[0], x.shape[1], geometry[0])
    cdef int threads = plan_threads(x.shape[0] * out.shape[1] * out.shape[2] // 4)
    if x.shape[2] != volume(s.image) or out.shape[2] != volume(s.out) or out.shape[1] != x.shape[1] * volume(s.kernel):
        raise ValueError("the arrays do not have the shapes of the geometry")
    if out.shape[0] * out.shape[1] * out.shape[2] == 0:
        return
    if x.shape[2] == 0:
        out[:, :, :] = 0
        return
    with nogil:
        c_unfold(&x[0, 0, 0], &out[0, 0, 0], &s, threads)


def fold(const floating[:, :, ::1] columns, floating[:, :, ::1] out, const int64_t[::1] geometry):
    """The adjoint of unfold: columns (N, C * kernel, out) are added up where they came from, out (N, C, image)."""
    cdef conv_geometry s = read_geometry(geometry, out.shape[0], out.shape[1], geometry[0])
    cdef int threads = plan_threads(columns.shape[0] * columns.shape[1] * columns.shape[2] // 4)
    cdef int64_t rows = out.shape[1] * volume(s.kernel)
    if columns.shape[2] != volume(s.out) or out.shape[2] != volume(s.image) or columns.shape[1] != rows:
        raise ValueError("the arrays do not have the shapes of the geometry")
    if out.shape[0] * out.shape[1] * out.shape[2] == 0:
        return
    if columns.shape[2] == 0:
        out[:, :, :] = 0
        return
    with nogil:
        c_fold(&columns[0, 0, 0], &out[0, 0, 0], &s, threads)
