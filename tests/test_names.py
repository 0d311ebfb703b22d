"""Calls as a PyTorch user writes them, run on both libraries: argument names, numpy's names, in-place variants, aliases."""

import numpy as np
import pytest

import minigrad

CALLS = """
x.sum(axis=1)
x.sum(dim=1, keepdims=True)
x.sum(axis=(0,1))
x.mean(axis=0, keepdims=True)
x.var(axis=1)
x.std(axis=1, correction=0)
x.std(1, correction=2)
x.std(dim=1, unbiased=False)
x.var(1, False)
x.prod(axis=1)
x.amax(axis=1)
x.amin(axis=1, keepdims=True)
x.max(axis=1)[0]
x.min(axis=1, keepdims=True)[1]
x.argmax(axis=1)
x.argmin(axis=0, keepdims=True)
x.all(axis=0)
x.any(axis=0)
x.logsumexp(axis=1)
x.cumsum(axis=1)
x.cumprod(axis=1)
x.sort(axis=0)[0]
x.argsort(axis=0)
x.topk(2, axis=1)[0]
x.norm(dim=1)
x.norm(2, 1)
x.softmax(axis=1)
x.log_softmax(axis=1)
x.squeeze(axis=0)
x.unsqueeze(axis=0)
x.flip(dims=(0,))
x.flip(0, 1)
x.flip([0, 1])
x.roll(shifts=1, dims=0)
x.roll(1, 0)
x.permute(dims=(1, 0))
x.permute([1, 0])
x.reshape(shape=(4, 3))
x.reshape((4, 3))
x.view(size=(4, 3))
x.view(dtype=T.int32)
x.view(T.int32)
x.expand(size=(2, 3, 4))
x.repeat(repeats=(2, 1))
x.repeat(2, 1)
x.tile(dims=(2,))
x.tile(2, 1)
x.flatten(start_dim=0, end_dim=1)
x.unflatten(1, (2, 2))
x.unflatten(dim=1, sizes=(2, -1))
x.transpose(dim0=0, dim1=1)
x.swapaxes(axis0=0, axis1=1)
x.swapdims(dim0=0, dim1=1)
x.split(2, dim=1)[0]
x.split(split_size=2, dim=1)[0]
x.split([1, 3], 1)[1]
T.split(x, 2, 1)[0]
x.chunk(chunks=2, dim=1)[0]
x.unbind(dim=1)[0]
x.unbind(axis=1)[0]
x.narrow(dim=1, start=0, length=2)
x.select(dim=1, index=0)
x.index_select(dim=0, index=i)
x.index_select(axis=0, index=i)
x.gather(dim=1, index=ij)
x.scatter(dim=1, index=ij, src=x)
x.scatter(1, ij, 2.0)
x.scatter(1, ij, value=2.0)
x.clone().scatter_(1, ij, x)
x.clone().scatter_(dim=1, index=ij, src=x)
x.clone().scatter_add_(dim=1, index=ij, src=x)
x.clone().index_add_(dim=0, index=i, source=x[:2])
x.clone().index_fill_(dim=0, index=i, value=2.0)
x.clone().masked_fill_(mask=x > 0, value=1.0)
x.masked_select(mask=x > 0)
x.take_along_dim(indices=ij, dim=1)
x.diagonal(offset=1, dim1=0, dim2=1)
x.tril(diagonal=-1)
x.movedim(source=0, destination=1)
x.moveaxis(0, 1)
x.clamp(min=0)
x.clamp(max=x)
x.clip(0, 1)
x.add(other=x, alpha=2)
x.sub(x, alpha=2)
x.div(other=x, rounding_mode='floor')
x.pow(exponent=2)
x.round(decimals=1)
x.logical_and(other=x)
x.remainder(other=2)
x.where(condition=x > 0, other=x)
x.where(x > 0, 0.0)
T.where(x > 0, x, 0.0)
T.where(condition=x > 0, input=x, other=x)
x.matmul(other=x.t())
x.mm(mat2=x.t())
x.mv(vec=x[0])
x[0].dot(tensor=x[1])
x[0].outer(vec2=x[1])
x.addmm(x[:, :3], x)
T.addmm(x, x[:, :3], x, beta=2, alpha=0.5)
T.cat([x, x], axis=1)
T.cat(tensors=[x, x], dim=1)
T.stack([x, x], axis=1)
T.sum(x, 1, True)
T.sum(input=x, dim=1)
T.max(x, 1, True)[0]
T.max(x, x)
T.max(input=x, other=x)
T.einsum('ij,kj->ik', x, x)
T.einsum('ij,kj->ik', [x, x])
T.flatten(x, 0)
T.flip(x, [0])
T.flip(x, dims=[0])
T.permute(x, (1, 0))
T.permute(x, dims=(1, 0))
T.reshape(x, (4, 3))
T.reshape(input=x, shape=(4, 3))
T.tile(x, (2, 1))
T.tile(x, dims=(2, 1))
T.broadcast_to(x, (2, 3, 4))
T.broadcast_to(x, size=(2, 3, 4))
T.repeat_interleave(x, 2, dim=1)
T.repeat_interleave(i)
x.repeat_interleave(repeats=2, dim=1)
T.zeros((2, 3), dtype=T.float64)
T.zeros(size=(2, 3))
T.ones(2, 3, requires_grad=True)
T.full((2,), 3)
T.full(size=(2,), fill_value=3.0)
T.arange(1, 5, 2)
T.arange(start=1, end=5, step=2)
T.arange(end=3)
T.linspace(0, 1, 5)
T.linspace(start=0, end=1, steps=5)
T.randn(size=(2, 3), dtype=T.float64).dtype
T.randint(0, 5, (2,), dtype=T.int32).dtype
T.randperm(n=4).dtype
T.zeros_like(x, dtype=T.int64)
T.full_like(x, 2)
T.rand_like(x).dtype
T.median(x, 1)[0]
T.median(x)
T.all(x)
T.any(x, dim=1)
T.nn.functional.one_hot(i, num_classes=5)
T.nn.functional.normalize(x, p=1.0, dim=1)
x.mean((0, 1))
x.mean(dim=[0, 1], keepdim=True)
x.sum(dtype=T.float64)
x.var(dim=(0, 1), correction=1, keepdim=True)
x.amax((0, 1))
x.view(-1)
x.T
x.mT
x.H
x.mH
x[i]
x[..., None]
x[x > 0]
x.index_put((i,), x[:2])
x.clone().index_put_((i,), x[:2], accumulate=True)
x.type(T.float64)
x.to(T.float64)
x.to('cpu', T.float64)
x.to(dtype=T.float64)
x.clone().fill_(value=2.0)
x.clone().clamp_(min=0)
x.clone().add_(other=x, alpha=2)
x.clone().zero_()
x.new_zeros((2, 3))
x.new_zeros(size=(2, 3))
x.new_full(size=(2,), fill_value=1.0)
x.new_tensor([1, 2])
x.nonzero()
x.nonzero(as_tuple=True)[0]
x.float_power(2)
T.lerp(x, x + 1, weight=0.5)
x.diff(axis=0)
T.logsumexp(x, (0, 1))
T.std_mean(x, dim=1)[0]
T.aminmax(x, dim=1)[0]
T.cumsum(x, 0, dtype=T.float64)
T.softmax(x, 1)
T.softmax(x, dim=1, dtype=T.float64)
T.log_softmax(x, 1)
x.prelu(T.tensor([0.2]))
T.tensordot(x, x, dims=2)
T.tensordot(x, x, dims=([1], [1]))
T.dropout(x, 0.0, True)
T.threshold(x, 0.1, 0.2)
T.nn.functional.threshold(x, threshold=0.1, value=0.2)
T.gt(x, 0)
T.isclose(x, x)
T.conv2d(x[None, None], x[None, None, :2, :2])
T.max_pool2d(x[None], 2)
T.nn.functional.relu(x, inplace=False)
T.rsub(x, 2)
T.tril_indices(3, 3)
T.numel(x)
T.is_tensor(x)
T.clone(x)
T.detach(x)
T.square(x)
x.square()
T.logspace(0, 2, 3)
T.scalar_tensor(2)
T.result_type(x, i)
T.is_floating_point(x)
T.outer(x[0], x[0])
x.t()
x.adjoint()
x.ravel()
x.is_contiguous()
x.storage_offset()
x[1].storage_offset()
x.contiguous()
x.cumsum(-1)
x.nansum(1)
x.kthvalue(2, 1)[0]
x.unique()
T.unique(i, return_counts=True)[1]
x.masked_scatter(x > 0, x)
x.argsort(dim=1, descending=True)
x.sort(descending=True)[1]
x.sort(stable=True, dim=0)[0]
x.unfold(1, 2, 1)
x.unfold(dimension=1, size=2, step=1)
x.log2()
T.log2(T.tensor(8.0))
T.sign(T.tensor(float('nan')))
x.sgn()
T.logical_xor(x, x)
T.bitwise_and(i, 1)
i << 1
i >> 1
1 << i
x // 2
x % 2
2 // x
-x
+x
~(x > 0)
x.bool()
x.char()
x.type_as(i)
x.expand(-1, -1)
x.expand_as(x)
x.broadcast_to((2, 3, 4))
x.sum_to_size(1, 4)
x.element_size()
x.count_nonzero(dim=0)
x.hypot(x)
x.trace()
""".strip().splitlines()


