"""minigrad.profiler: what was called how often, for how long and with how many bytes, by operation and by module."""

import json
import threading
import time

import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.autograd.observer import active_observers
from minigrad.profiler import ProfilerActivity, profile, record_function


@pytest.fixture
def run():
    """A profile of two training steps of a small network."""
    mg.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Sequential(nn.Linear(18, 3)))
    optimizer = mg.optim.SGD(net.parameters(), lr=0.1)
    with profile(record_shapes=True) as p:
        for _ in range(2):
            F.cross_entropy(net(mg.randn(4, 1, 5, 5)), mg.tensor([0, 1, 2, 0])).backward()
            optimizer.step()
    return p


def test_every_operation_is_counted_by_phase_with_its_bytes(run):
    found = {(a.key, a.phase): a for a in run.key_averages()}
    counts = {key: a.count for key, a in found.items()}
    assert counts.items() >= {
        ("conv", "forward"): 2, ("linear", "forward"): 2, ("cross_entropy", "forward"): 2, ("NllLossBackward0", "backward"): 2,
        ("AddmmBackward0", "backward"): 2, ("matmul", "backward"): 4, ("ConvolutionBackward0", "backward"): 2,
        ("conv_weight", "backward"): 2, ("Optimizer.step#SGD.step", ""): 2,
    }.items()  # fmt: skip
    assert found["conv", "forward"].self_cpu_memory_usage == 2 * 4 * 2 * 9 * 4
    assert found["view", "forward"].cpu_memory_usage == 0  # a view has no memory of its own
    assert found["matmul", "backward"].cpu_memory_usage == 2 * 4 * (4 * 18 + 3 * 18)
    assert found["ConvolutionBackward0", "backward"].cpu_memory_usage == 2 * 4 * (2 * 9 + 2)
    assert found["ConvolutionBackward0", "backward"].self_cpu_memory_usage == 0


def test_times_of_the_nested_add_up(run):
    events = run.events()
    outermost = sum(event.duration for event in events if event.depth == 0)
    assert sum(event.self_time for event in events) == pytest.approx(outermost)
    for event in events:
        inside = [e for e in events if e.depth == event.depth + 1 and event.start <= e.start < event.start + event.duration]
        assert event.self_time == pytest.approx(event.duration - sum(e.duration for e in inside), abs=1e-9)
        assert event.self_time >= 0
    averages = run.key_averages()
    assert averages.self_cpu_time_total <= run._wall * 1e6
    a = next(a for a in averages if a.key == "ConvolutionBackward0")
    assert a.cpu_time == a.cpu_time_total / 2 > a.self_cpu_time_total / 2


def test_a_slow_stretch_takes_its_time_and_the_profiler_none():
    with profile() as p, record_function("nap"):
        time.sleep(0.05)
        mg.ones(3) + 1
    (nap,) = [event for event in p.events() if event.kind == "label"]
    assert nap.duration == pytest.approx(0.05, abs=0.04)
    assert nap.duration >= 0.05
    assert nap.self_time < nap.duration
    (inside,) = [event for event in p.events() if event.name == "add"]
    assert nap.start <= inside.start <= nap.start + nap.duration


def test_modules_have_forward_and_backward(run):
    rows = run._by_module()
    assert list(rows) == ["Sequential", "Sequential.0", "Sequential.1", "Sequential.2", "Sequential.3", "Sequential.3.0"]
    assert all(row[0] == 2 and row[1] > 0 and row[2] > 0 for row in rows.values())
    whole, parts = rows["Sequential"], [row for path, row in rows.items() if path.count(".") == 1]
    assert whole[2] == pytest.approx(sum(row[2] for row in parts))
    assert whole[1] >= sum(row[1] for row in parts)
    assert rows["Sequential.3"][2] == rows["Sequential.3.0"][2]
    assert {e.module for e in run.events() if e.name in ("matmul", "AddmmBackward0", "linear")} == {"Sequential.3.0"}
    assert {e.module for e in run.events() if e.name.startswith("cross_entropy")} == {""}


def test_tables(run):
    text = run.table()
    assert "ConvolutionBackward0" in text
    assert "the rest is Python between them" in text
    by_calls = run.key_averages().table(sort_by="count", row_limit=1).splitlines()
    assert by_calls[2].split()[0] == "matmul"
    assert f"{len(run.key_averages()) - 1} more rows are not shown (row_limit=1)" in by_calls
    lines = run.table(by="module").splitlines()
    assert lines[2].split()[:2] == ["Sequential", "2"]
    assert lines[7].startswith("    0: Linear")
    assert "[4, 1, 5, 5] [2, 1, 3, 3] [2]" in run.key_averages(group_by_input_shape=True).table(row_limit=-1)
    assert "5 more rows" in run.table(by="module", row_limit=1)


def test_chrome_trace(run, tmp_path):
    run.export_chrome_trace(tmp_path / "trace.json")
    entries = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert len(entries) == len(run.events())
    assert min(entry["ts"] for entry in entries) == 0
    assert all(entry["ph"] == "X" and entry["dur"] >= 0 for entry in entries)
    conv = next(entry for entry in entries if entry["name"] == "conv")
    assert conv["cat"] == "operation"
    assert conv["args"] == {
        "module": "Sequential.0", "phase": "forward", "bytes": 288, "shapes": [[4, 1, 5, 5], [2, 1, 3, 3], [2]],
    }  # fmt: skip


def test_an_error_inside_leaves_nothing_open():
    net = nn.Sequential(nn.Linear(2, 2))
    with profile() as p:
        with pytest.raises(RuntimeError):
            net(mg.ones(1, 3))
        net(mg.ones(1, 2))
    assert [event.depth for event in p.events() if event.name == "Sequential"] == [0, 0]
    with pytest.raises(ZeroDivisionError), profile() as p, record_function("label"):
        raise ZeroDivisionError
    assert [event.name for event in p.events()] == ["label"]
    assert active_observers() == ()


def test_record_function_names_functions_too_and_means_nothing_alone():
    @record_function("double")
    def double(x):
        """Doubles."""
        return x * 2

    assert double(mg.ones(1)).item() == 2
    assert double.__doc__ == "Doubles."
    with profile() as p:
        double(mg.ones(1))
    assert [(event.name, event.depth) for event in p.events()] == [("double", 0), ("mul", 1)]


def test_threads_have_stacks_of_their_own():
    meeting = threading.Barrier(3)

    def work():
        meeting.wait()
        for _ in range(50):
            mg.ones(10).mul(2.0)
        meeting.wait()

    with profile() as p:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    counts = {}
    for event in p.events():
        assert (event.name, event.depth) == ("mul", 0)
        counts[event.thread] = counts.get(event.thread, 0) + 1
    assert sorted(counts.values()) == [50, 50, 50]


def test_errors():
    with pytest.raises(ValueError, match="only ProfilerActivity"):
        profile(activities=["CUDA"])
    with profile(activities=[ProfilerActivity.CPU]) as p:
        mg.ones(1) + 1
    with pytest.raises(ValueError, match="sort_by must be one of"):
        p.key_averages().table(sort_by="cuda_time")
    with pytest.raises(ValueError, match="record_shapes=True"):
        p.key_averages(group_by_input_shape=True)
    with pytest.raises(ValueError, match='by must be "operation" or "module"'):
        p.table(by="line")
    with pytest.raises(ValueError, match="in the order of calls"):
        p.table("count", by="module")
