"""The operations, one line each: every kernel of the library, written once for both libraries (`L` is the library's module)."""

import numpy as np

from benchmarks.registry import call, integers, mask, normal, op, positive, uniform

# Shapes: an image batch inside a network (12.8 MB in float32), a matrix in the second-level cache (1 MB) and a small one.
IMAGES = (16, 64, 56, 56)
MATRIX = (256, 1024)
SMALL = (16, 64)


def assigned(x, index, value):
    """x after x[index] = value."""
    x[index] = value
    return x


# --- elementwise ------------------------------------------------------------------------------------------------------------
for shape in ((4, 4), SMALL, MATRIX, (1024, 1024), IMAGES):
    label = "x".join(map(str, shape))
    op("elementwise", f"add {label}", lambda L, x, y: x + y, normal(*shape), normal(*shape), control=lambda x, y: x + y)
    op("activation", f"relu {label}", lambda L, x: L.relu(x), normal(*shape), control=lambda x: np.maximum(x, 0))
for shape in (SMALL, MATRIX, IMAGES):
    label = "x".join(map(str, shape))
    op("elementwise", f"exp {label}", lambda L, x: L.exp(x), normal(*shape), control=np.exp)
    op("elementwise", f"tanh {label}", lambda L, x: L.tanh(x), normal(*shape), control=np.tanh)
    op("elementwise", f"sigmoid {label}", lambda L, x: L.sigmoid(x), normal(*shape), control=lambda x: 1 / (1 + np.exp(-x)))

for name in ("sub", "mul", "div", "maximum", "minimum", "atan2", "hypot", "logaddexp"):
    op("elementwise", name, lambda L, x, y, name=name: getattr(L, name)(x, y), positive(*MATRIX), positive(*MATRIX))
for name in ("fmod", "remainder", "pow", "xlogy"):
    op("elementwise", name, lambda L, x, y, name=name: getattr(L, name)(x, y), positive(*MATRIX), positive(*MATRIX))
for name in (
    "neg",
    "abs",
    "square",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "atan",
    "erf",
    "expm1",
    "exp2",
    "sign",
    "floor",
    "frac",
    "round",
    "nan_to_num",
):
    op("elementwise", name, lambda L, x, name=name: getattr(L, name)(x), normal(*MATRIX))
for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal", "asin", "acos", "logit"):
    op("elementwise", name, lambda L, x, name=name: getattr(L, name)(x), positive(*MATRIX))
op("elementwise", "add a row", lambda L, x, y: x + y, normal(*MATRIX), normal(MATRIX[1]))
op("elementwise", "multiply by a column", lambda L, x, y: x * y, normal(*MATRIX), normal(MATRIX[0], 1))
op("elementwise", "multiply by a number", lambda L, x: x * 2.5, normal(*MATRIX))
op("elementwise", "x ** 2", lambda L, x: x**2, normal(*MATRIX))
op("elementwise", "x ** 3", lambda L, x: x**3, normal(*MATRIX))
op("elementwise", "add transposed", lambda L, x, y: x + y.t(), normal(512, 512), normal(512, 512))
op("elementwise", "add of 8x1x16x1x32 and 1x4x1x8x32", lambda L, x, y: x + y, normal(8, 1, 16, 1, 32), normal(1, 4, 1, 8, 32))
op("elementwise", "clamp", lambda L, x: L.clamp(x, -0.5, 0.5), normal(*MATRIX))
op("elementwise", "where", lambda L, m, x, y: L.where(m, x, y), mask(*MATRIX), normal(*MATRIX), normal(*MATRIX))
op("elementwise", "lerp", lambda L, x, y: L.lerp(x, y, 0.3), normal(*MATRIX), normal(*MATRIX))
op("elementwise", "addcmul", lambda L, x, y, z: L.addcmul(x, y, z), normal(*MATRIX), normal(*MATRIX), normal(*MATRIX))
for shape in (SMALL, (1024, 1024)):
    label = "x".join(map(str, shape))
    for name in ("add_", "mul_"):
        op(
            "elementwise",
            f"{name} {label}",
            lambda L, x, y, name=name: getattr(x, name)(y),
            normal(*shape),
            positive(*shape),
            backward=False,
        )
