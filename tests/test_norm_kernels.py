"""The normalisation kernels against naive numpy in float64, at odd sizes."""

import numpy as np
import pytest

from minigrad._ext import norm
from minigrad._ext.threads import get_num_threads, set_num_threads

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}
EPS = 1e-5


def assert_near(actual, expected, dtype, factor=1.0):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale * factor)


def batch_norm(x, weight, bias, training, mean=None, var=None):
    out = np.full_like(x, np.nan)
    mean = np.full(x.shape[1], np.nan) if mean is None else mean
    var = np.full(x.shape[1], np.nan) if var is None else var
    norm.batch_norm_forward(x, weight, bias, EPS, training, out, mean, var)
    return out, mean, var


def batch_norm_oracle(x, weight, bias, training, mean=None, var=None):
    x = x.astype(np.float64)
    if training:
        mean, var = x.mean((0, 2)), x.var((0, 2))
    out = (x - mean[:, None]) / np.sqrt(var[:, None] + EPS)
    if weight is not None:
        out = out * weight[:, None]
    return out if bias is None else out + bias[:, None]


def batch_norm_backward_oracle(g, x, weight, mean, var, training):
    g, x = g.astype(np.float64), x.astype(np.float64)
    rstd = 1 / np.sqrt(var + EPS)[:, None]
    xh = (x - mean[:, None]) * rstd
    gw, gb = (g * xh).sum((0, 2)), g.sum((0, 2))
    n = x.shape[0] * x.shape[2]
    inner = g - gb[:, None] / n - xh * gw[:, None] / n if training else g
    return rstd * inner * (1 if weight is None else weight[:, None].astype(np.float64)), gw, gb


SHAPES = [(1, 1, 2), (3, 5, 1), (300, 70, 1), (5, 3, 4), (2, 9, 15), (2, 3, 16), (3, 7, 37), (2, 2, 5000), (7, 33, 49)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm(dtype, shape, training, affine):
    rng = np.random.default_rng(hash(shape) % 1000)
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    weight, bias = (rng.standard_normal(shape[1]).astype(dtype) if affine else None for _ in range(2))
    stats = (None, None) if training else (rng.standard_normal(shape[1]), rng.uniform(0.5, 2, shape[1]))
    out, mean, var = batch_norm(x, weight, bias, training, *stats)
    assert_near(out, batch_norm_oracle(x, weight, bias, training, *stats), dtype, 2)
    if training:
        assert_near(mean, x.mean((0, 2), dtype=np.float64), dtype)
        assert_near(var, x.astype(np.float64).var((0, 2)), dtype)
    gx, gw, gb = np.full_like(x, np.nan), np.full(shape[1], np.nan, dtype), np.full(shape[1], np.nan, dtype)
    norm.batch_norm_backward(g, x, weight, mean, var, EPS, training, gx, gw, gb)
    for actual, expected in zip((gx, gw, gb), batch_norm_backward_oracle(g, x, weight, mean, var, training), strict=True):
        assert_near(actual, expected, dtype, 4)
    gw2, gb2 = np.empty_like(gw), np.empty_like(gb)
    norm.batch_norm_backward(g, x, weight, mean, var, EPS, training, None, gw2, gb2)
    np.testing.assert_array_equal(gw, gw2)
    np.testing.assert_array_equal(gb, gb2)


@pytest.mark.parametrize("shape", [(64, 3, 1), (50, 2, 4), (8, 2, 4096), (2, 1, 70000)])
def test_batch_norm_of_a_large_mean_in_float32(shape):
    rng = np.random.default_rng(1)
    x = (1e4 + rng.standard_normal(shape)).astype(np.float32)
    out, mean, var = batch_norm(x, None, None, True)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean((0, 2)), rtol=1e-10)
    np.testing.assert_allclose(var, exact.var((0, 2)), rtol=2e-6)
    np.testing.assert_allclose(out, batch_norm_oracle(x, None, None, True), rtol=0, atol=5e-6)


def row_oracle(x, weight, bias, groups, centered):
    """x (R, K, P), weight and bias (groups, K)."""
    x = x.astype(np.float64)
    mean = x.mean((1, 2), keepdims=True) if centered else 0
    out = (x - mean) / np.sqrt(((x - mean) ** 2).mean((1, 2), keepdims=True) + EPS)
    repeat = x.shape[0] // groups
    if weight is not None:
        out = out * np.tile(weight, (repeat, 1))[:, :, None]
    return out if bias is None else out + np.tile(bias, (repeat, 1))[:, :, None]


