"""What the example scripts share: reading digits, and drawing pictures of a training run."""

from __future__ import annotations

import gzip
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of a backend that needs no screen


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


def save_figure(figure: plt.Figure, path: Path) -> None:
    """Writes the figure and says where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    print(f"wrote {path}")


def draw_curves(path: Path, loss: list[float], train: list[float], test: list[float]) -> None:
    """Loss and accuracies by epoch."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    epochs = range(1, len(loss) + 1)
    left.semilogy(epochs, loss, color="tab:red")
    left.set(xlabel="epoch", ylabel="training loss (log scale)", title="Loss")
    right.plot(epochs, train, label="training set")
    right.plot(epochs, test, label="test set")
    right.set(xlabel="epoch", ylabel="accuracy", title="Accuracy")
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, path)


def draw_confusion(path: Path, truth: np.ndarray, guess: np.ndarray, classes: int) -> None:
    """How often each class was taken for each."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, guess), 1)
    figure, axes = plt.subplots(figsize=(6, 5.4))
    picture = axes.imshow(np.log1p(counts), cmap="Blues")
    for i in range(classes):
        for j in range(classes):
            if counts[i, j]:
                dark = np.log1p(counts[i, j]) > 0.6 * picture.norm.vmax
                axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=9, color="white" if dark else "black")
    axes.set(xlabel="predicted digit", ylabel="true digit", xticks=range(classes), yticks=range(classes))
    axes.set_title(f"Confusion matrix: {np.trace(counts)} of {counts.sum()} right")
    save_figure(figure, path)


def draw_misclassified(path: Path, images: np.ndarray, truth: np.ndarray, guess: np.ndarray, sure: np.ndarray) -> None:
    """The digits that were taken for another, the surest mistakes first."""
    wrong = np.nonzero(truth != guess)[0]
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:24]
    columns = max(1, min(8, len(wrong)))
    rows = max(1, -(-len(wrong) // columns))
    figure, grid = plt.subplots(rows, columns, figsize=(1.5 * columns, 1.9 * rows), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, wrong):
        axes.imshow(images[i], cmap="gray_r")
        axes.set_title(f"{truth[i]} taken for {guess[i]}\n({sure[i]:.0%} sure)", fontsize=8)
    figure.suptitle(f"Misclassified digits ({np.count_nonzero(truth != guess)})" if len(wrong) else "No digit was misclassified")
    figure.tight_layout()
    save_figure(figure, path)


def draw_filters(path: Path, filters: np.ndarray) -> None:
    """The first layer's filters: red adds, blue subtracts."""
    figure, grid = plt.subplots(1, len(filters), figsize=(1.6 * len(filters), 1.9), squeeze=False)
    limit = float(np.abs(filters).max())
    for i, axes in enumerate(grid.flat):
        axes.imshow(filters[i], cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.set_title(f"filter {i}", fontsize=9)
        axes.axis("off")
    save_figure(figure, path)
