"""DLPack: tensors and other libraries' arrays in one memory."""

from typing import Any

from minigrad.creation import from_dlpack as from_dlpack
from minigrad.tensor import Tensor


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of the tensor, which `from_dlpack` of any library takes, once. BufferError if it requires grad."""
    return tensor.__dlpack__()
