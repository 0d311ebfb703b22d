"""A sampler for one of several processes that train on parts of a dataset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized

from minigrad import random
from minigrad.utils.data.sampler import Sampler


class DistributedSampler(Sampler):
    """Every num_replicas-th index of the dataset, from `rank` on, shuffled by `seed` and the epoch of set_epoch().

    Indices are repeated, or with drop_last left out, so that every process has as many. Raises RuntimeError if num_replicas or rank
    is not given (there is no process group to ask), ValueError for a rank outside 0 ... num_replicas - 1.
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise RuntimeError("DistributedSampler: there is no process group: num_replicas and rank must be given")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        size = len(dataset)
        self.num_samples = size // num_replicas if drop_last else math.ceil(size / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        indices = list(range(size))
        if self.shuffle:
            indices = random.randperm(size, generator=random.Generator().manual_seed(self.seed + self.epoch)).tolist()
        whole = indices * math.ceil(self.total_size / max(size, 1))
        return iter(whole[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Has the next pass shuffle in another order."""
        self.epoch = epoch
