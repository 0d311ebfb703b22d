"""Receptive fields: which positions of an input an element of a tensor depends on, followed through the operations as they run.

For every axis of the input and every tensor a `Span` tells the first and the last position that each of the tensor's positions
reads. Convolutions and poolings widen the span, strides make it jump, transposed convolutions and resizing give it a period
(neighbours that read windows of different sizes), and where branches meet it is the hull of theirs. Positions are exact; they
are not clipped at the border of the input, so that what lies in the padding counts, as in the usual arithmetic.

The arithmetic for chains of convolutions and poolings is that of Araujo, Norris, Sim: Computing Receptive Fields of Convolutional
Neural Networks, Distill 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.engine import Function
from minigrad.autograd.observer import Observer
from minigrad.ops.axis_map import AxisMap, MapAxesFunction
from minigrad.ops.conv import ConvFunction, ConvTransposeFunction, UnfoldFunction
from minigrad.ops.inplace import ViewGatherFunction, ViewScatterFunction
from minigrad.ops.loss import LogSoftmaxFunction, SoftmaxFunction
from minigrad.ops.pad import ConstantPadFunction
from minigrad.ops.pool import AvgPoolFunction, MaxPoolFunction, MaxUnpoolFunction
from minigrad.ops.reduce import CumprodFunction, CumsumFunction
from minigrad.ops.shape import (
    CatFunction,
    ExpandFunction,
    FlipFunction,
    PermuteFunction,
    RollFunction,
    SliceFunction,
    SplitFunction,
    StackFunction,
    UnbindFunction,
    ViewFunction,
)
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from fractions import Fraction

# Beyond this many positions a period is given up: every position is then said to read what any of them reads.
_LONGEST_PERIOD = 1 << 16


@dataclass(frozen=True, eq=False)
class Span:
    """What the positions along one axis of a tensor read of one axis of the input.

    Position i reads from first[i % period] to last[i % period], both moved by i // period * step.

    axis: the tensor's axis, None where all positions read the same. count: the number of positions. merged: (shape, place) where
    the axis stands for several that were flattened to one, of which place is the one meant.
    """

    axis: int | None
    count: int
    first: np.ndarray
    last: np.ndarray
    step: int
    merged: tuple[tuple[int, ...], int] | None = None

    @classmethod
    def identity(cls, axis: int, count: int) -> Span:
        """That of the input itself: position i reads i."""
        return cls(axis, count, np.zeros(1, np.int64), np.zeros(1, np.int64), 1)

    @property
    def size(self) -> int:
        """How many positions of the input lie between the first and the last that a position reads, the most of all."""
        return int((self.last - self.first).max()) + 1

    @property
    def jump(self) -> Fraction:
        """How far apart the windows of neighbours are, in positions of the input."""
        from fractions import Fraction

        return Fraction(self.step, len(self.first)) if self.axis is not None else Fraction(0)

    @property
    def offset(self) -> int:
        """Where the window of position 0 starts; less than 0 in the padding."""
        return int(self.first[0])

    def window(self, positions: Any) -> tuple[np.ndarray, np.ndarray]:
        """(first, last) that each of these positions reads."""
        turns, place = np.divmod(np.asarray(positions, np.int64), len(self.first))
        return self.first[place] + turns * self.step, self.last[place] + turns * self.step

    def through(self, taps: Callable[[np.ndarray], list[np.ndarray]], turn: tuple[int, int], axis: int, count: int) -> Span:
        """The span along an axis whose position o reads the positions taps(o) of this one.

        turn: (outputs, inputs) after which the taps repeat themselves.
        """
        if self.axis is None:
            return self
        outputs, inputs = turn
        times = len(self.first) // math.gcd(len(self.first), inputs) if inputs else 1
        period = outputs * times
        if period > _LONGEST_PERIOD:
            return self.collapsed(axis)
        windows = [self.window(at) for at in taps(np.arange(period))]
        first = np.min([first for first, _ in windows], axis=0)
        last = np.max([last for _, last in windows], axis=0)
        step = inputs * times * self.step // len(self.first)
        return replace(self, axis=axis, count=count, first=first, last=last, step=step)._shortest()

    def _shortest(self) -> Span:
        """The same span with the shortest period."""
        period = len(self.first)
        for n in range(1, period):
            if period % n == 0 and self.step * n % period == 0:
                step = self.step * n // period
                if np.array_equal(self.first[n:] - self.first[:-n], np.full(period - n, step)) and np.array_equal(
                    self.last[n:] - self.last[:-n], np.full(period - n, step)
                ):
                    return replace(self, first=self.first[:n], last=self.last[:n], step=step)
        return self

    def collapsed(self, axis: int | None = None) -> Span:
        """What all positions together read: after an operation that mixes them."""
        if self.axis is None:
            return self
        first, last = self.window(np.arange(max(self.count, 1)))
        return Span(axis, self.count, first.min(keepdims=True), last.max(keepdims=True), 0)

    def union(self, other: Span) -> Span:
        """The hull of two spans of tensors of one shape."""
        axis = self.axis if self.axis is not None else other.axis
        if other.axis not in (None, axis) or (self.axis is not None and other.axis is not None and self.merged != other.merged):
            return self.collapsed().union(other.collapsed())
        count = max(self.count, other.count)
        period = math.lcm(len(self.first), len(other.first))
        steps = {part.step * (period // len(part.first)) for part in (self, other)}
        if len(steps) > 1 or period > _LONGEST_PERIOD:  # they drift apart: right for the positions that there are
            period, steps = count, {max(part.step * count // len(part.first) for part in (self, other))}
        (a, b), (c, d) = (part.window(np.arange(period)) for part in (self, other))
        merged = self.merged if self.axis is not None else other.merged
        return Span(axis, count, np.minimum(a, c), np.maximum(b, d), steps.pop(), merged)._shortest()


Spans = dict[int, Span]


def _collapsed(spans: Spans, turned: set[int]) -> Spans:
    """The spans where entries of some axes have changed places."""
    return {key: span.collapsed(span.axis) if span.axis in turned else span for key, span in spans.items()}


def _moved(spans: Spans, axis_of: Callable[[int], int | None]) -> Spans:
    """The spans at their new axes; None collapses."""
    out = {}
    for key, span in spans.items():
        axis = None if span.axis is None else axis_of(span.axis)
        out[key] = span.collapsed() if axis is None else replace(span, axis=axis)
    return out


def _joined(parts: list[Spans]) -> Spans:
    out: Spans = {}
    for spans in parts:
        for key, span in spans.items():
            out[key] = out[key].union(span) if key in out else span
    return out


def _windows(span: Span, axis: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> Span:
    """Through a sliding window: position o reads o * stride - padding + k * dilation for k < kernel."""
    return span.through(lambda o: [o * stride - padding + k * dilation for k in range(kernel)], (1, stride), axis, count)


def _conv(node: ConvFunction, spans: Spans, out: tuple[int, ...]) -> Spans:
    s = node.geometry

    def one(span: Span) -> Span:
        if span.axis is None or (span.axis == 0 and not span.merged):
            return span
        if span.axis < 2 or span.merged:
            return span.collapsed()
        i = span.axis - 2
        return _windows(span, span.axis, out[span.axis], s.kernel[i], s.stride[i], s.padding[i], s.dilation[i])

    return {key: one(span) for key, span in spans.items()}


def _conv_transpose(node: ConvTransposeFunction, spans: Spans, out: tuple[int, ...]) -> Spans:
    s = node.geometry

    def one(span: Span) -> Span:
        if span.axis is None or (span.axis == 0 and not span.merged):
            return span
        if span.axis < 2 or span.merged:
            return span.collapsed()
        i = span.axis - 2
        kernel, stride, padding, dilation = s.kernel[i], s.stride[i], s.padding[i], s.dilation[i]

        def taps(o: np.ndarray) -> list[np.ndarray]:  # output o adds up inputs i with i * stride - padding + k * dilation == o
            reached = [o + padding - k * dilation for k in range(kernel)]
            low = np.full(o.shape, np.iinfo(np.int64).max)
            high = np.full(o.shape, np.iinfo(np.int64).min)
            for r in reached:
                hit = r % stride == 0
                low = np.where(hit, np.minimum(low, r // stride), low)
                high = np.where(hit, np.maximum(high, r // stride), high)
            empty = (
                low > high
            )  # an output between the taps of a wide stride: the bias alone; it stands where its neighbour does
            return [np.where(empty, (o + padding) // stride, low), np.where(empty, (o + padding) // stride, high)]

        return span.through(taps, (stride, 1), span.axis, out[span.axis])

    return {key: one(span) for key, span in spans.items()}


def _pool(node: MaxPoolFunction | AvgPoolFunction, spans: Spans, out: tuple[int, ...]) -> Spans:
    ndim = len(out)

    def one(span: Span) -> Span:
        if span.axis is None or span.axis < ndim - node.ndim:
            return span
        if span.merged:
            return span.collapsed()
        kernel, stride, padding, dilation, start, stop = node.geometry.windows[span.axis - ndim + 3]
        if stride:
            return _windows(span, span.axis, out[span.axis], kernel, stride, padding, dilation)
        return _table(span, span.axis, start.astype(np.int64), stop.astype(np.int64) - 1)

    return {key: one(span) for key, span in spans.items()}


def _table(span: Span, axis: int, first: np.ndarray, last: np.ndarray) -> Span:
    """Position o reads from first[o] to last[o]."""
    outputs, inputs = len(first), span.count
    width = int((last - first).max(initial=0)) + 1

    def taps(o: np.ndarray) -> list[np.ndarray]:
        turns, place = np.divmod(o, outputs)
        return [np.minimum(first[place] + k, last[place]) + turns * inputs for k in range(width)]

    return span.through(taps, (outputs, inputs), axis, outputs)


def _unpooled(span: Span, lead: int, out: tuple[int, ...]) -> Span:
    """Through max unpooling of the axes from `lead` on: an output lies in the window of the input that it came from."""
    if span.axis is None or span.axis < lead:
        return span
    places = np.arange(out[span.axis]) * span.count // max(out[span.axis], 1)
    return _table(span, span.axis, places, places)


def _padding(axis_map: AxisMap, count: int) -> int | None:
    """How many elements stand before the axis as it was, if the map only puts copies of some before and after it; else None.

    What padding repeats, mirrors or wraps counts as lying in the padding, as zeros do, so that a window stays in one piece.
    """
    index = axis_map.index
    if len(index) != len(axis_map.offset) - 1 or len(index) < count:
        return None
    starts = np.flatnonzero(index[: len(index) - count + 1] == 0)
    return next((int(start) for start in starts if (index[start : start + count] == np.arange(count)).all()), None)


def _map_axes(node: MapAxesFunction, spans: Spans, out: tuple[int, ...]) -> Spans:
    def one(span: Span) -> Span:
        if span.axis is None or span.axis < len(out) - len(node.maps):
            return span
        place = span.axis - len(out) + len(node.maps)
        axis_map = node.maps[place]
        if axis_map is None:
            return span
        if span.merged:
            return span.collapsed()
        before = node.pads[place][0] if isinstance(node, ConstantPadFunction) else _padding(axis_map, span.count)
        if before is not None:
            return span.through(lambda o: [o - before], (1, 1), span.axis, out[span.axis])
        taps = axis_map.index, axis_map.weight, axis_map.offset
        read = [taps[0][a:b][taps[1][a:b] != 0] for a, b in zip(taps[2][:-1], taps[2][1:])]
        first = np.array([part.min(initial=span.count - 1) for part in read], np.int64)
        last = np.array([part.max(initial=0) for part in read], np.int64)
        return _table(span, span.axis, np.minimum(first, last), np.maximum(first, last))

    return {key: one(span) for key, span in spans.items()}


def _groups(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[range, range]]:
    """Cuts two shapes of one size into the shortest stretches that hold as many elements on both sides."""
    groups, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        a, b = i + 1, j + 1
        while math.prod(old[i:a]) != math.prod(new[j:b]):
            if math.prod(old[i:a]) < math.prod(new[j:b]):
                a += 1
            else:
                b += 1
        groups.append((range(i, a), range(j, b)))
        i, j = a, b
    groups.append((range(i, len(old)), range(j, len(new))))
    return groups


def _view(spans: Spans, old: tuple[int, ...], new: tuple[int, ...]) -> Spans:
    if 0 in old:
        return _moved(spans, lambda axis: None)
    groups = _groups(old, new)

    def one(span: Span) -> Span:
        if span.axis is None:
            return span
        olds, news = next(group for group in groups if span.axis in group[0])
        before, after = tuple(old[i] for i in olds), tuple(new[i] for i in news)
        place = span.axis - olds.start
        wide = [i for i, n in enumerate(after) if n != 1]
        if span.merged:
            shape, was = span.merged
            if len([n for n in before if n != 1]) == 1 and tuple(n for n in after if n != 1) == tuple(
                n for n in shape if n != 1
            ):
                return replace(span, axis=news.start + wide[sum(n != 1 for n in shape[:was])], merged=None)
            alone = len(wide) == 1 and math.prod(before) == before[place]
            return replace(span, axis=news.start + wide[0]) if alone else span.collapsed()
        if before[place] == 1:
            return span.collapsed()
        if len(wide) == 1:
            target, trailing = news.start + wide[0], math.prod(before[place + 1 :])
            if math.prod(before[:place]) == 1:  # positions in order, each as often as there are elements below it
                return span.through(lambda o: [o // trailing], (trailing, 1), target, after[wide[0]])
            return replace(span, axis=target, merged=(before, place))
        if math.prod(before) == before[place]:  # one axis cut in several: the first of them moves in large steps
            rest = math.prod(after[wide[0] + 1 :])
            return span.through(lambda o: [o * rest, o * rest + rest - 1], (1, rest), news.start + wide[0], after[wide[0]])
        return span.collapsed()

    return {key: one(span) for key, span in spans.items()}


def _slice(node: SliceFunction, spans: Spans, old: tuple[int, ...]) -> Spans:
    index = list(node.index) if isinstance(node.index, tuple) else [node.index]
    taken = sum(part is not None and part is not Ellipsis for part in index)
    if Ellipsis not in index:
        index.append(Ellipsis)
    at = index.index(Ellipsis)
    index[at : at + 1] = [slice(None)] * (len(old) - taken)
    target: dict[int, tuple[int | None, Any]] = {}
    axis = place = 0
    for part in index:
        if part is None:
            place += 1
            continue
        target[axis] = (place if isinstance(part, slice) else None, part)
        place += isinstance(part, slice)
        axis += 1

    def one(span: Span) -> Span:
        if span.axis is None:
            return span
        to, part = target[span.axis]
        if to is None:
            first, last = span.window([part % old[span.axis]])
            return Span(None, 1, first, last, 0)
        start, stop, step = part.indices(old[span.axis])
        whole = start == 0 and step == 1 and stop == old[span.axis]
        if whole:
            return replace(span, axis=to)
        if span.merged:
            return span.collapsed(to)
        return span.through(lambda o: [start + o * step], (1, step), to, len(range(start, stop, step)))

    return {key: one(span) for key, span in spans.items()}


def _coordinates(positions: np.ndarray, base: tuple[int, ...], axis: int) -> np.ndarray | None:
    """Where along an axis of its base each position along the same axis of a view lies; None for a view of other axes."""
    if positions.ndim != len(base) or positions.size == 0:
        return None
    along = np.moveaxis(positions // math.prod(base[axis + 1 :]) % base[axis], axis, 0).reshape(positions.shape[axis], -1)
    return along[:, 0] if (along == along[:, :1]).all() else None


def _gather_view(node: ViewGatherFunction, spans: Spans, base: tuple[int, ...]) -> Spans:
    def one(span: Span) -> Span:
        at = None if span.axis is None or span.merged else _coordinates(node.positions, base, span.axis)
        return span.collapsed() if at is None or span.axis is None else _table(span, span.axis, at, at)

    return {key: one(span) for key, span in spans.items()}


def _scatter_view(node: ViewScatterFunction, spans: Spans, values: Spans, base: tuple[int, ...]) -> Spans:
    """What was there, and where the values were written what they depend on."""
    parts = [spans]
    for key, span in values.items():
        at = None if span.axis is None or span.merged else _coordinates(node.positions, base, span.axis)
        if at is None or span.axis is None:
            parts.append({key: span.collapsed()})
            continue
        first, last = span.window(np.arange(len(at)))
        count, drift = base[span.axis], span.step * base[span.axis] // len(span.first)
        low, high = np.full(count, np.iinfo(np.int64).max // 2), np.full(count, np.iinfo(np.int64).min // 2)
        low[at], high[at] = first, last
        if key in spans and spans[key].axis == span.axis:
            before = spans[key].window(np.arange(count))
            low, high = np.minimum(low, before[0]), np.maximum(high, before[1])
        else:
            low, high = np.where(low > high, first.min(), low), np.where(low > high, last.max(), high)
        parts.append({key: Span(span.axis, count, low, high, drift)._shortest()})
    return _joined(parts)


def _cat(node: CatFunction, parts: list[Spans], shapes: list[tuple[int, ...]]) -> Spans:
    """Along the axis of the concatenation each part's positions come after those of the one before."""
    total = sum(shape[node.dim] for shape in shapes)
    keys = {key for spans in parts for key, span in spans.items() if span.axis == node.dim}
    out = _joined([{key: span for key, span in spans.items() if key not in keys} for spans in parts])
    for key in keys:
        windows = [
            spans[key].window(np.arange(shape[node.dim]))
            for spans, shape in zip(parts, shapes)
            if key in spans and shape[node.dim]
        ]
        if sum(len(first) for first, _ in windows) != total:  # a part that does not depend on the input
            out[key] = _joined([{key: spans[key].collapsed()} for spans in parts if key in spans])[key]
            continue
        first, last = (np.concatenate(ends) for ends in zip(*windows))
        step = next(spans[key].step * total // len(spans[key].first) for spans in parts if key in spans)
        out[key] = Span(node.dim, total, first, last, step)
    return out


def _reduced(spans: Spans, dims: tuple[int, ...], keepdim: bool, ndim: int) -> Spans:
    dims = tuple(d % ndim for d in dims)
    return _moved(spans, lambda axis: None if axis in dims else axis if keepdim else axis - sum(d < axis for d in dims))


def _product(x: Spans, y: Spans, x_ndim: int, y_ndim: int, out_ndim: int) -> Spans:
    """x (..., M, K) @ y (..., K, N): what is summed over is mixed."""
    left = _moved(x, lambda axis: None if axis == x_ndim - 1 else axis + out_ndim - x_ndim)
    right = _moved(y, lambda axis: None if axis == y_ndim - 2 else axis + out_ndim - y_ndim)
    return _joined([left, right])


class ReceptiveFields(Observer):
    """Follows the spans of one tensor's axes 2, 3, ... through every operation while its `with` block runs.

    The tensor must require grad, and grad mode be on: the graph's nodes are what the spans are kept by.
    """

    def __init__(self, source: Tensor) -> None:
        self._source = source
        self._known: dict[tuple[Function, int], Spans] = {}

    def of(self, tensor: Tensor) -> Spans:
        """The spans of a tensor, by axis of the source; empty for one that does not depend on the source."""
        if tensor is self._source:
            return {axis: Span.identity(axis, tensor.shape[axis]) for axis in range(2, tensor.ndim)}
        node = tensor.grad_fn
        return {} if node is None else self._known.get((node, tensor.output_nr), {})

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Works out the spans of what an operation gave."""
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        parts = [self.of(x) for x in tensors]
        if not any(parts):
            return
        outs = [out for out in (outputs if isinstance(outputs, tuple) else (outputs,)) if isinstance(out, Tensor)]
        pairwise = len(outs) == len(tensors) > 1 and all(out.shape == x.shape for out, x in zip(outs, tensors))
        for nr, out in enumerate(outs):
            if out.grad_fn is not None:
                chosen = slice(nr, nr + 1) if pairwise else slice(None)
                self._known[out.grad_fn, out.output_nr] = _spans(operation, tensors[chosen], parts[chosen], out, nr)


def _spans(operation: Function | str, tensors: list[Tensor], parts: list[Spans], out: Tensor, nr: int) -> Spans:
    """The spans of output nr of an operation on these tensors with these spans."""
    spans, shape, ndim = parts[0], tuple(out.shape), tensors[0].ndim
    old = tuple(tensors[0].shape)
    if operation == "linear":
        return _reduced(spans, (ndim - 1,), True, ndim)
    if operation == "matmul":
        return _product(parts[0], parts[1], ndim, tensors[1].ndim, out.ndim)
    if isinstance(operation, ConvFunction):
        return _conv(operation, spans, shape)
    if isinstance(operation, ConvTransposeFunction):
        return _conv_transpose(operation, spans, shape)
    if isinstance(operation, MaxPoolFunction | AvgPoolFunction):
        return _pool(operation, spans, shape)
    if isinstance(operation, MapAxesFunction):
        return _map_axes(operation, spans, shape)
    if isinstance(operation, ViewFunction):
        return _view(spans, old, shape)
    if isinstance(operation, PermuteFunction):
        order = [d % ndim for d in operation.dims]
        return _moved(spans, order.index)
    if isinstance(operation, SliceFunction):
        return _slice(operation, spans, old)
    if isinstance(operation, SplitFunction):
        lead = (slice(None),) * operation.dim
        start = sum(operation.sizes[:nr])
        return _slice(SliceFunction((*lead, slice(start, start + operation.sizes[nr]))), spans, old)
    if isinstance(operation, CatFunction):
        return _cat(operation, parts, [tuple(x.shape) for x in tensors])
    if isinstance(operation, UnbindFunction):
        return _slice(SliceFunction((*(slice(None),) * operation.dim, nr)), spans, old)
    if isinstance(operation, StackFunction):  # as cat of parts with an axis of 1 more
        axis = operation.dim
        longer = [
            _slice(SliceFunction((*(slice(None),) * axis, None)), part, tuple(x.shape)) for part, x in zip(parts, tensors)
        ]
        return _cat(CatFunction(axis), longer, [(*x.shape[:axis], 1, *x.shape[axis:]) for x in tensors])
    if isinstance(operation, ViewGatherFunction):
        return _gather_view(operation, spans, old)
    if isinstance(operation, ViewScatterFunction):
        return _scatter_view(operation, parts[0], parts[1], old)
    if isinstance(operation, UnfoldFunction):
        s = operation.geometry
        inner = _conv(operation, spans, (shape[0], 0, *s.out))  # type: ignore[arg-type]
        return _view(inner, (*shape[:2], *s.out), shape)
    if isinstance(operation, MaxUnpoolFunction):  # a maximum lies somewhere in the window that it came from
        return {key: _unpooled(span, ndim - operation.ndim, shape) for key, span in spans.items()}
    if isinstance(operation, FlipFunction):
        return _collapsed(spans, set(operation.dims))
    if isinstance(operation, RollFunction):
        return _collapsed(spans, {d for d, move in enumerate(operation.moves) if move})
    if isinstance(operation, SoftmaxFunction | LogSoftmaxFunction | CumsumFunction | CumprodFunction):
        mixed = operation.dim % max(ndim, 1)
        return {key: span.collapsed(mixed) if span.axis == mixed else span for key, span in spans.items()}
    dims: Any = getattr(operation, "dims", getattr(operation, "dim", None))
    if dims is not None and hasattr(operation, "keepdim"):
        return _reduced(spans, dims if isinstance(dims, tuple) else (dims,), operation.keepdim, ndim)
    followed = [(part, x) for part, x in zip(parts, tensors) if part]  # a weight may have another shape, as in batch norm
    if isinstance(operation, ExpandFunction) or _broadcast([x for _, x in followed]) == shape:
        return _elementwise([part for part, _ in followed], [x for _, x in followed], shape)
    return _joined([_moved(part, lambda axis: None) for part in parts])


def _broadcast(tensors: list[Tensor]) -> tuple[int, ...] | None:
    """The shape that the tensors broadcast to; None where they do not fit."""
    try:
        return np.broadcast_shapes(*(tuple(x.shape) for x in tensors))
    except ValueError:
        return None


def _elementwise(parts: list[Spans], tensors: list[Tensor], shape: tuple[int, ...]) -> Spans:
    def aligned(spans: Spans, old: tuple[int, ...]) -> Spans:
        lead = len(shape) - len(old)
        return _moved(spans, lambda axis: axis + lead if old[axis] == shape[axis + lead] else None)

    return _joined([aligned(spans, tuple(x.shape)) for spans, x in zip(parts, tensors)])
