"""Activation functions."""

import numpy as np
from scipy import special

from tests.op_table.row import Error, Op, Sample


def away(rng: np.random.Generator, shape: tuple[int, ...], kinks: tuple[float, ...] = (0.0,), scale: float = 2.0) -> np.ndarray:
    """Normal numbers, none within 0.05 of a kink."""
    x = np.asarray(rng.normal(0, scale, shape))
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 0.05, kink + 0.05 + np.abs(x - kink), x)
    return x


def shapes(*kinks: float, **kwargs):
    """Samples for a function of one tensor: a matrix, a vector, no dimensions, no elements, and a bigger one."""
    return lambda rng: [Sample(away(rng, shape, kinks), **kwargs) for shape in ((3, 5), (7,), (), (0, 3), (2, 3, 19))]


def sigmoid(x):
    return special.expit(x)


def softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.log1p(np.exp(np.minimum(x * beta, threshold))) / beta)


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def selu(x):
    return 1.0507009873554804934 * elu(x, 1.6732632423543772848)


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return x * special.ndtr(x)


def glu(x, dim=-1):
    a, b = np.split(x, 2, dim)
    return a * sigmoid(b)


def prelu(x, weight):
    if weight.size > 1:
        weight = weight.reshape((-1,) + (1,) * (x.ndim - 2))
    return np.where(x > 0, x, weight * x)


def with_argument(*kinks: float, samples):
    """Samples with keyword arguments: a matrix for each."""
    return lambda rng: [Sample(away(rng, (3, 5), kinks), **kwargs) for kwargs in samples]


def in_place(name: str, arguments: list[tuple], *kinks: float) -> Op:
    """A row for a function that writes into its input, here a copy of the sample so that it is no leaf."""

    def on_a_copy(lib):
        function = getattr(lib.nn.functional, name)
        return lambda x, *args: function(x.clone(), *args)

    return Op(
        name=f"nn.functional.{name}",
        samples=lambda rng: [Sample(away(rng, (3, 5), kinks), *args) for args in arguments],
        function=on_a_copy,
    )


NOT_FOR_INTEGERS = [Error(Sample(np.arange(3)), NotImplementedError), Error(Sample([1.0]), TypeError)]

