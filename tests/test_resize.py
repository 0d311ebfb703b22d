"""interpolate and grid_sample at the edges, old names, warnings and signatures (test_fuzz.py has the geometries)."""

import inspect

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_nearest_of_small_and_large_images(mode, dtype):
    for width, scale in ((3, 2.3), (3, 1.3), (60, 2.03), (100, 1.007), (41, 1 / 3), (100, 0.7)):
        for channels in (2, 5):
            x = np.random.default_rng(0).integers(0, 256, (1, channels, 3, width)).astype(dtype)
            y = F.interpolate(mg.tensor(x), scale_factor=(2.3, scale), mode=mode)
            expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=(2.3, scale), mode=mode)
            np.testing.assert_array_equal(y.numpy(), expected.numpy())


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample_at_no_place(mode, padding_mode):
    """NaN, infinite and huge coordinates read nothing out of bounds and warn of nothing."""
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    places = [np.nan, np.inf, -np.inf, 1e30, -1e30, 1e300]
    grid = np.stack(np.meshgrid(places, [0.0, *places]), -1)[None]
    y = F.grid_sample(mg.tensor(x), mg.tensor(grid), mode, padding_mode, align_corners=False).numpy()
    assert y.shape == (1, 1, 7, 6)
    assert ((np.abs(y) <= 40) | np.isnan(y)).all()


def test_missing_align_corners_warns():
    with pytest.warns(UserWarning, match="align_corners"):
        F.grid_sample(mg.ones(1, 1, 2, 2), mg.zeros(1, 1, 1, 2))
    with pytest.warns(UserWarning, match="align_corners"):
        F.affine_grid(mg.ones(1, 2, 3), (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="one element"):
        F.affine_grid(mg.ones(1, 2, 3), (1, 1, 1, 2), align_corners=True)


@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_old_names_warn(name):
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    with pytest.warns(UserWarning, match=name):
        y = getattr(F, name)(mg.tensor(x), scale_factor=2)
    with pytest.warns(UserWarning, match=name):
        expected = getattr(torch.nn.functional, name)(torch.tensor(x), scale_factor=2)
    np.testing.assert_allclose(y.numpy(), expected.numpy(), atol=1e-13)


def test_signatures_are_those_of_torch():
    for name in ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "grid_sample", "affine_grid"):
        ours, theirs = (inspect.signature(getattr(lib, name)).parameters for lib in (F, torch.nn.functional))
        assert {k: p.default for k, p in ours.items()} == {k: p.default for k, p in theirs.items()}
