"""Observers hear of every operation, forward and backward, and of modules; nothing is left behind when they go."""

import pytest

import minigrad as mg
from minigrad import nn
from minigrad._ext.engine import Function, apply
from minigrad.autograd.observer import Observer, active_observers


class Log(Observer):
    def __init__(self):
        self.lines = []

    def begin(self, operation, inputs):
        self.lines.append(f"begin {name(operation)}")

    def end(self, operation, inputs, outputs):
        self.lines.append(f"end {name(operation)}" + (" failed" if outputs is None else ""))

    def begin_backward(self, node, gradient):
        self.lines.append(f"begin {name(node)}'")

    def end_backward(self, node, gradients):
        self.lines.append(f"end {name(node)}'" + (" failed" if gradients is None else ""))

    def enter(self, module):
        self.lines.append(f"enter {type(module).__name__}")

    def leave(self, module, result):
        self.lines.append(f"leave {type(module).__name__}" + (" failed" if result is None else ""))


def name(operation):
    return operation if isinstance(operation, str) else type(operation).__name__.removesuffix("Function")


class CubeFunction(Function):
    """d x^3 = 3 g x^2"""

    def forward(self, x):
        return x**3

    def backward(self, g, x):
        return g * (x * x) * 3


class Cube(nn.Module):
    def forward(self, x):
        return apply(CubeFunction(), x)


def test_operations_nest_forward_and_backward():
    net = nn.Sequential(nn.Linear(3, 2), Cube())
    x = mg.ones(4, 3)
    with Log() as log:
        (-net(x)).sum().backward()
    assert log.lines == [
        "enter Sequential", "enter Linear", "begin linear", "end linear", "leave Linear",
        "enter Cube", "begin Cube", "end Cube", "leave Cube", "leave Sequential",
        "begin neg", "end neg", "begin sum", "end sum",
        "begin Sum'", "end Sum'", "begin Neg'", "begin neg", "end neg", "end Neg'",
        "begin Cube'", *["begin mul", "end mul"] * 3, "end Cube'",
        "begin Linear'", "begin matmul", "end matmul", "end Linear'",
    ]  # fmt: skip


def test_compiled_operations_are_seen_with_their_operands_and_results():
    seen = []

    class Watch(Observer):
        def end(self, operation, inputs, outputs):
            seen.append((name(operation), inputs, outputs))

    x, y = mg.randn(3, 3, requires_grad=True), mg.randn(3, 3)
    with Watch():
        results = [x + y, x - 1, x * y, 2 / x, x @ y, -x, x.sum()]
    for (_, inputs, outputs), result in zip(seen, results, strict=True):
        assert outputs is result
        assert inputs[0] is x or inputs[1] is x
    assert [operation for operation, _, _ in seen] == ["add", "sub", "mul", "div", "matmul", "neg", "sum"]


def test_errors_end_what_they_interrupt():
    net = nn.Sequential(nn.Linear(3, 2))
    x = mg.ones(2, 3, requires_grad=True)
    broken = x * x
    with Log() as log:
        with pytest.raises(RuntimeError):
            net(mg.ones(4, 5))
        with pytest.raises(RuntimeError):
            mg.ones(2) + mg.ones(3)
        x.data = mg.ones(2, 3)
        loss = broken.sum()
        loss.backward()
        with pytest.raises(RuntimeError):
            loss.backward()
    assert "leave Sequential failed" in log.lines
    assert "end add failed" in log.lines
    assert "end Mul' failed" in log.lines
    assert log.lines.count("enter Linear") == log.lines.count("leave Linear failed") == 1
    begun = [line.split()[1] for line in log.lines if line.startswith("begin")]
    assert sorted(begun) == sorted(line.split()[1] for line in log.lines if line.startswith("end"))


def test_several_observers_watch_at_once_and_leave_nothing_behind():
    net = nn.Sequential(nn.Linear(3, 2))
    with Log() as outer:
        with Log() as inner:
            net(mg.ones(1, 3))
        net(mg.ones(1, 3))
    net(mg.ones(1, 3))
    assert outer.lines == inner.lines * 2
    assert active_observers() == ()
    assert not nn.Module._hooked


def test_the_graph_s_nodes_tell_what_they_made_and_keep():
    x = mg.randn(2, 3, requires_grad=True)
    y = x.exp()
    assert y.grad_fn.output_shape == (2, 3)
    assert y.grad_fn.output_dtype is mg.float32
    (kept,) = y.grad_fn.saved_arrays
    assert kept is y._array
    assert y.grad_fn.saved_bytes == 24
    assert x.split(1)[0].grad_fn.output_shape is None
