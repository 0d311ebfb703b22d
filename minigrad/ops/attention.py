"""Attention as one node: the two products and the softmax between them, head by head. The kernels are in ext/attention.pyx."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import attention as kernels
from minigrad._ext.engine import Function, apply, from_array, is_grad_enabled
from minigrad._ext.memory import empty_array
from minigrad.ops.linalg import matmul
from minigrad.ops.loss import softmax
from minigrad.ops.reduce import sum
from minigrad.ops.shape import broadcast_shapes, expand, reshape, transpose
from minigrad.random import draw_keep_factor

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def _readable(x: np.ndarray) -> np.ndarray:
    """x, or a copy if its last axis is not contiguous or a stride no multiple of its items."""
    size = x.itemsize
    ok = x.flags.aligned and x.strides[-1] == size and not any(step % size for step in x.strides)
    return x if ok else np.ascontiguousarray(x)


def _like(x: np.ndarray, size: int) -> np.ndarray:
    """A new array (*x.shape[:-1], size) whose axes lie in memory in the order of x's: then no copy is needed to join the heads again."""
    order = sorted(range(3), key=lambda axis: -x.strides[axis])
    array = empty_array((*(x.shape[axis] for axis in order), size), x.dtype)
    return array.transpose(*(order.index(axis) for axis in range(3)), 3)


def causal_bias(rows: int, columns: int, dtype: np.dtype) -> Tensor:
    """0 where position i of the queries may look at position j <= i of the keys, -inf elsewhere: (L, S)."""
    return from_array(np.triu(np.full((rows, columns), -np.inf, dtype), 1))


