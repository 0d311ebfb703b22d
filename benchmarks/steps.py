"""Whole training steps and the cost of tiny operations, written once for both libraries (`L` is the library's module)."""

import itertools

from benchmarks.registry import call


def training_step(L, model, loss, x, y, optimizer=None):
    """() -> one step of SGD with momentum (or of the given optimizer) on the batch (x, y)."""
    optimizer = optimizer or L.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


def classify(L, model, size, batch, channels=3):
    """A step of cross entropy over ten classes on random square images."""
    L.manual_seed(0)
    x, y = L.randn(batch, channels, size, size), L.randint(0, 10, (batch,))
    return training_step(L, model, L.nn.functional.cross_entropy, x, y)


# --- tiny operations: what a call and a node cost ---------------------------------------------------------------------------
@call("tiny", "add of two 4x4, recorded")
def tiny_add(L):
    a, b = L.ones(4, 4, requires_grad=True), L.ones(4, 4)
    return lambda: a + b


@call("tiny", "ten multiplications and a sum, forward and backward")
def ten_multiplications(L):
    a, b = L.ones(4, 4, requires_grad=True), L.ones(4, 4)

    def run():
        a.grad = None
        y = a
        for _ in range(10):
            y = y * b
        y.sum().backward()

    return run


@call("tiny", "Linear 16 -> 16, batch 4, as a Module, no_grad")
def tiny_linear(L):
    layer, x = L.nn.Linear(16, 16), L.randn(4, 16)

    def run():
        with L.no_grad():
            return layer(x)

    return run


# --- calls with small tensors: views, copies and new tensors, which a program makes by the way -------------------------------
CALLS = {
    "x[0]": lambda L, x: x[0],
    "x[1:3]": lambda L, x: x[1:3],
    "x[0, 1].item()": lambda L, x: x[0, 1].item(),
    "x.reshape(-1)": lambda L, x: x.reshape(-1),
    "x.flatten(1)": lambda L, x: x.flatten(1),
    "x.T": lambda L, x: x.T,
    "x.permute(1, 0)": lambda L, x: x.permute(1, 0),
    "x.unsqueeze(0)": lambda L, x: x.unsqueeze(0),
    "x.squeeze()": lambda L, x: x.squeeze(),
    "x.expand(3, 64, 32)": lambda L, x: x.expand(3, 64, 32),
    "x.detach()": lambda L, x: x.detach(),
    "x.chunk(4)": lambda L, x: x.chunk(4),
    "cat of two": lambda L, x: L.cat([x, x]),
    "stack of two": lambda L, x: L.stack([x, x]),
    "x.argmax(1)": lambda L, x: x.argmax(1),
    "softmax of rows": lambda L, x: x.softmax(1),
    "x + 1": lambda L, x: x + 1,
    "x > 0": lambda L, x: x > 0,
    "zeros(3, 4)": lambda L, x: L.zeros(3, 4),
    "tensor([1.0, 2.0])": lambda L, x: L.tensor([1.0, 2.0]),
    "arange(10)": lambda L, x: L.arange(10),
    "randn(3, 4)": lambda L, x: L.randn(3, 4),
}


def small_call(function, recorded):
    def prepare(L):
        x = L.randn(64, 32, requires_grad=recorded)
        return lambda: function(L, x)

    return prepare


for label, function in CALLS.items():
    call("call", f"{label}, of 64x32" if "x" in label or "of" in label else label)(small_call(function, False))
    if label in ("x[0]", "x.reshape(-1)", "x.T", "cat of two", "softmax of rows"):
        call("call", f"{label}, of 64x32, recorded")(small_call(function, True))


# --- multilayer perceptrons -------------------------------------------------------------------------------------------------
def mlp(L, *widths, activation):
    layers = []
    for inside, outside in itertools.pairwise(widths[:-1]):
        layers += [L.nn.Linear(inside, outside), activation()]
    return L.nn.Sequential(*layers, L.nn.Linear(*widths[-2:]))


@call("step", "MLP 2-16-16-1, batch 64, tanh")
def small_mlp(L):
    L.manual_seed(0)
    model = mlp(L, 2, 16, 16, 1, activation=L.nn.Tanh)
    return training_step(L, model, L.nn.functional.mse_loss, L.randn(64, 2), L.randn(64, 1))


