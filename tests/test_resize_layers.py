"""The layers that resize, pad and shuffle, against PyTorch."""

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

torch = pytest.importorskip("torch")

PADDINGS = [f"{kind}Pad{n}d" for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular") for n in (1, 2, 3)]
LAYERS = [
    ("Upsample", (), {"size": 5}, (1, 2, 3)),
    ("Upsample", (), {"scale_factor": (2, 1.5), "mode": "bilinear", "align_corners": False}, (1, 2, 3, 4)),
    ("Upsample", (None, 2.5, "bicubic"), {"recompute_scale_factor": True}, (1, 2, 3, 4)),
    ("UpsamplingNearest2d", (None, 2), {}, (1, 2, 3, 4)),
    ("UpsamplingBilinear2d", ((5, 3),), {}, (1, 2, 3, 4)),
    ("PixelShuffle", (2,), {}, (1, 8, 3, 2)),
    ("PixelUnshuffle", (2,), {}, (1, 2, 4, 6)),
    ("ChannelShuffle", (3,), {}, (1, 6, 2)),
    *((name, (1, 2.5) if name.startswith("Constant") else (1,), {}, (2, 3, 4, 5)[: int(name[-2]) + 1]) for name in PADDINGS),
    ("ZeroPad2d", ((1, 2, -1, 3),), {}, (2, 3, 4, 5)),
    ("ReflectionPad2d", ([1, 2, 0, 3],), {}, (1, 3, 4, 5)),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), LAYERS)
def test_layers(name, args, kwargs, shape):
    x = np.random.default_rng(0).standard_normal(shape)
    ours, theirs = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    np.testing.assert_allclose(ours(mg.tensor(x)).numpy(), theirs(torch.tensor(x)).numpy(), rtol=0, atol=1e-12)
    assert repr(ours) == repr(theirs)
    assert ours.state_dict() == {}
    assert list(inspect.signature(type(ours).__init__).parameters) == list(inspect.signature(type(theirs).__init__).parameters)


def test_circular_padding_layers_check_the_number_of_axes():
    for layer, shape in ((nn.CircularPad1d(1), (3,)), (nn.CircularPad2d(1), (2, 3)), (nn.CircularPad3d(1), (2, 3, 4))):
        with pytest.raises(ValueError, match="expected"):
            layer(mg.ones(*shape))
