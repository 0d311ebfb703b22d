"""torch.backends.cuda: not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class _Matmul:
    """The switches of matrix products on a GPU; kept, without effect."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()


def is_built() -> bool:
    """Whether minigrad was built with CUDA: never."""
    return False


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[dict]:
    """A context that changes nothing: there is one way to compute attention."""
    yield {}


def enable_flash_sdp(enabled: bool) -> None:
    """Nothing: there is one way to compute attention."""


enable_math_sdp = enable_mem_efficient_sdp = enable_cudnn_sdp = enable_flash_sdp
