/* Gathering and scattering along one axis: see index.pyx for the layout. WORD: any element of that size; REAL: what is added.
   A task looks whether its indices are in range before it uses them: the functions give 0, and nothing of use, if one is not. */
#ifndef MINIGRAD_INDEX_ROWS_H
#define MINIGRAD_INDEX_ROWS_H

#include <stdint.h>
#include <string.h>

#define KERNELS "index_kernels.h"
#include "multiversion.h"
#define add_row(to, ...) MG_CALL(add_row, to)(to, __VA_ARGS__)

#define MG_INDEX_OWNERS 8   /* into how many parts the rows of a table are cut, each with one writer */
#define MG_INDEX_SPAN 4096
#define MG_INDEX_ROWS 64    /* whole rows that one task copies */
#define MG_INDEX_AHEAD 4    /* so many rows before its turn a row is fetched: rows of 512 bytes of a table of 5 MB, 22 us instead of 25 */
#define MG_INDEX_THREADS _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static) reduction(| : outside)")
#define MG_INDEX_OUTSIDE(at, n) (!MG_PICK(are_inside, f64)(at, n, size))

/* Copies n indices, if there is a place to copy them to; whether all are in [0, size). */
static int mg_check_indices(const int64_t *at, int64_t *to, int64_t n, int64_t size, int threads) {
    int outside = 0;
    MG_INDEX_THREADS
    for (int64_t start = 0; start < n; start += MG_INDEX_SPAN) {
        const int64_t count = n - start < MG_INDEX_SPAN ? n - start : MG_INDEX_SPAN;
        outside |= MG_INDEX_OUTSIDE(at + start, count);
        if (to) memcpy(to + start, at + start, count * sizeof *to);
    }
    return !outside;
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

static inline void mg_fetch_row(const char *row, int64_t bytes) {
    for (int64_t b = 0; b < bytes && b < 1024; b += 64) __builtin_prefetch(row + b);
}

/* out[o, i, :] = x[o, at[i], :] in rows of so many bytes */
static int mg_take_rows(const char *x, const int64_t *at, char *out, int64_t outer, int64_t size, int64_t bytes, int64_t count,
                        int threads) {
    const int64_t pieces = (count + MG_INDEX_ROWS - 1) / MG_INDEX_ROWS;
    int outside = 0;
    MG_INDEX_THREADS
    for (int64_t task = 0; task < outer * pieces; task++) {
        const int64_t o = task / pieces, start = task % pieces * MG_INDEX_ROWS;
        const int64_t stop = count - start < MG_INDEX_ROWS ? count : start + MG_INDEX_ROWS;
        const char *const from = x + o * size * bytes;
        char *const to = out + o * count * bytes;
        if (MG_INDEX_OUTSIDE(at + start, stop - start)) { outside = 1; continue; }
        for (int64_t i = start; i < stop; i++) {
            if (i + MG_INDEX_AHEAD < stop) mg_fetch_row(from + at[i + MG_INDEX_AHEAD] * bytes, bytes);
            memcpy(to + i * bytes, from + at[i] * bytes, bytes);
        }
    }
    return !outside;
}

#define MG_INDEX_WORDS(WORD, bits)                                                                                      \
    /* out[o, i] = x[o, at[i]] */                                                                                       \
    static int mg_take_##bits(const WORD *x, const int64_t *at, WORD *out, int64_t outer, int64_t size, int64_t count,  \
                              int threads) {                                                                            \
        const int64_t pieces = (count + MG_INDEX_SPAN - 1) / MG_INDEX_SPAN;                                             \
        int outside = 0;                                                                                                \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t task = 0; task < outer * pieces; task++) {                                                         \
            const int64_t o = task / pieces, start = task % pieces * MG_INDEX_SPAN;                                     \
            const int64_t stop = count - start < MG_INDEX_SPAN ? count : start + MG_INDEX_SPAN;                         \
            if (MG_INDEX_OUTSIDE(at + start, stop - start)) { outside = 1; continue; }                                  \
            for (int64_t i = start; i < stop; i++) out[o * count + i] = x[o * size + at[i]];                            \
        }                                                                                                               \
        return !outside;                                                                                                \
    }                                                                                                                   \
    /* out[o, i, k] = x[o, at[o, i, k], k] */                                                                           \
    static int mg_gather_##bits(const WORD *x, const int64_t *at, WORD *out, int64_t outer, int64_t size, int64_t inner, \
                                int64_t count, int threads) {                                                           \
        int outside = 0;                                                                                                \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t o = 0; o < outer; o++) {                                                                           \
            const WORD *from = x + o * size * inner;                                                                    \
            const int64_t *places = at + o * count * inner;                                                             \
            WORD *to = out + o * count * inner;                                                                         \
            if (MG_INDEX_OUTSIDE(places, count * inner)) { outside = 1; continue; }                                     \
            if (inner == 1) { for (int64_t i = 0; i < count; i++) to[i] = from[places[i]]; continue; }                  \
            for (int64_t i = 0; i < count * inner; i += inner)                                                          \
                for (int64_t k = 0; k < inner; k++) to[i + k] = from[places[i + k] * inner + k];                        \
        }                                                                                                               \
        return !outside;                                                                                                \
    }

