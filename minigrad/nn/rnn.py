"""Recurrent layers: RNN, LSTM and GRU over whole sequences, and their cells for single steps."""

from __future__ import annotations

import math
import warnings
from numbers import Number
from typing import TYPE_CHECKING, Any, overload

from minigrad.creation import empty, zeros
from minigrad.nn import init
from minigrad.nn.functional import recurrent
from minigrad.nn.functional.recurrent import State, Weights
from minigrad.nn.module import Module
from minigrad.nn.parameter import Parameter
from minigrad.nn.utils.rnn import PackedSequence
from minigrad.ops.index import index_select
from minigrad.ops.shape import reshape, squeeze, transpose, unsqueeze
from minigrad.tensor import Tensor

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _check_sizes(
    input_size: Any, hidden_size: Any, num_layers: int, bias: Any, batch_first: Any, dropout: Any, proj_size: int
) -> None:
    if not isinstance(dropout, Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
    if dropout and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
            f"but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


class RNNBase(Module):
    """What RNN, LSTM and GRU share: the parameters and the way of the data.

    Layer k has weight_ih_l{k} (G, I), weight_hh_l{k} (G, R), bias_ih_l{k} and bias_hh_l{k} (G,), and with proj_size
    weight_hr_l{k} (R, H); the backward direction has the same with "_reverse" at the end. H is hidden_size, G is H times the
    number of gates, R is proj_size or else H, I is input_size in layer 0 and R times the number of directions above it. All
    start uniform in +-1/sqrt(H).

    Raises TypeError and ValueError for arguments of a wrong kind or out of range; warns of dropout with one layer.
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_sizes(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        gates, out = _GATES[mode] * hidden_size, proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (gates, input_size if layer == 0 else out * directions),
                "weight_hh": (gates, out),
                **({"bias_ih": (gates,), "bias_hh": (gates,)} if bias else {}),
                **({"weight_hr": (proj_size, hidden_size)} if proj_size else {}),
            }
            for suffix in ("", "_reverse")[:directions]:
                names = [f"{name}_l{layer}{suffix}" for name in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(*shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights and biases."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of every layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Does nothing: on the CPU there is nothing to gain from weights in one piece."""

    def _weights(self) -> list[Weights]:
        weights = []
        for values in self.all_weights:
            biases: list[Any] = values[2:4] if self.bias else [None, None]
            weights.append(Weights(values[0], values[1], *biases, *(values[-1:] if self.proj_size else ())))
        return weights

    def _hidden_sizes(self) -> tuple[int, ...]:
        out = self.proj_size or self.hidden_size
        return (out, self.hidden_size) if self.mode == "LSTM" else (out,)

    def _check_input(self, input: Tensor, ndim: int) -> None:
        dtype = self.all_weights[0][0].dtype
        if input.dtype is not dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). Convert input: input.to({dtype}), or "
                f"convert model: model.to({input.dtype})"
            )
        if input.ndim != ndim:
            raise RuntimeError(f"input must have {ndim} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")

    def _first_states(self, states: State | None, batch: int, input: Tensor) -> State:
        """The states to begin with, checked; zeros for None."""
        count = self.num_layers * (2 if self.bidirectional else 1)
        shapes = [(count, batch, size) for size in self._hidden_sizes()]
        if states is None:
            return tuple(zeros(*shape, dtype=input.dtype) for shape in shapes)
        for i, (state, shape) in enumerate(zip(states, shapes, strict=True)):
            if tuple(state.shape) != shape:
                what = f"hidden[{i}]" if self.mode == "LSTM" else "hidden"
                raise RuntimeError(f"Expected {what} size {shape}, got {list(state.shape)}")
        return states

    def _run_packed(self, input: PackedSequence, states: State | None) -> tuple[PackedSequence, State]:
        data, batch_sizes, sorted_indices, unsorted_indices = input
        sizes = batch_sizes.tolist()
        self._check_input(data, 2)
        states = self._first_states(states, sizes[0], data)
        if sorted_indices is not None:
            states = tuple(index_select(state, 1, sorted_indices) for state in states)
        rows, states = recurrent.recurrence(
            self.mode, data, sizes, states, self._weights(), self.num_layers, self.dropout, self.training
        )
        if unsorted_indices is not None:
            states = tuple(index_select(state, 1, unsorted_indices) for state in states)
        return PackedSequence(rows, batch_sizes, sorted_indices, unsorted_indices), states

    def _run(self, input: Tensor, states: State | None) -> tuple[Tensor, State]:
        name = "RNN" if self.mode.startswith("RNN") else self.mode
        if input.ndim not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}D tensor instead")
        batched = input.ndim == 3
        if states is not None and any(state.ndim != input.ndim for state in states):
            kind, dims = "batched" if batched else "unbatched", "-D, ".join(str(state.ndim) for state in states)
            what = "hx and cx" if self.mode == "LSTM" else "hx"
            raise RuntimeError(f"For {kind} {input.ndim}-D input, {what} should also be {input.ndim}-D but got {dims}-D tensor")
        if not batched:
            input = unsqueeze(input, 1)
            states = None if states is None else tuple(unsqueeze(state, 1) for state in states)
        elif self.batch_first:
            input = transpose(input, 0, 1)
        self._check_input(input, 3)
        length, batch, size = input.shape
        states = self._first_states(states, batch, input)
        if length == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        rows, states = recurrent.recurrence(
            self.mode,
            reshape(input, length * batch, size),
            [batch] * length,
            states,
            self._weights(),
            self.num_layers,
            self.dropout,
            self.training,
        )
        output = reshape(rows, length, batch, rows.shape[1])
        if not batched:
            return squeeze(output, 1), tuple(squeeze(state, 1) for state in states)
        return transpose(output, 0, 1) if self.batch_first else output, states

    def extra_repr(self) -> str:
        """What stands in the brackets of repr: the sizes, and what is not at its default."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                text += f", {name}={getattr(self, name)}"
        return text


class _OneState(RNNBase):
    """RNN and GRU, whose state is h alone."""

    if TYPE_CHECKING:

        @overload
        def __call__(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

        @overload
        def __call__(self, input: PackedSequence, hx: Tensor | None = None) -> tuple[PackedSequence, Tensor]: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def forward(self, input: Any, hx: Tensor | None = None) -> Any:
        """(T, N, I), (N, T, I) with batch_first, (T, I) or a PackedSequence, and h (layers * directions, N, H), default 0.

        Returns the outputs of the last layer, shaped as the input but with directions * H features, and the h at the end.
        ValueError or RuntimeError for shapes and dtypes that do not fit.
        """
        states = None if hx is None else (hx,)
        output, (h,) = self._run_packed(input, states) if isinstance(input, PackedSequence) else self._run(input, states)
        return output, h


class RNN(_OneState):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or with max(., 0) for `nonlinearity="relu"`, over sequences.

    Args:
        input_size, hidden_size: I and H.
        num_layers: how many layers, each on the outputs of the one before.
        nonlinearity: "tanh" or "relu" (ValueError for another).
        bias: whether there are biases.
        batch_first: inputs and outputs are (N, T, *) instead of (T, N, *); states are (layers * directions, N, H) either way.
        dropout: the probability of a zero in the outputs of all layers but the last, in training.
        bidirectional: a second network reads each sequence from its end; outputs are joined, forward first.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: None = None,
    ) -> None:
        if proj_size is not None:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype)
        self.nonlinearity = nonlinearity


class GRU(_OneState):
    """Gated recurrent units over sequences. Arguments as in RNN.

    With s the sigmoid: r = s(W_ir x + b_ir + W_hr h + b_hr); z likewise; n = tanh(W_in x + b_in + r (W_hn h + b_hn));
    h' = (1 - z) n + z h. The rows of the weights are those of r, z and n. Source: Cho et al., 2014, with n as in PyTorch.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        proj_size: None = None,
    ) -> None:
        if proj_size is not None:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )


