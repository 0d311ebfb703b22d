"""torch.backends.cpu: what the processor can do."""

from __future__ import annotations

from minigrad._ext.threads import instruction_set

_CAPABILITY = {"v2": "DEFAULT", "v3": "AVX2", "v4": "AVX512"}


def get_cpu_capability() -> str:
    """The instruction set of the kernels in use, in PyTorch's words: "DEFAULT", "AVX2" or "AVX512"."""
    level = instruction_set()
    return next((word for name, word in _CAPABILITY.items() if name in level), "DEFAULT")
