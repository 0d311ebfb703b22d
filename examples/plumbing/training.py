"""The loop that the examples train with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from tqdm import tqdm

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.optim import Optimizer
from minigrad.optim.lr_scheduler import LRScheduler
from minigrad.utils.data import DataLoader, TensorDataset


def fit(
    model: nn.Module,
    optimizer: Optimizer,
    train: TensorDataset,
    test: TensorDataset | None = None,
    *,
    epochs: int,
    batch_size: int = 32,
    seed: int = 0,
    schedule: LRScheduler | None = None,
    loss_function: Callable[[mg.Tensor, mg.Tensor], mg.Tensor] = F.cross_entropy,
    title: str = "training",
) -> dict[str, list[float]]:
    """Trains a classifier and returns its history by epoch: "loss", "train accuracy" and, with a test set, "test accuracy"."""
    history = defaultdict(list)
    loader = DataLoader(train, batch_size, shuffle=True, generator=mg.Generator().manual_seed(seed))
    progress = tqdm(range(epochs), title, unit="epoch")
    for _ in progress:
        model.train()
        total, right = 0.0, 0
        for x, y in loader:
            optimizer.zero_grad()
            scores = model(x)
            loss = loss_function(scores, y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
            right += int((scores.argmax(dim=1) == y).sum())
        if schedule is not None:
            schedule.step()
        history["loss"].append(total / len(train))
        history["train accuracy"].append(right / len(train))
        if test is not None:
            history["test accuracy"].append(accuracy(model, test))
        progress.set_postfix({name: f"{values[-1]:.4f}" for name, values in history.items()})
    return history


@mg.no_grad()
def predict(model: nn.Module, data: TensorDataset) -> mg.Tensor:
    """The model's probabilities of the classes, (N, classes), in eval mode."""
    model.eval()
    return mg.cat([F.softmax(model(x), dim=1) for x, _ in DataLoader(data, batch_size=500)])


def accuracy(model: nn.Module, data: TensorDataset) -> float:
    """The share of the data that the model classifies rightly."""
    return (predict(model, data).argmax(dim=1) == data.tensors[1]).float().mean().item()
