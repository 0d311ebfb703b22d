"""The data of the examples: real digits, photographs and tables that come with scikit-learn, or a folder of the reader's."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

import minigrad as mg
import minigrad.nn.functional as F
from minigrad.utils.data import TensorDataset


def read_idx(path: Path) -> np.ndarray:
    """An array from a file in IDX format, gzipped or not.

    The format (yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned byte), the number of dimensions, their sizes as
    big-endian 32-bit integers, the elements. Raises ValueError for a file that is none.
    """
    raw = path.read_bytes()
    data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    if len(data) < 4 or data[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    ndim = data[3]
    shape = np.frombuffer(data, ">i4", ndim, offset=4)
    if len(data) != 4 + 4 * ndim + int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{path}: {len(data)} bytes do not hold {'x'.join(map(str, shape))} elements")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * ndim).reshape(shape)


def find_idx(folder: Path, stem: str) -> Path | None:
    """The file of this stem in the folder, under any of the names it is distributed by; None if there is none."""
    for name in (f"{stem}-ubyte.gz", f"{stem}-ubyte", f"{stem}.gz", stem, f"{stem.replace('-idx', '.idx')}-ubyte"):
        if (folder / name).is_file():
            return folder / name
    return None


def read_mnist(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels, from a folder with MNIST's files.

    With only one of MNIST's two sets there, its last tenth is the test set. Raises FileNotFoundError if neither is.
    """
    sets = []
    for name in ("train", "t10k"):
        images, labels = find_idx(folder, f"{name}-images-idx3"), find_idx(folder, f"{name}-labels-idx1")
        if images and labels:
            sets.append((read_idx(images), read_idx(labels).astype(np.int64)))
            if len(sets[-1][0]) != len(sets[-1][1]):
                raise ValueError(f"{images} has {len(sets[-1][0])} images but {labels} has {len(sets[-1][1])} labels")
    if not sets:
        raise FileNotFoundError(f"{folder}: no train-images-idx3-ubyte or t10k-images-idx3-ubyte with its labels (.gz or not)")
    if len(sets) == 2:
        return (*sets[0], *sets[1])
    images, labels = sets[0]
    cut = len(images) - len(images) // 10
    return images[:cut], labels[:cut], images[cut:], labels[cut:]


def digit_images(seed: int, size: int = 8) -> tuple[mg.Tensor, mg.Tensor]:
    """scikit-learn's 1,797 scanned digits in an order of the seed's: images (1797, 1, size, size) in [0, 1], labels (1797,)."""
    from sklearn.datasets import load_digits  # takes a second to import: only where it is needed

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    images = mg.tensor(digits.images[order] / 16.0, dtype=mg.float32).unsqueeze(1)
    if size != 8:
        images = F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    return images, mg.tensor(digits.target[order])


def digits(seed: int, size: int = 8, folder: Path | None = None) -> tuple[TensorDataset, TensorDataset]:
    """Training and test set of digits, images (N, 1, H, W) of mean 0 and deviation 1, labels (N,).

    scikit-learn's (1,437 and 360 of them, enlarged to `size`), or MNIST's from a folder.
    """
    if folder is None:
        images, labels = digit_images(seed, size)
        cut = 1437  # four fifths to train, 360 to test
        sets = images[:cut], labels[:cut], images[cut:], labels[cut:]
    else:
        sets = [mg.tensor(a / np.float32(255)).unsqueeze(1) if a.ndim == 3 else mg.tensor(a) for a in read_mnist(folder)]
    mean, std = sets[0].mean(), sets[0].std()
    return TensorDataset((sets[0] - mean) / std, sets[1]), TensorDataset((sets[2] - mean) / std, sets[3])


def read_photograph(path: Path) -> np.ndarray:
    """A picture file as (3, H, W) float32 in [0, 1]."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1) / 255


def photographs() -> dict[str, np.ndarray]:
    """scikit-learn's two photographs, a temple ("china") and a dahlia ("flower"): (3, 427, 640) float32 in [0, 1]."""
    from sklearn.datasets import load_sample_images

    pictures = load_sample_images()
    return {
        Path(name).stem: image.transpose(2, 0, 1).astype(np.float32) / 255
        for name, image in zip(pictures.filenames, pictures.images)
    }


def standardized(table: np.ndarray, like: np.ndarray) -> mg.Tensor:
    """The columns of a table less the mean of `like`'s, over their deviation, as float32."""
    return mg.tensor((table - like.mean(axis=0)) / like.std(axis=0), dtype=mg.float32)
