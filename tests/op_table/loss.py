"""softmax and losses."""

import numpy as np
from scipy.special import log_softmax, softmax

from tests.op_table.row import Constant, Dtype, Error, Op, Sample


def _pairs(rng, **kwargs):
    """The three reductions on two arrays of a shape."""
    x, y = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    return [Sample(x, y, reduction=reduction, **kwargs) for reduction in ("mean", "sum", "none")]


def _reduced(loss, reduction="mean"):
    return loss if reduction == "none" else loss.sum() if reduction == "sum" else loss.mean()


def _signs(rng, *shape):
    return Constant(rng.choice([-1.0, 1.0], shape))


BAD_REDUCTION = Error(
    Sample(np.ones((2, 3)), np.ones((2, 3)), reduction="average"), ValueError, "not a valid value for reduction"
)


# softmax


def _softmax_samples(rng):
    x = rng.standard_normal((3, 4, 5))
    return [
        Sample(x, 0),
        Sample(x, dim=1),
        Sample(x, -1),
        Sample(rng.standard_normal((2, 40)) * 10, 1),
        Sample(x[0, 0], 0),
        Sample(rng.standard_normal(()), 0),
        Sample(np.arange(4), 0, dtype=Dtype("float64")),
    ]


SOFTMAX_ERRORS = [
    Error(Sample(np.ones((2, 3)), 2), IndexError, "Dimension out of range"),
    Error(Sample(np.ones((2, 3), np.int64), 1), NotImplementedError),
    Error(Sample(np.ones((2, 3)), 1.0), TypeError, "must be int"),
]


# Class indices


def _cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    axis = 0 if x.ndim == 1 else 1
    C = x.shape[axis]
    logp = log_softmax(x, axis)
    w = np.ones(C) if weight is None else weight
    w = w.reshape((1,) * axis + (C,) + (1,) * (x.ndim - axis - 1))
    if target.shape == x.shape:
        loss = -(logp * w * (target * (1 - label_smoothing) + label_smoothing / C)).sum(axis)
        return loss.sum() / (x.size / C) if reduction == "mean" else _reduced(loss, reduction)
    t = np.expand_dims(target, axis)
    hot = t == np.arange(C).reshape(w.shape)
    loss = -((hot * (1 - label_smoothing) + label_smoothing / C) * w * logp * (t != ignore_index)).sum(axis)
    return loss.sum() / (hot * w * (t != ignore_index)).sum() if reduction == "mean" else _reduced(loss, reduction)


def _cross_entropy_samples(rng):
    x, x4 = rng.standard_normal((5, 3)), rng.standard_normal((2, 3, 2, 4))
    t, t4 = np.array([0, 2, -100, 1, 2]), rng.integers(0, 3, (2, 2, 4))
    weight, probabilities = Constant(rng.uniform(0.5, 2, 3)), rng.uniform(0.1, 1, (5, 3))
    t4[0, 1] = 1
    return [
        Sample(x, t),
        Sample(x, t, weight, reduction="sum", label_smoothing=0.2),
        Sample(x, t, weight, reduction="none", label_smoothing=0.2),
        Sample(x4, t4, weight, ignore_index=1),
        Sample(x4, t4, reduction="none"),
        Sample(x4, t4, weight, label_smoothing=0.3),
        Sample(x[0], np.array(2), weight),
        Sample(rng.standard_normal((2, 40)), np.array([39, 4])),
        Sample(x, probabilities, weight, label_smoothing=0.1),
        Sample(x4, rng.uniform(0.1, 1, x4.shape), reduction="none"),
    ]


def _class_errors(rng):
    x, t = rng.standard_normal((4, 3)), np.array([0, 1, 2, 1])
    return [
        Error(
            Sample(x, np.array([0, 1, 2, 1, 0])),
            ValueError,
            r"Expected input batch_size \(4\) to match target batch_size \(5\)\.",
        ),
        Error(Sample(x, np.array([0, 1, 2, 3])), IndexError, r"Target 3 is out of bounds\."),
        Error(Sample(x, np.array([0, 1, -1, 2])), IndexError, r"Target -1 is out of bounds\."),
        Error(Sample(x, t.astype(np.int32)), RuntimeError, "expected target dtype to be Long or Byte, but got Int"),
        Error(Sample(x, Constant(t.astype(float))), RuntimeError, "expected target dtype to be Long or Byte"),
        Error(Sample(x, t, Constant(np.ones(4))), RuntimeError, "weight tensor should be defined either for all 3 classes"),
        Error(Sample(x, t[:, None]), RuntimeError, "0D or 1D target tensor expected, multi-target not supported"),
        Error(
            Sample(np.ones((4, 3, 5)), np.zeros((4, 6), np.int64)), RuntimeError, r"Expected target size \[4, 5\], got \[4, 6\]"
        ),
        Error(Sample(np.ones((4, 3), np.int64), t), NotImplementedError),
        Error(Sample(x, t, reduction="average"), ValueError, "not a valid value for reduction"),
    ]


