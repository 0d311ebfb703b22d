"""AdaptiveLogSoftmaxWithLoss beside PyTorch's."""

import numpy as np
import pytest

import minigrad as mg
from tests.twins import compare, twins


@pytest.mark.parametrize("options", [{}, {"div_value": 2.0, "head_bias": True}], ids=str)
def test_adaptive_softmax(torch, rng, options):
    ours, theirs = twins(torch, "AdaptiveLogSoftmaxWithLoss", 16, 12, [3, 6], **options)
    x, target = rng.standard_normal((7, 16)), np.array([0, 2, 3, 5, 6, 11, 1])
    compare(torch, ours, theirs, lambda lib, module, x, t: tuple(module(x, t)), [x, target])
    compare(torch, ours, theirs, lambda lib, module, x, t: tuple(module(x[0], t[3])), [x, target])
    compare(torch, ours, theirs, lambda lib, module, x: module.log_prob(x), [x])
    many = rng.standard_normal((60, 16)) * 3
    found = [module.predict(lib.tensor(many)).tolist() for lib, module in ((mg, ours), (torch, theirs))]
    assert found[0] == found[1]
    np.testing.assert_allclose(ours.log_prob(mg.tensor(x)).exp().sum(1).tolist(), [1] * 7)
    before = ours.head.weight.tolist()
    ours.reset_parameters()
    assert ours.head.weight.tolist() != before


@pytest.mark.parametrize("cutoffs", [[], [0, 3], [3, 3], [4, 2], [2, 12], [1.5]])
def test_wrong_cutoffs(lib, cutoffs):
    with pytest.raises(ValueError, match="cutoffs should be a sequence"):
        lib.nn.AdaptiveLogSoftmaxWithLoss(8, 12, cutoffs)


@pytest.mark.parametrize(
    ("text", "shape", "target"),
    [
        ("same size in the batch dimension", (3, 8), [1, 2]),
        ("1D target tensor expects 2D input", (1,), [1]),
        ("0D target tensor expects 1D input", (3, 8), 1),
        ("multi-target not supported", (3, 8), [[1], [2], [3]]),
        ("Target values should be in", (2, 8), [1, 12]),
    ],
)
def test_errors(lib, text, shape, target):
    module = lib.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [3])
    with pytest.raises(RuntimeError, match=text):
        module(lib.ones(*shape), lib.tensor(target))
