"""LeNet-5. Source: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998."""

from __future__ import annotations

from typing import Any

from minigrad import Tensor, nn


class LeNet(nn.Module):
    """Two convolutions and three linear layers for (N, 1, 28, 28) images; torchvision has no LeNet.

    Rectifiers and maximum pooling stand where the paper has tanh and a trained mean.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),
            nn.ReLU(inplace=True),
            nn.Linear(120, 84),
            nn.ReLU(inplace=True),
            nn.Linear(84, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 28, 28) -> (N, num_classes) logits"""
        return self.classifier(self.features(x).flatten(1))


def lenet(**kwargs: Any) -> LeNet:
    """LeNet(**kwargs): 61,706 parameters."""
    return LeNet(**kwargs)
