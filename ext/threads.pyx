"""How many threads a kernel gets. The only place that decides.

A kernel asks plan_threads(nanoseconds) with an estimate of its work on one thread and passes the answer to num_threads(...) of its
one parallel region. How the work is cut must depend on shapes only, never on this number: then the bits do not depend on it.
"""
import math
import os

from libc.stdint cimport int64_t


cdef extern from *:
    """
    #ifdef _OPENMP
    #include <omp.h>
    #include <pthread.h>
    /* libgomp's worker threads do not survive a fork: a child that enters a parallel region would wait for them for ever.
       Ending them in the parent just before the fork leaves both sides to start new ones at their next region. */
    static void mg_before_fork(void) { omp_pause_resource_all(omp_pause_hard); }
    static void mg_make_fork_safe(void) { pthread_atfork(mg_before_fork, NULL, NULL); }
    #define MG_OPENMP _OPENMP
    #else
    static void mg_make_fork_safe(void) {}
    #define MG_OPENMP 0
    #endif
    """
    void mg_make_fork_safe()
    const int MG_OPENMP

cdef extern from "isa.h" nogil:
    const int MG_X86_GCC
    int mg_isa_level()


# A parallel region of two threads pays from about 5 us of work on an idle machine (exp of 16,384 floats: 3.0 us on one, 2.6 on two; of
# 131,072: 24.8 and 14.0; a sum of 262,144: 12.9 and 6.5), and costs milliseconds beside a busy neighbour. The training steps of LeNet
# at batch 1, 16 and 64 and of an autoencoder are as fast at 20 us as at 40, and slower at 10 and at 80; so below this much work (in ns
# on one thread) a kernel runs on the caller's thread alone.
cdef int64_t min_parallel_ns = 20_000

cdef int num_threads = 1


cdef int plan_threads(int64_t nanoseconds) noexcept nogil:
    """Threads for a kernel whose work takes about this long on one thread."""
    return 1 if nanoseconds < min_parallel_ns else num_threads


def get_num_threads() -> int:
    """The number of threads that large kernels use."""
    return num_threads


def set_num_threads(n) -> None:
    """Sets the number of threads that large kernels use. Results do not depend on it, bit for bit.

    Raises TypeError for a non-integer and RuntimeError for n < 1.
    """
    global num_threads
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"set_num_threads expects an int, but got {type(n).__name__}")
    if n < 1:
        raise RuntimeError(f"set_num_threads expects a positive integer, but got {n}")
    num_threads = min(n, 1024) if MG_OPENMP else 1


def set_parallel_threshold(int64_t nanoseconds) -> int:
    """Sets the least work (in ns on one thread) that is spread over threads, and returns what it was. For tests: at 0 even
    the smallest kernel runs on all threads, so that their results can be compared at small odd sizes."""
    global min_parallel_ns
    cdef int64_t before = min_parallel_ns
    min_parallel_ns = nanoseconds
    return before


def openmp_version() -> int:
    """The date of the OpenMP standard that the library was built with (201511 is 4.5), 0 without OpenMP."""
    return MG_OPENMP


def instruction_set() -> str:
    """What the kernels of this process were compiled for: "x86-64-v4", "x86-64-v3" or "x86-64-v2" (the best that the machine has, or
    less if the environment variable MINIGRAD_ISA says so), "generic" where only the plain fallback was built."""
    return f"x86-64-v{mg_isa_level()}" if MG_X86_GCC else "generic"


def _cgroup_quota(root="/sys/fs/cgroup", membership="/proc/self/cgroup") -> float:
    """The CPU quota of this process in cores, the least of its control group's and those above it; inf where there is none (Linux,
    cgroup v2 and v1)."""
    try:
        with open(membership) as file:
            lines = file.read().splitlines()
    except OSError:
        return math.inf
    least = math.inf
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = f"{root}/{controllers}" if controllers else root
        while True:
            least = min(least, _quota_of(f"{folder}{path}", bool(controllers)))
            if path in ("", "/"):
                break
            path = path.rpartition("/")[0]
    return least


def _quota_of(folder, is_v1) -> float:
    """The quota that the files of one control group give, inf where they give none."""
    try:
        if is_v1:
            with open(f"{folder}/cpu.cfs_quota_us") as quota, open(f"{folder}/cpu.cfs_period_us") as period:
                numbers = quota.read(), period.read()
        else:
            with open(f"{folder}/cpu.max") as file:
                numbers = file.read().split()
        cores = int(numbers[0]) / int(numbers[1])
    except (OSError, ValueError, IndexError, ZeroDivisionError):         # no such file, or "max"
        return math.inf
    return cores if cores > 0 else math.inf


def _default_threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(affinity, _cgroup_quota())))


set_num_threads(_default_threads())
mg_make_fork_safe()
