"""Connectionist temporal classification: one node for a batch of sequences.

Forward and backward are fused kernels. A backward pass that is to be differentiated again (create_graph) computes the same in
elementary operations, a step at a time.

T steps, N sequences, C classes. `labels` is (N, 2 S + 1): the labels of each sequence, at most S, with a blank before, between
and after them. Source: Graves et al., "Connectionist temporal classification", 2006.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import ctc as kernels
from minigrad._ext.engine import Function, apply, from_array, is_grad_enabled, run_backward
from minigrad.ops.elementwise import clamp_min, exp, where
from minigrad.ops.index import gather, getitem
from minigrad.ops.reduce import logsumexp
from minigrad.ops.reduce import sum as sum_
from minigrad.ops.shape import cat, expand, narrow, stack, unbind

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

_IMPOSSIBLE = -1e30  # stands for log 0: finite, so that differences of two of them are 0 and not NaN


def _likelihoods(log_probs: Tensor, labels: np.ndarray, inputs: np.ndarray, lengths: np.ndarray, blank: int) -> Tensor:
    """log p(labels) of each sequence, (N,), in elementary operations, for the whole batch at once."""
    steps, batch, _ = log_probs._array.shape
    width, real = labels.shape[1], log_probs._array.dtype
    index = expand(from_array(labels[None]), steps, batch, width)
    emitted = clamp_min(gather(log_probs, 2, index), _IMPOSSIBLE)  # (T, N, 2 S + 1)
    first = np.full((batch, width), _IMPOSSIBLE, real)
    first[:, :1] = 0
    first[lengths > 0, 1:2] = 0
    may_skip = np.zeros((batch, width), bool)  # from s - 2 to s: over a blank, between two labels that differ
    may_skip[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])
    closed = from_array(np.where(may_skip, 0, _IMPOSSIBLE).astype(real))
    border = from_array(np.full((batch, 2), _IMPOSSIBLE, real))
    alpha = None
    alphas = []
    for part in unbind(emitted):
        if alpha is None:
            alpha = clamp_min(part + from_array(first), _IMPOSSIBLE)
        else:
            padded = cat([border, alpha], 1)
            ways = stack([alpha, narrow(padded, 1, 1, width), narrow(padded, 1, 0, width) + closed])
            alpha = clamp_min(part + logsumexp(ways, 0), _IMPOSSIBLE)
        alphas.append(alpha)
    start = np.where(lengths == 0, 0.0, _IMPOSSIBLE).astype(real)  # of a sequence without inputs
    table = stack([from_array(np.repeat(start[:, None], width, 1)), *alphas])
    rows = np.arange(batch)
    ends = [getitem(table, (from_array(inputs), from_array(rows), from_array(np.maximum(2 * lengths - k, 0)))) for k in (0, 1)]
    alone = from_array(np.where((lengths == 0) | (inputs == 0), _IMPOSSIBLE, 0).astype(real))  # the last label ends nothing
    return logsumexp(stack([ends[0], ends[1] + alone]), 0)


class CtcLossFunction(Function):
    """The gradient is that of the scores of which log_softmax made log_probs, as in PyTorch: g times (e^log_probs - the share
    of each class in the probability of all alignments), and 0 for a loss that is infinite."""

    def __init__(self, labels, inputs, lengths, blank):
        self.arguments = (labels, inputs, lengths, blank)

    def forward(self, log_probs):
        return kernels.losses(np.ascontiguousarray(log_probs), *self.arguments)

    def backward(self, g, log_probs):
        if not is_grad_enabled():
            return apply(CtcGradFunction(self.arguments), g, log_probs)
        view = expand(log_probs, *log_probs._array.shape)  # stands for log_probs: what these are made of is not asked for
        return run_backward([self.composed(view)], [g], True, True, [view], False)[0]

    def composed(self, log_probs):
        """forward in elementary operations."""
        _, inputs, _, _ = self.arguments
        losses = -_likelihoods(log_probs, *self.arguments)
        used = (np.arange(log_probs._array.shape[0])[:, None] < inputs).astype(log_probs._array.dtype)[:, :, None]
        total = sum_(exp(log_probs) * from_array(used), (0, 2))
        losses = losses + (total - total.detach())  # adds nothing but exp(log_probs) to the gradient
        return where(from_array(losses._array > -0.5 * _IMPOSSIBLE), float("inf"), losses)


class CtcGradFunction(Function):
    """The gradient, where it is not differentiated again."""

    def __init__(self, arguments):
        self.arguments = arguments

    def forward(self, g, log_probs):
        return kernels.gradient(np.ascontiguousarray(g), np.ascontiguousarray(log_probs), *self.arguments)


def ctc_losses(log_probs: Tensor, labels: np.ndarray, inputs: np.ndarray, lengths: np.ndarray, blank: int) -> Tensor:
    """-log p(labels) of each sequence, (N,), inf where it is impossible. log_probs: (T, N, C); inputs and lengths: (N,)."""
    return apply(CtcLossFunction(labels, inputs, lengths, blank), log_probs)