op("elementwise", "add_ with alpha", lambda L, x, y: x.add_(y, alpha=-0.1), normal(*MATRIX), normal(*MATRIX), backward=False)
op(
    "elementwise",
    "addcdiv_",
    lambda L, x, y, z: x.addcdiv_(y, z),
    normal(*MATRIX),
    normal(*MATRIX),
    positive(*MATRIX),
    backward=False,
)
op("elementwise", "clamp_", lambda L, x: x.clamp_(-0.5, 0.5), normal(*MATRIX), backward=False)
op("elementwise", "copy_", lambda L, x, y: x.copy_(y), normal(*MATRIX), normal(*MATRIX), backward=False)
op("elementwise", "zero_", lambda L, x: x.zero_(), normal(*MATRIX), backward=False)
op("elementwise", "masked_fill_", lambda L, x, m: x.masked_fill_(m, 0.0), normal(*MATRIX), mask(*MATRIX), backward=False)
op(
    "elementwise",
    "x[2:5] = y",
    lambda L, x, y: assigned(x, slice(2, 5), y),
    normal(*MATRIX),
    normal(3, MATRIX[1]),
    backward=False,
)
op("elementwise", "x > y", lambda L, x, y: x > y, normal(*MATRIX), normal(*MATRIX), backward=False)
op("elementwise", "isnan", lambda L, x: L.isnan(x), normal(*MATRIX), backward=False)
op("elementwise", "float64 to float32", lambda L, x: x.double().float(), normal(*MATRIX))
op("elementwise", "x += y", lambda L, x, y: x.add_(y), normal(*MATRIX), normal(*MATRIX), backward=False)
op("elementwise", "x *= 1", lambda L, x: x.mul_(1.0), normal(*MATRIX), backward=False)
op("elementwise", "relu_", lambda L, x: L.relu_(x), normal(*MATRIX), backward=False)
op("elementwise", "x & y of bool", lambda L, x, y: x & y, mask(*MATRIX), mask(*MATRIX), backward=False)
op("elementwise", "x == y", lambda L, x, y: x == y, normal(*MATRIX), normal(*MATRIX), backward=False)
op("elementwise", "x < 0.5", lambda L, x: x < 0.5, normal(*MATRIX), backward=False)
op("elementwise", "clone", lambda L, x: x.clone(), normal(*IMAGES), control=lambda x: x.copy())

# --- activations ------------------------------------------------------------------------------------------------------------
ACTIVATIONS = "gelu silu mish softplus elu selu celu leaky_relu hardtanh relu6 hardsigmoid hardswish hardshrink softshrink \
tanhshrink logsigmoid softsign"
for name in ACTIVATIONS.split():
    op("activation", name, lambda L, x, name=name: getattr(L.nn.functional, name)(x), normal(*MATRIX))
op("activation", "gelu tanh", lambda L, x: L.nn.functional.gelu(x, approximate="tanh"), normal(*MATRIX))
op("activation", "threshold", lambda L, x: L.nn.functional.threshold(x, 0.1, 20.0), normal(*MATRIX))
op("activation", "prelu", lambda L, x, w: L.nn.functional.prelu(x, w), normal(16, 64, 28, 28), normal(64))
op("activation", "glu", lambda L, x: L.nn.functional.glu(x), normal(*MATRIX))

# --- reductions -------------------------------------------------------------------------------------------------------------
for shape in (SMALL, MATRIX, IMAGES):
    label = "x".join(map(str, shape))
    op("reduction", f"sum {label}", lambda L, x: x.sum(), normal(*shape), control=np.sum)
op("reduction", "sum over rows", lambda L, x: x.sum(1), normal(*MATRIX), control=lambda x: x.sum(1))
op("reduction", "sum over columns", lambda L, x: x.sum(0), normal(*MATRIX), control=lambda x: x.sum(0))
op("reduction", "mean over H and W", lambda L, x: x.mean((2, 3)), normal(*IMAGES))
op("reduction", "mean", lambda L, x: x.mean(), normal(*MATRIX))
op("reduction", "prod over rows", lambda L, x: x.prod(1), positive(256, 64))
op("reduction", "var over rows", lambda L, x: x.var(1), normal(*MATRIX))
op("reduction", "std", lambda L, x: x.std(), normal(*MATRIX))
op("reduction", "norm", lambda L, x: x.norm(), normal(*MATRIX))
op("reduction", "max", lambda L, x: x.max(), normal(*MATRIX), control=np.max)
op("reduction", "max over rows", lambda L, x: x.max(1), normal(*MATRIX))
op("reduction", "amax over columns", lambda L, x: x.amax(0), normal(*MATRIX))
op("reduction", "min over columns", lambda L, x: x.min(0), normal(*MATRIX))
op("reduction", "argmax over rows", lambda L, x: x.argmax(1), normal(*MATRIX), backward=False)
op("reduction", "any", lambda L, x: x.any(), mask(*MATRIX), backward=False)
op("reduction", "sum of bool", lambda L, x: x.sum(), mask(*MATRIX), backward=False)
op("reduction", "sum over an expanded dimension", lambda L, x: x.expand(64, 256, 64).sum(1), normal(64, 1, 64))
op("reduction", "logsumexp over rows", lambda L, x: L.logsumexp(x, 1), normal(*MATRIX))
op("reduction", "cumsum over rows", lambda L, x: x.cumsum(1), normal(*MATRIX))
op("reduction", "cumprod over rows", lambda L, x: x.cumprod(1), positive(256, 64))
op("reduction", "sort rows", lambda L, x: x.sort(1), normal(*MATRIX), control=lambda x: np.sort(x, 1))
op("reduction", "topk 10 of rows", lambda L, x: x.topk(10, 1), normal(*MATRIX))
op("reduction", "topk 100 of 10000", lambda L, x: x.topk(100, 1), normal(64, 10000))
for dim, lines in enumerate(("columns", "rows")):
    op(
        "reduction",
        f"cumsum of int64 over {lines}",
        lambda L, x, dim=dim: x.cumsum(dim),
        integers(1000, *MATRIX),
        backward=False,
    )
