"""Every activation and its derivative by autograd on one sheet; then PReLU and RReLU trained beside their fixed relatives.

PReLU learns the slope of its negative side, one for each channel; RReLU draws it at random while training and averages in eval(). All
train the same net on scikit-learn's digits.

He and others: Delving deep into rectifiers, 2015 (PReLU); Xu and others: Empirical evaluation of rectified activations, 2015 (RReLU).
"""

from __future__ import annotations

import plumbing
from plumbing import data, pictures, training

import minigrad as mg
from minigrad import nn
from minigrad.optim import SGD

CURVES = [
    nn.ReLU(), nn.LeakyReLU(0.1), nn.PReLU(init=0.25), nn.RReLU(0.1, 0.3), nn.ReLU6(), nn.ELU(), nn.SELU(), nn.CELU(0.5),
    nn.GELU(), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Sigmoid(), nn.LogSigmoid(), nn.Tanh(), nn.Softsign(),
    nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(), nn.Tanhshrink(), nn.Softshrink(), nn.Hardshrink(),
    nn.Threshold(0.5, 0.0), nn.Identity(),
]  # fmt: skip

TRAINED = {
    "ReLU": nn.ReLU,
    "LeakyReLU(0.01)": nn.LeakyReLU,
    "PReLU, a slope a channel": lambda: nn.PReLU(16),
    "RReLU": nn.RReLU,
    "Tanh": nn.Tanh,
    "Sigmoid": nn.Sigmoid,
}


def draw_sheet(path) -> float:
    """All curves; returns the largest difference between autograd's derivative and a central difference away from kinks."""
    figure, grid = pictures.plt.subplots(4, 6, figsize=(15, 9), sharex=True)
    x = mg.linspace(-4, 4, 400, dtype=mg.float64, requires_grad=True)  # an even number of points: none on the kink at 0
    worst = 0.0
    for axes, activation in zip(grid.flat, CURVES):
        activation = activation.double().eval()  # eval(): RReLU takes the average of its slopes
        y = activation(x)
        (slope,) = mg.autograd.grad(y.sum(), x)
        axes.plot(x.detach().numpy(), y.detach().numpy(), label="f")
        axes.plot(x.detach().numpy(), slope.numpy(), "--", label="f'")
        axes.set_title(str(activation).replace(", inplace=False", ""), fontsize=8)
        axes.set_ylim(-2, 4)
        with mg.no_grad():
            h = 1e-6
            numeric = (activation(x + h) - activation(x - h)) / (2 * h)
        worst = max(worst, (numeric - slope).abs().max().item())
    grid[0, 0].legend()
    figure.suptitle("Activations (solid) and their derivatives by autograd (dashed)")
    pictures.save_figure(figure, path)
    return worst


def network(activation) -> nn.Sequential:
    """(N, 1, 8, 8) -> (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), activation(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1), activation(),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )  # fmt: skip


def main() -> None:
    args = plumbing.parser(__doc__, epochs=6).parse_args()
    epochs = 2 if args.quick else args.epochs
    worst = draw_sheet(args.out / "activations.png")
    print(f"derivatives by autograd and by central differences differ by {worst:.1e} at most")

    train, test = data.digits(args.seed)
    curves, losses = {}, {}
    for name, activation in TRAINED.items():
        mg.manual_seed(args.seed)
        model = network(activation)
        history = training.fit(
            model, SGD(model.parameters(), lr=0.02, momentum=0.9), train, test, epochs=epochs, seed=args.seed, title=name
        )
        curves[name], losses[name] = history["test accuracy"], history["loss"]
        if isinstance(model[1], nn.PReLU):
            slopes = model[1].weight.detach()
            print(f"PReLU's slopes went from 0.25 to between {slopes.min().item():.3f} and {slopes.max().item():.3f}")
        if isinstance(model[1], nn.RReLU):
            x = mg.full((4,), -1.0)
            print(f"RReLU(-1): {(-model[1].train()(x)).tolist()} in training, {(-model[1].eval()(x)).tolist()} in eval()")
    pictures.draw_lines(
        args.out / "loss.png", losses, "epoch", "training loss (log scale)", "One net, six activations", log=True
    )
    plumbing.result("test accuracy with PReLU", curves["PReLU, a slope a channel"][-1])


if __name__ == "__main__":
    main()
