"""The pooling kernels against naive oracles: odd sizes, padding, dilation, ceil_mode, NaN, ties, sizes of 0 and 1, long rows."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad._ext import pool, threads
from tests.fuzz import fuzz

DTYPES = [np.float32, np.float64]


def out_size(size, kernel, stride, padding, dilation, ceil_mode):
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (math.ceil(span / stride) if ceil_mode else span // stride) + 1
    return out - 1 if ceil_mode and (out - 1) * stride >= size + padding else out


def sliding(size, kernel, stride, padding, dilation=(1, 1, 1), ceil_mode=False, count_include_pad=True):
    """A Geometry over (D, H, W), and for each axis the list of windows: (elements, divisor)."""
    axes, windows = [], []
    for L, k, s, p, d in zip(size, kernel, stride, padding, dilation):
        out = out_size(L, k, s, p, d, ceil_mode)
        axes.append(pool.sliding_axis(L, out, k, s, p, d, count_include_pad))
        windows.append([])
        for o in range(out):
            taps = [o * s - p + j * d for j in range(k)]
            inside = [t for t in taps if 0 <= t < L]
            windows[-1].append((inside, sum(t < L + p for t in taps) if count_include_pad else len(inside)))
    return pool.Geometry(tuple(axes)), windows


def adaptive(size, out):
    windows = []
    for L, o in zip(size, out):
        taps = [list(range(i * L // o, math.ceil((i + 1) * L / o))) for i in range(o)]
        windows.append([(inside, len(inside)) for inside in taps])
    return pool.Geometry(tuple(pool.adaptive_axis(L, o) for L, o in zip(size, out))), windows


def naive_max(x, windows):
    shape = (len(x), *map(len, windows))
    values, indices = np.empty(shape, x.dtype), np.empty(shape, np.int32)
    for at in np.ndindex(shape):
        taps = [windows[a][o][0] for a, o in enumerate(at[1:])]
        best, index = -np.inf, None
        for d in taps[0]:
            for h in taps[1]:
                for w in taps[2]:
                    v = x[at[0], d, h, w]
                    if index is None or v > best or np.isnan(v):
                        best, index = v, (d * x.shape[2] + h) * x.shape[3] + w
        values[at], indices[at] = best, index
    return values, indices


def naive_avg_matrix(size, windows):
    """Average pooling of one plane as a matrix (OD*OH*OW, D*H*W)."""
    matrix = np.ones((1, 1))
    for L, axis in zip(size, windows):
        one = np.zeros((len(axis), L))
        for o, (inside, divisor) in enumerate(axis):
            one[o, inside] = 1 / divisor
        matrix = np.kron(matrix, one)
    return matrix


def check_max(x, geometry, windows):
    want, want_index = naive_max(x, windows)
    values, index = pool.max_pool(x, geometry, want.shape)
    np.testing.assert_array_equal(values, want)
    np.testing.assert_array_equal(index, want_index)
    size = x[0].size
    np.testing.assert_array_equal(pool.gather_at(x, index, size), want)
    g = np.random.default_rng(1).integers(-9, 9, values.shape).astype(x.dtype)
    want_gx = np.zeros((len(x), size))
    for p in range(len(x)):
        np.add.at(want_gx[p], want_index[p].ravel(), g[p].ravel())
    for hint in (geometry, None):
        np.testing.assert_array_equal(pool.scatter_at(g, index, size, x.shape, True, hint), want_gx.reshape(x.shape))


def check_avg(x, geometry, windows):
    matrix = naive_avg_matrix(x.shape[1:], windows)
    shape = (len(x), *map(len, windows))
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-13
    want = (x.reshape(len(x), -1).astype(np.float64) @ matrix.T).reshape(shape)
    np.testing.assert_allclose(pool.avg_pool(x, geometry, shape), want, rtol=0, atol=tolerance)
    g = np.random.default_rng(1).standard_normal(shape).astype(x.dtype)
    want = (g.reshape(len(x), -1).astype(np.float64) @ matrix).reshape(x.shape)
    np.testing.assert_allclose(pool.avg_pool_transpose(g, geometry, x.shape), want, rtol=0, atol=4 * tolerance)


SHAPES = [  # (planes, size, kernel, stride, padding, dilation, ceil_mode)
    (3, (1, 7, 9), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1), False),
    (3, (1, 8, 70), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1), False),
    (2, (1, 7, 37), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1), True),
    (2, (1, 9, 41), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1), False),
    (2, (1, 9, 40), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1), True),
    (2, (1, 9, 95), (1, 3, 2), (1, 2, 2), (0, 1, 1), (1, 1, 1), False),
    (2, (4, 9, 65), (1, 2, 3), (2, 3, 2), (0, 0, 0), (1, 1, 1), False),
    (2, (1, 6, 23), (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), False),
    (2, (1, 6, 23), (1, 3, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1), False),
    (2, (3, 5, 6), (2, 3, 2), (1, 2, 3), (1, 1, 0), (1, 1, 1), True),
    (2, (5, 4, 19), (3, 2, 5), (2, 1, 1), (1, 0, 2), (1, 1, 1), False),
    (1, (5, 9, 11), (5, 5, 5), (1, 1, 1), (2, 2, 2), (1, 1, 1), False),
    (4, (1, 1, 40), (1, 1, 3), (1, 1, 3), (0, 0, 1), (1, 1, 1), True),
    (1, (1, 1, 1), (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), False),
    (1, (1, 1, 1), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1), False),
    (2, (1, 4, 5), (1, 1, 1), (1, 3, 4), (0, 0, 0), (1, 1, 1), False),
    (2, (1, 3, 4), (1, 2, 2), (1, 7, 9), (0, 1, 1), (1, 1, 1), True),
    (1, (1, 1, 2600), (1, 1, 3), (1, 1, 2), (0, 0, 1), (1, 1, 1), False),
    (2, (1, 9, 20), (1, 9, 20), (1, 9, 20), (0, 0, 0), (1, 1, 1), False),
    (1, (1, 105, 90), (1, 2, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), False),
    (2, (1, 5, 70), (1, 3, 33), (1, 2, 2), (0, 1, 16), (1, 1, 1), False),
    (2, (2, 3, 80), (2, 2, 33), (1, 1, 5), (1, 0, 3), (1, 1, 1), False),
    (1, (1, 3, 2600), (1, 2, 3), (1, 1, 2), (0, 1, 1), (1, 1, 1), False),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SHAPES)
def test_sliding_windows(case, dtype):
    planes, size, *parameters = case
    x = np.random.default_rng(0).standard_normal((planes, *size)).astype(dtype)
    check_max(x, *sliding(size, *parameters))
    for count_include_pad in (True, False):
        check_avg(x, *sliding(size, *parameters, count_include_pad))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dilation", [(1, 2, 3), (2, 1, 2), (1, 1, 5)])
@pytest.mark.parametrize("stride", [(1, 1, 1), (1, 2, 2), (2, 3, 4)])
def test_dilated_maxima(dilation, stride, dtype):
    size = (4, 7, 29)
    x = np.random.default_rng(0).standard_normal((2, *size)).astype(dtype)
    check_max(x, *sliding(size, (2, 3, 3), stride, (1, 1, 1), dilation, True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("size", "out"),
    [
        ((1, 7, 9), (1, 3, 4)),
        ((1, 8, 12), (1, 4, 6)),
        ((3, 5, 7), (2, 8, 3)),
        ((1, 6, 50), (1, 1, 1)),
        ((1, 23, 37), (1, 3, 4)),
        ((1, 3, 3), (1, 5, 7)),
        ((2, 4, 6), (2, 4, 6)),
        ((1, 1, 1), (2, 2, 2)),
    ],
)
def test_adaptive_windows(size, out, dtype):
    x = np.random.default_rng(0).standard_normal((3, *size)).astype(dtype)
    check_max(x, *adaptive(size, out))
    check_avg(x, *adaptive(size, out))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_first_of_equal_maxima_and_last_nan(stride, dtype):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (3, 1, 9, 45)).astype(dtype)
    for share in (0.0, 0.1, 0.5, 1.0):
        x[rng.random(x.shape) < share] = np.nan
        for kernel in (2, 3):
            check_max(x, *sliding(x.shape[1:], (1, kernel, kernel), (1, stride, stride), (0, 1, 1), ceil_mode=True))
            check_max(x, *sliding(x.shape[1:], (1, kernel, kernel), (1, stride, stride), (0, 0, 0)))
        for out in (1, 2, 4, 7):
            check_max(x, *adaptive(x.shape[1:], (1, 4, out)))
    x[:] = -np.inf
    check_max(x, *sliding(x.shape[1:], (1, 3, 3), (1, stride, stride), (0, 1, 1)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_no_planes_and_no_outputs(dtype):
    geometry, _ = sliding((1, 4, 4), (1, 2, 2), (1, 2, 2), (0, 0, 0))
    x, y = np.empty((0, 1, 4, 4), dtype), (0, 1, 2, 2)
    values, index = pool.max_pool(x, geometry, y)
    assert values.shape == index.shape == pool.avg_pool(x, geometry, y).shape == y
    assert pool.avg_pool_transpose(values, geometry, x.shape).shape == x.shape
    assert pool.scatter_at(values, index, 16, x.shape, True, geometry).shape == x.shape
    assert pool.gather_at(x, index, 16).shape == y
    geometry = pool.Geometry(tuple(pool.adaptive_axis(L, o) for L, o in zip((1, 4, 4), (1, 0, 3))))
    x, y = np.ones((2, 1, 4, 4), dtype), (2, 1, 0, 3)
    values, index = pool.max_pool(x, geometry, y)
    assert values.shape == index.shape == pool.avg_pool(x, geometry, y).shape == y
    np.testing.assert_array_equal(pool.avg_pool_transpose(values, geometry, x.shape), np.zeros_like(x))
    np.testing.assert_array_equal(pool.scatter_at(values, index, 16, x.shape, True, geometry), np.zeros_like(x))


def test_smallest_window():
    assert sliding((1, 5, 5), (1, 3, 3), (1, 2, 2), (0, 1, 1))[0].smallest == 4
    assert sliding((1, 1, 2), (1, 1, 2), (1, 1, 1), (0, 0, 1), (1, 1, 3))[0].smallest == 0


def test_scatter_that_overwrites_keeps_the_last():
    g, index = np.arange(1.0, 7).reshape(2, 3), np.array([[1, 1, 4], [0, 4, 0]], np.int32)
    want = [[0, 2, 0, 0, 3], [6, 0, 0, 0, 5]]
    np.testing.assert_array_equal(pool.scatter_at(g, index, 5, (2, 5), False, None), want)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64])
def test_integer_maxima(dtype):
    x = np.random.default_rng(0).integers(0, 9, (2, 3, 7, 8)).astype(dtype)
    geometry, windows = sliding(x.shape[1:], (2, 3, 2), (1, 2, 3), (1, 1, 0), (1, 2, 1), True)
    want, want_index = naive_max(x, windows)
    values, index = np.empty((2, want[0].size), dtype), np.empty((2, want[0].size), np.int32)
    pool.max_pool_integers(x.reshape(2, -1), geometry, values, index)
    np.testing.assert_array_equal(values, want.reshape(2, -1))
    np.testing.assert_array_equal(index, want_index.reshape(2, -1))


def test_integer_means():
    x = np.random.default_rng(0).integers(-50, 50, (2, 3, 7, 8))
    geometry, windows = sliding(x.shape[1:], (2, 3, 2), (1, 2, 2), (1, 1, 0))
    want = x.reshape(2, -1) @ naive_avg_matrix(x.shape[1:], windows).T
    values = np.empty(want.shape, np.int64)
    pool.avg_pool_integers(x.reshape(2, -1), geometry, values)
    np.testing.assert_array_equal(values, np.trunc(np.where(abs(want - np.rint(want)) < 1e-9, np.rint(want), want)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_threads(dtype):
    x = np.random.default_rng(0).standard_normal((5, 1, 150, 171)).astype(dtype)
    results = []
    before = threads.get_num_threads()
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            results.append([])
            for kernel, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 1)):
                geometry, _ = sliding(x.shape[1:], (1, kernel, kernel), (1, stride, stride), (0, padding, padding))
                shape = (5, *geometry.out)
                values, index = pool.max_pool(x, geometry, shape)
                results[-1] += [
                    values,
                    index,
                    pool.gather_at(x, index, x[0].size),
                    pool.avg_pool(x, geometry, shape),
                    pool.scatter_at(values, index, x[0].size, x.shape, True, geometry),
                    pool.avg_pool_transpose(values, geometry, x.shape),
                ]
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert a.tobytes() == b.tobytes()


@st.composite
def geometries(draw):
    """(size, kernel, stride, padding, dilation, ceil_mode) of which every window holds an element."""
    axes = []
    for largest in (3, 7, 40):
        size, kernel = draw(st.integers(1, largest)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 3))
        padding = draw(st.integers(0, kernel // 2))
        kernel = min(kernel, (size + 2 * padding - 1) // dilation + 1)
        axes.append((size, kernel, draw(st.integers(1, 4)), min(padding, kernel // 2), dilation))
    return (*zip(*axes), draw(st.booleans()))


@fuzz(100)
@given(geometries(), st.sampled_from(DTYPES), st.integers(0, 2**32 - 1))
def test_any_geometry(parameters, dtype, number):
    size, kernel, stride, padding, dilation, ceil_mode = parameters
    if any(out_size(*axis, ceil_mode) < 1 for axis in zip(size, kernel, stride, padding, dilation)):
        return
    rng = np.random.default_rng(number)
    x = rng.integers(-3, 4, (2, *size)).astype(dtype)
    geometry, windows = sliding(*parameters)
    if geometry.smallest:
        check_max(x, geometry, windows)
    for count_include_pad in (True, False):
        parameters = size, kernel, stride, padding, (1, 1, 1), ceil_mode, count_include_pad
        check_avg(rng.standard_normal((2, *size)).astype(dtype), *sliding(*parameters))
