"""Trains LeNet on MNIST until it is right about 97.5 % of the test images: `python -m benchmarks.mnist {minigrad,torch} FOLDER SEED`.

FOLDER holds the files in their IDX format, gzipped or not. Where the training set is missing, 9,000 images of the test set are
trained on and the other 1,000 tested. Prints the epochs it took and the accuracy.
"""

import gzip
import importlib
import sys
from pathlib import Path

import numpy as np

from benchmarks.steps import lenet

GOAL, BATCH, MOST_EPOCHS = 0.975, 64, 30


def read_idx(folder, name):
    """The array in the IDX file `name` or `name`.gz."""
    path = Path(folder) / name
    data = path.read_bytes() if path.exists() else gzip.decompress(path.with_name(name + ".gz").read_bytes())
    dims = data[3]
    shape = np.frombuffer(data, ">i4", dims, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)


def read_mnist(folder):
    """Images (N, 1, 28, 28) about zero and labels, for training and for testing."""
    test = read_idx(folder, "t10k-images-idx3-ubyte"), read_idx(folder, "t10k-labels-idx1-ubyte")
    if any((Path(folder) / f"train-images-idx3-ubyte{end}").exists() for end in ("", ".gz")):
        train = read_idx(folder, "train-images-idx3-ubyte"), read_idx(folder, "train-labels-idx1-ubyte")
    else:
        train, test = tuple(part[:9000] for part in test), tuple(part[9000:] for part in test)
    for images, labels in (train, test):
        yield ((images[:, None] / np.float32(255) - np.float32(0.1307)) / np.float32(0.3081)).astype(np.float32)
        yield labels.astype(np.int64)


def main():
    library, folder, seed = sys.argv[1:]
    L = importlib.import_module(library)
    train_x, train_y, test_x, test_y = map(L.from_numpy, read_mnist(folder))
    L.manual_seed(int(seed))
    model = lenet(L)
    optimizer = L.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    accuracy = 0.0
    for epoch in range(1, MOST_EPOCHS + 1):
        order = L.randperm(len(train_x))
        for start in range(0, len(train_x), BATCH):
            chosen = order[start : start + BATCH]
            optimizer.zero_grad()
            L.nn.functional.cross_entropy(model(train_x[chosen]), train_y[chosen]).backward()
            optimizer.step()
        with L.no_grad():
            accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
        if accuracy >= GOAL:
            print(epoch, accuracy)
            return
    sys.exit(f"{accuracy} after {MOST_EPOCHS} epochs")


if __name__ == "__main__":
    main()