for dim, lines in enumerate(("columns", "rows")):
    op("reduction", f"sum of int64 over {lines}", lambda L, x, dim=dim: x.sum(dim), integers(1000, *MATRIX), backward=False)
    op("reduction", f"max of int64 over {lines}", lambda L, x, dim=dim: x.max(dim), integers(1000, *MATRIX), backward=False)
op("reduction", "amax of int64", lambda L, x: x.amax(), integers(1000, *MATRIX), backward=False)
op("reduction", "cumsum of a vector", lambda L, x: x.cumsum(0), normal(50000))
op("reduction", "unique", lambda L, x: L.unique(x), integers(1000, 100000), backward=False)
op("reduction", "median of rows", lambda L, x: x.median(1), normal(*MATRIX))

# --- softmax and losses -----------------------------------------------------------------------------------------------------
op("softmax", "softmax 256x1000", lambda L, x: L.softmax(x, 1), normal(256, 1000))
op("softmax", "softmax 64x10", lambda L, x: L.softmax(x, 1), normal(64, 10))
op("softmax", "softmax 8x8x128x128 (attention)", lambda L, x: L.softmax(x, -1), normal(8, 8, 128, 128))
op("softmax", "softmax over channels 16x64x56x56", lambda L, x: L.softmax(x, 1), normal(*IMAGES))
op("softmax", "log_softmax 256x1000", lambda L, x: L.log_softmax(x, 1), normal(256, 1000))


def loss(name, *inputs, label="", control=None, **arguments):
    function = lambda L, *given: getattr(L.nn.functional, name)(*given, **arguments)  # noqa: E731
    op("loss", name + label, function, *inputs, control=control)


loss("cross_entropy", normal(64, 10), integers(10, 64), label=" 64x10")
loss("cross_entropy", normal(256, 1000), integers(1000, 256), label=" 256x1000")
loss("cross_entropy", normal(8, 21, 64, 64), integers(21, 8, 64, 64), label=" of images 8x21x64x64")
loss("cross_entropy", normal(256, 1000), integers(1000, 256), label=" with label smoothing 256x1000", label_smoothing=0.1)
loss("nll_loss", normal(256, 1000), integers(1000, 256))
op(
    "loss",
    "ctc_loss, 50 steps of 20 classes, 16 sequences of 10 labels",
    lambda L, x, y: L.nn.functional.ctc_loss(x.log_softmax(2), y + 1, [50] * 16, [10] * 16),
    normal(50, 16, 20),
    integers(19, 16, 10),
)
loss("mse_loss", normal(64, 1), normal(64, 1, grad=False), label=" 64x1")
loss("mse_loss", normal(*MATRIX), normal(*MATRIX, grad=False), control=lambda x, y: np.mean((x - y) ** 2))
for name in ("l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss"):
    loss(name, normal(*MATRIX), normal(*MATRIX, grad=False))
loss("binary_cross_entropy", positive(*MATRIX), positive(*MATRIX, grad=False))
loss("binary_cross_entropy_with_logits", normal(*MATRIX), positive(*MATRIX, grad=False))
loss("kl_div", normal(*MATRIX), positive(*MATRIX, grad=False), reduction="batchmean")
loss("poisson_nll_loss", normal(*MATRIX), positive(*MATRIX, grad=False))
loss("gaussian_nll_loss", normal(*MATRIX), normal(*MATRIX, grad=False), positive(*MATRIX))
loss("hinge_embedding_loss", normal(*MATRIX), normal(*MATRIX, grad=False))
loss("margin_ranking_loss", normal(4096), normal(4096), normal(4096, grad=False))
loss("cosine_embedding_loss", normal(256, 128), normal(256, 128), normal(256, grad=False))
loss("triplet_margin_loss", normal(256, 128), normal(256, 128), normal(256, 128))
loss("multi_margin_loss", normal(256, 100), integers(100, 256))
loss("multilabel_margin_loss", normal(64, 20), integers(20, 64, 20))
loss("multilabel_soft_margin_loss", normal(256, 100), positive(256, 100, grad=False))
loss("cosine_similarity", normal(256, 128), normal(256, 128))
loss("pairwise_distance", normal(256, 128), normal(256, 128))
op("loss", "cdist", lambda L, x, y: L.cdist(x, y), normal(256, 64), normal(200, 64))

# --- normalization ----------------------------------------------------------------------------------------------------------
affine = normal(64), normal(64)


def moments(L):
    return L.zeros(64), L.ones(64)