def _cross_entropy_errors(rng):
    x, t = rng.standard_normal((4, 3)), np.array([0, 1, 2, 1])
    return [
        *_class_errors(rng),
        Error(Sample(x, t, label_smoothing=1.5), RuntimeError, "label_smoothing must be between 0.0 and 1.0"),
        Error(Sample(x, x, ignore_index=1), RuntimeError, "ignore_index is not supported for floating point target"),
        Error(Sample(x, [0, 1, 2, 1]), TypeError, "must be Tensor, not list"),
    ]


def _nll(x, target, weight=None, ignore_index=-100, reduction="mean"):
    axis = 0 if x.ndim == 1 else 1
    C, t = x.shape[axis], np.expand_dims(target, axis)
    shape = (1,) * axis + (C,) + (1,) * (x.ndim - axis - 1)
    hot = (t == np.arange(C).reshape(shape)) * (1 if weight is None else weight.reshape(shape)) * (t != ignore_index)
    loss = -(hot * x).sum(axis)
    return loss.sum() / hot.sum() if reduction == "mean" else _reduced(loss, reduction)


def _nll_samples(rng):
    x, x4 = rng.standard_normal((5, 3)), rng.standard_normal((2, 3, 2, 4))
    t, t4, weight = np.array([0, 2, -100, 1, 2]), rng.integers(0, 3, (2, 2, 4)), Constant(rng.uniform(0.5, 2, 3))
    t4[0, 1] = 1
    return [
        Sample(x, t),
        Sample(x, t, weight, reduction="sum"),
        Sample(x, t, weight, reduction="none"),
        Sample(x4, t4, weight, ignore_index=1),
        Sample(x[0], np.array(2), weight),
        Sample(rng.standard_normal((2, 4, 3)), np.array([[0, 1, 3], [2, 2, 1]])),
    ]


# Regression


def _mse_samples(rng):
    x, y = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    weight = rng.uniform(0.5, 2, (3, 5))
    return [
        *_pairs(rng),
        Sample(x, y, weight=weight),
        Sample(x, y, weight=weight, reduction="none"),
        Sample(np.array(0.3), np.array(-0.4)),
    ]


def _smooth_l1(x, y, reduction="mean", beta=1.0):
    d = np.abs(x - y)
    return _reduced(d if beta == 0 else np.where(d < beta, d**2 / (2 * beta), d - beta / 2), reduction)


def _huber(x, y, reduction="mean", delta=1.0, weight=1.0):
    d = np.abs(x - y)
    return _reduced(np.where(d <= delta, d**2 / 2, delta * (d - delta / 2)) * weight, reduction)


# Binary


def _bce_samples(rng):
    x, y = rng.uniform(0.05, 0.95, (3, 4)), rng.uniform(0.05, 0.95, (3, 4))
    weight = Constant(rng.uniform(0.5, 2, 4))
    return [
        Sample(x, y),
        Sample(x, y, weight, reduction="sum"),
        Sample(x, y, reduction="none"),
        Sample(x, Constant((y > 0.5).astype(float)), weight),
    ]


def _bce(x, y, weight=1.0, reduction="mean"):
    return _reduced(-(y * np.log(x) + (1 - y) * np.log(1 - x)) * weight, reduction)


def _bce_errors(rng):
    x = rng.uniform(0.1, 0.9, (4, 3))
    return [
        BAD_REDUCTION,
        Error(Sample(x + 1, x), RuntimeError, "all elements of input should be between 0 and 1"),
        Error(Sample(x, x[0]), ValueError, "is different to the input size"),
        Error(Sample(x, np.ones((4, 3), np.int64)), RuntimeError, "Found dtype Long"),
    ]


def _bce_logits_samples(rng):
    x, y = rng.standard_normal((3, 4)) * 3, rng.uniform(0.05, 0.95, (3, 4))
    weight, pos_weight = Constant(rng.uniform(0.5, 2, 4)), Constant(rng.uniform(0.5, 2, 4))
    return [
        Sample(x, y),
        Sample(x, y, weight, reduction="sum"),
        Sample(x, y, weight, pos_weight=pos_weight, reduction="none"),
        Sample(x * 100, Constant(np.round(y)), pos_weight=pos_weight),
    ]


def _bce_logits(x, y, weight=1.0, reduction="mean", pos_weight=1.0):
    return _reduced((pos_weight * y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)) * weight, reduction)


