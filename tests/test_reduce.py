"""Reductions where the op table does not reach: integers, NaN, ties, empty and 0-d tensors, forms of arguments, thread counts."""

import numpy as np
import pytest

import minigrad as mg
from minigrad._ext import threads

NAN, INF = float("nan"), float("inf")


def gradient(function, values):
    x = mg.tensor(values, requires_grad=True)
    y = function(x)
    return mg.autograd.grad((y[0] if isinstance(y, tuple) else y).sum(), x)[0].tolist()


def test_integers_are_summed_as_int64_and_have_no_mean():
    x = mg.tensor([[3, 1], [2, 3]], dtype=mg.int32)
    mask = mg.tensor([True, False])
    for result, value in [
        (x.sum(), 9),
        (x.prod(), 18),
        (mask.sum(), 1),
        (mask.prod(), 0),
        (x.cumsum(0)[1, 0], 5),
        (x.nansum(), 9),
    ]:
        assert (result.dtype, result.item()) == (mg.int64, value)
    assert x.sum(dtype=mg.float32).dtype is mg.float32
    assert x.mean(dtype=mg.float32).item() == 2.25
    for call in (x.mean, x.var, x.std, x.norm, x.nanmean, lambda: x.float().mean(dtype=mg.int64)):
        with pytest.raises(RuntimeError):
            call()
    assert (x.max().item(), x.max(0).indices.tolist(), x.argmax().item()) == (3, [0, 1], 0)
    assert (x.median().item(), x.median(0).values.tolist()) == (2, [2, 1])
    assert x.amax(0).dtype is mg.int32


def test_any_and_all_of_uint8_stay_uint8():
    assert mg.tensor([1, 0], dtype=mg.uint8).any().dtype is mg.uint8
    assert mg.tensor([1.0, NAN]).all().item() is True
    assert mg.tensor([[1, 0], [1, 1]]).all(0, keepdim=True).tolist() == [[True, False]]


def test_nothing_to_reduce():
    e, rows = mg.empty(0), mg.empty(0, 3)
    assert (e.sum().item(), e.prod().item(), e.norm().item(), e.logsumexp(0).item()) == (0, 1, 0, -INF)
    assert all(np.isnan(value.item()) for value in (e.mean(), e.var(), e.std(), e.median()))
    assert (e.any().item(), e.all().item()) == (False, True)
    for name in ("max", "min", "amax", "amin"):
        with pytest.raises(RuntimeError, match="reduction dim to be specified"):
            getattr(rows, name)()
        with pytest.raises(IndexError, match="non-zero size"):
            getattr(rows, name)(0)
    assert rows.max(1).indices.shape == rows.amax(1).shape == (0,)
    with pytest.raises(IndexError, match="argmax"):
        rows.argmax()
    assert rows.sum(0).tolist() == [0, 0, 0]
    assert rows.sort().values.shape == (0, 3)


def test_a_0d_tensor_has_one_dimension():
    s = mg.tensor(2.0, requires_grad=True)
    for y in (
        s.sum(0),
        s.mean(-1),
        s.max(0).values,
        s.sort().values,
        s.topk(1).values,
        s.median(0).values,
        s.cumsum(0),
        s.amax(0),
    ):
        assert (y.shape, y.item()) == ((), 2.0)
        assert mg.autograd.grad(y, s)[0].item() == 1
    assert s.argmax(0).item() == 0
    assert np.isnan(s.var().item())
    with pytest.raises(IndexError):
        s.sum(1)


def test_results_with_two_parts_have_names():
    x = mg.tensor([[1.0, 3.0], [3.0, 2.0]])
    values, indices = x.max(0)
    assert (values.tolist(), indices.tolist(), indices.dtype) == ([3, 3], [1, 0], mg.int64)
    for result in (x.min(1), x.sort(), x.topk(1), x.median(0), x.kthvalue(1)):
        assert result._fields == ("values", "indices")
    assert x.aminmax()._fields == ("min", "max")
    assert mg.max(x, mg.tensor(2.0)).tolist() == [[2, 3], [3, 2]]
    assert mg.max(x, other=x.T).tolist() == [[1, 3], [3, 2]]
    with pytest.raises(TypeError):
        mg.max(x, 2.5)
    with pytest.raises(TypeError):
        x.argmax((0, 1))


