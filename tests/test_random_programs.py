"""Random programs of out-of-place, in-place and view operations: minigrad must compute what torch does, and differentiate it.

Where torch refuses a program (a saved tensor was written, a view of several was written), minigrad must refuse it too or be right,
which finite differences decide.
"""

import numpy as np
import pytest

import minigrad as mg
from minigrad.autograd import gradcheck

STEPS = 10

UNARY = ("tanh", "sin", "exp", "neg", "square", "sigmoid")
VIEWS = {
    "first": lambda t: t[0],
    "last": lambda t: t[-1:],
    "columns": lambda t: t[..., 1:3],
    "step": lambda t: t[..., ::2],
    "transpose": lambda t: t.transpose(0, -1),
    "flatten": lambda t: t.reshape(-1),
    "unsqueeze": lambda t: t.unsqueeze(0),
    "detached twin": lambda t: t * 1,
    "expand": lambda t: t.unsqueeze(0).expand(2, *t.shape),
    "split": lambda t: t.split(1)[0],
    "select list": lambda t: t[[0, -1, 0]],
    "diagonal": lambda t: t.diagonal() if t.ndim > 1 else t,
}
WRITES = ("add", "mul", "scale", "set first", "set list", "zero row", "tanh", "copy", "masked")


def run(lib, leaves, seed):
    """The program of this seed: its tensors, all of which depend on the leaves."""
    rng = np.random.default_rng(seed)
    pool = [leaf * 1 for leaf in leaves] + [lib.from_numpy(rng.standard_normal((3, 4)))]
    for _ in range(STEPS):
        t = pool[rng.integers(len(pool))]
        partners = [p for p in pool if p.shape == t.shape]
        other = partners[rng.integers(len(partners))]
        kind, choice = rng.integers(8), rng.integers(1000)
        if kind < 2:
            pool.append(getattr(lib, UNARY[choice % len(UNARY)])(t) * 0.5)
        elif kind < 3:
            pool.append((t + other, t * other, t - other * 2)[choice % 3])
        elif kind < 5 and t.ndim and t.numel():
            pool.append(list(VIEWS.values())[choice % len(VIEWS)](t))
        elif t.ndim and t.numel() and 0 not in t.stride():
            write(lib, WRITES[choice % len(WRITES)], t, other)
    return pool


def write(lib, name, t, other):
    if name == "add":
        t.add_(other, alpha=0.5)
    elif name == "mul":
        t.mul_(other.sigmoid())
    elif name == "scale":
        t.mul_(0.7)
    elif name == "set first":
        t[0] = other.sum() * 0.1
    elif name == "set list":
        t[[0, -1] if len(t) > 1 else [0]] = other[-1] * 0.5
    elif name == "zero row":
        t[-1].zero_()
    elif name == "tanh":
        t.tanh_()
    elif name == "copy":
        t.copy_(other * other)
    elif name == "masked":
        t.masked_fill_(lib.from_numpy(np.arange(t.numel()).reshape(tuple(t.shape)) % 3 == 0), 0.25)


def loss_of(pool):
    total = pool[0].sum() * 0
    for i, t in enumerate(pool):
        total = total + (t * t).sum() * (0.1 + 0.01 * i)
    return total


def leaves_of(lib, seed):
    rng = np.random.default_rng((seed, 1))
    return [lib.from_numpy(rng.uniform(-1, 1, (3, 4))).requires_grad_() for _ in range(2)]


def outcome(lib, seed):
    """(values, gradients) of a program, or the exception that refused it."""
    leaves = leaves_of(lib, seed)
    try:
        pool = run(lib, leaves, seed)
        values = [p.detach().numpy().copy() for p in pool]
        gradients = lib.autograd.grad(loss_of(pool), leaves)
    except RuntimeError as error:
        return error
    return values, [g.numpy() for g in gradients]


@pytest.mark.parametrize("seed", range(120))
def test_random_program(torch, seed):
    found, expected = outcome(mg, seed), outcome(torch, seed)
    if not isinstance(expected, RuntimeError):
        if isinstance(found, RuntimeError):
            raise found
        for a, b in zip(found[0] + found[1], expected[0] + expected[1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    elif not isinstance(found, RuntimeError):
        assert gradcheck(lambda *leaves: loss_of(run(mg, leaves, seed)), leaves_of(mg, seed), rtol=1e-4, atol=1e-5)
