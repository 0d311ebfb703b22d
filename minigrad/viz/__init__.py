"""Pictures of what happens inside: the autograd graph, gradients by parameter, images and filters, training curves.

`graph` and `trace` draw SVG themselves and need nothing else; the others need matplotlib (`pip install "minigrad[viz]"`) and return
a matplotlib Figure: show it in a notebook, or `figure.savefig("picture.png")`.
"""

from minigrad.viz.graph import Graph as Graph
from minigrad.viz.graph import Modules as Modules
from minigrad.viz.graph import graph as graph
from minigrad.viz.graph import trace as trace
from minigrad.viz.plots import curves as curves
from minigrad.viz.plots import gradient_flow as gradient_flow
from minigrad.viz.plots import grid as grid
