"""Settings of PyTorch that mean little on one device with fixed bits: they are checked, kept and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import _dtype
from minigrad._device import CPU, check_device, device
from minigrad._dtype import dtype as DType


class memory_format:
    """The order of a tensor's elements in memory. minigrad's kernels work row by row, so a format is accepted and changes nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"minigrad.{self.name}"


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")


_deterministic = False
_matmul_precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Keeps the mode. Results are always the same bits, for any number of threads, so that nothing changes."""
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """What use_deterministic_algorithms was told."""
    return _deterministic


def set_float32_matmul_precision(precision: str) -> None:
    """Keeps "highest", "high" or "medium". Products are always computed in float32, the highest. RuntimeError for other words."""
    global _matmul_precision
    if precision not in ("highest", "high", "medium"):
        raise RuntimeError(f"{precision!r} is not one of 'highest', 'high' and 'medium'")
    _matmul_precision = precision


def get_float32_matmul_precision() -> str:
    """What set_float32_matmul_precision was told."""
    return _matmul_precision


def set_default_device(device: Any) -> None:
    """Accepts the CPU, in any spelling, and None. RuntimeError for another device."""
    check_device(device)


def get_default_device() -> device:
    """The CPU."""
    return CPU


def set_default_tensor_type(t: Any) -> None:
    """Sets the default dtype by a tensor type: FloatTensor, DoubleTensor or their names. TypeError for others."""
    found = getattr(t, "dtype", None)
    if isinstance(t, str):
        found = {"FloatTensor": _dtype.float32, "DoubleTensor": _dtype.float64}.get(t.rpartition(".")[2])
    if not isinstance(found, DType):
        raise TypeError(f"invalid type object: {t!r}")
    _dtype.set_default_dtype(found)


def set_flush_denormal(mode: bool) -> bool:
    """False: denormal numbers are always kept."""
    return False


def get_num_interop_threads() -> int:
    """The threads that run operations side by side: 1."""
    return 1


def set_num_interop_threads(threads: int) -> None:
    """Accepts a positive number and changes nothing: operations run one after the other. RuntimeError for other numbers."""
    if threads < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")


def compile(model: Any = None, **options: Any) -> Any:
    """The model or function itself, also as a decorator: minigrad has no compiler, and results are those of the program as written."""
    if model is None:

        def decorator(function: Callable) -> Callable:
            return function

        return decorator
    return model
