"""Residual networks. Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", arXiv:1512.03385."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigrad import Tensor, nn
from minigrad.vision.models._weights import refuse_weights


def _conv3x3(channels: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, planes, H / stride, W / stride)"""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + identity)


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 (with the stride, as torchvision has it) and a 1x1 convolution beside an identity."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, kernel_size=1, bias=False)
        self.bn1 = norm_layer(planes)
        self.conv2 = _conv3x3(planes, planes, stride)
        self.bn2 = norm_layer(planes)
        self.conv3 = nn.Conv2d(planes, planes * self.expansion, kernel_size=1, bias=False)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, inplanes, H, W) -> (N, 4 planes, H / stride, W / stride)"""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + identity)


class ResNet(nn.Module):
    """Four stages of residual blocks: `layers` says how many blocks each has."""

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: list[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.inplanes = 64
        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._stage(block, 64, layers[0], 1, norm_layer)
        self.layer2 = self._stage(block, 128, layers[1], 2, norm_layer)
        self.layer3 = self._stage(block, 256, layers[2], 2, norm_layer)
        self.layer4 = self._stage(block, 512, layers[3], 2, norm_layer)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
        if zero_init_residual:  # every block starts as the identity
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    nn.init.constant_(last.weight, 0)

    def _stage(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        count: int,
        stride: int,
        norm_layer: Callable[..., nn.Module],
    ) -> nn.Sequential:
        downsample = None
        width = planes * block.expansion
        if stride != 1 or self.inplanes != width:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, width, kernel_size=1, stride=stride, bias=False), norm_layer(width)
            )
        blocks = [block(self.inplanes, planes, stride, downsample, norm_layer)]
        self.inplanes = width
        blocks += [block(width, planes, norm_layer=norm_layer) for _ in range(1, count)]
        return nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, num_classes) logits"""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _builder(
    name: str, block: type[BasicBlock] | type[Bottleneck], layers: list[int], parameters: str
) -> Callable[..., ResNet]:
    def build(*, weights: Any = None, progress: bool = True, pretrained: bool = False, **kwargs: Any) -> ResNet:
        refuse_weights(name, weights, pretrained)
        return ResNet(block, layers, **kwargs)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"ResNet of {name[6:]} layers: {parameters} parameters for 1000 classes. ValueError for weights."
    return build


resnet18 = _builder("resnet18", BasicBlock, [2, 2, 2, 2], "11,689,512")
resnet34 = _builder("resnet34", BasicBlock, [3, 4, 6, 3], "21,797,672")
resnet50 = _builder("resnet50", Bottleneck, [3, 4, 6, 3], "25,557,032")
resnet101 = _builder("resnet101", Bottleneck, [3, 4, 23, 3], "44,549,160")
resnet152 = _builder("resnet152", Bottleneck, [3, 8, 36, 3], "60,192,808")