@call("step", "MLP 2-16-16-1, batch 64, relu, Adam")
def small_mlp_adam(L):
    L.manual_seed(0)
    model = mlp(L, 2, 16, 16, 1, activation=L.nn.ReLU)
    optimizer = L.optim.Adam(model.parameters())
    return training_step(L, model, L.nn.functional.mse_loss, L.randn(64, 2), L.randn(64, 1), optimizer)


@call("step", "MLP 784-256-128-10, batch 64, relu")
def mnist_mlp(L):
    L.manual_seed(0)
    model = mlp(L, 784, 256, 128, 10, activation=L.nn.ReLU)
    return training_step(L, model, L.nn.functional.cross_entropy, L.randn(64, 784), L.randint(0, 10, (64,)))


@call("step", "MLP 1024-1024-1024-10, batch 256, gelu, dropout, layer norm")
def wide_mlp(L):
    L.manual_seed(0)
    nn = L.nn
    layers = []
    for _ in range(2):
        layers += [nn.Linear(1024, 1024), nn.LayerNorm(1024), nn.GELU(), nn.Dropout(0.1)]
    model = nn.Sequential(*layers, nn.Linear(1024, 10))
    return training_step(L, model, nn.functional.cross_entropy, L.randn(256, 1024), L.randint(0, 10, (256,)))


# --- convolutional networks -------------------------------------------------------------------------------------------------
def lenet(L):
    nn = L.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


for size in (1, 16, 64, 256):
    call("step", f"LeNet, batch {size}")(lambda L, size=size: classify(L, lenet(L), 28, size, channels=1))


def vgg(L):
    """A small VGG with batch normalization for 32x32 images."""
    nn, layers, inside = L.nn, [], 3
    for width, repeats in ((32, 2), (64, 2), (128, 2)):
        for _ in range(repeats):
            layers += [nn.Conv2d(inside, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inside = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))


call("step", "VGG with batch norm, 32x32, batch 32")(lambda L: classify(L, vgg(L), 32, 32))


@call("step", "strided CNN, 32x32, batch 32")
def strided(L):
    nn, layers, inside = L.nn, [], 3
    for width in (32, 64, 128):
        layers += [nn.Conv2d(inside, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]
        inside = width
    return classify(L, nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)), 32, 32)


@call("step", "separable CNN, 32x32, batch 32")
def separable(L):
    nn = L.nn
    layers, inside = [nn.Conv2d(3, 32, 3, padding=1), nn.ReLU()], 32
    for width in (64, 128, 128):
        layers += [nn.Conv2d(inside, inside, 3, padding=1, groups=inside), nn.BatchNorm2d(inside), nn.ReLU()]
        layers += [nn.Conv2d(inside, width, 1), nn.BatchNorm2d(width), nn.ReLU(), nn.AvgPool2d(2)]
        inside = width
    return classify(L, nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 4 * 4, 10)), 32, 32)


@call("step", "upsampler with transposed convolution, 16x16 to 64x64, batch 8")
def upsampler(L):
    L.manual_seed(0)
    nn = L.nn
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.PReLU(), nn.ConvTranspose2d(32, 32, 4, stride=2, padding=1), nn.PReLU(),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.PReLU(), nn.Conv2d(16, 3, 3, padding=1),
    )  # fmt: skip
    return training_step(L, model, nn.functional.l1_loss, L.randn(8, 3, 16, 16), L.randn(8, 3, 64, 64))


@call("step", "U-shaped net with bilinear upsampling, 32x32, batch 8")
def unet(L):
    L.manual_seed(0)
    nn = L.nn

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU())
            self.inner = nn.Sequential(
                nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.SiLU(), nn.Upsample(scale_factor=2, mode="bilinear")
            )
            self.out = nn.Conv2d(48, 2, 1)

        def forward(self, x):
            x = self.down(x)
            return self.out(L.cat((x, self.inner(x)), 1))

    y = L.randint(0, 2, (8, 32, 32))
    return training_step(L, UNet(), nn.functional.cross_entropy, L.randn(8, 3, 32, 32), y)


