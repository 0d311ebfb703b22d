"""minigrad.summary: receptive fields against gradients, numbers against closed forms, and the model as it was before."""

import copy
from fractions import Fraction

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.vision.models import resnet18


def alexnet(classes=1000):
    """Krizhevsky 2014 (one weird trick), as in torchvision: 61,100,840 parameters."""
    return nn.Sequential(
        nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        ),
        nn.AdaptiveAvgPool2d((6, 6)),
        nn.Flatten(),
        nn.Sequential(
            nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True),
            nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, classes),
        ),
    )  # fmt: skip


class Branches(nn.Module):
    """Two ways from the input to the output, added or concatenated."""

    def __init__(self, left, right, join):
        super().__init__()
        self.left, self.right, self.join = left, right, join

    def forward(self, x):
        a, b = self.left(x), self.right(x)
        size = [min(m, n) for m, n in zip(a.shape[2:], b.shape[2:])]
        for axis, n in enumerate(size):
            a, b = a.narrow(axis + 2, 0, n), b.narrow(axis + 2, 0, n)
        if self.join == "add":
            a += b
            return a
        return mg.cat([a, b], 1)


def random_network(rng, ndim):
    """Two to four layers over `ndim` axes, anisotropic, then branches that join, then a convolution."""
    strided = 0
    conv, transposed = getattr(nn, f"Conv{ndim}d"), getattr(nn, f"ConvTranspose{ndim}d")
    max_pool, avg_pool = getattr(nn, f"MaxPool{ndim}d"), getattr(nn, f"AvgPool{ndim}d")

    def sizes(low, high):
        return tuple(int(n) for n in rng.integers(low, high, ndim))

    def strides():
        nonlocal strided
        strided += 1
        return sizes(1, 3) if strided <= 2 else (1,) * ndim

    def layer(channels, out):
        kind = rng.integers(0, 7)
        if kind <= 1:
            return conv(channels, out, sizes(1, 5), stride=strides(), padding=sizes(0, 3), dilation=sizes(1, 3)), out
        if kind == 2:
            kernel = sizes(2, 4)
            return max_pool(kernel, stride=strides(), padding=tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)), channels
        if kind == 3:
            return avg_pool(sizes(1, 4), stride=strides()), channels
        if kind == 4:
            kernel, stride = sizes(2, 5), strides()
            return transposed(
                channels, out, kernel, stride=stride, padding=sizes(0, 2), output_padding=tuple(s - 1 for s in stride)
            ), out
        if kind == 5 and strided:
            return nn.Upsample(scale_factor=2, mode="nearest"), channels
        pad = nn.ZeroPad2d((2, 0, 1, 0)) if ndim == 2 else nn.ConstantPad1d((2, 0), 0.0)
        return nn.Sequential(getattr(nn, f"BatchNorm{ndim}d")(channels).eval(), nn.LeakyReLU(0.5), pad), channels

    layers, channels = [], 2
    for _ in range(int(rng.integers(2, 5))):
        made, channels = layer(channels, int(rng.integers(1, 4)))
        layers.append(made)
    k, d = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    left = conv(channels, 2, 2 * k + 1, padding=k * d, dilation=d)
    right = nn.Sequential(conv(channels, 2, 1), conv(2, 2, 3, padding=int(rng.integers(0, 2))))
    layers.append(Branches(left, right, rng.choice(["add", "cat"])))
    layers.append(conv(2 if layers[-1].join == "add" else 4, 1, 2))
    return nn.Sequential(*layers)


def gradient_support(net, x, position):
    """The first and last index, along each axis, of what the output at `position` depends on, over all examples of x."""
    x = x.detach().requires_grad_()
    out = net(x)
    out[(slice(None), slice(None), *position)].sum().backward()
    touched = (x.grad.numpy() != 0).any(axis=(0, 1))
    ends = [
        np.flatnonzero(touched.any(axis=tuple(a for a in range(touched.ndim) if a != axis))) for axis in range(touched.ndim)
    ]
    return tuple((int(found[0]), int(found[-1])) for found in ends)


