"""The loss of connectionist temporal classification: sequences of labels without an alignment to the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import TensorBase, from_array
from minigrad.ops import ctc
from minigrad.ops.elementwise import where
from minigrad.ops.reduce import mean
from minigrad.ops.reduce import sum as sum_
from minigrad.ops.shape import squeeze, unsqueeze

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _lengths(value: Any) -> np.ndarray:
    array = value._array if isinstance(value, TensorBase) else np.asarray(value)
    if array.dtype.kind not in "iu":
        raise RuntimeError("ctc_loss: input_lengths and target_lengths must be integral")
    return array.astype(np.int64).reshape(-1)


def _check(shape: tuple[int, ...], inputs: np.ndarray, labels: np.ndarray, blank: int) -> None:
    steps, batch, classes = shape
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be in label range, but got {blank} with {classes} classes")
    for name, lengths in (("input_lengths", inputs), ("target_lengths", labels)):
        if lengths.size != batch:
            raise RuntimeError(f"ctc_loss: {name} must be of size batch_size: {batch}, but got {lengths.size}")
        if (lengths < 0).any():
            raise RuntimeError(f"ctc_loss: expected {name} to be non-negative, but got {lengths.min()}")
    if (inputs > steps).any():
        raise RuntimeError(f"ctc_loss: Expected input_lengths to have value at most {steps}, but got value {inputs.max()}")


def _with_blanks(targets: np.ndarray, lengths: np.ndarray, blank: int, classes: int) -> np.ndarray:
    """(N, 2 S + 1): the labels of each sequence with a blank before, between and after them."""
    longest = int(lengths.max(initial=0))
    extended = np.full((lengths.size, 2 * longest + 1), blank, np.int64)
    is_label = np.arange(longest) < lengths[:, None]  # (N, S)
    labels = _labels_in_order(targets, lengths, is_label)
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        n = int(np.nonzero(is_label)[0][(labels < 0) | (labels >= classes)][0])
        wrong = np.split(labels, np.cumsum(lengths))[n]
        raise RuntimeError(f"ctc_loss: labels must be in 0..{classes - 1}, but target {n} holds {wrong.tolist()}")
    extended[:, 1::2][is_label] = labels
    return extended


def _labels_in_order(targets: np.ndarray, lengths: np.ndarray, is_label: np.ndarray) -> np.ndarray:
    """The labels of all sequences, one after the other."""
    ends = np.cumsum(lengths) if targets.ndim == 1 else lengths
    missing = np.nonzero(ends > targets.shape[-1])[0]
    if missing.size:
        n = int(missing[0])
        held = max(0, targets.shape[-1] - int(ends[n] - lengths[n]))
        raise RuntimeError(f"ctc_loss: target {n} has {held} labels, but its length is {lengths[n]}")
    return targets[: lengths.sum()] if targets.ndim == 1 else targets[:, : is_label.shape[1]][is_label]


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of label sequences, summed over all their alignments with the inputs.

    Args:
        log_probs: (T, N, C) or (T, C), the output of log_softmax. Its gradient is, as in PyTorch, that of the scores before it.
        targets: labels, (N, S), or one after the other (sum of target_lengths,).
        input_lengths, target_lengths: (N,) integers, at most T and S.
        blank: the class of no label.
        reduction: "none", "sum" or "mean", which divides each loss by its target length before.
        zero_infinity: losses of targets too long for their inputs, else inf, are 0.

    Returns:
        (N,) for "none" ((), without a batch), else ().

    Raises:
        RuntimeError: lengths, labels or a blank out of range, or lengths that are no integers.
        ValueError: an unknown reduction.

    Source: Graves et al., "Connectionist temporal classification", 2006.
    """
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if log_probs.ndim not in (2, 3):
        raise RuntimeError(f"ctc_loss: log_probs must be (T, N, C) or (T, C), but its shape is {tuple(log_probs.shape)}")
    batched = log_probs.ndim == 3
    scores = log_probs if batched else unsqueeze(log_probs, 1)
    inputs, lengths = _lengths(input_lengths), _lengths(target_lengths)
    _check(scores._array.shape, inputs, lengths, blank)
    labels = targets._array
    extended = _with_blanks(
        labels if batched or labels.ndim == 1 else labels.reshape(-1), lengths, blank, scores._array.shape[2]
    )
    losses = ctc.ctc_losses(scores, extended, inputs, lengths, blank)
    if zero_infinity:
        losses = where(from_array(np.isposinf(losses._array)), 0.0, losses)
    if reduction == "mean":
        return mean(losses / from_array(np.maximum(lengths, 1).astype(losses._array.dtype)))
    if reduction == "sum":
        return sum_(losses)
    return losses if batched else squeeze(losses, 0)
