"""AlexNet, and its ancestor in two groups, tell a temple's patches from a dahlia's: from image files to inference on single files.

Patches of scikit-learn's two photographs are written to a folder for each class and read back through ImageFolder, transforms and
DataLoader, as one's own pictures would be (--data: a folder with a folder of pictures for each class). The net is trained for a few
steps, saved, loaded into a new one and asked about single files; hooks collect what its layers see.

Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks, 2012 (the ancestor, in two groups for two
GPUs); Krizhevsky: One weird trick for parallelizing convolutional neural networks, 2014 (the version that PyTorch has).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import plumbing
from PIL import Image
from plumbing import data, pictures
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import SGD
from minigrad.utils.data import DataLoader, random_split
from minigrad.vision import transforms
from minigrad.vision.datasets import ImageFolder
from minigrad.vision.models import AlexNet


def ancestor(classes: int) -> nn.Sequential:
    """The net of 2012, (N, 3, 227, 227) -> (N, classes): half of the channels lived on each of two GPUs and met in the third layer only."""
    response = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0}
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), nn.LocalResponseNorm(**response), nn.MaxPool2d(3, 2),  # -> (N, 96, 27, 27)
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.LocalResponseNorm(**response), nn.MaxPool2d(3, 2),  # -> (N, 256, 13, 13)
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),  # -> (N, 256, 6, 6)
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
        nn.Linear(4096, classes),
    )  # fmt: skip


def write_patches(folder: Path, each: int, side: int, seed: int) -> None:
    """`each` random squares of each photograph as JPEG files in a folder of its name."""
    rng = np.random.default_rng(seed)
    for name, photograph in data.photographs().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for n in range(each):
            i, j = (int(rng.integers(0, size - side + 1)) for size in photograph.shape[1:])
            square = photograph[:, i : i + side, j : j + side].transpose(1, 2, 0)
            Image.fromarray((255 * square).astype(np.uint8)).save(folder / name / f"{n:03}.jpg", quality=92)


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    """The share of the loader's pictures that the model names rightly."""
    model.eval()
    with mg.no_grad():
        right = sum(int((model(x).argmax(dim=1) == y).sum()) for x, y in loader)
    return right / len(loader.dataset)


def draw_activations(path: Path, model: AlexNet, x: mg.Tensor) -> None:
    """What the five convolutions make of one picture, collected by hooks."""
    seen = {}
    handles = [
        layer.register_forward_hook(lambda module, arguments, output, name=name: seen.__setitem__(name, output))
        for name, layer in model.features.named_children()
        if isinstance(layer, nn.Conv2d)
    ]
    with mg.no_grad():
        model(x.unsqueeze(0))
    for handle in handles:
        handle.remove()
    figure, grid = pictures.plt.subplots(len(seen), 8, figsize=(10, 1.35 * len(seen)))
    for row, (name, output) in zip(grid, seen.items()):
        busiest = output[0].std(dim=(1, 2)).argsort(descending=True)[: len(row)]
        for axes, channel in zip(row, busiest.tolist()):
            pictures.show(axes, output[0, channel].numpy(), f"features.{name}, {channel}", cmap="viridis")
            axes.title.set_fontsize(7)
    figure.suptitle("The busiest channels of each convolution, for the test picture of the most contrast")
    pictures.save_figure(figure, path)


def main() -> None:
    args = plumbing.parser(
        __doc__, epochs=8, data="folder with a folder of pictures for each class (default: photographs' patches)"
    ).parse_args()
    epochs, each = (3, 16) if args.quick else (args.epochs, 64)
    mg.manual_seed(args.seed)
    folder = args.data
    if folder is None:
        folder = args.out / "patches"
        write_patches(folder, each, side=112, seed=args.seed)
    normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    preprocess = transforms.Compose([transforms.Resize(224), transforms.CenterCrop(224), transforms.ToTensor(), normalize])
    images = ImageFolder(folder, preprocess)
    train, test = random_split(images, [0.75, 0.25], generator=mg.Generator().manual_seed(args.seed))
    print(f"{len(train)} pictures to train, {len(test)} to test, of the classes {', '.join(images.classes)}")

    model = AlexNet(num_classes=len(images.classes))
    for (
        layer
    ) in model.modules():  # PyTorch's default shrinks the signal from layer to layer: a hundred pictures would teach nothing
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    print(model)
    for name, net, side in (("AlexNet", AlexNet(), 224), ("its ancestor", ancestor(1000), 227)):
        total = mg.summary(net, (1, 3, side, side)).total
        print(f"{name} for 1000 classes: {total.parameters:,} parameters, {total.multiply_adds:,} multiply-adds a picture")

    loader = DataLoader(train, 16, shuffle=True, generator=mg.Generator().manual_seed(args.seed))
    test_loader = DataLoader(test, 16)
    optimizer = SGD(model.parameters(), lr=0.001, momentum=0.9)
    losses = []
    for _ in range(epochs):
        model.train()
        for x, y in tqdm(loader, "AlexNet", unit="batch"):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    pictures.draw_lines(
        args.out / "loss.png", {"training loss": losses}, "batch", "cross entropy", "AlexNet on patches of two photographs"
    )

    mg.save(model.state_dict(), args.out / "alexnet.safetensors")
    copy = AlexNet(num_classes=len(images.classes))
    copy.load_state_dict(mg.load(args.out / "alexnet.safetensors"))
    print(f"wrote {args.out / 'alexnet.safetensors'}, loaded into a new net")
    reached = accuracy(copy, test_loader)

    print("asked about single files:")
    for i in test.indices[:4]:
        path, label = images.samples[i]
        with mg.no_grad():
            chances = F.softmax(copy(preprocess(Image.open(path).convert("RGB")).unsqueeze(0))[0], dim=0)
        print(f"  {path}: {images.classes[int(chances.argmax())]} ({chances.max().item():.0%}); it is {images.classes[label]}")
    draw_activations(args.out / "activations.png", copy, max((x for x, _ in test), key=lambda x: x.std().item()))
    plumbing.result("test accuracy", reached)


if __name__ == "__main__":
    main()
