"""Arithmetic, mathematics, comparisons, shapes, indexing."""

import numpy as np
from scipy import special

from tests.op_table.row import Constant, Dtype, Error, Op, Sample


def normal(rng, *shape):
    return np.asarray(rng.standard_normal(shape))


def positive(rng, *shape):
    """Between 0.5 and 2."""
    return np.asarray(rng.uniform(0.5, 2, shape))


def distinct(rng, *shape):
    """Normal-sized values no two of which are close, none close to an integer or a half: no ties, no kinks."""
    n = int(np.prod(shape))
    return np.asarray(((rng.permutation(n) - n // 2 + 0.3) * (4 / n if n > 8 else 1)).reshape(shape) + 0.017)


# ------------------------------------------------------------------------------------------------------------- arithmetic


def pairs(make=normal):
    """Two operands: equal shapes, broadcast both ways, 0-d, empty, a Python number."""

    def samples(rng):
        return [
            Sample(make(rng, 3, 5), make(rng, 3, 5)),
            Sample(make(rng, 3, 1, 5), make(rng, 4, 1)),
            Sample(make(rng, 2, 3), make(rng)),
            Sample(make(rng), make(rng)),
            Sample(make(rng, 0, 3), make(rng, 1, 3)),
            Sample(make(rng, 3, 5), 2),
            Sample(make(rng, 7), 1.75),
            Sample(make(rng, 2, 3), Constant(make(rng, 3))),
        ]

    return samples


def broadcast_error(rng):
    return [Error(Sample(normal(rng, 3, 2), normal(rng, 3)), RuntimeError, "must match|broadcast")]


def scaled(samples):
    """The samples, and two with alpha."""
    return lambda rng: [*samples(rng), Sample(normal(rng, 3), normal(rng, 3), alpha=-2.5), Sample(normal(rng, 3), 2, alpha=3)]


ARITHMETIC = [
    Op("add", scaled(pairs()), lambda x, y, alpha=1: x + alpha * y, errors=broadcast_error),
    Op("sub", scaled(pairs()), lambda x, y, alpha=1: x - alpha * y, errors=broadcast_error),
    Op("mul", pairs(), np.multiply, errors=broadcast_error),
    Op(
        "div",
        lambda rng: [
            *pairs(positive)(rng),
            Sample(normal(rng, 3), positive(rng, 3), rounding_mode=None),
            Sample(np.array([-2.6, 2.4, 7.3]), np.array([1.1, -0.7, 2.1]), rounding_mode="floor"),
            Sample(np.array([-2.6, 2.4, 7.3]), np.array([1.1, -0.7, 2.1]), rounding_mode="trunc"),
        ],
        lambda x, y, rounding_mode=None: {None: np.asarray, "floor": np.floor, "trunc": np.trunc}[rounding_mode](x / y),
        errors=lambda rng: [
            *broadcast_error(rng),
            Error(Sample(normal(rng, 3), normal(rng, 3), rounding_mode="up"), RuntimeError, "rounding_mode"),
        ],
    ),
    Op("Tensor.__radd__", lambda rng: [Sample(normal(rng, 3), 2.5), Sample(normal(rng, 3), 2)], lambda x, y: y + x),
    Op("Tensor.__rsub__", lambda rng: [Sample(normal(rng, 3), 2.5), Sample(normal(rng, 3), 2)], lambda x, y: y - x),
    Op("Tensor.__rmul__", lambda rng: [Sample(normal(rng, 3), 2.5), Sample(normal(rng, 3), 2)], lambda x, y: y * x),
    Op("Tensor.__rtruediv__", lambda rng: [Sample(positive(rng, 3), 2.5), Sample(positive(rng, 3), 2)], lambda x, y: y / x),
    Op("Tensor.__rpow__", lambda rng: [Sample(normal(rng, 3), 2.5), Sample(normal(rng, 3), 2)], lambda x, y: y**x),
    Op(
        "floor_divide",
        lambda rng: [Sample(np.array([-2.6, 2.4, 7.3]), np.array([1.1, -0.7, 2.1])), Sample(np.array([[-7.3], [7.3]]), 2)],
        lambda x, y: np.floor(x / y),
        order=0,
    ),
    Op(
        "remainder",
        lambda rng: [
            Sample(np.array([-2.6, 2.4, 7.3, -7.3]), np.array([1.1, -0.7, 2.1, 2.1])),
            Sample(np.array([[-7.3], [7.3]]), np.array([2.1, -2.2])),
            Sample(np.array([[-7.3], [7.3]]), 2),
        ],
        lambda x, y: x - np.floor(x / y) * y,
    ),
    Op(
        "fmod",
        lambda rng: [
            Sample(np.array([-2.6, 2.4, 7.3, -7.3]), np.array([1.1, -0.7, 2.1, 2.1])),
            Sample(np.array([[-7.3], [7.3]]), np.array([2.1, -2.2])),
            Sample(np.array([[-7.3], [7.3]]), 2),
        ],
        np.fmod,
    ),
    Op(
        "pow",
        lambda rng: [
            Sample(positive(rng, 3, 4), positive(rng, 3, 4)),
            Sample(positive(rng, 3, 1), normal(rng, 4)),
            Sample(positive(rng, 3), normal(rng)),
            *(Sample(normal(rng, 2, 3), exponent) for exponent in (2, 3, 0, 1, -1, 2.0, -2)),
            *(Sample(positive(rng, 2, 3), exponent) for exponent in (0.5, 1.7, -0.5)),
            Sample(2.5, normal(rng, 3)),
            Sample(np.array([0.0, -1.5, 2.0]), 2),
            Sample(positive(rng, 0), 2),
        ],
        lambda x, y: np.power(x, float(y) if isinstance(y, int) else y),
    ),
    Op(
        "maximum",
        lambda rng: [Sample(normal(rng, 3, 5), normal(rng, 3, 5)), Sample(normal(rng, 3, 1), normal(rng, 4))],
        np.maximum,
    ),
    Op(
        "minimum",
        lambda rng: [Sample(normal(rng, 3, 5), normal(rng, 3, 5)), Sample(normal(rng, 3, 1), normal(rng, 4))],
        np.minimum,
    ),
    Op(
        "clamp",
        lambda rng: [
            Sample(distinct(rng, 4, 5), -0.5, 0.75),
            Sample(distinct(rng, 7), min=0),
            Sample(distinct(rng, 7), max=0.5),
            Sample(distinct(rng, 4, 5), normal(rng, 4, 5) - 1, normal(rng, 4, 5) + 1),
            Sample(distinct(rng, 4, 5), min=normal(rng, 5)),
            Sample(distinct(rng, 5), 1.0, -1.0),
        ],
        lambda x, min=-np.inf, max=np.inf: np.minimum(np.maximum(x, min), max),
        errors=lambda rng: [Error(Sample(normal(rng, 3)), (ValueError, RuntimeError), "min|max")],
    ),
    Op("clamp_min", lambda rng: [Sample(distinct(rng, 7), 0.2), Sample(distinct(rng, 4, 5), normal(rng, 5))], np.maximum),
    Op("clamp_max", lambda rng: [Sample(distinct(rng, 7), 0.2), Sample(distinct(rng, 4, 5), normal(rng, 5))], np.minimum),
    Op(
        "where",
        lambda rng: [
            Sample(normal(rng, 3, 5) > 0, normal(rng, 3, 5), normal(rng, 3, 5)),
            Sample(normal(rng, 3, 1) > 0, normal(rng, 4), normal(rng, 2, 1, 1)),
            Sample(normal(rng, 3) > 0, normal(rng, 3), 2.5),
            Sample(normal(rng, 3) > 0, 1.0, normal(rng, 3)),
        ],
        np.where,
    ),
    Op(
        "lerp",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 3, 4), 0.3),
            Sample(normal(rng, 3, 4), normal(rng, 3, 4), 0.8),
            Sample(normal(rng, 3, 4), normal(rng, 4), normal(rng, 3, 1)),
        ],
        lambda x, y, w: x + w * (y - x),
    ),
    Op(
        "addcmul",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 4), normal(rng, 3, 1)),
            Sample(normal(rng, 3), normal(rng, 3), normal(rng, 3), value=0.3),
        ],
        lambda x, y, z, value=1: x + value * y * z,
    ),
    Op(
        "addcdiv",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 4), positive(rng, 3, 1)),
            Sample(normal(rng, 3), normal(rng, 3), positive(rng, 3), value=0.3),
        ],
        lambda x, y, z, value=1: x + value * y / z,
    ),
]


