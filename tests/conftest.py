"""Fixtures of the whole test suite."""

import importlib
import importlib.util
import threading
import zlib

import numpy as np
import pytest

import minigrad
from tests import fuzz

MISSING = "PyTorch is not installed: parity not checked"
HAVE_TORCH = importlib.util.find_spec("torch") is not None


def import_torch():
    """torch, on one thread, so that its pool and ours do not fight for the cores and its sums have one order."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    return torch


@pytest.fixture
def rng(request):
    """A random generator seeded by the test's own name, so that no test depends on which others ran."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(scope="session")
def torch():
    """PyTorch, the oracle of parity; tests that need it are skipped where it is not installed."""
    if not HAVE_TORCH:
        pytest.skip(MISSING)
    return import_torch()


@pytest.fixture(params=["minigrad", pytest.param("torch", marks=pytest.mark.skipif(not HAVE_TORCH, reason=MISSING))])
def lib(request):
    """minigrad, then torch: what such a test says is true of both."""
    return minigrad if request.param == "minigrad" else import_torch()


def global_state():
    return {
        "grad mode": minigrad.is_grad_enabled(),
        "number of threads": minigrad.get_num_threads(),
        "default dtype": minigrad.get_default_dtype(),
        "threads alive": threading.active_count(),
    }


@pytest.fixture(autouse=True)
def no_leaked_state():
    """Fails a test that leaves global state changed, and puts the state back for the tests after it."""
    before = global_state()
    yield
    after = global_state()
    minigrad.autograd.set_grad_enabled(before["grad mode"])
    minigrad.set_num_threads(before["number of threads"])
    minigrad.set_default_dtype(before["default dtype"])
    changed = [f"{name}: {before[name]} before, {after[name]} after" for name in before if before[name] != after[name]]
    assert not changed, "the test changed global state: " + "; ".join(changed)


def pytest_terminal_summary(terminalreporter):
    """What MINIGRAD_FUZZ=<cases> came to."""
    if fuzz.CASES and fuzz.RECORD:
        terminalreporter.section("fuzz")
        terminalreporter.write_line("\n".join(fuzz.record_lines()))
