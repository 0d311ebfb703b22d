"""torch.backends.cuda: not there."""

from __future__ import annotations


class _Matmul:
    """The switches of matrix products on a GPU; kept, without effect."""

    allow_tf32 = False
    allow_fp16_reduced_precision_reduction = True
    allow_bf16_reduced_precision_reduction = True


matmul = _Matmul()


def is_built() -> bool:
    """Whether minigrad was built with CUDA: never."""
    return False
