"""DataLoader: batches of a dataset, made in the calling process or by worker processes."""

from __future__ import annotations

import itertools
import os
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from minigrad.random import Generator, default_generator, randint
from minigrad.utils.data.collate import default_collate, default_convert
from minigrad.utils.data.dataset import Dataset, IterableDataset
from minigrad.utils.data.fetch import Fetcher
from minigrad.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from minigrad.utils.data.worker import BATCH, END, FAILURE, Pool

_T_co = TypeVar("_T_co", covariant=True)

_FIXED = frozenset({"batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"})
# Batches on their way at once: the system limits descriptors in flight, and a socket holds some 270 messages.
_MAX_IN_FLIGHT = 200


class _Position:
    """Where an epoch stands: how many batches were given out, and the generators' states from which its order came."""

    def __init__(self, generators: list[Generator]) -> None:
        self.taken = 0
        self.over = False
        self.generators = [generator.get_state() for generator in generators]
        self.default = default_generator.get_state()


class _LoaderIterator(Iterator[Any]):
    """One epoch of a DataLoader; with persistent workers the later epochs too."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._begin()

    def _begin(self) -> None:
        """Starts an epoch, or goes on with the one whose position was loaded."""
        loader = self._loader
        resumed, loader._resume = loader._resume, None
        outside = default_generator.get_state()
        if resumed is not None:
            default_generator.set_state(resumed["default generator"])
            loader._set_generators(resumed["generators"])
        self._promised_length = loader._promised_length
        self._position = loader._position = _Position(loader._generators())
        skipped = 0 if resumed is None else resumed["batches"]
        self._indices: Iterator[Any] = iter(loader.sampler if loader.batch_sampler is None else loader.batch_sampler)
        seed = randint(2**63 - 1, (), generator=loader.generator).item()
        stream = isinstance(loader.dataset, IterableDataset)
        if not stream:
            for _ in itertools.islice(self._indices, skipped):
                pass
        self._start(seed)
        if stream:
            for _ in range(skipped):
                self._take()
        self._position.taken = skipped
        if resumed is not None:
            default_generator.set_state(outside)

    def _start(self, seed: int) -> None:
        raise NotImplementedError

    def _take(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        try:
            batch = self._take()
        except StopIteration:
            self._position.over = True
            raise
        self._position.taken += 1
        self._check_length()
        return batch

    def _check_length(self) -> None:
        loader, taken = self._loader, self._position.taken
        if self._promised_length is not None and taken > self._promised_length:
            text = (
                f"Length of IterableDataset {loader.dataset} was reported to be {self._promised_length} "
                f"(when accessing len(dataloader)), but {taken} samples have been fetched."
            )
            if loader.num_workers:
                text += " With workers, each has a copy of the dataset: give each its share by get_worker_info()."
            warnings.warn(text, stacklevel=3)

    def __len__(self) -> int:
        return len(self._loader)

    def __getstate__(self) -> Any:
        raise NotImplementedError("an iterator of a DataLoader cannot be pickled; save the loader's state_dict() instead")


class _SerialIterator(_LoaderIterator):
    """Makes the batches when they are asked for."""

    def _start(self, seed: int) -> None:
        self._fetch = self._loader._fetcher()
        self._fetch.start()

    def _take(self) -> Any:
        return self._fetch(next(self._indices))


class _WorkerIterator(_LoaderIterator):
    """Has the batches made by workers, in turn, some ahead of the one that is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._pool: Pool | None = None
        super().__init__(loader)

    def _start(self, seed: int) -> None:
        loader = self._loader
        if self._pool is None:
            self._pool = Pool(
                loader.num_workers, loader._fetcher(), seed, loader.worker_init_fn, loader.multiprocessing_context
            )
            self._close = weakref.finalize(self, self._pool.close)
        else:
            self._pool.restart()
        self._pending: deque[int] = deque()  # the worker of each batch that was asked for, in the order of the batches
        self._active = [True] * loader.num_workers
        self._turn = itertools.cycle(range(loader.num_workers))
        assert loader.prefetch_factor is not None
        for _ in range(min(loader.prefetch_factor * loader.num_workers, max(_MAX_IN_FLIGHT, loader.num_workers))):
            self._ask()

    def reset(self) -> bool:
        """Starts the next epoch with the same workers; False if they are gone."""
        if not self._pool:
            return False
        self._begin()
        return True

    def _ask(self, worker: int | None = None) -> None:
        """Asks the worker whose turn it is, or this one, for the next batch, if there is one and a worker that can make it."""
        if not any(self._active):
            return
        indices = next(self._indices, self)
        if indices is self:
            return
        if worker is None or not self._active[worker]:
            worker = next(w for w in self._turn if self._active[w])
        assert self._pool is not None
        self._pool.ask(worker, indices)
        self._pending.append(worker)

    def _take(self) -> Any:
        while self._pending:
            if not self._pool:
                raise RuntimeError("the workers of this DataLoader iterator are gone; begin a new one with iter(loader)")
            if not self._active[self._pending[0]]:
                self._pending.popleft()
                continue
            in_order = self._loader.in_order
            expected = [self._pending[0]] if in_order else sorted({w for w in self._pending if self._active[w]})
            worker, kind, content = self._pool.receive(expected, self._loader.timeout)
            self._pending.remove(worker)
            if kind == END:
                self._active[worker] = False
            self._ask(None if in_order else worker)
            if kind == BATCH:
                return content
            if kind == FAILURE:
                raise content.exception()
        if not self._loader.persistent_workers:
            self._close()
        raise StopIteration


