"""Linear regression on real patients: first by hand on tensors, then with nn.Linear and SGD with momentum.

The data are the 442 diabetes patients that come with scikit-learn (Efron, Hastie, Johnstone, Tibshirani: Least angle regression, 2004).
By hand, the progression of the disease from the body-mass index alone; the fit is drawn as it turns into place. With nn, from all ten
measurements; the result is held against the exact solution of least squares.
"""

from __future__ import annotations

import numpy as np
import plumbing
from plumbing import data, pictures
from sklearn.datasets import load_diabetes
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import SGD
from minigrad.utils.data import DataLoader, TensorDataset


def by_hand(x: mg.Tensor, y: mg.Tensor, steps: int, lr: float) -> list[tuple[float, float, float]]:
    """Gradient descent on y = w x + b; slope, intercept and loss at each step."""
    w, b = mg.zeros(1, requires_grad=True), mg.zeros(1, requires_grad=True)
    path = []
    for _ in range(steps):
        loss = ((w * x + b - y) ** 2).mean()
        loss.backward()
        path.append((w.item(), b.item(), loss.item()))
        with mg.no_grad():  # the update is no part of the function that is learned
            for parameter in (w, b):
                parameter -= lr * parameter.grad
                parameter.grad = None
    return path


def with_nn(x: mg.Tensor, y: mg.Tensor, epochs: int, seed: int) -> tuple[nn.Linear, list[float]]:
    """The same with a layer, a loss, an optimizer and batches; the model and its loss by epoch."""
    model = nn.Linear(x.shape[1], 1)
    optimizer = SGD(model.parameters(), lr=0.01, momentum=0.9)
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True, generator=mg.Generator().manual_seed(seed))
    losses = []
    for epoch in tqdm(range(epochs), "nn.Linear", unit="epoch"):
        if epoch == epochs * 3 // 4:
            optimizer.param_groups[0]["lr"] = 0.001  # smaller steps for the last quarter
        for batch, target in loader:
            optimizer.zero_grad()
            F.mse_loss(model(batch).squeeze(1), target).backward()
            optimizer.step()
        with mg.no_grad():
            losses.append(F.mse_loss(model(x).squeeze(1), y).item())
    return model, losses


def animate(path_on_disk, x: np.ndarray, y: np.ndarray, path: list[tuple[float, float, float]], frames: int) -> None:
    """The line turning into place, and the loss going down."""
    figure, (left, right) = pictures.plt.subplots(1, 2, figsize=(10, 4))
    shown = np.unique(np.geomspace(1, len(path), frames).astype(int)) - 1

    def draw(frame: int) -> None:
        slope, intercept, _ = path[shown[frame]]
        left.clear()
        right.clear()
        left.scatter(x, y, s=10, alpha=0.4)
        ends = np.array([x.min(), x.max()])
        left.plot(ends, slope * ends + intercept, color="tab:red", linewidth=2)
        left.set(xlabel="body-mass index (standardized)", ylabel="progression of the disease after a year")
        left.set_title(f"step {shown[frame]}: y = {slope:.1f} x + {intercept:.1f}")
        losses = [loss for *_, loss in path]
        right.semilogx(range(1, len(path) + 1), losses, color="lightgray")
        right.semilogx(range(1, shown[frame] + 2), losses[: shown[frame] + 1], color="tab:red")
        right.set(xlabel="step (log scale)", ylabel="mean squared error", title="Loss")

    pictures.save_animation(figure, draw, len(shown), path_on_disk)


def main() -> None:
    parser = plumbing.parser(__doc__, epochs=150)
    args = parser.parse_args()
    mg.manual_seed(args.seed)
    patients = load_diabetes(scaled=False)
    x, y = data.standardized(patients.data, patients.data), data.standardized(patients.target, patients.target)

    bmi = x[:, 2]
    progression = mg.tensor(patients.target, dtype=mg.float32)
    path = by_hand(bmi, progression, steps=200, lr=0.05)
    slope, intercept = np.polyfit(bmi.numpy(), patients.target, 1)
    print(f"by hand: progression = {path[-1][0]:.2f} bmi + {path[-1][1]:.2f}; least squares: {slope:.2f} bmi + {intercept:.2f}")
    animate(args.out / "fit.gif", bmi.numpy(), patients.target, path, frames=5 if args.quick else 30)

    model, losses = with_nn(x, y, args.epochs, args.seed)
    weights, *_ = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)
    best = float(((x.numpy() @ weights - y.numpy()) ** 2).mean())
    print(f"nn.Linear: mean squared error {losses[-1]:.4f}; least squares reaches {best:.4f}")
    pictures.draw_lines(
        args.out / "loss.png",
        {"nn.Linear, SGD with momentum": losses, "least squares": [best] * len(losses)},
        "epoch",
        "mean squared error",
        "Ten measurements of 442 patients",
    )
    figure, axes = pictures.plt.subplots(figsize=(7, 4))
    places = np.arange(len(weights))
    axes.barh(places - 0.2, model.weight.detach()[0].numpy(), 0.4, label="nn.Linear")
    axes.barh(places + 0.2, weights, 0.4, label="least squares")
    axes.set(yticks=places, yticklabels=patients.feature_names, xlabel="weight", title="What each measurement counts for")
    axes.legend()
    pictures.save_figure(figure, args.out / "weights.png")
    plumbing.result("share of variance explained", 1 - losses[-1])


if __name__ == "__main__":
    main()
