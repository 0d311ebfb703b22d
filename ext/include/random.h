/* Random words of numpy's PCG64, and what is made of them where it is drawn. */
#ifndef MINIGRAD_RANDOM_H
#define MINIGRAD_RANDOM_H

#include <stdint.h>

/* PCG64 is O'Neill, "PCG: a family of simple fast space-efficient statistically good algorithms for random number generation" (2014):
   a linear congruential generator of 128 bits, of which each state gives a word. */
typedef unsigned __int128 mg_u128;
typedef uint32_t __attribute__((may_alias)) mg_half;

typedef struct {
    mg_u128 state, increment;
} mg_stream;

#define MG_PCG_FACTOR ((mg_u128)UINT64_C(2549297995355413924) << 64 | UINT64_C(4865540595714422341))
/* Words that a thread draws at a time: 16 KB, in L1; finding the state in front of them takes 0.2 us, drawing them 3. */
#define MG_STREAM_SPAN 2048

/* The stream after n more words: the steps 1, 2, 4, ... are linear functions too (Brown, "Random number generation with arbitrary
   strides", 1994). */
static mg_stream mg_stream_after(mg_stream stream, int64_t n) {
    mg_u128 factor = MG_PCG_FACTOR, increment = stream.increment;
    for (; n > 0; n >>= 1) {
        if (n & 1) stream.state = stream.state * factor + increment;
        increment *= factor + 1;
        factor *= factor;
    }
    return stream;
}

/* Writes the next n words. */
static void mg_stream_draw(mg_stream stream, int64_t n, uint64_t *words) {
    for (int64_t i = 0; i < n; i++) {
        stream.state = stream.state * MG_PCG_FACTOR + stream.increment;
        const uint64_t high = (uint64_t)(stream.state >> 64), mixed = high ^ (uint64_t)stream.state;
        words[i] = mixed >> (high >> 58) | mixed << (-(high >> 58) & 63);
    }
}

static void mg_stream_words(mg_stream stream, int64_t n, uint64_t *words, int threads) {
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t first = 0; first < n; first += MG_STREAM_SPAN)
        mg_stream_draw(mg_stream_after(stream, first), n - first < MG_STREAM_SPAN ? n - first : MG_STREAM_SPAN, words + first);
}

#define KERNELS "random_kernels.h"
#include "multiversion.h"

#define stream_keep(x, ...) MG_CALL(stream_keep, x)(x, __VA_ARGS__)

#endif
