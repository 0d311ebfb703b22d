"""torch.onnx: minigrad writes no ONNX files."""

from __future__ import annotations

from minigrad._no_device import refuse_because

export = refuse_because("onnx.export", "minigrad writes no ONNX files; save the state_dict()")


def is_in_onnx_export() -> bool:
    """Whether a model is being exported: never."""
    return False
