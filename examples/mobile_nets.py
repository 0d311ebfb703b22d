"""Plain, grouped, shuffled and depthwise-separable nets on the same digits: accuracy, parameters, multiply-adds and time a step.

One skeleton of three blocks, four ways to build a block. scikit-learn's digits at 16x16.

Howard and others: MobileNets, 2017 (depthwise separable); Zhang and others: ShuffleNet, 2018 (grouped 1x1 and channel shuffle).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import plumbing
from plumbing import data, pictures, training

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import SGD

GROUPS = 4


def plain(i: int, o: int) -> list[nn.Module]:
    """One 3x3 convolution that mixes everything."""
    return [nn.Conv2d(i, o, 3, padding=1, bias=False)]


def grouped(i: int, o: int) -> list[nn.Module]:
    """3x3 in groups: a quarter of the work, but the groups never meet."""
    return [nn.Conv2d(i, o, 3, padding=1, groups=GROUPS, bias=False)]


def shuffled(i: int, o: int) -> list[nn.Module]:
    """Grouped, then the channels dealt out anew, so that the next block's groups see all of these."""
    return [*grouped(i, o), nn.ChannelShuffle(GROUPS)]


def separable(i: int, o: int) -> list[nn.Module]:
    """3x3 on each channel by itself, then 1x1 across the channels."""
    return [nn.Conv2d(i, i, 3, padding=1, groups=i, bias=False), nn.BatchNorm2d(i), nn.ReLU(), nn.Conv2d(i, o, 1, bias=False)]


KINDS = {"plain": plain, "grouped": grouped, "shuffled": shuffled, "depthwise separable": separable}


def network(block: Callable[[int, int], list[nn.Module]], width: int = 32) -> nn.Sequential:
    """(N, 1, 16, 16) -> (N, 10)."""
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for i, o in ((width, width), (width, 2 * width), (2 * width, 2 * width)):
        layers += [*block(i, o), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(2 * width * 2 * 2, 10))


def milliseconds(model: nn.Module, x: mg.Tensor, y: mg.Tensor, repeats: int) -> float:
    """The median time of a forward and a backward pass."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        F.cross_entropy(model(x), y).backward()
        times.append(1000 * (time.perf_counter() - start))
        model.zero_grad()
    return statistics.median(times)


def main() -> None:
    args = plumbing.parser(__doc__, epochs=5).parse_args()
    epochs = 1 if args.quick else args.epochs
    train, test = data.digits(args.seed, size=16)
    x, y = train.tensors[0][:64], train.tensors[1][:64]

    rows = {}
    for name, block in KINDS.items():
        mg.manual_seed(args.seed)
        model = network(block)
        total = mg.summary(model, (1, 1, 16, 16)).total
        spent = milliseconds(model, x, y, repeats=5 if args.quick else 30)
        optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
        history = training.fit(model, optimizer, train, test, epochs=epochs, batch_size=64, seed=args.seed, title=name)
        rows[name] = (history["test accuracy"][-1], total.parameters, total.multiply_adds, spent)

    print(f"{'':<22}{'accuracy':>10}{'parameters':>12}{'multiply-adds':>15}{'ms a step of 64':>17}")
    for name, (accuracy, parameters, multiply_adds, spent) in rows.items():
        print(f"{name:<22}{accuracy:>10.4f}{parameters:>12,}{multiply_adds:>15,}{spent:>17.2f}")

    labels = ("test accuracy", "parameters", "multiply-adds an image", "milliseconds a step")
    figure, grid = pictures.plt.subplots(1, 4, figsize=(14, 3), sharey=True)
    for axes, label, values in zip(grid, labels, zip(*rows.values())):
        bars = axes.barh(list(rows), values, color="lightsteelblue")
        axes.bar_label(
            bars, [f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" for value in values], label_type="center"
        )
        axes.set_xlabel(label)
        axes.invert_yaxis() if axes is grid[0] else None
        axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 4))
    figure.suptitle("Four ways to build a block")
    pictures.save_figure(figure, args.out / "comparison.png")
    plumbing.result("test accuracy, depthwise separable", rows["depthwise separable"][0])


if __name__ == "__main__":
    main()
