"""Recurrent networks: the recurrence of a layer over rows of any number of sequences, and one step of each cell.

The inputs of all time steps are projected by one matrix product; a step then multiplies the state alone. Sequences come packed:
the rows of the first time step, those of the second, and so on, with the number of rows of each step, which never grows. A
padded batch is the case of equal numbers. G is the number of rows of a weight: 4 H for an LSTM, 3 H for a GRU, H otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from minigrad.nn.functional.activation import relu
from minigrad.nn.functional.dropout import dropout as drop
from minigrad.nn.functional.linear import linear
from minigrad.ops.elementwise import tanh
from minigrad.ops.recurrent import gru, gru_step, lstm, lstm_step
from minigrad.ops.shape import cat, narrow, split, stack, unbind

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

State = tuple["Tensor", ...]  # (h,), of an LSTM (h, c)


class Weights(NamedTuple):
    """The parameters of one direction of one layer: (G, I), (G, R), (G,), (G,) and, to project the output of an LSTM, (R, H)."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    hr: Tensor | None = None


class Cell(NamedTuple):
    """A kind of network: `project(rows, weights)` prepares all time steps, `step(part, state, weights)` does one of them.

    `project` returns tensors whose rows are those of the input; a part is a tuple of some rows of each. `sequence`, where there is one,
    does all steps of sequences of equal lengths at once: from the projected rows, the outputs of all steps and the last state.
    """

    project: Callable[[Tensor, Weights], tuple[Tensor, ...]]
    step: Callable[[tuple[Tensor, ...], State, Weights], State]
    sequence: Callable[[Tensor, State, Weights, bool], tuple[Tensor, State]] | None = None


def _project(rows: Tensor, weights: Weights) -> tuple[Tensor, ...]:
    both = None if weights.bias_ih is None or weights.bias_hh is None else weights.bias_ih + weights.bias_hh
    return (linear(rows, weights.ih, both),)  # (R, I) @ (I, G) -> (R, G)


def _tanh_step(part: tuple[Tensor, ...], state: State, weights: Weights) -> State:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh)"""
    return (tanh(part[0] + linear(state[0], weights.hh)),)


def _relu_step(part: tuple[Tensor, ...], state: State, weights: Weights) -> State:
    """h' = max(W_ih x + b_ih + W_hh h + b_hh, 0)"""
    return (relu(part[0] + linear(state[0], weights.hh)),)


def _lstm_step(part: tuple[Tensor, ...], state: State, weights: Weights) -> State:
    """As ops.recurrent.lstm_step; h' = W_hr h' where there is such a weight."""
    h, c = lstm_step(part[0], weights.hh, *state)
    return h if weights.hr is None else linear(h, weights.hr), c


def _lstm_sequence(x: Tensor, state: State, weights: Weights, reverse: bool) -> tuple[Tensor, State]:
    rows, h, c = lstm(x, weights.hh, state[0], state[1], reverse)
    return rows, (h, c)


def _project_gru(rows: Tensor, weights: Weights) -> tuple[Tensor, ...]:
    return (linear(rows, weights.ih, weights.bias_ih),)


def _gru_step(part: tuple[Tensor, ...], state: State, weights: Weights) -> State:
    return (gru_step(part[0], weights.hh, weights.bias_hh, state[0]),)


def _gru_sequence(x: Tensor, state: State, weights: Weights, reverse: bool) -> tuple[Tensor, State]:
    rows, last = gru(x, weights.hh, weights.bias_hh, state[0], reverse)
    return rows, (last,)


CELLS = {
    "RNN_TANH": Cell(_project, _tanh_step),
    "RNN_RELU": Cell(_project, _relu_step),
    "LSTM": Cell(_project, _lstm_step, _lstm_sequence),
    "GRU": Cell(_project_gru, _gru_step, _gru_sequence),
}


def _rows(state: State, start: int, stop: int) -> State:
    if start == 0 and stop == state[0]._array.shape[0]:
        return state
    return tuple(narrow(part, 0, start, stop - start) for part in state)


def _direction(
    cell: Cell, rows: Tensor, sizes: Sequence[int], first: State, weights: Weights, reverse: bool
) -> tuple[Tensor, State]:
    """The outputs (R, H) of one direction of one layer, and the last state of every sequence."""
    projected = cell.project(rows, weights)
    if cell.sequence is not None and weights.hr is None and sizes[0] == sizes[-1]:
        return cell.sequence(projected[0], first, weights, reverse)
    pieces = list(zip(*(split(part, sizes, 0) for part in projected), strict=True))
    steps = list(range(len(sizes)))
    if reverse:
        steps.reverse()
    outputs: list[Tensor] = [rows] * len(steps)
    finished: list[State] = []
    count = sizes[steps[0]]
    state = _rows(first, 0, count)
    for t in steps:
        if sizes[t] < count:  # forward: the shorter sequences, which come last, end here
            finished.append(_rows(state, sizes[t], count))
            state = _rows(state, 0, sizes[t])
        elif sizes[t] > count:  # backward: they begin here
            state = tuple(cat(pair) for pair in zip(state, _rows(first, count, sizes[t]), strict=True))
        count = sizes[t]
        state = cell.step(pieces[t], state, weights)
        outputs[t] = state[0]
    if finished:
        state = tuple(cat(parts) for parts in zip(state, *reversed(finished), strict=True))
    return cat(outputs), state


def recurrence(
    mode: str,
    rows: Tensor,
    sizes: Sequence[int],
    first: State,
    weights: Sequence[Weights],
    layers: int,
    dropout: float,
    training: bool,
) -> tuple[Tensor, State]:
    """A stack of recurrent layers.

    Args:
        mode: a key of CELLS.
        rows: (R, I), the rows of all time steps; sizes: how many each step has, not growing, their sum R.
        first: the states at the start, each (layers * directions, N, H) with N = sizes[0].
        weights: of layer 0 forward, layer 0 backward, layer 1 forward, ...; backward ones if the network has two directions.
        dropout: the probability of a zero in the output of all layers but the last, where training.

    Returns:
        (R, directions * H), the output of the last layer, and the states at the end, shaped as `first`.
    """
    directions = len(weights) // layers
    starts = list(zip(*(unbind(part) for part in first), strict=True))
    ends: list[State] = []
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            i = layer * directions + direction
            out, end = _direction(CELLS[mode], rows, sizes, starts[i], weights[i], direction == 1)
            outputs.append(out)
            ends.append(end)
        rows = outputs[0] if directions == 1 else cat(outputs, 1)
        if layer < layers - 1:
            rows = drop(rows, dropout, training)
    return rows, tuple(stack(parts) for parts in zip(*ends, strict=True))


def cell(mode: str, input: Tensor, state: State, weights: Weights) -> State:
    """One step of a cell: inputs (N, I) and states (N, H) -> states (N, H)."""
    kind = CELLS[mode]
    return kind.step(kind.project(input, weights), state, weights)