# ------------------------------------------------------------------------------------------------------------ mathematics


def unary(name, reference, make=normal, **kwargs):
    def samples(rng):
        return [Sample(make(rng, 3, 5)), Sample(make(rng)), Sample(make(rng, 37)), Sample(make(rng, 2, 0))]

    return Op(name, samples, reference, **kwargs)


MATHEMATICS = [
    unary("neg", np.negative),
    unary("abs", np.abs, distinct),
    unary("square", np.square),
    unary("exp", np.exp),
    unary("expm1", np.expm1),
    unary("log", np.log, positive),
    unary("log1p", np.log1p, positive),
    unary("log2", np.log2, positive),
    unary("log10", np.log10, positive),
    unary("sqrt", np.sqrt, positive),
    unary("rsqrt", lambda x: 1 / np.sqrt(x), positive),
    unary("reciprocal", np.reciprocal, positive),
    unary("sin", np.sin),
    unary("cos", np.cos),
    unary("tan", np.tan, lambda rng, *shape: np.asarray(rng.uniform(-1.2, 1.2, shape))),
    unary("atan", np.arctan),
    unary("tanh", np.tanh),
    unary("sigmoid", special.expit),
    unary("erf", special.erf),
    unary("sign", np.sign, distinct),
    unary("floor", np.floor, distinct),
    unary("ceil", np.ceil, distinct),
    unary("trunc", np.trunc, distinct),
    unary("frac", lambda x: x - np.trunc(x), distinct),
    Op(
        "round",
        lambda rng: [
            Sample(distinct(rng, 3, 5)),
            Sample(Constant(np.array([-2.5, -1.5, 0.5, 1.5, 2.5]))),
            Sample(normal(rng, 5) * 10, decimals=1),
            Sample(normal(rng, 5) * 100, decimals=-1),
        ],
        lambda x, decimals=0: np.round(x, decimals),
    ),
]


