"""A 3-d convolutional net tells which way a digit moves; given the same frames in random order it cannot.

Synthetic clips: scikit-learn's scanned digits drift across a 16x16 window in one of four directions, for 6 frames. The kernels of the
3-d net span time as well as space. Its twin gets the frames in random order: they tell the line of movement, but not which way along it,
so it should be right one time in two.

Ji, Xu, Yang, Yu: 3D convolutional neural networks for human action recognition, 2013.
"""

from __future__ import annotations

import numpy as np
import plumbing
from plumbing import data, pictures, training

import minigrad as mg
from minigrad import nn
from minigrad.optim import Adam
from minigrad.utils.data import TensorDataset

DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
FRAMES, SIDE = 6, 16


def clips(images: np.ndarray, rng: np.random.Generator) -> tuple[mg.Tensor, mg.Tensor]:
    """Clips (N, 1, FRAMES, SIDE, SIDE) of images (N, 8, 8), each moving a pixel a frame, and their directions (N,)."""
    labels = rng.integers(0, len(DIRECTIONS), len(images))
    films = np.zeros((len(images), 1, FRAMES, SIDE, SIDE), np.float32)
    for film, image, label in zip(films, images, labels):
        down, across = list(DIRECTIONS.values())[label]
        room = SIDE - 8 - FRAMES + 1  # where the whole path fits in, along the direction
        row, column = (int(rng.integers(0, room + 1)) + (FRAMES - 1 if step < 0 else 0) for step in (down, across))
        for t in range(FRAMES):
            i, j = row + t * down, column + t * across
            film[0, t, i : i + 8, j : j + 8] = image
    films += 0.4 * rng.standard_normal(films.shape, np.float32)
    return mg.from_numpy(films), mg.from_numpy(labels)


def network() -> nn.Sequential:
    """(N, 1, 6, 16, 16) -> (N, 4)."""
    return nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1),  # -> (N, 8, 6, 16, 16)
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.MaxPool3d((1, 2, 2)),  # -> (N, 8, 6, 8, 8)
        nn.Conv3d(8, 16, 3, padding=1),
        nn.BatchNorm3d(16),
        nn.ReLU(),
        nn.AdaptiveMaxPool3d((1, 2, 2)),  # -> (N, 16, 1, 2, 2)
        nn.Flatten(),
        nn.Linear(64, 4),
    )


def main() -> None:
    args = plumbing.parser(__doc__, epochs=8).parse_args()
    epochs = 2 if args.quick else args.epochs
    rng = np.random.default_rng(args.seed)
    digits, _ = data.digit_images(args.seed)
    films, labels = clips(digits[:, 0].numpy(), rng)
    order = mg.from_numpy(np.stack([rng.permutation(FRAMES) for _ in films]))  # (N, FRAMES)
    mixed = films.gather(2, order.reshape(-1, 1, FRAMES, 1, 1).expand_as(films))

    figure, grid = pictures.plt.subplots(len(DIRECTIONS), FRAMES, figsize=(9, 6.4))
    for direction, row in enumerate(grid):
        first = int((labels == direction).nonzero()[0, 0])
        for t, axes in enumerate(row):
            pictures.show(axes, films[first, 0, t].numpy(), f"{list(DIRECTIONS)[direction]}, frame {t + 1}")
    pictures.save_figure(figure, args.out / "clips.png")

    curves = {}
    for name, x in (("frames in order", films), ("frames in random order", mixed)):
        mg.manual_seed(args.seed)
        model = network()
        train, test = TensorDataset(x[:1437], labels[:1437]), TensorDataset(x[1437:], labels[1437:])
        history = training.fit(model, Adam(model.parameters(), lr=5e-3), train, test, epochs=epochs, seed=args.seed, title=name)
        curves[name] = history["test accuracy"]
    pictures.draw_lines(
        args.out / "accuracy.png",
        curves | {"one in two": [0.5] * epochs},
        "epoch",
        "test accuracy",
        "Which way does the digit move?",
    )
    print(f"with the frames in random order: {curves['frames in random order'][-1]:.4f}")
    plumbing.result("test accuracy", curves["frames in order"][-1])


if __name__ == "__main__":
    main()
