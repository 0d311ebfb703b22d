"""Linear maps along axes (interpolation, padding) and samples at given points (grid_sample): arrays in, arrays out."""
cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int32_t, int64_t

from minigrad._ext.threads cimport plan_threads

cnp.import_array()


# The C names are macros that pick the function for the pointer's type (isa.h: MG_CALL), hence "...": Cython must not cast.
cdef extern from "resize.h" nogil:
    int c_map_planes "map_planes"(...)
    void c_sample "sample"(...)
    void c_sample_adjoint "sample_adjoint"(...)
    void c_sample_weights "sample_weights"(...)
    void c_grid_taps "grid_taps"(...)
    int32_t mg_largest(const int32_t *index, int64_t n)


cdef void check_map(
    const int64_t[::1] offset, const int32_t[::1] index, int64_t weights, int64_t size, int64_t out_size
) except *:
    """A map that would read out of bounds is an error of the library, never undefined behaviour."""
    cdef int64_t i
    if offset.shape[0] != out_size + 1 or offset[0] != 0 or offset[out_size] != index.shape[0] or weights != index.shape[0]:
        raise ValueError("offsets, indices and weights of the map do not agree")
    for i in range(out_size):
        if offset[i] > offset[i + 1]:
            raise ValueError("offsets of the map decrease")
    for i in range(index.shape[0]):
        if index[i] < 0 or index[i] >= size:
            raise IndexError(f"the map reads element {index[i]} of an axis of size {size}")


