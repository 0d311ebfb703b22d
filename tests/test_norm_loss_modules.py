"""Normalisation, softmax and loss layers against PyTorch's: names, representation, state, behaviour in training and eval mode."""

import warnings

import numpy as np
import pytest

import minigrad
from minigrad import nn

torch = pytest.importorskip("torch")

NORMS = [
    ("BatchNorm1d", (3,), {}, (5, 3)),
    ("BatchNorm1d", (3,), {"momentum": None, "eps": 0.01}, (4, 3, 6)),
    ("BatchNorm2d", (3,), {"affine": False, "momentum": 0.3}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"track_running_stats": False}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"bias": False}, (2, 3, 4, 5)),
    ("BatchNorm3d", (2,), {}, (2, 2, 3, 2, 2)),
    ("InstanceNorm1d", (3,), {}, (2, 3, 5)),
    ("InstanceNorm1d", (3,), {"affine": True}, (3, 5)),
    ("InstanceNorm2d", (3,), {"affine": True, "track_running_stats": True, "momentum": 0.2}, (2, 3, 4, 5)),
    ("InstanceNorm3d", (2,), {"track_running_stats": True}, (2, 2, 3, 2, 2)),
    ("LayerNorm", (5,), {}, (3, 5)),
    ("LayerNorm", ((4, 5),), {"eps": 0.1, "bias": False}, (3, 4, 5)),
    ("LayerNorm", ((4, 5),), {"elementwise_affine": False}, (3, 4, 5)),
    ("GroupNorm", (2, 6), {}, (3, 6, 4)),
    ("GroupNorm", (3, 6), {"affine": False}, (3, 6, 4)),
    ("RMSNorm", (5,), {}, (3, 5)),
    ("RMSNorm", ((4, 5),), {"eps": 0.1, "elementwise_affine": False}, (3, 4, 5)),
    ("LocalResponseNorm", (3,), {"alpha": 0.5}, (2, 5, 4)),
    ("Softmax", (1,), {}, (3, 5)),
    ("Softmin", (), {"dim": 0}, (3, 5)),
    ("LogSoftmax", (-1,), {}, (3, 5)),
    ("Softmax2d", (), {}, (2, 3, 4, 5)),
]


def pair(name, args, kwargs):
    return getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)


def assert_same_state(ours, theirs):
    state, expected = ours.state_dict(), theirs.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert str(state[name].dtype).split(".")[1] == str(value.dtype).split(".")[1], name
        np.testing.assert_allclose(state[name].numpy(), value.numpy(), rtol=2e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), NORMS)
def test_layer(name, args, kwargs, shape):
    ours, theirs = pair(name, args, kwargs)
    assert repr(ours) == repr(theirs)
    assert_same_state(ours, theirs)
    rng = np.random.default_rng(0)
    for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        value = rng.uniform(0.5, 1.5, tuple(other.shape)).astype(np.float32)
        with minigrad.no_grad(), torch.no_grad():
            parameter.copy_(minigrad.from_numpy(value))
            other.copy_(torch.from_numpy(value))
    for training in (True, True, False, True, False):
        ours.train(training)
        theirs.train(training)
        x = (rng.standard_normal(shape) * 2 + 1).astype(np.float32)
        leaf, other_leaf = minigrad.from_numpy(x).requires_grad_(), torch.from_numpy(x.copy()).requires_grad_()
        out, expected = ours(leaf), theirs(other_leaf)
        np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-5, atol=5e-6)
        (out * out).sum().backward()
        (expected * expected).sum().backward()
        np.testing.assert_allclose(leaf.grad.numpy(), other_leaf.grad.numpy(), rtol=1e-4, atol=1e-4)
        assert_same_state(ours, theirs)
    if hasattr(ours, "reset_parameters"):
        ours.reset_parameters()
        theirs.reset_parameters()
        assert_same_state(ours, theirs)


