"""MNIST and the datasets in its format (IDX). Source of the format: yann.lecun.com/exdb/mnist."""

from __future__ import annotations

import gzip
import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minigrad
from minigrad import Tensor
from minigrad.vision.datasets.base import VisionDataset
from minigrad.vision.datasets.download import download as fetch


def read_idx(path: Path, ndim: int) -> Tensor:
    """The uint8 tensor in an IDX file, plain or gzipped: two zero bytes, the type 8, the number of dimensions, the sizes, the elements.

    Raises ValueError for a file of another kind or size.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            header = file.read(4 + 4 * ndim)
            if len(header) < 4 + 4 * ndim or header[:4] != bytes([0, 0, 8, ndim]):
                raise ValueError(f"{path}: not an IDX file of bytes in {ndim} dimensions")
            sizes = struct.unpack(f">{ndim}I", header[4:])
            count = math.prod(sizes)
            data = file.read(min(count, 1 << 31) + 1)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: damaged: {error}") from error
    if len(data) != count:
        raise ValueError(
            f"{path}: {count} bytes were announced for sizes {sizes}, but there are {'more' if len(data) > count else len(data)}"
        )
    return minigrad.from_numpy(np.frombuffer(data, np.uint8).reshape(sizes).copy())


class MNIST(VisionDataset):
    """70,000 handwritten digits, gray, 28 x 28: (Pillow image, int). `data` is (N, 28, 28) uint8, `targets` (N,) int64.

    The files are root/MNIST/raw/train-images-idx3-ubyte and so on, with or without .gz; download=True fetches those that are missing
    and checks their MD5. Raises RuntimeError if they are not there, ValueError if they are damaged.
    """

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

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
        part = "train" if train else "t10k"
        self.data = read_idx(self._file(f"{part}-images-idx3-ubyte", download), 3)
        self.targets = read_idx(self._file(f"{part}-labels-idx1-ubyte", download), 1).to(minigrad.int64)
        if len(self.data) != len(self.targets):
            raise ValueError(f"{self.raw_folder}: {len(self.data)} images, but {len(self.targets)} labels")

    def _file(self, name: str, download: bool) -> Path:
        """The file, without .gz or with it."""
        plain, zipped = Path(self.raw_folder, name), Path(self.raw_folder, f"{name}.gz")
        if not plain.is_file() and not zipped.is_file():
            if not download:
                raise RuntimeError(f"Dataset not found: {plain} is not there. You can use download=True to download it")
            fetch([mirror + zipped.name for mirror in self.mirrors], zipped, self.resources[zipped.name])
        return plain if plain.is_file() else zipped

    @property
    def raw_folder(self) -> str:
        """The folder of the files."""
        return os.path.join(self.root or "", type(self).__name__, "raw")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The number of each class, by its name."""
        return {name: i for i, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        from PIL import Image

        return self.transformed(Image.fromarray(self.data[index].numpy()), int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        """Which part it is."""
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """70,000 pieces of clothing, in MNIST's format. Source: github.com/zalandoresearch/fashion-mnist."""

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


class KMNIST(MNIST):
    """70,000 characters of the Kuzushiji script, in MNIST's format. Source: github.com/rois-codh/kmnist."""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
