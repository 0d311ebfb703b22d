"""Python's multiprocessing, with torch.multiprocessing's spawn(). Modules whose share_memory() was called are trained together.

Processes start by `fork`, whatever the program asks for: only so do they share the tensors, and see minigrad in the place of torch.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

_CONTEXT = multiprocessing.get_context("fork")

Array, Barrier, BoundedSemaphore, Condition = _CONTEXT.Array, _CONTEXT.Barrier, _CONTEXT.BoundedSemaphore, _CONTEXT.Condition
Event, JoinableQueue, Lock, Manager, Pipe = (
    _CONTEXT.Event,
    _CONTEXT.JoinableQueue,
    _CONTEXT.Lock,
    _CONTEXT.Manager,
    _CONTEXT.Pipe,
)
Pool, Process, Queue, RawArray, RawValue = _CONTEXT.Pool, _CONTEXT.Process, _CONTEXT.Queue, _CONTEXT.RawArray, _CONTEXT.RawValue
RLock, Semaphore, SimpleQueue, Value = _CONTEXT.RLock, _CONTEXT.Semaphore, _CONTEXT.SimpleQueue, _CONTEXT.Value
cpu_count, current_process, active_children = _CONTEXT.cpu_count, _CONTEXT.current_process, _CONTEXT.active_children


def get_context(method: str | None = None) -> Any:
    """The context of `fork`. ValueError for a method that multiprocessing does not know."""
    multiprocessing.get_context(method)
    return _CONTEXT


def get_start_method(allow_none: bool = False) -> str:
    """ "fork" """
    return "fork"


def set_start_method(method: str | None, force: bool = False) -> None:
    """Accepts the methods of multiprocessing; processes still start by `fork`. ValueError for other words."""
    multiprocessing.get_context(method)


def set_sharing_strategy(new_strategy: str) -> None:
    """Nothing: shared memory is anonymous."""


def get_all_start_methods() -> list[str]:
    """["fork"]"""
    return ["fork"]


def spawn(fn: Callable[..., Any], args: tuple = (), nprocs: int = 1, join: bool = True, daemon: bool = False) -> Any:
    """Runs fn(i, *args) in processes i = 0 ... nprocs - 1, and waits for them if `join`; otherwise gives the processes.

    Raises RuntimeError if one of them fails; its traceback is on stderr.
    """
    processes = [_CONTEXT.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    failed = [i for i, process in enumerate(processes) if process.exitcode]
    if failed:
        raise RuntimeError(f"spawn: process {failed[0]} terminated with exit code {processes[failed[0]].exitcode}")
    return None