# -------------------------------------------------------------------------------------------------- comparisons and logic


def comparison(name, reference):
    def samples(rng):
        x = np.array([[1.0, 2.0, np.nan], [np.inf, -0.0, -np.inf]])
        y = np.array([[1.0, 3.0, np.nan], [np.inf, 0.0, 5.0]])
        return [
            Sample(x, y),
            Sample(x, 2),
            Sample(normal(rng, 3, 1), normal(rng, 4)),
            Sample(np.arange(4), np.array([0, 2, 2, 1])),
        ]

    return Op(name, samples, reference, order=0, errors=broadcast_error)


def bits(rng):
    return [
        Sample(np.array([1, 6, -3, 0]), np.array([3, 5, 12, 7])),
        Sample(np.array([[True], [False]]), np.array([True, False])),
        Sample(np.array([5, 2]), 3),
    ]


def truths(rng):
    x = np.array([0.0, 2.0, np.nan, -1.0])
    return [Sample(x, np.array([1.0, 0.0, 0.0, -1.0])), Sample(np.array([True, False]), np.array([[True], [False]]))]


def special_values(rng):
    return [Sample(np.array([[1.0, np.nan, np.inf], [-np.inf, 0.0, 1e30]])), Sample(np.arange(3))]


COMPARISONS = [
    comparison("eq", np.equal),
    comparison("ne", np.not_equal),
    comparison("lt", np.less),
    comparison("le", np.less_equal),
    comparison("gt", np.greater),
    comparison("ge", np.greater_equal),
    Op("isnan", special_values, np.isnan, order=0),
    Op("isinf", special_values, np.isinf, order=0),
    Op("isfinite", special_values, np.isfinite, order=0),
    Op("logical_and", truths, np.logical_and, order=0),
    Op("logical_or", truths, np.logical_or, order=0),
    Op("logical_xor", truths, np.logical_xor, order=0),
    Op(
        "logical_not",
        lambda rng: [Sample(np.array([0.0, 2.0, np.nan])), Sample(np.array([True, False]))],
        np.logical_not,
        order=0,
    ),
    Op("bitwise_and", bits, np.bitwise_and, order=0),
    Op("bitwise_or", bits, np.bitwise_or, order=0),
    Op("bitwise_xor", bits, np.bitwise_xor, order=0),
    Op(
        "bitwise_not",
        lambda rng: [Sample(np.array([1, -6, 0])), Sample(np.array([True, False]))],
        np.bitwise_not,
        order=0,
        errors=lambda rng: [Error(Sample(normal(rng, 3)), (RuntimeError, NotImplementedError, TypeError))],
    ),
    Op(
        "equal",
        lambda rng: [
            Sample(normal(rng, 3), normal(rng, 3)),
            Sample(np.arange(3), np.arange(3)),
            Sample(np.ones(3), np.ones((1, 3))),
        ],
        np.array_equal,
        order=0,
    ),
    Op(
        "isclose",
        lambda rng: [
            Sample(np.array([1.0, 1.0, np.nan, np.inf]), np.array([1.000001, 1.1, np.nan, np.inf])),
            Sample(np.array([1.0, np.nan]), np.array([1.05, np.nan]), rtol=0.1, equal_nan=True),
            Sample(np.array([1.0, 2.0]), np.array([1.05, 2.5]), atol=0.1),
        ],
        lambda x, y, **kwargs: np.isclose(x, y, **kwargs),
        order=0,
    ),
    Op(
        "allclose",
        lambda rng: [Sample(np.array([1.0, 2.0]), np.array([1.000001, 2.0])), Sample(np.array([1.0]), np.array([1.1]))],
        np.allclose,
        order=0,
    ),
]


# ------------------------------------------------------------------------------------------------------------------ shapes


