"""Reductions, running sums, sorting and selection."""

import numpy as np
from scipy import special

from tests.op_table.row import Dtype, Error, Op, Sample


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.normal(size=shape))


def distinct(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Numbers at least 0.2 apart, so that no ties and no order changes come from small steps."""
    n = int(np.prod(shape, dtype=int))
    return np.asarray((rng.permutation(n) - n / 2 + 0.3).reshape(shape) * 0.25)


def tied(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.asarray(rng.integers(-1, 2, shape).astype(float))


def over_dims(make):
    """Samples for f(x, dim, keepdim) where dim may be several."""
    return lambda rng: [
        Sample(make(rng, 3, 5)),
        Sample(make(rng, 3, 5), 0),
        Sample(make(rng, 2, 3, 4), (0, -1), True),
        Sample(make(rng, 2, 3, 4), dim=1, keepdim=True),
        Sample(make(rng)),
        Sample(make(rng, 4), -1),
    ]


def along_dim(make, *args):
    """Samples for f(x, ..., dim, keepdim) where dim is one."""
    return lambda rng: [
        Sample(make(rng, 3, 5), *args, dim=0),
        Sample(make(rng, 2, 3, 4), *args, dim=1, keepdim=True),
        Sample(make(rng, 7), *args, dim=-1),
        Sample(make(rng), *args, dim=0),
    ]


def axes(dim):
    return tuple(dim) if isinstance(dim, (tuple, list)) else dim


def fold(function):
    return lambda x, dim=None, keepdim=False: function(x, axis=axes(dim), keepdims=keepdim)


def moment(function):
    def reference(x, dim=None, unbiased=True, keepdim=False, correction=None):
        return function(x, axis=axes(dim), keepdims=keepdim, ddof=int(unbiased) if correction is None else correction)

    return reference


def moments(rng):
    return [
        Sample(normal(rng, 3, 5)),
        Sample(normal(rng, 3, 5), 0),
        Sample(normal(rng, 3, 5), 1, False),
        Sample(normal(rng, 2, 3, 4), (0, 2), keepdim=True),
        Sample(normal(rng, 6), correction=2),
        Sample(normal(rng, 4, 3) + 10, -2, unbiased=False),
    ]


def norm(x, p="fro", dim=None, keepdim=False):
    a = np.abs(x)
    dim = axes(dim)
    if p in ("fro", 2):
        return np.sqrt((a * a).sum(axis=dim, keepdims=keepdim))
    if p == np.inf:
        return a.max(axis=dim, keepdims=keepdim)
    if p == -np.inf:
        return a.min(axis=dim, keepdims=keepdim)
    if p == 0:
        return (a != 0).sum(axis=dim, keepdims=keepdim).astype(x.dtype)
    return (a**p).sum(axis=dim, keepdims=keepdim) ** (1 / p)


def zeros_in(rng, *shape, at=()):
    x = normal(rng, *shape) + 1.5
    for place in at:
        x[place] = 0
    return x


OUT_OF_RANGE = [Error(Sample(np.ones((2, 3)), 2), IndexError), Error(Sample(np.ones((2, 3)), -3), IndexError)]
TWICE = [Error(Sample(np.ones((2, 3)), (0, -2)), RuntimeError)]
EMPTY = [Error(Sample(np.ones((0, 3)), 0), IndexError), Error(Sample(np.ones((0, 3))), RuntimeError)]

ROWS: list[Op] = [
    Op(
        name="sum",
        samples=lambda rng: [
            *over_dims(normal)(rng),
            Sample(normal(rng, 0, 3), 0),
            Sample(normal(rng, 2, 67, 3), (0, 2)),
            Sample(normal(rng, 3), dtype=Dtype("float64")),
        ],
        reference=lambda x, dim=None, keepdim=False, dtype=None: np.sum(x, axis=axes(dim), keepdims=keepdim),
        errors=[*OUT_OF_RANGE, *TWICE],
    ),
    Op(
        name="Tensor.sum",
        samples=lambda rng: [Sample(rng.integers(-5, 5, (3, 4)), 1), Sample(rng.random((3, 4)) < 0.5)],
        order=0,
    ),
    Op(
        name="mean",
        samples=lambda rng: [*over_dims(normal)(rng), Sample(rng.integers(0, 9, 5), dtype=Dtype("float32"))],
        reference=None,
        errors=[*OUT_OF_RANGE, *TWICE, Error(Sample(np.arange(3)), RuntimeError)],
    ),
    Op(
        name="nansum",
        samples=lambda rng: [Sample(np.where(rng.random((3, 5)) < 0.3, np.nan, 1.5)), Sample(normal(rng, 3, 4), 1, True)],
        reference=fold(np.nansum),
        order=0,
        note="gradcheck is left out: it cannot step from NaN",
    ),
    Op(
        name="nanmean",
        samples=lambda rng: [Sample(normal(rng, 3, 4)), Sample(normal(rng, 3, 4), 1, True)],
        reference=fold(np.nanmean),
    ),
    Op(
        name="prod",
        samples=lambda rng: [
            Sample(zeros_in(rng, 3, 4)),
            Sample(zeros_in(rng, 3, 4), 1),
            Sample(zeros_in(rng, 3, 4, at=[(0, 1), (1, 0), (1, 2)]), 1, keepdim=True),
            Sample(zeros_in(rng, 2, 3, at=[(1, 1)])),
            Sample(zeros_in(rng, 5, at=[2, 3]), 0),
            Sample(normal(rng)),
            Sample(normal(rng, 1), 0),
        ],
        reference=fold(np.prod),
        errors=OUT_OF_RANGE,
    ),
    Op(
        name="cumsum",
        samples=lambda rng: [Sample(normal(rng, 3, 5), 0), Sample(normal(rng, 2, 3, 4), -1), Sample(normal(rng), 0)],
        reference=lambda x, dim: np.cumsum(x, dim).reshape(x.shape),
        errors=OUT_OF_RANGE,
    ),
    Op(
        name="cumprod",
        samples=lambda rng: [
            Sample(zeros_in(rng, 3, 5), 0),
            Sample(zeros_in(rng, 2, 3, 4, at=[(0, 1, 1), (1, 0, 0), (1, 0, 2)]), -1),
            Sample(zeros_in(rng, 4, 3, at=[(1, 1)]), 0),
            Sample(normal(rng), 0),
        ],
        reference=lambda x, dim: np.cumprod(x, dim).reshape(x.shape),
        errors=OUT_OF_RANGE,
    ),
    Op(
        name="logsumexp",
        samples=lambda rng: [
            Sample(normal(rng, 3, 5), 1),
            Sample(normal(rng, 2, 3, 4) * 30, (0, 2), True),
            Sample(normal(rng), 0),
        ],
        reference=lambda x, dim, keepdim=False: special.logsumexp(x, axis=axes(dim) if x.ndim else None, keepdims=keepdim),
        errors=OUT_OF_RANGE,
    ),
    Op(
        name="var", samples=moments, reference=moment(np.var), errors=[*OUT_OF_RANGE, Error(Sample(np.arange(3)), RuntimeError)]
    ),
    Op(
        name="std", samples=moments, reference=moment(np.std), errors=[*OUT_OF_RANGE, Error(Sample(np.arange(3)), RuntimeError)]
    ),
    Op(name="var_mean", samples=moments),
    Op(name="std_mean", samples=moments),
    Op(
        name="norm",
        samples=lambda rng: [
            Sample(normal(rng, 3, 5)),
            Sample(normal(rng, 3, 5), 1),
            Sample(normal(rng, 3, 5), 3.0, 0),
            Sample(normal(rng, 2, 3, 4), 2, (0, 2), True),
            Sample(distinct(rng, 3, 5), float("inf"), 1),
            Sample(distinct(rng, 5), float("-inf")),
            Sample(normal(rng, 4) + 3, 0.5),
        ],
        reference=norm,
        errors=[Error(Sample(np.arange(3)), RuntimeError)],
    ),
    Op(
        name="amax",
        samples=lambda rng: [*over_dims(distinct)(rng), Sample(distinct(rng, 3, 4), ())],
        reference=lambda x, dim=None, keepdim=False: np.max(x, axis=axes(dim) or None if dim != 0 else 0, keepdims=keepdim),
        errors=[*OUT_OF_RANGE, *EMPTY],
    ),
    Op(name="amin", samples=over_dims(distinct), reference=fold(np.min), errors=[*OUT_OF_RANGE, *EMPTY]),
    Op(
        name="Tensor.amax",
        samples=lambda rng: [Sample(tied(rng, 3, 5), 1), Sample(tied(rng, 3, 5), ())],
        order=0,
        note="ties: compared with torch only",
    ),
    Op(
        name="aminmax",
        samples=lambda rng: [Sample(distinct(rng, 3, 5)), Sample(distinct(rng, 3, 5), dim=1, keepdim=True)],
        reference=lambda x, dim=None, keepdim=False: (x.min(axis=dim, keepdims=keepdim), x.max(axis=dim, keepdims=keepdim)),
    ),
    Op(
        name="max",
        samples=lambda rng: [
            Sample(distinct(rng, 3, 5)),
            Sample(distinct(rng, 3, 5), 1),
            Sample(distinct(rng, 3, 4), dim=0, keepdim=True),
            Sample(distinct(rng)),
            Sample(distinct(rng), 0),
            Sample(normal(rng, 3, 5), normal(rng, 3, 5)),
        ],
        errors=[*OUT_OF_RANGE, *EMPTY, Error(Sample(np.ones((2, 3)), 1.5), TypeError)],
    ),
    Op(
        name="min",
        samples=lambda rng: [
            Sample(distinct(rng, 3, 5)),
            Sample(distinct(rng, 2, 3, 5), 1),
            Sample(distinct(rng, 3, 4), -1, True),
            Sample(normal(rng, 3, 5), normal(rng, 5)),
        ],
        errors=[*OUT_OF_RANGE, *EMPTY],
    ),
    Op(
        name="argmax",
        samples=lambda rng: [
            Sample(distinct(rng, 3, 5)),
            Sample(distinct(rng, 3, 5), 1),
            Sample(distinct(rng, 2, 3, 4), 1, keepdim=True),
            Sample(distinct(rng)),
        ],
        order=0,
        errors=[*OUT_OF_RANGE, Error(Sample(np.ones((0, 3))), IndexError), Error(Sample(np.ones((0, 3)), 0), IndexError)],
    ),
    Op(
        name="argmin",
        samples=lambda rng: [Sample(distinct(rng, 3, 5)), Sample(distinct(rng, 3, 5), dim=0, keepdim=True)],
        order=0,
        errors=OUT_OF_RANGE,
    ),
    Op(
        name="sort",
        samples=lambda rng: [
            Sample(distinct(rng, 3, 5)),
            Sample(distinct(rng, 4, 3), 0, True),
            Sample(distinct(rng, 2, 3, 2), dim=1),
            Sample(distinct(rng)),
        ],
        errors=[Error(Sample(np.ones((2, 3)), 2), IndexError)],
    ),
    Op(
        name="argsort",
        samples=lambda rng: [Sample(distinct(rng, 3, 5)), Sample(distinct(rng, 4, 3), 0, True)],
        order=0,
    ),
    Op(
        name="topk",
        samples=lambda rng: [
            Sample(distinct(rng, 3, 5), 2),
            Sample(distinct(rng, 4, 3), 3, 0, False),
            Sample(distinct(rng, 3, 4), 0),
            Sample(distinct(rng), 1),
        ],
        errors=[Error(Sample(np.ones((2, 3)), 4), RuntimeError), Error(Sample(np.ones((2, 3)), -1), RuntimeError)],
    ),
    Op(
        name="kthvalue",
        samples=along_dim(distinct, 1),
        errors=[Error(Sample(np.ones((2, 3)), 4), RuntimeError), Error(Sample(np.ones((2, 3)), 0), RuntimeError)],
    ),
    Op(
        name="median",
        samples=lambda rng: [Sample(distinct(rng, 3, 4)), Sample(distinct(rng)), *along_dim(distinct)(rng)],
        errors=[*OUT_OF_RANGE, Error(Sample(np.ones((0, 3)), 0), IndexError)],
    ),
    Op(
        name="any",
        samples=lambda rng: [
            Sample(tied(rng, 3, 5)),
            Sample(tied(rng, 3, 5), 1),
            Sample(rng.random((2, 3, 4)) < 0.2, (0, 2), True),
            Sample(rng.integers(0, 2, (2, 3)).astype(np.uint8), 0),
        ],
        order=0,
    ),
    Op(
        name="all",
        samples=lambda rng: [
            Sample(tied(rng, 3, 5)),
            Sample(tied(rng, 3, 5), 1),
            Sample(rng.random((2, 3, 4)) < 0.8, (0, 2), True),
            Sample(rng.integers(0, 2, (2, 3)).astype(np.uint8), 0),
        ],
        order=0,
    ),
    Op(
        name="count_nonzero",
        samples=lambda rng: [Sample(tied(rng, 3, 5)), Sample(tied(rng, 3, 5), 1), Sample(tied(rng, 2, 3, 4), (0, 2))],
        order=0,
    ),
    Op(
        name="unique",
        samples=lambda rng: [
            Sample(rng.integers(0, 4, (3, 5))),
            Sample(rng.integers(0, 4, 9), return_inverse=True, return_counts=True),
            Sample(rng.integers(0, 2, (6, 2)), dim=0),
        ],
        order=0,
    ),
]