op(
    "norm",
    "batch_norm training",
    lambda L, x, w, b: L.nn.functional.batch_norm(x, None, None, w, b, True),
    normal(*IMAGES),
    *affine,
)
op("norm", "batch_norm eval", lambda L, x, w, b: L.nn.functional.batch_norm(x, *moments(L), w, b), normal(*IMAGES), *affine)
op(
    "norm",
    "batch_norm 256x64",
    lambda L, x, w, b: L.nn.functional.batch_norm(x, None, None, w, b, True),
    normal(256, 64),
    *affine,
)
op(
    "norm",
    "layer_norm 32x128x512",
    lambda L, x, w, b: L.nn.functional.layer_norm(x, (512,), w, b),
    normal(32, 128, 512),
    normal(512),
    normal(512),
)
op("norm", "layer_norm 64x64", lambda L, x, w, b: L.nn.functional.layer_norm(x, (64,), w, b), normal(64, 64), *affine)
op("norm", "group_norm", lambda L, x, w, b: L.nn.functional.group_norm(x, 8, w, b), normal(*IMAGES), *affine)
op("norm", "instance_norm", lambda L, x, w, b: L.nn.functional.instance_norm(x, None, None, w, b), normal(*IMAGES), *affine)
op("norm", "rms_norm", lambda L, x, w: L.nn.functional.rms_norm(x, (512,), w), normal(32, 128, 512), normal(512))
op("norm", "local_response_norm", lambda L, x: L.nn.functional.local_response_norm(x, 5), normal(8, 32, 28, 28))
op("norm", "normalize", lambda L, x: L.nn.functional.normalize(x, dim=1), normal(*MATRIX))

# --- pooling ----------------------------------------------------------------------------------------------------------------
op("pooling", "max_pool2d 2x2", lambda L, x: L.nn.functional.max_pool2d(x, 2), normal(*IMAGES),
   control=lambda x: x.reshape(16, 64, 28, 2, 28, 2).max((3, 5)))  # fmt: skip
op(
    "pooling",
    "max_pool2d 2x2 with indices",
    lambda L, x: L.nn.functional.max_pool2d(x, 2, return_indices=True),
    normal(*IMAGES),
)
op("pooling", "max_pool2d 3x3 stride 2", lambda L, x: L.nn.functional.max_pool2d(x, 3, 2, 1), normal(*IMAGES))
op("pooling", "max_pool2d 2x2 one plane 1024x1024", lambda L, x: L.nn.functional.max_pool2d(x, 2), normal(1, 1, 1024, 1024))
op(
    "pooling",
    "max_pool2d 3x3 stride 2 one plane 1024x1024",
    lambda L, x: L.nn.functional.max_pool2d(x, 3, 2, 1),
    normal(1, 1, 1024, 1024),
)
op("pooling", "max_pool2d dilated", lambda L, x: L.nn.functional.max_pool2d(x, 3, 1, 1, 2), normal(4, 32, 28, 28))
op("pooling", "max_pool1d", lambda L, x: L.nn.functional.max_pool1d(x, 3, 2), normal(16, 64, 1024))
op("pooling", "max_pool3d 2x2x2", lambda L, x: L.nn.functional.max_pool3d(x, 2), normal(4, 16, 16, 32, 32))
op("pooling", "avg_pool2d 2x2", lambda L, x: L.nn.functional.avg_pool2d(x, 2), normal(*IMAGES))
op("pooling", "avg_pool2d 3x3 stride 2", lambda L, x: L.nn.functional.avg_pool2d(x, 3, 2, 1), normal(*IMAGES))
op("pooling", "avg_pool2d 2x2 one plane 1024x1024", lambda L, x: L.nn.functional.avg_pool2d(x, 2), normal(1, 1, 1024, 1024))
op("pooling", "avg_pool1d", lambda L, x: L.nn.functional.avg_pool1d(x, 3, 2), normal(16, 64, 1024))
op("pooling", "avg_pool3d 2x2x2", lambda L, x: L.nn.functional.avg_pool3d(x, 2), normal(4, 16, 16, 32, 32))
op("pooling", "lp_pool2d 2x2", lambda L, x: L.nn.functional.lp_pool2d(x, 2, 2), positive(8, 32, 28, 28))
op("pooling", "adaptive_avg_pool2d 1", lambda L, x: L.nn.functional.adaptive_avg_pool2d(x, 1), normal(*IMAGES))
op("pooling", "adaptive_avg_pool2d 7 of 28", lambda L, x: L.nn.functional.adaptive_avg_pool2d(x, 7), normal(16, 64, 28, 28))
op("pooling", "adaptive_avg_pool2d 5 of 28", lambda L, x: L.nn.functional.adaptive_avg_pool2d(x, 5), normal(16, 64, 28, 28))
op("pooling", "adaptive_max_pool2d 7 of 28", lambda L, x: L.nn.functional.adaptive_max_pool2d(x, 7), normal(16, 64, 28, 28))


