"""What gradients with respect to the input tell: saliency, an attack that fools the net, and a penalty that makes it harder to fool.

A small convolutional net reads scikit-learn's digits. Its gradient by pixel shows what it looks at; a step along the gradient's sign
makes it misread digits that look the same to us. Trained with a penalty on that gradient's size (a double backward through convolutions),
it withstands larger steps.

Simonyan, Vedaldi, Zisserman: Deep inside convolutional networks, 2014 (saliency); Goodfellow, Shlens, Szegedy: Explaining and harnessing
adversarial examples, 2015 (the sign step); Drucker, Le Cun: Double backpropagation, 1991 (the penalty).
"""

from __future__ import annotations

import numpy as np
import plumbing
from plumbing import data, pictures
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import Adam
from minigrad.utils.data import DataLoader, TensorDataset


def network() -> nn.Sequential:
    """(N, 1, 16, 16) -> (N, 10). Softplus, whose derivative changes smoothly: the penalty differentiates it twice."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2, padding=2),  # -> (N, 16, 8, 8)
        nn.Softplus(beta=5),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),  # -> (N, 32, 4, 4)
        nn.Softplus(beta=5),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


def input_gradient(model: nn.Module, x: mg.Tensor, y: mg.Tensor, create_graph: bool = False) -> tuple[mg.Tensor, mg.Tensor]:
    """The loss, and its gradient with respect to the pixels, summed over the batch's own losses."""
    x = x.detach().requires_grad_()
    loss = F.cross_entropy(model(x), y, reduction="sum")
    (gradient,) = mg.autograd.grad(loss, x, create_graph=create_graph)
    return loss / len(x), gradient


def train(data_set: TensorDataset, epochs: int, penalty: float, seed: int, title: str) -> nn.Sequential:
    """The loss is cross entropy + penalty * mean squared norm of the input gradient."""
    mg.manual_seed(seed)
    model = network()
    optimizer = Adam(model.parameters(), lr=2e-3)
    loader = DataLoader(data_set, 32, shuffle=True, generator=mg.Generator().manual_seed(seed))
    for _ in tqdm(range(epochs), title, unit="epoch"):
        for x, y in loader:
            optimizer.zero_grad()
            loss, gradient = input_gradient(model, x, y, create_graph=True)
            (loss + penalty * gradient.square().sum(dim=(1, 2, 3)).mean()).backward()
            optimizer.step()
    return model


def attack(model: nn.Module, x: mg.Tensor, y: mg.Tensor, size: float) -> mg.Tensor:
    """Each pixel moved by `size` up or down, whichever makes the loss grow; kept in [0, 1]."""
    _, gradient = input_gradient(model, x, y)
    return (x + size * gradient.sign()).clamp(0, 1)


def accuracy(model: nn.Module, x: mg.Tensor, y: mg.Tensor) -> float:
    with mg.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def main() -> None:
    args = plumbing.parser(__doc__, epochs=15).parse_args()
    epochs = 3 if args.quick else args.epochs
    images, labels = data.digit_images(args.seed, size=16)
    train_set, x, y = TensorDataset(images[:1437], labels[:1437]), images[1437:], labels[1437:]
    models = {
        "plain": train(train_set, epochs, 0.0, args.seed, "plain"),
        "with a gradient penalty": train(train_set, epochs, 1.0, args.seed, "gradient penalty"),
    }

    sizes = np.linspace(0, 0.2, 9)
    curves = {name: [accuracy(model, attack(model, x, y, float(size)), y) for size in sizes] for name, model in models.items()}
    figure, axes = pictures.plt.subplots(figsize=(7, 4))
    for name, values in curves.items():
        axes.plot(sizes, values, marker=".", label=name)
    axes.set(xlabel="change of each pixel (black is 0, white 1)", ylabel="accuracy on test digits", title="Under attack")
    axes.legend()
    pictures.save_figure(figure, args.out / "robustness.png")

    plain, size = models["plain"], 0.1
    fooled = attack(plain, x, y, size)
    with mg.no_grad():
        before, after = F.softmax(plain(x), dim=1), F.softmax(plain(fooled), dim=1)
    shown = [int(i) for i in ((before.argmax(dim=1) == y) & (after.argmax(dim=1) != y)).nonzero()[:6, 0]]
    _, gradient = input_gradient(plain, x, y)
    figure, grid = pictures.plt.subplots(3, max(1, len(shown)), figsize=(11, 6), squeeze=False)
    for column, i in zip(grid.T, shown):
        pictures.show(
            column[0], x[i, 0].numpy(), f"read as {int(before[i].argmax())} ({before[i].max().item():.0%})", vmin=0, vmax=1
        )
        limit = gradient[i].abs().max().item()
        pictures.show(column[1], gradient[i, 0].numpy(), "gradient by pixel", cmap="RdBu_r", vmin=-limit, vmax=limit)
        pictures.show(
            column[2], fooled[i, 0].numpy(), f"read as {int(after[i].argmax())} ({after[i].max().item():.0%})", vmin=0, vmax=1
        )
    figure.suptitle(f"Digits, what the net looks at, and the digits with each pixel changed by {size}")
    pictures.save_figure(figure, args.out / "attack.png")

    for name, values in curves.items():
        print(f"{name:<24} accuracy {values[0]:.4f}, under an attack of {sizes[4]:.2f}: {values[4]:.4f}")
    plumbing.result("accuracy gained under attack by the penalty", curves["with a gradient penalty"][4] - curves["plain"][4])


if __name__ == "__main__":
    main()
