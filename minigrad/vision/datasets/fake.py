"""Random images, for trying a program out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minigrad
from minigrad.vision.datasets.base import VisionDataset
from minigrad.vision.transforms.functional import to_pil_image


class FakeData(VisionDataset):
    """`size` pairs (Pillow image, int) of noise and a random class; the index decides which, and the global generator stays as it is."""

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.image_size, self.num_classes, self.random_offset = size, image_size, num_classes, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        generator = minigrad.Generator().manual_seed(index + self.random_offset)
        image = to_pil_image(minigrad.randn(*self.image_size, generator=generator))
        target = int(minigrad.randint(0, self.num_classes, (1,), generator=generator).item())
        return self.transformed(image, target)

    def __len__(self) -> int:
        return self.size
