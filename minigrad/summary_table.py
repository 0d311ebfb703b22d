"""A table of a network: what each layer gives, has, computes, keeps and sees."""

from __future__ import annotations

import copy
import time as clock
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._dtype import dtype as DType
from minigrad._dtype import float32
from minigrad._ext.engine import Function
from minigrad._units import count_text, size_text
from minigrad.autograd import enable_grad
from minigrad.autograd.observer import Observer
from minigrad.creation import zeros
from minigrad.nn import Module, Parameter, UninitializedParameter
from minigrad.ops.attention import AttentionFunction
from minigrad.ops.conv import ConvFunction, ConvTransposeFunction
from minigrad.ops.linalg import AddmmFunction
from minigrad.random import Generator, get_rng_state, randn, set_rng_state
from minigrad.receptive_field import ReceptiveFields, Span, Spans
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from fractions import Fraction

_TIMED_RUNS = 5


@dataclass
class Row:
    """One layer of a summary. Numbers of a layer with layers inside include theirs.

    path: the dotted name, "" for the network. kind: the class. depth: inside how many others it was called. calls: how often it was called.
    output_shape: of its (first) output, in its last call; None if that is no Tensor.
    parameters, trainable: elements of its parameters, and of those that require grad; a shared one counts once in each row.
    multiply_adds: of convolutions and matrix products, in all calls; backward_multiply_adds: those of the gradients that
    training asks for. kept_bytes: what its operations keep for backward, parameters and what others keep already not counted.
    receptive_field, jump, offset: for each of the input's axes 2, 3, ... how many positions an output position sees, how far the
    windows of neighbours are apart, and where that of position 0 starts (negative: in the padding); empty where nothing is known.
    seconds, backward_seconds: the median of some runs, None unless asked for.
    """

    path: str
    kind: str
    depth: int
    parameters: int
    trainable: int
    shared: bool
    calls: int = 0
    output_shape: tuple[int, ...] | None = None
    multiply_adds: int = 0
    backward_multiply_adds: int = 0
    kept_bytes: int = 0
    receptive_field: tuple[int, ...] = ()
    jump: tuple[Fraction, ...] = ()
    offset: tuple[int, ...] = ()
    seconds: float | None = None
    backward_seconds: float | None = None
    _spans: tuple[Span, ...] = field(default=(), repr=False)

    def window(self, *position: int) -> tuple[tuple[int, int], ...]:
        """The first and the last position that the output at `position` (along the axes of the receptive field) sees of the input.

        Not clipped at the input's border. ValueError unless there is one number for each axis.
        """
        if len(position) != len(self._spans):
            raise ValueError(
                f"window: expected {len(self._spans)} positions for {self.path or self.kind}, but got {len(position)}"
            )
        ends = [span.window(at) for span, at in zip(self._spans, position)]
        return tuple((int(first), int(last)) for first, last in ends)


@dataclass
class Summary:
    """What `summary` found: `rows`, one a layer in the order of calls, the network first; str() is the table.

    input_bytes and parameter_bytes: the memory of the inputs and of the parameters. The totals are those of the first row.
    """

    rows: list[Row]
    input_bytes: int
    parameter_bytes: int
    depth: int | None = None

    @property
    def total(self) -> Row:
        """The row of the whole network."""
        return self.rows[0]

    def __getitem__(self, path: str) -> Row:
        """The row of a layer by its dotted name. KeyError for a name that no called layer has."""
        for row in self.rows:
            if row.path == path:
                return row
        raise KeyError(f"no layer {path!r} was called; the layers are {[row.path for row in self.rows]}")

    def __str__(self) -> str:
        return _render(self)

    __repr__ = __str__