@call("pooling", "max_unpool2d 2x2, forward and backward")
def max_unpool2d(L):
    x = L.from_numpy(np.random.default_rng(0).standard_normal(IMAGES, dtype=np.float32))
    values, indices = L.nn.functional.max_pool2d(x, 2, return_indices=True)
    values, g = values.detach().requires_grad_(), L.ones_like(x)
    return lambda: L.autograd.grad(L.nn.functional.max_unpool2d(values, indices, 2), values, g)


# --- resizing, sampling, padding --------------------------------------------------------------------------------------------
def interpolate(mode, **arguments):
    return lambda L, x: L.nn.functional.interpolate(x, mode=mode, **arguments)


op("resize", "bilinear x2", interpolate("bilinear", scale_factor=2), normal(*IMAGES))
op("resize", "bilinear x2 align_corners", interpolate("bilinear", scale_factor=2, align_corners=True), normal(8, 64, 28, 28))
op(
    "resize",
    "bilinear to 224 from 320, antialias",
    interpolate("bilinear", size=(224, 224), antialias=True),
    normal(4, 3, 320, 320),
)
op("resize", "bicubic x2", interpolate("bicubic", scale_factor=2), normal(8, 16, 56, 56))
op("resize", "nearest x2", interpolate("nearest", scale_factor=2), normal(*IMAGES))
op("resize", "nearest-exact x2", interpolate("nearest-exact", scale_factor=2), normal(8, 64, 28, 28))
op("resize", "linear x2", interpolate("linear", scale_factor=2), normal(16, 64, 512))
op("resize", "trilinear x2", interpolate("trilinear", scale_factor=2), normal(2, 16, 16, 16, 16))
op("resize", "area by half", interpolate("area", scale_factor=0.5), normal(16, 64, 28, 28))
for mode in ("bilinear", "nearest", "bicubic"):
    op("resize", f"grid_sample {mode}", lambda L, x, g, mode=mode: L.nn.functional.grid_sample(x, g, mode, align_corners=False),
       normal(8, 16, 64, 64), uniform(8, 64, 64, 2))  # fmt: skip
op(
    "resize",
    "grid_sample 3-d",
    lambda L, x, g: L.nn.functional.grid_sample(x, g, align_corners=False),
    normal(2, 8, 16, 16, 16),
    uniform(2, 16, 16, 16, 3),
)
op("resize", "affine_grid", lambda L, t: L.nn.functional.affine_grid(t, (16, 3, 64, 64), align_corners=False), normal(16, 2, 3))
op("resize", "pixel_shuffle", lambda L, x: L.nn.functional.pixel_shuffle(x, 2), normal(16, 64, 28, 28))
op("resize", "pixel_unshuffle", lambda L, x: L.nn.functional.pixel_unshuffle(x, 2), normal(16, 16, 56, 56))
op("resize", "channel_shuffle", lambda L, x: L.nn.functional.channel_shuffle(x, 4), normal(16, 64, 28, 28))
op(
    "pad",
    "pad constant",
    lambda L, x: L.nn.functional.pad(x, (1, 1, 1, 1)),
    normal(*IMAGES),
    control=lambda x: np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))),
)
for mode in ("reflect", "replicate", "circular"):
    op("pad", f"pad {mode}", lambda L, x, mode=mode: L.nn.functional.pad(x, (2, 2, 2, 2), mode=mode), normal(16, 64, 28, 28))

# --- embedding, indexing, joining -------------------------------------------------------------------------------------------
op(
    "index",
    "embedding",
    lambda L, w, i: L.nn.functional.embedding(i, w),
    normal(10000, 128),
    integers(10000, 64, 32),
    control=lambda w, i: w[i],
)
for mode in ("sum", "mean", "max"):
    op("index", f"embedding_bag {mode}", lambda L, w, i, mode=mode: L.nn.functional.embedding_bag(i, w, mode=mode), normal(10000, 64),
       integers(10000, 64, 16))  # fmt: skip
op("index", "bincount", lambda L, i: L.bincount(i), integers(100, 100000), backward=False)
op("index", "diag of a vector", lambda L, x: L.diag(x), normal(512))
op("index", "diag of a matrix", lambda L, x: L.diag(x), normal(512, 512))
op("index", "x[mask] = 0", lambda L, x, m: assigned(x, m, 0.0), normal(*MATRIX), mask(*MATRIX), backward=False)
op("index", "x[i, j] = y", lambda L, x, i, j, y: assigned(x, (i, j), y), normal(*MATRIX), integers(256, 256), integers(256, 256),
   normal(256), backward=False)  # fmt: skip