def rejected(function, exception, match):
    with pytest.raises(exception, match=match):
        function()


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "shape"),
    [
        ("BatchNorm1d", (3,), {}, (2, 3, 4, 5)),
        ("BatchNorm2d", (3,), {}, (2, 3, 4)),
        ("BatchNorm3d", (3,), {}, (2, 3, 4)),
        ("BatchNorm1d", (3,), {}, (2, 4)),
        ("BatchNorm1d", (3,), {}, (1, 3)),
        ("InstanceNorm1d", (3,), {"affine": True}, (2, 4, 5)),
        ("InstanceNorm2d", (3,), {}, (3, 5)),
        ("LayerNorm", (3,), {}, (2, 4)),
        ("GroupNorm", (2, 4), {}, (2, 6)),
        ("Softmax2d", (), {}, (2, 6)),
    ],
)
def test_wrong_inputs_are_rejected_as_in_torch(name, args, kwargs, shape):
    ours, theirs = pair(name, args, kwargs)
    with pytest.raises((ValueError, RuntimeError)) as expected:
        theirs(torch.ones(shape))
    with pytest.raises(expected.type, match=name):  # the error names the layer
        ours(minigrad.ones(shape))


def test_wrong_options_are_rejected():
    rejected(lambda: nn.GroupNorm(3, 4), ValueError, "must be divisible")
    rejected(lambda: nn.MultiMarginLoss(p=3), ValueError, "only p == 1")
    rejected(lambda: nn.MultiMarginLoss(weight=minigrad.ones(2, 2)), ValueError, "1D tensor")
    rejected(lambda: nn.TripletMarginLoss(margin=-1), ValueError, "margin to be greater than 0")
    rejected(lambda: nn.TripletMarginWithDistanceLoss(margin=0), ValueError, "margin to be greater than 0")


def test_warnings():
    with pytest.warns(UserWarning, match="does not match num_features"):
        nn.InstanceNorm1d(3)(minigrad.ones(2, 4, 5))
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        nn.Softmax()(minigrad.ones(2, 3))
    with pytest.warns(UserWarning, match=r"target size \(torch.Size\(\[3\]\)\) that is different to the input size"):
        nn.MSELoss()(minigrad.ones(2, 3), minigrad.ones(3))
    with pytest.warns(UserWarning, match="'mean' divides the total loss"):
        nn.KLDivLoss()(minigrad.zeros(2, 3), minigrad.ones(2, 3))
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        assert nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(UserWarning, match="please use reduction='none' instead"):
        assert nn.functional.mse_loss(minigrad.ones(2), minigrad.ones(2), reduce=False).shape == (2,)