class LSTM(RNNBase):
    """Long short-term memory over sequences. Arguments as in RNN, and proj_size: R, to which h is projected (0: it is not).

    With s the sigmoid and i, f, g, o each W_i. x + b_i. + W_h. h + b_h.: c' = s(f) c + s(i) tanh(g); h' = s(o) tanh(c'), or W_hr
    times that. The rows of the weights are those of i, f, g and o. Source: Hochreiter and Schmidhuber, 1997; Sak et al., 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )

    if TYPE_CHECKING:

        @overload
        def __call__(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...

        @overload
        def __call__(
            self, input: PackedSequence, hx: tuple[Tensor, Tensor] | None = None
        ) -> tuple[PackedSequence, tuple[Tensor, Tensor]]: ...

        def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        """Input as in RNN; hx = (h, c), h (layers * directions, N, R) and c (layers * directions, N, H), default 0.

        Returns the outputs and (h, c) at the end. ValueError or RuntimeError for shapes and dtypes that do not fit.
        """
        states = None if hx is None else tuple(hx)
        return self._run_packed(input, states) if isinstance(input, PackedSequence) else self._run(input, states)


class RNNCellBase(Module):
    """What the cells share: weight_ih (G, I), weight_hh (G, H), bias_ih and bias_hh (G,) or None, uniform in +-1/sqrt(H)."""

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        gates = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(gates, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(gates, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(gates, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights and biases."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode: str, input: Tensor, states: State | None, count: int) -> State:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        for i, state in enumerate(states or ()):
            if state.ndim not in (1, 2):
                what = "hidden" if count == 1 else f"hx[{i}]"
                raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {state.ndim}D instead")
        batched = input.ndim == 2
        if not batched:
            input = unsqueeze(input, 0)
            states = None if states is None else tuple(unsqueeze(state, 0) for state in states)
        batch, size = input.shape
        if states is None:
            states = (zeros(batch, self.hidden_size, dtype=input.dtype),) * count
        if size != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {size} expected {self.input_size}")
        for i, state in enumerate(states):
            if state.shape[0] != batch:
                raise RuntimeError(f"Input batch size {batch} doesn't match hidden{i} batch size {state.shape[0]}")
            if state.shape[1] != self.hidden_size:
                raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {state.shape[1]}, expected {self.hidden_size}")
        weights = Weights(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        states = recurrent.cell(mode, input, states, weights)
        return states if batched else tuple(squeeze(state, 0) for state in states)

    def extra_repr(self) -> str:
        """What stands in the brackets of repr: the sizes, and what is not at its default."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else f"{text}, nonlinearity={nonlinearity}"


class RNNCell(RNNCellBase):
    """One step of an RNN: (N, I) and h (N, H), default 0, -> h' (N, H); or (I,) and (H,) -> (H,).

    `nonlinearity` is "tanh" or "relu": the call raises RuntimeError for another.
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next h. ValueError or RuntimeError for shapes that do not fit."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else (hx,), 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (N, I) and (h, c), each (N, H), default 0, -> (h', c'); without N everywhere alike."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next (h, c). ValueError or RuntimeError for shapes that do not fit."""
        h, c = self._step("LSTM", input, None if hx is None else tuple(hx), 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of a GRU: (N, I) and h (N, H), default 0, -> h' (N, H); or (I,) and (H,) -> (H,)."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next h. ValueError or RuntimeError for shapes that do not fit."""
        return self._step("GRU", input, None if hx is None else (hx,), 1)[0]
