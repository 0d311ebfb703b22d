"""How a tensor is printed: PyTorch's layout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad import _dtype

if TYPE_CHECKING:
    from minigrad.tensor import Tensor


class _Options:
    precision = 4
    threshold = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors print: digits, elements before summarizing, items at the edges, line width, scientific notation or not.

    profile: "default", "short" (2 digits, 2 edge items) or "full" (never summarized).
    """
    if profile is not None:
        _options.precision, _options.edgeitems, _options.linewidth = 4, 3, 80
        _options.threshold = 1000
        if profile == "short":
            _options.precision, _options.edgeitems = 2, 2
        elif profile == "full":
            _options.threshold = math.inf
    if precision is not None:
        _options.precision = precision
    if threshold is not None:
        _options.threshold = threshold
    if edgeitems is not None:
        _options.edgeitems = edgeitems
    if linewidth is not None:
        _options.linewidth = linewidth
    _options.sci_mode = sci_mode


class _Formatter:
    """One format for all elements that are shown, so that columns line up."""

    def __init__(self, values: np.ndarray) -> None:
        self.floating = values.dtype.kind == "f"
        self.whole = True
        self.scientific = False
        self.width = 1
        if not self.floating:
            self.width = max((len(str(v)) for v in values.reshape(-1).tolist()), default=1)
            return
        shown = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        if shown.size == 0:
            return
        magnitudes = np.abs(shown)
        low, high = float(magnitudes.min()), float(magnitudes.max())
        self.whole = bool((shown == np.ceil(shown)).all())
        if self.whole:
            self.scientific = high / low > 1000.0 or high > 1.0e8
        else:
            self.scientific = high / low > 1000.0 or high > 1.0e8 or low < 1.0e-4
        if _options.sci_mode is not None:
            self.scientific = _options.sci_mode
        self.width = max(len(self.format(v)) for v in shown)

    def format(self, value: Any) -> str:
        if not self.floating:
            return str(value.item() if hasattr(value, "item") else value)
        value = float(value)
        if not math.isfinite(value):
            return str(value)
        if self.scientific:
            return f"{value:.{_options.precision}e}"
        return f"{value:.0f}." if self.whole else f"{value:.{_options.precision}f}"

    def __call__(self, value: Any) -> str:
        return self.format(value).rjust(self.width)


def _vector(values: np.ndarray, formatter: _Formatter, indent: int, summarize: bool) -> str:
    width = formatter.width + 2
    per_line = max(1, (_options.linewidth - indent) // width)
    if summarize and len(values) > 2 * _options.edgeitems:
        edge = _options.edgeitems
        items = [*map(formatter, values[:edge]), " ...", *map(formatter, values[-edge:])]
    else:
        items = [formatter(v) for v in values]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _nest(values: np.ndarray, formatter: _Formatter, indent: int, summarize: bool) -> str:
    if values.ndim == 0:
        return formatter(values[()])
    if values.ndim == 1:
        return _vector(values, formatter, indent, summarize)
    if summarize and len(values) > 2 * _options.edgeitems:
        edge = _options.edgeitems
        rows = [_nest(v, formatter, indent + 1, summarize) for v in values[:edge]]
        rows.append("...")
        rows += [_nest(v, formatter, indent + 1, summarize) for v in values[-edge:]]
    else:
        rows = [_nest(v, formatter, indent + 1, summarize) for v in values]
    return "[" + ("," + "\n" * (values.ndim - 1) + " " * (indent + 1)).join(rows) + "]"


def _edges(values: np.ndarray) -> np.ndarray:
    """The elements that a summary shows."""
    edge = _options.edgeitems
    for axis, n in enumerate(values.shape):
        if n > 2 * edge:
            values = np.concatenate([values.take(range(edge), axis), values.take(range(n - edge, n), axis)], axis)
    return values


def tensor_repr(x: Tensor, prefix: str = "tensor(") -> str:
    """repr(x): its values, and what of dtype, size and graph is not plain from them."""
    array = x._array
    suffixes = []
    default = {_dtype.get_default_dtype(), _dtype.int64, _dtype.bool}
    if array.size == 0:
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
        if x.dtype is not _dtype.get_default_dtype():
            suffixes.append(f"dtype={x.dtype!r}")
        text = "[]"
    else:
        if x.dtype not in default:
            suffixes.append(f"dtype={x.dtype!r}")
        summarize = array.size > _options.threshold
        formatter = _Formatter(_edges(array) if summarize else array)
        text = _nest(array, formatter, len(prefix), summarize)
    if x.grad_fn is not None:
        suffixes.append(f"grad_fn=<{x.grad_fn.name()}>")
    elif x.requires_grad:
        suffixes.append("requires_grad=True")
    out = prefix + text
    last = len(out) - out.rfind("\n") + 1
    for suffix in suffixes:
        if last + len(suffix) + 2 > _options.linewidth:
            out += ",\n" + " " * len(prefix) + suffix
            last = len(prefix) + len(suffix)
        else:
            out += ", " + suffix
            last += len(suffix) + 2
    return out + ")"
