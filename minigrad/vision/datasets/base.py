"""What the datasets of images have in common: a folder, transforms, a repr."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from minigrad.utils.data import Dataset


def _indented(head: str, thing: Any) -> list[str]:
    first, *rest = repr(thing).splitlines()
    return [head + first, *(" " * len(head) + line for line in rest)]


class StandardTransform:
    """One transform for the image and one for its target."""

    def __init__(self, transform: Callable | None = None, target_transform: Callable | None = None) -> None:
        self.transform, self.target_transform = transform, target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        if self.transform is not None:
            lines += _indented("Transform: ", self.transform)
        if self.target_transform is not None:
            lines += _indented("Target transform: ", self.target_transform)
        return "\n".join(lines)


class VisionDataset(Dataset):
    """A dataset in the folder `root`, with either `transforms` of (image, target) or `transform` and `target_transform`.

    Raises ValueError for both.
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        transforms: Callable | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
    ) -> None:
        separate = transform is not None or target_transform is not None
        if transforms is not None and separate:
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.root = os.path.expanduser(root) if isinstance(root, str) else root
        self.transform, self.target_transform = transform, target_transform
        self.transforms = StandardTransform(transform, target_transform) if separate else transforms

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} needs a __len__")

    def transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """The pair, through the transforms."""
        return (image, target) if self.transforms is None else self.transforms(image, target)

    def extra_repr(self) -> str:
        """More lines for the repr."""
        return ""

    def __repr__(self) -> str:
        lines = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            lines.append(f"Root location: {self.root}")
        lines += self.extra_repr().splitlines()
        if self.transforms is not None:
            lines.append(repr(self.transforms))
        return "\n    ".join([f"Dataset {type(self).__name__}", *lines])
