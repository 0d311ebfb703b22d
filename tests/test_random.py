"""Generator, the random factories, in-place samplers and dropout: distributions, seeds, states, and errors as PyTorch raises them."""

import itertools
import pickle

import numpy as np
import pytest
from scipy import stats

import minigrad as mg
from minigrad import random
from minigrad._ext import random as bits
from minigrad._ext.threads import get_num_threads, set_num_threads
from minigrad.nn import functional as F


def check(sample, distribution):
    assert stats.kstest(np.asarray(sample, np.float64).ravel(), distribution).pvalue > 1e-3


def test_generator(lib):
    g = lib.Generator()
    assert g.initial_seed() == 67280421310721
    assert g.manual_seed(5) is g
    assert g.initial_seed() == 5
    assert g.manual_seed(-1).initial_seed() == 2**64 - 1
    assert g.device.type == "cpu"
    first = lib.rand(3, generator=g.manual_seed(5)).tolist()
    state = g.get_state()
    assert state.dtype is lib.uint8
    second = lib.randn(3, generator=g).tolist()
    assert g.set_state(state) is g
    assert lib.randn(3, generator=g).tolist() == second
    assert lib.rand(3, generator=g.manual_seed(5)).tolist() == first
    assert g.seed() == g.initial_seed()
    for wrong, kind in ((1.5, RuntimeError), ("a", RuntimeError), (2**64, ValueError), (-(2**63) - 1, ValueError)):
        with pytest.raises(kind):
            g.manual_seed(wrong)
    with pytest.raises(TypeError):
        g.set_state(3)
    with pytest.raises(TypeError, match="RNG state must be a"):
        g.set_state(lib.zeros(3))
    with pytest.raises(RuntimeError, match="found the input RNG state size to be 3"):
        g.set_state(lib.zeros(3, dtype=lib.uint8))
    with pytest.raises(RuntimeError):
        lib.Generator("cuda")


def test_state_holds_everything():
    g = mg.Generator().manual_seed(11)
    mg.randint(0, 5, (3,), generator=g)
    g.rng.integers(0, 2**32, 3, np.uint32)  # leaves half of a 64-bit number over
    copies = [g.clone_state(), pickle.loads(pickle.dumps(g)), mg.Generator().set_state(g.get_state())]
    expected = (g.rng.integers(0, 2**32, 5, np.uint32).tolist(), g.initial_seed())
    for other in copies:
        assert (other.rng.integers(0, 2**32, 5, np.uint32).tolist(), other.initial_seed()) == expected


def test_default_generator(lib):
    assert lib.manual_seed(3) is lib.default_generator
    a = lib.rand(4).tolist()
    state = lib.get_rng_state()
    b = lib.rand(4).tolist()
    lib.set_rng_state(state)
    assert lib.rand(4).tolist() == b
    lib.manual_seed(3)
    assert lib.rand(4).tolist() == a
    assert a != b
    assert lib.initial_seed() == 3
    assert lib.seed() == lib.initial_seed()
    with pytest.raises(ValueError, match="invalid literal"):
        lib.manual_seed("a")


