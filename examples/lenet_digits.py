"""LeNet-5 learns to read handwritten digits.

By default the 1,797 scans that come with scikit-learn, enlarged to 28x28; with --data DIR the digits of MNIST, in the IDX files
as they are distributed (gzipped or not). Writes curves, a confusion matrix, the mistakes, the first layer's filters and the weights
to runs/lenet_digits/. The same seed gives the same weights, bit for bit, for any number of threads.

LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, 1998 (here with ReLU and max pooling).
"""

from __future__ import annotations

import plumbing
from plumbing import data, pictures, training

import minigrad as mg
from minigrad import nn
from minigrad.optim import SGD
from minigrad.optim.lr_scheduler import StepLR


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


def main() -> None:
    parser = plumbing.parser(__doc__, epochs=15, data="folder with MNIST's IDX files (default: scikit-learn's digits)")
    parser.add_argument("--batch-size", type=plumbing.positive, default=32)
    parser.add_argument("--lr", type=float, default=0.02, help="learning rate (default: %(default)s)")
    parser.add_argument("--threads", type=plumbing.positive, help="default: one for each core")
    args = parser.parse_args()
    if args.threads is not None:
        mg.set_num_threads(args.threads)
    epochs = min(args.epochs, 2) if args.quick else args.epochs
    mg.manual_seed(args.seed)

    train, test = data.digits(args.seed, size=28, folder=args.data)
    model = lenet()
    print(f"{len(train)} digits to train, {len(test)} to test, {sum(p.numel() for p in model.parameters())} parameters")
    optimizer = SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
    schedule = StepLR(optimizer, step_size=max(1, epochs // 3), gamma=0.3)
    history = training.fit(
        model,
        optimizer,
        train,
        test,
        epochs=epochs,
        batch_size=args.batch_size,
        seed=args.seed,
        schedule=schedule,
        title="LeNet",
    )

    probabilities = training.predict(model, test).numpy()
    truth, guess = test.tensors[1].numpy(), probabilities.argmax(axis=1)
    pictures.draw_history(args.out / "curves.png", history)
    pictures.draw_confusion(args.out / "confusion.png", truth, guess, 10)
    pictures.draw_misclassified(
        args.out / "misclassified.png", test.tensors[0].squeeze(1).numpy(), truth, guess, probabilities.max(axis=1)
    )
    pictures.draw_filters(args.out / "filters.png", model[0].weight.detach().squeeze(1).numpy())
    mg.save(model.state_dict(), args.out / "weights.safetensors")
    print(f"wrote {args.out / 'weights.safetensors'}")
    plumbing.result("test accuracy", (guess == truth).mean())


if __name__ == "__main__":
    main()
