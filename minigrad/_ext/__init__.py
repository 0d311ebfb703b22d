"""The compiled modules. Their sources are in ext/."""

import os

# How long libgomp's threads spin, waiting for work, before they sleep. By its default (milliseconds) a training step beside other
# programs takes three times as long: who spins uses up the share of a core that the work then lacks. At this number, some
# microseconds, a step on an idle machine takes as long as before. libgomp reads it when the first of these modules loads it.
if "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ:
    os.environ["GOMP_SPINCOUNT"] = "2000"
    try:
        import minigrad._ext.threads  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]
