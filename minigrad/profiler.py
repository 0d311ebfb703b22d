"""Where time and memory go: by operation and by module, forward and backward.

    with profile() as p:
        loss = F.cross_entropy(model(x), y)
        loss.backward()
    print(p.table())                       # by operation
    print(p.table(by="module"))            # by layer
    p.export_chrome_trace("trace.json")    # for chrome://tracing or ui.perfetto.dev

The clock stands still while the profiler itself works, so that its cost is not taken for that of the program; what lies between
operations, Python mostly, is given as the rest. While no profiler runs an operation pays one test for it.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

from minigrad._ext.engine import Function
from minigrad._units import size_text, time_text
from minigrad.autograd.observer import Observer
from minigrad.autograd.observer import record_function as record_function
from minigrad.nn import Module
from minigrad.tensor import Tensor

if TYPE_CHECKING:
    from pathlib import Path


class ProfilerActivity:
    """What can be profiled: CPU, and nothing else here."""

    CPU = "CPU"


class Event:
    """One operation, rule of backward, call of a module, or stretch of code named by record_function.

    name; kind: "operation", "backward", "module" or "label"; phase: "forward", "backward", or "" of a label; module: the path of
    the module that it belongs to, "" outside; start, duration and self_time (without what it calls), in seconds; nbytes and
    self_nbytes: of the arrays that it made; shapes: of its tensors; thread: its number; depth: of the nesting.
    """

    __slots__ = (
        "depth", "duration", "kind", "module", "name", "nbytes", "phase", "self_nbytes", "self_time", "shapes", "start", "thread",
    )  # fmt: skip

    def __init__(self, name: str, kind: str, phase: str, module: str, depth: int, thread: int) -> None:
        self.name, self.kind, self.phase, self.module, self.depth, self.thread = name, kind, phase, module, depth, thread
        self.start = self.duration = self.self_time = 0.0
        self.nbytes = self.self_nbytes = 0
        self.shapes: tuple[tuple[int, ...], ...] = ()

    def __repr__(self) -> str:
        return f"Event({self.name!r}, {self.kind}, {time_text(self.duration)})"


class _Track:
    """What one thread is in the middle of, and how much of its time the profiler took."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.open: list[tuple[Any, Event, list[Any]]] = []
        self.modules: list[str] = []
        self.names: dict[int, str] = {}
        self.lost = 0.0


class EventAverage:
    """What the events of one key have in common. Times in microseconds, as in PyTorch.

    key: the name; phase; input_shapes: where grouped by them, else (). count; cpu_time_total and self_cpu_time_total; cpu_time: the
    mean; cpu_memory_usage and self_cpu_memory_usage: bytes of the arrays made.
    """

    def __init__(self, key: str, phase: str, input_shapes: tuple[tuple[int, ...], ...] = ()) -> None:
        self.key, self.phase, self.input_shapes = key, phase, input_shapes
        self.count = 0
        self.cpu_time_total = self.self_cpu_time_total = 0.0
        self.cpu_memory_usage = self.self_cpu_memory_usage = 0

    @property
    def cpu_time(self) -> float:
        """The mean time of a call."""
        return self.cpu_time_total / max(self.count, 1)

    def add(self, event: Event) -> None:
        """Counts one more event."""
        self.count += 1
        self.cpu_time_total += event.duration * 1e6
        self.self_cpu_time_total += event.self_time * 1e6
        self.cpu_memory_usage += event.nbytes
        self.self_cpu_memory_usage += event.self_nbytes

    def __repr__(self) -> str:
        return f"EventAverage({self.key!r}, {self.phase}, {self.count} calls, {time_text(self.cpu_time_total / 1e6)})"


_SORT_KEYS = ("self_cpu_time_total", "cpu_time_total", "cpu_time", "count", "cpu_memory_usage", "self_cpu_memory_usage")


