"""The softmax and loss kernels against naive numpy in float64, at odd sizes."""

import functools

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

import minigrad as mg
from minigrad._ext import loss
from minigrad._ext.threads import get_num_threads, set_num_threads

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}
SHAPES = [(1, 1, 1), (5, 10, 1), (3, 33, 1), (2, 5000, 1), (2, 3, 5), (3, 70, 129), (1, 2, 300)]
IGNORE = -100


def assert_near(actual, expected, dtype, factor=1.0):
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[dtype] * scale * factor)


def logits(rng, shape, dtype):
    return (rng.standard_normal(shape) * 5 + rng.choice([0, 1000, -300], size=(shape[0], 1, 1))).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("logarithm", [False, True])
def test_softmax(dtype, shape, logarithm):
    rng = np.random.default_rng(sum(shape))
    x, g = logits(rng, shape, dtype), rng.standard_normal(shape).astype(dtype)
    exact = x.astype(np.float64)
    y = loss.softmax_forward(x, 1, logarithm)
    assert_near(y, log_softmax(exact, 1) if logarithm else softmax(exact, 1), dtype)
    gx = loss.softmax_backward(g, y, 1, logarithm)
    p, g = softmax(exact, 1), g.astype(np.float64)
    expected = g - p * g.sum(1, keepdims=True) if logarithm else p * (g - (p * g).sum(1, keepdims=True))
    assert_near(gx, expected, dtype, 5)


@pytest.mark.parametrize("shape", [(1, 40, 1), (1, 40, 3)])
def test_softmax_of_infinities_and_nan(shape):
    x = np.zeros(shape, np.float32)
    x[0, 3] = -np.inf
    assert (loss.softmax_forward(x, 1, False)[0, 3] == 0).all()
    assert (loss.softmax_forward(x, 1, True)[0, 3] == -np.inf).all()
    for bad in (np.nan, np.inf):
        x[0, 3] = bad
        assert np.isnan(loss.softmax_forward(x, 1, False)[0, 3]).all()


def targets(rng, shape, ignored):
    target = rng.integers(0, shape[1], (shape[0], shape[2]))
    if ignored:
        target[rng.uniform(size=target.shape) < 0.3] = IGNORE
    return target.astype(np.int64)


def cross_entropy_oracle(x, target, weight, smoothing):
    """The losses (N, D), and d losses / d x (N, C, D)."""
    logp, C = log_softmax(x.astype(np.float64), 1), x.shape[1]
    w = np.ones(C) if weight is None else weight.astype(np.float64)
    hot = (target[:, None] == np.arange(C)[:, None]) * (1 - smoothing) + (target != IGNORE)[:, None] * smoothing / C
    coefficient = hot * w[:, None]
    return -(coefficient * logp).sum(1), np.exp(logp) * coefficient.sum(1, keepdims=True) - coefficient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("weighted", "ignored", "smoothing"), [(False, False, 0.0), (True, True, 0.0), (True, True, 0.3), (False, True, 1.0)]
)
def test_cross_entropy(dtype, shape, weighted, ignored, smoothing):
    rng = np.random.default_rng(sum(shape))
    x, target = logits(rng, shape, dtype), targets(rng, shape, ignored)
    weight = rng.uniform(0.5, 2, shape[1]).astype(dtype) if weighted else None
    losses, maxima, logs = (np.full(target.size, np.nan, dtype) for _ in range(3))
    total, weights = loss.cross_entropy_forward(x, target.ravel(), weight, IGNORE, smoothing, losses, maxima, logs)
    expected, derivative = cross_entropy_oracle(x, target, weight, smoothing)
    assert_near(losses.reshape(target.shape), expected, dtype)
    counted = target != IGNORE
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-6 if dtype is np.float32 else 1e-13)
    np.testing.assert_allclose(weights, weight[target[counted]].sum(dtype=np.float64) if weighted else counted.sum(), rtol=1e-6)
    for g, scale in ((rng.standard_normal(target.size).astype(dtype), 1.0), (np.array([0.7], dtype), 0.25)):
        gx = np.full_like(x, np.nan)
        loss.cross_entropy_backward(g, scale, x, target.ravel(), weight, IGNORE, smoothing, maxima, logs, gx)
        each = np.broadcast_to(g.astype(np.float64), target.size).reshape(shape[0], 1, shape[2]) * scale
        assert_near(gx, each * derivative, dtype, 5)


