"""The compiled modules. Their sources are in ext/."""

import os

# How long libgomp's threads spin, waiting for work, before they sleep. By its default (milliseconds) a training step beside other
# programs takes three times as long: who spins uses up the share of a core that the work then lacks. Too short, and the threads of an
# idle virtual machine never meet: waking a processor that sleeps takes 100 us, in which the waiting one falls asleep too, and so at
# every region. LeNet's step at batch 64, idle and beside one busy process, in us: 5500 and 5500 at 2000; 1750 and 6200 at 3000; 1740
# and 6400 at 4000; 1760 and 8100 at 5000; 1870 and 13000 at 300000, the default.
if "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ:
    os.environ["GOMP_SPINCOUNT"] = "4000"
    try:
        import minigrad._ext.threads  # noqa: F401
    finally:
        del os.environ["GOMP_SPINCOUNT"]
