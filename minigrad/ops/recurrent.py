"""Recurrent networks over whole sequences: one node for all time steps of an LSTM or a GRU.

Forward and backward are a matrix product and a fused kernel a step (of an LSTM, all steps in one kernel whose threads take some of the
sequences each), and one product for the gradient of the weights. A backward pass
that is to be differentiated again (create_graph) computes the same from the steps, which are elementary operations.

H is the size of a state, N the number of sequences; the rows of the inputs are the N rows of the first time step, those of the second
and so on. In formulas s is the sigmoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigrad._ext import arrange, gemm
from minigrad._ext import recurrent as kernels
from minigrad._ext.engine import Function, apply, is_grad_enabled, run_backward
from minigrad._ext.memory import empty_array
from minigrad.ops.elementwise import sigmoid, tanh
from minigrad.ops.linalg import linear
from minigrad.ops.shape import cat, expand, narrow, split

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


def lstm_step(x: Tensor, weight: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """(i, f, g, o) = x + W h; c' = s(f) c + s(i) tanh(g); h' = s(o) tanh(c'): x (N, 4 H), W (4 H, R), h (N, R), c (N, H)."""
    size = c._array.shape[1]
    doors, g, o = split(x + linear(h, weight, None), [2 * size, size, size], 1)
    i, f = split(sigmoid(doors), size, 1)
    c = f * c + i * tanh(g)
    return sigmoid(o) * tanh(c), c


def gru_step(x: Tensor, weight: Tensor, bias: Tensor | None, h: Tensor) -> Tensor:
    """y = W h + b; r, z = s(x + y); n = tanh(x_n + r y_n); h' = n + z (h - n): x (N, 3 H), W (3 H, H), b (3 H,), h (N, H)."""
    size = h._array.shape[1]
    doors_x, new_x = split(x, [2 * size, size], 1)
    doors, new = split(linear(h, weight, bias), [2 * size, size], 1)
    r, z = split(sigmoid(doors_x + doors), size, 1)
    n = tanh(new_x + r * new)
    return n + z * (h - n)


def _steps(array: np.ndarray, rows: int, reverse: bool) -> list[np.ndarray]:
    """The blocks of `rows` rows, the last one first if `reverse`."""
    blocks = list(array.reshape(-1, rows, array.shape[1]))
    return blocks[::-1] if reverse else blocks


def _pieces(x: Tensor, rows: int, reverse: bool) -> list[Tensor]:
    pieces = list(split(x, rows, 0))
    return pieces[::-1] if reverse else pieces


class _SequenceFunction(Function):
    """What the nodes share. Outputs: the h of all steps (T N, H) and, of an LSTM, the last c.

    gates, hidden and cells are what the kernels computed; hidden and cells have the first state too, before the others or, if `reverse`,
    behind them.
    """

    frees = ("gates", "hidden", "cells")

    def __init__(self, reverse):
        self.reverse = reverse
        self.gates = self.hidden = self.cells = None

    def run_steps(self, *inputs):
        """forward in elementary operations."""
        raise NotImplementedError(f"{type(self).__name__} has no steps")

    def gradients(self, w, *gs):
        """The gradients for the inputs, as arrays: None or anything for one that is not needed."""
        raise NotImplementedError(f"{type(self).__name__} has no gradients")

    def run_rule_of(self, gs, w, inputs):
        """The gradients for the inputs: by the kernels, or differentiable ones."""
        if is_grad_enabled():
            return self.by_steps(gs, inputs)
        found = iter(apply(_SequenceGradFunction(self), w, *gs))
        return tuple(next(found) if need else None for need in self.needs_input_grad)

    def by_steps(self, gs, inputs):
        """The gradients for the inputs, differentiable in all of them and in gs."""
        # Views stand for the inputs: one input may be computed from another, and this is to find the direct ways alone.
        views = [expand(x, *x._array.shape) if wanted else x for x, wanted in zip(inputs, self.needs_input_grad, strict=True)]
        pairs = [(out, g) for out, g in zip(self.run_steps(*views), gs, strict=True) if g is not None]
        wanted = [view for view, need in zip(views, self.needs_input_grad, strict=True) if need]
        found = iter(run_backward([out for out, _ in pairs], [g for _, g in pairs], True, True, wanted, False))
        return tuple(next(found) if need else None for need in self.needs_input_grad)

    def states(self, first, count):
        """An array for the states of all steps with the first one in it, and its blocks in the order of the steps, the first at 0."""
        rows, size = first.shape
        array = empty_array(((count + 1) * rows, size), first.dtype)
        blocks = _steps(array, rows, self.reverse)
        blocks[0][...] = first
        return array, blocks

    def new_states(self, array, rows):
        """The states without the first one."""
        return array[:-rows] if self.reverse else array[rows:]

    def incoming(self, g, rows):
        """A buffer for the gradients of all states, in it those of the outputs; and its blocks in the order of the steps."""
        buffer = empty_array(self.hidden.shape, self.hidden.dtype)
        blocks = _steps(buffer, rows, self.reverse)
        blocks[0][...] = 0
        self.new_states(buffer, rows)[...] = 0 if g is None else g
        return buffer, blocks

    def old_states(self, array, rows):
        """The states without the last one: what each step began with."""
        return array[rows:] if self.reverse else array[:-rows]


class _SequenceGradFunction(Function):
    """The gradients of a node of this file by its kernels. It runs outside the graph: see `by_steps` for what may be differentiated."""

    def __init__(self, node):
        self.node = node

    def forward(self, w, *gs):
        found = zip(self.node.gradients(w, *gs), self.node.needs_input_grad, strict=True)
        return tuple(g for g, need in found if need)


class LstmFunction(_SequenceFunction):
    """x (T N, 4 H), w (4 H, H), h and c (N, H) -> (T N, H), and c (N, H) after the last step; see lstm_step."""

    def run_steps(self, x, w, h, c):
        outputs = []
        for piece in _pieces(x, h._array.shape[0], self.reverse):
            h, c = lstm_step(piece, w, h, c)
            outputs.append(h)
        return cat(outputs[::-1] if self.reverse else outputs), c

    def forward(self, x, w, h, c):
        rows = h.shape[0]
        self.gates = empty_array(x.shape, x.dtype)
        self.gates[...] = x
        count = len(x) // rows
        self.hidden, _ = self.states(h, count)
        self.cells, cells = self.states(c, count)
        kernels.lstm_forward(self.gates, arrange.copied(w.T), self.hidden, self.cells, self.reverse)
        return self.new_states(self.hidden, rows).copy(), cells[-1].copy()

    def backward(self, gs, x, w, h, c):
        return self.run_rule_of(gs, w, (x, w, h, c))

    def gradients(self, w, g_rows, g_last):
        w = np.ascontiguousarray(w)
        rows, size = len(self.hidden) - len(self.gates), w.shape[1]
        gx = empty_array(self.gates.shape, w.dtype)
        gh, blocks = self.incoming(g_rows, rows)
        gc = np.zeros((rows, size), w.dtype) if g_last is None else np.array(g_last, order="C")
        kernels.lstm_backward(gh, gc, self.gates, w, self.cells, gx, self.reverse)
        gw = gemm.matmul(gx.T, self.old_states(self.hidden, rows), None) if self.needs_input_grad[1] else None
        return gx, gw, blocks[0], gc


class GruFunction(_SequenceFunction):
    """x (T N, 3 H), w (3 H, H), b (3 H,) or None, h (N, H) -> (T N, H); see gru_step."""

    def run_steps(self, x, w, b, h):
        outputs = []
        for piece in _pieces(x, h._array.shape[0], self.reverse):
            h = gru_step(piece, w, b, h)
            outputs.append(h)
        return (cat(outputs[::-1] if self.reverse else outputs),)

    def forward(self, x, w, b, h):
        rows, size = h.shape
        x = np.ascontiguousarray(x)
        self.gates = empty_array((len(x), 4 * size), x.dtype)
        blocks, gates = (_steps(array, rows, self.reverse) for array in (x, self.gates))
        self.hidden, hidden = self.states(h, len(gates))
        across = arrange.copied(w.T)
        for t, gate in enumerate(gates):
            y = gemm.matmul(hidden[t], across, b)  # (N, H) @ (H, 3 H)
            kernels.gru_step(blocks[t], y, hidden[t], gate, hidden[t + 1])
        return self.new_states(self.hidden, rows).copy()

    def backward(self, g, x, w, b, h):
        return self.run_rule_of((g,), w, (x, w, b, h))

    def gradients(self, w, g_rows):
        w = np.ascontiguousarray(w)
        rows = len(self.hidden) - len(self.gates)
        gx, gy = (empty_array((len(self.gates), len(w)), w.dtype) for _ in range(2))
        gates, of_x, of_y, hidden = (_steps(array, rows, self.reverse) for array in (self.gates, gx, gy, self.hidden))
        _, gh = self.incoming(g_rows, rows)
        direct = empty_array(hidden[0].shape, w.dtype)
        for t in reversed(range(len(gates))):
            kernels.gru_step_backward(gh[t + 1], gates[t], hidden[t], of_x[t], of_y[t], direct)
            gh[t] += direct
            gemm.matmul_into(of_y[t], w, gh[t], True)  # (N, 3 H) @ (3 H, H)
        _, of_w, of_b, _ = self.needs_input_grad
        gw = gemm.matmul(gy.T, self.old_states(self.hidden, rows), None) if of_w else None
        return gx, gw, gy.sum(0) if of_b else None, gh[0]


def lstm(x: Tensor, weight: Tensor, h: Tensor, c: Tensor, reverse: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The h of all steps (T N, H), and the last h and c (N, H).

    x: W_ih x + b_ih + b_hh of all steps (T N, 4 H); weight: W_hh (4 H, H); h, c: the first states; reverse: the last step comes first.
    """
    rows, c = apply(LstmFunction(reverse), x, weight, h, c)
    return rows, _last(rows, h, reverse), c


def gru(x: Tensor, weight: Tensor, bias: Tensor | None, h: Tensor, reverse: bool) -> tuple[Tensor, Tensor]:
    """The h of all steps (T N, H), and the last h (N, H). x: W_ih x + b_ih of all steps (T N, 3 H); weight: W_hh (3 H, H)."""
    rows = apply(GruFunction(reverse), x, weight, bias, h)
    return rows, _last(rows, h, reverse)


def _last(rows: Tensor, h: Tensor, reverse: bool) -> Tensor:
    count = h._array.shape[0]
    return narrow(rows, 0, 0 if reverse else rows._array.shape[0] - count, count)
