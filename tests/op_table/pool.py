"""Pooling and unpooling."""

import numpy as np

from tests.op_table.row import Constant, Error, Op, Sample


def distinct(rng, *shape):
    """Values no two of which are near each other: maxima have one place, and gradcheck's steps do not move it."""
    return (rng.permutation(np.prod(shape, dtype=int)).reshape(shape) - np.prod(shape, dtype=int) // 2) * 0.1 + 0.03


INPUTS = {1: (2, 3, 9), 2: (2, 2, 5, 7), 3: (1, 2, 4, 5, 3)}


def per_axis(n, *values):
    return values[-n:]


def max_pool_samples(n):
    def samples(rng):
        shape = INPUTS[n]
        return [
            Sample(distinct(rng, *shape), 2),
            Sample(distinct(rng, *shape[1:]), 3, stride=2, padding=1),
            Sample(distinct(rng, *shape), per_axis(n, 2, 3, 2), per_axis(n, 1, 2, 3), per_axis(n, 1, 0, 1), ceil_mode=True),
            Sample(distinct(rng, *shape), 2, 1, 1, per_axis(n, 1, 2, 2)),
            Sample(distinct(rng, *shape), [2] * n, [], return_indices=True),
            Sample(Constant(np.zeros((0, *shape[1:]))), 2),
        ]

    return samples


def window_errors(n, function, extra=()):
    def errors(rng):
        x = distinct(rng, *INPUTS[n])
        return [
            Error(Sample(x, 0), RuntimeError),
            Error(Sample(x, 2, 0), RuntimeError),
            Error(Sample(x, 2, -1), RuntimeError),
            Error(Sample(x, 2, 2, -1), RuntimeError),
            Error(Sample(x, 2, 2, 2), RuntimeError, "half"),
            Error(Sample(x, 30), RuntimeError),
            Error(Sample(x, (2, 2, 2, 2)), RuntimeError),
            Error(Sample(x, 2.0), TypeError),
            Error(Sample(x, None), TypeError),
            Error(Sample(x[None, None], 2), RuntimeError),
            Error(Sample(x[:, :0], 2), RuntimeError, "empty"),
            Error(Sample(x, 2, ceil_mode=1), TypeError),
            Error(Sample(np.ones(INPUTS[n], bool), 1), NotImplementedError),
            *extra,
        ]

    return errors


def max_pool_row(n, name):
    return Op(
        name=f"nn.functional.{name}",
        samples=max_pool_samples(n),
        errors=window_errors(
            n,
            name,
            [
                Error(Sample(np.ones(INPUTS[n]), 2, 2, 0, 0), RuntimeError, "dilation"),
                Error(Sample(np.ones(INPUTS[n]), 2, 2, 0, 40), RuntimeError, "too small"),
            ],
        ),
        note="max_pool1d takes integers, as max_pool2d and max_pool3d do." if n == 1 else "",
    )


def avg_pool_row(n):
    def samples(rng):
        shape = INPUTS[n]
        found = [
            Sample(rng.standard_normal(shape), 2),
            Sample(rng.standard_normal(shape[1:]), 3, stride=2, padding=1),
            Sample(rng.standard_normal(shape), per_axis(n, 2, 3, 2), per_axis(n, 1, 2, 3), per_axis(n, 1, 0, 1), True, False),
            Sample(rng.standard_normal(shape), 3, 2, 1, ceil_mode=True),
            Sample(rng.standard_normal(shape), 2, []),
            Sample(Constant(np.zeros((0, *shape[1:]))), 2),
            Sample(rng.integers(-9, 9, shape), 3, 1, 1),
        ]
        if n > 1:
            found.append(Sample(rng.standard_normal(shape), [2] * n, 1, divisor_override=-5))
        return found

    x = np.ones(INPUTS[n])
    extra = (
        []
        if n == 1
        else [
            Error(Sample(x, 2, divisor_override=0), RuntimeError, "zero"),
            Error(Sample(x, 2, divisor_override=2.5), TypeError),
        ]
    )
    return Op(
        name=f"nn.functional.avg_pool{n}d",
        samples=samples,
        errors=window_errors(n, f"avg_pool{n}d", [Error(Sample(np.ones(INPUTS[n], np.int32), 2), NotImplementedError), *extra]),
    )


def lp_pool_row(n):
    def samples(rng):
        shape = INPUTS[n]
        positive = rng.uniform(0.5, 2, shape)
        return [
            Sample(positive, 2, 2),
            Sample(positive[0], 3.5, 3, 2, ceil_mode=True),
            Sample(rng.standard_normal(shape), 2, per_axis(n, 2, 3, 2) if n > 1 else 3, 1),
            Sample(distinct(rng, *shape) + 0.001, float("inf"), 2),
        ]

    return Op(
        name=f"nn.functional.lp_pool{n}d",
        samples=samples,
        errors=[Error(Sample(np.ones(INPUTS[n]), "2", 2), TypeError), Error(Sample(np.ones(INPUTS[n]), 2, 30), RuntimeError)],
        atol={"float64": 1e-12},
    )


def adaptive_row(n, kind):
    make = distinct if kind == "max" else (lambda rng, *shape: rng.standard_normal(shape))

    def samples(rng):
        shape = INPUTS[n]
        found = [
            Sample(make(rng, *shape), 2),
            Sample(make(rng, *shape[1:]), per_axis(n, 3, 4, 3)),
            Sample(make(rng, *shape), [1] * n),
            Sample(make(rng, *shape), per_axis(n, 5, 6, 11)),
            Sample(Constant(np.zeros((0, *shape[1:]))), 2),
            Sample(Constant(make(rng, *shape)), 0),
        ]
        if n > 1:
            found.append(Sample(make(rng, *shape), per_axis(n, 2, None, 3)))
        if kind == "max":
            found.append(Sample(make(rng, *shape), per_axis(n, 2, 3, 2), return_indices=True))
        return found

    x = np.ones(INPUTS[n])
    return Op(
        name=f"nn.functional.adaptive_{kind}_pool{n}d",
        samples=samples,
        errors=[
            Error(Sample(x, -1), RuntimeError),
            Error(Sample(x, (2,) * (n + 1)), RuntimeError),
            Error(Sample(x, (2,) * 6), RuntimeError if n == 1 else ValueError),
            Error(Sample(x, 2.0), TypeError),
            Error(Sample(x, None), TypeError),
            Error(Sample(x[None, None], 2), RuntimeError),
            Error(Sample(x[..., :0], 2), RuntimeError, "empty"),
            Error(Sample(np.ones(INPUTS[n], np.int64), 2), NotImplementedError),
        ],
    )


def with_indices_row(n, name, *args):
    return Op(
        name=f"nn.functional.{name}",
        samples=lambda rng: [Sample(distinct(rng, *INPUTS[n]), *args), Sample(distinct(rng, *INPUTS[n][1:]), 1)],
    )


def indices(rng, shape, count):
    """Distinct positions in each plane of `count` elements, int64."""
    planes = [rng.permutation(count)[: np.prod(shape[2:], dtype=int)] for _ in range(shape[0] * shape[1])]
    return np.array(planes).reshape(shape)


def max_unpool_row(n):
    shape = {1: (2, 3, 4), 2: (2, 2, 2, 3), 3: (1, 2, 2, 1, 2)}[n]
    doubled = [2 * size for size in shape[2:]]

    def samples(rng):
        x = rng.standard_normal(shape)
        larger = [size + 1 for size in doubled]
        return [
            Sample(x, indices(rng, shape, np.prod(doubled)), 2),
            Sample(x[0], indices(rng, shape, np.prod(doubled))[0], [2] * n, 2, 0),
            Sample(x, indices(rng, shape, np.prod(larger)), 2, output_size=larger),
            Sample(x, indices(rng, shape, np.prod(larger)), 2, 2, output_size=(*shape[:2], *larger)),
            Sample(Constant(np.zeros((0, *shape[1:]))), np.zeros((0, *shape[1:]), np.int64), 2),
        ]

    def errors(rng):
        x, at = rng.standard_normal(shape), indices(rng, shape, np.prod(doubled))
        return [
            Error(Sample(x, at, 2, output_size=[20] * n), ValueError, "must be between"),
            Error(Sample(x, at, 2, output_size=[4] * (n + 1)), ValueError, "elements"),
            Error(Sample(x, at + 1000, 2), RuntimeError, "invalid max index"),
            Error(Sample(x, at - 1000, 2), RuntimeError, "invalid max index"),
            Error(Sample(x, at.astype(np.int32), 2), RuntimeError, "int64"),
            Error(Sample(x, at[:, :1], 2), RuntimeError, "shape"),
            Error(Sample(x[None, None], at[None, None], 2), RuntimeError),
            Error(Sample(x, at, 2, 2, 9), ValueError, "non-negative"),
            Error(Sample(x, at, 2, 0), RuntimeError),
            Error(Sample(at, at, 2), NotImplementedError),
        ]

    return Op(
        name=f"nn.functional.max_unpool{n}d",
        samples=samples,
        errors=errors,
        note="Indices that repeat: the last value stays and each gets the element's gradient, as in PyTorch.",
    )


ROWS: list[Op] = [
    *(max_pool_row(n, f"max_pool{n}d") for n in (1, 2, 3)),
    *(with_indices_row(n, f"max_pool{n}d_with_indices", 2, 2) for n in (1, 2, 3)),
    *(max_unpool_row(n) for n in (1, 2, 3)),
    *(avg_pool_row(n) for n in (1, 2, 3)),
    *(lp_pool_row(n) for n in (1, 2, 3)),
    *(adaptive_row(n, kind) for kind in ("avg", "max") for n in (1, 2, 3)),
    *(with_indices_row(n, f"adaptive_max_pool{n}d_with_indices", 2) for n in (1, 2, 3)),
]