SHAPES = [
    Op("clone", lambda rng: [Sample(normal(rng, 3, 5)), Sample(normal(rng))], np.copy),
    Op("Tensor.contiguous", lambda rng: [Sample(normal(rng, 3, 5))], np.copy, aliases=True),
    Op("Tensor.to", lambda rng: [Sample(normal(rng, 3), Dtype("float64"))], lambda x, dtype: x, aliases=True),
    Op(
        "Tensor.type_as",
        lambda rng: [
            Sample(normal(rng, 3), np.zeros(1, dtype=np.float32)),
            Sample(normal(rng, 3) * 3, np.zeros(1, dtype=np.int64)),
            Sample(np.array([0, 2, -1]), np.zeros(1, dtype=bool)),
            Sample(np.array([0, 2, -1]), np.zeros(1)),
        ],
        lambda x, y: x.astype(y.dtype),
        order=0,
        rtol={"float64": 1e-6},
    ),
    Op(
        "Tensor.expand",
        lambda rng: [
            Sample(normal(rng, 3, 1), 3, 4),
            Sample(normal(rng, 3, 1), 2, -1, 4),
            Sample(normal(rng), (2, 3)),
            Sample(normal(rng, 1, 3), 0, 3),
        ],
        errors=lambda rng: [
            Error(Sample(normal(rng, 3), 4), RuntimeError, "expand"),
            Error(Sample(normal(rng, 2, 3), 3), RuntimeError, "expand"),
            Error(Sample(normal(rng, 3), -1, 3), RuntimeError, "expand"),
        ],
        aliases=True,
    ),
    Op(
        "broadcast_to",
        lambda rng: [Sample(normal(rng, 3, 1), (2, 3, 4)), Sample(normal(rng), (2,))],
        np.broadcast_to,
        aliases=True,
    ),
    Op("Tensor.expand_as", lambda rng: [Sample(normal(rng, 3, 1), np.zeros((2, 3, 4), dtype=np.int64))], aliases=True),
    Op(
        "Tensor.sum_to_size",
        lambda rng: [Sample(normal(rng, 2, 3, 4), 3, 1), Sample(normal(rng, 2, 3), 2, 3), Sample(normal(rng, 2, 3), (1,))],
        aliases=True,
    ),
    Op(
        "reshape",
        lambda rng: [
            Sample(normal(rng, 3, 4), (2, 6)),
            Sample(normal(rng, 3, 4), (2, -1, 3)),
            Sample(normal(rng), (1, 1)),
            Sample(normal(rng, 0, 3), (3, 0)),
            Sample(normal(rng, 1), ()),
        ],
        np.reshape,
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 3, 4), (5, 2)), RuntimeError, "shape"),
            Error(Sample(normal(rng, 3, 4), (-1, -1)), RuntimeError),
            Error(Sample(normal(rng, 3, 4), (5, -1)), RuntimeError, "shape"),
            Error(Sample(normal(rng, 3, 4), (-2, 6)), RuntimeError),
        ],
    ),
    Op(
        "Tensor.view",
        lambda rng: [Sample(normal(rng, 3, 4), 2, 6), Sample(normal(rng, 3, 4), (2, -1)), Sample(normal(rng, 3, 4), -1)],
        contiguous_only=True,
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 3, 4), 5, 2), RuntimeError, "shape")],
    ),
    Op(
        "flatten",
        lambda rng: [
            Sample(normal(rng, 2, 3, 4)),
            Sample(normal(rng, 2, 3, 4), 1),
            Sample(normal(rng, 2, 3, 4), start_dim=0, end_dim=1),
            Sample(normal(rng)),
            Sample(normal(rng, 0, 3, 4), 1),
        ],
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 2, 3), 2), IndexError, "out of range"),
            Error(Sample(normal(rng, 2, 3), 1, 0), RuntimeError, "start_dim"),
        ],
    ),
    Op("ravel", lambda rng: [Sample(normal(rng, 2, 3))], np.ravel, aliases=True),
    Op(
        "unflatten",
        lambda rng: [Sample(normal(rng, 2, 12), 1, (3, 4)), Sample(normal(rng, 12), -1, (3, -1))],
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 12), 1, (5, 2)), RuntimeError)],
    ),
    Op(
        "squeeze",
        lambda rng: [
            Sample(normal(rng, 1, 3, 1)),
            Sample(normal(rng, 1, 3, 1), 0),
            Sample(normal(rng, 1, 3, 1), 1),
            Sample(normal(rng, 1, 3, 1), (0, -1)),
        ],
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 1, 3), 2), IndexError, "out of range")],
    ),
    Op(
        "unsqueeze",
        lambda rng: [Sample(normal(rng, 2, 3), 0), Sample(normal(rng, 2, 3), -1), Sample(normal(rng), 0)],
        np.expand_dims,
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 3), 3), IndexError, "out of range")],
    ),
    Op(
        "permute",
        lambda rng: [Sample(normal(rng, 2, 3, 4), (2, 0, 1)), Sample(normal(rng, 2, 3), (-1, 0)), Sample(normal(rng), ())],
        np.transpose,
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 2, 3), (0, 0)), RuntimeError),
            Error(Sample(normal(rng, 2, 3), (0,)), RuntimeError),
            Error(Sample(normal(rng, 2, 3), (0, 2)), IndexError),
        ],
    ),
    Op(
        "transpose",
        lambda rng: [Sample(normal(rng, 2, 3, 4), 0, 2), Sample(normal(rng, 2, 3), -1, -2)],
        np.swapaxes,
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 3), 0, 2), IndexError, "out of range")],
    ),
    Op(
        "t",
        lambda rng: [Sample(normal(rng, 2, 3)), Sample(normal(rng, 3)), Sample(normal(rng))],
        np.transpose,
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 3, 4)), RuntimeError, "2")],
    ),
    Op("Tensor.T", lambda rng: [Sample(normal(rng, 2, 3))], np.transpose, function=lambda lib: lambda x: x.T, aliases=True),
    Op(
        "Tensor.mT",
        lambda rng: [Sample(normal(rng, 2, 3, 4))],
        lambda x: x.swapaxes(1, 2),
        function=lambda lib: lambda x: x.mT,
        aliases=True,
    ),
    Op(
        "movedim",
        lambda rng: [Sample(normal(rng, 2, 3, 4), 0, 2), Sample(normal(rng, 2, 3, 4), (0, 1), (2, 0))],
        np.moveaxis,
        aliases=True,
    ),
    Op(
        "cat",
        lambda rng: [
            Sample([normal(rng, 2, 3), normal(rng, 1, 3), normal(rng, 4, 3)]),
            Sample([normal(rng, 2, 3), normal(rng, 2, 2)], dim=1),
            Sample([normal(rng, 2, 3), Constant(normal(rng, 2, 3))], -1),
            Sample((normal(rng, 3), normal(rng, 0), normal(rng, 2))),
            Sample([normal(rng, 2)]),
        ],
        lambda xs, dim=0: np.concatenate(xs, dim),
        errors=lambda rng: [
            Error(Sample([normal(rng, 2, 3), normal(rng, 2, 2)]), RuntimeError, "size|match"),
            Error(Sample([normal(rng, 2, 3), normal(rng, 2)]), RuntimeError, "dimension"),
            Error(Sample([normal(rng, 2, 3)], 2), IndexError, "out of range"),
            Error(Sample([]), (RuntimeError, ValueError), "non-empty"),
            Error(Sample([normal(rng), normal(rng)]), RuntimeError, "zero-dimensional"),
        ],
    ),
    Op(
        "stack",
        lambda rng: [
            Sample([normal(rng, 2, 3), normal(rng, 2, 3)]),
            Sample([normal(rng, 2, 3), normal(rng, 2, 3), normal(rng, 2, 3)], dim=-1),
            Sample([normal(rng), normal(rng)]),
        ],
        lambda xs, dim=0: np.stack(xs, dim),
        errors=lambda rng: [
            Error(Sample([normal(rng, 2), normal(rng, 3)]), RuntimeError, "equal size"),
            Error(Sample([normal(rng, 2)], 2), IndexError, "out of range"),
        ],
    ),
    Op(
        "hstack",
        lambda rng: [Sample([normal(rng, 2, 3), normal(rng, 2, 2)]), Sample([normal(rng, 2), normal(rng, 3)])],
        np.hstack,
    ),
    Op(
        "vstack",
        lambda rng: [Sample([normal(rng, 2, 3), normal(rng, 1, 3)]), Sample([normal(rng, 3), normal(rng, 3)])],
        np.vstack,
    ),
    Op(
        "split",
        lambda rng: [Sample(normal(rng, 5, 2), 2), Sample(normal(rng, 2, 5), [1, 4], dim=1), Sample(normal(rng, 4), 7)],
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 5), [1, 2]), RuntimeError, "sum exactly"),
            Error(Sample(normal(rng, 5), -1), RuntimeError, "non-negative"),
        ],
    ),
    Op(
        "chunk",
        lambda rng: [Sample(normal(rng, 5, 2), 2), Sample(normal(rng, 2, 5), 3, dim=1), Sample(normal(rng, 2), 5)],
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 5), 0), RuntimeError, "greater than 0")],
    ),
    Op(
        "unbind",
        lambda rng: [Sample(normal(rng, 3, 2)), Sample(normal(rng, 3, 2), 1)],
        lambda x, dim=0: list(np.moveaxis(x, dim, 0)),
        aliases=True,
    ),
    Op(
        "narrow",
        lambda rng: [Sample(normal(rng, 5, 2), 0, 1, 3), Sample(normal(rng, 2, 5), -1, 0, 2), Sample(normal(rng, 5), 0, -2, 2)],
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 5), 0, 3, 4), (RuntimeError, IndexError))],
    ),
    Op(
        "select",
        lambda rng: [Sample(normal(rng, 5, 2), 0, 3), Sample(normal(rng, 2, 5), -1, -1)],
        lambda x, dim, index: np.take(x, index, dim),
        aliases=True,
        errors=lambda rng: [Error(Sample(normal(rng, 5), 0, 5), IndexError, "out of range")],
    ),
    Op(
        "Tensor.repeat",
        lambda rng: [Sample(normal(rng, 2, 3), 2, 1), Sample(normal(rng, 3), 2, 2), Sample(normal(rng, 2), (3, 1, 2))],
        errors=lambda rng: [Error(Sample(normal(rng, 2, 3), 2), RuntimeError, "repeat")],
    ),
    Op("tile", lambda rng: [Sample(normal(rng, 2, 3), (2,)), Sample(normal(rng, 3), (2, 2))], np.tile),
    Op(
        "flip",
        lambda rng: [Sample(normal(rng, 2, 3), (0,)), Sample(normal(rng, 2, 3, 2), (0, -1)), Sample(np.array(2.0), ())],
        np.flip,
        errors=lambda rng: [Error(Sample(normal(rng, 2, 3), (2,)), IndexError)],
    ),
    Op("fliplr", lambda rng: [Sample(normal(rng, 2, 3))], np.fliplr),
    Op("flipud", lambda rng: [Sample(normal(rng, 2, 3))], np.flipud),
    Op(
        "roll",
        lambda rng: [Sample(normal(rng, 2, 3), 1), Sample(normal(rng, 2, 3), -1, 1), Sample(normal(rng, 2, 3), (1, 2), (0, 1))],
        np.roll,
    ),
    Op(
        "diagonal",
        lambda rng: [
            Sample(normal(rng, 3, 4)),
            Sample(normal(rng, 3, 4), 1),
            Sample(normal(rng, 3, 4), -1),
            Sample(normal(rng, 2, 3, 4), offset=1, dim1=0, dim2=2),
            Sample(normal(rng, 3, 4), 5),
        ],
        lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
        aliases=True,
    ),
    Op(
        "diag",
        lambda rng: [Sample(normal(rng, 3)), Sample(normal(rng, 3), 1), Sample(normal(rng, 3, 4), -1)],
        np.diag,
        aliases=True,
    ),
    Op(
        "tril", lambda rng: [Sample(normal(rng, 3, 4)), Sample(normal(rng, 2, 3, 3), 1), Sample(normal(rng, 4, 3), -1)], np.tril
    ),
    Op(
        "triu", lambda rng: [Sample(normal(rng, 3, 4)), Sample(normal(rng, 2, 3, 3), 1), Sample(normal(rng, 4, 3), -1)], np.triu
    ),
]


