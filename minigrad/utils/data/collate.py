"""How samples become a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from minigrad import _dtype
from minigrad._ext.engine import from_array
from minigrad.creation import as_tensor, tensor
from minigrad.ops.shape import stack
from minigrad.tensor import Tensor


def _rebuild(original: Any, items: Any) -> Any:
    """A container like `original`, with other items: a copy that is changed where it can be, so that what a subclass adds stays."""
    try:
        if isinstance(original, MutableMapping):
            clone: Any = copy.copy(original)
            clone.update(items)
            return clone
        if isinstance(original, MutableSequence):
            clone = copy.copy(original)
            for i, item in enumerate(items):
                clone[i] = item
            return clone
        return type(original)(items)
    except TypeError:
        return items


def _is_numpy(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.number | np.bool_)


def _is_text(array: np.ndarray) -> bool:
    return array.dtype.kind in "SUaO"


def default_convert(data: Any) -> Any:
    """Turns numpy arrays and numbers into tensors, also within mappings and sequences; leaves the rest."""
    if isinstance(data, Tensor):
        return data
    if _is_numpy(data):
        return data if _is_text(np.asarray(data)) else as_tensor(data)
    if isinstance(data, Mapping):
        return _rebuild(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(item) for item in data))
    if isinstance(data, tuple):
        return [default_convert(item) for item in data]
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _rebuild(data, [default_convert(item) for item in data])
    return data


def collate(batch: Sequence[Any], *, collate_fn_map: Mapping[Any, Callable[..., Any]] | None = None) -> Any:
    """Turns a list of samples into one: by the function that `collate_fn_map` has for the type of the first sample, else, for
    mappings and sequences, by collating what stands at the same place. A tuple becomes a list.

    TypeError for another type, RuntimeError for sequences of different lengths.
    """
    first = batch[0]
    functions = collate_fn_map or {}
    for kind in (type(first), *functions):
        if kind in functions and isinstance(first, kind):
            return functions[kind](batch, collate_fn_map=collate_fn_map)
    if isinstance(first, Mapping):
        return _rebuild(first, {key: collate([d[key] for d in batch], collate_fn_map=collate_fn_map) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [collate(column, collate_fn_map=collate_fn_map) for column in zip(*batch, strict=True)]
        if isinstance(first, tuple):
            return type(first)(*columns) if hasattr(first, "_fields") else columns
        return _rebuild(first, columns)
    raise TypeError(_unsupported(type(first)))


def _unsupported(found: Any) -> str:
    return f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}"


def _collate_tensors(batch: Sequence[Tensor], *, collate_fn_map: Any = None) -> Tensor:
    for i, item in enumerate(batch):
        if not isinstance(item, Tensor):
            raise TypeError(f"default_collate: expected Tensor as element {i} of the batch, but got {type(item).__name__}")
    same = all(t.shape == batch[0].shape and t.dtype is batch[0].dtype for t in batch)
    if same and not any(t.requires_grad for t in batch):
        return from_array(np.stack([t._array for t in batch]))
    return stack(list(batch), 0)


def _collate_arrays(batch: Sequence[np.ndarray], *, collate_fn_map: Any = None) -> Tensor:
    if _is_text(batch[0]):
        raise TypeError(_unsupported(batch[0].dtype))
    return _collate_tensors([as_tensor(array) for array in batch])


def _collate_scalars(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Tensor:
    return as_tensor(np.asarray(batch))


def _collate_floats(batch: Sequence[float], *, collate_fn_map: Any = None) -> Tensor:
    return tensor(list(batch), dtype=_dtype.float64)


def _collate_ints(batch: Sequence[int], *, collate_fn_map: Any = None) -> Tensor:
    return tensor(list(batch))


def _keep(batch: Any, *, collate_fn_map: Any = None) -> Any:
    return batch


default_collate_fn_map: dict[Any, Callable[..., Any]] = {
    Tensor: _collate_tensors,
    np.ndarray: _collate_arrays,
    (np.bool_, np.number, np.object_): _collate_scalars,
    float: _collate_floats,
    int: _collate_ints,
    str: _keep,
    bytes: _keep,
}


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks tensors and arrays along a new first dimension, and makes tensors of numbers (float64 of Python floats), also within
    mappings and sequences; strings and bytes stay lists. Errors as `collate`, and those of `stack` for shapes that differ.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
