"""The autograd graph as a picture: SVG drawn here, and DOT for other programs."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from minigrad._ext.engine import AccumulateGrad, Function, sequence_of
from minigrad._units import size_text
from minigrad.autograd import enable_grad
from minigrad.autograd.observer import Observer
from minigrad.nn import Module
from minigrad.tensor import Tensor
from minigrad.viz.layout import Point, layered

_COLOURS = ("#cfe2f3", "#fce5cd", "#d9ead3", "#ead1dc", "#fff2cc", "#d0e0e3", "#e6d5f5", "#f4cccc", "#dfe7c8", "#c9daf8")
_PLAIN = "#eeeeee"
_LEAF = "#ffffff"
_CUT = "#ffd9d9"
_LINE, _CHARACTER, _MARGIN = 14.0, 6.4, 16.0


@dataclass
class Box:
    """One box of the picture. kind: "operation", "leaf" or "cut". group: the path of the module that it belongs to, or ""."""

    kind: str
    title: str
    details: list[str]
    group: str = ""

    @property
    def lines(self) -> list[str]:
        """All lines of text."""
        return [self.title, *self.details, *([self.group] if self.group and self.kind == "operation" else [])]

    @property
    def size(self) -> Point:
        """(width, height)."""
        return max(map(len, self.lines)) * _CHARACTER + 18, len(self.lines) * _LINE + 10


class Modules(Observer):
    """Notes which module makes which node: `with viz.Modules(model) as modules: loss = ...`, then `viz.graph(loss, modules=modules)`."""

    def __init__(self, model: Module) -> None:
        self._paths = {id(module): path or type(module).__name__ for path, module in reversed(list(model.named_modules()))}
        self._stack: list[str] = []
        self._groups: weakref.WeakKeyDictionary[Function, str] = weakref.WeakKeyDictionary()

    def enter(self, module: Module) -> None:
        """A module is called."""
        self._stack.append(self._paths.get(id(module), self._stack[-1] if self._stack else ""))

    def leave(self, module: Module, result: Any) -> None:
        """The call of a module has ended."""
        self._stack.pop()

    def end(self, operation: Function | str, inputs: tuple[Any, ...], outputs: Any) -> None:
        """An operation has ended: its node belongs to the innermost module."""
        for out in outputs if isinstance(outputs, tuple) else (outputs,):
            if isinstance(out, Tensor) and out.grad_fn is not None and self._stack:
                self._groups.setdefault(out.grad_fn, self._stack[-1])

    def group_of(self, node: Function) -> str:
        """The path of the module that made a node, "" for none."""
        return self._groups.get(node, "")


class Graph:
    """A drawn graph. In a notebook it shows itself; elsewhere `save("graph.svg")`.

    boxes: operations and leaves, each before what uses it. edges: pairs of their numbers. hidden: how many nodes the limit left out.
    """

    def __init__(self, boxes: list[Box], edges: list[tuple[int, int]], hidden: int, limit: int) -> None:
        self.boxes = boxes
        self.edges = edges
        self.hidden = hidden
        self._limit = limit

    def __repr__(self) -> str:
        left_out = f", {self.hidden} more not drawn" if self.hidden else ""
        return f"Graph({len(self.boxes)} boxes, {len(self.edges)} edges{left_out})"

    @property
    def caption(self) -> str:
        """What the picture shows, and what the limit left out."""
        operations = sum(box.kind == "operation" for box in self.boxes)
        shown = f"{operations} operation{'s' if operations != 1 else ''}"
        if not self.hidden:
            return shown
        return f"the last {shown}; {self.hidden:,} nodes before them are not drawn (limit={self._limit})"

    @cached_property
    def _colours(self) -> dict[str, str]:
        """A colour for each group: by whole path, or by its beginning where there are many."""
        groups = list(dict.fromkeys(box.group for box in self.boxes if box.group and box.kind == "operation"))
        keys = {group: group for group in groups}
        for parts in (3, 2, 1):
            if len(set(keys.values())) > len(_COLOURS):
                keys = {group: ".".join(group.split(".")[:parts]) for group in groups}
        order = {key: i for i, key in enumerate(dict.fromkeys(keys.values()))}
        return {group: _COLOURS[order[key] % len(_COLOURS)] for group, key in keys.items()}

    def _fill(self, box: Box) -> str:
        if box.kind != "operation":
            return _LEAF if box.kind == "leaf" else _CUT
        return self._colours.get(box.group, _PLAIN)

    @cached_property
    def svg(self) -> str:
        """The picture as SVG text."""
        sizes = [box.size for box in self.boxes]
        layout = layered(sizes, self.edges)
        width = max(layout.width, len(self.caption) * _CHARACTER) + 2 * _MARGIN
        height = layout.height + 2 * _MARGIN + 2 * _LINE
        shift = _MARGIN + (width - 2 * _MARGIN - layout.width) / 2
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
            'font-family="Helvetica, Arial, sans-serif" font-size="11">',
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            f'<g transform="translate({shift:.1f},{_MARGIN:.1f})">',
        ]
        for route in layout.routes:
            out.append(f'<path d="{_curve(route)}" fill="none" stroke="#888" stroke-width="1.2" marker-end="url(#arrow)"/>')
        for box, (w, h), (x, y) in zip(self.boxes, sizes, layout.centres):
            radius, dash = (3, "") if box.kind == "operation" else (10, ' stroke-dasharray="4 3"' if box.kind == "cut" else "")
            out.append(f"<g><title>{escape(' · '.join(box.lines))}</title>")
            out.append(
                f'<rect x="{x - w / 2:.1f}" y="{y - h / 2:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{radius}" fill="{self._fill(box)}" '
                f'stroke="#555"{dash}/>'
            )
            for i, line in enumerate(box.lines):
                style = ' font-weight="bold"' if i == 0 else ""
                if box.group and box.kind == "operation" and i == len(box.lines) - 1:
                    style = ' font-style="italic" fill="#444"'
                at = y - h / 2 + 5 + _LINE * (i + 0.75)
                out.append(f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle"{style}>{escape(line)}</text>')
            out.append("</g>")
        out.append("</g>")
        out.append(
            f'<text x="{width / 2:.1f}" y="{height - _MARGIN / 2:.1f}" text-anchor="middle" fill="#666">{escape(self.caption)}</text>'
        )
        return "\n".join([*out, "</svg>"])

    def _repr_svg_(self) -> str:
        return self.svg

    @cached_property
    def dot(self) -> str:
        """The graph in the language of Graphviz, with a cluster for each module."""
        out = [
            "digraph autograd {",
            "  node [shape=box, style=filled, fontname=Helvetica, fontsize=11];",
            f"  label={_quote(self.caption)};",
        ]
        groups: dict[str, list[int]] = {}
        for i, box in enumerate(self.boxes):
            groups.setdefault(box.group if box.kind == "operation" else "", []).append(i)
        for group, members in groups.items():
            if group:
                out.append(f"  subgraph {_quote('cluster_' + group)} {{ label={_quote(group)}; style=rounded; color=gray;")
            for i in members:
                box = self.boxes[i]
                shape = "" if box.kind == "operation" else ", shape=ellipse"
                lines = [box.title, *box.details]
                label = _quote("\n".join(lines)).replace("\n", "\\n")
                out.append(f'  n{i} [label={label}, fillcolor="{self._fill(box)}"{shape}];')
            if group:
                out.append("  }")
        out += [f"  n{a} -> n{b};" for a, b in self.edges]
        return "\n".join([*out, "}"])

    def save(self, path: str | Path) -> Path:
        """Writes the picture: SVG or DOT, by the file's suffix (.svg, .dot or .gv; ValueError for any other). Returns the path."""
        path = Path(path)
        if path.suffix not in (".svg", ".dot", ".gv"):
            raise ValueError(f"Graph.save: the suffix must be .svg, .dot or .gv, but got {str(path)!r}")
        path.write_text(self.svg if path.suffix == ".svg" else self.dot, encoding="utf-8")
        return path


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _curve(points: Sequence[Point]) -> str:
    """A smooth line through the points that starts and ends upright."""
    parts = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        parts.append(f"C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}")
    return " ".join(parts)