op("index", "one_hot", lambda L, i: L.nn.functional.one_hot(i, 100), integers(100, 4096), backward=False)
op("index", "gather", lambda L, x, i: x.gather(1, i), normal(*MATRIX), integers(1024, 256, 256))
op("index", "scatter", lambda L, x, i, y: x.scatter(1, i, y), normal(*MATRIX), integers(1024, 256, 256), normal(256, 256))
op(
    "index",
    "scatter_add",
    lambda L, x, i, y: x.scatter_add(1, i, y),
    normal(*MATRIX),
    integers(1024, 256, 256),
    normal(256, 256),
)
op("index", "index_select", lambda L, x, i: x.index_select(0, i), normal(1024, 256), integers(1024, 512))
op("index", "index_add", lambda L, x, i, y: x.index_add(0, i, y), normal(1024, 256), integers(1024, 512), normal(512, 256))
op("index", "scatter of int64", lambda L, x, i, y: x.scatter(1, i, y), integers(1000, *MATRIX), integers(1024, 256, 256),
   integers(1000, 256, 256), backward=False)  # fmt: skip
op("index", "scatter_add of int64", lambda L, x, i, y: x.scatter_add(1, i, y), integers(1000, *MATRIX), integers(1024, 256, 256),
   integers(1000, 256, 256), backward=False)  # fmt: skip
op("index", "index_add of int64", lambda L, x, i, y: x.index_add(0, i, y), integers(1000, 1024, 256), integers(1024, 512),
   integers(1000, 512, 256), backward=False)  # fmt: skip
op("index", "x[i] by a list of rows", lambda L, x, i: x[i], normal(1024, 256), integers(1024, 512), control=lambda x, i: x[i])
op("index", "x[mask]", lambda L, x, m: x[m], normal(*MATRIX), mask(*MATRIX))
op("index", "nonzero", lambda L, x: L.nonzero(x), mask(*MATRIX), backward=False)
op("index", "masked_fill", lambda L, x, m: x.masked_fill(m, 0.0), normal(*MATRIX), mask(*MATRIX))
op("index", "x[:, ::2]", lambda L, x: x[:, ::2], normal(*MATRIX))
op("index", "tril", lambda L, x: L.tril(x), normal(512, 512))
op(
    "shape",
    "cat",
    lambda L, x, y: L.cat((x, y), 1),
    normal(16, 32, 56, 56),
    normal(16, 32, 56, 56),
    control=lambda x, y: np.concatenate((x, y), 1),
)
op("shape", "stack", lambda L, x, y: L.stack((x, y)), normal(*MATRIX), normal(*MATRIX))
op(
    "shape",
    "transpose and copy",
    lambda L, x: x.t().contiguous(),
    normal(1024, 1024),
    control=lambda x: np.ascontiguousarray(x.T),
)
op("shape", "permute NCHW to NHWC and copy", lambda L, x: x.permute(0, 2, 3, 1).contiguous(), normal(16, 64, 28, 28))
op("shape", "flip", lambda L, x: L.flip(x, (1,)), normal(*MATRIX))
op("shape", "stack of 32 rows", lambda L, x: L.stack(list(x.unbind(0))), normal(32, 256))
op("shape", "roll", lambda L, x: L.roll(x, 3, 1), normal(*MATRIX))
op("shape", "repeat", lambda L, x: x.repeat(2, 2), normal(*MATRIX))
op("shape", "chunk and join", lambda L, x: L.cat(x.chunk(4, 1)[::-1], 1), normal(*MATRIX))

# --- matrix products --------------------------------------------------------------------------------------------------------
for n in (16, 64, 128, 256, 512, 1024):
    op("matmul", f"matmul {n}", lambda L, x, y: x @ y, normal(n, n), normal(n, n), control=np.matmul, flops=2.0 * n**3)
for rows, inside, columns in ((64, 784, 256), (1, 784, 256), (16, 400, 120), (512, 1024, 1024), (1, 1024, 1024)):
    op("matmul", f"linear {rows}x{inside} -> {columns}", lambda L, x, w, b: L.nn.functional.linear(x, w, b),
       normal(rows, inside), normal(columns, inside), normal(columns), flops=2.0 * rows * inside * columns)  # fmt: skip
op(
    "matmul",
    "bmm 64x64x64x64",
    lambda L, x, y: L.bmm(x, y),
    normal(64, 64, 64),
    normal(64, 64, 64),
    control=np.matmul,
    flops=2.0 * 64**4,
)
op(
    "matmul",
    "matmul 8x8x128x64 (attention)",
    lambda L, x, y: x @ y.transpose(-1, -2),
    normal(8, 8, 128, 64),
    normal(8, 8, 128, 64),
    flops=2.0 * 64 * 128**2 * 64,
)
for name, shape, arguments in (
    ("scaled_dot_product_attention 8x8x128x64", (8, 8, 128, 64), {}),
    ("scaled_dot_product_attention 2x8x512x64, causal", (2, 8, 512, 64), {"is_causal": True}),
):
    op("matmul", name, lambda L, q, k, v, a=arguments: L.nn.functional.scaled_dot_product_attention(q, k, v, **a),
       normal(*shape), normal(*shape), normal(*shape))  # fmt: skip
