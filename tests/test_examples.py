"""Every example runs, from another folder and without a display, writes its pictures, and ends in a result within its bound."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))

# The metric that a quick run prints on its last line, and the interval that its value must lie in.
RESULTS = {
    "alexnet": ("test accuracy", 0.5, 1),
    "autograd_tour": ("values as worked out by hand", 20, 20),
    "convolution_zoo": ("largest difference of the ways to convolve", 0, 1e-13),
    "dcgan_digits": ("correlation of the deviations of pixels, drawn with real", 0.2, 1),
    "mobile_nets": ("test accuracy, depthwise separable", 0.3, 1),
    "saliency_and_attack": ("accuracy gained under attack by the penalty", 0.02, 1),
    "super_resolution": ("decibels above bicubic", -1, 2),
    "transposed_convolution": ("largest difference of the four ways", 0, 1e-13),
    "vanishing_gradients": ("deviation after 100 layers of ReLU with Kaiming's weights", 0.1, 10),
    "video_conv3d": ("test accuracy", 0.9, 1),
    "activations": ("test accuracy with PReLU", 0.85, 1),
    "containers": ("test accuracy", 0.6, 1),
    "image_filters": ("largest difference of the two low-passes", 0, 1e-5),
    "lenet_digits": ("test accuracy", 0.8, 1),
    "linear_regression": ("share of variance explained", 0.515, 0.5178),  # least squares reaches 0.5177
    "logistic_regression": ("test accuracy", 0.94, 1),
    "normalization": ("test accuracy with batch norm at batch size 128", 0.75, 1),
    "pooling_and_unpooling": ("intersection over union", 0.3, 1),
}


def test_every_example_has_a_bound():
    assert sorted(RESULTS) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, tmp_path):
    """A quick run ends well, prints no warning, and says what was expected of it."""
    environment = {
        **os.environ,
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",  # the results are the same for any number, and waiting threads waste a shared machine
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    run = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py"), "--quick"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    metric, low, high = RESULTS[name]
    last = run.stdout.rstrip().splitlines()[-1]
    found = re.fullmatch(rf"{re.escape(metric)} (\S+)", last)
    assert found, last
    assert low <= float(found[1]) <= high, last
    pictures = re.findall(r"^wrote (\S+)$", run.stdout, re.MULTILINE)
    assert pictures, run.stdout
    for picture in pictures:
        assert picture.startswith(f"runs/{name}/")
        assert (tmp_path / picture).stat().st_size > 0, picture