# ---------------------------------------------------------------------------------------------------------------- indexing


def indices(*values):
    return np.array(values)


def grid_of(dim, index):
    """Where scatter along dim writes: index in that axis, every position of index in the others."""
    grid = list(np.ogrid[tuple(slice(n) for n in index.shape)])
    grid[dim] = index
    return tuple(grid)


def scatter_reference(x, dim, index, src):
    out = x.copy()
    out[grid_of(dim, index)] = src
    return out


def scatter_add_reference(x, dim, index, src):
    out = x.copy()
    np.add.at(out, grid_of(dim, index), src)
    return out


def replaced(x, dim, index, value):
    out = x.copy()
    np.moveaxis(out, dim, 0)[index] = value if np.isscalar(value) else np.moveaxis(value, dim, 0)
    return out


def added(x, dim, index, source, alpha=1):
    out = x.copy()
    np.add.at(np.moveaxis(out, dim, 0), index, alpha * np.moveaxis(source, dim, 0))
    return out


def index_errors(rng):
    return [
        Error(Sample(normal(rng, 3, 4), 2, indices(0)), IndexError, "out of range"),
        Error(Sample(normal(rng, 3, 4), 0, indices(0, 3)), (IndexError, RuntimeError), "out of|range|bounds"),
    ]


INDEXING = [
    Op(
        "Tensor.__getitem__",
        lambda rng: [
            Sample(normal(rng, 4, 3), 1),
            Sample(normal(rng, 4, 3), (slice(None), slice(0, 3, 2))),
            Sample(normal(rng, 4, 3), (None, Ellipsis, -1)),
            Sample(normal(rng, 4, 3), indices(2, 0, 2)),
            Sample(normal(rng, 4, 3), (indices(2, 0, 2), indices(1, 1, 0))),
            Sample(normal(rng, 4, 3), (slice(1, 3), indices(2, 0, 2))),
            Sample(normal(rng, 2, 4, 3), (indices([0], [1]), slice(None), indices(2, 0))),
            Sample(normal(rng, 4, 3), indices(True, False, True, True)),
        ],
        lambda x, index: x[index],
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 4), 4), IndexError, "out of"),
            Error(Sample(normal(rng, 4), indices(0, 4)), IndexError, "out of"),
            Error(Sample(normal(rng, 4), (0, 0)), IndexError, "too many"),
            Error(Sample(normal(rng, 4), indices(True, False)), IndexError, "mask|shape"),
        ],
    ),
    Op(
        "index_select",
        lambda rng: [
            Sample(normal(rng, 4, 3), 0, indices(2, 0, 2)),
            Sample(normal(rng, 4, 3), -1, indices(1)),
            Sample(normal(rng, 4), 0, indices(1, 3)),
        ],
        lambda x, dim, index: np.take(x, index, dim),
        errors=index_errors,
    ),
    Op(
        "gather",
        lambda rng: [
            Sample(normal(rng, 4, 3), 0, rng.integers(0, 4, (5, 2))),
            Sample(normal(rng, 4, 3), 1, rng.integers(0, 3, (4, 5))),
            Sample(normal(rng, 2, 4, 3), -2, rng.integers(0, 4, (2, 2, 3))),
        ],
        lambda x, dim, index: np.take_along_axis(
            x[tuple(slice(None if a == dim % x.ndim else n) for a, n in enumerate(index.shape))], index, dim
        ),
        errors=lambda rng: [
            Error(Sample(normal(rng, 4, 3), 0, indices([0, 4])), RuntimeError, "out of bounds"),
            Error(Sample(normal(rng, 4, 3), 0, indices(0, 1)), RuntimeError, "dimension"),
            Error(Sample(normal(rng, 4, 3), 1, rng.integers(0, 3, (5, 1))), RuntimeError, "[Ss]ize"),
            Error(Sample(normal(rng, 4, 3), 2, indices([0])), IndexError, "out of range"),
        ],
    ),
    Op(
        "take_along_dim",
        lambda rng: [Sample(normal(rng, 4, 3), rng.integers(0, 4, (5, 3)), 0), Sample(normal(rng, 4, 3), indices(0, 11))],
        lambda x, index, dim=None: np.take_along_axis(x, index, dim) if dim is not None else x.ravel()[index],
    ),
    Op("take", lambda rng: [Sample(normal(rng, 4, 3), indices([0, 11], [3, 3]))], np.take),
    Op(
        "scatter",
        lambda rng: [
            Sample(normal(rng, 4, 3), 0, indices([0, 1, 2], [3, 0, 1]), normal(rng, 2, 3)),
            Sample(normal(rng, 4, 3), 1, indices([0, 1], [2, 0]), normal(rng, 2, 2)),
            Sample(normal(rng, 4, 3), 1, indices([0, 1], [2, 0]), 2.5),
        ],
        scatter_reference,
        errors=lambda rng: [
            Error(Sample(normal(rng, 4, 3), 0, indices([4]), normal(rng, 1, 1)), RuntimeError, "out of bounds")
        ],
    ),
    Op(
        "scatter_add",
        lambda rng: [
            Sample(normal(rng, 4, 3), 0, rng.integers(0, 4, (5, 3)), normal(rng, 5, 3)),
            Sample(normal(rng, 4, 3), -1, rng.integers(0, 3, (2, 5)), normal(rng, 2, 5)),
        ],
        scatter_add_reference,
        errors=lambda rng: [
            Error(Sample(normal(rng, 4, 3), 0, indices([4]), normal(rng, 1, 1)), RuntimeError, "out of bounds")
        ],
    ),
    Op(
        "index_add",
        lambda rng: [
            Sample(normal(rng, 4, 3), 0, indices(2, 0, 2), normal(rng, 3, 3)),
            Sample(normal(rng, 4, 3), 1, indices(2, 2), normal(rng, 4, 2), alpha=-0.5),
        ],
        added,
    ),
    Op(
        "index_fill",
        lambda rng: [Sample(normal(rng, 4, 3), 0, indices(2, 0), 1.5), Sample(normal(rng, 4, 3), -1, indices(1), -1)],
        replaced,
    ),
    Op("index_copy", lambda rng: [Sample(normal(rng, 4, 3), 0, indices(2, 0), normal(rng, 2, 3))], replaced),
    Op(
        "repeat_interleave",
        lambda rng: [
            Sample(normal(rng, 3), 2),
            Sample(normal(rng, 2, 3), 3, dim=1),
            Sample(normal(rng, 2, 3), indices(2, 0, 1), dim=1),
            Sample(normal(rng, 2, 3), 2),
        ],
        lambda x, repeats, dim=None: np.repeat(x, repeats, dim),
    ),
    Op(
        "masked_fill",
        lambda rng: [
            Sample(normal(rng, 4, 3), normal(rng, 4, 3) > 0, 1.5),
            Sample(normal(rng, 4, 3), normal(rng, 3) > 0, -np.inf),
            Sample(normal(rng, 4, 3), normal(rng, 4, 1) > 0, normal(rng)),
        ],
        lambda x, mask, value: np.where(mask, value, x),
        errors=lambda rng: [Error(Sample(normal(rng, 4), indices(0, 1, 0, 1), 1.0), RuntimeError, "bool")],
    ),
    Op(
        "masked_select",
        lambda rng: [Sample(normal(rng, 4, 3), normal(rng, 4, 3) > 0), Sample(normal(rng, 4, 3), normal(rng, 4, 1) > 0)],
        lambda x, mask: x[np.broadcast_to(mask, x.shape)],
    ),
    Op(
        "nonzero",
        lambda rng: [
            Sample(np.array([[0.0, 1.5], [2.0, 0.0]])),
            Sample(np.array([True, False, True])),
            Sample(np.zeros((2, 0))),
        ],
        lambda x: np.argwhere(x),
        order=0,
    ),
]

