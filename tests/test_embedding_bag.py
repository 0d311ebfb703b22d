"""EmbeddingBag beside PyTorch's; hard samples of gumbel_softmax; what Module has for other devices."""

import numpy as np
import pytest

import minigrad as mg
from tests.twins import compare, twins


@pytest.mark.parametrize(
    "options", [{}, {"mode": "sum", "padding_idx": 1}, {"mode": "max"}, {"include_last_offset": True}], ids=str
)
def test_embedding_bag(torch, options):
    ours, theirs = twins(torch, "EmbeddingBag", 5, 3, **options)
    flat, offsets = np.array([0, 1, 4, 2, 1, 3]), np.array([0, 2, 2, 6])
    compare(torch, ours, theirs, lambda lib, module, x, start: module(x, start), [flat, offsets])
    compare(torch, ours, theirs, lambda lib, module, x: module(x), [flat.reshape(2, 3)])


def test_embedding_bags_from_a_table(lib):
    bag = lib.nn.EmbeddingBag.from_pretrained(lib.tensor([[1.0, 2.0], [3.0, 5.0]]), mode="sum")
    assert not bag.weight.requires_grad
    assert bag(lib.tensor([[0, 1]])).tolist() == [[4, 7]]
    padded = lib.nn.EmbeddingBag(4, 2, padding_idx=-1)
    assert padded.padding_idx == 3
    assert padded.weight[3].tolist() == [0, 0]
    padded.reset_parameters()
    assert padded.weight[3].tolist() == [0, 0]
    with pytest.raises(AssertionError):
        lib.nn.EmbeddingBag(4, 2, padding_idx=4)


def test_hard_gumbel_samples(lib):
    lib.manual_seed(0)
    logits = lib.tensor([[0.0, 1.0, 2.0]]).expand(4000, 3).clone().requires_grad_()
    hard = lib.nn.functional.gumbel_softmax(logits, hard=True)
    assert hard.sum(1).tolist() == pytest.approx([1] * 4000)
    assert set(hard.detach().round().flatten().tolist()) == {0, 1}
    share = hard.detach().mean(0).numpy()
    np.testing.assert_allclose(share, np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), atol=0.03)
    (hard * lib.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert logits.grad.abs().sum().item() > 0
    with pytest.warns(UserWarning, match="has no effect"):
        lib.nn.functional.gumbel_softmax(logits, eps=1e-5)


def test_module_conversions(lib):
    net = lib.nn.Linear(2, 3)
    weight = net.weight
    assert net.to_empty(device="cpu") is net
    assert net.weight is weight
    assert net.weight.shape == (3, 2)
    assert net.weight.requires_grad


def test_compile_and_devices():
    net = mg.nn.Linear(2, 3)
    x = mg.ones(1, 2)
    before = net(x)
    assert net.compile(mode="max-autotune") is None
    assert mg.equal(net(x), before)
    with pytest.raises(RuntimeError, match="xpu"):
        net.xpu()
    with pytest.raises(RuntimeError, match="cuda"):
        net.to_empty(device="cuda")
