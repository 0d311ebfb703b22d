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
