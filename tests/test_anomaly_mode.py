"""Anomaly mode names the operation, the module and the line of the user's code that made the first NaN or Inf."""

import re
import warnings

import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F


@pytest.fixture(autouse=True)
def off():
    yield
    mg.autograd.set_detect_anomaly(False)


def here(text):
    """A pattern of a place in this file whose line of code has this text."""
    return re.escape(__file__) + r":\d+, in \w+: `[^`]*" + re.escape(text) + "[^`]*`"


def test_forward_nan_is_named():
    x = mg.tensor([-1.0, 1.0], requires_grad=True)
    with (
        mg.autograd.set_detect_anomaly(True),
        pytest.raises(RuntimeError, match="Operation 'Log' made nan values in its 0th output") as error,
    ):
        (x * 2).log()
    assert re.search(here("(x * 2).log()"), str(error.value))
    assert (x * 2).log().isnan().any()  # off again


def test_forward_inf_of_a_compiled_operation_is_named():
    x = mg.ones(3)
    with mg.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="Operation 'Div' made inf values"):
        x / mg.zeros(3)


def test_nan_of_inf_says_so():
    x = mg.tensor([float("inf")])
    with (
        mg.autograd.set_detect_anomaly(True),
        pytest.raises(RuntimeError, match="made nan values in its 0th output, of inf values among"),
    ):
        x - x


def test_what_moves_an_inf_makes_none():
    mask = mg.tensor([[False, True], [False, False]])
    scores = mg.ones(2, 2, requires_grad=True)
    with mg.autograd.set_detect_anomaly(True):
        weights = scores.masked_fill(mask, float("-inf")).softmax(-1)
        added = (scores + mg.tensor([[0.0, float("-inf")], [0.0, 0.0]])).softmax(-1)
        assert (scores * float("inf")).isinf().all()
        assert mg.tensor([float("nan"), 1.0]).nan_to_num().sum().item() == 1
        filled = mg.ones(2).fill_(float("inf"))
        (weights + added).sum().backward()
    assert filled.isinf().all()
    assert scores.grad.isfinite().all()


class Net(nn.Module):
    def __init__(self, poison):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 3, 3))
        self.poison = poison

    def forward(self, x):
        return self.poison(self.features(x))


def test_the_module_of_a_forward_fault_is_named():
    net = Net(lambda y: y)
    with mg.no_grad():
        net.features[0].weight.fill_(1)
        net.features[3].weight.fill_(3e38)
    with (
        mg.autograd.set_detect_anomaly(True),
        pytest.raises(RuntimeError, match=r"^features\.3 \(Conv2d\(.*made inf values") as error,
    ):
        net(mg.ones(1, 1, 8, 8))
    assert re.search(here("return self.poison(self.features(x))") + r", in features\.3 \(Conv2d\)", str(error.value))


class Root(nn.Module):
    def forward(self, x):
        return x.sqrt()


def test_a_backward_fault_names_the_forward_call():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), Root()))
    with mg.no_grad():
        model[0].weight.fill_(-1)
        model[0].bias.fill_(0)
    with mg.autograd.set_detect_anomaly(True):
        loss = model(mg.ones(1, 2)).sum()
        with pytest.raises(RuntimeError, match=r"Function 'SqrtBackward0' returned inf values in its 0th output\.") as error:
            loss.backward()
    assert re.search(here("return x.sqrt()") + r", in 1\.1 \(Root\)", str(error.value))


def test_backward_nan_is_what_torch_says(lib):
    x = lib.zeros(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with lib.autograd.detect_anomaly():
            y = lib.where(x > 1, x.sqrt(), x * 0) * 0
            with pytest.raises(RuntimeError, match=r"Function '\w+Backward0' returned nan values in its 0th output\."):
                (y * lib.tensor([float("nan"), 1.0])).sum().backward()


def test_check_nan_false_only_names_places():
    x = mg.zeros(2, requires_grad=True)
    with mg.autograd.set_detect_anomaly(True, check_nan=False):
        (x.sqrt() / 0).sum().backward()
        y = x * 1
        loss = (y * y).sum()
        with mg.no_grad():
            y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation") as error:
            loss.backward()
    assert re.search(here("loss = (y * y).sum()"), error.value.__notes__[0])


def test_a_custom_function_is_an_operation():
    class Bad(mg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return mg.full((2,), float("nan"))

    with mg.autograd.set_detect_anomaly(True):
        out = Bad.apply(mg.ones(2, requires_grad=True)).sum()
        with pytest.raises(RuntimeError, match="Function 'BadBackward' returned nan values") as error:
            out.backward()
    assert re.search(here("Bad.apply("), str(error.value))


def test_switching(lib):
    assert not lib.is_anomaly_enabled()
    with lib.autograd.set_detect_anomaly(True, check_nan=False):
        assert lib.is_anomaly_enabled()
        assert not lib.is_anomaly_check_nan_enabled()
        with lib.autograd.set_detect_anomaly(False):
            assert not lib.is_anomaly_enabled()
        assert lib.is_anomaly_enabled()
    assert not lib.is_anomaly_enabled()
    lib.autograd.set_detect_anomaly(True)
    assert lib.is_anomaly_enabled()
    lib.autograd.set_detect_anomaly(False)
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"), lib.autograd.detect_anomaly():
        assert lib.is_anomaly_enabled()
    assert not lib.is_anomaly_enabled()


def test_training_with_anomaly_mode_on_changes_no_bit():
    def train():
        mg.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, 3)
        )
        optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(mg.randn(4, 1, 8, 8)), mg.tensor([0, 1, 2, 0])).backward()
            optimizer.step()
        return [p.tolist() for p in model.parameters()]

    plain = train()
    with mg.autograd.set_detect_anomaly(True):
        assert train() == plain
