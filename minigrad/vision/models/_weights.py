"""The argument `weights` of the models: None."""

from __future__ import annotations

from typing import Any


def refuse_weights(name: str, weights: Any, pretrained: bool) -> None:
    """ValueError unless weights is None and pretrained False: trained weights are not distributed with minigrad."""
    if weights is not None or pretrained:
        raise ValueError(
            f"{name}: minigrad has no trained weights. Make the model with weights=None, and give it those of torchvision, saved "
            f"there as a safetensors file: model.load_state_dict(minigrad.load(path))"
        )
