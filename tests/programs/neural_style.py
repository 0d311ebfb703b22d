from collections import namedtuple

import numpy as np
import torch
from common import fill, noise


class ConvLayer(torch.nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride):
        super().__init__()
        self.reflection_pad = torch.nn.ReflectionPad2d(kernel_size // 2)
        self.conv2d = torch.nn.Conv2d(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        return self.conv2d(self.reflection_pad(x))


class ResidualBlock(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = ConvLayer(channels, channels, kernel_size=3, stride=1)
        self.in1 = torch.nn.InstanceNorm2d(channels, affine=True)
        self.conv2 = ConvLayer(channels, channels, kernel_size=3, stride=1)
        self.in2 = torch.nn.InstanceNorm2d(channels, affine=True)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        out = self.relu(self.in1(self.conv1(x)))
        return self.in2(self.conv2(out)) + x


class UpsampleConvLayer(torch.nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size, stride, upsample=None):
        super().__init__()
        self.upsample = upsample
        self.layer = ConvLayer(in_channels, out_channels, kernel_size, stride)

    def forward(self, x):
        if self.upsample:
            x = torch.nn.functional.interpolate(x, mode="nearest", scale_factor=self.upsample)
        return self.layer(x)


class TransformerNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.in1 = ConvLayer(3, 8, 5, 1), torch.nn.InstanceNorm2d(8, affine=True)
        self.conv2, self.in2 = ConvLayer(8, 12, 3, 2), torch.nn.InstanceNorm2d(12, affine=True)
        self.res1, self.res2 = ResidualBlock(12), ResidualBlock(12)
        self.deconv1, self.in4 = UpsampleConvLayer(12, 8, 3, 1, upsample=2), torch.nn.InstanceNorm2d(8, affine=True)
        self.deconv3 = ConvLayer(8, 3, 5, 1)
        self.relu = torch.nn.ReLU()

    def forward(self, X):
        y = self.relu(self.in1(self.conv1(X)))
        y = self.relu(self.in2(self.conv2(y)))
        y = self.res2(self.res1(y))
        return self.deconv3(self.relu(self.in4(self.deconv1(y))))


class Features(torch.nn.Module):
    def __init__(self):
        super().__init__()
        stack = [
            torch.nn.Conv2d(3, 8, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 8, 3),
            torch.nn.ReLU(),
        ]
        self.slice1, self.slice2 = torch.nn.Sequential(), torch.nn.Sequential()
        for x in range(2):
            self.slice1.add_module(str(x), stack[x])
        for x in range(2, 5):
            self.slice2.add_module(str(x), stack[x])
        fill(self, 3)
        for param in self.parameters():
            param.requires_grad = False

    def forward(self, X):
        h1 = self.slice1(X)
        return namedtuple("VggOutputs", ["relu1", "relu2"])(h1, self.slice2(h1))


def gram_matrix(y):
    (b, ch, h, w) = y.size()
    features = y.view(b, ch, w * h)
    return features.bmm(features.transpose(1, 2)) / (ch * h * w)


def normalize_batch(batch):
    mean = batch.new_tensor([0.485, 0.456, 0.406]).view(-1, 1, 1)
    std = batch.new_tensor([0.229, 0.224, 0.225]).view(-1, 1, 1)
    return (batch.div_(255.0) - mean) / std


rng = np.random.default_rng(0)
transformer, vgg = fill(TransformerNet()), Features()
optimizer = torch.optim.Adam(transformer.parameters(), 1e-3)
mse_loss = torch.nn.MSELoss()
style = 127 + 50 * noise(rng, 1, 3, 20, 20).repeat(2, 1, 1, 1)
gram_style = [gram_matrix(y) for y in vgg(normalize_batch(style))]
for batch_id in range(6):
    x = 127 + 50 * noise(rng, 2, 3, 16, 16)
    optimizer.zero_grad()
    y = normalize_batch(transformer(x))
    x = normalize_batch(x)
    features_y, features_x = vgg(y), vgg(x)
    content_loss = 1e1 * mse_loss(features_y.relu2, features_x.relu2)
    style_loss = 0.0
    for ft_y, gm_s in zip(features_y, gram_style):
        style_loss += mse_loss(gram_matrix(ft_y), gm_s[:2, :, :])
    total_loss = content_loss + 1e2 * style_loss
    total_loss.backward()
    optimizer.step()
    print(f"{batch_id + 1}\tcontent: {content_loss.item():.5f}\tstyle: {style_loss.item():.5f}\ttotal: {total_loss.item():.5f}")