def _multilabel_soft_margin_samples(rng):
    x, y = rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))
    return [Sample(x, y), Sample(x, y, Constant(rng.uniform(0.5, 2, 4)), reduction="none"), Sample(x[0], y[0], reduction="sum")]


# Margins


def _multi_margin_samples(rng):
    x, t = rng.standard_normal((4, 3)) * 2, np.array([0, 2, 1, 2])
    return [
        Sample(x, t),
        Sample(x, t, p=2, margin=0.7, weight=Constant(rng.uniform(0.5, 2, 3)), reduction="sum"),
        Sample(x, t, reduction="none"),
        Sample(x[0], np.array(1)),
    ]


def _multi_margin_errors(rng):
    x, t = rng.standard_normal((4, 3)), np.array([0, 2, 1, 2])
    return [
        Error(Sample(x, t + 1), RuntimeError, "target out of range"),
        Error(Sample(x, t, p=3), ValueError, "only p == 1 and p == 2 supported"),
        Error(Sample(x, t[:2]), RuntimeError, "should be 1-D with size equal"),
        Error(Sample(x, t, weight=Constant(np.ones(2))), RuntimeError, "inconsistent weight size, expected 3 but got"),
        Error(Sample(x, t.astype(np.int32)), RuntimeError, "expected scalar type Long but found Int"),
    ]


def _multilabel_margin_samples(rng):
    x, t = rng.standard_normal((3, 4)) * 2, np.array([[0, 3, -1, 2], [-1, 0, 1, 2], [2, 1, 0, 3]])
    return [Sample(x, t), Sample(x, t, reduction="none"), Sample(x[0], t[0], reduction="sum")]


MULTILABEL_MARGIN_ERRORS = [
    Error(Sample(np.ones((2, 3)), np.array([[0, 5, 2]] * 2)), RuntimeError, "is out of range"),
    Error(Sample(np.ones((2, 3)), np.array([[0, -1]] * 2)), RuntimeError, "inconsistent target size"),
]


def _margin_ranking_samples(rng):
    x, y, t = rng.standard_normal(6), rng.standard_normal(6), _signs(rng, 6)
    return [Sample(x, y, t, margin=0.5), Sample(x, y, t, 0.3, reduction="sum"), Sample(x, y, t, reduction="none")]


def _hinge_samples(rng):
    x, t = rng.standard_normal((3, 4)), _signs(rng, 3, 4)
    return [Sample(x, t), Sample(x, t, 0.3, reduction="sum"), Sample(x, t, margin=2.0, reduction="none")]


def _cosine_samples(rng):
    x, y, t = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), np.array([1, -1, -1, 1])
    return [
        Sample(x, y, t),
        Sample(x, y, t, margin=-0.6, reduction="none"),
        Sample(x, y, t, -0.9, reduction="sum"),
        Sample(x[0], y[0], np.array(-1), margin=-0.9),
    ]


def _triplet_samples(rng):
    a, p, n = (rng.standard_normal((4, 3)) for _ in range(3))
    return [
        Sample(a, p, n),
        Sample(a, p, n, 2.0, 1, reduction="none"),
        Sample(a, p, n, margin=3.0, p=3, swap=True, reduction="sum", eps=0.01),
        Sample(a[0], p[0], n[0], margin=5.0),
    ]


def _triplet_errors(rng):
    x = rng.standard_normal((4, 3))
    return [
        Error(Sample(x, x, x[0]), RuntimeError, "the same number of dimensions"),
        Error(Sample(x, x, x, margin=-1), ValueError, "margin must be greater than 0"),
        Error(Sample(x, x, x, reduction="average"), ValueError, "not a valid value for reduction"),
    ]


# Distributions


def _kl_samples(rng):
    logp, q = log_softmax(rng.standard_normal((3, 4)), 1), softmax(rng.standard_normal((3, 4)), 1)
    return [
        Sample(logp, q, reduction="batchmean"),
        Sample(logp, q, reduction="sum"),
        Sample(logp, q, reduction="none"),
        Sample(logp, np.log(q), reduction="batchmean", log_target=True),
    ]


def _gaussian_samples(rng):
    x, y, var = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.uniform(0.2, 2, (3, 4))
    return [
        Sample(x, y, var),
        Sample(x, y, var, full=True, reduction="sum"),
        Sample(x, y, var[:, :1], reduction="none"),
        Sample(x, y, var[:, 0]),
        Sample(x, y, 0.7),
    ]


def _gaussian_errors(rng):
    x = rng.uniform(0.5, 1, (4, 3))
    return [
        Error(Sample(x, x, -x), ValueError, "var has negative entry"),
        Error(Sample(x, x, -1.0), ValueError, "var has negative entry"),
        Error(Sample(x, x, x[:, :2]), ValueError, "var is of incorrect size"),
        Error(Sample(x, x, x, reduction="average"), ValueError, "is not valid"),
    ]