def test_seeded_numbers_stay_the_same():
    """Pins the stream: seeds in users' experiments must keep their meaning."""
    g = mg.Generator().manual_seed(42)
    np.testing.assert_allclose(
        mg.rand(3, generator=g, dtype=mg.float64).numpy(), [0.7739560485559633, 0.4388784397520523, 0.8585979199113825]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    g, kind = mg.Generator().manual_seed(1), getattr(mg, dtype)
    n = 4000
    u = mg.rand(n, generator=g, dtype=kind)
    assert u.dtype is kind
    check(u.numpy(), "uniform")
    check(mg.randn(n, generator=g, dtype=kind).numpy(), "norm")
    check(mg.normal(2.0, 3.0, (n,), generator=g, dtype=kind).numpy(), stats.norm(2, 3).cdf)
    x = mg.empty(n, dtype=kind)
    check(random.uniform_(x, -1, 4, generator=g).numpy(), stats.uniform(-1, 5).cdf)
    check(random.normal_(x, 1, 0.5, generator=g).numpy(), stats.norm(1, 0.5).cdf)
    check(random.exponential_(x, 4.0, generator=g).numpy(), stats.expon(scale=0.25).cdf)
    mean, std = mg.linspace(0, 5, n).to(kind), mg.linspace(1, 2, n).to(kind)
    check((mg.normal(mean, std, generator=g).numpy() - mean.numpy()) / std.numpy(), "norm")
    check(mg.normal(mean, 2.0, generator=g).numpy() - mean.numpy(), stats.norm(0, 2).cdf)
    check(mg.normal(1.0, std, generator=g).numpy() / std.numpy() - 1 / std.numpy(), "norm")
    p = mg.linspace(0, 1, n).to(kind)
    drawn = mg.bernoulli(p, generator=g)
    assert drawn.dtype is kind
    assert set(drawn.tolist()) == {0, 1}
    assert abs((drawn.numpy() - p.numpy()).sum()) < 4 * np.sqrt((p.numpy() * (1 - p.numpy())).sum())
    assert drawn[0] == 0
    assert drawn[-1] == 1


def test_integers():
    g = mg.Generator().manual_seed(2)
    counts = np.bincount(mg.randint(2, 7, (7000,), generator=g).numpy())
    assert stats.chisquare(counts[2:]).pvalue > 1e-3
    assert list(counts[:2]) == [0, 0]
    order = mg.randperm(1000, generator=g)
    assert sorted(order.tolist()) == list(range(1000))
    assert order.tolist() != sorted(order.tolist())
    coin = random.bernoulli_(mg.empty(9000, dtype=mg.int64), 1 / 3, generator=g).numpy()
    assert stats.binomtest(int(coin.sum()), 9000, 1 / 3).pvalue > 1e-3
    by_tensor = random.bernoulli_(mg.empty(2, 3000), mg.tensor([[0.0], [1.0]]), generator=g)
    assert by_tensor.numpy().mean(1).tolist() == [0, 1]


@pytest.mark.parametrize(("low", "size"), [(0, 1), (-5, 7), (2**62, 3 << 30), (-(2**63), 2**32)])
def test_bounded_integers_skip_the_words_that_are_unfair(low, size):
    """Against the definition; of three words in 2^30 a quarter is skipped."""
    words = np.random.default_rng(0).integers(0, 2**32, 40_001, np.uint32)
    unfair = 2**32 % size
    expected = [low + (w * size >> 32) for w in words.tolist() if w * size % 2**32 >= unfair]
    for count in (1, 2):
        before = get_num_threads()
        set_num_threads(count)
        out = np.zeros(len(words), np.int64)
        written = bits.bounded(words, low, size, out)
        set_num_threads(before)
        assert out[:written].tolist() == expected
    drawn = mg.randint(low, low + size, (9999,), generator=mg.Generator().manual_seed(1)).numpy()
    assert drawn.min() >= low
    assert drawn.max() <= low + size - 1
    bins = np.bincount([(v - low) * min(size, 16) // size for v in drawn.tolist()])
    assert size == 1 or stats.chisquare(bins).pvalue > 1e-3


def test_every_order_is_as_likely():
    g = mg.Generator().manual_seed(4)
    orders = [tuple(mg.randperm(4, generator=g).tolist()) for _ in range(4800)]
    counts = [orders.count(order) for order in itertools.permutations(range(4))]
    assert stats.chisquare(counts).pvalue > 1e-3
    order = np.arange(3)
    left = bits.shuffle(np.array([2**31], np.uint32), order, 3)  # one word, one place
    assert (left, order.tolist()) == (2, [0, 2, 1])
    assert bits.shuffle(np.array([0], np.uint32), order, 2**32 - 1) == 2**32 - 1  # a word that is skipped


def test_multinomial():
    g = mg.Generator().manual_seed(3)
    weights = mg.tensor([[1.0, 0.0, 3.0, 6.0], [0.0, 1.0, 0.0, 0.0]])
    drawn = mg.multinomial(weights, 10_000, replacement=True, generator=g)
    assert drawn.shape == (2, 10_000)
    assert drawn.dtype is mg.int64
    counts = np.bincount(drawn[0].numpy(), minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[[0, 2, 3]], [1000, 3000, 6000]).pvalue > 1e-3
    assert set(drawn[1].tolist()) == {1}
    pairs = [tuple(mg.multinomial(weights[0], 2, generator=g).tolist()) for _ in range(6000)]
    expected = {(i, j): p[i] * p[j] / (1 - p[i]) for p in [{0: 0.1, 2: 0.3, 3: 0.6}] for i in p for j in p if i != j}
    assert set(pairs) == set(expected)
    assert stats.chisquare([pairs.count(k) for k in expected], [6000 * v for v in expected.values()]).pvalue > 1e-3
    assert sorted(mg.multinomial(weights[0], 4, generator=g).tolist()) == [0, 1, 2, 3]


def test_random_without_bounds(lib):
    for dtype, most in ((lib.uint8, 255), (lib.int8, 127), (lib.bool, 1), (lib.int64, 2**63 - 1), (lib.float32, 2**24)):
        x = lib.empty(4000, dtype=dtype)
        drawn = (random.random_(x) if lib is mg else x.random_()).tolist()
        assert min(drawn) >= 0
        assert max(drawn) >= most * 0.99
        assert max(drawn) <= most


def test_shapes_dtypes_and_flags(lib):
    assert lib.rand(2, 3).shape == (2, 3)
    assert lib.rand([2, 3]).dtype is lib.float32
    assert lib.randn((2, 0)).shape == (2, 0)
    assert lib.rand(()).shape == ()
    assert lib.rand(2, requires_grad=True).requires_grad
    assert lib.randn(2, device="cpu", dtype=lib.float64).dtype is lib.float64
    assert lib.randint(3, (2,)).dtype is lib.int64
    assert lib.randint(1, 3, (2,), dtype=lib.float32).dtype is lib.float32
    assert lib.randint(high=3, size=(2, 2)).shape == (2, 2)
    assert lib.randint(0, 2, (3,), dtype=lib.bool).dtype is lib.bool
    assert lib.randint(low=1, high=2, size=[2]).tolist() == [1, 1]
    assert lib.randperm(0).tolist() == []
    assert lib.randperm(3, dtype=lib.float32).dtype is lib.float32
    x = lib.ones(2, 3, dtype=lib.float64)
    for like in (lib.rand_like(x), lib.randn_like(x), lib.randint_like(x, 3), lib.randint_like(x, 1, 3)):
        assert (like.shape, like.dtype) == (x.shape, x.dtype)
    assert lib.rand_like(lib.ones(2, dtype=lib.int64), dtype=lib.float32).dtype is lib.float32
    assert lib.normal(x, lib.ones(3, dtype=lib.float64)).shape == (2, 3)
    assert lib.normal(x).dtype is lib.float64
    out = lib.empty(3)
    assert lib.rand(3, out=out) is out


def test_default_dtype_is_honoured(lib):
    lib.set_default_dtype(lib.float64)
    try:
        assert lib.rand(1).dtype is lib.float64
        assert lib.normal(0.0, 1.0, (2,)).dtype is lib.float64
    finally:
        lib.set_default_dtype(lib.float32)


def test_in_place_sampler_on_a_leaf_that_requires_grad():
    p = mg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        random.uniform_(p)
    with mg.no_grad():
        assert random.uniform_(p) is p
    assert p.requires_grad


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (NotImplementedError, lambda lib: lib.rand(2, dtype=lib.int64), "not implemented for 'Long'"),
        (NotImplementedError, lambda lib: lib.randn(2, dtype=lib.int32), "not implemented for 'Int'"),
        (NotImplementedError, lambda lib: lib.rand_like(lib.ones(2, dtype=lib.int64)), "not implemented for 'Long'"),
        (RuntimeError, lambda lib: lib.rand(2, -1), "negative dimension -1"),
        (TypeError, lambda lib: lib.rand(2.5), "argument 'size' (position 1) must be tuple of ints, not float"),
        (TypeError, lambda lib: lib.rand("a"), "argument 'size' (position 1) must be tuple of ints, not str"),
        (TypeError, lambda lib: lib.rand((2, 3), 4), ""),
        (TypeError, lambda lib: lib.rand(), ""),
        (TypeError, lambda lib: lib.rand(2, generator=3), ""),
        (TypeError, lambda lib: lib.rand(2, dtype=3), ""),
        (RuntimeError, lambda lib: lib.randint(0, (2,)), "expects 'from' to be less than 'to', but got from=0 >= to=0"),
        (RuntimeError, lambda lib: lib.randint(5, 3, (2,)), "expects 'from' to be less than 'to', but got from=5 >= to=3"),
        (TypeError, lambda lib: lib.randint(3, 2), ""),
        (RuntimeError, lambda lib: lib.randint(0, 300, (2,), dtype=lib.uint8), "to - 1 is out of bounds for unsigned char"),
        (RuntimeError, lambda lib: lib.randint(0, 3, (2,), dtype=lib.bool), "to - 1 is out of bounds for bool"),
        (RuntimeError, lambda lib: lib.randint(0, 5, (2,), requires_grad=True), "can require gradients"),
        (RuntimeError, lambda lib: lib.randperm(-1), "negative dimension -1"),
        (TypeError, lambda lib: lib.randperm(3.0), "argument 'n' (position 1) must be int, not float"),
        (RuntimeError, lambda lib: lib.randperm(300, dtype=lib.uint8), ""),
        (RuntimeError, lambda lib: lib.normal(0.0, -1.0, (2,)), "normal expects std >= 0.0, but found std -1"),
        (RuntimeError, lambda lib: lib.normal(lib.ones(2), -lib.ones(2)), "normal expects all elements of std >= 0.0"),
        (RuntimeError, lambda lib: lib.normal(lib.ones(3), lib.ones(2)), ""),
        (TypeError, lambda lib: lib.normal(1.0, 2.0), ""),
        (NotImplementedError, lambda lib: lib.normal(lib.ones(2, dtype=lib.int64), 1.0), "not implemented for 'Long'"),
        (RuntimeError, lambda lib: lib.bernoulli(lib.ones(2) * 2), "Expected p_in >= 0 && p_in <= 1"),
        (RuntimeError, lambda lib: lib.bernoulli(lib.ones(2), 1.5), "bernoulli_ expects p to be in [0, 1], but got p=1.5"),
        (NotImplementedError, lambda lib: lib.bernoulli(lib.ones(2, dtype=lib.int64)), "not implemented for 'Long'"),
        (
            RuntimeError,
            lambda lib: lib.multinomial(lib.ones(3), 4),
            "cannot sample n_sample > prob_dist.size(-1) samples without",
        ),
        (RuntimeError, lambda lib: lib.multinomial(lib.ones(3), 0), "cannot sample n_sample <= 0 samples"),
        (
            RuntimeError,
            lambda lib: lib.multinomial(-lib.ones(3), 1),
            "probability tensor contains either `inf`, `nan` or element < 0",
        ),
        (
            RuntimeError,
            lambda lib: lib.multinomial(lib.zeros(3), 1),
            "invalid multinomial distribution (sum of probabilities <= 0)",
        ),
        (RuntimeError, lambda lib: lib.multinomial(lib.ones(2, 2, 2), 1), "prob_dist must be 1 or 2 dim"),
        (
            RuntimeError,
            lambda lib: lib.multinomial(lib.ones(3, dtype=lib.int64), 1),
            "multinomial only supports floating-point dtypes",
        ),
        (TypeError, lambda lib: lib.rand_like(3), "argument 'input' (position 1) must be Tensor, not int"),
        (RuntimeError, lambda lib: lib.randint_like(lib.ones(2), 3, 1), "expects 'from' to be less than 'to'"),
    ],
)
def test_errors(lib, kind, call, text):
    with pytest.raises(kind) as caught:
        call(lib)
    assert text in str(caught.value)


def test_cuda_is_refused():
    with pytest.raises(RuntimeError, match="CPU only"):
        mg.rand(2, device="cuda")
    with pytest.raises(RuntimeError, match=r"expects lambda > 0\.0"):
        random.exponential_(mg.ones(2), 0)
    with pytest.raises(RuntimeError, match="continuous probability distribution"):
        random.exponential_(mg.ones(2, dtype=mg.int64))


# Dropout

WHOLE = [("dropout", (40, 50)), ("alpha_dropout", (40, 50))]
CHANNELS = [
    ("dropout1d", (40, 50, 3)),
    ("dropout2d", (40, 50, 3, 2)),
    ("dropout3d", (40, 50, 3, 2, 2)),
    ("feature_alpha_dropout", (40, 50, 3)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "shape"), WHOLE + CHANNELS)
def test_dropout_values(lib, name, shape, dtype):
    lib.manual_seed(4)
    p = 0.3
    x = lib.ones(*shape, dtype=getattr(lib, dtype), requires_grad=True)
    y = getattr(lib.nn.functional, name)(x, p, True)
    assert y.dtype is x.dtype
    rows = y.detach().numpy().reshape(2000, -1)
    assert (rows == rows[:, :1]).all()
    alpha = 1.7580993408473766
    a = ((alpha**2 * p + 1) * (1 - p)) ** -0.5 if "alpha" in name else 1 / (1 - p)
    shift = alpha * a * p if "alpha" in name else 0
    low = -alpha * a + shift if "alpha" in name else 0
    kept = np.isclose(rows[:, 0], a + shift, rtol=1e-6)
    np.testing.assert_allclose(rows[~kept, 0], low, rtol=1e-5)
    assert stats.binomtest(int(kept.sum()), 2000, 1 - p).pvalue > 1e-3
    y.backward(lib.ones(*shape, dtype=getattr(lib, dtype)) * 2)
    np.testing.assert_allclose(x.grad.numpy().reshape(2000, -1)[:, 0], 2 * a * kept, rtol=1e-6)


@pytest.mark.parametrize(("name", "shape"), WHOLE + CHANNELS)
def test_dropout_limits(lib, name, shape):
    f = getattr(lib.nn.functional, name)
    x = lib.ones(*shape)
    assert set(f(x, 1.0, True).numpy().ravel()) == {0}
    assert f(x, 0.0, True).numpy().min() == 1
    assert f(x, 0.5, False).tolist() == x.tolist()
    for p in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"dropout probability has to be between 0 and 1, but got {p}"):
            f(x, p, True)
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        f(lib.ones(*shape, dtype=lib.int64), 0.5, True)
    again = f(x, 0.5, True, True)
    assert again is x
    assert len(set(x.numpy().ravel())) == 2