@pytest.mark.parametrize("seed", range(20))
def test_the_receptive_field_is_the_support_of_the_input_gradient(seed):
    rng = np.random.default_rng(seed)
    mg.manual_seed(seed)
    ndim = 1 if seed % 4 == 3 else 2
    net = random_network(rng, ndim)
    size = (84, 88)[:ndim]
    x = mg.randn(4, 2, *size)
    row = mg.summary(net, x).total
    middle = tuple(n // 2 for n in row.output_shape[2:])
    seen = set()
    for shift in range(3):  # neighbours, whose windows may differ in size
        position = tuple(m + shift for m in middle)
        window = row.window(*position)
        assert all(first >= 0 and last < n for (first, last), n in zip(window, size)), "enlarge the input of this test"
        assert gradient_support(net, x, position) == window
        seen.add(tuple(last - first + 1 for first, last in window))
    for axis, largest in enumerate(row.receptive_field):
        assert max(sizes[axis] for sizes in seen) <= largest
    far = tuple(m + 2 for m in middle)
    moved = [b[0] - a[0] for a, b in zip(row.window(*middle), row.window(*far))]
    assert all(abs(move - 2 * jump) < 2 for move, jump in zip(moved, row.jump))


@pytest.mark.parametrize(
    ("layer", "shape", "field", "jump", "offset"),
    [
        (nn.Conv2d(1, 1, 3), (1, 1, 9, 9), (3, 3), (1, 1), (0, 0)),
        (nn.Conv2d(1, 1, (3, 5), stride=(1, 2), padding=(1, 0), dilation=(2, 1)), (1, 1, 9, 9), (5, 5), (1, 2), (-1, 0)),
        (nn.AvgPool2d(3, 2, 1), (1, 1, 9, 9), (3, 3), (2, 2), (-1, -1)),
        (nn.ConvTranspose2d(1, 1, 2, 2), (1, 1, 9, 9), (1, 1), (Fraction(1, 2),) * 2, (0, 0)),
        (nn.AdaptiveAvgPool2d(1), (1, 1, 9, 12), (9, 12), (9, 12), (0, 0)),
        (nn.AdaptiveMaxPool2d((2, 5)), (1, 1, 9, 12), (5, 4), (Fraction(9, 2), Fraction(12, 5)), (0, 0)),
        (nn.PixelShuffle(3), (1, 9, 4, 4), (1, 1), (Fraction(1, 3),) * 2, (0, 0)),
        (nn.PixelUnshuffle(2), (1, 1, 8, 8), (2, 2), (2, 2), (0, 0)),
        (nn.ReflectionPad2d(2), (1, 1, 8, 8), (1, 1), (1, 1), (-2, -2)),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), (1, 1, 9, 9), (3, 3), (1, 1), (-1, -1)),
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (1, 1, 3, 4), (3, 4), (0, 0), (0, 0)),
        (nn.Linear(6, 3), (2, 5, 4, 6), (1, 6), (1, 0), (0, 0)),
        (nn.Softmax(2), (1, 1, 4, 6), (4, 1), (0, 1), (0, 0)),
        (nn.Sequential(nn.BatchNorm2d(3), nn.GroupNorm(1, 3), nn.PReLU(3)), (2, 3, 4, 4), (1, 1), (1, 1), (0, 0)),
        (nn.Conv1d(2, 1, 4, stride=3), (1, 2, 20), (4,), (3,), (0,)),
        (nn.Conv3d(1, 1, (1, 2, 3)), (1, 1, 4, 4, 4), (1, 2, 3), (1, 1, 1), (0, 0, 0)),
    ],
)
def test_the_receptive_field_of_one_layer(layer, shape, field, jump, offset):
    row = mg.summary(layer, shape).total
    assert (row.receptive_field, row.jump, row.offset) == (field, jump, offset)


