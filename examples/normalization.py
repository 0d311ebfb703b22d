"""Five normalizations: which numbers each averages, how each trains at batch sizes 2, 16 and 128, and what eval() changes.

The same small convolutional net on scikit-learn's digits, its normalization swapped. Learning rate in proportion to the batch.

Ioffe, Szegedy: Batch normalization, 2015; Ba, Kiros, Hinton: Layer normalization, 2016; Ulyanov, Vedaldi, Lempitsky: Instance
normalization, 2016; Wu, He: Group normalization, 2018; Krizhevsky, Sutskever, Hinton: ImageNet classification, 2012 (local response).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plumbing
from plumbing import data, pictures, training

import minigrad as mg
from minigrad import nn
from minigrad.optim import SGD

LAYERS: dict[str, Callable[[int, int], nn.Module]] = {  # of C channels of side x side
    "none": lambda c, side: nn.Identity(),
    "batch": lambda c, side: nn.BatchNorm2d(c),
    "layer": lambda c, side: nn.LayerNorm([c, side, side]),
    "instance": lambda c, side: nn.InstanceNorm2d(c, affine=True),
    "group": lambda c, side: nn.GroupNorm(4, c),
    "local response": lambda c, side: nn.LocalResponseNorm(3, alpha=1e-2),
}


def network(layer: Callable[[int, int], nn.Module]) -> nn.Sequential:
    """Six convolutions, (N, 1, 8, 8) -> (N, 10)."""
    stages, channels = [], 1
    for side in (8, 4, 2):
        for _ in range(2):
            stages += [nn.Conv2d(channels, 16, 3, padding=1), layer(16, side), nn.ReLU()]
            channels = 16
        stages.append(nn.MaxPool2d(2) if side > 2 else nn.Flatten())
    return nn.Sequential(*stages, nn.Linear(16 * 2 * 2, 10))


def draw_cubes(path) -> None:
    """Cubes of samples x channels x pixels; the cells that are averaged together with one cell are coloured.

    They are found, not assumed: a cell counts if the one cell's output changes with it.
    """
    n, c, s = 4, 6, 4
    figure = pictures.plt.figure(figsize=(14, 3.4))
    for i, (name, layer) in enumerate(
        [
            ("batch", nn.BatchNorm2d(c)),
            ("layer", nn.LayerNorm([c, s, 1])),
            ("instance", nn.InstanceNorm2d(c)),
            ("group", nn.GroupNorm(2, c)),
            ("local response", nn.LocalResponseNorm(3, alpha=1.0)),
        ]
    ):
        x = mg.randn(n, c, s, 1, requires_grad=True)
        layer(x)[0, 1, 0, 0].backward()
        cells = (x.grad[..., 0].abs() > 1e-9).numpy()  # (samples, channels, pixels)
        axes = figure.add_subplot(1, 5, i + 1, projection="3d")
        colours = np.where(cells, "tab:orange", "#d8e4f0")
        axes.voxels(np.ones_like(cells), facecolors=colours, edgecolor="gray", linewidth=0.4)
        axes.set(xlabel="sample", ylabel="channel", zlabel="pixel", xticks=[], yticks=[], zticks=[])
        axes.set_title(f"{name}: {int(cells.sum())} of {cells.size}", fontsize=11)
        axes.view_init(25, 215)
        axes.set_box_aspect((n, c, s), zoom=0.85)
    figure.suptitle("The cells that one cell's output depends on")
    pictures.save_figure(figure, path)


def train_and_eval(seed: int) -> None:
    """What a batch norm keeps, and how its two modes differ."""
    mg.manual_seed(seed)
    layer, x = nn.BatchNorm1d(1, momentum=0.1), 3 + 2 * mg.randn(64, 1)
    print(f"a batch of mean {x.mean().item():.3f} and variance {x.var().item():.3f}")
    for step in (1, 2, 3):
        layer(x)
        print(f"  step {step}: running mean {layer.running_mean.item():.3f}, running variance {layer.running_var.item():.3f}")
    for mode in ("train()", "eval()"):
        y = layer.train(mode == "train()")(x)
        mean, deviation = abs(y.mean().item()), y.std(unbiased=False).item()
        print(f"  {mode:<8} the output has mean {mean:.3f}, deviation {deviation:.3f}")


def main() -> None:
    args = plumbing.parser(__doc__, epochs=5).parse_args()
    mg.manual_seed(args.seed)
    train_and_eval(args.seed)
    draw_cubes(args.out / "cubes.png")

    train, test = data.digits(args.seed)
    sizes, epochs = ((128,), 2) if args.quick else ((2, 16, 128), args.epochs)
    figure, grid = pictures.plt.subplots(1, len(sizes), figsize=(4.6 * len(sizes), 4), sharey=True, squeeze=False)
    final = {}
    for axes, size in zip(grid.flat, sizes):
        for name, layer in LAYERS.items():
            mg.manual_seed(args.seed)
            model = network(layer)
            optimizer = SGD(model.parameters(), lr=0.05 * min(size, 64) / 64 + 0.001, momentum=0.9)
            history = training.fit(
                model,
                optimizer,
                train,
                test,
                epochs=epochs,
                batch_size=size,
                seed=args.seed,
                title=f"batch size {size}, {name}",
            )
            final[name, size] = history["test accuracy"][-1]
            axes.plot(range(1, epochs + 1), history["test accuracy"], marker=".", label=f"{name}: {final[name, size]:.3f}")
        axes.set(xlabel="epoch", title=f"batch size {size}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8, loc="lower right")
    grid[0, 0].set(ylabel="test accuracy", ylim=(0.5, 1.0))
    pictures.save_figure(figure, args.out / "training.png")
    plumbing.result(f"test accuracy with batch norm at batch size {sizes[-1]}", final["batch", sizes[-1]])


if __name__ == "__main__":
    main()