def map_planes(
    const floating[:, :, ::1] x,
    const int64_t[::1] row_offset, const int32_t[::1] row_index, const floating[::1] row_weight,
    const int64_t[::1] column_offset, const int32_t[::1] column_index, const floating[::1] column_weight,
    floating[:, :, ::1] out,
):
    """out[p] = R x[p] C^T: a sparse linear map along each of the last two axes, x (P, H, W) -> out (P, OH, OW).

    Output i of a map is the sum of weight[t] * input[index[t]] over t in [offset[i], offset[i + 1]), in this order. Empty
    arrays stand for the identity. The adjoint is this kernel with both maps transposed.
    """
    cdef int64_t planes = x.shape[0], height = x.shape[1], width = x.shape[2]
    cdef int64_t out_height = out.shape[1], out_width = out.shape[2], work = 0
    cdef const int64_t *row_first = NULL
    cdef const int64_t *column_first = NULL
    cdef const int32_t *row_at = NULL
    cdef const int32_t *column_at = NULL
    cdef const floating *row_by = NULL
    cdef const floating *column_by = NULL
    cdef const floating *source = NULL
    cdef int status
    if out.shape[0] != planes:
        raise ValueError("x and out differ in the number of planes")
    if row_offset.shape[0]:
        check_map(row_offset, row_index, row_weight.shape[0], height, out_height)
        row_first = &row_offset[0]
        if row_index.shape[0]:
            row_at, row_by = &row_index[0], &row_weight[0]
        work += row_index.shape[0] * width
    elif height != out_height:
        raise ValueError("the identity does not change the height")
    if column_offset.shape[0]:
        check_map(column_offset, column_index, column_weight.shape[0], width, out_width)
        column_first = &column_offset[0]
        if column_index.shape[0]:
            column_at, column_by = &column_index[0], &column_weight[0]
        work += column_index.shape[0] * out_height
    elif width != out_width:
        raise ValueError("the identity does not change the width")
    if planes * out_height * out_width == 0:
        return
    if height * width:
        source = &x[0, 0, 0]
    work = planes * (work + out_height * out_width)
    with nogil:  # about 6 taps a ns, from memory
        status = c_map_planes(
            source, row_first, row_at, row_by, column_first, column_at, column_by, &out[0, 0, 0],
            planes, height, width, out_height, out_width, plan_threads(work // 6),
        )
    if status:
        raise MemoryError("no memory for the scratch of map_planes")


cdef void check_samples(const int32_t[:, :, ::1] index, int64_t size) except *:
    cdef int64_t n = index.shape[0] * index.shape[1] * index.shape[2]
    cdef int32_t most
    if n == 0:
        return
    most = mg_largest(&index[0, 0, 0], n)
    if most >= size:
        raise IndexError(f"a sample is taken at element {most} of an image of {size} elements")


def sample(
    const floating[:, :, ::1] x, const floating[:, :, ::1] weight, const int32_t[:, :, ::1] index, floating[:, :, ::1] out
):
    """out[n, c, o] = sum over k of weight[n, k, o] * x[n, c, index[n, k, o]]; a negative index adds nothing.

    x (N, C, S), weight and index (N, K, O), out (N, C, O).
    """
    cdef int64_t batch = out.shape[0], channels = out.shape[1], points = out.shape[2]
    cdef int64_t size = x.shape[2], taps = weight.shape[1], work = batch * channels * points * taps
    cdef const floating *source = NULL
    cdef const floating *by = NULL
    cdef const int32_t *at = NULL
    check_samples(index, size)
    if batch * channels * points == 0:
        return
    if size:
        source = &x[0, 0, 0]
    if taps:
        by, at = &weight[0, 0, 0], &index[0, 0, 0]
    with nogil:  # about 1 tap a ns
        c_sample(source, by, at, &out[0, 0, 0], batch, channels, size, taps, points, plan_threads(work))


def sample_adjoint(
    const floating[:, :, ::1] g, const floating[:, :, ::1] weight, const int32_t[:, :, ::1] index, floating[:, :, ::1] gx
):
    """gx[n, c, s] = sum over (k, o) with index[n, k, o] = s of weight[n, k, o] * g[n, c, o]: the adjoint of sample in x.

    g (N, C, O), weight and index (N, K, O), gx (N, C, S), which must come filled with zeros.
    """
    cdef int64_t batch = g.shape[0], channels = g.shape[1], points = g.shape[2], size = gx.shape[2], taps = weight.shape[1]
    check_samples(index, size)
    if batch * channels * points * size * taps == 0:
        return
    with nogil:
        c_sample_adjoint(
            &g[0, 0, 0], &weight[0, 0, 0], &index[0, 0, 0], &gx[0, 0, 0], batch, channels, size, taps, points,
            plan_threads(batch * channels * points * taps),
        )


def sample_weights(
    const floating[:, :, ::1] g, const floating[:, :, ::1] x, const int32_t[:, :, ::1] index, floating[:, :, ::1] gw
):
    """gw[n, k, o] = sum over c of g[n, c, o] * x[n, c, index[n, k, o]]: the adjoint of sample in weight.

    g (N, C, O), x (N, C, S), index (N, K, O), gw (N, K, O).
    """
    cdef int64_t batch = g.shape[0], channels = g.shape[1], points = g.shape[2], size = x.shape[2], taps = index.shape[1]
    cdef const floating *gradient = NULL
    cdef const floating *source = NULL
    check_samples(index, size)
    if batch * taps * points == 0:
        return
    if channels:
        gradient = &g[0, 0, 0]
    if channels * size:
        source = &x[0, 0, 0]
    with nogil:
        c_sample_weights(
            gradient, source, &index[0, 0, 0], &gw[0, 0, 0], batch, channels, size, taps, points,
            plan_threads(batch * channels * points * taps),
        )


def grid_taps(
    const floating[:, :, ::1] grid, tuple sizes, int taps, int padding, bint align_corners, tuple orders,
    floating[:, :, ::1] weight, int32_t[:, :, ::1] index,
):
    """The weights and elements that sample() needs for the points of a grid.

    grid (N, O, A) in [-1, 1], the last of the A axes (sizes) first; `taps` along each axis: 1 nearest, 2 linear, 4 cubic.
    padding: 0 zeros, 1 border, 2 reflection. weight (N, taps^A, O) is differentiated orders[a] times by the coordinate of
    axis a. index, as large or empty if it is not wanted, is the element of each tap in the flat image, -1 outside.
    """
    cdef int64_t batch = grid.shape[0], points = grid.shape[1], all_taps = weight.shape[1]
    cdef int axes = grid.shape[2], a
    cdef int64_t[3] extent
    cdef int64_t[3] order
    cdef int32_t *at = NULL
    for a in range(axes):
        extent[a], order[a] = sizes[a], orders[a]
    if batch * points == 0:
        return
    if index.shape[0]:
        at = &index[0, 0, 0]
    with nogil:  # about 1 tap a ns
        c_grid_taps(
            &grid[0, 0, 0], &extent[0], &order[0], axes, taps, padding, <int> align_corners, &weight[0, 0, 0], at, batch,
            points, plan_threads(batch * points * (all_taps + 8)),
        )
