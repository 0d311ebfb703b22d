"""The arrays of views (ext/views.pyx) beside numpy: the same memory in another shape, and None for what the general way must see."""

import numpy as np
import pytest

from minigrad._ext import views

X = np.arange(24.0).reshape(2, 1, 3, 4)

PLAIN = [
    (views.reshaped, ((6, 4),), X.reshape(6, 4)),
    (views.reshaped, (((6, 4),),), X.reshape(6, 4)),
    (views.reshaped, (([2, -1],),), X.reshape(2, -1)),
    (views.flattened, (1, -1), X.reshape(2, 12)),
    (views.flattened, (-4, 1), X.reshape(2, 3, 4)),
    (views.unsqueezed, (0,), X[None]),
    (views.unsqueezed, (-1,), X[..., None]),
    (views.unsqueezed, (4,), X[..., None]),
    (views.squeezed, (None,), X[:, 0]),
    (views.squeezed, (-3,), X[:, 0]),
    (views.squeezed, (0,), X),
    (views.permuted, ((0, -1, 1, 2),), X.transpose(0, 3, 1, 2)),
    (views.permuted, (([3, 2, 1, 0],),), X.T),
    (views.transposed, (0, -1), X.swapaxes(0, 3)),
    (views.expanded, ((5, 2, 7, 3, -1),), np.broadcast_to(X, (5, 2, 7, 3, 4))),
    (views.expanded, ((2, 0, 3, 4),), np.broadcast_to(X, (2, 0, 3, 4))),
    (views.sliced, (1,), X[1]),
    (views.sliced, ((-1, 0, 2, 3),), X[-1, 0, 2, 3, ...]),
    (views.sliced, ((slice(None), 0, slice(-2, None), slice(None, None, 3)),), X[:, 0, -2:, ::3]),
    (views.sliced, ((..., 2, None),), X[..., 2, None]),
    (views.sliced, ((0, ..., -4),), X[0, ..., -4]),
    (views.sliced, ((),), X),
]


@pytest.mark.parametrize(("function", "arguments", "expected"), PLAIN)
def test_plain_arguments_give_the_view(function, arguments, expected):
    view = function(X, *arguments)
    np.testing.assert_array_equal(view, expected, strict=True)
    assert [stride for stride, size in zip(view.strides, view.shape, strict=True) if size > 1] == [
        stride for stride, size in zip(expected.strides, expected.shape, strict=True) if size > 1
    ]
    assert view.size == 0 or np.shares_memory(view, X)
    assert view.flags.writeable
    fixed = X.copy()
    fixed.flags.writeable = False
    assert not function(fixed, *arguments).flags.writeable


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (views.reshaped, ((5, 4),)),
        (views.reshaped, ((-1, -1),)),
        (views.reshaped, ((5, -1),)),
        (views.reshaped, ((-2, -12),)),
        (views.reshaped, ((2**40, 2**40),)),
        (views.reshaped, ((2**70, 1),)),
        (views.reshaped, ((24.0,),)),
        (views.reshaped, ((np.int64(24),),)),
        (views.flattened, (1, 1)),
        (views.flattened, (2, 1)),
        (views.flattened, (0, 4)),
        (views.unsqueezed, (5,)),
        (views.unsqueezed, (True,)),
        (views.squeezed, ((0, 1),)),
        (views.squeezed, (4,)),
        (views.permuted, ((0, 1, 2),)),
        (views.permuted, ((0, 1, 2, -2),)),
        (views.permuted, ((0, 1, 2, 4),)),
        (views.transposed, (0, 4)),
        (views.expanded, ((1, 3, 4),)),
        (views.expanded, ((3, 1, 3, 4),)),
        (views.expanded, ((-1, 2, 1, 3, 4),)),
        (views.expanded, ((2, -2, 3, 4),)),
        (views.sliced, (2,)),
        (views.sliced, ((0, 0, 0, 0, 0),)),
        (views.sliced, ((..., 0, ...),)),
        (views.sliced, ((..., 4),)),
        (views.sliced, (slice(None, None, -1),)),
        (views.sliced, (True,)),
        (views.sliced, ([0],)),
        (views.sliced, (np.int64(0),)),
        (views.sliced, (slice(0.0, 1),)),
    ],
)
def test_other_arguments_are_left_to_the_general_way(function, arguments):
    assert function(X, *arguments) is None


def test_elements_that_are_not_in_order_are_left_to_the_general_way():
    assert views.reshaped(X.T, ((24,),)) is None
    assert views.flattened(X.T, 0, -1) is None
    assert views.reshaped(X[:0], ((0, 3),)) is None