@call("step", "autoencoder with unpooling, 28x28, batch 64")
def autoencoder(L):
    L.manual_seed(0)
    nn = L.nn

    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.pool = nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2, return_indices=True)
            self.unpool, self.decode = nn.MaxUnpool2d(2), nn.Conv2d(16, 1, 3, padding=1)
            self.code = nn.Sequential(nn.Conv2d(16, 4, 1), nn.Tanh(), nn.Conv2d(4, 16, 1))

        def forward(self, x):
            x, indices = self.pool(L.relu(self.encode(x)))
            return L.sigmoid(self.decode(self.unpool(self.code(x), indices)))

    x = L.rand(64, 1, 28, 28)
    return training_step(L, Autoencoder(), nn.functional.binary_cross_entropy, x, x)


@call("step", "attention block, 16 sequences of 64, width 128")
def attention(L):
    L.manual_seed(0)
    nn = L.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.norm = nn.Embedding(1000, 128), nn.LayerNorm(128)
            self.qkv, self.out = nn.Linear(128, 384), nn.Linear(128, 1000)

        def forward(self, tokens):
            x = self.embed(tokens)
            q, k, v = (part.reshape(16, 64, 4, 32).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1))
            weights = nn.functional.softmax(q @ k.transpose(-1, -2) * 32**-0.5, -1)
            x = x + (weights @ v).transpose(1, 2).reshape(16, 64, 128)
            return self.out(x).transpose(1, 2)

    tokens = L.randint(0, 1000, (16, 64))
    return training_step(L, Block(), nn.functional.cross_entropy, tokens, tokens)


# --- layers over sequences: forward and backward, no optimizer ---------------------------------------------------------------
SEQUENCES = {
    "RNN, T=32 N=16 I=64 H=128": lambda nn: (nn.RNN(64, 128), (32, 16, 64)),
    "GRU, T=32 N=16 I=64 H=128": lambda nn: (nn.GRU(64, 128), (32, 16, 64)),
    "LSTM, T=32 N=16 I=64 H=128": lambda nn: (nn.LSTM(64, 128), (32, 16, 64)),
    "LSTM of two layers, both directions, T=20 N=8 I=H=64": lambda nn: (nn.LSTM(64, 64, 2, bidirectional=True), (20, 8, 64)),
    "LSTMCell, N=16 I=64 H=128": lambda nn: (nn.LSTMCell(64, 128), (16, 64)),
    "TransformerEncoderLayer, 16 sequences of 64, width 128, 4 heads": lambda nn: (
        nn.TransformerEncoderLayer(128, 4, 256, dropout=0.0, batch_first=True), (16, 64, 128)
    ),
}  # fmt: skip
for name, make in SEQUENCES.items():

    def sequence_layer(L, make=make):
        L.manual_seed(0)
        layer, shape = make(L.nn)
        x = L.randn(*shape, requires_grad=True)

        def run():
            layer.zero_grad()
            x.grad = None
            out = layer(x)
            (out[0] if isinstance(out, tuple) else out).sum().backward()

        return run

    call("sequence", name)(sequence_layer)


@call("sequence", "MultiheadAttention, 16 sequences of 64, width 128, 4 heads, without weights")
def multihead(L):
    L.manual_seed(0)
    layer, x = L.nn.MultiheadAttention(128, 4, batch_first=True), L.randn(16, 64, 128, requires_grad=True)

    def run():
        layer.zero_grad()
        x.grad = None
        layer(x, x, x, need_weights=False)[0].sum().backward()

    return run


# --- optimizers: one step over 20 parameters of 64 x 64 ---------------------------------------------------------------------
OPTIMIZERS = {
    "SGD": {"lr": 0.01}, "SGD with momentum": {"lr": 0.01, "momentum": 0.9}, "Adam": {}, "AdamW": {}, "RMSprop": {}, "Adagrad": {},
    "Adadelta": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "ASGD": {}, "Rprop": {},
}  # fmt: skip
for name, arguments in OPTIMIZERS.items():

    def optimizer_step(L, name=name, arguments=arguments):
        parameters = [L.nn.Parameter(L.randn(64, 64)) for _ in range(20)]
        for parameter in parameters:
            parameter.grad = L.randn(64, 64)
        return getattr(L.optim, name.split()[0])(parameters, **arguments).step

    call("optim", name)(optimizer_step)
