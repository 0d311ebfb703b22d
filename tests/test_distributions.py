"""minigrad.distributions: densities, entropies and divergences as PyTorch's, samples by their moments."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.distributions

# name -> parameters, and values to ask for
CASES = {
    "Normal": ({"loc": [0.5, -1.0], "scale": [0.3, 2.0]}, [[0.2, 0.7], [-3.0, 4.0]]),
    "LogNormal": ({"loc": [0.5, -1.0], "scale": [0.3, 1.2]}, [[0.2, 0.7], [3.0, 4.0]]),
    "Uniform": ({"low": [-1.0, 0.0], "high": [2.0, 0.5]}, [[-0.5, 0.2], [1.9, 0.4]]),
    "Exponential": ({"rate": [0.5, 3.0]}, [[0.0, 0.2], [1.0, 4.0]]),
    "Laplace": ({"loc": [0.5, -1.0], "scale": [0.3, 2.0]}, [[0.2, 0.7], [-3.0, 4.0]]),
    "Bernoulli": ({"probs": [0.2, 0.9]}, [[0.0, 1.0], [1.0, 0.0]]),
    "Bernoulli of logits": ({"logits": [-1.5, 0.3]}, [[0.0, 1.0], [1.0, 0.0]]),
    "Categorical": ({"probs": [[0.2, 0.3, 0.5], [1.0, 4.0, 5.0]]}, [[0, 2], [1, 1]]),
    "Categorical of logits": ({"logits": [[0.2, -0.3, 0.5], [1.0, 4.0, 5.0]]}, [[0, 2], [1, 1]]),
    "OneHotCategorical": ({"probs": [[0.2, 0.3, 0.5], [1.0, 4.0, 5.0]]}, [[[1.0, 0, 0], [0, 0, 1.0]]]),
}


def make(lib, name):
    parameters, values = CASES[name]
    parameters = {key: lib.tensor(value, dtype=lib.float64, requires_grad=True) for key, value in parameters.items()}
    kind = getattr(lib.distributions, name.split()[0])
    dtype = lib.int64 if "Categorical" in name and "OneHot" not in name else lib.float64
    return kind(**parameters), list(parameters.values()), lib.tensor(values, dtype=dtype)


@pytest.mark.parametrize("name", CASES)
def test_as_pytorch_s(name, torch):
    results = []
    for lib in (mg, torch):
        distribution, parameters, values = make(lib, name)
        text = "" if name in ("LogNormal", "OneHotCategorical") else repr(distribution).replace("torch.", "minigrad.")
        found = {"log_prob": distribution.log_prob(values), "entropy": distribution.entropy(), "mean": distribution.mean}
        found |= {"variance": distribution.variance, "stddev": distribution.stddev}
        if name != "Uniform":
            found["mode"] = distribution.mode
        if not name.startswith(("Bernoulli", "Categorical", "OneHot")):
            found["cdf"] = distribution.cdf(values)
        if name in ("Uniform", "Exponential", "Laplace"):
            found["icdf"] = distribution.icdf(lib.tensor([0.3, 0.9], dtype=lib.float64))
        gradients = lib.autograd.grad(found["log_prob"].sum() + distribution.entropy().sum(), parameters, allow_unused=True)
        found |= {f"gradient {i}": g for i, g in enumerate(gradients) if g is not None}
        shapes = tuple(distribution.batch_shape), tuple(distribution.event_shape), distribution.has_rsample
        results.append(({key: value.detach().numpy() for key, value in found.items()}, text, shapes))
    ours, theirs = results
    assert ours[1:] == theirs[1:]
    assert ours[0].keys() == theirs[0].keys()
    for key, value in theirs[0].items():
        np.testing.assert_allclose(ours[0][key], value, rtol=1e-9, atol=1e-12, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_samples_have_the_moments(name):
    mg.manual_seed(0)
    distribution, parameters, _ = make(mg, name)
    drawn = distribution.sample((4000, 5))
    assert drawn.shape == (4000, 5, *distribution.batch_shape, *distribution.event_shape)
    assert not drawn.requires_grad
    drawn = drawn.to(mg.float64)
    if name.startswith("Categorical"):
        shares = mg.stack([(drawn == k).to(mg.float64).mean((0, 1)) for k in range(3)], -1)
        assert mg.allclose(shares, distribution.probs, atol=0.015)
        return
    sigma = distribution.stddev.detach()
    assert ((drawn.mean((0, 1)) - distribution.mean).abs() < 5 * sigma / 20000**0.5).all()
    assert ((drawn.var((0, 1)) / distribution.variance - 1).abs() < 0.25).all()
    if distribution.has_rsample:
        distribution.rsample((3,)).sum().backward()
        assert all(parameter.grad is not None for parameter in parameters)


def test_divergences_as_pytorch_s(torch):
    pairs = [
        ("Normal", {"loc": 0.5, "scale": 0.3}, {"loc": -0.5, "scale": 2.0}),
        ("LogNormal", {"loc": 0.5, "scale": 0.3}, {"loc": -0.5, "scale": 2.0}),
        ("Uniform", {"low": 0.5, "high": 1.0}, {"low": 0.0, "high": 2.0}),
        ("Uniform", {"low": 0.0, "high": 2.0}, {"low": 0.5, "high": 1.0}),
        ("Exponential", {"rate": 0.5}, {"rate": 3.0}),
        ("Laplace", {"loc": 0.5, "scale": 0.3}, {"loc": -0.5, "scale": 2.0}),
        ("Bernoulli", {"probs": 0.2}, {"probs": 0.7}),
        ("Categorical", {"probs": [0.2, 0.8, 0.0]}, {"probs": [0.5, 0.3, 0.2]}),
        ("Categorical", {"probs": [0.2, 0.8, 0.1]}, {"probs": [0.5, 0.5, 0.0]}),
        ("OneHotCategorical", {"probs": [0.2, 0.8]}, {"probs": [0.5, 0.5]}),
    ]
    for name, p, q in pairs:
        found = []
        for lib in (mg, torch):
            kind = getattr(lib.distributions, name)
            both = [kind(**{key: lib.tensor(value, dtype=lib.float64) for key, value in side.items()}) for side in (p, q)]
            found.append(lib.distributions.kl_divergence(*both).item())
        assert found[0] == pytest.approx(found[1], rel=1e-9), name


def test_independent(lib):
    normal = lib.distributions.Normal(lib.zeros(3, 4), lib.ones(3, 4) * 2)
    joint = lib.distributions.Independent(normal, 1)
    assert tuple(joint.batch_shape) == (3,)
    assert tuple(joint.event_shape) == (4,)
    x = lib.ones(3, 4)
    assert lib.allclose(joint.log_prob(x), normal.log_prob(x).sum(-1))
    assert lib.allclose(joint.entropy(), normal.entropy().sum(-1))
    assert joint.rsample((2,)).shape == (2, 3, 4)
    other = lib.distributions.Independent(lib.distributions.Normal(lib.ones(3, 4), lib.ones(3, 4)), 1)
    assert lib.distributions.kl_divergence(joint, other).shape == (3,)
    with pytest.raises(ValueError, match="reinterpreted_batch_ndims"):
        lib.distributions.Independent(normal, 3)


def test_shapes_and_numbers(lib):
    assert lib.distributions.Normal(0.0, 1.0).sample().shape == ()
    assert lib.distributions.Normal(lib.zeros(2, 1), lib.ones(3)).sample((4,)).shape == (4, 2, 3)
    categorical = lib.distributions.Categorical(lib.ones(2, 3, 4))
    assert categorical.sample((5,)).shape == (5, 2, 3)
    assert categorical.log_prob(lib.zeros(6, 2, 3, dtype=lib.int64)).shape == (6, 2, 3)
    assert categorical.enumerate_support().shape == (4, 2, 3)
    assert categorical.perplexity()[0, 0].item() == pytest.approx(4.0, rel=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda d, lib: d.Normal(0.0, -1.0),
        lambda d, lib: d.Normal(lib.zeros(2), lib.zeros(2)),
        lambda d, lib: d.Uniform(1.0, 0.0),
        lambda d, lib: d.Bernoulli(1.5),
        lambda d, lib: d.Bernoulli(),
        lambda d, lib: d.Categorical(lib.tensor([0.5, -0.5])),
        lambda d, lib: d.Categorical(lib.tensor(0.5)),
        lambda d, lib: d.Categorical(lib.ones(2), lib.ones(2)),
        lambda d, lib: d.Categorical(lib.ones(2)).log_prob(lib.tensor(2)),
        lambda d, lib: d.Exponential(1.0).log_prob(lib.tensor(-1.0)),
        lambda d, lib: d.Normal(0.0, 1.0).log_prob(3.0),
    ],
)
def test_wrong_parameters_and_values(lib, make):
    with pytest.raises(ValueError):  # noqa: PT011 (the words differ)
        make(lib.distributions, lib)


def test_what_is_not_there(lib):
    with pytest.raises(NotImplementedError):
        lib.distributions.Categorical(lib.ones(2)).rsample()
    with pytest.raises(NotImplementedError):
        lib.distributions.kl_divergence(lib.distributions.Categorical(lib.ones(2)), lib.distributions.Normal(0.0, 1.0))
    lib.distributions.Normal(0.0, -1.0, validate_args=False)