class EventList(list[EventAverage]):
    """The averages, and their table."""

    def __init__(self, averages: Iterable[EventAverage] = (), wall: float = 0.0) -> None:
        super().__init__(averages)
        self._wall = wall

    @property
    def self_cpu_time_total(self) -> float:
        """The time of all operations, in microseconds."""
        return sum(average.self_cpu_time_total for average in self)

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """One row an operation, most time first. sort_by: one of self_cpu_time_total (the default), cpu_time_total, cpu_time, count,
        cpu_memory_usage, self_cpu_memory_usage (ValueError for another). row_limit: how many rows at most, -1 for all."""
        sort_by = "self_cpu_time_total" if sort_by is None else sort_by
        if sort_by not in _SORT_KEYS:
            raise ValueError(f"sort_by must be one of {', '.join(_SORT_KEYS)}, but got {sort_by!r}")
        ordered = sorted(self, key=lambda average: getattr(average, sort_by), reverse=True)
        shown = ordered if row_limit < 0 else ordered[:row_limit]
        total = self.self_cpu_time_total
        shapes = any(average.input_shapes for average in self)
        head = ["Operation", "Phase", *(["Input shapes"] if shapes else []), "Self %", "Self", "Total", "Mean", "Calls", "Made"]
        rows = [
            [
                a.key, a.phase, *([" ".join(str(list(shape)) for shape in a.input_shapes)] if shapes else []),
                f"{100 * a.self_cpu_time_total / total:.1f}%" if total else "", time_text(a.self_cpu_time_total / 1e6),
                time_text(a.cpu_time_total / 1e6), time_text(a.cpu_time / 1e6), str(a.count),
                size_text(a.self_cpu_memory_usage) if a.self_cpu_memory_usage else "",
            ]
            for a in shown
        ]  # fmt: skip
        foot = (
            [f"{len(ordered) - len(shown)} more rows are not shown (row_limit={row_limit})"]
            if len(shown) < len(ordered)
            else []
        )
        return _draw(head, rows, 3 if shapes else 2, [*foot, _time_line(total / 1e6, self._wall)])

    __str__ = table