def attention_weights(q: Tensor, k: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    """softmax(scale q k^T + bias): (..., L, E), (..., S, E), a bias that broadcasts to (..., L, S)."""
    scores = matmul(q * scale, transpose(k, -2, -1))  # (..., L, E) @ (..., E, S) -> (..., L, S)
    return softmax(scores if bias is None else scores + bias, -1)


class AttentionFunction(Function):
    """(f p v, p) with p = softmax(scale q k^T + bias): q (B, H, L, E), k (B, H, S, E), v (B, H, S, V), bias (B, H, L, S) or None ->
    (B, H, L, V), (B, H, L, S).

    gv = (f p)^T g; with d = f (g v^T) + g_p, the gradient for p: gbias = p (d - sum p d), gq = scale gbias k, gk = scale gbias^T q.

    f is an array (B, H, L, S) or None. The second output is there if `gives_weights`; p is computed anew where the gradient is to be
    differentiated.
    """

    label = "ScaledDotProductFlashAttentionForCpuBackward0"
    frees = ("weights",)

    def __init__(self, factor, scale, causal, gives_weights, keeps_weights):
        self.factor, self.scale, self.causal = factor, scale, causal
        self.gives_weights, self.keeps_weights = gives_weights, keeps_weights
        self.weights = None

    def forward(self, q, k, v, bias):
        q, k, v = (_readable(x) for x in (q, k, v))
        if bias is not None and (not bias.flags.aligned or any(step % bias.itemsize for step in bias.strides)):
            bias = np.ascontiguousarray(bias)
        out, weights = _like(q, v.shape[3]), None
        if self.gives_weights or self.keeps_weights:
            weights = empty_array((*q.shape[:3], k.shape[2]), q.dtype)
        kernels.forward(q, k, v, bias, self.factor, weights, out, self.scale, self.causal)
        if self.keeps_weights:
            self.weights = weights
        if not self.gives_weights:
            return (out,)
        return out, weights.copy() if self.keeps_weights else weights

    def backward(self, gs, q, k, v, bias):
        g, g_weights = gs if self.gives_weights else (*gs, None)
        if is_grad_enabled():
            return self.by_steps(g, g_weights, q, k, v, bias)
        found = iter(apply(_AttentionGradFunction(self), g, g_weights, q, k, v))
        return tuple(next(found) if need else None for need in self.needs_input_grad)

    def by_steps(self, g, g_weights, q, k, v, bias):
        """The gradients, differentiable."""
        of_q, of_k, of_v, of_bias = self.needs_input_grad
        if self.causal:
            bias = causal_bias(q._array.shape[2], k._array.shape[2], q._array.dtype)
        p = attention_weights(q, k, bias, self.scale)
        factor = None if self.factor is None else from_array(self.factor)
        gv = None
        if of_v and g is not None:
            gv = matmul(transpose(p if factor is None else p * factor, -2, -1), g)
        if not (of_q or of_k or of_bias):
            return None, None, gv, None
        d = g_weights
        if g is not None:
            d = matmul(g, transpose(v, -2, -1))
            d = d if factor is None else d * factor
            d = d if g_weights is None else d + g_weights
        g_scores = p * (d - sum(p * d, -1, True))
        s = g_scores * self.scale
        return (
            matmul(s, k) if of_q else None,
            matmul(transpose(s, -2, -1), q) if of_k else None,
            gv,
            g_scores if of_bias else None,
        )


class _AttentionGradFunction(Function):
    """The gradients of an AttentionFunction by its kernel. It runs outside the graph: see `by_steps` for what may be differentiated."""

    def __init__(self, node):
        self.node = node

    def forward(self, g, g_weights, q, k, v):
        node = self.node
        q, k, v = (_readable(x) for x in (q, k, v))
        g = np.zeros((*q.shape[:3], v.shape[3]), q.dtype) if g is None else _readable(g)
        g_weights = None if g_weights is None else np.ascontiguousarray(g_weights)
        gradients = [_like(x, x.shape[3]) for x in (q, k, v)]
        gradients.append(empty_array(node.weights.shape, q.dtype) if node.needs_input_grad[3] else None)
        kernels.backward(g, g_weights, q, k, v, node.factor, node.weights, *gradients, node.scale, node.causal)
        return tuple(gradient for gradient, need in zip(gradients, node.needs_input_grad, strict=True) if need)


def _lead_of(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> tuple[int, ...] | None:
    """The leading dimensions of the result where AttentionFunction may be used, else None."""
    if not (q.dtype is k.dtype is v.dtype and q.dtype.is_floating_point):
        return None
    if q._array.shape[-1] != k._array.shape[-1] or k._array.shape[-2] != v._array.shape[-2]:
        return None
    lead = broadcast_shapes(q._array.shape[:-2], k._array.shape[:-2], v._array.shape[:-2])
    scores = (*lead, q._array.shape[-2], k._array.shape[-2])
    if bias is not None and (bias.dtype is not q.dtype or broadcast_shapes(bias._array.shape, scores) != scores):
        return None
    # a thread takes whole heads: with few of them, products that are cut between threads are better
    return lead if math.prod(lead) >= 4 or math.prod(scores[-2:]) <= 4096 else None


def _four(x: Tensor, lead: tuple[int, ...], four: tuple[int, int]) -> Tensor:
    """x with its leading dimensions broadcast to `lead`, as two."""
    if x._array.shape[:-2] != lead:
        x = expand(x, *lead, *x._array.shape[-2:])
    return x if len(lead) == 2 else reshape(x, *four, *x._array.shape[-2:])


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    scale: float,
    causal: bool,
    dropout_p: float,
    gives_weights: bool,
) -> tuple[Tensor, ...] | None:
    """(dropout(p) v,) or (p v, p) with p = softmax(scale q k^T + bias); None where the steps are to be taken one by one.

    q (..., L, E), k (..., S, E), v (..., S, V), of 2 dimensions and more; a bias broadcasts to (..., L, S). 0 <= dropout_p < 1, and 0
    where the weights are given. Raises RuntimeError for leading dimensions that cannot be broadcast.
    """
    lead = _lead_of(q, k, v, bias)
    if lead is None:
        return None
    four = (math.prod(lead[:-1]), lead[-1] if lead else 1)
    rows, columns = q._array.shape[-2], k._array.shape[-2]
    wide = bias if bias is None else expand(bias, *lead, rows, columns)
    inputs = [None if x is None else _four(x, lead, four) for x in (q, k, v, wide)]
    factor = draw_keep_factor((*four, rows, columns), 1 - dropout_p, q.dtype.np) if dropout_p > 0 else None
    recorded = is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)
    found = apply(AttentionFunction(factor, scale, causal, gives_weights, recorded), *inputs)
    return found if len(lead) == 2 else tuple(reshape(x, *lead, *x._array.shape[-2:]) for x in found)