def _names(params: Module | Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] | None) -> dict[int, str]:
    if params is None:
        return {}
    if isinstance(params, Module):
        found: Iterable[tuple[str, Tensor]] = params.named_parameters()
    else:
        found = params.items() if isinstance(params, Mapping) else params
    return {id(tensor): str(name) for name, tensor in found}


def graph(
    tensor: Tensor | Sequence[Tensor],
    params: Module | Mapping[str, Tensor] | Iterable[tuple[str, Tensor]] | None = None,
    *,
    modules: Modules | None = None,
    limit: int = 200,
) -> Graph:
    """The graph of the operations that made a tensor (or several), from the leaves at the top to the tensor at the bottom.

    Each operation shows its name, the shape and dtype of what it made, and the bytes that it keeps for backward; each leaf its name,
    shape and dtype. params: names for leaves, a Module or {name: tensor}. modules: which module made which node, noted while the
    network ran (see `Modules`, and `trace` for the short way); without it an operation that uses a parameter of a Module belongs to
    the module that owns it. limit: of a longer graph only the last so many operations are drawn, and the picture says so.

    TypeError for what is no Tensor; ValueError for one that no recorded operation made, and for a limit below 1.
    """
    tensors = [tensor] if isinstance(tensor, Tensor) else list(tensor)
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"viz.graph: expected Tensors, but got {type(t).__name__}")
    roots = [t.grad_fn for t in tensors if t.grad_fn is not None]
    if not roots:
        raise ValueError(
            "viz.graph: the tensor has no graph: no recorded operation made it (does any of its inputs require grad?)"
        )
    if limit < 1:
        raise ValueError(f"viz.graph: limit must be at least 1, but got {limit}")
    nodes = _reachable(roots)
    drawn, hidden = nodes[-limit:], max(len(nodes) - limit, 0)
    names = _names(params)
    owners = {key: name.rpartition(".")[0] for key, name in names.items()} if isinstance(params, Module) else {}
    boxes: list[Box] = []
    number: dict[Any, int] = {}
    edges: list[tuple[int, int]] = []
    kept = set(drawn)
    for node in drawn:
        into, group = [], modules.group_of(node) if modules is not None else ""
        for source, _ in node.next_functions:
            if source is None:
                continue
            key: Any = source
            if isinstance(source, AccumulateGrad):
                key = id(source.variable)
                group = group or owners.get(key, "")
                if key not in number:
                    number[key] = len(boxes)
                    boxes.append(Box("leaf", names.get(key, "leaf"), [_describe(source.variable.shape, source.variable.dtype)]))
            elif source not in kept:
                key = "cut"
                if key not in number:
                    number[key] = len(boxes)
                    boxes.append(Box("cut", f"{hidden:,} nodes not drawn", [f"limit={limit}"]))
            into.append(number[key])
        number[node] = len(boxes)
        shape = node.output_shape
        details = ["several outputs" if shape is None else _describe(shape, node.output_dtype)]
        if node.saved_bytes:
            details.append(f"keeps {size_text(node.saved_bytes)}")
        boxes.append(Box("operation", node.name().partition("Backward")[0], details, group))
        edges += [(a, number[node]) for a in dict.fromkeys(into)]
    return Graph(boxes, edges, hidden, limit)


def trace(model: Module, *inputs: Any, limit: int = 200, **keywords: Any) -> Graph:
    """Runs a model and draws the graph of what it gives, with parameters by name and operations by module.

    The model runs in the mode it is in, as a call by hand would. Arguments and errors as in `graph`.
    """
    with enable_grad(), Modules(model) as modules:
        result = model(*inputs, **keywords)
    found = [result] if isinstance(result, Tensor) else list(result.values() if isinstance(result, Mapping) else result)
    tensors = [t for t in found if isinstance(t, Tensor) and t.grad_fn is not None]
    return graph(tensors, model, modules=modules, limit=limit)


def _describe(shape: Any, dtype: Any) -> str:
    return (
        f"{list(shape)} {str(dtype).removeprefix('minigrad.')}"
        if len(shape)
        else f"scalar {str(dtype).removeprefix('minigrad.')}"
    )


def _reachable(roots: list[Function]) -> list[Function]:
    """All nodes below these, in the order in which they were made."""
    seen, stack = set(roots), list(roots)
    while stack:
        for node, _ in stack.pop().next_functions:
            if isinstance(node, Function) and node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen, key=sequence_of)