op(
    "matmul",
    "matmul of 32x8192 by 8192x32",
    lambda L, x, y: x @ y,
    normal(32, 8192),
    normal(8192, 32),
    flops=2.0 * 32 * 32 * 8192,
)
op("matmul", "matmul of 1000 pairs of 4x4", lambda L, x, y: x @ y, normal(1000, 4, 4), normal(1000, 4, 4))
op("matmul", "matmul of transposed 512", lambda L, x, y: x.t() @ y, normal(512, 512), normal(512, 512), flops=2.0 * 512**3)
op("matmul", "mv 1024", lambda L, x, y: L.mv(x, y), normal(1024, 1024), normal(1024), flops=2.0 * 1024**2)
op("matmul", "dot", lambda L, x, y: L.dot(x, y), normal(65536), normal(65536))
op("matmul", "kron", lambda L, x, y: L.kron(x, y), normal(32, 32), normal(16, 16))
op("matmul", "outer", lambda L, x, y: L.outer(x, y), normal(512), normal(512))
op(
    "matmul",
    "addmm 256",
    lambda L, c, x, y: L.addmm(c, x, y),
    normal(256, 256),
    normal(256, 256),
    normal(256, 256),
    flops=2.0 * 256**3,
)
op(
    "matmul",
    "einsum bij,bkj->bik",
    lambda L, x, y: L.einsum("bij,bkj->bik", x, y),
    normal(32, 64, 64),
    normal(32, 64, 64),
    flops=2.0 * 32 * 64**3,
)
op(
    "matmul",
    "bilinear",
    lambda L, x, y, w: L.nn.functional.bilinear(x, y, w),
    normal(128, 32),
    normal(128, 32),
    normal(32, 32, 32),
)