/* What stands in a part of a table before something is added to it or put into it: that of x, or zeros if there is none. */
static inline void mg_start_table(char *table, const char *x, int64_t start, int64_t bytes) {
    if (!x) memset(table + start, 0, bytes);
    else if (x != table) memcpy(table + start, x + start, bytes);
}

#define MG_INDEX_REALS(REAL, bits)                                                                                      \
    /* table = x, or zeros without one; then table[o, at[i], :] += source[o, i, :] in the order of i */                 \
    static int mg_add_rows_##bits(const REAL *x, const REAL *source, const int64_t *at, REAL *table, int64_t outer,     \
                                  int64_t size, int64_t inner, int64_t count, int threads) {                            \
        int outside = 0;                                                                                                \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t task = 0; task < outer * MG_INDEX_OWNERS; task++) {                                                \
            const int64_t o = task / MG_INDEX_OWNERS, owner = task % MG_INDEX_OWNERS;                                   \
            const int64_t first = (size * owner + MG_INDEX_OWNERS - 1) / MG_INDEX_OWNERS;                               \
            const int64_t last = (size * (owner + 1) + MG_INDEX_OWNERS - 1) / MG_INDEX_OWNERS;                          \
            const int64_t line = inner * sizeof(REAL);                                                                  \
            mg_start_table((char *)table, (const char *)x, (o * size + first) * line, (last - first) * line);           \
            if (owner == 0) outside |= MG_INDEX_OUTSIDE(at, count);                                                     \
            for (int64_t i = 0; i < count; i++) {                                                                       \
                if (at[i] < first || at[i] >= last) continue;                                                           \
                add_row(table + (o * size + at[i]) * inner, source + (o * count + i) * inner, inner);                   \
            }                                                                                                           \
        }                                                                                                               \
        return !outside;                                                                                                \
    }                                                                                                                   \
    /* table = x, or zeros without one; then table[o, at[o, i, k], k] = source[o, i, k], or += , in the order of i */   \
    static int mg_scatter_##bits(const REAL *x, const REAL *source, const int64_t *at, REAL *table, int64_t outer,      \
                                 int64_t size, int64_t inner, int64_t count, int add, int threads) {                    \
        int outside = 0;                                                                                                \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t o = 0; o < outer; o++) {                                                                           \
            const REAL *from = source + o * count * inner;                                                              \
            const int64_t *places = at + o * count * inner, line = size * inner * sizeof(REAL);                         \
            REAL *to = table + o * size * inner;                                                                        \
            mg_start_table((char *)table, (const char *)x, o * line, line);                                             \
            if (MG_INDEX_OUTSIDE(places, count * inner)) { outside = 1; continue; }                                     \
            if (inner == 1 && add) { for (int64_t i = 0; i < count; i++) to[places[i]] += from[i]; continue; }          \
            if (inner == 1) { for (int64_t i = 0; i < count; i++) to[places[i]] = from[i]; continue; }                  \
            for (int64_t i = 0; i < count * inner; i += inner)                                                          \
                for (int64_t k = 0; k < inner; k++) {                                                                   \
                    REAL *element = to + places[i + k] * inner + k;                                                     \
                    *element = add ? *element + from[i + k] : from[i + k];                                              \
                }                                                                                                       \
        }                                                                                                               \
        return !outside;                                                                                                \
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