class profile(Observer):
    """Records every operation while its `with` block runs.

    activities: as in PyTorch; nothing but [ProfilerActivity.CPU] can be asked for (ValueError). record_shapes: keep the shapes of each
    operation's tensors. profile_memory: for PyTorch's sake; bytes are always counted. A profile can be used once or many times; it
    adds up.
    """

    def __init__(
        self, *, activities: Sequence[str] | None = None, record_shapes: bool = False, profile_memory: bool = True
    ) -> None:
        if activities is not None and set(activities) - {ProfilerActivity.CPU}:
            raise ValueError(f"profile: only ProfilerActivity.CPU can be profiled, but got {list(activities)}")
        self._record_shapes = record_shapes
        self._events: list[Event] = []
        self._tracks: dict[int, _Track] = {}
        self._numbers = itertools.count()
        self._places: weakref.WeakKeyDictionary[Function, str] = weakref.WeakKeyDictionary()
        self._kinds: dict[str, str] = {}
        self._wall = 0.0
        self._began = (0.0, 0.0)

    def __enter__(self) -> Self:
        track = self._track()
        self._began = time.perf_counter(), track.lost
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        began, lost = self._began
        self._wall += time.perf_counter() - began - (self._track().lost - lost)
        for track in self._tracks.values():  # what an error interrupted
            track.open.clear()
            track.modules.clear()

    # ---- what happens

    def _track(self) -> _Track:
        ident = threading.get_ident()
        if ident not in self._tracks:
            self._tracks[ident] = _Track(next(self._numbers))
        return self._tracks[ident]

    def _start(self, what: Any, name: str, kind: str, module: str | None = None, backward: bool = False) -> None:
        now = time.perf_counter()
        track = self._track()
        above = track.open[-1][1] if track.open else None
        if module is None:
            module = (
                above.module if above is not None and above.phase == "backward" else track.modules[-1] if track.modules else ""
            )
        below_backward = backward or (above is not None and above.phase == "backward")
        phase = "backward" if below_backward else "" if kind == "label" else "forward"
        event = Event(name, kind, phase, module, len(track.open), track.number)
        event.start = now - track.lost
        track.open.append((what, event, []))
        track.lost += time.perf_counter() - now

    def _stop(self, what: Any, made: Sequence[Any] = (), inputs: Sequence[Any] = ()) -> None:
        now = time.perf_counter()
        track = self._track()
        while track.open:
            opened, event, arrays = track.open.pop()
            event.duration = now - track.lost - event.start
            event.self_time += event.duration
            if opened is what:
                seen = set(map(id, arrays))
                for t in made:
                    if isinstance(t, Tensor) and t._base is None and id(t._array) not in seen:
                        seen.add(id(t._array))
                        arrays.append(t._array)
                        event.self_nbytes += t._array.nbytes
                if self._record_shapes:
                    event.shapes = tuple(tuple(t.shape) for t in inputs if isinstance(t, Tensor))
            event.nbytes += event.self_nbytes
            if track.open:
                above = track.open[-1][1]
                above.self_time -= event.duration
                above.nbytes += event.nbytes
                track.open[-1][2].extend(arrays)
            self._events.append(event)
            if opened is what:
                break
        track.lost += time.perf_counter() - now

    def begin(self, operation: Function | str, inputs: tuple[Any, ...]) -> None:
        """An operation starts."""
        self._start(operation, operation if isinstance(operation, str) else _name(type(operation)), "operation")

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        """An operation has ended."""
        made = outputs if isinstance(outputs, tuple) else (outputs,)
        fresh = [t for t in made if all(t is not x for x in inputs)]
        self._stop(operation, fresh, inputs)
        modules = self._track().modules
        if modules:
            for t in made:
                if isinstance(t, Tensor) and t.grad_fn is not None:
                    self._places.setdefault(t.grad_fn, modules[-1])

    def begin_backward(self, node: Function, gradient: Any) -> None:
        """The rule of a node starts."""
        self._start(node, node.name(), "backward", self._places.get(node, ""), backward=True)

    def end_backward(self, node: Function, gradients: Any) -> None:
        """The rule of a node has ended."""
        self._stop(node)

    def enter(self, module: Module) -> None:
        """A module is called."""
        track = self._track()
        if not track.modules:
            root = type(module).__name__
            track.names = {id(m): f"{root}.{path}" if path else root for path, m in module.named_modules()}
        path = track.names.get(
            id(module), f"{track.modules[-1]}.{type(module).__name__}" if track.modules else type(module).__name__
        )
        self._kinds.setdefault(path, type(module).__name__)
        track.modules.append(path)
        self._start(module, path, "module", path)

    def leave(self, module: Module, result: Any) -> None:
        """The call of a module has ended."""
        self._stop(module)
        self._track().modules.pop()

    def open(self, label: str) -> None:
        """A named stretch of code starts."""
        self._start(label, label, "label")

    def close(self, label: str) -> None:
        """A named stretch of code has ended."""
        self._stop(label)

    # ---- what was found

    def events(self) -> list[Event]:
        """All events, in the order of their starts."""
        return sorted(self._events, key=lambda event: (event.thread, event.start, event.depth))

    def key_averages(self, group_by_input_shape: bool = False) -> EventList:
        """The operations by name and phase, and by the shapes of their inputs on request (record_shapes=True; else ValueError)."""
        if group_by_input_shape and not self._record_shapes:
            raise ValueError("key_averages(group_by_input_shape=True) needs profile(record_shapes=True)")
        found: dict[tuple[Any, ...], EventAverage] = {}
        for event in self._events:
            if event.kind != "module":
                key = (event.name, event.phase, event.shapes if group_by_input_shape else ())
                found.setdefault(key, EventAverage(*key)).add(event)
        return EventList(found.values(), self._wall)

    def table(self, sort_by: str | None = None, row_limit: int = 100, *, by: str = "operation") -> str:
        """The table by operation (see EventList.table), or with by="module" by layer, in the order of calls: calls, time forward,
        backward and together, and bytes of the arrays made. ValueError for another `by`."""
        if by == "operation":
            return self.key_averages().table(sort_by, row_limit)
        if by != "module":
            raise ValueError(f'by must be "operation" or "module", but got {by!r}')
        rows = self._by_module()
        if sort_by is not None:
            raise ValueError('sort_by is for by="operation"; layers are in the order of calls')
        drawn = []
        for path, row in list(rows.items())[: row_limit if row_limit >= 0 else None]:
            depth = path.count(".")
            name = path.rpartition(".")[2] if depth else path
            label = "  " * depth + (f"{name}: {self._kinds[path]}" if depth else name)
            calls, forward, backward, nbytes = row
            drawn.append(
                [label, str(calls), time_text(forward), time_text(backward), time_text(forward + backward), size_text(nbytes)]
            )
        head = ["Module", "Calls", "Forward", "Backward", "Together", "Made"]
        more = [f"{len(rows) - len(drawn)} more rows are not shown (row_limit={row_limit})"] if len(drawn) < len(rows) else []
        operations = sum(e.self_time for e in self._events if e.kind in ("operation", "backward"))
        return _draw(head, drawn, 1, [*more, _time_line(operations, self._wall)])

    def _by_module(self) -> dict[str, list[Any]]:
        """{path: [calls, seconds forward, seconds backward, bytes]}, what lies inside included, in the order of first calls."""
        rows: dict[str, list[Any]] = {}
        for event in self.events():
            if event.kind == "module":
                row = rows.setdefault(event.module, [0, 0.0, 0.0, 0])
                row[0] += 1
                row[1] += event.duration
                row[3] += event.nbytes
        for event in self._events:
            if event.kind == "backward" and event.module in rows:
                parts = event.module.split(".")
                for depth in range(1, len(parts) + 1):
                    path = ".".join(parts[:depth])
                    if path in rows:
                        rows[path][2] += event.duration
                        rows[path][3] += event.nbytes
        return rows

    def export_chrome_trace(self, path: str | Path) -> None:
        """Writes the events as JSON for chrome://tracing or ui.perfetto.dev ("Trace Event Format", complete events)."""
        import json

        first = min((event.start for event in self._events), default=0.0)
        entries: list[dict[str, Any]] = []
        for event in self.events():
            about: dict[str, Any] = {"module": event.module, "phase": event.phase}
            if event.nbytes:
                about["bytes"] = event.nbytes
            if event.shapes:
                about["shapes"] = [list(shape) for shape in event.shapes]
            entries.append(
                {
                    "name": event.name, "cat": event.kind, "ph": "X", "ts": round((event.start - first) * 1e6, 3),
                    "dur": round(event.duration * 1e6, 3), "pid": 0, "tid": event.thread, "args": about,
                }
            )  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": entries, "displayTimeUnit": "ms"}, file)


def _name(cls: type) -> str:
    """ConvTransposeFunction -> conv_transpose."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__.strip("_").removesuffix("Function")).lower()


def _time_line(operations: float, wall: float) -> str:
    share = f" of {time_text(wall)}, {100 * operations / wall:.0f}%; the rest is Python between them" if wall else ""
    return f"In operations: {time_text(operations)}{share}"


def _draw(head: list[str], rows: list[list[str]], left: int, foot: list[str]) -> str:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  ".join(c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) for row in [head, *rows]
    ]
    rule = "-" * max(map(len, lines))
    return "\n".join(line.rstrip() for line in [lines[0], rule, *lines[1:], rule, *foot])
