"""Types as a user meets them: mypy checks this file (tests/test_typing.py), which also runs."""

from __future__ import annotations

from typing import Any, assert_type

import minigrad as mg
from minigrad import Tensor, nn, optim
from minigrad.nn import functional as F
from minigrad.nn.utils.rnn import PackedSequence, pack_sequence
from minigrad.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    """A module of a user, with annotations."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(2, hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """(N, 2) -> (N, 1)"""
        hidden = self.first(x)
        assert_type(hidden, Tensor)
        return self.last(F.relu(hidden)) * scale


class Loose(nn.Module):
    """A module of a user, without."""

    def forward(self, x, *rest):  # type: ignore[no-untyped-def]
        return x


def tensors() -> None:
    x = mg.randn(3, 2, requires_grad=True)
    assert_type(x, Tensor)
    assert_type(x + 1, Tensor)
    assert_type(2 * x - x / 3, Tensor)
    assert_type(x @ x.T, Tensor)
    assert_type(x[0], Tensor)
    assert_type(x.sum(), Tensor)
    assert_type(x.reshape(-1), Tensor)
    assert_type(x.reshape((2, 3)).permute(1, 0), Tensor)
    assert_type(mg.exp(x).detach(), Tensor)
    assert_type(x.grad, Tensor | None)
    assert_type(x.requires_grad, bool)
    assert_type(mg.tensor([1.0, 2.0]), Tensor)
    assert_type(mg.cat([x, x]), Tensor)
    with mg.no_grad():
        x.mul_(2)


def modules() -> None:
    net = Net(4)
    x = mg.ones(5, 2)
    assert_type(net(x), Tensor)
    assert_type(net(x, scale=2.0), Tensor)
    assert_type(nn.Conv2d(1, 2, 3)(mg.ones(1, 1, 4, 4)), Tensor)
    assert_type(nn.Sequential(nn.Linear(2, 3), nn.ReLU())(x), Tensor)
    assert_type(nn.CrossEntropyLoss()(x, mg.tensor([0, 1, 0, 1, 0])), Tensor)
    assert_type(nn.LSTM(2, 3)(x), tuple[Tensor, tuple[Tensor, Tensor]])
    assert_type(nn.GRU(2, 3)(pack_sequence([x])), tuple[PackedSequence, Tensor])
    assert_type(nn.MultiheadAttention(2, 1)(x, x, x), tuple[Tensor, Tensor | None])
    assert_type(net.to(mg.float64), Net)
    assert_type(net.eval(), Net)
    assert_type(net.state_dict(), dict[str, Any])
    assert_type(next(net.parameters()), nn.Parameter)
    assert_type(Loose()(3), Any)


def training() -> None:
    net = Net(4).float()
    optimizer = optim.AdamW(net.parameters(), lr=0.1)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2)
    data = TensorDataset(mg.ones(6, 2), mg.zeros(6, 1))
    for x, y in DataLoader(data, batch_size=3):
        optimizer.zero_grad()
        loss = F.mse_loss(net(x), y)
        assert_type(loss, Tensor)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        scheduler.step()


if __name__ == "__main__":
    tensors()
    modules()
    training()
