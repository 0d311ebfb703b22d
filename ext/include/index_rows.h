/* Gathering and scattering along one axis: see index.pyx for the layout. WORD: any element of that size; REAL: what is added. */
#ifndef MINIGRAD_INDEX_ROWS_H
#define MINIGRAD_INDEX_ROWS_H

#include <stdint.h>
#include <string.h>

#define MG_INDEX_OWNERS 8   /* into how many parts the rows of a table are cut, each with one writer */
#define MG_INDEX_SPAN 4096
#define MG_INDEX_ROWS 16    /* whole rows that one task copies */
#define MG_INDEX_THREADS _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")

/* Copies n indices; whether all are in [0, size). */
static int mg_copy_inside(const int64_t *at, int64_t *to, int64_t n, int64_t size, int threads) {
    uint64_t outside = 0;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(| : outside)")
    for (int64_t start = 0; start < n; start += MG_INDEX_SPAN) {
        const int64_t stop = n - start < MG_INDEX_SPAN ? n : start + MG_INDEX_SPAN;
        for (int64_t i = start; i < stop; i++) {
            to[i] = at[i];
            outside |= (uint64_t)at[i] | (uint64_t)(size - 1 - at[i]);
        }
    }
    return !(outside >> 63);
}

/* Writes the places of the nonzero bytes (0 or 1) of a mask, in order, and gives their number; `places` has room for one more. No branch
   depends on the mask, since a random one would mispredict every other time. */
static int64_t mg_places(const uint8_t *mask, int64_t n, int64_t *places) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        places[count] = i;
        count += mask[i];
    }
    return count;
}

static int64_t mg_count(const uint8_t *mask, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += mask[i];
    return count;
}

/* out[o, i, :] = x[o, at[i], :] in rows of so many bytes */
static void mg_take_rows(const char *x, const int64_t *at, char *out, int64_t outer, int64_t size, int64_t bytes, int64_t count,
                         int threads) {
    const int64_t pieces = (count + MG_INDEX_ROWS - 1) / MG_INDEX_ROWS;
    MG_INDEX_THREADS
    for (int64_t task = 0; task < outer * pieces; task++) {
        const int64_t o = task / pieces, start = task % pieces * MG_INDEX_ROWS;
        const int64_t stop = count - start < MG_INDEX_ROWS ? count : start + MG_INDEX_ROWS;
        const char *const from = x + o * size * bytes;
        char *const to = out + o * count * bytes;
        for (int64_t i = start; i < stop; i++) memcpy(to + i * bytes, from + at[i] * bytes, bytes);
    }
}

#define MG_INDEX_WORDS(WORD, bits)                                                                                      \
    /* out[o, i] = x[o, at[i]] */                                                                                       \
    static void mg_take_##bits(const WORD *x, const int64_t *at, WORD *out, int64_t outer, int64_t size, int64_t count, \
                               int threads) {                                                                           \
        const int64_t pieces = (count + MG_INDEX_SPAN - 1) / MG_INDEX_SPAN;                                             \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t task = 0; task < outer * pieces; task++) {                                                         \
            const int64_t o = task / pieces, start = task % pieces * MG_INDEX_SPAN;                                     \
            const int64_t stop = count - start < MG_INDEX_SPAN ? count : start + MG_INDEX_SPAN;                         \
            for (int64_t i = start; i < stop; i++) out[o * count + i] = x[o * size + at[i]];                            \
        }                                                                                                               \
    }                                                                                                                   \
    /* out[o, i, k] = x[o, at[o, i, k], k] */                                                                           \
    static void mg_gather_##bits(const WORD *x, const int64_t *at, WORD *out, int64_t outer, int64_t size, int64_t inner, \
                                 int64_t count, int threads) {                                                          \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t o = 0; o < outer; o++) {                                                                           \
            const WORD *from = x + o * size * inner;                                                                    \
            const int64_t *places = at + o * count * inner;                                                             \
            WORD *to = out + o * count * inner;                                                                         \
            if (inner == 1) { for (int64_t i = 0; i < count; i++) to[i] = from[places[i]]; continue; }                  \
            for (int64_t i = 0; i < count * inner; i += inner)                                                          \
                for (int64_t k = 0; k < inner; k++) to[i + k] = from[places[i + k] * inner + k];                        \
        }                                                                                                               \
    }

#define MG_INDEX_REALS(REAL, bits)                                                                                      \
    /* table[o, at[i], :] += source[o, i, :] in the order of i */                                                       \
    static void mg_add_rows_##bits(const REAL *source, const int64_t *at, REAL *table, int64_t outer, int64_t size,     \
                                   int64_t inner, int64_t count, int threads) {                                         \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t task = 0; task < outer * MG_INDEX_OWNERS; task++) {                                                \
            const int64_t o = task / MG_INDEX_OWNERS, owner = task % MG_INDEX_OWNERS;                                   \
            const int64_t first = (size * owner + MG_INDEX_OWNERS - 1) / MG_INDEX_OWNERS;                               \
            const int64_t last = (size * (owner + 1) + MG_INDEX_OWNERS - 1) / MG_INDEX_OWNERS;                          \
            for (int64_t i = 0; i < count; i++) {                                                                       \
                if (at[i] < first || at[i] >= last) continue;                                                           \
                const REAL *from = source + (o * count + i) * inner;                                                    \
                REAL *to = table + (o * size + at[i]) * inner;                                                          \
                _Pragma("omp simd") for (int64_t k = 0; k < inner; k++) to[k] += from[k];                               \
            }                                                                                                           \
        }                                                                                                               \
    }                                                                                                                   \
    /* table[o, at[o, i, k], k] = source[o, i, k], or += , in the order of i */                                         \
    static void mg_scatter_##bits(const REAL *source, const int64_t *at, REAL *table, int64_t outer, int64_t size,      \
                                  int64_t inner, int64_t count, int add, int threads) {                                 \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t o = 0; o < outer; o++) {                                                                           \
            const REAL *from = source + o * count * inner;                                                              \
            const int64_t *places = at + o * count * inner;                                                             \
            REAL *to = table + o * size * inner;                                                                        \
            if (inner == 1 && add) { for (int64_t i = 0; i < count; i++) to[places[i]] += from[i]; continue; }          \
            if (inner == 1) { for (int64_t i = 0; i < count; i++) to[places[i]] = from[i]; continue; }                  \
            for (int64_t i = 0; i < count * inner; i += inner)                                                          \
                for (int64_t k = 0; k < inner; k++) {                                                                   \
                    REAL *element = to + places[i + k] * inner + k;                                                     \
                    *element = add ? *element + from[i + k] : from[i + k];                                              \
                }                                                                                                       \
        }                                                                                                               \
    }

typedef uint32_t __attribute__((may_alias)) mg_index_word32;
typedef uint64_t __attribute__((may_alias)) mg_index_word64;
MG_INDEX_WORDS(mg_index_word32, 32)
MG_INDEX_WORDS(mg_index_word64, 64)
MG_INDEX_REALS(float, 32)
MG_INDEX_REALS(double, 64)
#undef MG_INDEX_WORDS
#undef MG_INDEX_REALS

#endif