def summary(
    model: Module,
    input_size: Any,
    *,
    dtypes: DType | Sequence[DType] | None = None,
    depth: int | None = None,
    time: bool = False,
) -> Summary:
    """Runs a copy of the network once and tells of each layer what it gives, has, computes, keeps for backward and sees.

    input_size: the shape of the input with its batch dimension, e.g. (1, 3, 224, 224); a list of shapes for several inputs; or a
    Tensor or a list of Tensors to run on. dtypes: of inputs given by shape, one or one for each (default float32; integers are
    zeros). depth: how many levels of layers the printed table shows. time: also measure the layers, forward and backward (median of
    five runs).

    The network runs in the mode it is in, with gradients recorded; its parameters, buffers, gradients, hooks and the random
    numbers are afterwards as they were. Operations between layers count for the layer that they are in. Multiply-adds are those of
    convolutions and matrix products. The receptive field is that of the first floating point input's axes 2, 3, ..., followed
    through every operation (see minigrad.receptive_field); normalizations are taken as elementwise.

    TypeError for a model that is no Module; ValueError for a shape that is none. Errors of the network are passed on.
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, but got {type(model).__name__}")
    inputs = _inputs(input_size, dtypes)
    twin = _twin(model)
    with _random_numbers_kept(), enable_grad():
        if any(isinstance(p, UninitializedParameter) for p in twin.parameters()):
            twin(*inputs)  # a lazy layer learns its shape from its first call
        watch = _Layers(twin)
        with watch:
            twin(*inputs)
        rows = watch.rows()
        _see(twin, inputs, watch)
        if time:
            _measure(twin, inputs, watch)
    parameter_bytes = sum(p._array.nbytes for p in twin.parameters())
    return Summary(rows, sum(x._array.nbytes for x in inputs), parameter_bytes, depth)


def _inputs(input_size: Any, dtypes: Any) -> list[Tensor]:
    if isinstance(input_size, Tensor):
        return [input_size.detach()]
    if not isinstance(input_size, list | tuple):
        raise ValueError(f"summary: input_size must be a shape, Tensors or a list of these, but got {input_size!r}")
    sizes = [input_size] if all(isinstance(n, int) for n in input_size) else list(input_size)
    chosen = list(dtypes) if isinstance(dtypes, list | tuple) else [dtypes or float32] * len(sizes)
    if len(chosen) != len(sizes):
        raise ValueError(f"summary: {len(chosen)} dtypes for {len(sizes)} inputs")
    made = []
    generator = Generator().manual_seed(0)
    for size, kind in zip(sizes, chosen):
        if isinstance(size, Tensor):
            made.append(size.detach())
        elif isinstance(size, list | tuple) and all(isinstance(n, int) and n >= 0 for n in size):
            made.append(randn(*size, generator=generator, dtype=kind) if kind.is_floating_point else zeros(*size, dtype=kind))
        else:
            raise ValueError(f"summary: {size!r} is no shape")
    return made


def _twin(model: Module) -> Module:
    """A copy with the same memory for the parameters, and buffers of its own."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        for value in vars(module).values():  # parameters, and results of an earlier call, which cannot be copied
            if isinstance(value, Parameter) and not isinstance(value, UninitializedParameter):
                memo[id(value)] = Parameter(value.detach(), value.requires_grad)
            elif isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach()
    return copy.deepcopy(model, memo)


@contextmanager
def _random_numbers_kept() -> Iterator[None]:
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def _tensors(value: Any) -> list[Tensor]:
    """The Tensors in a module's result."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for part in value for t in _tensors(part)] if isinstance(value, list | tuple) else []


def _root(array: np.ndarray) -> np.ndarray:
    """The array whose memory this one shares."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _product_size(operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> int:
    """The multiply-adds of an operation, 0 for one that is no product."""
    if isinstance(operation, ConvFunction):
        return outputs.numel() * inputs[1].shape[1:].numel()
    if isinstance(operation, ConvTransposeFunction):
        return inputs[0].numel() * inputs[1].shape[1:].numel()
    if isinstance(operation, AttentionFunction):
        q, k, v = inputs[:3]
        return q.shape[:-1].numel() * k.shape[-2] * (q.shape[-1] + v.shape[-1])
    if isinstance(operation, AddmmFunction):
        return outputs.numel() * inputs[1].shape[-1]
    if operation in ("mv", "dot"):
        return inputs[0].numel()
    return outputs.numel() * inputs[0].shape[-1] if operation in ("linear", "matmul") else 0


