"""A softmax over very many classes, most of them rare."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigrad._ext.engine import from_array
from minigrad.nn import functional as F
from minigrad.nn.containers import ModuleList, Sequential
from minigrad.nn.linear import Linear
from minigrad.nn.module import Module
from minigrad.ops.elementwise import where
from minigrad.ops.index import gather, index_add, index_select
from minigrad.ops.reduce import argmax, mean
from minigrad.ops.shape import cat, narrow, squeeze, unsqueeze
from minigrad.tensor import Tensor


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """A softmax whose rare classes share one score each cluster, and are told apart within the cluster by a smaller map.

    Args:
        in_features, n_classes: I and C; classes are numbered by falling frequency.
        cutoffs: where the clusters begin: classes below cutoffs[0] have scores of their own in `head`, those from cutoffs[i] on
            are the cluster i, whose map `tail[i]` goes through I // div_value**(i + 1) features.
        div_value: see there.
        head_bias: whether the map of the head has a bias.

    Raises ValueError for cutoffs that are not rising integers in 1..n_classes - 1. Source: Grave et al., "Efficient softmax
    approximation for GPUs", 2016.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        starts = list(cutoffs)
        if not starts:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        if any(int(c) != c for c in starts) or any(a >= b for a, b in pairwise([0, *starts, n_classes])):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
                "between 1 and n_classes-1"
            )
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*starts, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = starts[0]
        self.n_clusters = len(starts)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, head_bias, device, dtype)
        self.tail = ModuleList()
        for i, (start, stop) in enumerate(pairwise(self.cutoffs)):
            inner = int(in_features // div_value ** (i + 1))
            first = Linear(in_features, inner, False, device, dtype)
            self.tail.append(Sequential(first, Linear(inner, stop - start, False, device, dtype)))

    def reset_parameters(self) -> None:
        """Draws new weights."""
        self.head.reset_parameters()
        for first, second in self.tail:  # type: ignore[attr-defined]
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        """(N, I) and classes (N,), or (I,) and () -> the log probability of each target, (N,) or (), and the mean of its negative.

        RuntimeError for shapes that do not go together, or a class that there is not.
        """
        if target_.ndim > 1:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        if input_.ndim != target_.ndim + 1:
            raise RuntimeError(
                f"{target_.ndim}D target tensor expects {target_.ndim + 1}D input tensors, but found inputs with size {input_.shape}"
            )
        batched = target_.ndim == 1
        if batched and input_.shape[0] != target_.shape[0]:
            raise RuntimeError("Input and target should have the same size in the batch dimension.")
        input = input_ if batched else unsqueeze(input_, 0)
        classes = target_._array.reshape(-1).astype(np.int64)
        if classes.size and not 0 <= classes.min() <= classes.max() < self.n_classes:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{classes.min()}, {classes.max()}] "
                "were found. "
            )
        cluster = np.searchsorted(self.cutoffs, classes, side="right") - 1  # -1: in the head
        column = np.where(cluster < 0, classes, self.shortlist_size + cluster)
        log_head = F.log_softmax(self.head(input), 1)
        output = squeeze(gather(log_head, 1, from_array(column[:, None])), 1)
        for i, tail in enumerate(self.tail):
            places = np.flatnonzero(cluster == i)
            if places.size:
                rows = from_array(places)
                inner = from_array((classes[places] - self.cutoffs[i])[:, None])
                log_inner = F.log_softmax(tail(index_select(input, 0, rows)), 1)
                output = index_add(output, 0, rows, squeeze(gather(log_inner, 1, inner), 1))
        return _ASMoutput(output if batched else squeeze(output, 0), mean(-output))

    def log_prob(self, input: Tensor) -> Tensor:
        """(N, I) -> the log probabilities of all classes, (N, C)."""
        log_head = F.log_softmax(self.head(input), 1)
        parts = [narrow(log_head, 1, 0, self.shortlist_size)]
        for i, tail in enumerate(self.tail):
            parts.append(F.log_softmax(tail(input), 1) + narrow(log_head, 1, self.shortlist_size + i, 1))
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """(N, I) -> a class each, (N,): the best of the head or, where that is a cluster, the best of all."""
        best = argmax(self.head(input), 1)
        return where(best < self.shortlist_size, best, argmax(self.log_prob(input), 1))