# --- convolution ------------------------------------------------------------------------------------------------------------
def convolution(label, x, channels, kernel, stride=1, padding=0, dilation=1, groups=1, transposed=False, output_padding=0):
    """One convolution with bias; x and kernel give the number of dimensions."""
    dims, (batch, into), extra = len(kernel), x[:2], {"output_padding": output_padding} if transposed else {}
    weight = (into, channels // groups, *kernel) if transposed else (channels, into // groups, *kernel)
    paddings = padding if isinstance(padding, tuple) else (padding,) * dims
    spans = [
        (n - 1) * stride - 2 * p + dilation * (k - 1) + output_padding + 1
        if transposed
        else (n + 2 * p - dilation * (k - 1) - 1) // stride + 1
        for n, k, p in zip(x[2:], kernel, paddings, strict=True)
    ]
    positions = float(np.prod(x[2:] if transposed else spans))
    multiplications = batch * positions * float(np.prod(weight))
    name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"
    function = lambda L, x, w, b: getattr(L.nn.functional, name)(  # noqa: E731
        x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups, **extra
    )
    op("convolution", f"{name} {label}", function, normal(*x), normal(*weight), normal(channels), flops=2 * multiplications)


for batch in (1, 16, 64, 256):
    convolution(f"LeNet 1->6 5x5, batch {batch}", (batch, 1, 28, 28), 6, (5, 5))
    convolution(f"LeNet 6->16 5x5, batch {batch}", (batch, 6, 12, 12), 16, (5, 5))
convolution("3x3 32, 56x56, batch 16", (16, 32, 56, 56), 32, (3, 3), padding=1)
convolution("3x3 64, 32x32, batch 1", (1, 64, 32, 32), 64, (3, 3), padding=1)
convolution("3x3 64, 56x56, batch 16", IMAGES, 64, (3, 3), padding=1)
convolution("3x3 128, 28x28, batch 8", (8, 128, 28, 28), 128, (3, 3), padding=1)
convolution("3x3 256, 14x14, batch 8", (8, 256, 14, 14), 256, (3, 3), padding=1)
convolution("3x3 512, 7x7, batch 8", (8, 512, 7, 7), 512, (3, 3), padding=1)
convolution("3x3 3->64, 56x56, batch 16", (16, 3, 56, 56), 64, (3, 3), padding=1)
convolution("3x3 stride 2 64->128", IMAGES, 128, (3, 3), stride=2, padding=1)
convolution("5x5 32->64, 28x28, batch 8", (8, 32, 28, 28), 64, (5, 5), padding=2)
convolution("7x7 stride 2 3->64, 112x112, batch 4", (4, 3, 112, 112), 64, (7, 7), stride=2, padding=3)
convolution("11x11 stride 4 3->64, 112x112, batch 16", (16, 3, 112, 112), 64, (11, 11), stride=4, padding=2)
convolution("3x3 dilated by 2, 64, 28x28, batch 8", (8, 64, 28, 28), 64, (3, 3), padding=2, dilation=2)
convolution("3x3 in 4 groups, 64, 28x28, batch 16", (16, 64, 28, 28), 64, (3, 3), padding=1, groups=4)
convolution("1x1 64->256, 56x56, batch 16", IMAGES, 256, (1, 1))
convolution("1x1 256->64, 14x14, batch 16", (16, 256, 14, 14), 64, (1, 1))
convolution("depthwise 3x3 64, 56x56, batch 16", IMAGES, 64, (3, 3), padding=1, groups=64)
convolution("depthwise 3x3 128, 28x28, batch 16", (16, 128, 28, 28), 128, (3, 3), padding=1, groups=128)
convolution("depthwise 5x5 64, 28x28, batch 16", (16, 64, 28, 28), 64, (5, 5), padding=2, groups=64)
convolution("depthwise 3x3 stride 2 64, 56x56, batch 16", IMAGES, 64, (3, 3), stride=2, padding=1, groups=64)
convolution("depthwise 7x7 96, 56x56, batch 4 (ConvNeXt)", (4, 96, 56, 56), 96, (7, 7), padding=3, groups=96)
convolution("depthwise 7x7 384, 14x14, batch 4 (ConvNeXt)", (4, 384, 14, 14), 384, (7, 7), padding=3, groups=384)
convolution("16x16 stride 16 3->192, 224x224, batch 4 (ViT)", (4, 3, 224, 224), 192, (16, 16), stride=16)
convolution("4x4 stride 4 3->96, 224x224, batch 4 (ConvNeXt)", (4, 3, 224, 224), 96, (4, 4), stride=4)
convolution("1x7 128, 17x17, batch 8 (Inception)", (8, 128, 17, 17), 128, (1, 7), padding=(0, 3))
convolution("7x1 128, 17x17, batch 8 (Inception)", (8, 128, 17, 17), 128, (7, 1), padding=(3, 0))
convolution("3, 32->64, 512, batch 16", (16, 32, 512), 64, (3,), padding=1)
convolution("3x3x3 16->32, 16x28x28, batch 2", (2, 16, 16, 28, 28), 32, (3, 3, 3), padding=1)
convolution("4x4 stride 2 64->32, 14x14, batch 16", (16, 64, 14, 14), 32, (4, 4), stride=2, padding=1, transposed=True)
convolution("3x3 64->64, 28x28, batch 8", (8, 64, 28, 28), 64, (3, 3), padding=1, transposed=True)
convolution("4 stride 2 32->16, 256, batch 16", (16, 32, 256), 16, (4,), stride=2, padding=1, transposed=True)
convolution("2x2x2 stride 2 16->8, batch 2", (2, 16, 8, 14, 14), 8, (2, 2, 2), stride=2, transposed=True)
op("convolution", "unfold 3x3", lambda L, x: L.nn.functional.unfold(x, 3, padding=1), normal(8, 16, 28, 28))
op("convolution", "fold 3x3", lambda L, x: L.nn.functional.fold(x, (28, 28), 3, padding=1), normal(8, 144, 784))

# --- random numbers and dropout ---------------------------------------------------------------------------------------------
MILLION = 1 << 20


def numpy_draw(method, *arguments):
    def control():
        rng = np.random.default_rng(0)
        return lambda: getattr(rng, method)(*arguments)

    return control


call("random", "rand 1M", numpy_draw("random", MILLION, np.float32))(lambda L: lambda: L.rand(MILLION))
call("random", "randn 1M", numpy_draw("standard_normal", MILLION, np.float32))(lambda L: lambda: L.randn(MILLION))
call("random", "randn 64x64")(lambda L: lambda: L.randn(64, 64))
call("random", "randint 1M", numpy_draw("integers", 0, 1000, MILLION))(lambda L: lambda: L.randint(0, 1000, (MILLION,)))
call("random", "randperm 60000", numpy_draw("permutation", 60000))(lambda L: lambda: L.randperm(60000))
op("random", "bernoulli 1M", lambda L, p: L.bernoulli(p), positive(MILLION), backward=False)
op("random", "dropout 256x1024", lambda L, x: L.nn.functional.dropout(x, 0.5), normal(*MATRIX))
op("random", "dropout 16x64x56x56", lambda L, x: L.nn.functional.dropout(x, 0.5), normal(*IMAGES))
op("random", "dropout2d 16x64x56x56", lambda L, x: L.nn.functional.dropout2d(x, 0.5), normal(*IMAGES))
op("random", "alpha_dropout 256x1024", lambda L, x: L.nn.functional.alpha_dropout(x, 0.5, True), normal(*MATRIX))

# --- memory: what an allocation costs ---------------------------------------------------------------------------------------
for label, count in (("4 MB", 1 << 20), ("50 MB", 12_800_000)):
    call("allocator", f"empty and fill {label}", lambda count=count: lambda: np.empty(count, np.float32).fill(1.0))(
        lambda L, count=count: lambda: L.empty(count).fill_(1.0)
    )
    call("allocator", f"zeros {label}", lambda count=count: lambda: np.zeros(count, np.float32))(
        lambda L, count=count: lambda: L.zeros(count)
    )
    op("allocator", f"x + 1 {label}", lambda L, x: x + 1, normal(count), control=lambda x: x + 1, backward=False)
