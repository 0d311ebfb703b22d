"""Grids of images, and image files."""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO

import minigrad
from minigrad import Tensor


def _scale_to_one(image: Tensor, value_range: tuple[float, float] | None) -> None:
    low, high = (float(image.min()), float(image.max())) if value_range is None else value_range
    image.clamp_(low, high).sub_(low).div_(max(high - low, 1e-5))


def _as_batch(tensor: Tensor | list[Tensor]) -> Tensor:
    """Images as (N, C, H, W), gray ones with three channels."""
    if isinstance(tensor, list):
        wrong = [type(t) for t in tensor if not isinstance(t, Tensor)]
        if wrong:
            raise TypeError(f"tensor or list of tensors expected, got a list containing {wrong[0]}")
        tensor = minigrad.stack(tensor, 0)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type(tensor)}")
    if tensor.dim() == 2:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() == 3:
        tensor = tensor.unsqueeze(0)
    return minigrad.cat((tensor, tensor, tensor), 1) if tensor.dim() == 4 and tensor.size(1) == 1 else tensor


def make_grid(
    tensor: Tensor | list[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """One image (C, H', W') of many, (N, C, H, W) or a list of (C, H, W): `nrow` of them in a row, `padding` pixels between them.

    normalize=True maps value_range, by default the least and the greatest value (of each image with scale_each), to 0 ... 1. A single
    image comes back as it is. Raises TypeError for what is no tensor.
    """
    images = _as_batch(tensor)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError("value_range has to be a tuple (min, max) if specified. min and max are numbers")
        images = images.clone()
        for image in images if scale_each else [images]:
            _scale_to_one(image, value_range)
    if images.size(0) == 1:
        return images.squeeze(0)
    count, channels, image_height, image_width = images.shape
    columns = min(nrow, count)
    height, width = image_height + padding, image_width + padding
    grid = images.new_full((channels, height * math.ceil(count / columns) + padding, width * columns + padding), pad_value)
    for i, image in enumerate(images):
        top, left = padding + i // columns * height, padding + i % columns * width
        grid[:, top : top + image_height, left : left + image_width] = image
    return grid


def save_image(
    tensor: Tensor | list[Tensor], fp: str | os.PathLike | BinaryIO, format: str | None = None, **kwargs: Any
) -> None:
    """Writes make_grid(tensor, **kwargs), with values 0 ... 1, to an image file (or a file object, then with its format)."""
    from PIL import Image

    with minigrad.no_grad():
        grid = make_grid(tensor, **kwargs)
        pixels = grid.mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0).to(minigrad.uint8).numpy()
    Image.fromarray(pixels).save(fp, format=format)