def result(lib, call):
    x = lib.from_numpy(np.linspace(-1.3, 2.1, 12, dtype=np.float32).reshape(3, 4).copy())
    names = {"T": lib, "x": x, "i": lib.tensor([2, 0]), "ij": lib.tensor([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])}
    return eval(call, names)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_means_what_it_means_in_torch(torch, call):
    found, expected = result(minigrad, call), result(torch, call)
    if not isinstance(expected, torch.Tensor):
        assert str(found).rpartition(".")[2] == str(expected).rpartition(".")[2]
        return
    assert str(found.dtype).rpartition(".")[2] == str(expected.dtype).rpartition(".")[2]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-6, atol=1e-6, strict=True)


def test_an_argument_cannot_be_given_by_both_names():
    with pytest.raises(TypeError, match="axis"):
        minigrad.ones(2, 3).amax(dim=0, axis=0)


def test_powers_of_two_and_ten_have_exact_logarithms():
    assert minigrad.log2(minigrad.tensor([8.0, 2.0**-5])).tolist() == [3, -5]
    assert minigrad.log10(minigrad.tensor([1000.0, 1e-5], dtype=minigrad.float64)).tolist() == [3, -5]


def test_the_sign_of_nan_is_zero():
    assert minigrad.sign(minigrad.tensor([float("nan"), -0.0, -3.0])).tolist() == [0, 0, -1]
    assert minigrad.sign(minigrad.tensor([-2, 0, 5])).tolist() == [-1, 0, 1]


def test_nan_to_num_reaches_the_largest_numbers():
    x = minigrad.tensor([float("inf"), -float("inf"), float("nan")], dtype=minigrad.float64)
    assert x.nan_to_num().tolist() == [np.finfo(float).max, np.finfo(float).min, 0]
