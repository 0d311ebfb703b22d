"""Data parallelism over GPUs, on a machine that has none: the module alone does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad._device import check_device
from minigrad.nn.module import Module


class DataParallel(Module):
    """The module behind one more name ("module." before every parameter's), as in PyTorch; it computes by itself.

    Raises RuntimeError if device_ids or output_device ask for a GPU.
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        _only_the_cpu(device_ids)
        self.dim = dim
        self.module = module
        self.device_ids: list[Any] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """module(*inputs, **kwargs)"""
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """The class that programs ask for with isinstance(model, DistributedDataParallel). Made, it raises RuntimeError: there is one
    process.
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("nn.parallel.DistributedDataParallel: minigrad trains in one process, on one machine")


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """module(*inputs), or module(inputs) if inputs is no tuple. RuntimeError if device_ids ask for a GPU."""
    _only_the_cpu(device_ids)
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))


def _only_the_cpu(device_ids: Sequence[Any] | None) -> None:
    for device in device_ids or ():
        check_device(f"cuda:{device}" if isinstance(device, int) else device)
