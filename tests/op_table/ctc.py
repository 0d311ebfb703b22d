"""Connectionist temporal classification."""

import itertools

import numpy as np

from tests.op_table.row import Constant, Error, Op, Sample


def of_scores(lib):
    """ctc_loss after log_softmax, for which its gradient is made."""

    def function(scores, *args, **options):
        return lib.nn.functional.ctc_loss(lib.nn.functional.log_softmax(scores, -1), *args, **options)

    return function


def _probability(p, labels, blank):
    """The sum over every path of the product of its probabilities, for all paths that collapse to the labels."""
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=p.shape[0]):
        if [k for k, _ in itertools.groupby(path) if k != blank] == list(labels):
            total += np.prod([p[t, k] for t, k in enumerate(path)])
    return total


def _ctc(scores, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    scores = scores.astype(np.float64)
    batched = scores.ndim == 3
    scores = scores if batched else scores[:, None]
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    lengths = np.reshape(target_lengths, -1)
    losses, start = [], 0
    for n, (t, s) in enumerate(zip(np.reshape(input_lengths, -1), lengths)):
        labels = targets[n, :s] if targets.ndim == 2 else targets[start : start + s]
        start += s
        with np.errstate(divide="ignore"):
            loss = -np.log(_probability(p[:t, n], labels, blank))
        losses.append(0.0 if zero_infinity and np.isinf(loss) else loss)
    losses = np.array(losses)
    if reduction == "mean":
        return (losses / np.maximum(lengths, 1)).mean()
    return losses.sum() if reduction == "sum" else losses if batched else losses[0]


def _samples(rng):
    x, targets = rng.standard_normal((4, 3, 3)), np.array([[1, 2], [2, 2], [1, 1]])
    return [
        Sample(x, targets, np.array([4, 4, 3]), np.array([2, 2, 1])),
        Sample(x, targets, (4, 3, 4), (1, 2, 0), reduction="none"),
        Sample(x, np.array([1, 0, 0, 1, 0]), (4, 4, 4), (1, 2, 2), 2, "sum"),
        Sample(x, targets, (4, 2, 4), (2, 2, 2), zero_infinity=True),
        Sample(x[:, 0], np.array([1, 2]), np.array(4), np.array(2)),
    ]


def _errors(rng):
    x, targets = Constant(rng.standard_normal((4, 2, 3))), np.array([[1, 2], [2, 2]])
    return [
        Error(Sample(x, targets, (4, 5), (2, 2)), RuntimeError, "Expected input_lengths to have value at most 4"),
        Error(Sample(x, targets, (4,), (2, 2)), RuntimeError, "must be of size batch_size"),
        Error(Sample(x, targets, (4, 4), (2, 2), 3), RuntimeError, "blank must be in label range"),
        Error(Sample(x, targets, (4, -1), (2, 2)), RuntimeError, "non-negative"),
        Error(Sample(x, targets, (4, 4), (2, 2), reduction="average"), ValueError, "not a valid value for reduction"),
    ]


ROWS = [
    Op(
        name="nn.functional.ctc_loss",
        function=of_scores,
        samples=_samples,
        reference=_ctc,
        errors=_errors,
        rtol={"float32": 2e-5},
        gradient_rtol={"float32": 1e-4},
        note="labels out of range raise RuntimeError.",
    ),
]