def loss_arguments(name, lib, rng):
    def tensor(array):
        return (minigrad if lib is minigrad else torch).from_numpy(np.ascontiguousarray(array))

    x, y = rng.standard_normal((4, 3)).astype(np.float32), rng.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    sign = np.array([1.0, -1.0, -1.0, 1.0], np.float32)
    classes = np.array([0, 2, 1, 2])
    arrays = {
        "NLLLoss": (x, classes),
        "CrossEntropyLoss": (x, classes),
        "MultiMarginLoss": (x, classes),
        "MultiLabelMarginLoss": (x, np.array([[0, -1, 1], [1, 2, -1], [-1, 0, 0], [2, 1, 0]])),
        "BCELoss": (y, np.round(y)),
        "GaussianNLLLoss": (x, y, y),
        "CosineEmbeddingLoss": (x, y, sign),
        "MarginRankingLoss": (x[:, 0], y[:, 0], sign),
        "HingeEmbeddingLoss": (x[:, 0], sign),
        "SoftMarginLoss": (x[:, 0], sign),
        "TripletMarginLoss": (x, y, -y),
        "TripletMarginWithDistanceLoss": (x, y, -y),
    }
    return [tensor(a) for a in arrays.get(name, (x, y))]


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("L1Loss", {}),
        ("MSELoss", {"reduction": "sum"}),
        ("SmoothL1Loss", {"beta": 0.3}),
        ("HuberLoss", {"delta": 0.3}),
        ("NLLLoss", {"ignore_index": 1}),
        ("CrossEntropyLoss", {"label_smoothing": 0.2, "reduction": "none"}),
        ("BCELoss", {}),
        ("BCEWithLogitsLoss", {}),
        ("KLDivLoss", {"reduction": "batchmean", "log_target": True}),
        ("PoissonNLLLoss", {"full": True}),
        ("GaussianNLLLoss", {"full": True}),
        ("HingeEmbeddingLoss", {"margin": 0.7}),
        ("MarginRankingLoss", {"margin": 0.7}),
        ("CosineEmbeddingLoss", {"margin": -0.9}),
        ("SoftMarginLoss", {}),
        ("MultiMarginLoss", {"p": 2, "margin": 0.7}),
        ("MultiLabelMarginLoss", {}),
        ("MultiLabelSoftMarginLoss", {}),
        ("TripletMarginLoss", {"p": 1.0, "swap": True}),
        ("TripletMarginWithDistanceLoss", {"margin": 2.0}),
    ],
)
def test_loss(name, kwargs):
    ours, theirs = pair(name, (), kwargs)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    found = ours(*loss_arguments(name, minigrad, np.random.default_rng(1)))
    expected = theirs(*loss_arguments(name, torch, np.random.default_rng(1)))
    assert found.shape == tuple(expected.shape)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_weights_are_buffers():
    weight = np.array([0.5, 1.0, 2.0], np.float32)
    for name, argument in (("CrossEntropyLoss", "weight"), ("BCEWithLogitsLoss", "pos_weight"), ("NLLLoss", "weight")):
        ours = getattr(nn, name)(**{argument: minigrad.from_numpy(weight)})
        theirs = getattr(torch.nn, name)(**{argument: torch.from_numpy(weight.copy())})
        assert_same_state(ours, theirs)
        args = [loss_arguments(name, lib, np.random.default_rng(1)) for lib in (minigrad, torch)]
        np.testing.assert_allclose(ours(*args[0]).numpy(), theirs(*args[1]).numpy(), rtol=1e-5)


def test_batch_norm_counts_nothing_where_the_input_is_refused():
    layer = nn.BatchNorm2d(3)
    with pytest.raises(ValueError, match="expected 4D input"):
        layer(minigrad.ones(2, 3))
    assert int(layer.num_batches_tracked) == 0


def test_a_loss_of_no_samples_is_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reduction, expected in (("mean", np.nan), ("sum", 0.0)):
            x = minigrad.zeros(0, 3, requires_grad=True)
            loss = nn.functional.cross_entropy(x, minigrad.zeros(0, dtype=minigrad.int64), reduction=reduction)
            np.testing.assert_equal(loss.item(), expected)
            loss.backward()
            assert x.grad.shape == (0, 3)
        ignored = nn.functional.cross_entropy(minigrad.ones(2, 3), minigrad.full((2,), -100))
        assert np.isnan(ignored.item())


@pytest.mark.parametrize("shape", [(3, 40, 7), (2, 5, 3, 4), (1, 9, 1), (4, 1, 6)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy_of_transposed_logits(shape, reduction):
    """Classes that lie side by side are read where they are: the values, the gradient and the Hessian are those of a copy."""
    rng = np.random.default_rng(1)
    stored = rng.standard_normal((shape[0], *shape[2:], shape[1]))
    target = minigrad.tensor(rng.integers(0, shape[1], (shape[0], *shape[2:])))
    target.view(-1)[0] = -100
    weight = minigrad.tensor(rng.uniform(0.5, 2, shape[1]))
    found = []
    for copied in (False, True):
        x = minigrad.tensor(stored, requires_grad=True)
        logits = x.movedim(-1, 1)
        loss = nn.functional.cross_entropy(
            logits.contiguous() if copied else logits, target, weight, reduction=reduction, label_smoothing=0.1
        )
        (gx,) = minigrad.autograd.grad((loss * loss).sum(), x, create_graph=True)
        (ggx,) = minigrad.autograd.grad((gx * gx).sum(), x)
        found.append([part.detach().numpy() for part in (loss, gx, ggx)])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