def _poisson_samples(rng):
    x, y = rng.uniform(0.2, 2, (3, 4)), rng.uniform(0.2, 4, (3, 4))
    return [
        Sample(x, y),
        Sample(x, y, log_input=False, reduction="sum"),
        Sample(x, y, full=True, reduction="none"),
        Sample(x, y, False, True, eps=0.01),
    ]


ROWS: list[Op] = [
    Op("nn.functional.softmax", _softmax_samples, lambda x, dim, dtype=None: softmax(x, dim), errors=SOFTMAX_ERRORS),
    Op("nn.functional.log_softmax", _softmax_samples, lambda x, dim, dtype=None: log_softmax(x, dim), errors=SOFTMAX_ERRORS),
    Op("softmax", lambda rng: _softmax_samples(rng)[1:2], lambda x, dim: softmax(x, dim)),
    Op("log_softmax", lambda rng: _softmax_samples(rng)[1:2], lambda x, dim: log_softmax(x, dim)),
    Op("nn.functional.softmin", lambda rng: _softmax_samples(rng)[:4], lambda x, dim: softmax(-x, dim)),
    Op("nn.functional.cross_entropy", _cross_entropy_samples, _cross_entropy, errors=_cross_entropy_errors),
    Op("nn.functional.nll_loss", _nll_samples, _nll, errors=_class_errors),
    Op("nn.functional.mse_loss", _mse_samples, errors=[BAD_REDUCTION]),
    Op("nn.functional.l1_loss", _mse_samples, errors=[BAD_REDUCTION]),
    Op(
        "nn.functional.smooth_l1_loss",
        lambda rng: [*_pairs(rng), *_pairs(rng, beta=0.3), *_pairs(rng, beta=0.0)[:1]],
        _smooth_l1,
        errors=[BAD_REDUCTION, Error(Sample(np.ones(2), np.ones(2), beta=-1.0), RuntimeError, "negative values for beta")],
    ),
    Op(
        "nn.functional.huber_loss",
        lambda rng: [*_pairs(rng), *_pairs(rng, delta=0.4), *_pairs(rng, weight=rng.uniform(0.5, 2, (3, 5)))],
        _huber,
        errors=[BAD_REDUCTION, Error(Sample(np.ones(2), np.ones(2), delta=0.0), RuntimeError, "non-positive values for delta")],
    ),
    Op("nn.functional.binary_cross_entropy", _bce_samples, _bce, errors=_bce_errors),
    Op(
        "nn.functional.binary_cross_entropy_with_logits",
        _bce_logits_samples,
        _bce_logits,
        errors=[BAD_REDUCTION, Error(Sample(np.ones((4, 3)), np.ones(3)), ValueError, "must be the same as input size")],
    ),
    Op(
        "nn.functional.soft_margin_loss",
        lambda rng: [Sample(s.args[0], _signs(rng, 3, 5), **s.kwargs) for s in _pairs(rng)],
        lambda x, t, reduction="mean": _reduced(np.logaddexp(0, -x * t), reduction),
        errors=[BAD_REDUCTION],
    ),
    Op("nn.functional.multilabel_soft_margin_loss", _multilabel_soft_margin_samples),
    Op("nn.functional.multi_margin_loss", _multi_margin_samples, errors=_multi_margin_errors),
    Op("nn.functional.multilabel_margin_loss", _multilabel_margin_samples, errors=MULTILABEL_MARGIN_ERRORS),
    Op("nn.functional.kl_div", _kl_samples, errors=[BAD_REDUCTION]),
    Op("nn.functional.gaussian_nll_loss", _gaussian_samples, errors=_gaussian_errors),
    Op("nn.functional.poisson_nll_loss", _poisson_samples, errors=[BAD_REDUCTION]),
    Op(
        "nn.functional.margin_ranking_loss",
        _margin_ranking_samples,
        errors=[Error(Sample(np.ones((2, 3)), np.ones((2, 3)), np.ones(2)), RuntimeError, "same dimension")],
    ),
    Op("nn.functional.hinge_embedding_loss", _hinge_samples, errors=[BAD_REDUCTION]),
    Op(
        "nn.functional.cosine_embedding_loss",
        _cosine_samples,
        errors=[Error(Sample(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 1))), RuntimeError, "multi-target not supported")],
    ),
    Op("nn.functional.triplet_margin_loss", _triplet_samples, errors=_triplet_errors),
    Op(
        "nn.functional.triplet_margin_with_distance_loss",
        lambda rng: [
            Sample(*s.args[:3], margin=3.0, swap=swap, distance_function=f)
            for s, swap, f in zip(_triplet_samples(rng), (False, True), (None, lambda x, y: ((x - y) ** 2).sum(-1)))
        ],
    ),
]
