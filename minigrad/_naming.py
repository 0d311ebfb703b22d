"""named_node, the decorator of operations that are made of others: their result's node has their name, as it has in PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from minigrad._ext import engine

F = TypeVar("F", bound=Callable[..., Any])

# Where PyTorch's node is not called as the function is.
_OTHERWISE = {
    "_square": "MseLossBackward0",
    "adaptive_max_pool2d_with_indices": "AdaptiveMaxPool2DBackward0",
    "adaptive_max_pool3d_with_indices": "AdaptiveMaxPool3DBackward0",
    "affine_grid": "AffineGridGeneratorBackward0",
    "cross": "LinalgCrossBackward0",
    "grid_sample": "GridSampler2DBackward0",
    "group_norm": "NativeGroupNormBackward0",
    "instance_norm": "ViewBackward0",
    "layer_norm": "NativeLayerNormBackward0",
    "rpow": "PowBackward2",
    "rsub": "RsubBackward1",
}


def named_node(function: F) -> F:
    """Has the node of the operation's result (or of each result) shown by its name: MaskedFillBackward0 for masked_fill."""
    name = function.__name__
    camel = "".join(part[0].upper() + part[1:] for part in name.split("_") if part)
    label = re.sub(r"(?<=\d)[a-z]", lambda letter: letter[0].upper(), camel) + "Backward0"  # pool2d -> Pool2D
    return engine.shown_as(_OTHERWISE.get(name, label), function)  # type: ignore[no-any-return]
