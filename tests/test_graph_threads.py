"""Python threads: several graphs at once, and one graph in several threads."""

import threading

import numpy as np

import minigrad as mg
from minigrad import nn
from minigrad.nn import functional as F


def run_in_threads(work, count):
    """Runs work(i) in `count` threads that start together; raises what one of them raised."""
    start, errors = threading.Barrier(count), []

    def body(i):
        try:
            start.wait()
            work(i)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def build(seed):
    """A small convolutional network and its data, made of the seed alone."""
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 25, 10)
    )  # fmt: skip
    with mg.no_grad():
        for p in model.parameters():
            p.copy_(mg.from_numpy(rng.standard_normal(p.shape).astype(np.float32) * 0.1))
    x = mg.from_numpy(rng.standard_normal((16, 1, 12, 12)).astype(np.float32))
    return model, x, mg.from_numpy(rng.integers(0, 10, 16))


def train(model, x, y, steps=12):
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        with mg.no_grad():
            losses.append((loss.item(), model(x).sum().item()))
        assert mg.is_grad_enabled(), step
    return losses


def test_two_threads_train_two_models_bit_for_bit():
    serial = [train(*build(seed)) for seed in (1, 2)]
    setups, parallel = [build(seed) for seed in (1, 2)], [None, None]

    def work(i):
        parallel[i] = train(*setups[i])

    run_in_threads(work, 2)
    assert parallel == serial


def test_threads_run_backward_over_one_graph():
    x = mg.ones(64, requires_grad=True)
    y = x
    for _ in range(20):
        y = (y * 1.0 + y * 0.0).tanh().atanh()
    loss = (y * mg.arange(64.0)).sum()
    (once,) = mg.autograd.grad(loss, x, retain_graph=True)

    def work(i):
        for _ in range(30):
            loss.backward(retain_graph=True)

    run_in_threads(work, 3)
    np.testing.assert_allclose(x.grad.numpy(), 90 * once.numpy(), rtol=1e-4)


def test_threads_ask_for_different_gradients_of_one_graph():
    a, b = mg.full((300, 300), 2.0, requires_grad=True), mg.full((300, 300), 3.0, requires_grad=True)
    loss = (a @ b).sum()
    expected = {0: mg.autograd.grad(loss, a, retain_graph=True)[0], 1: mg.autograd.grad(loss, b, retain_graph=True)[0]}

    def work(i):
        for _ in range(20):
            (g,) = mg.autograd.grad(loss, (a, b)[i], retain_graph=True)
            assert np.array_equal(g.numpy(), expected[i].numpy())

    run_in_threads(work, 2)


def test_threads_accumulate_into_one_leaf():
    w = mg.zeros(500, 500, requires_grad=True)

    def work(i):
        for _ in range(10):
            w.sum().backward()

    for _ in range(5):
        w.grad = None
        run_in_threads(work, 3)
        assert np.array_equal(w.grad.numpy(), np.full((500, 500), 30, np.float32))


def test_inference_mode_and_saving_hooks_are_the_thread_s_own():
    seen = {}

    def work(i):
        if i == 0:
            with mg.inference_mode():
                meet.wait()
                seen[0] = mg.ones(2).is_inference()
                meet.wait()
        else:
            meet.wait()
            seen[1] = mg.ones(2).is_inference(), (mg.ones(2, requires_grad=True) * 2).requires_grad
            meet.wait()

    meet = threading.Barrier(2)
    run_in_threads(work, 2)
    assert seen == {0: True, 1: (False, True)}