ROWS: list[Op] = [
    Op(
        name="nn.functional.relu",
        samples=shapes(0.0),
        reference=lambda x: np.maximum(x, 0),
        errors=[Error(Sample(np.array([True])), RuntimeError), Error(Sample([1.0]), TypeError)],
    ),
    Op(name="nn.functional.relu6", samples=shapes(0.0, 6.0), reference=lambda x: np.clip(x, 0, 6)),
    Op(
        name="nn.functional.leaky_relu",
        samples=with_argument(0.0, samples=[{}, {"negative_slope": 0.2}, {"negative_slope": -0.5}]),
        reference=lambda x, negative_slope=0.01: np.where(x > 0, x, negative_slope * x),
        errors=[*NOT_FOR_INTEGERS, Error(Sample(np.ones(2), "a"), TypeError)],
    ),
    Op(
        name="nn.functional.elu",
        samples=with_argument(0.0, samples=[{}, {"alpha": 0.3}]),
        reference=elu,
        errors=NOT_FOR_INTEGERS,
    ),
    Op(name="nn.functional.selu", samples=shapes(0.0), reference=selu, errors=NOT_FOR_INTEGERS),
    Op(
        name="nn.functional.celu",
        samples=with_argument(0.0, samples=[{}, {"alpha": 0.3}, {"alpha": 2.5}]),
        reference=lambda x, alpha=1.0: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha)),
        gradient_rtol={"float64": 1e-7},
        note="In float64, PyTorch's gradient has 1 / alpha rounded to float32.",
        errors=[*NOT_FOR_INTEGERS, Error(Sample(np.ones(2), 0.0), RuntimeError)],
    ),
    Op(
        name="nn.functional.gelu",
        samples=lambda rng: [
            Sample(rng.normal(0, 2, (3, 5))),
            Sample(rng.normal(0, 2, (2, 3, 19)), approximate="tanh"),
            Sample(rng.normal(0, 2, ())),
        ],
        reference=gelu,
        errors=[*NOT_FOR_INTEGERS, Error(Sample(np.ones(2), approximate="exact"), RuntimeError)],
    ),
    Op(name="nn.functional.silu", samples=shapes(), reference=lambda x: x * sigmoid(x), errors=NOT_FOR_INTEGERS),
    Op(name="nn.functional.mish", samples=shapes(), reference=lambda x: x * np.tanh(softplus(x)), errors=NOT_FOR_INTEGERS),
    Op(
        name="nn.functional.softplus",
        samples=with_argument(2.0 / 1.5, samples=[{}, {"beta": 0.7}, {"beta": 1.5, "threshold": 2.0}]),
        reference=softplus,
        errors=NOT_FOR_INTEGERS,
    ),
    Op(name="nn.functional.softsign", samples=shapes(0.0), reference=lambda x: x / (1 + np.abs(x))),
    Op(
        name="nn.functional.hardtanh",
        samples=with_argument(-1.0, 1.0, -0.4, 2.2, samples=[{}, {"min_val": -0.4, "max_val": 2.2}]),
        reference=lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        errors=[Error(Sample(np.ones(2), 2.0, 1.0), ValueError)],
    ),
    Op(
        name="nn.functional.hardswish",
        samples=shapes(-3.0, 3.0),
        reference=lambda x: x * np.clip(x + 3, 0, 6) / 6,
        errors=NOT_FOR_INTEGERS,
    ),
    Op(
        name="nn.functional.hardsigmoid",
        samples=shapes(-3.0, 3.0),
        reference=lambda x: np.clip(x + 3, 0, 6) / 6,
        gradient_rtol={"float64": 1e-7},
        note="In float64, PyTorch's gradient has 1 / 6 rounded to float32.",
        errors=NOT_FOR_INTEGERS,
    ),
    Op(
        name="nn.functional.logsigmoid",
        samples=shapes(),
        reference=lambda x: -softplus(-x),
        errors=[Error(Sample(np.arange(3)), NotImplementedError)],
    ),
    Op(
        name="nn.functional.threshold",
        samples=lambda rng: [Sample(away(rng, (3, 5), (0.3,)), 0.3, -7.0), Sample(away(rng, (4,), (-0.5,)), -0.5, 1.5)],
        reference=lambda x, threshold, value: np.where(x > threshold, x, value),
    ),
    Op(name="nn.functional.tanhshrink", samples=shapes(), reference=lambda x: x - np.tanh(x)),
    Op(
        name="nn.functional.softshrink",
        samples=with_argument(-0.5, 0.5, -1.25, 1.25, samples=[{}, {"lambd": 1.25}, {"lambd": 0.0}]),
        reference=lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
        errors=[Error(Sample(np.ones(2), -1.0), RuntimeError), Error(Sample(np.arange(3)), NotImplementedError)],
    ),
    Op(
        name="nn.functional.hardshrink",
        samples=with_argument(-0.5, 0.5, -1.25, 1.25, samples=[{}, {"lambd": 1.25}]),
        reference=lambda x, lambd=0.5: np.where(np.abs(x) > lambd, x, 0),
        errors=[Error(Sample(np.arange(3)), NotImplementedError)],
    ),
    Op(
        name="nn.functional.prelu",
        samples=lambda rng: [
            Sample(away(rng, (2, 3, 5)), rng.normal(size=3)),
            Sample(away(rng, (4, 3)), rng.normal(size=3)),
            Sample(away(rng, (4, 3)), rng.normal(size=1)),
            Sample(away(rng, (7,)), rng.normal(size=1)),
            Sample(away(rng, (5,)), rng.normal(size=())),
        ],
        reference=prelu,
        errors=[
            Error(Sample(np.ones(3), np.ones(3)), RuntimeError),
            Error(Sample(np.ones((2, 3)), np.ones(2)), RuntimeError),
            Error(Sample(np.ones((2, 3)), np.ones((1, 3))), RuntimeError),
        ],
    ),
    Op(
        name="nn.functional.rrelu",
        samples=with_argument(0.0, samples=[{}, {"lower": 0.1, "upper": 0.5}]),
        reference=lambda x, lower=1 / 8, upper=1 / 3: np.where(x > 0, x, (lower + upper) / 2 * x),
        errors=[Error(Sample(np.ones(2), 0.5, 0.2), RuntimeError)],
    ),
    Op(
        name="nn.functional.glu",
        samples=lambda rng: [
            Sample(rng.normal(size=(3, 6))),
            Sample(rng.normal(size=(4, 3, 2)), 0),
            Sample(rng.normal(size=(2, 4)), dim=1),
        ],
        reference=glu,
        errors=[
            Error(Sample(np.ones(3)), RuntimeError),
            Error(Sample(np.ones(())), RuntimeError),
            Error(Sample(np.ones((2, 4)), 5), IndexError),
        ],
    ),
    Op(name="nn.functional.sigmoid", samples=shapes(), reference=sigmoid),
    Op(name="nn.functional.tanh", samples=shapes(), reference=np.tanh),
    Op(
        name="nn.RReLU",
        function=lambda lib: lib.nn.functional.rrelu,
        samples=with_argument(0.0, samples=[{"training": True}, {"lower": 0.1, "upper": 0.5, "training": True}]),
        random=True,
    ),
    in_place("relu_", [()], 0.0),
    in_place("leaky_relu_", [(), (0.2,)], 0.0),
    in_place("elu_", [(), (0.4,)], 0.0),
    in_place("selu_", [()], 0.0),
    in_place("celu_", [(), (1.0,)], 0.0),
    in_place("hardtanh_", [(), (-0.4, 2.2)], -1.0, 1.0, -0.4, 2.2),
    in_place("threshold_", [(0.3, -7.0)], 0.3),
    in_place("rrelu_", [(), (0.1, 0.5)], 0.0),
]
