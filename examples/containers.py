"""Sequential, OrderedDict, ModuleList, ModuleDict and ParameterList in one model, and what a Module keeps in its dictionaries.

The model reads digits with a stem (Sequential), a row of residual blocks (ModuleList), a head chosen by name (ModuleDict) and a scale for
each block (ParameterList). The same blocks in a plain Python list are shown to be lost to the model: no parameters, nothing learned.
"""

from __future__ import annotations

from collections import OrderedDict

import plumbing
from plumbing import data, pictures, training

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import SGD


class Reader(nn.Module):
    """(N, 1, 8, 8) -> (N, 10)."""

    def __init__(self, width: int = 16, blocks: int = 3, head: str = "average"):
        super().__init__()
        self.stem = nn.Sequential(
            OrderedDict(conv=nn.Conv2d(1, width, 3, padding=1), norm=nn.BatchNorm2d(width), relu=nn.ReLU())  # layers by name
        )
        self.blocks = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(blocks))  # layers by number
        self.scales = nn.ParameterList(nn.Parameter(mg.ones(1)) for _ in range(blocks))
        self.heads = nn.ModuleDict(
            {
                "average": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)),
                "flat": nn.Sequential(nn.Flatten(), nn.Linear(width * 64, 10)),
            }
        )
        self.head = head
        self.register_buffer("seen", mg.tensor(0))  # kept with the model and saved with it, but not trained

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        if self.training:
            self.seen += len(x)
        x = self.stem(x)
        for block, scale in zip(self.blocks, self.scales):
            x = x + scale * F.relu(block(x))
        return self.heads[self.head](x)


class Forgetful(nn.Module):
    """What goes wrong with a plain list: a Module knows only what is assigned to it as a Module, a Parameter or a container of them."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(64, 32), nn.Linear(32, 10)]


def print_inside(model: Reader) -> None:
    """The dictionaries of a Module and the names that they make."""
    print("what the model keeps:")
    print(f"  _modules     {list(model._modules)}")
    print(f"  _parameters  {list(model._parameters)}   (its own; its modules keep theirs)")
    print(f"  _buffers     {list(model._buffers)}")
    print(f"  __dict__     head = {model.__dict__['head']!r}: what is neither stays a plain attribute")
    print("parameters by path, as state_dict names them:")
    for name, parameter in model.named_parameters():
        print(f"  {name:<24}{tuple(parameter.shape)!s:<16}{parameter.numel():>6}")
    print(f"  buffers: {', '.join(name for name, _ in model.named_buffers())}")
    print(f"the layer at 'heads.flat.1': {model.get_submodule('heads.flat.1')}")
    print(f"parameters in a plain list of layers: {len(list(Forgetful().parameters()))}")


def main() -> None:
    args = plumbing.parser(__doc__, epochs=6).parse_args()
    epochs = 2 if args.quick else args.epochs
    mg.manual_seed(args.seed)
    model = Reader()
    print(model)
    print_inside(model)

    train, test = data.digits(args.seed)
    history = training.fit(
        model, SGD(model.parameters(), lr=0.05, momentum=0.9), train, test, epochs=epochs, seed=args.seed, title="average head"
    )
    print(f"the buffer 'seen' counted {model.seen.item()} digits")
    unused = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    print(f"no gradient reached {unused}: that head was never called")

    model.head = "flat"  # the other head, on the features that were learned: only it is trained
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("heads.flat"))
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    tuned = training.fit(
        model, SGD(trainable, lr=0.01, momentum=0.9), train, test, epochs=epochs, seed=args.seed, title="flat head"
    )
    pictures.draw_lines(
        args.out / "accuracy.png",
        {
            "head 'average', everything trained": history["test accuracy"],
            "head 'flat', the rest frozen": tuned["test accuracy"],
        },
        "epoch",
        "test accuracy",
        "Two heads on one stem",
    )
    mg.save(model.state_dict(), args.out / "reader.safetensors")
    copy = Reader(head="flat")
    print(f"loaded into a new model: {copy.load_state_dict(mg.load(args.out / 'reader.safetensors'))}")
    plumbing.result("test accuracy", training.accuracy(copy, test))


if __name__ == "__main__":
    main()
