"""Random words, and masks, bounded integers and random orders from them: arrays in, arrays out.

A word w gives w n >> 32 below n; the few words that would make some of these numbers likelier than others are skipped (Lemire, "Fast random
integer generation in an interval", 2019). A kernel tells how far the words sufficed, and the caller goes on with new ones.
"""
import numpy as np

cimport numpy as cnp
from cython cimport floating
from libc.stdint cimport int64_t, uint32_t, uint64_t

from minigrad._ext.memory import empty_array
from minigrad._ext.threads cimport plan_threads

cnp.import_array()

cdef extern from "random.h" nogil:
    ctypedef int mg_u128 "unsigned __int128"

    ctypedef struct mg_stream:
        mg_u128 state
        mg_u128 increment

    mg_stream mg_stream_after(mg_stream stream, int64_t n)
    void mg_stream_words(mg_stream stream, int64_t n, uint64_t *words, int threads)
    void stream_keep(...)


cdef extern from *:
    """
    #define MG_WORDS_SPAN 16384

    static int64_t mg_bounded(const uint32_t *words, int64_t n, int64_t low, uint64_t size, int64_t *out, int threads) {
        const uint32_t unfair = (uint32_t)((UINT64_C(0x100000000) - size) % size);
        int64_t count = 0;
        int skips = 0;
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(| : skips)")
        for (int64_t start = 0; start < n; start += MG_WORDS_SPAN) {
            const int64_t end = n - start < MG_WORDS_SPAN ? n : start + MG_WORDS_SPAN;
            for (int64_t i = start; i < end; i++) {
                const uint64_t product = words[i] * size;
                out[i] = (int64_t)((uint64_t)low + (product >> 32));
                skips |= (uint32_t)product < unfair;
            }
        }
        if (!skips) return n;
        for (int64_t i = 0; i < n; i++) {
            const uint64_t product = words[i] * size;
            out[count] = (int64_t)((uint64_t)low + (product >> 32));
            count += (uint32_t)product >= unfair;
        }
        return count;
    }

    static int64_t mg_shuffle(const uint32_t *words, int64_t n, int64_t *order, int64_t left) {
        for (int64_t i = 0; i < n && left > 1; i++) {
            const uint64_t product = words[i] * (uint64_t)left;
            if ((uint32_t)product < left && (uint32_t)product < (UINT64_C(0x100000000) - left) % left) continue;
            const int64_t chosen = (int64_t)(product >> 32), last = order[--left];
            order[left] = order[chosen];
            order[chosen] = last;
        }
        return left;
    }
    """
    int64_t mg_bounded(const uint32_t *words, int64_t n, int64_t low, uint64_t size, int64_t *out, int threads) nogil
    int64_t mg_shuffle(const uint32_t *words, int64_t n, int64_t *order, int64_t left) nogil


cdef mg_u128 wide(object number):
    """A Python integer below 2^128."""
    return (<mg_u128> <uint64_t> (number >> 64)) << 64 | <mg_u128> <uint64_t> (number & 0xFFFFFFFFFFFFFFFF)


cdef mg_stream taken(object generator, int64_t n):
    """The stream of a numpy.random.PCG64, which goes on behind its next n words."""
    cdef mg_stream stream, after
    with generator.lock:
        state = generator.state
        numbers = state["state"]
        stream.state, stream.increment = wide(numbers["state"]), wide(numbers["inc"])
        after = mg_stream_after(stream, n)
        numbers["state"] = (<object> <uint64_t> (after.state >> 64)) << 64 | <uint64_t> after.state
        generator.state = state
    return stream


def words(generator, int64_t n):
    """The next n random uint32 of a numpy.random.PCG64: those of generator.random_raw((n + 1) // 2), drawn by all threads."""
    cdef int64_t pairs = (n + 1) // 2
    if pairs < 4096:  # reading and setting the state takes 4 us
        raw = generator.random_raw(pairs).view(np.uint32)
        return raw[:n] if n % 2 else raw
    cdef uint64_t[::1] out = empty_array((pairs,), np.uint64)
    cdef mg_stream stream = taken(generator, pairs)
    cdef int threads = plan_threads(2 * pairs)
    with nogil:
        mg_stream_words(stream, pairs, &out[0], threads)
    return np.asarray(out).view(np.uint32)[:n]


def keep(generator, uint32_t limit, double scale, floating[::1] out):
    """Fills out with `scale` where words(generator, len(out)) is below limit, and 0 elsewhere."""
    cdef int64_t n = out.shape[0]
    cdef int threads = plan_threads(n)
    if n == 0:
        return
    cdef mg_stream stream = taken(generator, (n + 1) // 2)
    with nogil:
        stream_keep(&out[0], n, &stream, limit, scale, threads)


def bounded(const uint32_t[::1] words, int64_t low, uint64_t size, int64_t[::1] out) -> int:
    """Writes low plus uniform integers below size, 1 to 2^32, to the start of out, which is as long as words; returns how many."""
    cdef int64_t n = words.shape[0], count
    cdef int threads = plan_threads(n)
    if n == 0:
        return 0
    with nogil:
        count = mg_bounded(&words[0], n, low, size, &out[0], threads)
    return count


def shuffle(const uint32_t[::1] words, int64_t[::1] order, int64_t left) -> int:
    """Puts a random one of the first `left` < 2^32 elements last among them, and so on with one less, while there are words; returns how
    many are left, 1 when it is done (Fisher and Yates, 1938)."""
    cdef int64_t n = words.shape[0]
    if n and left > 1:
        with nogil:
            left = mg_shuffle(&words[0], n, &order[0], left)
    return left
