"""The graph seen from outside: its nodes, hooks over several tensors, and hooks on what nodes save."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad._ext.engine import AccumulateGrad, TensorBase, _pop_saving_hooks, _push_saving_hooks
from minigrad._ext.engine import Function as Node

if TYPE_CHECKING:
    from minigrad.tensor import Tensor

__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class GradientEdge(NamedTuple):
    """Where the gradient of a tensor goes: a node, and which of its outputs the tensor is."""

    node: Any
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of the tensor goes. RuntimeError if it does not require grad."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    return GradientEdge(AccumulateGrad(tensor) if tensor.is_leaf else tensor.grad_fn, tensor.output_nr)


def increment_version(tensor: Tensor | Sequence[Tensor]) -> None:
    """Notes that the storage of a tensor was written by other means than its own methods. RuntimeError for an inference tensor."""
    for t in [tensor] if isinstance(tensor, TensorBase) else tensor:
        if t.is_inference():
            raise RuntimeError("Inference tensors do not track version counter.")
        t._bump_version()


class _Disabled(threading.local):
    """Why hooks on what is saved are refused in this thread, None if they are not."""

    reason: str | None = None


_disabled = _Disabled()


class saved_tensors_hooks:
    """Within the block, nodes keep pack_hook(tensor) for each tensor they save, and use unpack_hook of that in backward.

    pack_hook may give anything; unpack_hook must give a Tensor of the same values and shape. What an operation keeps besides tensors (the
    positions of a maximum, say) does not go through the hooks. Whether what was saved is written meanwhile is the hooks' own affair.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if _disabled.reason is not None:
            raise RuntimeError(_disabled.reason)
        _push_saving_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(self, *_: object) -> None:
        _pop_saving_hooks()


class save_on_cpu(saved_tensors_hooks):
    """Within the block, nodes save a copy of each tensor, which may then be written in place before backward. pin_memory is ignored."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda tensor: tensor.detach().clone(), lambda packed: packed)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within the block, saved_tensors_hooks raises RuntimeError with this message."""
    before, _disabled.reason = _disabled.reason, error_message
    try:
        yield
    finally:
        _disabled.reason = before