def test_dropout_leaves_its_input_alone_in_evaluation(lib):
    x = lib.ones(3)
    assert lib.nn.functional.dropout(x, 0.5, False) is x
    assert lib.nn.functional.dropout(x, 0.0, True) is x
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        lib.nn.functional.dropout(lib.ones(3, requires_grad=True), 0.5, True, True)
    with pytest.raises(TypeError):
        lib.nn.functional.dropout(3)


def test_dropout_without_batch(lib):
    lib.manual_seed(1)
    for name, shape in (("dropout1d", (50, 3)), ("dropout3d", (50, 3, 2, 2))):
        rows = getattr(lib.nn.functional, name)(lib.ones(*shape), 0.5, True).numpy().reshape(50, -1)
        assert (rows == rows[:, :1]).all()
        assert set(rows[:, 0]) == {0, 2}


def test_dropout_dimensions(lib):
    with pytest.raises(RuntimeError, match="dropout1d: Expected 2D or 3D input, but received a 1D input"):
        lib.nn.functional.dropout1d(lib.ones(3))
    with pytest.warns(UserWarning, match="dropout2d: Received a 2-D input to dropout2d, which is deprecated"):
        lib.nn.functional.dropout2d(lib.ones(3, 2))
    with pytest.warns(UserWarning, match="dropout2d: Received a 3D input to dropout2d and assuming"):
        lib.nn.functional.dropout2d(lib.ones(3, 2, 2))
    with pytest.warns(UserWarning, match="dropout3d: Received a 3-D input to dropout3d, which is deprecated"):
        lib.nn.functional.dropout3d(lib.ones(3, 2, 2))
    with pytest.raises(RuntimeError, match="Feature dropout requires at least 2 dimensions in the input"):
        lib.nn.functional.feature_alpha_dropout(lib.ones(3), 0.5, True)


