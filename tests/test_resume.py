"""Training that is killed and goes on from its checkpoint is, bit for bit, the training that was never interrupted."""

import multiprocessing
import os
import signal

import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

EPOCHS, BATCHES = 10, 7


class Noisy(Dataset):
    """Draws random numbers for each sample, as an augmentation does."""

    def __len__(self):
        return 27

    def __getitem__(self, i):
        return mg.full((6,), i / 27) + 0.1 * mg.randn(6), i % 3


class Stream(IterableDataset):
    def __iter__(self):
        for i in range(27):
            yield mg.full((6,), i / 27) + 0.1 * mg.randn(6), i % 3


def tensors():
    rng = mg.Generator().manual_seed(7)
    return TensorDataset(mg.randn(27, 6, generator=rng), mg.arange(27) % 3)


LOADERS = {
    "default generator": lambda: DataLoader(tensors(), 4, shuffle=True),
    "generator": lambda: DataLoader(tensors(), 4, shuffle=True, generator=mg.Generator().manual_seed(3)),
    "sampler with its own": lambda: DataLoader(
        tensors(),
        4,
        sampler=RandomSampler(range(27), num_samples=26, replacement=True, generator=mg.Generator().manual_seed(3)),
    ),
    "random samples": lambda: DataLoader(Noisy(), 4, shuffle=True),
    "stream": lambda: DataLoader(Stream(), 4),
    "workers": lambda: DataLoader(tensors(), 4, shuffle=True, num_workers=2),
    "persistent workers": lambda: DataLoader(tensors(), 4, shuffle=True, num_workers=2, persistent_workers=True),
}


def train(path, make_loader, kill_at, answers):
    """Trains to the end from wherever the checkpoint says; the process kills itself after `kill_at` steps."""
    mg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    loader = make_loader()
    first, steps, losses = 0, 0, []
    if path.exists():
        checkpoint = mg.load(path)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        scheduler.load_state_dict(checkpoint["scheduler"])
        loader.load_state_dict(checkpoint["loader"])
        mg.set_rng_state(checkpoint["rng"])
        first, steps, losses = checkpoint["epoch"], checkpoint["steps"], checkpoint["losses"]
    for epoch in range(first, EPOCHS):
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            steps += 1
            losses.append(loss.item())
            if steps == kill_at:
                save(path, model, optimizer, scheduler, loader, epoch, steps, losses)
                os.kill(os.getpid(), signal.SIGKILL)
        scheduler.step()
        if steps + 0.5 == kill_at:
            save(path, model, optimizer, scheduler, loader, epoch + 1, steps, losses)
            os.kill(os.getpid(), signal.SIGKILL)
    answers.send((losses, {name: t.tolist() for name, t in model.state_dict().items()}, scheduler.get_last_lr()))


def save(path, model, optimizer, scheduler, loader, epoch, steps, losses):
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "loader": loader.state_dict(),
        "rng": mg.get_rng_state(),
        "epoch": epoch,
        "steps": steps,
        "losses": losses,
    }
    mg.save(checkpoint, path)


def run(path, make_loader, kill_at=None):
    """(exit code, result) of a process that trains."""
    context = multiprocessing.get_context("fork")
    answers, theirs = context.Pipe(duplex=False)
    process = context.Process(target=train, args=(path, make_loader, kill_at, theirs))
    process.start()
    theirs.close()
    try:
        result = answers.recv()
    except EOFError:
        result = None
    answers.close()
    process.join()
    code = process.exitcode
    process.close()
    return code, result


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker")  # on a machine with one processor
@pytest.mark.parametrize("name", LOADERS)
def test_ten_epochs_are_five_a_kill_and_five(name, tmp_path):
    code, expected = run(tmp_path / "unused", LOADERS[name])
    assert code == 0
    assert len(expected[0]) == EPOCHS * BATCHES
    # After epoch 5, and within it: after its first batch, in its middle, and after its last one.
    for kill_at in (5 * BATCHES + 0.5, 4 * BATCHES + 1, 4 * BATCHES + 3, 5 * BATCHES):
        path = tmp_path / f"checkpoint {kill_at}"
        assert run(path, LOADERS[name], kill_at) == (-signal.SIGKILL, None)
        assert run(path, LOADERS[name]) == (0, expected), f"killed after {kill_at} steps"


def test_a_position_is_a_plain_nest():
    loader = LOADERS["generator"]()
    iterator = iter(loader)
    next(iterator)
    state = loader.state_dict()
    assert state["batches"] == 1
    left = [y.tolist() for _, y in iterator]
    other = LOADERS["generator"]()
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert [y.tolist() for _, y in other] == left
    assert [y.tolist() for _, y in other] == [y.tolist() for _, y in loader]  # the epoch after


def test_skipped_batches_are_not_fetched():
    class Counting(Noisy):
        fetched = 0

        def __getitem__(self, i):
            Counting.fetched += 1
            return i

    loader = DataLoader(Counting(), 4)
    loader.load_state_dict({"batches": 5, "generators": [], "default generator": mg.get_rng_state()})
    assert [batch.tolist() for batch in loader] == [[20, 21, 22, 23], [24, 25, 26]]
    assert Counting.fetched == 7


def test_states_that_do_not_fit():
    loader = LOADERS["generator"]()
    with pytest.raises(ValueError, match=r"expected the state_dict\(\) of a DataLoader"):
        loader.load_state_dict({"epoch": 3})
    with pytest.raises(ValueError, match="with 0 generators, this one has 1"):
        loader.load_state_dict(LOADERS["default generator"]().state_dict())
