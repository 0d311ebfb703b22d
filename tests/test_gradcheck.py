"""The checker is checked: it passes right rules and fails wrong ones, in first and in second order."""

import numpy as np
import pytest

import minigrad as mg
from minigrad._ext.engine import Function, apply
from minigrad.autograd import GradcheckError, gradcheck, gradgradcheck


class CubeFunction(Function):
    """x**3, right to any order."""

    def forward(self, x):
        return x * x * x

    def backward(self, g, x):
        return g * (x * x * 3)


class CubeWrongFunction(CubeFunction):
    """The factor 3 is forgotten."""

    def backward(self, g, x):
        return g * (x * x)


class CubeConstantFunction(CubeFunction):
    """Right in first order; what it saved depends on x but is treated as a constant."""

    def forward(self, x):
        self.square = x * x
        return self.square * x

    def backward(self, g, x):
        return g * mg.from_numpy(self.square * 3)


class CubeShapeFunction(CubeFunction):
    """The gradient has one axis too many."""

    def backward(self, g, x):
        return (g * (x * x * 3)).reshape(1, *x.shape)


class CubeRandomFunction(CubeFunction):
    """Each backward pass gives another gradient."""

    calls = 0

    def backward(self, g, x):
        CubeRandomFunction.calls += 1
        return g * (x * x * (3 + 1e-7 * CubeRandomFunction.calls))


class PairFunction(Function):
    """(x * y, x + y), where the gradient of the second output is wrong for y."""

    def forward(self, x, y):
        return x * y, x + y

    def backward(self, g, x, y):
        product, total = g
        gx = gy = None
        if product is not None:
            gx, gy = product * y, product * x
        if total is not None:
            gx = total if gx is None else gx + total
            gy = total * 2 if gy is None else gy + total * 2
        return gx, gy


@pytest.fixture
def x(rng):
    return mg.tensor(rng.standard_normal((3, 4)), requires_grad=True)


@pytest.fixture
def large(rng):
    return mg.tensor(rng.standard_normal((13, 7)), requires_grad=True)


def make(cls):
    return lambda x: apply(cls(), x)


@pytest.mark.parametrize("fast_mode", [False, True, None])
def test_right_rule_passes(x, fast_mode):
    assert gradcheck(make(CubeFunction), x, fast_mode=fast_mode, atol=1e-8, rtol=1e-7)
    assert gradgradcheck(make(CubeFunction), (x,), fast_mode=fast_mode, atol=1e-8, rtol=1e-7)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_in_first_order_fails(x, fast_mode):
    with pytest.raises(GradcheckError, match=r"acobian mismatch for output 0 of .* with respect to input 0 of shape \(3, 4\)"):
        gradcheck(make(CubeWrongFunction), x, fast_mode=fast_mode)
    assert gradcheck(make(CubeWrongFunction), x, fast_mode=fast_mode, raise_exception=False) is False


@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_only_in_second_order_fails_gradgradcheck_alone(x, fast_mode):
    assert gradcheck(make(CubeConstantFunction), x, fast_mode=fast_mode)
    with pytest.raises(GradcheckError, match=r"(?s)acobian mismatch for output 0 of the gradient of .*numerical:.*analytical:"):
        gradgradcheck(make(CubeConstantFunction), x, fast_mode=fast_mode)
    assert gradgradcheck(make(CubeConstantFunction), x, fast_mode=fast_mode, raise_exception=False) is False


def test_large_inputs_are_projected_and_still_caught(large):
    assert gradcheck(make(CubeFunction), large)
    assert gradgradcheck(make(CubeFunction), large)
    with pytest.raises(GradcheckError, match="projected Jacobian mismatch"):
        gradcheck(make(CubeWrongFunction), large)
    with pytest.raises(GradcheckError, match="projected Jacobian mismatch"):
        gradgradcheck(make(CubeConstantFunction), large)


def test_wrong_shape_raises(x):
    with pytest.raises(RuntimeError, match="shape"):
        gradcheck(make(CubeShapeFunction), x)


def test_non_deterministic_backward_raises(x):
    with pytest.raises(GradcheckError, match="not deterministic"):
        gradcheck(make(CubeRandomFunction), x)
    assert gradcheck(make(CubeRandomFunction), x, nondet_tol=1e-2)


def test_every_output_is_checked_against_every_input(x):
    y = mg.tensor(x.detach().numpy() + 1, requires_grad=True)
    with pytest.raises(GradcheckError, match=r"output 1 of .* with respect to input 1"):
        gradcheck(lambda a, b: apply(PairFunction(), a, b), (x, y))
    assert gradcheck(lambda a, b: apply(PairFunction(), a, b), (x, y.detach()))


def test_detached_result_must_be_constant(x):
    assert gradcheck(lambda a: mg.zeros(3, dtype=mg.float64), x)
    with pytest.raises(GradcheckError, match="not zero"):
        gradcheck(lambda a: a.detach() * 2, x)


def test_a_detached_branch_fails(x):
    with pytest.raises(GradcheckError):
        gradcheck(lambda a: a * a.detach(), x)


def test_given_and_non_contiguous_incoming_gradients(x):
    g = mg.tensor(np.ones((3, 4)), requires_grad=True)
    assert gradgradcheck(make(CubeFunction), x, g)
    assert gradgradcheck(make(CubeFunction), x, gen_non_contig_grad_outputs=True)


def test_the_third_order_by_nesting(x):
    def gradient(a):
        (gx,) = mg.autograd.grad(apply(CubeFunction(), a).sum(), a, create_graph=True)
        return gx

    assert gradgradcheck(gradient, x)


def test_inputs_are_restored(x):
    before = x.detach().numpy().copy()
    gradcheck(make(CubeFunction), x)
    np.testing.assert_array_equal(x.detach().numpy(), before)
    assert x.grad is None


def test_empty_and_integer_arguments(rng):
    empty = mg.tensor(rng.standard_normal((0, 3)), requires_grad=True)
    assert gradcheck(make(CubeFunction), empty)
    assert gradgradcheck(make(CubeFunction), empty)
    index = mg.tensor([0, 2])
    assert gradcheck(lambda a, i: a[i] * 2, (mg.tensor(rng.standard_normal(3), requires_grad=True), index))


def test_bad_inputs(x):
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(make(CubeFunction), x.detach())
    with pytest.raises(ValueError, match="share memory"):
        gradcheck(make(CubeFunction), x.detach()[:, :1].expand(3, 4).requires_grad_())
    with pytest.warns(UserWarning, match="not float64"):
        gradcheck(make(CubeFunction), mg.tensor([1.0, 2.0], requires_grad=True), raise_exception=False)