def test_an_ignored_position_has_no_gradient_even_beside_nan():
    x = np.full((2, 3, 2), np.nan, np.float32)
    target, g = np.full(4, IGNORE), np.ones(1, np.float32)
    losses, maxima, logs = (np.empty(4, np.float32) for _ in range(3))
    for shape in ((2, 3, 2), (4, 3, 1)):
        x = np.full(shape, np.nan, np.float32)
        assert loss.cross_entropy_forward(x, target, None, IGNORE, 0.1, losses, maxima, logs) == (0.0, 0.0)
        gx = np.full_like(x, 5)
        loss.cross_entropy_backward(g, 1.0, x, target, None, IGNORE, 0.1, maxima, logs, gx)
        assert not gx.any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_nll(dtype, shape):
    rng = np.random.default_rng(sum(shape))
    x, target = rng.standard_normal(shape).astype(dtype), targets(rng, shape, True)
    weight = rng.uniform(0.5, 2, shape[1]).astype(dtype)
    losses = np.full(target.size, np.nan, dtype)
    total, weights = loss.nll_forward(x, target.ravel(), weight, IGNORE, losses)
    coefficient = (target[:, None] == np.arange(shape[1])[:, None]) * weight.astype(np.float64)[:, None]
    expected = -(coefficient * x).sum(1)
    assert_near(losses.reshape(target.shape), expected, dtype)
    np.testing.assert_allclose(total, expected.sum(), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(weights, coefficient.sum(), rtol=1e-6)
    g, gx = rng.standard_normal(target.size).astype(dtype), np.zeros_like(x)
    loss.nll_backward(g, 0.5, target.ravel(), weight, IGNORE, gx)
    assert_near(gx, -0.5 * coefficient * g.reshape(shape[0], 1, shape[2]), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 3, 40, 9000])
def test_log_sum_exp(dtype, n):
    x = (np.random.default_rng(n).standard_normal((6, n)) * 30).astype(dtype)
    x[1], x[2, 0], x[3, -1], x[4, 0] = -np.inf, np.inf, np.nan, -np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.logaddexp.reduce(x.astype(np.float64), axis=1)
    np.testing.assert_allclose(loss.log_sum_exp(x, n), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5, 7), (40, 100), (3, 1), (0, 4)])
def test_multilabel_margin(dtype, shape):
    rng = np.random.default_rng(shape[1])
    x, target = rng.standard_normal(shape).astype(dtype), rng.integers(-1, shape[1], shape)
    losses, slopes = loss.multilabel_margin(x, target)
    expected, derivatives = np.zeros(shape[0]), np.zeros(shape)
    for n, (row, classes) in enumerate(zip(x.astype(np.float64), target.tolist(), strict=True)):
        chosen = classes[: classes.index(-1)] if -1 in classes else classes
        for t in chosen:
            for i in set(range(shape[1])) - set(chosen):
                if 1 - row[t] + row[i] > 0:
                    expected[n] += (1 - row[t] + row[i]) / shape[1]
                    derivatives[n, i] += 1 / shape[1]
                    derivatives[n, t] -= 1 / shape[1]
    assert_near(losses, expected, dtype)
    assert_near(slopes, derivatives, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (7, 33), (2, 100)])
def test_multi_margin(dtype, shape):
    rng = np.random.default_rng(5)
    x, t, weight = rng.standard_normal(shape).astype(dtype), rng.integers(0, shape[1], shape[0]), rng.uniform(0.5, 2, shape[1])
    rows = np.arange(shape[0])
    for margin in (1.0, -0.3):
        z = margin - x.astype(np.float64)[rows, t][:, None] + x
        z[rows, t] = 0
        for w in (None, weight.astype(dtype)):
            share = (np.ones(shape[0]) if w is None else w.astype(np.float64)[t])[:, None] / shape[1]
            slopes = (z > 0) * share
            slopes[rows, t] = -slopes.sum(1)
            losses, found = loss.multi_margin(x, t, w, margin)
            assert_near(losses, (np.maximum(z, 0) * share).sum(1), dtype)
            assert_near(found, slopes, dtype)
    x[0, 0] = np.nan
    losses, slopes = loss.multi_margin(x, t, None, 1.0)
    assert np.isnan(losses[0]) == (shape[1] > 1)
    assert slopes[0, 0] == 0  # no NaN pulls at a score


def test_find_bad_target():
    good = np.array([0, 4, -100, 2])
    assert loss.find_bad_target(good, 5, -100) == -1
    assert loss.find_bad_target(good, 4, -100) == 1
    assert loss.find_bad_target(good, 5, 4) == 2
    assert loss.find_bad_target(good[:0], 5, 4) == -1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 15, 64, 130, 8192, 30001])
def test_squared_error(dtype, n):
    rng = np.random.default_rng(n)
    x, y, out = rng.standard_normal(n).astype(dtype), rng.standard_normal(n).astype(dtype), np.empty(n, dtype)
    exact = x.astype(np.float64) - y
    np.testing.assert_allclose(loss.squared_error(x, y), (exact**2).sum(), rtol=3e-6 if dtype is np.float32 else 1e-13)
    loss.scaled_difference(x, y, 0.3, out)
    assert_near(out, exact * 0.3, dtype)


