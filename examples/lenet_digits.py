"""LeNet-5 learns to read handwritten digits.

By default the 1,797 scans that come with scikit-learn, enlarged to 28x28; with --data DIR the digits of MNIST, in the IDX files
as they are distributed (gzipped or not). Writes curves, a confusion matrix, the mistakes, the first layer's filters and the weights
to runs/lenet_digits/. The same seed gives the same weights, bit for bit, for any number of threads.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998 (here with ReLU and max pooling).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import plumbing
from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import StepLR
from minigrad.utils.data import DataLoader, TensorDataset


def lenet() -> nn.Sequential:
    """LeNet-5 for 1x28x28 images: (N, 1, 28, 28) -> (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),  # -> (N, 6, 28, 28)
        nn.ReLU(),
        nn.MaxPool2d(2),  # -> (N, 6, 14, 14)
        nn.Conv2d(6, 16, 5),  # -> (N, 16, 10, 10)
        nn.ReLU(),
        nn.MaxPool2d(2),  # -> (N, 16, 5, 5)
        nn.Flatten(),  # -> (N, 400)
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def load_digits(folder: Path | None, seed: int) -> tuple[TensorDataset, TensorDataset]:
    """Training and test set: images (N, 1, 28, 28) of mean 0 and deviation 1, labels (N,)."""
    if folder is None:
        from sklearn.datasets import load_digits  # takes a second to import: only where it is needed

        digits = load_digits()
        order = np.random.default_rng(seed).permutation(len(digits.target))
        images = mg.tensor(digits.images[order] / 16.0, dtype=mg.float32).unsqueeze(1)
        images = F.interpolate(images, size=(28, 28), mode="bilinear", align_corners=False)
        labels = mg.tensor(digits.target[order])
        cut = 1437  # four fifths to train, 360 to test
        sets = images[:cut], labels[:cut], images[cut:], labels[cut:]
    else:
        arrays = plumbing.read_mnist(folder)
        sets = [mg.tensor(a / np.float32(255)).unsqueeze(1) if a.ndim == 3 else mg.tensor(a) for a in arrays]
    mean, std = sets[0].mean(), sets[0].std()
    return TensorDataset((sets[0] - mean) / std, sets[1]), TensorDataset((sets[2] - mean) / std, sets[3])


@mg.no_grad()
def predict(model: nn.Module, data: TensorDataset) -> mg.Tensor:
    """The model's probabilities of the digits, (N, 10)."""
    model.eval()
    return mg.cat([F.softmax(model(x), dim=1) for x, _ in DataLoader(data, batch_size=500)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with MNIST's IDX files (default: scikit-learn's digits)")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.02, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: one for each core")
    parser.add_argument("--out", type=Path, default=Path("runs/lenet_digits"))
    args = parser.parse_args()
    if args.epochs < 1:
        parser.error("--epochs must be at least 1")
    if args.threads is not None:
        mg.set_num_threads(args.threads)
    mg.manual_seed(args.seed)

    train, test = load_digits(args.data, args.seed)
    truth = test.tensors[1]
    model = lenet()
    print(f"{len(train)} digits to train, {len(test)} to test, {sum(p.numel() for p in model.parameters())} parameters")
    loader = DataLoader(train, args.batch_size, shuffle=True, generator=mg.Generator().manual_seed(args.seed))
    optimizer = SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
    schedule = StepLR(optimizer, step_size=max(1, args.epochs // 3), gamma=0.3)

    losses, train_accuracies, test_accuracies = [], [], []
    progress = tqdm(range(args.epochs), unit="epoch")
    for _ in progress:
        model.train()
        total, right = 0.0, 0
        for x, y in loader:
            optimizer.zero_grad()
            scores = model(x)
            loss = F.cross_entropy(scores, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
            right += int((scores.argmax(dim=1) == y).sum())
        schedule.step()
        losses.append(total / len(train))
        train_accuracies.append(right / len(train))
        test_accuracies.append((predict(model, test).argmax(dim=1) == truth).float().mean().item())
        progress.set_postfix(loss=f"{losses[-1]:.4f}", train=f"{train_accuracies[-1]:.4f}", test=f"{test_accuracies[-1]:.4f}")

    probabilities = predict(model, test).numpy()
    guess = probabilities.argmax(axis=1)
    plumbing.draw_curves(args.out / "curves.png", losses, train_accuracies, test_accuracies)
    plumbing.draw_confusion(args.out / "confusion.png", truth.numpy(), guess, 10)
    plumbing.draw_misclassified(
        args.out / "misclassified.png", test.tensors[0].squeeze(1).numpy(), truth.numpy(), guess, probabilities.max(axis=1)
    )
    plumbing.draw_filters(args.out / "filters.png", model[0].weight.detach().squeeze(1).numpy())
    mg.save(model.state_dict(), args.out / "weights.safetensors")
    print(f"wrote {args.out / 'weights.safetensors'}")
    print(f"test accuracy {(guess == truth.numpy()).mean():.4f}")


if __name__ == "__main__":
    main()
