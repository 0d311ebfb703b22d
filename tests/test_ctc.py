"""CTCLoss beside PyTorch's, also for the gradient of log_probs themselves, and what is missing of torch.nn is known."""

import re
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from tests.twins import compare, twins

MISSING = Path(__file__).resolve().parent.parent / "docs" / "from_pytorch.md"


@pytest.mark.parametrize("options", [{}, {"blank": 2, "reduction": "sum", "zero_infinity": True}], ids=str)
def test_ctc_loss(torch, rng, options):
    ours, theirs = twins(torch, "CTCLoss", **options)
    scores = rng.standard_normal((12, 3, 5))
    log_probs = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    targets = np.array([[1, 3, 3, 4], [4, 1, 0, 0], [3, 3, 3, 3]])
    targets = np.where(targets == 0, 1, targets)
    compare(
        torch, ours, theirs,
        lambda lib, module, x: module(x, lib.tensor(targets), (12, 9, 8), (4, 2, 3)),
        [log_probs],
    )  # fmt: skip


def alignments_by_hand(log_probs, labels, blank):
    """log p(labels), and what each class of each step has of it, (T, C): state by state, in double."""
    states = [blank]
    for label in labels:
        states += [label, blank]
    steps, width = len(log_probs), len(states)

    def reached(s, t):  # where state s comes from, or leads to, a step before or after
        ways = [s, s + t] + ([s + 2 * t] if 0 <= s + 2 * t < width and states[max(s, s + 2 * t)] not in (
            blank, states[min(s, s + 2 * t)]) else [])  # fmt: skip
        return [w for w in ways if 0 <= w < width]

    alpha, beta = np.full((steps, width), -np.inf), np.full((steps, width), -np.inf)
    alpha[0, :2], beta[-1, -2:] = log_probs[0, states[:2]], 0
    for t in range(1, steps):
        for s in range(width):
            alpha[t, s] = np.logaddexp.reduce(alpha[t - 1, reached(s, -1)]) + log_probs[t, states[s]]
    for t in range(steps - 2, -1, -1):
        for s in range(width):
            beta[t, s] = np.logaddexp.reduce([beta[t + 1, w] + log_probs[t + 1, states[w]] for w in reached(s, 1)])
    total = np.logaddexp.reduce(alpha[-1, -2:])
    shares = np.zeros_like(log_probs)
    for s in range(width):
        shares[:, states[s]] += np.exp(alpha[:, s] + beta[:, s] - total)
    return total, shares


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 8, 16, 30])
def test_every_number_of_states_is_as_by_hand(rng, dtype, bound, count):
    """Around whole vectors of states, with labels that repeat, far from log 1 (300 steps), and with shorter neighbours."""
    steps, classes, blank = 300 if count == 7 else 2 * count + 3, 5, 2
    scores = rng.standard_normal((steps, 3, classes)) * 3
    log_probs = (scores - np.log(np.exp(scores).sum(-1, keepdims=True))).astype(dtype)
    labels = [[(0, 1, 3, 4)[i] for i in rng.integers(0, 4, n)] for n in (count, count // 2, 0)]
    inputs = [steps, steps - 1, steps]
    x = mg.tensor(log_probs, requires_grad=True)
    losses = mg.nn.functional.ctc_loss(
        x, mg.tensor(np.array([i for one in labels for i in one], int)), inputs, [len(one) for one in labels], blank, "none"
    )
    (gx,) = mg.autograd.grad(losses.sum(), x)
    for n, (used, one) in enumerate(zip(inputs, labels, strict=True)):
        wide = log_probs[:used, n].astype(float)
        total, shares = alignments_by_hand(wide, one, blank)
        assert losses[n].item() == pytest.approx(-total, rel=bound)
        np.testing.assert_allclose(gx.numpy()[:used, n], np.exp(wide) - shares, atol=20 * bound)
        assert not gx.numpy()[used:, n].any()


def test_impossible_alignments_and_nan():
    """An infinite loss has no gradient; a NaN that alignments go through is one of the loss; one that none reads is not."""
    x = mg.full((4, 3, 5), -np.log(5)).numpy().copy()
    x[1, 1, 3] = x[3, 2, 4] = np.nan
    x = mg.tensor(x, requires_grad=True)
    losses = mg.nn.functional.ctc_loss(
        x, mg.tensor([[1, 1, 1], [3, 3, 1], [2, 1, 1]]), [4, 4, 4], [3, 1, 2], reduction="none", zero_infinity=False
    )
    assert losses[0].item() == np.inf
    assert np.isnan(losses[1].item())
    assert np.isfinite(losses[2].item())
    (gx,) = mg.autograd.grad(losses[0], x)
    assert not gx[:, 0].any()


def test_labels_that_are_not_there():
    x = mg.zeros(6, 2, 4)
    with pytest.raises(RuntimeError, match="target 1 has 1 labels, but its length is 2"):
        mg.nn.functional.ctc_loss(x, mg.tensor([1, 2, 3]), [6, 6], [2, 2])
    with pytest.raises(RuntimeError, match=r"in 0..3, but target 1 holds \[3, 4\]"):
        mg.nn.functional.ctc_loss(x, mg.tensor([[1, 2], [3, 4]]), [6, 6], [2, 2])


def test_what_is_missing_is_listed(torch):
    """docs/from_pytorch.md names every public class and function of these modules that minigrad has not."""
    listed = set(re.findall(r"`([\w.]+)`", MISSING.read_text()))
    missing = set()
    for path in ("nn", "nn.functional", "nn.init", "nn.utils", "optim", "optim.lr_scheduler"):
        theirs, ours = torch, mg
        for part in path.split("."):
            theirs, ours = getattr(theirs, part), getattr(ours, part)
        for name, value in vars(theirs).items():
            public = not name.startswith("_") and callable(value) and not hasattr(ours, name)
            if public and (getattr(value, "__module__", None) or "").startswith(f"torch.{path}"):
                missing.add(f"{path}.{name}")
    assert missing <= listed, sorted(missing - listed)