def test_empty_arrays():
    for shape in ((0, 3, 2), (2, 3, 0), (0, 0, 0)):
        x = np.zeros(shape, np.float32)
        positions = shape[0] * shape[2]
        target, a = np.zeros(positions, np.int64), np.zeros(positions, np.float32)
        assert loss.softmax_forward(x, 1, True).shape == shape
        assert loss.softmax_backward(x, x, 1, False).shape == shape
        assert loss.cross_entropy_forward(x, target, None, IGNORE, 0.0, a, a.copy(), a.copy()) == (0.0, 0.0)
        loss.cross_entropy_backward(np.ones(1, np.float32), 1.0, x, target, None, IGNORE, 0.0, a, a, x.copy())
        assert loss.nll_forward(x, target, None, IGNORE, a) == (0.0, 0.0)
        loss.nll_backward(np.ones(1, np.float32), 1.0, target, None, IGNORE, x.copy())


@pytest.mark.parametrize("shape", [(400, 301, 1), (3, 40, 1000)])
def test_bits_do_not_depend_on_threads(shape):
    rng = np.random.default_rng(5)
    x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    target, one = targets(rng, shape, True).ravel(), np.ones(1, np.float32)
    before, results = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            arrays = [np.empty_like(x)]
            for logarithm in (False, True):
                y = loss.softmax_forward(x, 1, logarithm)
                arrays += [y, loss.softmax_backward(g, y, 1, logarithm)]
            losses, maxima, logs = (np.empty(target.size, np.float32) for _ in range(3))
            totals = loss.cross_entropy_forward(x, target, None, IGNORE, 0.1, losses, maxima, logs)
            loss.cross_entropy_backward(one, 0.1, x, target, None, IGNORE, 0.1, maxima, logs, arrays[0])
            squared = loss.squared_error(x.ravel(), g.ravel())
            results.append((totals, squared, [a.tobytes() for a in (*arrays, losses, maxima, logs)]))
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]


CLASS_LOSSES = [
    mg.nn.functional.cross_entropy,
    functools.partial(mg.nn.functional.cross_entropy, label_smoothing=0.2),
    functools.partial(mg.nn.functional.cross_entropy, label_smoothing=1),
    mg.nn.functional.nll_loss,
]


@pytest.mark.parametrize("dtype", [mg.float32, mg.float64])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("function", CLASS_LOSSES)
def test_compiled_losses_of_classes_agree_with_the_weighted_ones(function, reduction, dtype):
    """Scores (N, C) without weights have nodes of their own, also where their gradients are recorded."""
    for target in ([2, 0, 1, 4, 4], [2, -100, 1, -100, 0], [-100] * 5):
        classes, twin = mg.tensor(target), None
        for weight in (None, mg.ones(5, dtype=dtype)):
            mg.manual_seed(0)
            x = mg.randn(5, 5, dtype=dtype, requires_grad=True)
            loss = function(x, classes, weight, reduction=reduction)
            (first,) = mg.autograd.grad(loss * 3, x, create_graph=True)
            (plain,) = mg.autograd.grad(function(x, classes, weight, reduction=reduction) * 3, x)
            second = (
                mg.autograd.grad((first**2).sum(), x, allow_unused=True)[0]
                if function is not mg.nn.functional.nll_loss
                else first
            )
            found = [t.detach().numpy() for t in (loss, first, plain, second)]
            for mine, other in zip(found, twin or found, strict=True):
                np.testing.assert_allclose(mine, other, rtol=1e-5, atol=1e-6)
            twin = found


def test_compiled_losses_of_classes_leave_what_is_wrong_to_the_checks():
    x = mg.randn(3, 4, requires_grad=True)
    with pytest.raises(IndexError, match="Target 4 is out of bounds"):
        mg.nn.functional.nll_loss(x, mg.tensor([0, 4, 1]))
    target = mg.tensor([0, 3, 1])
    loss = mg.nn.functional.cross_entropy(x, target)
    target[1] = 4  # the node has a copy
    loss.backward(retain_graph=True)
    with mg.no_grad():
        x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("function", CLASS_LOSSES)
def test_second_order_of_losses_of_classes(function, reduction):
    x, target = mg.tensor(np.random.default_rng(2).standard_normal((4, 5)), requires_grad=True), mg.tensor([0, 4, IGNORE, 2])
    assert mg.autograd.gradgradcheck(lambda x: function(x**2, target, ignore_index=IGNORE, reduction=reduction), (x,))
