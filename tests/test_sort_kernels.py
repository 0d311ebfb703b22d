"""Sorting and running sums beside numpy: stable, NaN last, in either direction."""

import numpy as np
import pytest

from minigrad._ext import scan, sort


def lines(dtype, count, n):
    rng = np.random.default_rng(0)
    x = rng.integers(-50, 50, (count, n)).astype(dtype)
    if x.dtype.kind == "f":
        x = np.where(
            rng.random(x.shape) < 0.5, x, rng.standard_normal(x.shape) * 10.0 ** rng.integers(-30, 30, x.shape)
        ).astype(dtype)
        x[rng.random(x.shape) < 0.05] = np.nan
        x[rng.random(x.shape) < 0.05] = -0.0
        x[0, : min(n, 2)] = [np.inf, -np.inf][: min(n, 2)]
    else:
        x[0, : min(n, 2)] = [np.iinfo(dtype).max, np.iinfo(dtype).min][: min(n, 2)]
    return x


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
@pytest.mark.parametrize("n", [1, 5, 33, 300, 5000])
def test_sorted_lines(dtype, n):
    x = lines(dtype, 3, n)
    up = np.argsort(x, 1, kind="stable")
    down = n - 1 - np.argsort(x[:, ::-1], 1, kind="stable")[:, ::-1]
    for expected, descending in ((up, False), (down, True)):
        for first, last in ((0, n), (0, min(n, 10)), (0, min(n, 200)), (n // 2, n // 2 + 1), (0, 0)):
            values, order = sort.sort_lines(x, first, last, descending)
            np.testing.assert_array_equal(order, expected[:, first:last])
            np.testing.assert_array_equal(values, np.take_along_axis(x, order, 1))


@pytest.mark.parametrize("shape", [(1, 1), (3, 100), (17, 33), (2, 5, 40), (0, 3), (3, 0)])
def test_running_sums_and_products_of_integers_wrap(shape):
    x = np.random.default_rng(0).integers(-(2**62), 2**62, shape)
    for axis in range(x.ndim):
        for ours, numpys in ((scan.cumsum, np.cumsum), (scan.cumprod, np.cumprod)):
            np.testing.assert_array_equal(ours(x, axis, False), numpys(x, axis))
            np.testing.assert_array_equal(ours(x, axis, True), np.flip(numpys(np.flip(x, axis), axis), axis))


def test_which_arrays_are_sorted():
    assert sort.sorts(np.ones((2, 3), np.float32))
    assert not sort.sorts(np.ones((2, 3), bool))
    assert not sort.sorts(np.broadcast_to(np.float32(1), (1 << 20, 1 << 13)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (3, 100), (17, 33), (2, 5, 40), (0, 3), (3, 0)])
def test_running_sums_and_products(dtype, shape):
    x = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(dtype)
    for axis in range(x.ndim):
        for ours, numpys in ((scan.cumsum, np.cumsum), (scan.cumprod, np.cumprod)):
            np.testing.assert_array_equal(ours(x, axis, False), numpys(x, axis, np.float64).astype(dtype))
            backwards = np.flip(numpys(np.flip(x, axis), axis, np.float64), axis).astype(dtype)
            np.testing.assert_array_equal(ours(x, axis, True), backwards)
