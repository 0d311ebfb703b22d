"""The reduction kernels, against numpy in long double."""

import itertools

import numpy as np
import pytest

from minigrad._ext import reduce, threads

DTYPES = [np.float32, np.float64]
SHAPES = [
    (),
    (1,),
    (5,),
    (67,),
    (3, 5),
    (5, 3),
    (1, 7),
    (7, 1),
    (2, 3, 5),
    (3, 1, 67),
    (5, 67, 3),
    (2, 3, 4, 5),
    (37, 130),
    (9, 517),
]
FOLDS = {"sum": np.sum, "mean": np.mean, "prod": np.prod, "amax": np.max, "amin": np.min}


def axes_of(ndim):
    return [None, *itertools.chain.from_iterable(itertools.combinations(range(ndim), k) for k in range(1, ndim + 1))]


def close(dtype):
    return {"rtol": 3e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 2e-14, "atol": 1e-14}


def sample(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.9, 1.1, shape) * rng.choice([-1, 1], shape)).astype(dtype)


@pytest.mark.parametrize("threads_wanted", [1, 2, 7])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("name", ["sum", "prod", "amax", "amin"])
def test_fold_of_integers(name, dtype, threads_wanted):
    before = threads.get_num_threads()
    threads.set_num_threads(threads_wanted)
    try:
        for shape in [*SHAPES, (3, 70001), (300001,), (70, 3, 200), (2, 0, 3)]:
            info = np.iinfo(dtype)
            x = np.random.default_rng(0).integers(info.min, info.max, shape, dtype)  # sums and products wrap
            for axes, keepdims in itertools.product(axes_of(len(shape)), [False, True]):
                if x.size == 0 and name.startswith("a"):
                    continue
                options = {"dtype": dtype} if not name.startswith("a") else {}
                expected = FOLDS[name](x, axis=axes, keepdims=keepdims, **options)
                np.testing.assert_array_equal(getattr(reduce, name)(x, axes, keepdims), expected, strict=True)
    finally:
        threads.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("name", ["max", "min"])
def test_extrema_of_integers_and_their_places(name, dtype):
    for shape in [*SHAPES[1:], (3, 70001), (300001,), (70, 3, 200)]:
        x = np.random.default_rng(0).integers(-9, 9, shape, dtype)
        for axis in range(len(shape)):
            values, places = getattr(reduce, name)(x, axis, True)
            np.testing.assert_array_equal(values, getattr(np, name)(x, axis, keepdims=True), strict=True)
            np.testing.assert_array_equal(places, getattr(np, "arg" + name)(x, axis, keepdims=True), strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FOLDS)
def test_fold(name, dtype):
    for shape in SHAPES:
        x = sample(shape, dtype)
        for axes, keepdims in itertools.product(axes_of(len(shape)), [False, True]):
            out = getattr(reduce, name)(x, axes, keepdims)
            expected = FOLDS[name](x.astype(np.longdouble), axis=axes, keepdims=keepdims)
            assert (type(out), out.dtype, out.shape) == (np.ndarray, dtype, np.shape(expected))
            np.testing.assert_allclose(out, expected.astype(np.float64), **close(dtype), err_msg=f"{shape} {axes}")
            assert not np.shares_memory(out, x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["max", "min"])
def test_extremum(name, dtype):
    for shape in SHAPES:
        x = np.random.default_rng(1).integers(-4, 5, shape).astype(dtype)  # many equals
        for axis, keepdims in itertools.product(range(len(shape)), [False, True]):
            values, indices = getattr(reduce, name)(x, axis, keepdims)
            np.testing.assert_array_equal(values, getattr(x, name)(axis=axis, keepdims=keepdims), strict=True)
            np.testing.assert_array_equal(indices, getattr(x, "arg" + name)(axis=axis, keepdims=keepdims), strict=True)
    values, indices = getattr(reduce, name)(dtype(3), 0, False)
    assert (values.shape, indices.shape, indices.dtype, int(indices)) == ((), (), np.int64, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["max", "min"])
def test_extremum_of_nan_and_inf(name, dtype):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(40, 70)).astype(dtype)
    x[rng.random(x.shape) < 0.02] = np.nan
    x[rng.random(x.shape) < 0.05] = -np.inf
    x[rng.random(x.shape) < 0.05] = np.inf
    for axis in (0, 1):
        values, indices = getattr(reduce, name)(x, axis, False)
        np.testing.assert_array_equal(values, getattr(x, name)(axis=axis))
        np.testing.assert_array_equal(indices, getattr(x, "arg" + name)(axis=axis))
        np.testing.assert_array_equal(getattr(reduce, "a" + name)(x, (axis,), False), values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["amax", "amin"])
