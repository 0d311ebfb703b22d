"""The elementwise kernels and the vectorised elementary functions under them, against float64 / long double numpy and scipy."""

import numpy as np
import pytest
from scipy import special

import minigrad as mg
from minigrad._ext import elementwise, threads
from tests.isa import check_at

DTYPES = [np.float32, np.float64]
SHAPES = [(), (0,), (1,), (7,), (67,), (3, 5), (2, 3, 17), (1031,)]


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


EXACT = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "logsigmoid": lambda x: np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))),
    "erf": lambda x: special.erf(x.astype(np.float64)),
}


def ulp_error(y, exact, dtype):
    """|y - exact| in units of the last place of exact in dtype; inf where only one of them is finite."""
    rounded = exact.astype(dtype)
    unit = np.spacing(np.maximum(np.abs(rounded), np.finfo(dtype).tiny)).astype(exact.dtype)
    error = np.abs(y.astype(exact.dtype) - exact) / unit
    same = (y == rounded) | (np.isnan(y) & np.isnan(rounded))
    return np.where(np.isfinite(rounded), np.where(np.isfinite(y), error, np.inf), np.where(same, 0, np.inf))


def arguments(dtype, rng):
    """Every 40,009th float32 (or random bit patterns for float64), the usual range densely, and the edges."""
    if dtype == np.float32:
        patterns = np.arange(0, 2**32, 40_009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    else:
        patterns = rng.integers(-(2**63), 2**63 - 1, 60_000, dtype=np.int64).view(np.float64)
    edges = np.array(
        [0, -0.0, np.inf, -np.inf, np.nan, 1, -1, np.finfo(dtype).max, np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal]
    )
    parts = [patterns, edges, -edges, *(rng.uniform(-a, a, 60_000) for a in (0.1, 1.1, 5, 30, 750))]
    return np.concatenate([np.asarray(part, dtype) for part in parts])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
@np.errstate(all="ignore")
def test_elementary_functions_are_accurate_everywhere(name, dtype):
    x = arguments(dtype, np.random.default_rng(0))
    exact = EXACT[name](x.astype(np.float64 if dtype == np.float32 else np.longdouble))
    error = ulp_error(getattr(elementwise, name)(x), exact, dtype)
    limit = 3 if name == "erf" and dtype == np.float64 else 2.3
    worst = error.argmax()
    assert error[worst] <= limit, f"{name}({x[worst]!r}) is off by {error[worst]} ulp"


@pytest.mark.parametrize("name", ["expm1", "log1p", "tanh", "erf"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_functions_keep_the_sign_of_zero(name, dtype):
    y = getattr(elementwise, name)(np.array([0.0, -0.0], dtype))
    assert np.array_equal(np.signbit(y), [False, True])


def softplus(x, beta, threshold):
    with np.errstate(over="ignore"):
        return np.where(x * beta > threshold, x, np.log1p(np.exp(x * beta)) / beta)


def normal_pdf(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def gelu_tanh_of(x):
    return np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))


UNARY = {
    "neg": lambda x: -x,
    "abs": np.abs,
    "sign": np.sign,
    "square": np.square,
    "reciprocal": lambda x: 1 / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    **EXACT,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: x * special.ndtr(x),
    "gelu_tanh": lambda x: x / 2 * (1 + gelu_tanh_of(x)),
    "silu": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "logsigmoid": lambda x: -np.log1p(np.exp(-x)),
    "frac": lambda x: x - np.trunc(x),
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    ("leaky_relu", 0.1): lambda x: np.where(x > 0, x, 0.1 * x),
    ("elu", 1.5, 0.7, 0.9): lambda x: np.where(x > 0, 0.7 * x, 1.5 * np.expm1(0.9 * x)),
    ("hardtanh", -0.5, 0.75): lambda x: np.clip(x, -0.5, 0.75),
    ("softplus", 1.5, 4.0): lambda x: softplus(x, 1.5, 4.0),
    ("threshold", 0.25, -7.0): lambda x: np.where(x > 0.25, x, -7),
    ("hardshrink", 0.5): lambda x: np.where(np.abs(x) > 0.5, x, 0),
    ("softshrink", 0.5): lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
}


def parts(op):
    return (op, ()) if isinstance(op, str) else (op[0], op[1:])


def close(dtype):
    return {"rtol": 2e-6, "atol": 1e-6} if dtype == np.float32 else {"rtol": 2e-14, "atol": 1e-14}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", UNARY, ids=str)
def test_unary(op, dtype):
    name, parameters = parts(op)
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        x = (np.abs if name in ("log", "log1p", "sqrt", "rsqrt") else np.asarray)(rng.normal(0, 3, shape)).astype(dtype)
        y = getattr(elementwise, name)(x, *parameters)
        assert (type(y), y.dtype, y.shape) == (np.ndarray, dtype, shape)
        np.testing.assert_allclose(y, UNARY[op](x.astype(np.float64)), **close(dtype))
    x = np.abs(rng.normal(0, 3, (6, 8))).astype(dtype)
    x.flags.writeable = False
    for view in (x.T, x[::2, ::-3], np.broadcast_to(x[:, :1], (6, 8)), x.astype(dtype().dtype.newbyteorder())):
        np.testing.assert_allclose(
            getattr(elementwise, name)(view, *parameters), UNARY[op](view.astype(np.float64)), **close(dtype)
        )
    if name not in ("reciprocal", "rsqrt"):
        of_nan = getattr(elementwise, name)(np.full(5, np.nan, dtype), *parameters)
        assert (of_nan == 0 if name == "sign" else np.isnan(of_nan)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 37, 70_001])
def test_nan_to_num_replaces_what_is_not_finite_alone(size, dtype):
    largest = np.finfo(dtype).max
    x = np.resize(np.array([np.nan, 1.5, np.inf, -0.0, -np.inf, largest, -largest], dtype), size)
    y = elementwise.nan_to_num(x, 0.25, 7, -8)
    want = np.nan_to_num(x, nan=0.25, posinf=7, neginf=-8)
    np.testing.assert_array_equal(y, want)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(want))


