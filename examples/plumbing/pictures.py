"""How the examples draw: every picture is a matplotlib figure that is saved, never shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # after the choice of a backend that needs no screen
from matplotlib.animation import FuncAnimation, PillowWriter

plt.rcParams.update(
    {"axes.grid": True, "grid.alpha": 0.3, "image.interpolation": "nearest", "figure.constrained_layout.use": True}
)


def save_figure(figure: plt.Figure, path: Path) -> None:
    """Writes the figure and says where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    print(f"wrote {path}")


def save_animation(figure: plt.Figure, draw: Callable[[int], object], frames: int, path: Path, seconds: float = 6) -> None:
    """Writes a GIF of `frames` pictures, `draw(i)` made each, that lasts about so many seconds; says where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FuncAnimation(figure, draw, frames=frames, blit=False).save(path, PillowWriter(fps=max(1, round(frames / seconds))), dpi=80)
    plt.close(figure)
    print(f"wrote {path}")


def show(axes: plt.Axes, image: np.ndarray, title: str = "", **settings) -> None:
    """One image on one pair of axes: (H, W) in grey, (3, H, W) in colour."""
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else image.transpose(1, 2, 0).clip(0, 1)
    if image.ndim == 2:
        settings = {"cmap": "gray"} | settings
    axes.imshow(image, **settings)
    axes.set_title(title, fontsize=9)
    axes.axis("off")


def draw_images(
    path: Path, images: Mapping[str, np.ndarray], columns: int = 4, size: float = 2.6, title: str = "", **settings
) -> None:
    """A sheet of images under their names."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = size * max(image.shape[-2] / image.shape[-1] for image in images.values())
    figure, grid = plt.subplots(rows, columns, figsize=(size * columns, (height + 0.35) * rows), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, (name, image) in zip(grid.flat, images.items()):
        show(axes, image, name, **settings)
    if title:
        figure.suptitle(title)
    save_figure(figure, path)


def draw_lines(
    path: Path, lines: Mapping[str, Sequence[float]], xlabel: str, ylabel: str, title: str, log: bool = False, first: int = 1
) -> None:
    """Curves over 1, 2, 3 ... on one pair of axes, with a legend."""
    figure, axes = plt.subplots(figsize=(7, 4))
    for name, values in lines.items():
        (axes.semilogy if log else axes.plot)(range(first, first + len(values)), values, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    save_figure(figure, path)


def draw_history(path: Path, history: Mapping[str, Sequence[float]]) -> None:
    """Loss (log scale) and accuracies by epoch, from what `training.fit` returns."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    epochs = range(1, len(history["loss"]) + 1)
    left.semilogy(epochs, history["loss"], color="tab:red")
    left.set(xlabel="epoch", ylabel="training loss (log scale)", title="Loss")
    for name in ("train accuracy", "test accuracy"):
        if name in history:
            right.plot(epochs, history[name], label=name)
    right.set(xlabel="epoch", ylabel="accuracy", title="Accuracy")
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    save_figure(figure, path)


def draw_confusion(path: Path, truth: np.ndarray, guess: np.ndarray, classes: int) -> None:
    """How often each class was taken for each."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, guess), 1)
    figure, axes = plt.subplots(figsize=(6, 5.4))
    picture = axes.imshow(np.log1p(counts), cmap="Blues")
    axes.grid(False)
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
        show(axes, images[i], f"{truth[i]} taken for {guess[i]}\n({sure[i]:.0%} sure)", cmap="gray_r")
    figure.suptitle(
        f"Misclassified digits ({np.count_nonzero(truth != guess)})" if len(wrong) else "No digit was misclassified"
    )
    save_figure(figure, path)


def draw_filters(path: Path, filters: np.ndarray) -> None:
    """The first layer's filters: red adds, blue subtracts."""
    limit = float(np.abs(filters).max())
    images = {f"filter {i}": image for i, image in enumerate(filters)}
    draw_images(path, images, columns=len(images), size=1.6, cmap="RdBu_r", vmin=-limit, vmax=limit)