def test_extremum_of_values_alone_is_exact_where_the_sum_is_nan(name, dtype):
    """The kernels of values look for a NaN in a sum, which infinities of both signs make NaN as well."""
    rng = np.random.default_rng(0)
    for shape in [(1, 3), (67, 131), (130, 67), (5, 1000)]:
        x = rng.standard_normal(shape).astype(dtype)
        x[:, 0] = np.inf
        x[:, -1] = -np.inf
        x[0, shape[1] // 2] = np.nan
        for axis in (0, 1, None):
            axes = None if axis is None else (axis,)
            np.testing.assert_array_equal(getattr(reduce, name)(x, axes, False), FOLDS[name](x, axis))


@pytest.mark.parametrize("dtype", DTYPES)
def test_var_mean(dtype):
    for shape in SHAPES:
        x = sample(shape, dtype, 3) + dtype(100)
        for axes, keepdims, correction in itertools.product(axes_of(len(shape)), [False, True], [0, 1, 0.5]):
            exact = x.astype(np.longdouble)
            n = exact.size // max(1, np.sum(exact, axis=axes).size)
            with np.errstate(all="ignore"):
                average = exact.mean(axis=axes, keepdims=True)
                expected = np.sum((exact - average) ** 2, axis=axes, keepdims=keepdims) / max(0, n - correction)
            variance, mean = reduce.var_mean(x, axes, correction, keepdims)
            np.testing.assert_allclose(variance, expected.astype(np.float64), rtol=1e-5 if dtype == np.float32 else 1e-13)
            np.testing.assert_allclose(mean, exact.mean(axis=axes, keepdims=keepdims).astype(np.float64), rtol=3e-7)
            assert (variance.shape, mean.shape, variance.dtype) == (np.shape(expected), np.shape(expected), dtype)


def test_var_of_values_far_from_zero():
    x = (1e6 + np.random.default_rng(4).normal(0, 1, 50_000)).astype(np.float32)
    variance, _ = reduce.var_mean(x, None, 1, False)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(ddof=1), rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_layouts(dtype):
    x = sample((6, 9, 8), dtype, 5)
    x.flags.writeable = False
    for view in (x.T, x[::2, ::-1], np.broadcast_to(x[:, :1], x.shape), x.astype(dtype().dtype.newbyteorder())):
        np.testing.assert_allclose(reduce.sum(view, (1,), False), view.astype(np.float64).sum(1), **close(dtype))
        np.testing.assert_array_equal(reduce.max(view, 1, False)[1], view.argmax(1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_to_reduce(dtype):
    x = np.empty((0, 3), dtype)
    for axes, keepdims in itertools.product([None, (0,), (1,), (0, 1)], [False, True]):
        for name in ("sum", "prod"):
            np.testing.assert_array_equal(
                getattr(reduce, name)(x, axes, keepdims), FOLDS[name](x, axis=axes, keepdims=keepdims), strict=True
            )
    assert np.isnan(reduce.mean(x, None, False))
    assert np.isnan(reduce.var_mean(x, None, 1, False)[0])
    assert np.isnan(reduce.var_mean(x, (0,), 1, False)[0]).all()
    assert reduce.amax(x, (1,), False).shape == reduce.max(x, 1, False)[0].shape == (0,)
    for call in (lambda: reduce.amax(x, None, False), lambda: reduce.amin(x, (0,), False), lambda: reduce.max(x, 0, False)):
        with pytest.raises(ValueError, match=r"empty|zero-size"):
            call()
    with pytest.raises(TypeError, match="sum expects"):
        reduce.sum(np.arange(3, dtype=np.int16), None, False)


GEOMETRIES = [((300_007,), None), ((5, 140_001), (1,)), ((200_003, 3), (0,)), ((30_001, 67), (0,)), ((3, 9_001, 10), (1,)),
              ((2, 70_000), None), ((40, 20_000), (1,)), ((700, 1_001), (0,))]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "axes"), GEOMETRIES)
def test_large_reductions_are_accurate_and_do_not_depend_on_threads(shape, axes, dtype):
    x = np.random.default_rng(6).uniform(0.5, 1.5, shape).astype(dtype)
    before = threads.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            results.append([reduce.sum(x, axes, False), reduce.amax(x, axes, False), *reduce.var_mean(x, axes, 1, False)])
            if axes is not None:
                results[-1] += reduce.min(x, axes[0], False)
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)
    exact = x.astype(np.longdouble)
    total, largest, variance, mean, *rest = results[0]
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(total, exact.sum(axes).astype(np.float64), rtol=4 * eps)
    assert np.abs(total - exact.sum(axes)).max() <= np.abs(x.sum(axes) - exact.sum(axes)).max() + 2 * eps * np.abs(total).max()
    np.testing.assert_array_equal(largest, x.max(axes))
    np.testing.assert_allclose(mean, exact.mean(axes).astype(np.float64), rtol=4 * eps)
    np.testing.assert_allclose(variance, exact.var(axes, ddof=1).astype(np.float64), rtol=20 * eps)
    if rest:
        np.testing.assert_array_equal(rest[0], x.min(axes))
        np.testing.assert_array_equal(rest[1], x.argmin(axes[0]))
