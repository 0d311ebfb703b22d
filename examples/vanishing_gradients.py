"""A hundred layers: where signals and gradients vanish or explode, which initialization keeps them, and where the first NaN is made.

An MLP of 100 layers of 128 units, nothing trained: one forward and one backward pass on random numbers. For each initialization the
deviation of the activations and of the gradients layer by layer; the gain of each activation measured against calculate_gain; and a
network driven into infinity, where anomaly mode names the layer.

Glorot, Bengio: Understanding the difficulty of training deep feedforward neural networks, 2010 (Xavier); He and others: Delving deep
into rectifiers, 2015 (Kaiming); Saxe, McClelland, Ganguli: Exact solutions to the nonlinear dynamics of learning, 2014 (orthogonal).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import plumbing
from plumbing import pictures

import minigrad as mg
from minigrad import nn

WIDTH, DEPTH = 128, 100

CASES: dict[str, tuple[type[nn.Module], Callable[[mg.Tensor], object]]] = {  # activation, initialization of a weight
    "tanh, normal(0, 1): saturates": (nn.Tanh, nn.init.normal_),
    "tanh, normal(0, 0.01): vanishes": (nn.Tanh, lambda w: nn.init.normal_(w, std=0.01)),
    "tanh, Xavier": (nn.Tanh, nn.init.xavier_normal_),
    "tanh, Xavier with tanh's gain 5/3": (nn.Tanh, lambda w: nn.init.xavier_normal_(w, gain=nn.init.calculate_gain("tanh"))),
    "sigmoid, Xavier": (nn.Sigmoid, nn.init.xavier_normal_),
    "ReLU, Xavier: half the variance a layer": (nn.ReLU, nn.init.xavier_normal_),
    "ReLU, Kaiming": (nn.ReLU, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
    "ReLU, nn.Linear's default": (nn.ReLU, lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5))),
    "SELU, LeCun": (nn.SELU, lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.5)),
    "no activation, orthogonal": (nn.Identity, nn.init.orthogonal_),
}


def mlp(activation: type[nn.Module], initialize: Callable[[mg.Tensor], object]) -> nn.Sequential:
    """DEPTH blocks of a linear layer and an activation."""
    model = nn.Sequential(*(nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), activation()) for _ in range(DEPTH)))
    for block in model:
        initialize(block[0].weight)
    return model


def spreads(model: nn.Sequential, x: mg.Tensor) -> tuple[list[float], list[float]]:
    """The deviation of each block's output, and of the loss's gradient with respect to it."""
    outputs = []
    handles = [block.register_forward_hook(lambda module, arguments, output: outputs.append(output)) for block in model]
    loss = (model(x) * mg.randn(x.shape)).sum()
    for output in outputs:
        output.retain_grad()
    loss.backward()
    for handle in handles:
        handle.remove()
    return [output.std().item() for output in outputs], [output.grad.std().item() for output in outputs]


def measured_gain(activation: Callable[[mg.Tensor], mg.Tensor]) -> float:
    """What Xavier's weights must be multiplied by so that a layer keeps the second moment of numbers of deviation 1."""
    x = mg.randn(1_000_000)
    return 1 / math.sqrt((activation(x) ** 2).mean().item())


def main() -> None:
    args = plumbing.parser(__doc__).parse_args()
    mg.manual_seed(args.seed)
    x = mg.randn(64, WIDTH)

    figure, (left, right) = pictures.plt.subplots(1, 2, figsize=(13, 5.2))
    print(f"{'':<40}{'layer 1':>12}{'layer 100':>12}{'gradient 100':>14}{'gradient 1':>12}")
    last = {}
    for number, (name, (activation, initialize)) in enumerate(CASES.items()):
        forward, backward = spreads(mlp(activation, initialize), x)
        last[name] = forward[-1]
        print(f"{name:<40}{forward[0]:>12.2e}{forward[-1]:>12.2e}{backward[-1]:>14.2e}{backward[0]:>12.2e}")
        style = {"label": name, "linestyle": "-" if number % 2 else "--"}
        left.semilogy(range(1, DEPTH + 1), [max(value, 1e-45) for value in forward], **style)
        right.semilogy(range(1, DEPTH + 1), [max(value, 1e-45) for value in backward], **style)
    left.set(xlabel="layer", ylabel="deviation of the activations", title="Forward: the signal", ylim=(1e-20, 1e6))
    right.set(
        xlabel="layer",
        ylabel="deviation of the gradients",
        title="Backward (from layer 100 to 1): the gradient",
        ylim=(1e-20, 1e6),
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    pictures.save_figure(figure, args.out / "spread.png")

    print("\ngain that keeps the second moment of normal numbers, beside calculate_gain")
    activations = {
        "linear": nn.Identity(),
        "relu": mg.relu,
        "leaky_relu": nn.LeakyReLU(0.01),
        "tanh": mg.tanh,
        "selu": nn.SELU(),
    }
    for name, activation in activations.items():
        print(f"  {name:<12}{measured_gain(activation):>8.4f}{nn.init.calculate_gain(name):>8.4f}")

    print("\nReLU with normal(0, 1) weights overflows float32; anomaly mode says where:")
    model = mlp(nn.ReLU, nn.init.normal_)
    try:
        with warnings.catch_warnings(action="ignore"), mg.autograd.detect_anomaly():  # it warns that it is slow
            model(x).sum().backward()
    except RuntimeError as error:
        print(f"  {error}")
    plumbing.result("deviation after 100 layers of ReLU with Kaiming's weights", last["ReLU, Kaiming"])


if __name__ == "__main__":
    main()