# ---------------------------------------------------------------------------------------------------------------- in place


def in_place(name, samples, reference=None, **kwargs):
    """A row for an in-place method: it is called on a clone, then on a view of another, and both are results."""

    def function(lib):
        def call(x, *args, **kwargs):
            y = x.clone()
            returned = getattr(y, name)(*args, **kwargs)
            assert returned is y
            base = lib.cat([x, x]).reshape(2, *x.shape).clone()
            view = base[1]
            getattr(view, name)(*args, **kwargs)
            return y, base, view

        return call

    def both(x, *args, **kwargs):
        y = reference(x, *args, **kwargs)
        return y, np.stack([x, y]), y

    return Op(f"Tensor.{name}", samples, both if reference else None, function=function, aliases=True, **kwargs)


def set_item(lib):
    """x[index] = value on a clone of x."""

    def call(x, index, value):
        y = x.clone()
        y[index] = value
        return y

    return call


def set_item_reference(x, index, value):
    y = x.copy()
    y[index] = value
    return y


IN_PLACE = [
    Op(
        "Tensor.__setitem__",
        lambda rng: [
            Sample(normal(rng, 4, 3), 1, normal(rng, 3)),
            Sample(normal(rng, 4, 3), (slice(None), slice(0, 3, 2)), normal(rng, 4, 1)),
            Sample(normal(rng, 4, 3), (slice(1, 3),), 2.5),
            Sample(normal(rng, 4, 3), indices(2, 0), normal(rng, 2, 3)),
            Sample(normal(rng, 4, 3), (indices(2, 0), indices(1, 1)), normal(rng)),
            Sample(normal(rng, 4, 3), indices(True, False, True, True), normal(rng, 3)),
        ],
        set_item_reference,
        function=set_item,
        aliases=True,
        errors=lambda rng: [
            Error(Sample(normal(rng, 4), 4, 1.0), IndexError, "out of"),
            Error(Sample(normal(rng, 4), slice(0, 2), normal(rng, 3)), RuntimeError),
        ],
    ),
    in_place("add_", lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 4)), Sample(normal(rng, 3), 2)], np.add),
    in_place("sub_", lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 4)), Sample(normal(rng, 3), 2)], np.subtract),
    in_place("mul_", lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 4)), Sample(normal(rng, 3), 2)], np.multiply),
    in_place("div_", lambda rng: [Sample(normal(rng, 3, 4), positive(rng, 4)), Sample(normal(rng, 3), 2)], np.divide),
    in_place("pow_", lambda rng: [Sample(positive(rng, 3, 4), normal(rng, 4)), Sample(normal(rng, 3), 2)], np.power),
    in_place("exp_", lambda rng: [Sample(normal(rng, 3, 4))], np.exp),
    in_place("sqrt_", lambda rng: [Sample(positive(rng, 3, 4))], np.sqrt),
    in_place("tanh_", lambda rng: [Sample(normal(rng, 3, 4))], np.tanh),
    in_place("sigmoid_", lambda rng: [Sample(normal(rng, 3, 4))], special.expit),
    in_place("neg_", lambda rng: [Sample(normal(rng, 3, 4))], np.negative),
    in_place("clamp_", lambda rng: [Sample(distinct(rng, 3, 4), -0.5, 0.5)], np.clip),
    in_place("zero_", lambda rng: [Sample(normal(rng, 3, 4))], np.zeros_like),
    in_place("fill_", lambda rng: [Sample(normal(rng, 3, 4), 2.5), Sample(normal(rng, 3), normal(rng))], np.full_like),
    in_place(
        "copy_",
        lambda rng: [Sample(normal(rng, 3, 4), normal(rng, 4)), Sample(normal(rng, 3), np.array([1, 2, 3]))],
        lambda x, y: np.broadcast_to(y, x.shape),
    ),
    in_place(
        "masked_fill_",
        lambda rng: [
            Sample(normal(rng, 3, 4), normal(rng, 3, 4) > 0, 1.5),
            Sample(normal(rng, 3), normal(rng, 3) > 0, normal(rng)),
        ],
        lambda x, mask, value: np.where(mask, value, x),
    ),
    in_place(
        "addcmul_",
        lambda rng: [Sample(normal(rng, 3), normal(rng, 3), normal(rng, 3), value=0.5)],
        lambda x, y, z, value: x + value * y * z,
    ),
    in_place("lerp_", lambda rng: [Sample(normal(rng, 3), normal(rng, 3), 0.3)], lambda x, y, w: x + w * (y - x)),
]

ROWS: list[Op] = [*ARITHMETIC, *MATHEMATICS, *COMPARISONS, *SHAPES, *INDEXING, *IN_PLACE]
