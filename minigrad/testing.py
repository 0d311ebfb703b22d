"""torch.testing: assert_close."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minigrad import _dtype, creation
from minigrad.tensor import Tensor

# (rtol, atol) of each dtype, PyTorch's; two different ones take the larger of each.
_TOLERANCES = {_dtype.float32: (1.3e-6, 1e-5), _dtype.float64: (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raises AssertionError unless |actual - expected| <= atol + rtol |expected| everywhere, for tensors, arrays and numbers of one
    shape and dtype (check_dtype), and nests of sequences and mappings of them. The tolerances are those of the dtype: 0 for integers.

    ValueError if one tolerance is given without the other, TypeError for what cannot be compared.
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {'rtol' if rtol is None else 'atol'}."
        )
    tolerances = None if rtol is None or atol is None else (rtol, atol)
    text = _difference(actual, expected, tolerances, equal_nan, check_dtype, check_stride, "")
    if text:
        raise AssertionError(msg(text) if callable(msg) else msg or text)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _difference(
    actual: Any, expected: Any, tolerances: Any, equal_nan: bool, check_dtype: bool, check_stride: bool, where: str
) -> str:
    """What is wrong, in words; empty if nothing is."""
    options = (tolerances, equal_nan, check_dtype, check_stride)
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            return f"The keys of the mappings do not match: {sorted(map(str, actual))} != {sorted(map(str, expected))}{where}"
        pairs = [(key, actual[key], expected[key]) for key in actual]
    elif _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}{where}"
        pairs = [(i, a, e) for i, (a, e) in enumerate(zip(actual, expected, strict=True))]
    else:
        return _of_tensors(actual, expected, *options, where)
    for key, a, e in pairs:
        text = _difference(a, e, *options, f"{where or chr(10) + chr(10) + 'The failure occurred for item '}[{key!r}]")
        if text:
            return text
    return ""


def _of_tensors(
    actual: Any, expected: Any, tolerances: Any, equal_nan: bool, check_dtype: bool, check_stride: bool, where: str
) -> str:
    numbers = (bool, int, float)
    if isinstance(actual, numbers) and isinstance(expected, numbers):
        check_dtype = False
        pair = [creation.tensor(float(v) if isinstance(v, float) else v, dtype=_dtype.float64 if isinstance(v, float) else None)
                for v in (actual, expected)]  # fmt: skip
    else:
        pair = []
        for value in (actual, expected):
            if not isinstance(value, (Tensor, np.ndarray, np.generic)):
                raise TypeError(
                    "No comparison pair was able to handle inputs of type "
                    f"{type(actual)} and {type(expected)}: expected tensors, arrays, numbers, or sequences and mappings of them"
                )
            pair.append(value.detach() if isinstance(value, Tensor) else creation.as_tensor(value))
    a, e = pair
    if a.shape != e.shape:
        return f"The values for attribute 'shape' do not match: {a.shape} != {e.shape}.{where}"
    if check_dtype and a.dtype is not e.dtype:
        return f"The values for attribute 'dtype' do not match: {a.dtype} != {e.dtype}.{where}"
    if check_stride and a.stride() != e.stride():
        return f"The values for attribute 'stride()' do not match: {a.stride()} != {e.stride()}.{where}"
    both = [_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in pair]
    rtol, atol = tolerances or tuple(map(max, zip(*both, strict=True)))
    x, y = (t.numpy().astype(np.float64) if t.dtype.is_floating_point else t.numpy() for t in pair)
    with np.errstate(all="ignore"):
        wrong = ~np.isclose(x, y, rtol, atol, equal_nan)
        if not wrong.any():
            return ""
        absolute = np.asarray(np.abs(x.astype(np.float64) - y.astype(np.float64)))
        relative = np.asarray(absolute / np.abs(y.astype(np.float64)))
    what = "Tensor-likes" if wrong.ndim else "Scalars"
    lines = [f"{what} are not {'close' if rtol or atol else 'equal'}!", ""]
    if not wrong.ndim:
        lines.append(f"Expected {e.item()} but got {a.item()}.")
    else:
        lines.append(f"Mismatched elements: {wrong.sum()} / {wrong.size} ({wrong.mean() * 100:.1f}%)")
    for name, found, allowed in (("absolute", absolute, atol), ("relative", relative, rtol)):
        place = np.unravel_index(np.where(wrong, found, -1).argmax(), found.shape)
        text = f"Greatest {name}" if wrong.ndim else name.capitalize()
        at = f" at index {tuple(map(int, place))}" if wrong.ndim else ""
        up_to = f" (up to {allowed} allowed)" if rtol or atol else ""
        lines.append(f"{text} difference: {found[place]}{at}{up_to}")
    return "\n".join(lines) + where