def test_fields_of_published_networks():
    """AlexNet's, ResNet's and VGG's, as in Araujo et al. 2019."""
    table = mg.summary(alexnet(2)[0], (1, 3, 224, 224))
    assert table["10"].receptive_field == (163, 163)
    assert table["12"].receptive_field == (195, 195)
    assert table["12"].jump == (32, 32)
    residual = mg.summary(resnet18(), (1, 3, 64, 64))
    assert residual["layer4"].receptive_field == (435, 435)
    assert residual.total.parameters == 11_689_512
    widths = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]
    layers, before = [], 3
    for width in widths:
        layers.append(nn.Conv2d(before, width // 64 + 1, 3, padding=1) if width else nn.MaxPool2d(2))
        before = width // 64 + 1 if width else before
    assert mg.summary(nn.Sequential(*layers), (1, 3, 64, 64)).total.receptive_field == (212, 212)


class Slices(nn.Module):
    """Crops, strides and writes through views."""

    def forward(self, x):
        y = F.avg_pool1d(x, 3, 1, 1)
        y[:, :, 2:6] += x[:, :, 8:12]
        z = mg.stack([y[:, :, 1::2], y[:, :, ::2]]).flip(0)
        return mg.cat([z.sum(0), x.transpose(1, 2)[:, 3:9].transpose(1, 2).tanh()], 2)


def test_the_receptive_field_goes_through_views_and_writes():
    x = mg.randn(4, 2, 16)
    row = mg.summary(Slices(), x).total
    windows = [row.window(i) for i in range(row.output_shape[2])]
    assert windows == [gradient_support_unclipped(Slices(), x, i) for i in range(row.output_shape[2])]


def gradient_support_unclipped(net, x, i):
    ((first, last),) = gradient_support(net, x, (i,))
    return ((first - (i == 0), last + (i == 7)),)  # the average at either border reads one element of padding


class Unpooled(nn.Module):
    def forward(self, x):
        values, indices = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(values, indices, 2)


def test_unpooling_sees_the_window_that_a_maximum_came_from():
    mg.manual_seed(0)
    x = mg.randn(50, 1, 6, 6)
    row = mg.summary(Unpooled(), x).total
    assert (row.receptive_field, row.jump) == ((2, 2), (1, 1))
    for position in ((2, 3), (4, 0)):
        assert row.window(*position) == tuple((i // 2 * 2, i // 2 * 2 + 1) for i in position)
        inside = zip(gradient_support(Unpooled(), x, position), row.window(*position))
        assert all(low <= first and last <= high for (first, last), (low, high) in inside)


def test_alexnet_by_closed_forms():
    net = alexnet()
    table = mg.summary(net, (1, 3, 224, 224))
    assert table.total.parameters == table.total.trainable == 61_100_840
    sizes = {"0.0": (64, 55, 3 * 11 * 11), "0.3": (192, 27, 64 * 25), "0.6": (384, 13, 192 * 9), "0.8": (256, 13, 384 * 9)}
    for path, (channels, side, taps) in sizes.items():
        assert table[path].output_shape == (1, channels, side, side)
        assert table[path].multiply_adds == channels * side * side * taps
        assert table[path].parameters == channels * taps + channels
        assert table[path].backward_multiply_adds == table[path].multiply_adds * (1 if path == "0.0" else 2)
    assert table.total.multiply_adds == 714_188_480
    assert table.total.backward_multiply_adds == 2 * 714_188_480 - table["0.0"].multiply_adds
    assert table["3"].parameters == 9216 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert "61,100,840" in str(table)


def test_kept_bytes_are_counted_once_and_leave_the_parameters_out():
    net = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5), nn.ReLU())
    table = mg.summary(net, (3, 10))
    assert table["0"].kept_bytes == 3 * 10 * 4  # its input
    assert table["1"].kept_bytes == 3 * 20 * 4  # its output, which layer 2 keeps too
    assert table["2"].kept_bytes == 0
    assert table.total.kept_bytes == 4 * (30 + 60 + 15)


def test_frozen_and_shared_parameters():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    net[3].weight = net[2].weight
    net[0].requires_grad_(False)
    table = mg.summary(net, (2, 4))
    assert table.total.parameters == 40
    assert table.total.trainable == 20
    assert [table[path].shared for path in "0123"] == [False, False, False, True]
    assert table["0"].backward_multiply_adds == table["0"].kept_bytes == 0
    assert table["2"].backward_multiply_adds == 2 * 4 * 4  # no gradient for what lies before
    assert "* shared" in str(table)
    assert "frozen" in str(table)


def test_the_model_is_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(72, 2))
    heard = []
    net[0].register_forward_hook(lambda *_: heard.append(1))
    net(mg.randn(2, 1, 8, 8)).sum().backward()
    net[2].eval()
    before, grads = copy.deepcopy(net.state_dict()), [p.grad.numpy().copy() for p in net.parameters()]
    parameters = list(net.parameters())
    attributes = {name: set(vars(m)) for name, m in net.named_modules()}
    mg.manual_seed(3)
    expected = mg.rand(4)
    mg.manual_seed(3)
    mg.summary(net, (2, 1, 8, 8), time=True)
    assert mg.equal(mg.rand(4), expected)
    assert all(mg.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(np.array_equal(p.grad.numpy(), g) for p, g in zip(net.parameters(), grads))
    assert all(a is b for a, b in zip(net.parameters(), parameters))
    assert [m.training for m in net] == [True, True, False, True, True]
    assert {name: set(vars(m)) for name, m in net.named_modules()} == attributes
    assert len(net[0]._forward_hooks) == 1


def test_lazy_parametrized_and_used_models():
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(4))
    assert mg.summary(lazy, (2, 3, 2)).total.parameters == 28
    assert isinstance(lazy[1].weight, nn.UninitializedParameter)
    table = mg.summary(nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4))), (2, 3))
    assert [row.depth for row in table.rows] == [0, 1, 2, 3]
    assert "\n    parametrizations.weight: ParametrizationList" in str(table)
    used = nn.Sequential(nn.Linear(3, 4))
    used.last = used(mg.ones(1, 3))
    assert mg.summary(used, (1, 3)).total.output_shape == (1, 4)


