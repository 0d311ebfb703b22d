"""Normalisations."""

import numpy as np

from tests.op_table.row import Buffer, Constant, Error, Op, Sample


def _normal(rng, *shapes):
    return [rng.standard_normal(shape) for shape in shapes]


def _affine(rng, *shape):
    return rng.uniform(0.5, 1.5, shape), rng.standard_normal(shape)


def _statistics(rng, channels):
    return rng.standard_normal(channels), rng.uniform(0.5, 2.0, channels)


def _reshape(vector, ndim):
    return 1 if vector is None else vector.reshape((1, -1) + (1,) * (ndim - 2))


def _batch_norm(x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    mean, var = (x.mean(axes), x.var(axes)) if training else (running_mean, running_var)
    out = (x - _reshape(mean, x.ndim)) / np.sqrt(_reshape(var, x.ndim) + eps) * _reshape(weight, x.ndim)
    return out if bias is None else out + _reshape(bias, x.ndim)


def _batch_norm_samples(rng):
    x2, x3, x4, x5 = _normal(rng, (5, 3), (2, 3, 4), (2, 2, 3, 5), (2, 2, 3, 1, 2))
    return [
        Sample(x2, None, None, training=True),
        Sample(x3, None, None, *_affine(rng, 3), training=True, eps=0.01),
        Sample(x4, *map(Buffer, _statistics(rng, 2)), *_affine(rng, 2), training=True, momentum=0.3),
        Sample(x5, *map(Buffer, _statistics(rng, 2)), weight=_affine(rng, 2)[0], training=True),
        Sample(rng.standard_normal((2, 2, 4, 5)), None, None, *_affine(rng, 2), True),
        Sample(x4, *map(Constant, _statistics(rng, 2)), *_affine(rng, 2)),
        Sample(x2, *map(Constant, _statistics(rng, 3)), bias=_affine(rng, 3)[1], eps=0.01),
    ]


def _batch_norm_errors(rng):
    x, one = rng.standard_normal((4, 3)), Constant(np.ones(3))
    return [
        Error(Sample(x[:1], None, None, training=True), ValueError, "Expected more than 1 value per channel when training"),
        Error(Sample(x, None, None), RuntimeError, "running_mean must be defined in evaluation mode"),
        Error(Sample(x, one, None), RuntimeError, "running_var must be defined"),
        Error(Sample(x, Constant(np.ones(2)), one), RuntimeError, "running_mean should contain 3 elements not 2"),
        Error(Sample(x, one, one, Constant(np.ones(4))), RuntimeError, "weight should contain 3 elements not 4"),
        Error(Sample(x, one, one, bias=Constant(np.ones(4))), RuntimeError, "bias should contain 3 elements not 4"),
        Error(Sample(np.ones((4, 3), np.int64), one, one), NotImplementedError),
        Error(Sample(x, one, one, eps=-1.0), ValueError, "eps must be non-negative"),
        Error(Sample(x, one, one, momentum=None), TypeError, "momentum"),
    ]


def _layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    axes = tuple(range(-len(normalized_shape), 0))
    out = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _layer_norm_samples(rng):
    x = rng.standard_normal((3, 4, 5))
    return [
        Sample(x, (5,)),
        Sample(x, (4, 5), *_affine(rng, 4, 5), eps=0.01),
        Sample(x, [5], *_affine(rng, 5)),
        Sample(x, (4, 5), weight=_affine(rng, 4, 5)[0]),
        Sample(x, (5,), bias=_affine(rng, 5)[1]),
        Sample(rng.standard_normal((2, 33)), (33,), *_affine(rng, 33)),
    ]


def _layer_norm_errors(rng):
    x = rng.standard_normal((4, 3))
    return [
        Error(Sample(x, 3), TypeError, "normalized_shape"),
        Error(Sample(x, (4,)), RuntimeError, r"Given normalized_shape=\[4\]"),
        Error(Sample(x, ()), RuntimeError, "at least 1-dimensional"),
        Error(Sample(x, (3,), Constant(np.ones(2))), RuntimeError, "Expected weight to be of same shape"),
        Error(Sample(x, (3,), None, Constant(np.ones(2))), RuntimeError, "Expected bias to be of same shape"),
        Error(Sample(np.ones((4, 3), np.int64), (3,)), NotImplementedError),
    ]


def _rms_norm_samples(rng):
    x = rng.standard_normal((3, 4, 5))
    return [Sample(x, (5,)), Sample(x, (4, 5), _affine(rng, 4, 5)[0], 0.01), Sample(x, (5,), _affine(rng, 5)[0], eps=0.1)]


def _rms_norm_errors(rng):
    x = rng.standard_normal((4, 3))
    return [
        Error(Sample(x, (4,)), RuntimeError, r"Given normalized_shape=\[4\]"),
        Error(Sample(x, (3,), Constant(np.ones(2))), RuntimeError, "Expected weight to be of same shape"),
        Error(Sample(np.ones((4, 3), np.int64), (3,)), NotImplementedError),
    ]


def _group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    rows = x.reshape(x.shape[0], num_groups, -1)
    rows = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + eps)
    out = rows.reshape(x.shape) * _reshape(weight, x.ndim)
    return out if bias is None else out + _reshape(bias, x.ndim)


