"""The worker processes of a DataLoader: what runs in one, and the pool that the loader sees."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad._ext.threads import set_num_threads
from minigrad.random import manual_seed
from minigrad.utils.data import transport
from minigrad.utils.data.fetch import Fetcher

if TYPE_CHECKING:
    import socket

FETCH, RESTART = range(2)  # to a worker
BATCH, FAILURE, END, READY = range(4)  # from a worker

# Seconds after which a worker looks whether its parent lives, and which the parent grants its workers to finish.
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What `get_worker_info` tells: the worker's number, how many there are, its seed, and its copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a DataLoader what it is; elsewhere None.

    An IterableDataset that gives each worker its share reads `id` and `num_workers` in `__iter__`.
    """
    return _worker_info


@dataclass
class Failure:
    """An exception on its way from a worker: its type, and its traceback as text."""

    kind: type[Exception]
    text: str

    @classmethod
    def of(cls, error: Exception, worker_id: int) -> Failure:
        trace = "".join(traceback.format_exception(error))
        return cls(type(error), f"Caught {type(error).__name__} in DataLoader worker process {worker_id}.\nOriginal {trace}")

    def exception(self) -> Exception:
        """An exception of that type; a RuntimeError if the type takes more than a message, or would end a loop in silence."""
        text = _KeyText(self.text) if issubclass(self.kind, KeyError) else self.text
        if not issubclass(self.kind, (StopIteration, StopAsyncIteration)):
            # Whatever a constructor raises, it does not take a message.
            with contextlib.suppress(Exception):
                error = self.kind(text)
                if isinstance(error, self.kind):
                    return error
        return RuntimeError(self.text)


class _KeyText(str):
    """A text that a KeyError shows as it is: it shows the repr of its argument."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _send_failure(sock: socket.socket, error: Exception, worker_id: int) -> None:
    failure = Failure.of(error, worker_id)
    try:
        transport.send(sock, FAILURE, failure)
    except BrokenPipeError:
        raise
    except Exception:  # a type that cannot be pickled, such as one defined in a function
        transport.send(sock, FAILURE, Failure(RuntimeError, failure.text))


def _seed_all(base_seed: int, worker_id: int) -> int:
    """Seeds the random numbers of Python, numpy and minigrad, and returns the seed of the first and the last."""
    import random

    seed = base_seed + worker_id
    random.seed(seed)
    manual_seed(seed)
    np.random.seed(np.random.SeedSequence([base_seed, worker_id]).generate_state(4))
    return seed


def _work(
    sock: socket.socket,
    inherited: Sequence[socket.socket],
    fetcher: Fetcher,
    worker_id: int,
    num_workers: int,
    base_seed: int,
    worker_init_fn: Callable[[int], None] | None,
) -> None:
    """A worker's life: batches on request until the parent closes the connection or dies."""
    global _worker_info
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal: the parent decides
    set_num_threads(1)
    seed = _seed_all(base_seed, worker_id)
    _worker_info = WorkerInfo(worker_id, num_workers, seed, fetcher.dataset)
    failure: Exception | None = None
    try:
        if worker_init_fn is not None:
            worker_init_fn(worker_id)
        fetcher.start()
    except Exception as error:
        failure = error
    ended = False
    parent, poller = os.getppid(), select.poll()
    poller.register(sock, select.POLLIN)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
        while True:
            events = poller.poll(_PATIENCE * 1000)
            if os.getppid() != parent or any(event & (select.POLLHUP | select.POLLERR) for _, event in events):
                return
            if not events:
                continue
            kind, indices = transport.receive(sock)
            if kind == RESTART:
                ended = False
                try:
                    fetcher.start()
                except Exception as error:
                    failure = error
                transport.send(sock, READY)
            elif failure is not None:
                _send_failure(sock, failure, worker_id)
                failure = None
            elif not ended:
                ended = not _answer(sock, fetcher, indices, worker_id)


def _answer(sock: socket.socket, fetcher: Fetcher, indices: Any, worker_id: int) -> bool:
    """Sends one batch, or what went wrong. False if the dataset, a stream, has come to its end."""
    try:
        transport.send(sock, BATCH, fetcher(indices))
    except (BrokenPipeError, ConnectionResetError):
        raise
    except StopIteration as error:
        if fetcher.is_stream:
            transport.send(sock, END)
            return False
        _send_failure(sock, error, worker_id)
    except Exception as error:
        _send_failure(sock, error, worker_id)
    return True


