"""Inverse, hyperbolic and further functions of each element, and in-place variants of many."""

import numpy as np
from scipy import special

from tests.op_table.row import SAME, Constant, Error, Op, Sample
from tests.op_table.tensor import distinct, in_place, normal, positive, unary


def inside(rng, *shape):
    """Between -0.8 and 0.8."""
    return np.asarray(rng.uniform(-0.8, 0.8, shape))


def above_one(rng, *shape):
    return np.asarray(rng.uniform(1.3, 3, shape))


def probability(rng, *shape):
    return np.asarray(rng.uniform(0.1, 0.9, shape))


def two(make=normal, other=None):
    other = other or make

    def samples(rng):
        return [
            Sample(make(rng, 3, 4), other(rng, 3, 4)),
            Sample(make(rng, 3, 1), other(rng, 4)),
            Sample(make(rng, 0, 3), other(rng, 3)),
            Sample(make(rng), other(rng, 2)),
        ]

    return samples


SPECIAL = np.array([[1.0, np.nan, np.inf], [-np.inf, -0.0, 0.0]])

integers = [Error(Sample(np.arange(3), np.arange(3)), NotImplementedError)]

FUNCTIONS = [
    unary("asin", np.arcsin, inside),
    unary("acos", np.arccos, inside),
    unary("sinh", np.sinh),
    unary("cosh", np.cosh),
    unary("asinh", np.arcsinh),
    unary("acosh", np.arccosh, above_one),
    unary("atanh", np.arctanh, inside),
    unary("sinc", np.sinc, distinct),
    unary("exp2", np.exp2),
    unary("deg2rad", np.deg2rad),
    unary("rad2deg", np.rad2deg),
    unary("positive", np.positive, aliases=True),
    Op("atan2", two(), np.arctan2),
    Op("logaddexp", two(), np.logaddexp, errors=integers),
    Op("logaddexp2", two(), np.logaddexp2, errors=integers),
    Op("hypot", two(), np.hypot, errors=integers),
    Op("xlogy", two(normal, positive), special.xlogy),
    Op("fmax", two(), np.fmax),
    Op("fmin", two(), np.fmin),
    Op("copysign", lambda rng: [*two()(rng), Sample(normal(rng), normal(rng))], np.copysign),
    Op(
        "float_power",
        lambda rng: [Sample(positive(rng, 3, 1), normal(rng, 4)), Sample(positive(rng, 3), 2), Sample(2.5, normal(rng, 3))],
        np.float_power,
    ),
    Op(
        "rsub",
        lambda rng: [
            Sample(normal(rng, 3), normal(rng, 2, 1)),
            Sample(normal(rng, 3), 2),
            Sample(normal(rng, 3), 1.5, alpha=2),
        ],
        lambda x, y, alpha=1: y - alpha * x,
    ),
    Op(
        "logit",
        lambda rng: [Sample(probability(rng, 3, 4)), Sample(np.array([0.02, 0.5, 0.98, 0.3]), 0.1), Sample(probability(rng))],
        lambda x, eps=0.0: special.logit(np.clip(x, eps, 1 - eps)),
    ),
    Op(
        "nan_to_num",
        lambda rng: [
            Sample(normal(rng, 3)),
            Sample(np.array([1.5, -2.0]), 1.0),
            Sample(Constant(np.array([np.nan, 2.0]))),
            Sample(Constant(SPECIAL), 2.5, 7.0, -7.0),
            Sample(np.array([3, 4])),
        ],
        aliases=True,
    ),
    Op("signbit", lambda rng: [Sample(SPECIAL), Sample(np.array([-1, 0, 2]))], np.signbit, order=0),
    Op("isposinf", lambda rng: [Sample(SPECIAL), Sample(np.array([1, 2]))], np.isposinf, order=0),
    Op("isneginf", lambda rng: [Sample(SPECIAL), Sample(np.array([1, 2]))], np.isneginf, order=0),
    Op("isreal", lambda rng: [Sample(SPECIAL)], np.isreal, order=0),
    Op(
        "bitwise_left_shift",
        lambda rng: [Sample(np.array([1, 6, -3]), np.array([3, 0, 2])), Sample(np.array([[5], [2]]), 3)],
        np.left_shift,
        order=0,
        errors=lambda rng: [Error(Sample(normal(rng, 3), 1), NotImplementedError, torch="shifts floats by powers of two")],
    ),
    Op(
        "bitwise_right_shift",
        lambda rng: [Sample(np.array([100, 6, -3]), np.array([3, 0, 1])), Sample(np.array([[50], [2]]), 3)],
        np.right_shift,
        order=0,
    ),
]


