"""Plots of tensors and of training, by matplotlib, which is imported when the first is drawn. All return a Figure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.nn import Module
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(width: float, height: float, gap: float | None = None) -> Figure:
    """A figure that is no part of pyplot's state and needs no screen. ImportError, with the mend, without matplotlib."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError('this picture needs matplotlib: pip install "minigrad[viz]"') from error
    engine = ConstrainedLayoutEngine() if gap is None else ConstrainedLayoutEngine(h_pad=gap, w_pad=gap, hspace=gap, wspace=gap)
    return Figure(figsize=(width, height), layout=engine)


def gradient_flow(model: Module, *, title: str = "Gradient by parameter") -> Figure:
    """The Euclidean norm of each parameter's gradient, in the order of the parameters, on a logarithmic axis.

    Where gradients vanish or explode, bars shrink or grow from layer to layer. A parameter without a gradient, one whose gradient is
    zero, and one with NaN or infinity in it say so in words. Call it after backward(). TypeError unless `model` is a Module,
    ValueError for one without parameters.
    """
    if not isinstance(model, Module):
        raise TypeError(f"viz.gradient_flow: expected a Module, but got {type(model).__name__}")
    named = list(model.named_parameters())
    if not named:
        raise ValueError("viz.gradient_flow: the model has no parameters")
    norms = [None if p.grad is None else float(np.linalg.norm(p.grad.numpy().astype(np.float64))) for _, p in named]
    drawn = [norm for norm in norms if norm is not None and 0 < norm < math.inf]
    low, high = (min(drawn) / 3, max(drawn) * 3) if drawn else (0.1, 1.0)
    longest = max(len(name) for name, _ in named)
    figure = _figure(6.5 + 0.06 * longest, max(2.2, 0.26 * len(named) + 1.1))
    axes = figure.add_subplot()
    for i, norm in enumerate(norms):
        if norm is not None and 0 < norm < math.inf:
            matrix = named[i][1].ndim > 1
            axes.barh(i, norm - low, left=low, color="tab:blue" if matrix else "tab:cyan", height=0.75)
        else:
            said = "no gradient" if norm is None else "zero" if norm == 0 else "NaN or infinite"
            axes.text(low * 1.05, i, said, va="center", fontsize=8, color="0.45" if norm is None or norm == 0 else "tab:red")
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(len(named) - 0.5, -0.5), xlabel="norm of the gradient (log scale)", title=title)
    axes.set_yticks(range(len(named)), [name for name, _ in named], fontsize=8)
    axes.grid(axis="x", alpha=0.3)
    return figure


def _tiles(images: Any) -> tuple[list[np.ndarray], int | None]:
    """Pictures of shape (H, W) or (H, W, 3), and how many stand side by side where the shape says so."""
    array = images.detach().numpy() if isinstance(images, Tensor) else np.asarray(images)
    array = array.astype(np.float64)
    if array.ndim == 2:
        return [array], None
    if array.ndim == 3:
        return list(array), None
    if array.ndim != 4:
        raise ValueError(f"viz.grid: expected (H, W), (N, H, W) or (N, C, H, W), but got shape {array.shape}")
    if array.shape[1] == 1:
        return list(array[:, 0]), None
    if array.shape[1] == 3:
        return [np.moveaxis(image, 0, -1) for image in array], None
    return [channel for image in array for channel in image], array.shape[1]


def grid(
    images: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int | None = None,
    each: bool = False,
    cmap: str | None = None,
    size: float = 1.1,
    title: str | None = None,
) -> Figure:
    """Images, filters or feature maps side by side.

    images: a Tensor or array (H, W), (N, H, W), (N, 1, H, W), (N, 3, H, W) in colour, or (N, C, H, W): a row of C maps for each of
    N. Values of both signs are drawn around zero, red above and blue below, others from black to white. each: every picture on its
    own scale, not all on one. columns: pictures in a row. size: of a picture, in inches. Colour images outside [0, 1] are scaled
    into it. ValueError for another shape, for no image, and unless there is a title for each image.
    """
    tiles, row = _tiles(images)
    if not tiles or tiles[0].size == 0:
        raise ValueError("viz.grid: there is no image to draw")
    if titles is not None and len(titles) != len(tiles):
        raise ValueError(f"viz.grid: {len(titles)} titles for {len(tiles)} images")
    across = min(columns or row or math.ceil(math.sqrt(len(tiles)) * 1.3), len(tiles))
    down = -(-len(tiles) // across)
    tall = tiles[0].shape[0] / tiles[0].shape[1]
    figure = _figure(across * size, down * (size * tall + (0.25 if titles else 0.0)) + (0.35 if title else 0.0), gap=0.02)
    every = np.concatenate([tile.ravel() for tile in tiles])
    for i, tile in enumerate(tiles):
        axes = figure.add_subplot(down, across, i + 1)
        low, high = _limits(tile if each else every)
        if tile.ndim == 3:
            axes.imshow(
                (tile - min(low, 0)) / (max(high, 1) - min(low, 0)) if low < 0 or high > 1 else tile, interpolation="nearest"
            )
        elif low < 0 < high:
            limit = max(-low, high)
            axes.imshow(tile, cmap=cmap or "RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        else:
            axes.imshow(tile, cmap=cmap or "gray", vmin=low, vmax=high, interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set(color="0.8", linewidth=0.5)
        if titles is not None:
            axes.set_title(titles[i], fontsize=8)
    if title is not None:
        figure.suptitle(title, fontsize=10)
    return figure


def _limits(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def curves(
    history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, float]], *, xlabel: str = "epoch", title: str | None = None
) -> Figure:
    """Training curves. history: {"train loss": [...], "test loss": [...], "accuracy": [...]}, or one {name: value} an epoch.

    Names that end in the same word share a panel, with the rest of the name in its legend; a loss above zero has a logarithmic
    axis. ValueError for an empty history.
    """
    if not isinstance(history, Mapping):
        names = list(dict.fromkeys(name for entry in history for name in entry))
        history = {name: [float(entry.get(name, math.nan)) for entry in history] for name in names}
    panels: dict[str, dict[str, list[float]]] = {}
    for name, values in history.items():
        words = [word for word in re.split(r"[\s_/.]+", str(name)) if word]
        if words and len(values):
            rest = " ".join(words[:-1]) or words[-1]
            panels.setdefault(words[-1], {})[rest] = [float(value) for value in values]
    if not panels:
        raise ValueError("viz.curves: the history is empty")
    figure = _figure(4.8 * len(panels), 3.4)
    from matplotlib.ticker import MaxNLocator

    for i, (name, lines) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), i + 1)
        for label, values in lines.items():
            axes.plot(range(1, len(values) + 1), values, label=label, marker="o" if len(values) < 20 else None, markersize=3)
        everything = [value for values in lines.values() for value in values if math.isfinite(value)]
        log = "loss" in name.lower() and everything and min(everything) > 0
        if log:
            axes.set_yscale("log")
        axes.set(xlabel=xlabel, ylabel=f"{name} (log scale)" if log else name, title=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if len(lines) > 1 or name not in lines:
            axes.legend()
    if title is not None:
        figure.suptitle(title)
    return figure