def test_several_inputs_dtypes_calls_and_depth():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(7, 4)
            self.block = nn.Sequential(nn.Linear(4, 4))

        def forward(self, tokens, bias):
            return {"out": self.block(self.block(self.embed(tokens) + bias.float()))}

    table = mg.summary(Two(), [(2, 5), (4,)], dtypes=[mg.int64, mg.float64], depth=1)
    assert table["block"].calls == 2
    assert table["block"].multiply_adds == 2 * (2 * 5 * 4 * 4)
    assert table.total.output_shape == (2, 5, 4)
    assert "0: Linear" not in str(table)
    assert "block: Sequential (2 calls)" in str(table)
    again = mg.summary(Two(), [mg.zeros(2, 5, dtype=mg.int64), mg.ones(4)])
    assert again.total.multiply_adds == table.total.multiply_adds


def test_times_are_measured_on_request():
    net = nn.Sequential(nn.Linear(50, 50), nn.ReLU())
    table = mg.summary(net, (20, 50), time=True)
    assert 0 < table["0"].seconds < table.total.seconds
    assert 0 < table["0"].backward_seconds <= table.total.backward_seconds
    assert "Backward ms" in str(table)
    assert mg.summary(net, (20, 50)).total.seconds is None


def test_errors():
    with pytest.raises(TypeError, match="expected a Module"):
        mg.summary(F.relu, (1, 2))
    with pytest.raises(ValueError, match="input_size"):
        mg.summary(nn.ReLU(), 5)
    with pytest.raises(ValueError, match="no shape"):
        mg.summary(nn.ReLU(), [(1, 2), "x"])
    with pytest.raises(ValueError, match="2 dtypes for 1 inputs"):
        mg.summary(nn.ReLU(), (1, 2), dtypes=[mg.float32, mg.float32])
    with pytest.raises(RuntimeError, match=r"0 \(Linear"):
        mg.summary(nn.Sequential(nn.Linear(2, 3)), (1, 4))
    table = mg.summary(nn.Sequential(nn.Conv1d(1, 1, 2)), (1, 1, 4))
    with pytest.raises(KeyError, match="no layer 'x'"):
        table["x"]
    with pytest.raises(ValueError, match="expected 1 positions"):
        table.total.window(1, 2)


class Products(nn.Module):
    """One of each operation that is a product."""

    def forward(self, x):
        q = x.reshape(2, 4, 5, 6)
        row = x.reshape(-1, 6)
        return (
            F.scaled_dot_product_attention(q, q, q).sum()
            + mg.addmm(mg.zeros(40, 40), row, row.t()).sum()
            + mg.mv(row, row[0]).sum()
            + mg.dot(row[0], row[1])
        )


def test_every_product_counts_its_multiply_adds():
    table = mg.summary(Products(), mg.randn(2, 4, 5, 6))
    assert table.total.multiply_adds == 2 * 4 * 5 * 5 * (6 + 6) + 40 * 6 * 40 + 40 * 6 + 6
