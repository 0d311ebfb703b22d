"""The budget and the record of the fuzz tests.

MINIGRAD_FUZZ=<cases> sets how many cases each fuzz test draws and prints the record of the run; --hypothesis-seed=<n> chooses
which. Without it the budget is small and the cases are the same in every run.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, settings

import minigrad as mg

CASES = int(os.environ.get("MINIGRAD_FUZZ", "0"))
ERRORS = (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError)
torch = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
if torch is not None:
    torch.set_num_threads(1)  # with more it unpools to repeated indices in any order


def fuzz(cases: int = 25) -> settings:
    """The settings of a fuzz test: MINIGRAD_FUZZ cases, or `cases` that never change."""
    return settings(
        max_examples=CASES or cases,
        derandomize=not CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@dataclass
class Row:
    """What the cases of one family have come to; the errors are relative to the largest value, or to 1 if that is less."""

    cases: int = 0
    raised: int = 0
    differs: int = 0
    float32: float = 0.0
    float64: float = 0.0


RECORD: defaultdict[str, Row] = defaultdict(Row)


def record_lines() -> list[str]:
    """The record as a table: cases, those in which both libraries raised, those of a documented difference, largest errors."""
    form = "{:34} {:>7} {:>7} {:>8} {:>9} {:>9}"
    lines = [form.format("family", "cases", "raised", "differs", "float32", "float64")]
    for family, row in sorted(RECORD.items()):
        lines.append(form.format(family, row.cases, row.raised, row.differs, f"{row.float32:.1e}", f"{row.float64:.1e}"))
    total = [sum(getattr(row, name) for row in RECORD.values()) for name in ("cases", "raised", "differs")]
    worst = [max((getattr(row, name) for row in RECORD.values()), default=0) for name in ("float32", "float64")]
    return [*lines, form.format("all", *total, *(f"{value:.1e}" for value in worst))]


def in_layout(x: np.ndarray, layout: str) -> np.ndarray:
    """x with other strides: 'contiguous', 'transposed' (the first axis runs fastest) or 'strided' (gaps in the last axis)."""
    if layout == "transposed":
        return np.ascontiguousarray(x.T).T
    if layout == "strided" and x.ndim:
        wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), 99, x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    return x


def _run(lib, functional, name, arrays, args, kwargs, seed):
    """[outputs..., gradients...] as arrays or None, or the exception."""
    tensors = [x if x is None else lib.from_numpy(x).requires_grad_(x.dtype.kind == "f") for x in arrays]
    try:
        out = getattr(functional, name)(*tensors, *args, **kwargs)
    except ERRORS as error:
        return error
    outputs = list(out) if isinstance(out, tuple) else [out]
    y = outputs[0]
    values = [np.array(output.detach().numpy()) for output in outputs]
    gradients = []
    if y.requires_grad and values[0].size:  # torch has no derivative of some outputs without elements
        y.backward(lib.from_numpy(incoming(values[0], seed)))
        gradients = [None if t is None or t.grad is None else np.array(t.grad.numpy()) for t in tensors]
    return values + gradients


def incoming(y: np.ndarray, seed: int) -> np.ndarray:
    """The gradient of the loss by an output."""
    return np.random.default_rng(seed + 1).standard_normal(y.shape).astype(y.dtype)


def _close(what, actual, expected, tolerance):
    """The error of one array, which must be within the tolerance."""
    if expected is None or actual is None:
        assert expected is actual, f"{what}: one of two gradients is missing"
        return 0.0
    assert actual.shape == expected.shape, f"{what}: shapes {actual.shape} and {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: dtypes {actual.dtype} and {expected.dtype}"
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(actual, expected, what)
        return 0.0
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.where(finite, 0, actual), np.where(finite, 0, expected), what)
    scale = max(1.0, np.abs(expected[finite]).max(initial=0))
    error = np.abs(actual[finite] - expected[finite]).max(initial=0) / scale
    assert error <= tolerance, f"{what}: error {error:.2e} of values up to {scale:.3g}"
    return float(error)


def _adjoint(x, y, gx, seed, limit):
    """Whether <g, y> = <gx, x>."""
    left, right = (incoming(y, seed).astype(np.float64) * y).ravel(), (gx.astype(np.float64) * x).ravel()
    return abs(left.sum() - right.sum()) <= limit * (np.abs(left).sum() + np.abs(right).sum())


def agree(
    family, name, arrays, args=(), kwargs=None, *, seed=0, oracle=None, differs=None, tolerance=(2e-5, 1e-12), linear=False
):
    """nn.functional.<name>(*arrays, *args, **kwargs), with its gradients, is that of the oracle and of torch, or raises as torch.

    Args:
        arrays: tensors of the call; the floating point ones get gradients, None stays None.
        oracle: function (incoming gradient or None) -> [outputs..., gradients...] in float64, called where neither the
            arguments are wrong nor the input or the output is empty; an entry that is Ellipsis is not compared.
        differs: function (exception or list of ours) -> bool: whether this is a documented difference from torch, which is then
            not run.
        tolerance: for float32 and float64.
        linear: whether the output is linear in the first array, so that <g, y> = <gx, x>. Where that is not so of torch, its gradient
            is not that of its values: the case is one of a difference, and the gradient is not compared.
    """
    kwargs = kwargs or {}
    call = f"{name}({[None if x is None else (x.shape, x.strides, str(x.dtype)) for x in arrays]}, {args}, {kwargs})"
    row = RECORD[family]
    row.cases += 1
    dtype = str(arrays[0].dtype)
    limit = tolerance[dtype == "float64"]
    ours = _run(mg, mg.nn.functional, name, arrays, args, kwargs, seed)
    worst, results = 0.0, None
    if differs is not None and differs(ours):
        row.differs += 1
        return
    if torch is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = _run(torch, torch.nn.functional, name, arrays, args, kwargs, seed)
        if isinstance(theirs, Exception):
            assert type(ours) is type(theirs), f"{call}: torch raised {theirs!r}, minigrad {ours!r}"
        else:
            assert not isinstance(ours, Exception), f"{call}: minigrad raised {ours!r}"
            if linear and len(ours) == 2:
                assert _adjoint(arrays[0], *ours, seed, limit), f"{call}: the gradient is not that of the values"
                if not _adjoint(arrays[0], *theirs, seed, limit):
                    row.differs += 1
                    results = 1
            assert len(ours) == len(theirs), f"{call}: gradients of {len(ours)} and {len(theirs)} results"
            worst = max(_close(f"{call}, result {i}", a, b, limit) for i, (a, b) in enumerate(zip(ours, theirs[:results])))
    if isinstance(ours, Exception):
        row.raised += 1
        return
    if oracle is not None and arrays[0].size and ours[0].size:
        g = incoming(ours[0], seed) if len(ours) > 1 else None
        for i, (a, b) in enumerate(zip(ours, oracle(g))):
            if b is not ... and a is not None:
                worst = max(worst, _close(f"{call}, oracle's result {i}", a, np.asarray(b).astype(a.dtype), limit))
    if dtype in ("float32", "float64"):
        setattr(row, dtype, max(getattr(row, dtype), worst))
