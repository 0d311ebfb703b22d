"""Attention as one node beside its steps: values, weights, and gradients, at odd sizes, strides, masks, any number of threads."""

import numpy as np
import pytest

import minigrad as mg
from minigrad._ext.threads import get_num_threads, set_num_threads, set_parallel_threshold
from minigrad.nn.functional import attention as module
from tests.isa import check_at

# (leading dimensions, L, S, E, V): one block, blocks of 14 rows, sizes of 0 and 1, fewer and more queries than keys
SHAPES = [((2, 3), 5, 7, 4, 3), ((4,), 33, 33, 16, 16), ((2, 2), 40, 3001, 5, 9), ((), 19, 6, 8, 2), ((1, 2, 2), 70, 50, 33, 31),
          ((5,), 1, 1, 1, 1), ((2, 2), 0, 4, 3, 2), ((2, 2), 3, 0, 3, 2), ((0, 2), 3, 4, 3, 2), ((4,), 6, 5, 0, 2)]  # fmt: skip
MASKS = ["none", "causal", "full", "row", "column", "bool"]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    return request.param


def inputs(shape, dtype, mask):
    rng = np.random.default_rng(7)
    lead, L, S, E, V = shape
    normal = lambda *sizes: rng.standard_normal(sizes, np.float32).astype(dtype)  # noqa: E731
    q, k, v = (normal(*lead, *sizes) for sizes in ((L, E), (S, E), (S, V)))
    # heads that lie between the rows, as those of a projection do
    q = np.ascontiguousarray(np.moveaxis(q, -2, 0))
    tensors = [mg.from_numpy(np.moveaxis(q, 0, -2)), mg.from_numpy(k), mg.from_numpy(v)]
    allowed = rng.random((L, S)) < 0.7
    allowed[:, :1] = True
    bias = {
        "none": None,
        "causal": None,
        "full": mg.from_numpy(normal(*lead, L, S)),
        "row": mg.from_numpy(normal(1, S)),
        "column": mg.from_numpy(normal(L, 1)),
        "bool": mg.from_numpy(allowed),
    }[mask]
    return [x.requires_grad_() for x in tensors], bias if bias is None or mask == "bool" else bias.requires_grad_()


def results(shape, dtype, mask, dropout_p=0.0):
    """Output and gradients."""
    leaves, bias = inputs(shape, dtype, mask)
    wanted = leaves + ([bias] if bias is not None and bias.requires_grad else [])
    mg.manual_seed(3)
    out = mg.nn.functional.scaled_dot_product_attention(*leaves, bias, dropout_p, mask == "causal", 0.3)
    g = mg.from_numpy(np.random.default_rng(8).standard_normal(out.shape, np.float32).astype(dtype))
    return [x.detach().numpy() for x in (out, *mg.autograd.grad(out, wanted, g))]


@pytest.mark.parametrize("dropout_p", [0.0, 0.4])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_node_gives_what_the_steps_give(shape, mask, dropout_p, dtype, monkeypatch):
    ours = results(shape, dtype, mask, dropout_p)
    monkeypatch.setattr(module, "attention", lambda *arguments: None)
    steps = results(shape, np.float64, mask, dropout_p)
    bound = 20 * np.finfo(dtype).eps * max(1, *(np.abs(exact).max(initial=0) for exact in steps))
    for actual, exact in zip(ours, steps, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, exact, rtol=0, atol=bound)


@pytest.mark.parametrize("wanted", ["weights", "both"])
def test_gradients_through_the_weights(wanted, monkeypatch):
    def run():
        mg.manual_seed(0)
        layer = mg.nn.MultiheadAttention(12, 3, dtype=mg.float64)
        x = mg.randn(5, 4, 12, dtype=mg.float64, requires_grad=True)
        out, weights = layer(x, x, x, average_attn_weights=False)
        loss = (weights**3).sum() + (out.sin().sum() if wanted == "both" else 0)
        (first,) = mg.autograd.grad(loss, x, create_graph=True)
        (second,) = mg.autograd.grad((first**2).sum(), x)
        return [y.detach().numpy() for y in (out, weights, first, second)]

    ours = run()
    monkeypatch.setattr(module, "attention", lambda *arguments: None)
    for actual, exact in zip(ours, run(), strict=True):
        np.testing.assert_allclose(actual, exact, rtol=1e-10, atol=1e-12)


def test_nan_and_inf_as_in_the_steps(monkeypatch):
    leaves, _ = inputs(((2, 2), 9, 8, 4, 4), np.float32, "none")
    with mg.no_grad():
        leaves[0][0, 0, 1] = np.inf
        leaves[1][1, 1, 2, 0] = np.nan
    ours = mg.nn.functional.scaled_dot_product_attention(*leaves).detach().numpy()
    monkeypatch.setattr(module, "attention", lambda *arguments: None)
    steps = mg.nn.functional.scaled_dot_product_attention(*leaves).detach().numpy()
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(steps))
    assert 0 < np.isnan(ours).sum() < ours.size


@pytest.mark.parametrize("mask", ["none", "causal", "full"])
def test_bits_do_not_depend_on_threads(mask, dtype):
    before, threshold = get_num_threads(), set_parallel_threshold(0)
    try:
        found = []
        for n in (1, 2, 3):
            set_num_threads(n)
            found.append([x.tobytes() for x in results(((2, 3), 61, 50, 17, 19), dtype, mask)])
    finally:
        set_num_threads(before)
        set_parallel_threshold(threshold)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("isa", ["v2", "v3", "v4"])
def test_every_instruction_set(isa):
    check_at(isa, __file__, "test_one_node")