class Pool:
    """The workers of a DataLoader, each at the other end of a socket."""

    def __init__(
        self,
        num_workers: int,
        fetcher: Fetcher,
        base_seed: int,
        worker_init_fn: Callable[[int], None] | None,
        context: Any,
    ) -> None:
        import multiprocessing
        import socket

        context = context or multiprocessing.get_context()
        self._owner = os.getpid()
        self._sockets: list[socket.socket] = []
        self._processes: list[Any] = []
        try:
            for worker_id in range(num_workers):
                ours, theirs = socket.socketpair()
                self._sockets.append(ours)
                with theirs:
                    # A fork copies every descriptor: a copy of our ends would keep the siblings from seeing that we are gone.
                    inherited = list(self._sockets) if context.get_start_method() == "fork" else []
                    arguments = (theirs, inherited, fetcher, worker_id, num_workers, base_seed, worker_init_fn)
                    process = context.Process(target=_work, args=arguments, daemon=True)
                    process.start()
                    self._processes.append(process)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._processes)

    def ask(self, worker: int, indices: Any) -> None:
        """Asks a worker for the batch of these indices. RuntimeError if it is dead."""
        try:
            transport.send(self._sockets[worker], FETCH, indices)
        except (BrokenPipeError, ConnectionResetError):
            self._raise_dead(worker)

    def restart(self) -> None:
        """Begins a new epoch: what the workers still have to give is dropped."""
        for worker in range(len(self)):
            try:
                transport.send(self._sockets[worker], RESTART)
            except (BrokenPipeError, ConnectionResetError):
                self._raise_dead(worker)
        for worker in range(len(self)):
            while self.receive([worker], 0)[1] != READY:
                pass

    def receive(self, workers: Sequence[int], timeout: float) -> tuple[int, int, Any]:
        """(worker, kind, object) of the first answer of one of these workers.

        RuntimeError if a worker dies first, or if there is none after `timeout` seconds (0 is no limit).
        """
        poller = select.poll()
        by_socket = {self._sockets[worker].fileno(): worker for worker in workers}
        by_sentinel = {self._processes[worker].sentinel: worker for worker in workers}
        for descriptor in (*by_socket, *by_sentinel):
            poller.register(descriptor, select.POLLIN)
        ready = [descriptor for descriptor, _ in poller.poll(timeout * 1000 if timeout else None)]
        if not ready:
            raise RuntimeError(f"DataLoader timed out after {timeout} seconds")
        answered = [by_socket[descriptor] for descriptor in ready if descriptor in by_socket]
        if not answered:
            # Its last words may have arrived between the end of the process and this line.
            worker = by_sentinel[ready[0]]
            if not select.select([self._sockets[worker]], [], [], 0)[0]:
                self._raise_dead(worker)
            answered = [worker]
        worker = answered[0]
        try:
            kind, content = transport.receive(self._sockets[worker])
        except (EOFError, ConnectionResetError):
            self._raise_dead(worker)
        return worker, kind, content

    def _raise_dead(self, worker: int) -> None:
        process = self._processes[worker]
        process.join(_PATIENCE)
        code = process.exitcode
        if code is not None and code < 0:
            how = f"is killed by signal: {signal.strsignal(-code)}"
        else:
            how = f"exited unexpectedly with exit code {code}"
        text = (
            f"DataLoader worker {worker} (pid {process.pid}) {how}. What it printed last may tell why; "
            "with num_workers=0 the error is raised where it happens."
        )
        self.close()
        raise RuntimeError(text)

    def close(self) -> None:
        """Ends the workers: those that do not end by themselves within five seconds are terminated. A copy of the pool in
        another process, made by a fork, leaves them alone."""
        import socket

        ours = os.getpid() == self._owner
        for sock in self._sockets:
            if ours:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        if not ours:
            return
        deadline = time.monotonic() + _PATIENCE
        for process in self._processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._sockets, self._processes = [], []
