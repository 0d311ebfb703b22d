"""Sizes, strides and windows beyond all measure: refused as PyTorch refuses them, or computed, without a crash or a long wait."""

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F

X, W = mg.arange(18.0).reshape(1, 2, 9), mg.ones(1, 2, 1)
HUGE = [2**31, 2**40, 2**62, 2**63 - 1]


@pytest.mark.parametrize("stride", HUGE)
def test_strides_beyond_the_image_give_one_output(stride):
    x, w = X.clone().requires_grad_(), mg.ones(1, 2, 3).requires_grad_()
    y = F.conv1d(x, w, stride=stride)
    y.sum().backward()
    assert y.tolist() == [[[0 + 1 + 2 + 9 + 10 + 11]]]
    assert x.grad.tolist() == [[[1, 1, 1, 0, 0, 0, 0, 0, 0]] * 2]
    assert w.grad.tolist() == [[[0, 1, 2], [9, 10, 11]]]
    assert F.conv1d(X, W, dilation=stride).shape == (1, 1, 9)
    assert F.conv_transpose1d(X[:, :, :1], mg.ones(2, 1, 3), stride=stride).shape == (1, 1, 3)
    assert F.unfold(X[:, :, None], (1, 3), stride=(1, stride)).shape == (1, 6, 1)


@pytest.mark.parametrize("function", [F.max_pool1d, F.avg_pool1d])
def test_windows_beyond_the_image(function):
    most = 2**31 - 1
    assert function(X, 3, most, 1).shape == (1, 2, 1)
    assert function(X, 3, most, 1).tolist() == function(X, 3, 100, 1).tolist()
    assert np.array_equal(function(X, most, most, ceil_mode=True).tolist(), function(X, 9, 9).tolist())


@pytest.mark.parametrize("size", HUGE)
def test_what_no_tensor_can_be_is_refused(size):
    calls = [
        lambda: F.max_pool1d(X, 3, size),
        lambda: F.avg_pool1d(X, 3, size, ceil_mode=True),
        lambda: F.max_pool1d(X, 1, 1, 0, size),
        lambda: F.adaptive_avg_pool1d(X, size),
        lambda: F.adaptive_max_pool2d(X, (size, size)),
    ]
    if size >= 2**62:
        calls += [
            lambda: F.pad(X, (size, size)),
            lambda: F.conv1d(X, W, padding=size),
            lambda: F.conv_transpose1d(X, mg.ones(2, 1, 3), stride=size),
            lambda: mg.zeros(size),
            lambda: mg.empty(2**20, 2**20, 2**22),
            lambda: mg.eye(size),
            lambda: mg.arange(size),
            lambda: mg.ones(3).repeat(size),
        ]
    for call in calls:
        with pytest.raises(RuntimeError):
            call()
