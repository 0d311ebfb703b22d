"""The kernels of resize.pyx against naive dense oracles at odd sizes."""

import numpy as np
import pytest

from minigrad._ext import resize
from minigrad._ext.threads import get_num_threads, set_num_threads

IDENTITY = (np.zeros(0, np.int64), np.zeros(0, np.int32))
DTYPES = [np.float32, np.float64]


def random_map(rng, size, out_size, most_taps, spread, dtype):
    """(offset, index, weight) of a random sparse map, and its dense (out_size, size) matrix. Taps of one output lie within
    `spread` elements; some outputs have none."""
    offset, index, weight = [0], [], []
    dense = np.zeros((out_size, size))
    for i in range(out_size):
        center = i * size // out_size
        for _ in range(rng.integers(0, most_taps + 1) if size else 0):
            at, by = int(np.clip(center + rng.integers(-spread, spread + 1), 0, size - 1)), dtype(rng.standard_normal())
            index.append(at)
            weight.append(by)
            dense[i, at] += by
        offset.append(len(index))
    return np.array(offset, np.int64), np.array(index, np.int32), np.array(weight, dtype), dense


def on_each_thread_count(run):
    """run() with one thread and with two: the bits must be the same."""
    before = get_num_threads()
    try:
        set_num_threads(1)
        one = run()
        set_num_threads(2)
        two = run()
    finally:
        set_num_threads(before)
    np.testing.assert_array_equal(one, two)
    return one


