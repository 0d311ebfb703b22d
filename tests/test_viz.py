"""minigrad.viz: what the pictures say, read back from the pictures."""

import itertools
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn, viz
from minigrad.viz.layout import layered

SVG = "{http://www.w3.org/2000/svg}"


def network():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3))


def texts(svg):
    return [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def rectangles(svg):
    """(left, top, right, bottom) of each box."""
    found = [r for group in ElementTree.fromstring(svg).iter(f"{SVG}g") for r in group.findall(f"{SVG}rect")]
    numbers = [[float(r.get(name)) for name in ("x", "y", "width", "height")] for r in found]
    return [(x, y, x + w, y + h) for x, y, w, h in numbers]


def test_the_graph_shows_names_shapes_dtypes_and_bytes():
    a = mg.tensor([1.0, 2.0], requires_grad=True)
    b = mg.tensor([3.0, 4.0], dtype=mg.float64, requires_grad=True)
    y = (a.exp() * b).sum()
    picture = viz.graph(y, {"a": a, "b": b})
    said = texts(picture.svg)
    assert [text for text in said if text in ("a", "b")] == ["a", "b"]
    assert {"Exp", "ToCopy", "Mul", "Sum", "[2] float32", "[2] float64", "scalar float64", "keeps 8 B", "keeps 32 B"} <= set(
        said
    )
    names = [box.title for box in picture.boxes]
    assert {(names[i], names[j]) for i, j in picture.edges} == {
        ("a", "Exp"), ("Exp", "ToCopy"), ("ToCopy", "Mul"), ("b", "Mul"), ("Mul", "Sum"),
    }  # fmt: skip
    assert picture._repr_svg_() == picture.svg


def test_every_edge_goes_down_and_no_box_covers_another():
    mg.manual_seed(0)
    net = network()
    x = mg.randn(2, 1, 5, 5, requires_grad=True)
    out = net(x)
    tangle = (out * out + out.exp() * x.sum() + out.softmax(1) * net[0].weight.sum()).sum()
    picture = viz.graph(tangle, net)
    boxes = rectangles(picture.svg)
    assert len(boxes) == len(picture.boxes)
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    for a, b in picture.edges:
        assert boxes[a][3] < boxes[b][1]


@pytest.mark.parametrize("seed", range(5))
def test_the_layout_of_random_graphs(seed):
    rng = np.random.default_rng(seed)
    n = 40
    edges = [(int(a), b) for b in range(1, n) for a in set(rng.integers(max(0, b - 8), b, 2))]
    sizes = [(float(rng.integers(20, 90)), float(rng.integers(10, 40))) for _ in range(n)]
    layout = layered(sizes, edges)
    for i, ((x, y), (w, h)) in enumerate(zip(layout.centres, sizes)):
        assert x - w / 2 >= -1e-6
        assert x + w / 2 <= layout.width + 1e-6
        for (u, v), (p, q) in list(zip(layout.centres, sizes))[:i]:
            assert abs(x - u) >= (w + p) / 2 - 1e-6 or abs(y - v) >= (h + q) / 2 - 1e-6
    for (a, b), route in zip(edges, layout.routes):
        assert route[0] == (layout.centres[a][0], layout.centres[a][1] + sizes[a][1] / 2)
        assert route[-1] == (layout.centres[b][0], layout.centres[b][1] - sizes[b][1] / 2)
        assert all(p[1] < q[1] for p, q in itertools.pairwise(route))


def test_a_planar_graph_is_drawn_without_crossings():
    """Two chains side by side, whose boxes come in an order that crosses them."""
    edges = [(0, 3), (1, 2), (2, 5), (3, 4), (4, 7), (5, 6), (6, 8), (7, 8)]
    layout = layered([(30, 10)] * 9, edges)
    for chain in ((0, 3, 4, 7), (1, 2, 5, 6)):
        assert len({round(layout.centres[v][0], 3) for v in chain}) == 1


def test_modules_are_named_and_coloured():
    mg.manual_seed(0)
    net = network()
    picture = viz.trace(net, mg.randn(1, 1, 5, 5))
    assert [(box.title, box.group) for box in picture.boxes if box.kind == "operation"] == [
        ("Convolution", "0"), ("Relu", "1"), ("View", "2"), ("Addmm", "3"),
    ]  # fmt: skip
    assert {box.title for box in picture.boxes if box.kind == "leaf"} == {"0.weight", "0.bias", "3.weight", "3.bias"}
    assert 'subgraph "cluster_3"' in picture.dot
    fills = {r.get("fill") for g in ElementTree.fromstring(picture.svg).iter(f"{SVG}g") for r in g.findall(f"{SVG}rect")}
    assert len(fills) == 5
    by_owner = viz.graph(net(mg.randn(1, 1, 5, 5)), net)
    assert [box.group for box in by_owner.boxes if box.kind == "operation"] == ["0", "", "", "3"]


def test_a_long_graph_is_cut_and_says_so():
    a = mg.ones(3, requires_grad=True)
    y = a
    for _ in range(5000):
        y = y * 1.0
    picture = viz.graph(y.sum(), {"a": a}, limit=10)
    assert picture.hidden == 4991
    assert sum(box.kind == "operation" for box in picture.boxes) == 10
    assert "4,991 nodes not drawn" in texts(picture.svg)
    assert "the last 10 operations; 4,991 nodes before them are not drawn (limit=10)" in texts(picture.svg)
    assert "not drawn" in picture.dot
    assert "4991 more not drawn" in repr(picture)


def test_saving_and_errors(tmp_path):
    a = mg.ones(3, requires_grad=True)
    picture = viz.graph([a * 2, a.exp()], [('"<a>&\\', a)])
    assert ElementTree.fromstring(picture.save(tmp_path / "g.svg").read_text()) is not None
    assert '"<a>&\\' in texts(picture.svg)
    assert picture.save(str(tmp_path / "g.dot")).read_text().startswith("digraph")
    assert '\\"<a>&\\\\' in picture.dot
    with pytest.raises(ValueError, match=r"\.svg, \.dot"):
        picture.save(tmp_path / "g.png")
    with pytest.raises(ValueError, match="no graph"):
        viz.graph(mg.ones(2) * 2)
    with pytest.raises(TypeError, match="expected Tensors"):
        viz.graph([1.0])
    with pytest.raises(ValueError, match="limit"):
        viz.graph(a * 2, limit=0)


def test_gradient_flow_draws_the_norms():
    mg.manual_seed(0)
    net = network()
    F.relu(net(mg.randn(4, 1, 5, 5))).sum().backward()
    net[3].bias.grad = None
    net[0].bias.grad = mg.zeros(2)
    net[0].weight.grad[0] = float("nan")
    (axes,) = viz.gradient_flow(net).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert [text.get_text() for text in axes.texts] == ["NaN or infinite", "zero", "no gradient"]
    (bar,) = axes.patches
    assert bar.get_x() + bar.get_width() == pytest.approx(float(net[3].weight.grad.norm()), rel=1e-5)
    with pytest.raises(TypeError, match="Module"):
        viz.gradient_flow(1)
    with pytest.raises(ValueError, match="no parameters"):
        viz.gradient_flow(nn.ReLU())


@pytest.mark.parametrize(
    ("shape", "tiles"), [((4, 5), 1), ((3, 4, 5), 3), ((6, 1, 4, 5), 6), ((2, 3, 4, 5), 2), ((2, 7, 4, 5), 14)]
)
def test_grid_draws_every_picture(shape, tiles):
    rng = np.random.default_rng(0)
    images = rng.normal(size=shape)
    figure = viz.grid(mg.tensor(images), titles=[str(i) for i in range(tiles)])
    drawn = [axes.images[0].get_array() for axes in figure.axes]
    assert len(drawn) == tiles
    if shape == (2, 3, 4, 5):
        assert all(picture.min() >= 0 and picture.max() <= 1 for picture in drawn)
        assert np.ptp(drawn[0]) > 0.5
    else:
        np.testing.assert_allclose(np.concatenate([np.asarray(p).ravel() for p in drawn]), images.ravel(), rtol=1e-6)
        norms = {(axes.images[0].norm.vmin, axes.images[0].norm.vmax) for axes in figure.axes}
        assert norms == {(-np.abs(images).max(), np.abs(images).max())}


def test_grid_scales_each_on_request_and_refuses_nonsense():
    images = np.stack([np.full((2, 2), 1.0), np.arange(4.0).reshape(2, 2)])
    figure = viz.grid(images, each=True)
    assert [axes.images[0].norm.vmax for axes in figure.axes] == [1.0, 3.0]
    with pytest.raises(ValueError, match="expected"):
        viz.grid(np.zeros(3))
    with pytest.raises(ValueError, match="no image"):
        viz.grid(np.zeros((0, 3, 3)))
    with pytest.raises(ValueError, match="1 titles for 2"):
        viz.grid(images, titles=["a"])


def test_curves_share_a_panel_by_the_last_word():
    figure = viz.curves({"train loss": [1, 0.5], "test_loss": [2, 0.7], "accuracy": [0.1, 0.2]})
    loss, accuracy = figure.axes
    assert loss.get_yscale() == "log"
    assert accuracy.get_yscale() == "linear"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "test"]
    assert list(loss.lines[1].get_ydata()) == [2, 0.7]
    steps = viz.curves([{"loss": 1.0}, {"loss": 0.5, "lr": 0.1}], xlabel="step")
    assert [axes.get_xlabel() for axes in steps.axes] == ["step", "step"]
    assert np.isnan(steps.axes[1].lines[0].get_ydata()[0])
    with pytest.raises(ValueError, match="empty"):
        viz.curves({})


def test_matplotlib_is_imported_late_and_its_absence_explained():
    code = (
        "import sys; sys.modules['matplotlib'] = None; sys.modules['matplotlib.figure'] = None\n"
        "import minigrad as mg\nfrom minigrad import viz\n"
        "x = mg.ones(2, requires_grad=True)\nassert viz.graph(x * 2).svg\n"
        "try:\n    viz.curves({'loss': [1.0]})\nexcept ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "minigrad[viz]"' in done.stdout