class _Layers(Observer):
    """Fills the rows of a network while it runs."""

    def __init__(self, model: Module) -> None:
        self._paths: dict[int, str] = {}
        for path, module in model.named_modules():
            self._paths.setdefault(id(module), path)
        self._modules = dict(model.named_modules())
        self.by_path: dict[str, Row] = {}
        self._stack: list[str] = []
        self._inner = 0
        owned = {id(_root(t._array)) for t in [*model.parameters(), *model.buffers()]}
        self._counted = dict.fromkeys(owned)

    def rows(self) -> list[Row]:
        """The rows, in the order of calls."""
        counted: dict[int, str] = {}
        for row in self.by_path.values():
            own = self._modules[row.path]._parameters.values()
            for p in own:
                if p is not None:
                    row.shared = counted.setdefault(id(p), row.path) != row.path or row.shared
        return list(self.by_path.values())

    def enter(self, module: Module) -> None:
        path = self._paths.get(id(module))
        if path is None:  # made during the call: part of the layer that called it
            self._stack.append(self._stack[-1])
            return
        self._stack.append(path)
        if path not in self.by_path:
            parameters = list(module.parameters())
            total = sum(p.numel() for p in parameters)
            trainable = sum(p.numel() for p in parameters if p.requires_grad)
            depth = len(dict.fromkeys(self._stack)) - 1
            self.by_path[path] = Row(path, type(module).__name__, depth, total, trainable, False)
        self.by_path[path].calls += 1

    def leave(self, module: Module, result: Any) -> None:
        path = self._stack.pop()
        found = _tensors(result)
        if id(module) in self._paths:
            self.by_path[path].output_shape = tuple(found[0].shape) if found else None

    def begin(self, operation: Function | str, inputs: tuple[Any, ...]) -> None:
        self._inner += 1

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        self._inner -= 1
        tensors = _tensors(outputs)
        if not tensors:
            return
        node = tensors[0].grad_fn
        products = _product_size(operation, inputs, outputs)
        asked = 0 if node is None or not products else sum(node.needs_input_grad[:2])
        kept = 0
        for array in () if node is None else node.saved_arrays:
            root = _root(array)
            if id(root) not in self._counted:
                self._counted[id(root)] = root  # held, so that its id stays its own
                kept += root.nbytes
        for path in dict.fromkeys(self._stack):
            row = self.by_path[path]
            row.multiply_adds += products
            row.backward_multiply_adds += asked * products
            row.kept_bytes += kept


def _see(twin: Module, inputs: list[Tensor], layers: _Layers) -> None:
    """Fills in the receptive fields, in a second run whose input requires grad."""
    source = next((x for x in inputs if x.is_floating_point() and x.ndim > 2), None)
    if source is None:
        return
    leaf = source.detach().requires_grad_()
    with ReceptiveFields(leaf) as fields, _Results(layers, fields) as results:
        twin(*(leaf if x is source else x for x in inputs))
    for path, spans in results.spans.items():
        row = layers.by_path[path]
        row._spans = tuple(spans[axis] for axis in sorted(spans))
        row.receptive_field = tuple(span.size for span in row._spans)
        row.jump = tuple(span.jump for span in row._spans)
        row.offset = tuple(span.offset for span in row._spans)


class _Results(Observer):
    """The spans of what each layer gives, noted when its call ends: an in-place operation may come."""

    def __init__(self, layers: _Layers, fields: ReceptiveFields) -> None:
        self._paths, self._fields = layers._paths, fields
        self.spans: dict[str, Spans] = {}

    def leave(self, module: Module, result: Any) -> None:
        found = _tensors(result)
        if found and id(module) in self._paths:
            self.spans[self._paths[id(module)]] = self._fields.of(found[0])


