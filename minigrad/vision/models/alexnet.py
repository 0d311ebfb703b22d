"""AlexNet. Source: Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997."""

from __future__ import annotations

from typing import Any

from minigrad import Tensor, nn
from minigrad.vision.models._weights import refuse_weights


class AlexNet(nn.Module):
    """Five convolutions and three linear layers: 61,100,840 parameters for 1000 classes."""

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(kernel_size=3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(p=dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), at least 63 x 63 -> (N, num_classes) logits"""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **kwargs: Any) -> AlexNet:
    """AlexNet(**kwargs). ValueError for weights."""
    refuse_weights("alexnet", weights, pretrained)
    return AlexNet(**kwargs)
