"""CIFAR-10 and CIFAR-100. Source: Krizhevsky, "Learning multiple layers of features from tiny images", 2009."""

from __future__ import annotations

import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.vision.datasets.base import VisionDataset
from minigrad.vision.datasets.download import download as fetch


class _ArraysOnly(pickle.Unpickler):
    """Reads dicts, lists, strings, numbers and numpy arrays; refuses to look up anything that could run code."""

    _ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),
    }

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of an array. UnpicklingError for any other."""
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no array needs")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _read(path: Path) -> dict[str, Any]:
    """The dict in a batch. ValueError if it is damaged or asks for more than arrays."""
    try:
        with open(path, "rb") as file:
            entry = _ArraysOnly(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a batch of CIFAR: {error}") from error
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: not a batch of CIFAR: a {type(entry).__name__}")
    return entry


class CIFAR10(VisionDataset):
    """60,000 pictures in ten classes, 32 x 32: (Pillow image, int). `data` is an array (N, 32, 32, 3) uint8, `targets` a list.

    The files are root/cifar-10-batches-py/data_batch_1 and so on; download=True fetches them (170 MB) if they are not there and checks
    their MD5. The batches are pickles, read by a reader that knows arrays only. Raises RuntimeError if they are not there, ValueError
    if they are damaged.
    """

    base_folder = "cifar-10-batches-py"
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    tgz_md5 = "c58f30108f718f92721af3b95e74349a"
    train_list = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
    test_list = ["test_batch"]
    meta = ("batches.meta", "label_names", "labels")

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        folder = Path(self.root or "", self.base_folder)
        names = self.train_list if train else self.test_list
        missing = [name for name in [*names, self.meta[0]] if not (folder / name).is_file()]
        if missing and download:
            archive = Path(self.root or "", self.url.rpartition("/")[2])
            fetch([self.url], archive, self.tgz_md5)
            with tarfile.open(archive) as tar:
                tar.extractall(self.root or "", filter="data")
        elif missing:
            raise RuntimeError(
                f"Dataset not found or corrupted: {folder / missing[0]} is not there. You can use download=True to download it"
            )
        images, self.targets = [], []
        for name in names:
            entry = _read(folder / name)
            pixels, labels = np.asarray(entry["data"]), entry[self.meta[2]]
            if pixels.dtype != np.uint8 or pixels.shape != (len(labels), 3072):
                raise ValueError(f"{folder / name}: expected bytes of shape ({len(labels)}, 3072), got {pixels.shape}")
            images.append(pixels)
            self.targets.extend(labels)
        # (N, 3 * 32 * 32) -> (N, 32, 32, 3)
        self.data = np.concatenate(images).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.classes = list(_read(folder / self.meta[0])[self.meta[1]])
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        return self.transformed(Image.fromarray(np.ascontiguousarray(self.data[index])), self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """CIFAR10's pictures in a hundred classes: root/cifar-100-python/train and so on."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = ["train"]
    test_list = ["test"]
    meta = ("meta", "fine_label_names", "fine_labels")