@pytest.mark.parametrize("name", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"])
def test_dropout_layers(lib, name):
    layer = getattr(lib.nn, name)(0.25)
    assert repr(layer) == f"{name}(p=0.25, inplace=False)"
    shape = {"Dropout1d": (4, 30, 2), "Dropout3d": (4, 30, 2, 1, 1)}.get(name, (4, 30, 2, 1))
    lib.manual_seed(3)
    x = lib.ones(*shape)
    assert len(set(layer(x).numpy().ravel())) == 2
    assert layer.eval()(x).tolist() == x.tolist()
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got 2"):
        getattr(lib.nn, name)(2)


def test_dropout_mask_follows_the_seed():
    x = mg.ones(100)
    mg.manual_seed(9)
    a = F.dropout(x).tolist()
    mg.manual_seed(9)
    assert F.dropout(x).tolist() == a
    assert F.dropout(x).tolist() != a


def test_fork_rng(lib):
    lib.manual_seed(3)
    first, expected = lib.rand(2).tolist(), lib.rand(2).tolist()
    lib.manual_seed(3)
    assert lib.rand(2).tolist() == first
    with pytest.raises(RuntimeError), lib.random.fork_rng():
        lib.rand(7).reshape(2, 2)
    assert lib.rand(2).tolist() == expected
    state = lib.get_rng_state().tolist()
    lib.random.fork_rng()(lib.rand)(3)
    assert lib.get_rng_state().tolist() == state
    with lib.random.fork_rng(enabled=False):
        lib.rand(3)
    assert lib.get_rng_state().tolist() != state


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8191, 8193, 100_001])
def test_words_are_those_of_numpy(n):
    """Whatever the number of threads; the stream goes on behind them, and what numpy keeps of a word for later stays."""
    for count in (1, 2):
        ours, theirs = np.random.PCG64(5), np.random.PCG64(5)
        for stream in (ours, theirs):
            np.random.Generator(stream).random(3, np.float32)
        before = get_num_threads()
        set_num_threads(count)
        words = bits.words(ours, n)
        kept = {dtype: np.empty(n, dtype) for dtype in (np.float32, np.float64)}
        for out in kept.values():
            bits.keep(ours, 1 << 30, 2.5, out)
        set_num_threads(before)
        draws = [theirs.random_raw((n + 1) // 2).view(np.uint32)[:n] for _ in range(3)]
        np.testing.assert_array_equal(words, draws[0])
        for out, drawn in zip(kept.values(), draws[1:], strict=True):
            np.testing.assert_array_equal(out, np.where(drawn < 1 << 30, 2.5, 0))
        assert ours.state == theirs.state
