"""A layered drawing of an acyclic graph: layers by longest path, order by barycentres, places by least squares.

Sugiyama, Tagawa, Toda: Methods for visual understanding of hierarchical system structures, 1981.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]
_SWEEPS = 12
_BEND_WIDTH = 10.0


@dataclass
class Layout:
    """Where everything is: the centre of each box, the points that each edge passes, and the size of the whole."""

    centres: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def layered(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], *, gap: float = 22.0, rise: float = 34.0) -> Layout:
    """Places boxes of these (width, height), an edge (a, b) with a above b. The edges must have no cycle, and a < b.

    gap: the least distance between neighbours; rise: between layers. Boxes without incoming edges stand right above what they
    lead to, so that parameters are beside the operation that uses them.
    """
    layer = _layers(len(sizes), edges)
    widths = [width for width, _ in sizes]
    chains: list[list[int]] = []  # for each edge its vertices: the box, a bend in each layer between, the box
    for a, b in edges:
        chain = [a]
        for between in range(layer[a] + 1, layer[b]):
            chain.append(len(layer))
            layer.append(between)
            widths.append(_BEND_WIDTH)
        chains.append([*chain, b])
    above: dict[int, list[int]] = defaultdict(list)
    below: dict[int, list[int]] = defaultdict(list)
    for chain in chains:
        for a, b in itertools.pairwise(chain):
            above[b].append(a)
            below[a].append(b)
    rows: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for vertex, row in enumerate(layer):
        rows[row].append(vertex)
    _order(rows, above, below)
    x = _places(rows, above, below, widths, gap, len(sizes))
    heights = [max((sizes[v][1] for v in row if v < len(sizes)), default=0.0) for row in rows]
    tops = [sum(heights[:i]) + i * rise for i in range(len(rows))]
    left = min((x[v] - widths[v] / 2 for v in range(len(x))), default=0.0)
    right = max((x[v] + widths[v] / 2 for v in range(len(x))), default=0.0)
    point = [(x[v] - left, tops[layer[v]] + heights[layer[v]] / 2) for v in range(len(x))]
    routes = []
    for chain in chains:
        a, b = chain[0], chain[-1]
        start = (point[a][0], point[a][1] + sizes[a][1] / 2)
        stop = (point[b][0], point[b][1] - sizes[b][1] / 2)
        routes.append([start, *(point[v] for v in chain[1:-1]), stop])
    height = tops[-1] + heights[-1] if rows else 0.0
    return Layout(point[: len(sizes)], routes, right - left, height)


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each vertex below all that lead to it; one that nothing leads to right above the first that it leads to."""
    into: dict[int, list[int]] = defaultdict(list)
    out: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        into[b].append(a)
        out[a].append(b)
    layer = [0] * count
    for v in range(count):  # a < b for every edge, so that what leads to v is done
        layer[v] = max((layer[a] + 1 for a in into[v]), default=0)
    for v in range(count):
        if not into[v] and out[v]:
            layer[v] = min(layer[b] for b in out[v]) - 1
    return layer


def _order(rows: list[list[int]], above: dict[int, list[int]], below: dict[int, list[int]]) -> None:
    """Sorts each row by the mean place of its neighbours in the row before, down and up in turn; keeps the best found."""
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        neighbours = above if downward else below
        for i in range(1, len(rows)) if downward else range(len(rows) - 2, -1, -1):
            place = {v: k for k, v in enumerate(rows[i - 1 if downward else i + 1])}
            here = {v: k for k, v in enumerate(rows[i])}
            mean = {v: sum(place[n] for n in neighbours[v]) / len(neighbours[v]) for v in rows[i] if neighbours[v]}
            order = {v: (mean.get(v, float(here[v])), here[v]) for v in rows[i]}
            rows[i].sort(key=order.__getitem__)
        found = _crossings(rows, below)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
        if fewest == 0:
            break
    rows[:] = best


def _crossings(rows: list[list[int]], below: dict[int, list[int]]) -> int:
    """How many pairs of edges cross between neighbouring rows."""
    total = 0
    for upper, lower in itertools.pairwise(rows):
        place = {v: k for k, v in enumerate(lower)}
        ends = [k for v in upper for k in sorted(place[b] for b in below[v])]
        total += sum(ends[j] < ends[i] for i in range(len(ends)) for j in range(i + 1, len(ends)))
    return total


def _places(
    rows: list[list[int]], above: dict[int, list[int]], below: dict[int, list[int]], widths: list[float], gap: float, boxes: int
) -> list[float]:
    """The x of each vertex: as near to the mean of its neighbours as the order and the widths allow.

    A box with nothing above and one below makes room for the others: chains of operations then stand upright, parameters at
    their side.
    """
    aside = {v for v in range(boxes) if not above[v] and len(below[v]) == 1}
    x = [0.0] * len(widths)
    for row in rows:
        at = 0.0
        for v in row:
            x[v] = at + widths[v] / 2
            at += widths[v] + gap
        middle = (at - gap) / 2
        for v in row:
            x[v] -= middle
    for sweep in range(4 * _SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted, weight = [], []
            for v in row:
                near = [n for n in (*above[v], *below[v]) if n not in aside] or [*above[v], *below[v]]
                wanted.append(sum(x[n] for n in near) / len(near) if near else x[v])
                weight.append(0.05 if v in aside else 1.0 if v < boxes else 4.0)
            for v, place in zip(row, _spread(wanted, weight, [widths[v] for v in row], gap)):
                x[v] = place
    return x


def _spread(wanted: list[float], weight: list[float], widths: list[float], gap: float) -> list[float]:
    """The places nearest to the wanted ones, by weighted squares, with every box right of the one before: pooling adjacent violators."""
    offsets, at = [], 0.0
    for i, width in enumerate(widths):
        if i:
            at += (widths[i - 1] + width) / 2 + gap
        offsets.append(at)
    blocks: list[tuple[float, float, int]] = []  # (mean, weight, count) of places less their offsets
    for want, w, offset in zip(wanted, weight, offsets):
        blocks.append((want - offset, w, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (m1, w1, n1), (m2, w2, n2) = blocks[-2:]
            blocks[-2:] = [((m1 * w1 + m2 * w2) / (w1 + w2), w1 + w2, n1 + n2)]
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets)]
