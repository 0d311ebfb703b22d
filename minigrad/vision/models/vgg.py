"""VGG. Source: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", arXiv:1409.1556."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import Tensor, nn
from minigrad.vision.models._weights import refuse_weights

# Channels of the 3x3 convolutions, in five stages; each stage ends with a pooling by two.
_STAGES: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


def _features(depth: int, batch_norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for stage in _STAGES[depth]:
        for width in stage:
            layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
            channels = width
        layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """`features` for (N, 3, H, W) images, then three linear layers."""

    def __init__(self, features: nn.Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                    if module.bias is not None:
                        nn.init.constant_(module.bias, 0)
                elif isinstance(module, nn.BatchNorm2d):
                    nn.init.constant_(module.weight, 1)
                    nn.init.constant_(module.bias, 0)
                elif isinstance(module, nn.Linear):
                    nn.init.normal_(module.weight, 0, 0.01)
                    nn.init.constant_(module.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W), at least 32 x 32 -> (N, num_classes) logits"""
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _builder(depth: int, batch_norm: bool, parameters: str) -> Callable[..., VGG]:
    name = f"vgg{depth}_bn" if batch_norm else f"vgg{depth}"

    def build(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **kwargs: Any) -> VGG:
        refuse_weights(name, weights, pretrained)
        return VGG(_features(depth, batch_norm), **kwargs)

    build.__name__ = build.__qualname__ = name
    normalized = " with batch normalization" if batch_norm else ""
    build.__doc__ = f"VGG of {depth} layers{normalized}: {parameters} parameters for 1000 classes. ValueError for weights."
    return build


vgg11 = _builder(11, False, "132,863,336")
vgg11_bn = _builder(11, True, "132,868,840")
vgg13 = _builder(13, False, "133,047,848")
vgg13_bn = _builder(13, True, "133,053,736")
vgg16 = _builder(16, False, "138,357,544")
vgg16_bn = _builder(16, True, "138,365,992")
vgg19 = _builder(19, False, "143,667,240")
vgg19_bn = _builder(19, True, "143,678,248")
