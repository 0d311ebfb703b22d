"""What `print(loss)` shows of the graph: the names of nodes are PyTorch's."""

import pytest

import minigrad as mg
from minigrad.nn import functional as F
from tests.op_table import ROWS
from tests.test_ops import execute, is_tensor, prepare

# One operation there and several here, or the other way around; or named there by how they were called.
OTHERWISE = {
    "Tensor.__rtruediv__",
    "block_diag",
    "cartesian_prod",
    "chain_matmul",
    "cholesky",
    "combinations",
    "cov",
    "det",
    "digamma",
    "dsplit",
    "fmod",
    "hsplit",
    "inverse",
    "kron",
    "linalg.cholesky",
    "linalg.multi_dot",
    "linalg.solve",
    "nanmedian",
    "nn.GRU",
    "nn.LSTM",
    "nn.Module.register_full_backward_hook",
    "nn.RReLU",
    "nn.functional.celu_",
    "nn.functional.elu_",
    "nn.functional.embedding_bag",
    "nn.functional.leaky_relu_",
    "nn.functional.lp_pool1d",
    "nn.functional.lp_pool2d",
    "nn.functional.lp_pool3d",
    "nn.functional.pairwise_distance",
    "nn.functional.pdist",
    "nn.functional.rms_norm",
    "nn.functional.rrelu",
    "nn.functional.rrelu_",
    "nn.functional.scaled_dot_product_attention",
    "nn.functional.selu_",
    "nn.functional.threshold_",
    "positive",
    "prod",
    "quantile",
    "remainder",
    "renorm",
    "repeat_interleave",
    "rrelu",
    "rsub",
    "slogdet",
    "tensor_split",
    "trapezoid",
    "vsplit",
}


def names(lib, row, sample):
    """The names of the nodes of a row's results on a library; for a write through a view, of the base and of the view."""
    outs = [y for y in execute(lib, row, prepare(lib, sample, row.dtypes[0])) if is_tensor(y)]
    return [y.grad_fn.name().removeprefix("torch::autograd::") if y.grad_fn is not None else None for y in outs]


def is_in_place(row):
    return row.name.startswith("Tensor.") and row.name.endswith("_") and not row.name.endswith("__")


@pytest.mark.filterwarnings("ignore")
def test_operations_are_shown_by_torch_s_names(torch):
    rows = [row for row in ROWS if row.order and row.torch_name is not None and not is_in_place(row)]
    wrong = {}
    for row in rows:
        sample = row.sample_list()[0]
        ours, theirs = names(mg, row, sample), names(torch, row, sample)
        if ours != theirs and row.name not in OTHERWISE:
            wrong[row.name] = ours, theirs
    assert not wrong


def test_the_names_that_scripts_print(lib):
    nn, x = lib.nn, lib.ones(2, 3, requires_grad=True)
    functional = nn.functional
    y = x.sigmoid()
    target = lib.tensor([0, 1])
    shown = {
        "AddmmBackward0": nn.Linear(3, 2)(x),
        "NllLossBackward0": functional.cross_entropy(x, target),
        "HuberLossBackward0": functional.huber_loss(x, lib.zeros(2, 3)),
        "MseLossBackward0": functional.mse_loss(x, lib.zeros(2, 3)),
        "BinaryCrossEntropyWithLogitsBackward0": functional.binary_cross_entropy_with_logits(x, lib.ones(2, 3)),
        "BinaryCrossEntropyBackward0": functional.binary_cross_entropy(y, lib.ones(2, 3)),
        "MeanBackward0": x.mean(),
        "MeanBackward1": x.mean(0),
        "SumBackward0": x.sum(),
        "SumBackward1": x.sum(1),
        "ConvolutionBackward0": nn.Conv2d(1, 1, 1)(x.view(1, 1, 2, 3)),
        "MmBackward0": x @ lib.ones(3, 2),
        "TBackward0": x.t(),
        "SelectBackward0": x[0],
        "SliceBackward0": x[:, 1:],
        "UnsqueezeBackward0": x[None],
        "IndexBackward0": x[target],
        "RsubBackward1": 1 - x,
        "PowBackward0": x**2,
        "MaxBackward1": x.max(),
        "MaxPool2DWithIndicesBackward0": functional.max_pool2d(x.view(1, 1, 2, 3), 2),
        "NativeBatchNormBackward0": nn.BatchNorm1d(3)(x),
        "NativeLayerNormBackward0": nn.LayerNorm(3)(x),
        "EmbeddingBackward0": nn.Embedding(4, 2)(target),
    }
    assert [t.grad_fn.name() for t in shown.values()] == list(shown)
    assert functional.l1_loss(x, lib.zeros(2, 3)).grad_fn.name() == "MeanBackward0"
    assert repr(x.sum()) == "tensor(6., grad_fn=<SumBackward0>)"


def test_a_write_through_a_view_is_shown_as_in_torch(lib):
    x = lib.ones(3, requires_grad=True) * 1
    view = x[:2]
    view.mul_(2)
    assert (repr(x.grad_fn).split()[0], repr(view.grad_fn).split()[0]) == ("<CopySlices", "<AsStridedBackward0")


def test_a_name_is_not_given_to_an_earlier_node():
    x = mg.ones(3, requires_grad=True) * 1
    y = F.dropout(x, 0.5, training=False)
    assert y.grad_fn.name() == x.grad_fn.name() == "MulBackward0"