class DataLoader(Generic[_T_co]):
    """Iterates over a dataset in batches.

    Indices come from `batch_sampler` (lists), or from `sampler` in groups of `batch_size`, in order or, with `shuffle`, at random
    (`generator`); the samples of a batch are put together by `collate_fn`, `default_collate` if None. `batch_size=None` gives the
    samples one by one. An IterableDataset is read in its own order.

    With `num_workers` > 0 that many processes make the batches, `prefetch_factor` (2) each ahead of the loop and at most 200 in
    all; the batches and their order are the same for any number. The processes are started as `multiprocessing_context` says
    ("fork", "spawn", "forkserver" or a context; None is Python's default) and end with the epoch unless `persistent_workers`.
    Worker i has one thread, draws random numbers from the seed `base seed + i` (the base seed comes from `generator`), calls
    `worker_init_fn(i)` first, and knows itself by `get_worker_info()`. An exception in a worker is raised from the loop with the
    worker's traceback; a worker that dies, or gives nothing for `timeout` seconds (0 waits for ever), raises RuntimeError. With
    `in_order=False` batches come as they are ready. Large arrays come in memory shared with the worker, without a copy.

    ValueError for arguments that exclude each other. `pin_memory` and `pin_memory_device` are accepted and change nothing.
    """

    _initialized = False

    def __init__(
        self,
        dataset: Dataset[_T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if num_workers > 0 and prefetch_factor is None:
            prefetch_factor = 2
        if prefetch_factor is not None and prefetch_factor < 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if prefetch_factor == 0:
            raise ValueError("prefetch_factor option should be at least 1: a worker makes the batch that it is asked for")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        stream = isinstance(dataset, IterableDataset)
        if stream:
            refused: tuple[tuple[str, Any, bool], ...] = (
                ("shuffle", shuffle, bool(shuffle)),
                ("sampler", sampler, sampler is not None),
                ("batch_sampler", batch_sampler, batch_sampler is not None),
            )
            for name, value, given in refused:
                if given:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if sampler is None:
            if stream:
                sampler = itertools.repeat(None)
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        if collate_fn is None:
            collate_fn = default_convert if batch_sampler is None else default_collate
        self.dataset = dataset
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler: Any = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self._resume: dict[str, Any] | None = None
        self._position: _Position | None = None
        self._iterator: _WorkerIterator | None = None
        self._promised_length: int | None = None
        self.check_worker_number_rationality()
        self._initialized = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """How worker processes are started: a context of the module multiprocessing, or None for Python's default."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, value: Any) -> None:
        import multiprocessing
        import multiprocessing.context

        if value is not None and self.num_workers == 0:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
                f"but got num_workers={self.num_workers}"
            )
        if isinstance(value, str):
            methods = multiprocessing.get_all_start_methods()
            if value not in methods:
                raise ValueError(
                    f"multiprocessing_context option should specify a valid start method in {methods!r}, "
                    f"but got multiprocessing_context={value!r}"
                )
            value = multiprocessing.get_context(value)
        if value is not None and not isinstance(value, multiprocessing.context.BaseContext):
            raise TypeError(
                "multiprocessing_context option should be a valid context object or a string specifying the start method, "
                f"but got multiprocessing_context={value}"
            )
        self._context = value

    def check_worker_number_rationality(self) -> None:
        """Warns if there are more workers than processors that this process may use."""
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if self.num_workers > usable:
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number of worker in "
                f"current system is {usable}, which is smaller than what this DataLoader is going to create. Please be aware that "
                "excessive worker creation might get DataLoader running slow or even freeze, lower the worker number to avoid "
                "potential slowness/freeze if necessary.",
                stacklevel=3,
            )

    def _fetcher(self) -> Fetcher:
        return Fetcher(self.dataset, self.collate_fn, self.batch_sampler is not None, self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _SerialIterator(self)
        if not self.persistent_workers:
            return _WorkerIterator(self)
        if self._iterator is None or not self._iterator.reset():
            self._iterator = _WorkerIterator(self)
        return self._iterator

    def __len__(self) -> int:
        """The number of batches. TypeError if the dataset or sampler has no length."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
        size = self._promised_length = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)

    # Where the loader stands

    def _generators(self) -> list[Generator]:
        """The generators that were given to the loader and its samplers, each once."""
        found: dict[int, Generator] = {}
        for owner in (self, self.sampler, self.batch_sampler, getattr(self.batch_sampler, "sampler", None)):
            generator = getattr(owner, "generator", None)
            if isinstance(generator, Generator):
                found[id(generator)] = generator
        return list(found.values())

    def _set_generators(self, states: list[Any]) -> None:
        for generator, state in zip(self._generators(), states, strict=True):
            generator.set_state(state)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, for `load_state_dict`: after how many batches of an epoch, and the states of its generators.

        Taken within an epoch, it counts the batch that the loop has in hand as done. A nest that `minigrad.save` can write. The
        default generator's place belongs to `minigrad.get_rng_state`: save that too.
        """
        position = self._position
        if self._resume is not None:
            return dict(self._resume)
        if position is None or position.over:
            states = [generator.get_state() for generator in self._generators()]
            return {"batches": None, "generators": states, "default generator": None}
        return {"batches": position.taken, "generators": position.generators, "default generator": position.default}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Makes the next `iter(loader)` go on where `state_dict` was taken: with the batches that were left of that epoch, or,
        between epochs, with the same next one.

        A map-style dataset is not asked for the batches that are skipped; an IterableDataset is read up to that place. Samplers
        of one's own are run again from the start of the epoch: they must give the same order from the same generators' states.
        ValueError for what is no such state, or one of a loader with another number of generators.
        """
        if set(state_dict) != {"batches", "generators", "default generator"}:
            raise ValueError(f"load_state_dict: expected the state_dict() of a DataLoader, but got the keys {list(state_dict)}")
        if len(state_dict["generators"]) != len(self._generators()):
            raise ValueError(
                f"load_state_dict: the state is of a DataLoader with {len(state_dict['generators'])} generators, "
                f"this one has {len(self._generators())}"
            )
        if state_dict["batches"] is None:
            self._set_generators(state_dict["generators"])
            self._resume = self._position = None
        else:
            self._resume = dict(state_dict)
