"""nn.init: values where they are fixed, distributions where they are random, errors and warnings; most tests run on PyTorch too."""

import math

import numpy as np
import pytest
from scipy import stats

import minigrad as mg
from minigrad.nn import init


def values(tensor):
    return np.asarray(tensor.detach().numpy(), np.float64).ravel()


def test_constants_write_in_place_outside_the_graph(lib):
    p = lib.nn.Parameter(lib.empty(2, 3))
    version = p._version
    assert lib.nn.init.constant_(p, 2.5) is p
    assert set(values(p)) == {2.5}
    assert set(values(lib.nn.init.ones_(p))) == {1}
    assert set(values(lib.nn.init.zeros_(p))) == {0}
    assert lib.nn.init.eye_(p).tolist() == np.eye(2, 3).tolist()
    assert p.requires_grad
    assert p.is_leaf
    assert p.grad_fn is None
    assert p._version > version


@pytest.mark.parametrize("shape", [(4, 2, 3), (6, 3, 2, 5), (3, 5, 1, 2, 3)])
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_is_that_of_torch(torch, shape, groups):
    if shape[0] % groups:
        return
    expected = torch.nn.init.dirac_(torch.empty(shape), groups)
    assert init.dirac_(mg.empty(*shape), groups).tolist() == expected.tolist()


def test_dirac_passes_its_input_on():
    weight = init.dirac_(mg.empty(3, 2, 3)).numpy()
    x = np.arange(10.0).reshape(2, 5)
    padded = np.pad(x, ((0, 0), (1, 1)))
    y = np.array([[(weight[o] * padded[:, i : i + 3]).sum() for i in range(5)] for o in range(3)])
    np.testing.assert_array_equal(y, [*x, np.zeros(5)])


def check(sample, distribution):
    assert stats.kstest(sample, distribution).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    generator = mg.Generator().manual_seed(7)
    w = mg.empty(60, 20, 5, dtype=getattr(mg, dtype))  # fan_in 100, fan_out 300
    check(values(init.uniform_(w, -2, 3, generator)), stats.uniform(-2, 5).cdf)
    check(values(init.normal_(w, 1, 3, generator)), stats.norm(1, 3).cdf)
    check(values(init.xavier_normal_(w, 2.0, generator)), stats.norm(0, 2 * math.sqrt(2 / 400)).cdf)
    bound = 2 * math.sqrt(6 / 400)
    check(values(init.xavier_uniform_(w, 2.0, generator)), stats.uniform(-bound, 2 * bound).cdf)
    std = math.sqrt(2 / (1 + 0.25)) / math.sqrt(100)
    check(values(init.kaiming_normal_(w, 0.5, generator=generator)), stats.norm(0, std).cdf)
    std = math.sqrt(2 / 300)
    check(values(init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu", generator=generator)), stats.norm(0, std).cdf)
    bound = math.sqrt(3) * std
    sample = values(init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu", generator=generator))
    check(sample, stats.uniform(-bound, 2 * bound).cdf)
    for mean, std, a, b in ((0, 1, -2, 2), (1, 2, 0, 1), (0, 0.1, 0.15, 2)):
        sample = values(init.trunc_normal_(w, mean, std, a, b, generator))
        assert a <= sample.min() <= sample.max() <= b
        check(sample, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std).cdf)


def test_seed_decides(lib):
    def draw():
        return values(lib.nn.init.xavier_uniform_(lib.empty(3, 3), generator=lib.Generator().manual_seed(3))).tolist()

    assert draw() == draw()
    results = []
    for _ in range(2):
        lib.manual_seed(5)
        results.append(values(lib.nn.init.kaiming_normal_(lib.empty(3, 3))).tolist())
    assert results[0] == results[1]


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 2, 2), (2, 3, 4)])
def test_orthogonal(lib, shape):
    w = lib.nn.init.orthogonal_(lib.empty(*shape, dtype=lib.float64), gain=2.0)
    m = w.numpy().reshape(shape[0], -1) / 2
    m = m if m.shape[0] <= m.shape[1] else m.T
    np.testing.assert_allclose(m @ m.T, np.eye(len(m)), atol=1e-12)


