"""Checkpointing: memory for time. What operations save for backward is dropped, and computed again when backward needs it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from minigrad import random
from minigrad._ext.engine import TensorBase
from minigrad.autograd import enable_grad, is_grad_enabled
from minigrad.autograd.graph import saved_tensors_hooks

if TYPE_CHECKING:
    from minigrad.nn.containers import Sequential
    from minigrad.tensor import Tensor


class CheckpointError(RuntimeError):
    """The function did not compute the same the second time."""


def noop_context_fn() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """No context around forward, none around the recomputation."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.dtype, tensor._version


class _Frame:
    """One checkpointed call. Each tensor that its operations save is a number; unpacking the first number runs the call again."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        preserve_rng_state: bool,
        recompute_context: AbstractContextManager[Any],
        checked: bool,
    ) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.versions = self.input_versions()
        self.rng_state = random.get_rng_state() if preserve_rng_state else None
        self.recompute_context = recompute_context
        self.checked = checked
        self.kinds: list[tuple[Any, ...]] = []
        self.values: dict[int, Tensor] = {}

    def input_versions(self) -> list[int]:
        values = (*self.args, *self.kwargs.values())
        return [value._version for value in values if isinstance(value, TensorBase) and not value.is_inference()]

    def pack(self, tensor: Tensor) -> int:
        self.kinds.append(_kind(tensor))
        return len(self.kinds) - 1

    def unpack(self, number: int) -> Tensor:
        if number not in self.values:
            self.recompute()
        return self.values.pop(number)

    def recompute(self) -> None:
        """Runs the call again, with the random numbers it had, and holds what its operations save."""
        if self.input_versions() != self.versions:
            raise RuntimeError(
                "checkpoint: one of the variables needed for gradient computation has been modified by an inplace operation: an input "
                "of the checkpointed function was written before backward called it again"
            )
        self.values = {}
        kinds: list[tuple[Any, ...]] = []

        def pack(tensor: Tensor) -> Tensor:
            self.values[len(kinds)] = tensor.detach()
            kinds.append(_kind(tensor))
            return tensor

        before = random.get_rng_state()
        if self.rng_state is not None:
            random.set_rng_state(self.rng_state)
        try:
            with enable_grad(), saved_tensors_hooks(pack, lambda packed: packed), self.recompute_context:
                self.function(*self.args, **self.kwargs)
                self.versions = self.input_versions()
        finally:
            if self.rng_state is not None:
                random.set_rng_state(before)
        if len(kinds) != len(self.kinds):
            raise CheckpointError(
                "checkpoint: A different number of tensors was saved during the original forward and recomputation.\n"
                f"Number of tensors saved during forward: {len(self.kinds)}\n"
                f"Number of tensors saved during recomputation: {len(kinds)}."
            )
        for i, (old, new) in enumerate(zip(self.kinds, kinds, strict=True)):
            if old[2] != new[2]:
                raise RuntimeError(
                    "checkpoint: one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"saved tensor {i} of shape {list(new[0])} is at version {new[2]}; expected version {old[2]} instead."
                )
            if self.checked and old != new:
                raise CheckpointError(
                    "checkpoint: Recomputed values for the following tensors have different metadata than during the forward pass.\n"
                    f"tensor at position {i}:\nsaved metadata: shape {list(old[0])}, dtype {old[1]}\n"
                    f"recomputed metadata: shape {list(new[0])}, dtype {new[1]}"
                )


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """function(*args, **kwargs), whose operations save no tensors: backward calls the function again for them.

    function must compute the same the second time; preserve_rng_state has it draw the same random numbers. context_fn gives a context for
    the first call and one for the second; determinism_check="none" leaves out the comparison of shapes and dtypes. There is one way to
    do this here, which works with autograd.grad and with inputs that do not require grad: use_reentrant=True and False are the same (True
    takes no further keyword arguments, as in PyTorch), and debug and early_stop change nothing. Raises CheckpointError in backward if the
    second call saves other tensors, RuntimeError if one of its inputs was written in between.
    """
    if use_reentrant is None:
        warnings.warn(
            "minigrad.utils.checkpoint: the use_reentrant parameter should be passed explicitly. use_reentrant=False is recommended.",
            stacklevel=2,
        )
        use_reentrant = True
    if use_reentrant and kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if use_reentrant and context_fn is not noop_context_fn:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    if determinism_check not in ("default", "none"):
        raise ValueError(f"determinism_check should be one of ['default', 'none'] but got {determinism_check}")
    forward_context, recompute_context = context_fn()
    if not is_grad_enabled():
        with forward_context:
            return function(*args, **kwargs)
    frame = _Frame(function, args, kwargs, preserve_rng_state, recompute_context, determinism_check == "default")
    with saved_tensors_hooks(frame.pack, frame.unpack), forward_context:
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Sequential | Sequence[Callable[[Any], Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """The functions (or the modules of a Sequential) one after the other, in `segments` pieces, each but the last checkpointed."""
    if use_reentrant is None:
        warnings.warn(
            "minigrad.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended.",
            stacklevel=2,
        )
        use_reentrant = True
    steps: list[Any] = list(functions.children() if hasattr(functions, "children") else functions)
    size = len(steps) // segments
    start = 0
    for _ in range(segments - 1):
        piece = _in_turn(steps[start : start + size])
        input = checkpoint(piece, input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state)
        start += size
    return _in_turn(steps[start:])(input)


def _in_turn(steps: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def run(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return run