def close(actual, expected, dtype):
    scale = np.abs(expected).max(initial=1)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=scale * (2e-6 if dtype == np.float32 else 1e-14))
    assert actual.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("planes", "height", "width", "out_height", "out_width"),
    [
        (1, 1, 1, 1, 1),
        (2, 3, 5, 7, 11),
        (3, 7, 40, 4, 21),
        (1, 5, 17, 5, 33),
        (2, 33, 129, 6, 16),
        (1, 2, 3, 40, 64),
        (2, 9, 70, 9, 7),
        (2, 20, 40, 150, 21),
        (3, 20, 5, 70, 3),
    ],
)
@pytest.mark.parametrize(("most_taps", "spread"), [(1, 1), (2, 1), (4, 3), (9, 60)])
def test_map_planes(dtype, planes, height, width, out_height, out_width, most_taps, spread):
    rng = np.random.default_rng(out_width + most_taps)
    x = rng.standard_normal((planes, height, width)).astype(dtype)
    *rows, row_matrix = random_map(rng, height, out_height, most_taps, spread, dtype)
    *columns, column_matrix = random_map(rng, width, out_width, most_taps, spread, dtype)

    def run():
        out = np.full((planes, out_height, out_width), np.nan, dtype)
        resize.map_planes(x, *rows, *columns, out)
        return out

    close(on_each_thread_count(run), row_matrix @ x @ column_matrix.T, dtype)
    none = (*IDENTITY, np.zeros(0, dtype))
    out = np.full((planes, out_height, width), np.nan, dtype)
    resize.map_planes(x, *rows, *none, out)
    close(out, row_matrix @ x, dtype)
    out = np.full((planes, height, out_width), np.nan, dtype)
    resize.map_planes(x, *none, *columns, out)
    close(out, x @ column_matrix.T, dtype)
    out = np.full(x.shape, np.nan, dtype)
    resize.map_planes(x, *none, *none, out)
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_map_planes_large_enough_for_threads(dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((19, 41, 57)).astype(dtype)
    *rows, row_matrix = random_map(rng, 41, 83, 2, 1, dtype)
    *columns, column_matrix = random_map(rng, 57, 111, 2, 1, dtype)

    def run():
        out = np.empty((19, 83, 111), dtype)
        resize.map_planes(x, *rows, *columns, out)
        return out

    close(on_each_thread_count(run), row_matrix @ x @ column_matrix.T, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spread", [1, 50])
def test_missing_taps_read_nothing(dtype, spread):
    """Copies are exact, negative zeros, infinities and NaNs included, and reach only the outputs that name them."""
    rng = np.random.default_rng(1)
    x = rng.choice([0.0, -0.0, np.inf, -np.inf, np.nan, 1.5], (2, 3, 61)).astype(dtype)
    index = np.clip(np.arange(40) + rng.integers(-spread, spread + 1, 40), 0, 60).astype(np.int32)
    present = rng.random(40) < 0.6
    offset = np.concatenate(([0], np.cumsum(present)))
    ones = np.ones(present.sum(), dtype)
    out = np.empty((2, 3, 40), dtype)
    resize.map_planes(x, *IDENTITY, ones[:0], offset, index[present], ones, out)
    expected = np.where(present, x[:, :, index], 0)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(expected))


def test_map_planes_rejects_maps_out_of_bounds():
    x, out = np.ones((1, 2, 3)), np.empty((1, 2, 2))
    none = (*IDENTITY, np.zeros(0))
    ones = np.ones(2)
    good = (np.array([0, 1, 2]), np.array([0, 2], np.int32), ones)
    resize.map_planes(x, *none, *good, out)
    for index in ([0, 3], [-1, 0]):
        with pytest.raises(IndexError):
            resize.map_planes(x, *none, good[0], np.array(index, np.int32), ones, out)
    for offset in ([0, 3, 2], [0, 1, 3], [0, 1], [1, 1, 2]):
        with pytest.raises(ValueError, match="map"):
            resize.map_planes(x, *none, np.array(offset), good[1], ones, out)
    with pytest.raises(ValueError, match="width"):
        resize.map_planes(x, *none, *none, out)
    with pytest.raises(ValueError, match="height"):
        resize.map_planes(x, *none, *good, np.empty((1, 3, 2)))
    with pytest.raises(ValueError, match="planes"):
        resize.map_planes(x, *none, *good, np.empty((2, 2, 2)))


@pytest.mark.parametrize(("planes", "height", "width"), [(0, 2, 3), (2, 0, 3), (2, 3, 0)])
def test_map_planes_of_nothing(planes, height, width):
    x = np.ones((planes, height, width), np.float32)
    rows, columns = (np.zeros(n + 1, np.int64) for n in (4, 5))
    none = (np.zeros(0, np.int32), np.zeros(0, np.float32))
    out = np.full((planes, 4, 5), np.nan, np.float32)
    resize.map_planes(x, rows, *none, columns, *none, out)
    assert (out == 0).all()


def dense_samples(weight, index, size):
    """The (N, O, S) matrix of sample()."""
    batch, taps, points = index.shape
    matrix = np.zeros((batch, points, size))
    for n in range(batch):
        for k in range(taps):
            for o in range(points):
                if index[n, k, o] >= 0:
                    matrix[n, o, index[n, k, o]] += weight[n, k, o]
    return matrix


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("batch", "channels", "size", "taps", "points"),
    [
        (1, 1, 1, 1, 1),
        (2, 3, 35, 4, 19),
        (3, 1, 7, 16, 33),
        (2, 5, 11, 8, 0),
        (2, 0, 11, 2, 3),
        (1, 2, 5, 0, 3),
        (5, 7, 900, 4, 700),
        (2, 16, 40, 6, 150),
        (1, 35, 64, 1, 200),
        (1, 16, 20, 16, 64),
    ],
)
def test_sample_and_adjoints(dtype, batch, channels, size, taps, points):
    rng = np.random.default_rng(points)
    x = rng.standard_normal((batch, channels, size)).astype(dtype)
    weight = rng.standard_normal((batch, taps, points)).astype(dtype)
    index = rng.integers(-1, size, (batch, taps, points)).astype(np.int32)
    g = rng.standard_normal((batch, channels, points)).astype(dtype)
    matrix = dense_samples(weight, index, size)

    def forward():
        out = np.full((batch, channels, points), np.nan, dtype)
        resize.sample(x, weight, index, out)
        return out

    def adjoint():
        gx = np.zeros_like(x)
        resize.sample_adjoint(g, weight, index, gx)
        return gx

    def weights():
        gw = np.full_like(weight, np.nan)
        resize.sample_weights(g, x, index, gw)
        return gw

    close(on_each_thread_count(forward), x @ matrix.transpose(0, 2, 1), dtype)
    close(on_each_thread_count(adjoint), g @ matrix, dtype)
    values = np.zeros((batch, channels, taps, points))
    for n in range(batch):
        values[n] = np.where(index[n] >= 0, x[n][:, np.maximum(index[n], 0)], 0)
    close(on_each_thread_count(weights), (g[:, :, None] * values).sum(1), dtype)