def test_moments_without_any_output():
    assert mg.zeros(4, 0).var(0).shape == mg.zeros(4, 0).std(0).shape == (0,)
    assert [part.shape for part in mg.var_mean(mg.zeros(0, 3, 0), (0,))] == [(3, 0)] * 2
    assert mg.zeros(2, 3, 0).var((0, 1), keepdim=True).shape == (1, 1, 0)


def test_forms_of_the_arguments_of_var():
    x = mg.tensor([[1.0, 3.0], [3.0, 2.0]])
    assert x.var(False).item() == x.var(unbiased=False).item() == x.var(correction=0).item() == 0.6875
    assert x.var(0, False).tolist() == x.var(dim=0, unbiased=False).tolist() == [1, 0.25]
    assert x.var(0, correction=2).tolist() == [INF, INF]
    assert x.std(0, keepdim=True).shape == (1, 2)
    assert x.sum(()).item() == x.sum(None).item() == 9
    with pytest.raises(TypeError):
        x.var(0, unbiased=True, correction=1)


def test_equals_share_the_gradient_of_values_and_not_of_indices():
    x = [3.0, 1.0, 3.0, 1.0]
    for function in (mg.max, mg.amax, lambda x: x.norm(INF)):
        assert gradient(function, x) == [0.5, 0, 0.5, 0]
    for function in (mg.min, mg.amin, mg.median, lambda x: x.aminmax()):
        assert gradient(function, x) == [0, 0.5, 0, 0.5]
    assert gradient(lambda x: x.max(0), x) == gradient(lambda x: x.topk(1), x) == [1, 0, 0, 0]
    assert gradient(lambda x: x.kthvalue(3), x) == [1, 0, 0, 0]
    assert gradient(lambda x: mg.max(x, mg.tensor([3.0, 0, 0, 1])), x) == [0.5, 1, 1, 0.5]


def test_gradients_at_zero():
    x = [0.0, 2.0, 0.0]
    for p in (0.5, 1, 1.5, 2, 3, INF):
        np.testing.assert_allclose(gradient(lambda x, p=p: x.norm(p), x), [0, 1, 0], atol=1e-6)
    assert gradient(lambda x: (x * 0).norm(), x) == gradient(lambda x: (x * 0).std(), x) == [0, 0, 0]
    assert gradient(mg.prod, x) == [0, 0, 0]
    assert gradient(mg.prod, [0.0, 2.0, 3.0]) == [6, 0, 0]
    assert gradient(lambda x: x.cumprod(0), x) == [3, 0, 0]


def test_nan():
    n = mg.tensor([1.0, NAN, 3.0])
    assert all(np.isnan(value.item()) for value in (n.sum(), n.max(), n.amin(), n.median(), n.logsumexp(0), n.max(0).values))
    assert (n.argmax().item(), n.min(0).indices.item(), n.median(0).indices.item()) == (1, 1, 1)
    assert (n.nansum().item(), n.nanmean().item()) == (4, 2)
    assert (n.argsort().tolist(), n.argsort(descending=True).tolist()) == ([0, 2, 1], [1, 2, 0])
    assert (n.topk(2).indices.tolist(), n.topk(2, largest=False).indices.tolist()) == ([1, 2], [0, 2])
    assert n.kthvalue(2).values.item() == 3
    assert gradient(lambda x: x.nansum(), [1.0, NAN, 3.0]) == [1, 0, 1]
    assert gradient(mg.max, [1.0, NAN, 3.0]) == [0, 1, 0]


def test_sorting_is_stable_both_ways():
    x = mg.tensor([1.0, 0.0, 1.0, 0.0, 1.0])
    assert x.argsort().tolist() == [1, 3, 0, 2, 4]
    assert x.argsort(descending=True).tolist() == [0, 2, 4, 1, 3]


def test_logsumexp_far_from_zero():
    x = mg.tensor([[1000.0, 1000.0], [-1000.0, -1000.0], [-INF, -INF], [INF, 1.0]])
    np.testing.assert_allclose(x.logsumexp(1).numpy(), [1000 + np.log(2), -1000 + np.log(2), -INF, INF], rtol=1e-6)


