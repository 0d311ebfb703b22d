"""Checks of arguments that many functions share. Each raises what PyTorch raises, before anything is computed."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigrad._ext.views import sizes_of

MOST_ELEMENTS = 1 << 60  # of 8 bytes: more do not fit into an address space


def check_elements(sizes: Sequence[int], function: str) -> None:
    """Raises RuntimeError for more elements than a tensor can have."""
    if math.prod(sizes) >= MOST_ELEMENTS:
        raise RuntimeError(f"{function}(): storage size calculation overflowed with sizes={list(sizes)}")


def normalize_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front. A 0-d tensor counts as having one dimension. Raises IndexError if there is no such dimension."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim + ndim if dim < 0 else dim
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise TypeError(f"expected dim to be an int, but got {type(dim).__name__}")
    n = max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    return int(dim) % n


def normalize_dims(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """The dimensions named by an int, a sequence or None (all), counted from the front. Raises RuntimeError if one is named twice."""
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, (int, np.integer)):
        return (normalize_dim(dim, ndim),) if ndim else (normalize_dim(dim, ndim),)[:0]
    dims = tuple([normalize_dim(d, ndim) for d in dim])
    if len(set(dims)) < len(dims):
        twice = next(d for d in dims if dims.count(d) > 1)
        raise RuntimeError(f"dim {twice} appears multiple times in the list of dims")
    return dims if ndim else ()


def as_size(args: tuple, function: str) -> tuple[int, ...]:
    """The sizes of f(2, 3), f((2, 3)) or f([2, 3]) as a tuple of ints. Raises TypeError for anything that is not an integer."""
    plain = sizes_of(args)
    if plain is not None:
        return plain
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    sizes = []
    for size in args:
        if isinstance(size, bool) or not hasattr(size, "__index__"):
            raise TypeError(
                f"{function}(): argument 'size' must be tuple of ints, but found element of type {type(size).__name__}"
            )
        sizes.append(size.__index__())
    return tuple(sizes)


def ntuple(value: object, n: int, function: str, argument: str) -> tuple[int, ...]:
    """`value`, an int or a sequence of n (or 1) ints, as a tuple of n. Raises TypeError or RuntimeError for anything else."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return (int(value),) * n
    if isinstance(value, (tuple, list)) and all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in value):
        if len(value) == n:
            return tuple(int(v) for v in value)
        if len(value) == 1:
            return (int(value[0]),) * n
        raise RuntimeError(f"{function}: expected {argument} to be an int or {n} ints, but got {tuple(value)}")
    raise TypeError(f"{function}(): argument {argument!r} must be an int or a tuple of {n} ints, but got {value!r}")


def accepts_axis(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function take numpy's names `axis` and `keepdims` for `dim` and `keepdim`, as PyTorch does."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            for name, own in (("axis", "dim"), ("keepdims", "keepdim")):
                if name in kwargs:
                    if own in kwargs:
                        raise TypeError(f"{function.__name__}() got both {own!r} and its other name {name!r}")
                    kwargs[own] = kwargs.pop(name)
        return function(*args, **kwargs)

    return call