class _Clock(Observer):
    """The seconds of each layer in one run."""

    def __init__(self, layers: _Layers) -> None:
        self._paths = layers._paths
        self._stack: list[tuple[str | None, float]] = []
        self._places: dict[Function, tuple[str, ...]] = {}
        self._began = 0.0
        self.forward: dict[str, float] = dict.fromkeys(layers.by_path, 0.0)
        self.backward: dict[str, float] = dict.fromkeys(layers.by_path, 0.0)

    def enter(self, module: Module) -> None:
        self._stack.append((self._paths.get(id(module)), clock.perf_counter()))

    def leave(self, module: Module, result: Any) -> None:
        path, began = self._stack.pop()
        if path is not None:
            self.forward[path] += clock.perf_counter() - began

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        for out in _tensors(outputs):
            if out.grad_fn is not None:
                self._places[out.grad_fn] = tuple(dict.fromkeys(path for path, _ in self._stack if path is not None))

    def begin_backward(self, node: Function, gradient: Any) -> None:
        self._began = clock.perf_counter()

    def end_backward(self, node: Function, gradients: Any) -> None:
        spent = clock.perf_counter() - self._began
        for path in self._places.get(node, ()):
            self.backward[path] += spent


def _measure(twin: Module, inputs: list[Tensor], layers: _Layers) -> None:
    runs = []
    for _ in range(_TIMED_RUNS + 1):  # the first warms up
        with _Clock(layers) as run:
            outputs = [out for out in _tensors(twin(*inputs)) if out.requires_grad]
            if outputs:
                sum((out.sum() for out in outputs[1:]), outputs[0].sum()).backward()
        twin.zero_grad()
        runs.append(run)
    for path, row in layers.by_path.items():
        row.seconds = _median(run.forward[path] for run in runs[1:])
        row.backward_seconds = _median(run.backward[path] for run in runs[1:])


def _median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


# ---- printing


def _axes(values: Sequence[Any]) -> str:
    texts = [str(value) for value in values]
    return "" if not texts else texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.3f}"


def _render(table: Summary) -> str:
    rows = [row for row in table.rows if table.depth is None or row.depth <= table.depth]
    timed = table.total.seconds is not None
    head = ["Layer", "Output shape", "Parameters", "Mult-adds", "backward", "Kept", "Field", "Jump", "Offset"]
    if timed:
        head += ["Forward ms", "Backward ms"]
    lines, above = [], [""]
    for row in rows:
        above[row.depth :] = [row.path]
        name = row.path.removeprefix(above[row.depth - 1] + ".") if row.depth else ""
        times = f" ({row.calls} calls)" if row.calls > 1 else ""
        label = "  " * row.depth + (f"{name}: {row.kind}" if name else row.kind) + times
        shape = "" if row.output_shape is None else str(list(row.output_shape))
        parameters = f"{row.parameters:,}" if row.parameters else ""
        marks = ("*" if row.shared else "") + ("'" if row.trainable < row.parameters else "")
        cells = [
            label, shape, parameters + marks, count_text(row.multiply_adds) if row.multiply_adds else "",
            count_text(row.backward_multiply_adds) if row.backward_multiply_adds else "",
            size_text(row.kept_bytes) if row.kept_bytes else "", _axes(row.receptive_field),
            _axes([n or "-" for n in row.jump]), _axes(row.offset),
        ]  # fmt: skip
        lines.append([*cells, _milliseconds(row.seconds), _milliseconds(row.backward_seconds)] if timed else cells)
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    drawn = [
        "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) for line in [head, *lines]
    ]
    rule = "-" * max(map(len, drawn))
    total = table.total
    foot = [
        f"Parameters: {total.parameters:,} ({total.trainable:,} trainable), {size_text(table.parameter_bytes)}",
        f"Multiply-adds: {total.multiply_adds:,} forward, {total.backward_multiply_adds:,} backward",
        f"Kept for backward: {size_text(total.kept_bytes)}; input {size_text(table.input_bytes)}",
    ]
    if any(row.shared for row in rows):
        foot.append("* shared with a layer above: counted once in the total")
    if any(row.trainable < row.parameters for row in rows):
        foot.append("' some or all of them frozen")
    return "\n".join(line.rstrip() for line in [drawn[0], rule, *drawn[1:], rule, *foot])
