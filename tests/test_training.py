"""A whole network trained beside PyTorch from the same start: modules, losses, optimizers, schedules and state dicts together."""

import numpy as np
import pytest

import minigrad as mg


def lenet(lib):
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 8, 3),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(72, 20),
        nn.ReLU(),
        nn.Linear(20, 10),
    )


def to_minigrad(state):
    return {name: mg.from_numpy(value.numpy().copy()) for name, value in state.items()}


@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}), ("AdamW", {"lr": 0.01})],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_is_that_of_torch(torch, rng, name, options, dtype):
    images, labels = rng.standard_normal((32, 1, 16, 16)).astype(dtype), rng.integers(0, 10, 32)
    theirs = lenet(torch).to(getattr(torch, dtype))
    ours = lenet(mg).to(getattr(mg, dtype))
    assert repr(ours) == repr(theirs)
    assert repr(ours.load_state_dict(to_minigrad(theirs.state_dict()))) == "<All keys matched successfully>"
    losses = []
    for lib, net in ((mg, ours), (torch, theirs)):
        optimizer = getattr(lib.optim, name)(net.parameters(), **options)
        scheduler = lib.optim.lr_scheduler.StepLR(optimizer, 4, 0.5)
        x, y = lib.from_numpy(images), lib.from_numpy(labels)
        losses.append([])
        for _ in range(10):
            optimizer.zero_grad()
            loss = lib.nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses[-1].append(loss.item())
    assert losses[0][-1] < losses[0][0]
    limit = {"float32": 1e-4, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(losses[0], losses[1], rtol=limit)
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=0, atol=limit, err_msg=key)