def test_sample_of_an_empty_image():
    out = np.full((1, 2, 3), np.nan)
    resize.sample(np.empty((1, 2, 0)), np.ones((1, 4, 3)), np.full((1, 4, 3), -1, np.int32), out)
    assert (out == 0).all()


def test_sample_rejects_indices_out_of_bounds():
    x, weight, index, out = np.ones((1, 2, 5)), np.ones((1, 1, 3)), np.full((1, 1, 3), 5, np.int32), np.zeros((1, 2, 3))
    with pytest.raises(IndexError):
        resize.sample(x, weight, index, out)
    with pytest.raises(IndexError):
        resize.sample_adjoint(out, weight, index, x)
    with pytest.raises(IndexError):
        resize.sample_weights(out, x, index, weight)


def taps_of(grid, sizes, taps, padding, align_corners, orders, with_index):
    shape = (len(grid), taps ** len(sizes), grid.shape[1])
    weight, index = np.full(shape, np.nan, grid.dtype), np.full(shape if with_index else (0, 0, 0), 99, np.int32)
    resize.grid_taps(grid, sizes, taps, padding, align_corners, orders, weight, index)
    return weight, index


@pytest.mark.parametrize("taps", [1, 2, 4])
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("align_corners", [False, True])
def test_grid_taps_of_each_order_are_derivatives_of_the_order_below(taps, padding, align_corners):
    rng = np.random.default_rng(taps)
    sizes, h = (3, 4), 1e-6
    grid = rng.uniform(-1.4, 1.4, (2, 301, 2))
    for orders in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (2, 3)):
        for axis in (0, 1):
            step = np.array([h * (axis == 1), h * (axis == 0)])  # the grid has the last axis first
            above, below = (taps_of(grid + s, sizes, taps, padding, align_corners, orders, False)[0] for s in (step, -step))
            higher = tuple(order + (a == axis) for a, order in enumerate(orders))
            weight, _ = taps_of(grid, sizes, taps, padding, align_corners, higher, False)
            error = np.abs((above - below) / (2 * h) - weight).max(1) / (1 + np.abs(weight).max())
            assert np.quantile(error, 0.99) < 1e-6  # all but points at a jump


@pytest.mark.parametrize("dtype", DTYPES)
def test_grid_taps_sum_to_one_within_the_image(dtype):
    grid = np.random.default_rng(0).uniform(-3, 3, (3, 5000, 3)).astype(dtype)
    grid[0, 0] = np.nan
    grid[0, 1] = np.inf
    grid[0, 2] = -1e30
    for taps in (1, 2, 4):
        for padding in (0, 1, 2):

            def run(taps=taps, padding=padding):
                return np.stack(taps_of(grid, (2, 5, 3), taps, padding, False, (0, 0, 0), True))

            weight, index = on_each_thread_count(run)
            assert index.min() >= (-1 if padding == 0 or taps == 2 else 0)
            assert index.max() < 30
            np.testing.assert_allclose(weight[:, :, 3:].sum(1), 1, atol=2e-5 if dtype == np.float32 else 1e-12)