@pytest.mark.parametrize("bad", [np.arange(3), np.ones(3, bool), np.ones(3, np.float16), 1.0])
def test_unary_takes_nothing_but_float_arrays(bad):
    with pytest.raises(TypeError, match="exp expects"):
        elementwise.exp(bad)


def derivative(function, x, h=1e-5):
    """Fourth-order central difference in long double: good to about 1e-15 relative to the function."""
    x = x.astype(np.longdouble)
    h = np.longdouble(h)
    f = {k: function(x + k * h) for k in (-2, -1, 1, 2)}
    return ((f[-2] - f[2]) / 12 + (f[1] - f[-1]) * (2 / np.longdouble(3))) / h


SMOOTH = [
    op for op in UNARY if parts(op)[0] in ("tanh", "sigmoid", "silu", "mish", "logsigmoid", "gelu_tanh", "softplus", "elu")
]
KINKED = [op for op in UNARY if parts(op)[0] in ("relu", "leaky_relu", "hardtanh", "hardsigmoid", "hardswish", "threshold")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", SMOOTH + KINKED, ids=str)
def test_backward(op, dtype):
    name, parameters = parts(op)
    rng = np.random.default_rng(2)
    for shape in SHAPES:
        x, g = rng.normal(0, 2, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
        saved = getattr(elementwise, name)(x) if name in ("tanh", "sigmoid", "relu") else x
        slope = derivative(UNARY[op], x).astype(np.float64)
        gx = getattr(elementwise, name + "_backward")(g, saved, *(parameters[:1] if name == "threshold" else parameters))
        assert (type(gx), gx.dtype, gx.shape) == (np.ndarray, dtype, shape)
        tolerance = {"rtol": 1e-5, "atol": 3e-6} if dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-10}
        np.testing.assert_allclose(gx, g * slope, **tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_backward_and_shrink_backward(dtype):
    rng = np.random.default_rng(3)
    x, g = rng.normal(0, 2, (2, 5, 77)).astype(dtype)
    x64 = x.astype(np.float64)
    np.testing.assert_allclose(elementwise.gelu_backward(g, x), g * (special.ndtr(x64) + x64 * normal_pdf(x64)), **close(dtype))
    np.testing.assert_array_equal(elementwise.shrink_backward(g, x, 0.5), np.where(np.abs(x) > 0.5, g, 0))
    wide = np.broadcast_to(dtype(2), x.shape)
    np.testing.assert_array_equal(elementwise.relu_backward(wide, x), np.where(x > 0, dtype(2), dtype(0)))
    np.testing.assert_array_equal(elementwise.relu_backward(g.T, x.T), np.where(x > 0, g, dtype(0)).T)
    with pytest.raises(ValueError, match="relu_backward"):
        elementwise.relu_backward(g[:2], x)
    with pytest.raises(ValueError, match="elu_backward"):
        elementwise.elu_backward(g[:2], x, 1, 1, 1)


BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "pow": np.power,
}
PAIRS = [
    ((), ()), ((5,), ()), ((), (5,)), ((0,), (0,)), ((0, 3), (3,)), ((67,), (67,)), ((3, 67), (67,)), ((3, 1), (3, 67)),
    ((1, 67), (3, 1)), ((2, 3, 5), (3, 1)), ((2, 3, 5, 7), (1, 3, 1, 1)), ((2, 1, 5, 1), (1, 3, 1, 7)), ((4, 1, 3), (2, 1)),
    ((1, 1), (1,)), ((2, 3, 2, 3, 2), (2, 1, 2, 1, 2)), ((3, 1, 5, 1), (1, 4, 1, 16)), ((2, 1, 3, 1, 2, 1, 17), (3, 1, 2, 1, 2, 1)),
    ((2, 1) * 5, (1, 2) * 5), ((3, 1, 9001), (2, 1)), ((700, 1, 3), (5, 3)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_broadcasts_as_numpy(name, dtype):
    rng = np.random.default_rng(4)
    for left, right in PAIRS:
        x, y = (np.abs(rng.normal(1, 1, shape)).astype(dtype) + dtype(0.1) for shape in (left, right))
        out = getattr(elementwise, name)(x, y)
        assert (type(out), out.dtype, out.flags.c_contiguous) == (np.ndarray, dtype, True)
        np.testing.assert_array_equal(out, BINARY[name](x, y), strict=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BINARY)
@np.errstate(all="ignore")
def test_binary_takes_any_layout_scalars_and_dtypes(name, dtype):
    op, ufunc = getattr(elementwise, name), BINARY[name]
    x = np.abs(np.random.default_rng(5).normal(1, 1, (6, 9))).astype(dtype) + dtype(0.1)
    x.flags.writeable = False
    for a, b in [(x.T, x.T), (x[:, ::-1], x), (x[::2], x[1::2]), (np.broadcast_to(x[:, :1], x.shape), x),
                 (np.broadcast_to(x[0], x.shape), np.broadcast_to(x[:1, :1], x.shape)),
                 (x[:, ::2], x[:, 1::2][:, :1])]:  # fmt: skip
        np.testing.assert_array_equal(op(a, b), ufunc(a, b), strict=True)
    for scalar in (2, 3, 0.5, -1, 1.25):
        np.testing.assert_allclose(op(x, scalar), ufunc(x, dtype(scalar)), rtol=3e-7, strict=True)
        np.testing.assert_array_equal(op(scalar, x), ufunc(dtype(scalar), x), strict=True)
    np.testing.assert_array_equal(op(x, np.arange(1, 10)), ufunc(x, np.arange(1, 10)), strict=True)
    if name != "pow":
        np.testing.assert_array_equal(op(np.arange(4), np.arange(1, 5)), ufunc(np.arange(4), np.arange(1, 5)), strict=True)
    with pytest.raises(ValueError, match="broadcast"):
        op(x, x[:, :4])


@pytest.mark.parametrize("dtype", DTYPES)
def test_maximum_and_minimum_let_nan_through(dtype):
    x, y = np.array([np.nan, 1, np.nan, np.inf], dtype), np.array([0, np.nan, np.nan, -np.inf], dtype)
    np.testing.assert_array_equal(elementwise.maximum(x, y), [np.nan, np.nan, np.nan, np.inf])
    np.testing.assert_array_equal(elementwise.minimum(x, y), [np.nan, np.nan, np.nan, -np.inf])
    np.testing.assert_array_equal(elementwise.prelu(np.array([-2, 3], dtype), np.array(0.25, dtype)), [-0.5, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse_square(dtype):
    x, y = np.array([[0, 3, -1, np.inf, np.nan]], dtype), np.array([[0], [4]], dtype)
    with np.errstate(divide="ignore"):
        expected = 1 / (x * x + y * y)
    expected[0, 0] = 0
    np.testing.assert_allclose(elementwise.inverse_square(np.repeat(x, 2, 0), y), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same(dtype):
    x = np.array([[1, 2, np.nan], [3, np.nan, np.inf]], dtype)
    np.testing.assert_array_equal(elementwise.same(x, np.array([[1, np.nan, np.nan]], dtype)), [[1, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(elementwise.same(x, np.array([[2], [np.inf]], dtype)), [[0, 1, 0], [0, 0, 1]])
    deep = np.arange(32).reshape(2, 2, 2, 2, 2).astype(dtype)
    far = deep[:, :1, :, :1]
    assert elementwise.same(deep, far).dtype == dtype
    np.testing.assert_array_equal(elementwise.same(deep, far), deep == far)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_threads(dtype):
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 7, 33_333)).astype(dtype)
    before = threads.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            results.append([elementwise.exp(x), elementwise.gelu(x), elementwise.mul(x, y), elementwise.add(x, y[:, :1]),
                            elementwise.gelu_backward(x, y), elementwise.elu_backward(x, y, 1, 1, 1)])  # fmt: skip
    finally:
        threads.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("isa", ["v2", "v3"])
def test_other_instruction_sets(isa):
    check_at(isa, __file__, "accurate_everywhere or test_unary or test_backward or test_binary_broadcasts_as_numpy")


def special_floats(dtype):
    """Every pair of: zeros, ones, halves, large and small numbers, infinities, NaN."""
    values = np.array([0, -0.0, 1, -1, 3.5, -2.25, 7, 1e30, -1e30, 1e-40, np.inf, -np.inf, np.nan], dtype)
    return (v.ravel().copy() for v in np.meshgrid(values, values))


@pytest.mark.parametrize("name", ["fmod", "remainder", "hypot"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_remainders_are_exact(name, dtype):
    rng = np.random.default_rng(0)
    scales = 10.0 ** rng.integers(-5, 6, (2, 30000))
    x, y = (rng.standard_normal((2, 30000)) * scales).astype(dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(getattr(elementwise, name)(x, y), getattr(np, name)(x, y))
        x, y = special_floats(dtype)
        np.testing.assert_array_equal(getattr(elementwise, name)(x, y), getattr(np, name)(x, y))
        np.testing.assert_array_equal(getattr(elementwise, name)(x, y[7:8].reshape(())), getattr(np, name)(x, y[7]))


def test_floor_division():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 100, (2, 30000)).astype(np.float32)
    np.testing.assert_array_equal(elementwise.floor_divide(x, y), np.floor(x.astype(float) / y).astype(np.float32))
    x, y = special_floats(np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(elementwise.floor_divide(x, y), np.floor_divide(x, y))


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_within_two_ulp(name):
    x = np.concatenate([np.linspace(-1e4, 1e4, 200001), np.linspace(-2e6, 2e6, 100001), [0.0, 1e-30, 3e7, 1e30]]).astype(
        np.float32
    )
    exact = getattr(np, name)(x.astype(np.float64))
    error = np.abs(getattr(elementwise, name)(x).astype(np.float64) - exact)
    assert (error / np.spacing(np.abs(exact).astype(np.float32))).max() < 2
    assert np.isnan(getattr(elementwise, name)(np.array([np.inf, np.nan], np.float32))).all()


@pytest.mark.parametrize("function", [np.arctan, np.log2, np.isnan, np.greater, np.arctan2, np.left_shift])
def test_ufuncs_in_threads_have_numpys_results(function):
    rng = np.random.default_rng(0)
    kind = np.int64 if function is np.left_shift else np.float32
    operands = [(1 + 9 * rng.random((70, 500))).astype(kind) for _ in range(function.nin)]
    found = elementwise.ufunc(function, *operands)
    assert found.dtype == function(*operands).dtype
    np.testing.assert_allclose(found, function(*operands), rtol=1e-6)
    np.testing.assert_allclose(elementwise.ufunc(function, *[x[:, ::2] for x in operands]), found[:, ::2], rtol=1e-6)
    if function.nin == 2:
        scalar = np.asarray(operands[1][0, 0])
        np.testing.assert_allclose(elementwise.ufunc(function, operands[0], scalar), function(operands[0], scalar), rtol=1e-6)
        np.testing.assert_allclose(elementwise.ufunc(function, scalar, operands[0]), function(scalar, operands[0]), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_where(dtype):
    rng = np.random.default_rng(0)
    mask, x, y = rng.random((9, 1000)) < 0.5, *rng.standard_normal((2, 9, 1000)).astype(dtype)
    x[0, 0], y[0, 1] = np.nan, np.inf
    one = np.broadcast_to(np.asarray(2.5, dtype), mask.shape)
    for a, b in (
        (x, y),
        (x, one),
        (one, y),
        (one, one),
        (x, y[:, :1].repeat(1000, 1)),
        (x[::-1], np.broadcast_to(y[:1], x.shape)),
    ):
        np.testing.assert_array_equal(elementwise.where(mask, a, b), np.where(mask, a, b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kernels_of_three_arrays(dtype):
    rng = np.random.default_rng(0)
    x, y, z = rng.standard_normal((3, 7, 900)).astype(dtype)
    y[0] = z[0]
    np.testing.assert_allclose(elementwise.lerp(x, y, z), x + z * (y - x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(elementwise.lerp(x, y, np.asarray(0.25, dtype)), 0.75 * x + 0.25 * y, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(elementwise.addcmul(x, y, z, 0.5), x + 0.5 * y * z, rtol=1e-5, atol=1e-6)
    halves = np.where(y > z, x, np.where(y == z, x / 2, 0))
    np.testing.assert_array_equal(elementwise.maximum_backward(x, y, z), halves)
    np.testing.assert_array_equal(elementwise.minimum_backward(x, -y, -z), halves)
    with pytest.raises(ValueError, match="one dtype and shape"):
        elementwise.lerp(x, y[:3], z)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.7, 1.0, -0.4, -0.5, 1.5, float("nan"), "tensor"])
def test_lerp_starts_from_the_nearer_end(torch, dtype, weight):
    """A weight of 1 gives end exactly, beside whatever start; gradients come through infinities as in PyTorch."""
    rng = np.random.default_rng(0)
    x, y, w = rng.standard_normal((3, 50)).astype(dtype)
    x[:4] = 1e10, np.inf, -np.inf, np.nan
    y[4:7] = np.inf, -np.inf, np.nan
    w[:9] = 0.7
    of = {}
    for library in (torch, mg):
        operands = [library.tensor(v, requires_grad=True) for v in ((x, y, w) if weight == "tensor" else (x, y))]
        number = () if weight == "tensor" else (weight,)
        out = library.lerp(*operands, *number)
        np.testing.assert_array_equal(library.lerp(*[v.detach() for v in operands], *number), out.detach())
        of[library] = [out.detach().numpy(), *(g.numpy() for g in library.autograd.grad(out.sum(), operands))]
    for wanted, got in zip(of[torch], of[mg], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6 if dtype == "float32" else 1e-14, atol=1e-7)
    if weight == 1:
        np.testing.assert_array_equal(of[mg][0][[0, *range(7, 50)]], y[[0, *range(7, 50)]])


def test_gelu_in_the_lower_tail():
    """x Phi(x) and its slope lose at most 1e-7 and 1.5e-7, which is PyTorch's loss and less, and reach 0 from below."""
    x = np.linspace(-14, 14, 200_001, dtype=np.float32)
    wide = x.astype(float)
    negative = x < 0
    np.testing.assert_allclose(elementwise.gelu(x)[negative], (wide * special.ndtr(wide))[negative], rtol=0, atol=1e-7)
    slope = special.ndtr(wide) + wide * normal_pdf(wide)
    np.testing.assert_allclose(elementwise.gelu_backward(np.ones_like(x), x), slope, rtol=0, atol=1.5e-7)
    beyond = elementwise.gelu(np.array([-15, -1e4, -3e38], np.float32))
    assert (np.abs(beyond) < 1e-30).all()