def _group_norm_samples(rng):
    x = rng.standard_normal((2, 6, 3))
    return [
        Sample(x, 3),
        Sample(x, 2, *_affine(rng, 6), eps=0.01),
        Sample(rng.standard_normal((3, 10)), 2, *_affine(rng, 10)),
        Sample(rng.standard_normal((2, 2, 4, 5)), 1, *_affine(rng, 2)),
        Sample(rng.standard_normal((2, 4, 1, 3, 2)), 4, weight=_affine(rng, 4)[0]),
        Sample(rng.standard_normal((2, 4, 17)), 2, *_affine(rng, 4)),
    ]


def _group_norm_errors(rng):
    x = rng.standard_normal((2, 4, 3))
    return [
        Error(Sample(x, 3), RuntimeError, "divisible by num_groups"),
        Error(Sample(x, 0), ZeroDivisionError),
        Error(Sample(x, 2, Constant(np.ones(3))), RuntimeError, "Expected weight to be a vector"),
        Error(Sample(x[0, 0], 1), RuntimeError, "Expected at least 2 dimensions"),
        Error(Sample(x[:1, :, 0], 4), ValueError, "Expected more than 1 value per channel when training"),
        Error(Sample(np.ones((2, 4), np.int64), 2), NotImplementedError),
    ]


def _instance_norm(
    x, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, momentum=0.1, eps=1e-5
):
    if not use_input_stats:
        return _batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    return _group_norm(x, x.shape[1], weight, bias, eps)


def _instance_norm_samples(rng):
    x, y = rng.standard_normal((3, 2, 5)), rng.standard_normal((2, 2, 3, 6))
    return [
        Sample(x),
        Sample(x, weight=_affine(rng, 2)[0], bias=_affine(rng, 2)[1], eps=0.01),
        Sample(y, *map(Buffer, _statistics(rng, 2)), *_affine(rng, 2), momentum=0.3),
        Sample(y, *map(Constant, _statistics(rng, 2)), *_affine(rng, 2), use_input_stats=False),
    ]


def _instance_norm_errors(rng):
    x = rng.standard_normal((2, 3, 4))
    return [
        Error(Sample(x[:, :, :1]), ValueError, "Expected more than 1 spatial element when training"),
        Error(Sample(x[:, :, 0]), ValueError, "Expected more than 1 spatial element when training"),
        Error(Sample(x, use_input_stats=False), RuntimeError, "Expected running_mean and running_var to be defined"),
        Error(Sample(x, Constant(np.ones(2)), Constant(np.ones(2))), RuntimeError, "running_mean should contain"),
        Error(Sample(x, weight=Constant(np.ones(2))), RuntimeError, "weight should contain"),
    ]


def _local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    total = np.zeros_like(x)
    for c in range(x.shape[1]):
        total[:, c] = (x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1] ** 2).sum(1)
    return x / (k + alpha / size * total) ** beta


def _normalize_samples(rng):
    x = rng.standard_normal((3, 4))
    return [
        Sample(x),
        Sample(x, p=1, dim=0),
        Sample(x, 3.0, -1),
        Sample(x, dim=(0, 1), eps=0.1),
        Sample(x, eps=10.0),
        Sample(x, p=float("inf")),
    ]


ROWS: list[Op] = [
    Op("nn.functional.batch_norm", _batch_norm_samples, _batch_norm, errors=_batch_norm_errors),
    Op("nn.functional.layer_norm", _layer_norm_samples, _layer_norm, errors=_layer_norm_errors),
    Op("nn.functional.rms_norm", _rms_norm_samples, errors=_rms_norm_errors),
    Op("nn.functional.group_norm", _group_norm_samples, _group_norm, errors=_group_norm_errors),
    Op("nn.functional.instance_norm", _instance_norm_samples, _instance_norm, errors=_instance_norm_errors),
    Op(
        "nn.functional.local_response_norm",
        lambda rng: [
            Sample(rng.standard_normal((2, 5, 3)), 3, alpha=0.5),
            Sample(rng.standard_normal((2, 4, 3, 2)), 2, 0.3, 0.5, 2.0),
            Sample(rng.standard_normal((1, 3, 2)), 7, alpha=1.0, k=1.5),
        ],
        _local_response_norm,
        errors=[Error(Sample(np.ones((2, 3)), 2), ValueError, "Expected 3D or higher dimensionality")],
    ),
    Op(
        "nn.functional.normalize",
        _normalize_samples,
        errors=[
            Error(Sample(np.ones((2, 3)), dim=2), IndexError, "Dimension out of range"),
            Error(Sample(np.ones((2, 3), np.int64)), RuntimeError),
        ],
    ),
]