def test_orthogonal_is_uniform_over_the_group():
    generator = mg.Generator().manual_seed(1)
    corner = [init.orthogonal_(mg.empty(3, 3), generator=generator)[0, 0].item() for _ in range(2000)]
    check(corner, stats.uniform(-1, 2).cdf)  # a coordinate of a random point on the sphere in three dimensions


def test_sparse(lib):
    w = lib.nn.init.sparse_(lib.empty(10, 7), 0.35, std=2.0)
    assert ((w == 0).sum(0).numpy() == 4).all()


@pytest.mark.parametrize(
    ("name", "param", "gain"),
    [
        ("linear", None, 1),
        ("conv_transpose3d", None, 1),
        ("sigmoid", None, 1),
        ("tanh", None, 5 / 3),
        ("relu", None, math.sqrt(2)),
        ("leaky_relu", None, math.sqrt(2 / 1.0001)),
        ("leaky_relu", 2, math.sqrt(2 / 5)),
        ("selu", None, 0.75),
    ],
)
def test_gain(lib, name, param, gain):
    assert lib.nn.init.calculate_gain(name, param) == pytest.approx(gain, rel=1e-15)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda lib: lib.nn.init.calculate_gain("softmax"), "Unsupported nonlinearity softmax"),
        (lambda lib: lib.nn.init.calculate_gain("leaky_relu", True), "negative_slope True not a valid number"),
        (lambda lib: lib.nn.init.eye_(lib.empty(3)), "Only tensors with 2 dimensions are supported"),
        (lambda lib: lib.nn.init.dirac_(lib.empty(3, 3)), "Only tensors with 3, 4, or 5 dimensions are supported"),
        (lambda lib: lib.nn.init.dirac_(lib.empty(3, 3, 3), 2), "dim 0 must be divisible by groups"),
        (
            lambda lib: lib.nn.init.xavier_uniform_(lib.empty(3)),
            "Fan in and fan out can not be computed for tensor with fewer than 2",
        ),
        (
            lambda lib: lib.nn.init.xavier_normal_(lib.empty(3)),
            "Fan in and fan out can not be computed for tensor with fewer than 2",
        ),
        (
            lambda lib: lib.nn.init.kaiming_normal_(lib.empty(3)),
            "Fan in and fan out can not be computed for tensor with fewer than 2",
        ),
        (
            lambda lib: lib.nn.init.kaiming_uniform_(lib.empty(3, 3), mode="fan"),
            "Mode fan not supported, please use one of ['fan_in",
        ),
        (lambda lib: lib.nn.init.orthogonal_(lib.empty(3)), "Only tensors with 2 or more dimensions are supported"),
        (lambda lib: lib.nn.init.sparse_(lib.empty(3), 0.1), "Only tensors with 2 dimensions are supported"),
    ],
)
def test_errors(lib, call, text):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call(lib)
    assert text in str(caught.value)


def test_range_errors(lib):
    with pytest.raises(RuntimeError, match=r"uniform_ expects to return a \[from, to\) range, but found from=1 > to=0"):
        lib.nn.init.uniform_(lib.empty(3), 1, 0)
    with pytest.raises(RuntimeError, match=r"normal expects std >= 0\.0, but found std -1"):
        lib.nn.init.normal_(lib.empty(3), 0, -1)


def test_warnings(lib):
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        lib.nn.init.kaiming_uniform_(lib.empty(0, 3))
    with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op"):
        lib.nn.init.kaiming_normal_(lib.empty(3, 0))
    with pytest.warns(UserWarning, match="mean is more than 2 std from"):
        lib.nn.init.trunc_normal_(lib.empty(3), 5.0, 1.0, -2.0, 2.0)
    with pytest.warns(FutureWarning, match=r"`nn\.init\.uniform` is now deprecated in favor of `nn\.init\.uniform_`"):
        lib.nn.init.uniform(lib.empty(3))
    assert lib.nn.init.orthogonal_(lib.empty(0, 3)).shape == (0, 3)