def test_unique():
    x = mg.tensor([[3, 1], [2, 3]])
    values, inverse, counts = mg.unique(x, return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 2, 3], [[2, 0], [1, 2]], [1, 1, 2])
    assert mg.unique(x, dim=0).tolist() == [[2, 3], [3, 1]]
    values, inverse = mg.unique(mg.tensor([NAN, 1.0, NAN]), return_inverse=True)  # no NaN equals another, as in PyTorch
    assert (str(values.tolist()), inverse.tolist()) == ("[1.0, nan, nan]", [1, 0, 2])


@pytest.mark.parametrize("spread", [3, 500, 2**40])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_, np.float32])
def test_unique_beside_numpy(dtype, spread):
    low = np.iinfo(dtype).min if np.issubdtype(dtype, np.integer) else 0
    x = (np.random.default_rng(0).integers(0, spread, (20, 30)) + low).astype(dtype)
    expected = np.unique(x, return_inverse=True, return_counts=True)
    found = mg.unique(mg.tensor(x), return_inverse=True, return_counts=True)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs, strict=True)
    np.testing.assert_array_equal(mg.unique(mg.tensor(x.T[::2])).numpy(), np.unique(x.T[::2]), strict=True)


@pytest.mark.parametrize(("count", "largest"), [(0, 1), (7, 3), (9001, 900), (9001, 5000), (9002, 3)])
def test_bincount_beside_numpy(count, largest):
    x = np.random.default_rng(0).integers(0, largest, count)
    for minlength in (0, 2, 1500):
        found = mg.bincount(mg.tensor(x, dtype=mg.int64), minlength=minlength).numpy()
        np.testing.assert_array_equal(found, np.bincount(x, minlength=minlength), strict=True)
    if count:
        x[-1] = -1
        with pytest.raises(RuntimeError, match="non-negative"):
            mg.bincount(mg.tensor(x))
        with pytest.raises(MemoryError):
            mg.bincount(mg.tensor([2**62]))


@pytest.mark.parametrize("shape", [(0,), (1, 3, 0)])
def test_unique_consecutive_of_nothing(shape):
    values, inverse, counts = mg.unique_consecutive(mg.zeros(*shape), return_inverse=True, return_counts=True)
    assert (values.shape, inverse.shape, counts.shape) == ((0,), shape, (0,))


def test_the_sum_of_an_expanded_tensor_is_that_of_its_copy():
    rng = np.random.default_rng(0)
    for shape, wide in [((), (3, 4)), ((5, 1), (5, 7)), ((1, 6), (0, 6)), ((2, 1, 3), (2, 300, 3)), ((4, 1, 1), (4, 2, 3))]:
        x = mg.tensor(rng.standard_normal(shape)).expand(wide)
        copy = x.clone()
        for dim in [None, 0, -1, tuple(range(len(wide)))]:
            for keepdim in (False, True) if dim is not None else (False,):
                arguments = () if dim is None else (dim, keepdim)
                for name in ("sum", "mean"):
                    ours, expected = getattr(x, name)(*arguments), getattr(copy, name)(*arguments)
                    np.testing.assert_allclose(ours.numpy(), expected.numpy(), rtol=1e-13, strict=True)


def test_true_elements_are_counted_along_dimensions():
    mask = np.random.default_rng(0).random((3, 4, 5)) < 0.5
    for dim in (None, 0, (0, 2), (0, 1, 2)):
        for keepdim in (False, True) if dim is not None else (False,):
            total = mg.from_numpy(mask).sum() if dim is None else mg.from_numpy(mask).sum(dim, keepdim)
            np.testing.assert_array_equal(total.numpy(), mask.sum(dim, keepdims=keepdim, dtype=np.int64), strict=True)


def test_gradients_do_not_depend_on_threads():
    values = np.random.default_rng(0).normal(size=(300, 257)).astype(np.float32)
    before, results = threads.get_num_threads(), []
    try:
        for n in (1, 2):
            threads.set_num_threads(n)
            x = mg.tensor(values, requires_grad=True)
            (x.std(0).sum() + x.logsumexp(1).mean() + x.norm() + x.amax(1).sum()).backward()
            results.append(x.grad.numpy())
    finally:
        threads.set_num_threads(before)
    np.testing.assert_array_equal(*results)