def row_backward_oracle(g, x, weight, groups, centered):
    g, x = g.astype(np.float64), x.astype(np.float64)
    xh = row_oracle(x, None, None, groups, centered)
    mean = x.mean((1, 2), keepdims=True) if centered else 0
    rstd = 1 / np.sqrt(((x - mean) ** 2).mean((1, 2), keepdims=True) + EPS)
    repeat = x.shape[0] // groups
    u = g if weight is None else g * np.tile(weight, (repeat, 1))[:, :, None]
    gx = rstd * (u - (u.mean((1, 2), keepdims=True) if centered else 0) - xh * (u * xh).mean((1, 2), keepdims=True))
    shape = (repeat, groups * x.shape[1], x.shape[2])
    return gx, (g * xh).reshape(shape).sum((0, 2)), g.reshape(shape).sum((0, 2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("repeat", "groups", "channels", "plane"),
    [
        (1, 1, 1, 1),
        (5, 1, 7, 1),
        (100, 1, 33, 1),
        (3, 2, 5, 1),
        (2, 3, 2, 4),
        (2, 3, 2, 15),
        (2, 2, 3, 37),
        (40, 3, 1, 50),
        (2, 1, 5001, 1),
        (1, 1, 2, 5001),
    ],
)
@pytest.mark.parametrize("affine", ["both", "weight", "none"])
@pytest.mark.parametrize("centered", [True, False])
def test_row_norm(dtype, repeat, groups, channels, plane, affine, centered):
    rng = np.random.default_rng(repeat + groups + channels + plane)
    x, g = (rng.standard_normal((repeat * groups, channels, plane)).astype(dtype) for _ in range(2))
    weight = rng.standard_normal((groups, channels)).astype(dtype) if affine != "none" else None
    bias = rng.standard_normal((groups, channels)).astype(dtype) if affine == "both" else None
    flat_weight, flat_bias = (None if p is None else p.ravel() for p in (weight, bias))
    out, mean, var = norm.row_norm_forward(x, flat_weight, flat_bias, EPS, centered, groups, channels, plane)
    assert_near(out, row_oracle(x, weight, bias, groups, centered), dtype, 3)
    expected = row_backward_oracle(g, x, weight, groups, centered)
    gx, gw, gb = (np.full(n, np.nan, dtype) for n in (x.size, groups * channels, groups * channels))
    geometry = (groups, channels, plane)
    norm.row_norm_backward(g.ravel(), x.ravel(), flat_weight, mean, var, EPS, centered, gx, gw, gb, *geometry)
    for actual, wanted in zip((gx.reshape(x.shape), gw, gb), expected, strict=True):
        # a row of one element has xh = 0 but rstd = 1 / sqrt(eps), which magnifies the last bit of every term
        assert_near(actual, wanted, dtype, 4 if channels * plane > 1 else 400)
    only_gx = np.full_like(gx, np.nan)
    norm.row_norm_backward(g.ravel(), x.ravel(), flat_weight, mean, var, EPS, centered, only_gx, None, None, *geometry)
    assert_near(only_gx, gx, dtype, 4 if channels * plane > 1 else 400)
    gw2, gb2 = np.full_like(gw, np.nan), np.full_like(gb, np.nan)
    norm.row_norm_backward(g.ravel(), x.ravel(), flat_weight, mean, var, EPS, centered, None, gw2, gb2, *geometry)
    assert_near(gw2, gw, dtype, 4)
    np.testing.assert_array_equal(gb2, gb)


def test_row_norm_of_a_large_mean_in_float32():
    rng = np.random.default_rng(2)
    x = (1e4 + rng.standard_normal((5, 3001, 1))).astype(np.float32)
    out, mean, _ = norm.row_norm_forward(x, None, None, EPS, True, 1, 3001, 1)
    np.testing.assert_allclose(out, row_oracle(x, None, None, 1, True), rtol=0, atol=5e-6)
    np.testing.assert_allclose(mean, x.mean((1, 2), dtype=np.float64), rtol=1e-10)


def test_empty_arrays():
    x, one = np.zeros((0, 3, 2), np.float32), np.ones(3, np.float32)
    gw, gb = np.ones(3, np.float32), np.ones(3, np.float32)
    norm.batch_norm_forward(x, one, one, EPS, True, x.copy(), np.zeros(3), np.ones(3))
    norm.batch_norm_backward(x, x, one, np.zeros(3), np.ones(3), EPS, True, x.copy(), gw, gb)
    assert not gw.any()
    assert not gb.any()
    gw, gb = np.ones(3, np.float32), np.ones(3, np.float32)
    flat = x.ravel()
    assert [part.size for part in norm.row_norm_forward(flat, one, one, EPS, True, 1, 3, 1)] == [0, 0, 0]
    norm.row_norm_backward(flat, flat, one, np.zeros(0), np.zeros(0), EPS, True, flat.copy(), gw, gb, 1, 3, 1)
    assert not gw.any()
    assert not gb.any()


def test_nan_stays_in_its_channel_and_row():
    x = np.random.default_rng(3).standard_normal((4, 3, 20)).astype(np.float32)
    x[1, 2, 5] = np.nan
    out, mean, var = batch_norm(x, None, None, True)
    assert np.isnan(out[:, 2]).all()
    assert np.isfinite(out[:, :2]).all()
    assert np.isnan(mean[2])
    assert np.isnan(var[2])
    out, mean, var = norm.row_norm_forward(x, None, None, EPS, True, 1, 20, 1)
    assert np.isnan(out.reshape(12, 20)).all(1).tolist() == [r == 5 for r in range(12)]


@pytest.mark.parametrize("shape", [(600, 300, 1), (4, 20, 2500)])
def test_bits_do_not_depend_on_threads(shape):
    rng = np.random.default_rng(4)
    x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    _, C, P = shape
    w = rng.standard_normal(C).astype(np.float32)
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            out, mean, var = batch_norm(x, w, w, True)
            gx, gw, gb = np.empty_like(x), np.empty_like(w), np.empty_like(w)
            norm.batch_norm_backward(g, x, w, mean, var, EPS, True, gx, gw, gb)
            rows, row_mean, row_var = norm.row_norm_forward(x, w, w, EPS, True, 1, C, P)
            rgx, rgw, rgb = np.empty(x.size, np.float32), np.empty_like(w), np.empty_like(w)
            norm.row_norm_backward(g.ravel(), x.ravel(), w, row_mean, row_var, EPS, True, rgx, rgw, rgb, 1, C, P)
            results.append([a.tobytes() for a in (out, mean, var, gx, gw, gb, rows, row_mean, row_var, rgx, rgw, rgb)])
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]
