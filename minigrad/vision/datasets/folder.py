"""Datasets in folders: a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minigrad.vision.datasets.base import VisionDataset

if TYPE_CHECKING:
    from PIL.Image import Image

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def find_classes(directory: str | os.PathLike) -> tuple[list[str], dict[str, int]]:
    """The names of the folders, sorted, and the number of each. FileNotFoundError if there is none."""
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: i for i, name in enumerate(classes)}


def make_dataset(
    directory: str | os.PathLike,
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """(path, class) of every file below the folders of the classes that ends with one of the extensions or is_valid_file.

    Raises ValueError unless just one of these two is given, FileNotFoundError for a class without a file (unless allow_empty).
    """
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("Both extensions and is_valid_file cannot be None or not None at the same time")
    if class_to_idx is None:
        class_to_idx = find_classes(directory)[1]
    samples, empty = [], []
    for name, number in sorted(class_to_idx.items()):
        before = len(samples)
        for folder, _, files in sorted(os.walk(os.path.join(os.path.expanduser(directory), name), followlinks=True)):
            for path in (os.path.join(folder, file) for file in sorted(files)):
                if is_valid_file(path) if is_valid_file is not None else path.lower().endswith(extensions):  # type: ignore[arg-type]
                    samples.append((path, number))
        if len(samples) == before:
            empty.append(name)
    if empty and not allow_empty:
        known = "" if extensions is None else extensions if isinstance(extensions, str) else ", ".join(extensions)
        supported = f"Supported extensions are: {known}" if known else ""
        raise FileNotFoundError(f"Found no valid file for the classes {', '.join(empty)}. {supported}")
    return samples


def default_loader(path: str) -> Image:
    """The image in a file, in RGB."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB")


class DatasetFolder(VisionDataset):
    """(loader(path), class) of the files root/class/.../file. `samples` lists (path, class), `classes` the names."""

    def __init__(
        self,
        root: str | os.PathLike,
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader, self.extensions = loader, extensions
        self.classes, self.class_to_idx = self.find_classes(os.fspath(self.root or ""))
        self.samples = make_dataset(os.fspath(self.root or ""), self.class_to_idx, extensions, is_valid_file, allow_empty)
        self.targets = [target for _, target in self.samples]

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """The classes and their numbers; to be overridden for another order or a part of them."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self.transformed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """The images root/class/.../image as (Pillow image in RGB, class). `imgs` is `samples`."""

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        extensions = IMG_EXTENSIONS if is_valid_file is None else None
        super().__init__(root, loader, extensions, transform, target_transform, is_valid_file, allow_empty)
        self.imgs = self.samples
