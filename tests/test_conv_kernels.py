"""The kernels of conv.pyx against a naive oracle at odd sizes, and against each other as adjoints."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad._ext import conv
from minigrad._ext.threads import get_num_threads, set_num_threads, set_parallel_threshold
from tests.fuzz import fuzz
from tests.isa import check_at

DTYPES = [np.float32, np.float64]


def axis(image, kernel, stride=1, padding=0, dilation=1, after=None):
    """One axis as (image, kernel, out, stride, padding, dilation); `after` is the padding at the end, if it differs."""
    out = (image + padding + (padding if after is None else after) - dilation * (kernel - 1) - 1) // stride + 1
    return image, kernel, max(out, 0), stride, padding, dilation


def geometry(groups, axes):
    """The 19 numbers that the kernels take, from one to three axes."""
    axes = [axis(1, 1)] * (3 - len(axes)) + axes
    return np.array([groups, *itertools.chain.from_iterable(zip(*axes))], np.int64)


def reads(tap, axes):
    """Where a tap reads in an image with zeros around."""
    return tuple(slice(t * a[5], t * a[5] + a[2] * a[3], a[3]) for t, a in zip(tap, axes))


def zeros_around(x, axes):
    """Zeros as far as any tap reads, and where the image lies in them."""
    sizes = [a[4] + a[0] + a[2] * a[3] + a[5] * a[1] for a in axes]
    return np.zeros((*x.shape[:2], *sizes), x.dtype), (..., *(slice(a[4], a[4] + a[0]) for a in axes))


def naive(x, w, groups, axes):
    """conv by its definition: one einsum for each tap, over an image with zeros all around."""
    kernel, out = [a[1] for a in axes], [a[2] for a in axes]
    G, filters, C = groups, w.shape[0] // groups, w.shape[1]
    padded, inside = zeros_around(x, axes)
    padded[inside] = x
    y = np.zeros((x.shape[0], G, filters, *out), x.dtype)
    for tap in np.ndindex(*kernel):
        at = reads(tap, axes)
        part = padded[(..., *at)].reshape(x.shape[0], G, C, *out)
        y += np.einsum("ngc...,goc->ngo...", part, w.reshape(G, filters, C, *kernel)[(..., *tap)])
    return y.reshape(x.shape[0], len(w), *out)


def naive_columns(x, axes):
    """unfold by its definition: conv with a kernel that picks one tap of one channel."""
    kernel = [a[1] for a in axes]
    w = np.eye(int(np.prod(kernel)), dtype=x.dtype).reshape(-1, 1, *kernel)
    columns = [naive(x[:, c : c + 1], w, 1, axes) for c in range(x.shape[1])]
    return np.stack(columns, 1).reshape(x.shape[0], x.shape[1] * len(w), -1)


def on_each_thread_count(run):
    """run() with one thread and with two: the bits must be the same."""
    before, threshold = get_num_threads(), set_parallel_threshold(0)
    try:
        set_num_threads(1)
        one = run()
        set_num_threads(2)
        two = run()
    finally:
        set_num_threads(before)
        set_parallel_threshold(threshold)
    np.testing.assert_array_equal(one, two)
    return one


def close(actual, expected, dtype, terms=1):
    scale = max(np.abs(expected).max(initial=0), 1) * max(1, terms / 1000)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=scale * (3e-6 if dtype == np.float32 else 1e-14))
    assert actual.dtype == dtype


def check(dtype, batch, channels, filters, groups, axes, seed=0):
    """All five kernels on one geometry; channels and filters are per group."""
    rng = np.random.default_rng(seed)
    image, kernel, out = ([a[i] for a in axes] for i in range(3))
    C, outputs = channels * groups, filters * groups
    x, g = rng.standard_normal((batch, C, *image)), rng.standard_normal((batch, outputs, *out))
    w, bias, back = rng.standard_normal((outputs, channels, *kernel)), rng.standard_normal(outputs), rng.standard_normal(C)
    x, g, w, bias, back = (a.astype(dtype) for a in (x, g, w, bias, back))
    numbers = geometry(groups, axes)

    def run(kernel, *arrays, shape):
        def once():
            result = np.full(shape, np.nan, dtype)
            kernel(*arrays, result, numbers)
            return result

        return on_each_thread_count(once)

    exact = [a.astype(np.float64) for a in (x, g, w)]
    y = naive(exact[0], exact[2], groups, axes)
    close(run(conv.conv, x, w, None, shape=y.shape), y, dtype)
    column = [1] * len(axes)
    close(run(conv.conv, x, w, bias, shape=y.shape), y + bias.reshape(-1, *column), dtype)

    # <y(x, w), g> is linear in x and in w: the derivative in direction e is the adjoint's element
    gw = np.zeros(w.shape)
    padded_x, inside = zeros_around(exact[0], axes)
    padded_x[inside] = x
    padded_gx = np.zeros_like(padded_x)
    g_groups = exact[1].reshape(batch, groups, filters, int(np.prod(out)))
    for tap in np.ndindex(*kernel):
        at = reads(tap, axes)
        if g.size:
            part = padded_x[(..., *at)].reshape(batch, groups, channels, -1 if batch else 0)
            gw[(..., *tap)] = np.einsum("ngcp,ngop->goc", part, g_groups).reshape(outputs, channels)
            w_tap = exact[2][(..., *tap)].reshape(groups, filters, channels)
            padded_gx[(..., *at)] += np.einsum("goc,ngop->ngcp", w_tap, g_groups).reshape(batch, C, *out)
    gx = padded_gx[inside]
    close(run(conv.conv_transpose, g, w, None, shape=x.shape), gx, dtype)
    close(run(conv.conv_transpose, g, w, back, shape=x.shape), gx + back.reshape(-1, *column), dtype)
    close(run(conv.conv_weight, x, g, shape=w.shape), gw, dtype, batch * int(np.prod(out)))

    numbers = geometry(1, axes)
    flat = x.reshape(batch, C, int(np.prod(image)))
    columns = naive_columns(x, axes) if x.size and g.size else np.zeros((batch, C * int(np.prod(kernel)), int(np.prod(out))))
    unfolded = run(conv.unfold, flat, shape=columns.shape)
    np.testing.assert_array_equal(unfolded, columns)
    h = rng.standard_normal(columns.shape).astype(dtype)
    folded = run(conv.fold, h, shape=flat.shape)
    np.testing.assert_allclose(
        np.vdot(folded.astype(np.float64), flat),
        np.vdot(h.astype(np.float64), columns),
        rtol=1e-4,
        atol=1e-3 * (1 + h.size) ** 0.5,
    )


GEOMETRIES = {
    "1d": (2, 3, 5, 1, [axis(19, 4, 1, 1)]),
    "1d long": (1, 2, 3, 2, [axis(777, 5, 3, 4, 2)]),
    "3x3": (2, 3, 4, 1, [axis(9, 3, 1, 1), axis(11, 3, 1, 1)]),
    "many filters": (1, 5, 37, 1, [axis(7, 3, 1, 1), axis(23, 3, 1, 1)]),
    "many channels": (2, 70, 19, 1, [axis(6, 3), axis(5, 2)]),
    "lenet 1": (3, 1, 6, 1, [axis(28, 5), axis(28, 5)]),
    "lenet 2": (3, 6, 16, 1, [axis(12, 5), axis(12, 5)]),
    "pointwise": (2, 9, 17, 1, [axis(7, 1), axis(13, 1)]),
    "pointwise strided": (2, 9, 17, 1, [axis(7, 1, 2), axis(13, 1, 3)]),
    "depthwise": (2, 1, 1, 7, [axis(13, 3, 1, 1), axis(37, 3, 1, 1)]),
    "depthwise multiplier": (2, 1, 3, 3, [axis(13, 3, 2, 1), axis(17, 4, 3, 2)]),
    "groups": (2, 4, 6, 3, [axis(8, 3, 1, 2), axis(9, 2, 2, 1)]),
    "stride": (2, 3, 4, 1, [axis(17, 3, 2, 1), axis(19, 5, 3, 2)]),
    "stride beyond kernel": (2, 3, 4, 1, [axis(17, 2, 5), axis(19, 1, 4, 3)]),
    "phases without taps": (2, 24, 17, 2, [axis(75, 1, 4, 3, 3), axis(21, 3, 2, 0, 3)]),
    "patches": (2, 3, 8, 1, [axis(16, 4, 4), axis(24, 8, 8)]),
    "dilation": (2, 3, 4, 1, [axis(17, 3, 1, 2, 2), axis(19, 3, 2, 3, 4)]),
    "stride and dilation": (2, 3, 4, 1, [axis(29, 4, 6, 5, 4), axis(31, 5, 4, 7, 6)]),
    "kernel as image": (5, 3, 8, 1, [axis(5, 5), axis(4, 4)]),
    "small images": (33, 3, 8, 1, [axis(3, 3, 1, 1), axis(2, 3, 1, 1)]),
    "kernel beyond image": (2, 3, 4, 1, [axis(2, 5, 1, 2), axis(1, 7, 2, 4)]),
    "asymmetric padding": (2, 3, 4, 1, [axis(8, 4, 1, 1, after=2), axis(9, 2, 1, 0, after=1)]),
    "padding cut off at the end": (2, 3, 4, 1, [axis(8, 3, 1, 2, after=-3), axis(9, 3, 2, 0, after=-1)]),
    "padding beyond kernel": (2, 3, 4, 1, [axis(5, 2, 1, 6), axis(6, 3, 2, 9)]),
    "rows": (3, 5, 15, 1, [axis(17, 7, 1, 3), axis(19, 1)]),
    "columns": (3, 15, 5, 1, [axis(19, 1), axis(17, 7, 1, 3)]),
    "columns in groups, strided": (2, 4, 9, 3, [axis(9, 1), axis(33, 8, 3, 5)]),
    "rows, dilated": (5, 4, 9, 1, [axis(13, 5, 1, 9, 3), axis(8, 1)]),
    "rows, strided and dilated": (2, 4, 9, 2, [axis(23, 4, 4, 6, 3, after=1), axis(11, 1)]),
    "columns of a narrow image": (3, 4, 9, 1, [axis(20, 1), axis(2, 7, 1, 3)]),
    "columns in the padding alone": (2, 3, 5, 1, [axis(10, 1), axis(3, 2, 1, 7)]),
    "3d": (2, 3, 4, 1, [axis(5, 3, 1, 1), axis(6, 2, 2, 1), axis(7, 3, 1, 2, 2)]),
    "3d pointwise": (2, 3, 4, 1, [axis(5, 1), axis(6, 1), axis(7, 1)]),
    "3d in time": (2, 3, 4, 1, [axis(9, 3, 1, 1), axis(6, 1), axis(7, 1)]),
    "3d in width": (2, 3, 4, 2, [axis(4, 1), axis(5, 1), axis(9, 3, 2, 1)]),
    "ones": (1, 1, 1, 1, [axis(1, 1), axis(1, 1)]),
    "empty batch": (0, 3, 4, 1, [axis(5, 3), axis(6, 3)]),
    "empty image": (2, 3, 4, 1, [axis(0, 3, 1, 2), axis(6, 3)]),
    "empty output": (2, 3, 4, 1, [axis(2, 3), axis(6, 3)]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometries(name, dtype):
    check(dtype, *GEOMETRIES[name])


@pytest.mark.parametrize(
    "sizes",
    [
        (3, 24, 40, 1, [axis(31, 3, 1, 1), axis(33, 3, 1, 1)]),
        (2, 40, 24, 1, [axis(41, 3, 2, 1), axis(43, 3, 2, 1)]),
        (1, 16, 17, 2, [axis(60, 1), axis(61, 1)]),
        (1, 3, 20, 1, [axis(9, 3), axis(40, 7, 2, 3), axis(42, 7, 2, 3)]),
        (40, 24, 30, 1, [axis(4, 3, 1, 1), axis(4, 3, 1, 1)]),
        (2, 4, 5, 1, [axis(20011, 9, 1, 4)]),
        (9, 40, 30, 1, [axis(17, 1), axis(17, 7, 1, 3)]),
        (2, 5, 30, 1, [axis(33, 3, 4, 2), axis(301, 3, 4, 1)]),
        (2, 5, 30, 1, [axis(33, 3, 4, 2, 2), axis(301, 5, 4, 3, 2)]),
        (2, 5, 30, 1, [axis(33, 2, 2, 2, 2), axis(301, 5, 2, 9)]),
        (1, 40, 30, 1, [axis(150, 9, 1, 16, 4), axis(70, 1)]),
        (3, 3, 30, 1, [axis(79, 11, 4, 2), axis(150, 11, 4, 1)]),
        (2, 1, 1, 24, [axis(57, 3, 1, 1), axis(61, 5, 1, 2)]),
    ],
)
def test_large_enough_for_threads_and_tiles(sizes):
    check(np.float32, *sizes)


axes_strategy = st.lists(
    st.tuples(
        st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.integers(1, 4), st.integers(0, 5)
    ).map(lambda a: axis(*a)),
    min_size=1,
    max_size=3,
)


@fuzz(100)
@given(axes_strategy, st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(1, 3), st.sampled_from(DTYPES))
def test_any_geometry(axes, batch, channels, filters, groups, dtype):
    check(dtype, batch, channels, filters, groups, axes)


@pytest.mark.parametrize("axes", [[axis(9, 7, 1, 3), axis(11, 1)], [axis(11, 1), axis(9, 7, 1, 3)]], ids=["7x1", "1x7"])
def test_padding_times_nan_is_nan_although_padding_is_left_out_otherwise(axes):
    rng = np.random.default_rng(0)
    x, g = (rng.standard_normal((3, n, *(a[i] for a in axes)), np.float32) for n, i in ((20, 0), (17, 2)))
    w = rng.standard_normal((17, 20, *(a[1] for a in axes)), np.float32)
    w[3, 4, 0, 0] = np.nan
    y = np.zeros_like(g)
    conv.conv(x, w, None, y, geometry(1, axes))
    expected = np.zeros(y.shape, bool)
    expected[:, 3] = True
    np.testing.assert_array_equal(np.isnan(y), expected)
    g[2, 5, 0, 0] = np.nan
    gw = np.zeros_like(w)
    conv.conv_weight(x, g, gw, geometry(1, axes))
    expected = np.zeros(w.shape, bool)
    expected[5] = True
    np.testing.assert_array_equal(np.isnan(gw), expected)


@pytest.mark.parametrize("filters", [1, 5])
def test_nan_and_inf_stay_where_they_are(filters):
    """A value that no output of a channel reads must not reach it, though strips and masks lie side by side."""
    rng = np.random.default_rng(0)
    axes = [axis(7, 3, 2), axis(20, 3, 2)]  # the last column is read by no output
    x = rng.standard_normal((2, 1, 7, 20)).astype(np.float32)
    w, g = (
        rng.standard_normal((filters, 1, 3, 3)).astype(np.float32),
        rng.standard_normal((2, filters, 3, 9)).astype(np.float32),
    )
    y, gw = np.zeros_like(g), np.zeros_like(w)
    x[:, :, :, -1] = np.nan
    conv.conv(x, w, None, y, geometry(1, axes))
    conv.conv_weight(x, g, gw, geometry(1, axes))
    assert np.isfinite(y).all()
    assert np.isfinite(gw).all()
    x[0, 0, 2, 3] = np.inf
    conv.conv(x, w, None, y, geometry(1, axes))
    expected = np.zeros((3, 9), bool)
    expected[0:2, 1:2] = True
    assert (np.isfinite(y[0]) != expected).all()
    assert np.isfinite(y[1]).all()


def test_the_library_checks_itself():
    x, w, y = np.zeros((1, 2, 5)), np.zeros((3, 2, 3)), np.zeros((1, 3, 3))
    numbers = geometry(1, [axis(5, 3)])
    with pytest.raises(ValueError, match="image"):
        conv.conv(x[:, :, ::2], w, None, y, numbers)
    with pytest.raises(ValueError, match="output"):
        conv.conv(x, w, None, y[:, :, 1:], numbers)
    with pytest.raises(ValueError, match="kernel"):
        conv.conv(x, w[:, :1], None, y, numbers)
    with pytest.raises(TypeError, match="dtype"):
        conv.conv(x, w.astype(np.float32), None, y, numbers)
    with pytest.raises(ValueError, match="19"):
        conv.conv(x, w, None, y, numbers[1:])
    with pytest.raises(ValueError, match="groups"):
        conv.conv(x, w, None, y, geometry(2, [axis(5, 3)]))


@pytest.mark.parametrize("isa", ["v2", "v3"])
def test_strided_adjoints_by_older_instruction_sets(isa):
    """Their number of taps was once divided by, in tiles of the height of v2's and v3's registers alone."""
    check_at(isa, __file__, "phases and without and taps")
