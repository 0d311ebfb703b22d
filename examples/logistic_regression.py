"""Logistic regression on real tumours: by hand on tensors, then with nn and SGD with momentum.

The data are the 569 tumours of the Wisconsin breast-cancer study that come with scikit-learn (Street, Wolberg, Mangasarian: Nuclear
feature extraction for breast tumor diagnosis, 1993). By hand on two measurements, with the boundary between malignant and benign drawn
as it moves; with nn on all thirty, on tumours that were not trained on.
"""

from __future__ import annotations

import numpy as np
import plumbing
from plumbing import data, pictures
from sklearn.datasets import load_breast_cancer
from tqdm import tqdm

import minigrad as mg
from minigrad import nn
from minigrad.optim import SGD
from minigrad.utils.data import DataLoader, TensorDataset

RADIUS, TEXTURE = 0, 1  # the columns of the two measurements


def by_hand(x: mg.Tensor, y: mg.Tensor, steps: int, lr: float) -> list[tuple[np.ndarray, float, float]]:
    """Gradient descent on the negative log-likelihood; weights, bias and loss at each step."""
    w, b = mg.zeros(2, requires_grad=True), mg.zeros(1, requires_grad=True)
    path = []
    for _ in range(steps):
        p = 1 / (1 + mg.exp(-(x @ w + b)))  # the probability that a tumour is benign
        loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        loss.backward()
        path.append((w.detach().clone().numpy(), b.item(), loss.item()))
        with mg.no_grad():
            for parameter in (w, b):
                parameter -= lr * parameter.grad
                parameter.grad = None
    return path


def with_nn(train: TensorDataset, test: TensorDataset, epochs: int, seed: int) -> dict[str, list[float]]:
    """One layer on thirty measurements; the accuracies by epoch."""
    model = nn.Linear(train.tensors[0].shape[1], 1)
    loss_function = nn.BCEWithLogitsLoss()  # sigmoid and likelihood in one: no overflow for large scores
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    loader = DataLoader(train, batch_size=32, shuffle=True, generator=mg.Generator().manual_seed(seed))
    history = {"training set": [], "test set": []}
    for _ in tqdm(range(epochs), "nn.Linear", unit="epoch"):
        for x, y in loader:
            optimizer.zero_grad()
            loss_function(model(x).squeeze(1), y).backward()
            optimizer.step()
        with mg.no_grad():
            for values, (x, y) in zip(history.values(), (train.tensors, test.tensors)):
                values.append(((model(x).squeeze(1) > 0) == (y > 0.5)).float().mean().item())
    return history


def animate(path_on_disk, x: np.ndarray, y: np.ndarray, path: list[tuple[np.ndarray, float, float]], frames: int) -> None:
    """The probability over the plane, and the line where it is a half."""
    figure, axes = pictures.plt.subplots(figsize=(6.4, 5))
    shown = np.unique(np.geomspace(1, len(path), frames).astype(int)) - 1
    across, up = np.meshgrid(np.linspace(-2.5, 4, 120), np.linspace(-2.5, 4, 120))
    colours = np.where(y > 0.5, "tab:blue", "tab:red")

    def draw(frame: int) -> None:
        w, b, loss = path[shown[frame]]
        axes.clear()
        p = 1 / (1 + np.exp(-(w[0] * across + w[1] * up + b)))
        axes.contourf(across, up, p, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.5)
        if np.abs(w).max() > 0:
            axes.contour(across, up, p, levels=[0.5], colors="black")
        axes.scatter(x[:, 0], x[:, 1], s=9, c=colours)
        axes.set(xlabel="radius (standardized)", ylabel="texture (standardized)", xlim=(-2.5, 4), ylim=(-2.5, 4))
        axes.set_title(f"step {shown[frame]}: loss {loss:.3f}; red is malignant, blue benign", fontsize=10)

    pictures.save_animation(figure, draw, len(shown), path_on_disk)


def main() -> None:
    args = plumbing.parser(__doc__, epochs=40).parse_args()
    mg.manual_seed(args.seed)
    tumours = load_breast_cancer()
    order = np.random.default_rng(args.seed).permutation(len(tumours.target))
    table, benign = tumours.data[order], mg.tensor(tumours.target[order], dtype=mg.float32)
    cut = 455  # four fifths to train
    x = data.standardized(table, like=table[:cut])

    two = x[:, [RADIUS, TEXTURE]]
    path = by_hand(two[:cut], benign[:cut], steps=300, lr=0.5)
    right = ((two @ mg.tensor(path[-1][0]) + path[-1][1] > 0) == (benign > 0.5))[cut:].float().mean().item()
    print(f"by hand: loss {path[0][2]:.4f} (the logarithm of 2) falls to {path[-1][2]:.4f}")
    print(f"by hand: test accuracy {right:.4f} from two measurements")
    animate(args.out / "boundary.gif", two.numpy(), benign.numpy(), path, frames=4 if args.quick else 30)

    history = with_nn(TensorDataset(x[:cut], benign[:cut]), TensorDataset(x[cut:], benign[cut:]), args.epochs, args.seed)
    pictures.draw_lines(args.out / "accuracy.png", history, "epoch", "accuracy", "Thirty measurements of 569 tumours")
    plumbing.result("test accuracy", history["test set"][-1])


if __name__ == "__main__":
    main()
