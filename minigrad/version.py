"""The versions: minigrad's, and of the PyTorch whose names and behaviour it follows."""

from __future__ import annotations

__version__ = "0.1.0"
torch_version = f"2.13.0+minigrad.{__version__}"
"""What a PyTorch program reads as torch.__version__."""
cuda: str | None = None
"""The version of CUDA: there is none."""
hip: str | None = None
"""The version of ROCm: there is none."""
debug = False