def plain(name, reference, make=normal, *more, torch_name=SAME, **kwargs):
    """An in-place row of one sample (3, 4); what is callable in `more` makes a further tensor (4)."""

    def samples(rng):
        return [Sample(make(rng, 3, 4), *[m(rng, 4) if callable(m) else m for m in more], **kwargs)]

    return in_place(name, samples, reference, torch_name=torch_name)


IN_PLACE = [
    plain("abs_", np.abs, distinct),
    plain("sign_", np.sign, distinct),
    plain("floor_", np.floor, distinct),
    plain("ceil_", np.ceil, distinct),
    plain("trunc_", np.trunc, distinct),
    plain("round_", np.round, distinct),
    plain("frac_", lambda x: x - np.trunc(x), distinct),
    plain("expm1_", np.expm1),
    plain("exp2_", np.exp2),
    plain("log_", np.log, positive),
    plain("log1p_", np.log1p, positive),
    plain("log2_", np.log2, positive),
    plain("log10_", np.log10, positive),
    plain("rsqrt_", lambda x: x**-0.5, positive),
    plain("square_", np.square),
    plain("reciprocal_", np.reciprocal, positive),
    plain("sin_", np.sin),
    plain("cos_", np.cos),
    plain("tan_", np.tan, inside),
    plain("asin_", np.arcsin, inside),
    plain("acos_", np.arccos, inside),
    plain("atan_", np.arctan),
    plain("sinh_", np.sinh),
    plain("cosh_", np.cosh),
    plain("asinh_", np.arcsinh, normal, torch_name=None),
    plain("acosh_", np.arccosh, above_one, torch_name=None),
    plain("atanh_", np.arctanh, inside, torch_name=None),
    plain("erf_", special.erf),
    plain("logit_", special.logit, probability),
    plain("relu_", lambda x: np.maximum(x, 0), distinct),
    plain("clamp_min_", np.maximum, distinct, 0.2),
    plain("clamp_max_", np.minimum, distinct, 0.2),
    plain("remainder_", np.mod, distinct, 0.7),
    plain("fmod_", np.fmod, distinct, 0.7),
    plain("floor_divide_", lambda x, y: np.floor(x / y), distinct, 0.7, torch_name=None),
    plain("atan2_", np.arctan2, normal, normal),
    plain("hypot_", np.hypot, normal, normal),
    plain("xlogy_", special.xlogy, normal, positive),
    plain("copysign_", np.copysign, normal, normal),
    plain("addcdiv_", lambda x, y, z, value: x + value * y / z, normal, normal, positive, value=0.5),
    plain("tril_", np.tril, normal, -1),
    plain("triu_", np.triu, normal, 1),
    plain("cumsum_", np.cumsum, normal, 1),
    plain("cumprod_", np.cumprod, positive, 0),
    plain("eq_", lambda x, y: (x == y) * 1.0, normal, 0.0),
    plain("gt_", lambda x, y: (x > y) * 1.0, normal, 0.0),
    plain("logical_not_", lambda x: (x == 0) * 1.0, normal, torch_name=None),
]

ROWS: list[Op] = [*FUNCTIONS, *IN_PLACE]
