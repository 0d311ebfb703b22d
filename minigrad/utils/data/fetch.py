"""From indices to a batch: the one piece of work that a DataLoader does itself or has its workers do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigrad._ext.engine import from_array
from minigrad.utils.data.collate import default_collate
from minigrad.utils.data.dataset import IterableDataset, Subset, TensorDataset, fetch


class Fetcher:
    """Makes a batch (with `batched`) or a sample of a dataset.

    A map-style dataset is asked for the samples at the given indices. An IterableDataset gives its next ones, as many as there
    are indices, and raises StopIteration when it has no more; `start` begins it anew.
    """

    def __init__(self, dataset: Any, collate_fn: Callable[[Any], Any], batched: bool, drop_last: bool) -> None:
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.batched = batched
        self.drop_last = drop_last
        self._samples: Iterator[Any] | None = None

    @property
    def is_stream(self) -> bool:
        """Whether the dataset gives its samples in its own order."""
        return isinstance(self.dataset, IterableDataset)

    def start(self) -> None:
        """Before the first batch of an epoch."""
        if self.is_stream:
            self._samples = iter(self.dataset)

    def __call__(self, indices: Any) -> Any:
        if self._samples is not None:
            return self._next(self._samples, len(indices) if self.batched else 1)
        if not self.batched:
            return self.collate_fn(self.dataset[indices])
        if self.collate_fn is default_collate:
            rows = _rows(self.dataset, indices)
            if rows is not None:
                return rows
        return self.collate_fn(fetch(self.dataset, indices))

    def _next(self, stream: Iterator[Any], count: int) -> Any:
        if not self.batched:
            return self.collate_fn(next(stream))
        samples = list(itertools.islice(stream, count))
        if not samples or (self.drop_last and len(samples) < count):
            raise StopIteration
        return self.collate_fn(samples)


def _rows(dataset: Any, indices: list[int]) -> list[Any] | None:
    """What default_collate makes of a TensorDataset's rows (or those of a Subset of one), by one indexing a tensor; else None."""
    while type(dataset) is Subset:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    if type(dataset) is not TensorDataset or any(tensor.requires_grad for tensor in dataset.tensors):
        return None
    rows = np.array(indices, np.intp)
    return [from_array(tensor._array[rows]) for tensor in dataset.tensors]
