/* Gathering and scattering along one axis: see index.pyx for the layout. WORD: any element of that size; NUMBER: what is added.
   A task looks whether its indices are in range before it uses them: the functions give 0, and nothing of use, if one is not. */
#ifndef MINIGRAD_INDEX_ROWS_H
#define MINIGRAD_INDEX_ROWS_H

#include <stdint.h>
#include <string.h>

#define KERNELS "index_kernels.h"
#include "multiversion.h"
#define add_rows_to(to, ...) MG_CALL(add_rows_to, to)(to, __VA_ARGS__)

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

/* at = at * size + next for n indices `next` into the dimension after those of `at`, of this size, from whose end negative ones count.
   Whether all are in range. */
static int mg_merge_indices(int64_t *at, const int64_t *next, int64_t n, int64_t size, int threads) {
    int outside = 0;
    MG_INDEX_THREADS
    for (int64_t start = 0; start < n; start += MG_INDEX_SPAN) {
        const int64_t count = n - start < MG_INDEX_SPAN ? n - start : MG_INDEX_SPAN;
        outside |= !MG_PICK(merge, f64)(at + start, next + start, count, size);
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

/* The largest of n numbers, 0 for none; -1 if one of them is negative. */
static int64_t mg_largest(const int64_t *x, int64_t n) { return MG_PICK(largest, f64)(x, n); }

/* counts[v] = how often v is among n numbers in [0, size). Where a table of 3 * size is given, neighbours count in tables of their own,
   since an addition to the same place would wait for the last one. */
static void mg_count_each(const int64_t *x, int64_t n, int64_t *counts, int64_t *table, int64_t size) {
    int64_t i = 0;
    memset(counts, 0, size * sizeof *counts);
    if (table) {
        memset(table, 0, 3 * size * sizeof *table);
        for (; i + 4 <= n; i += 4) {
            counts[x[i]]++;
            table[x[i + 1]]++;
            table[size + x[i + 2]]++;
            table[2 * size + x[i + 3]]++;
        }
        for (int64_t v = 0; v < size; v++) counts[v] += table[v] + table[size + v] + table[2 * size + v];
    }
    for (; i < n; i++) counts[x[i]]++;
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
    /* table = x; then table[o, at[i]] = source[o, i] in the order of i */                                              \
    static void mg_put_##bits(const WORD *source, const int64_t *at, WORD *table, int64_t count, int64_t first,         \
                              int64_t last) {                                                                           \
        for (int64_t i = 0; i < count; i++)                                                                             \
            if (at[i] >= first && at[i] < last) table[at[i]] = source[i];                                               \
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

/* The first entry of a dimension that a thread writes to; each has a part of its own, whatever their number. */
static inline int64_t mg_first_owned(int64_t size, int64_t owner, int owners) { return (size * owner + owners - 1) / owners; }

/* Integers are added as unsigned ones, which wrap. */
#define MG_ADD_ROWS(INTEGER, name)                                                                                      \
    static inline void name(INTEGER *restrict to, const INTEGER *restrict rows, const int64_t *at, int64_t n, int64_t inner) { \
        for (int64_t k = 0; k < n; k++)                                                                                 \
            for (int64_t i = 0; i < inner; i++) to[i] += rows[(at ? at[k] : k) * inner + i];                            \
    }
MG_ADD_ROWS(uint32_t, mg_add_rows_to_i32)
MG_ADD_ROWS(uint64_t, mg_add_rows_to_i64)
#undef MG_ADD_ROWS

#define MG_INDEX_NUMBERS(NUMBER, type, ADD_ROWS)                                                                        \
    /* table = x, or zeros without one; then table[o, at[i], :] += source[o, i, :] in the order of i, or source[from[i], :] */ \
    static int mg_add_rows_##type(const void *x, const void *rows, const int64_t *from, const int64_t *at, void *out,   \
                                  int64_t outer, int64_t size, int64_t inner, int64_t count, int threads) {             \
        const NUMBER *source = rows;                                                                                    \
        NUMBER *table = out;                                                                                            \
        int outside = 0;                                                                                                \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t task = 0; task < outer * threads; task++) {                                                        \
            const int64_t o = task / threads, owner = task % threads, line = inner * sizeof(NUMBER);                    \
            const int64_t first = mg_first_owned(size, owner, threads), last = mg_first_owned(size, owner + 1, threads); \
            mg_start_table((char *)table, (const char *)x, (o * size + first) * line, (last - first) * line);           \
            if (owner == 0) outside |= MG_INDEX_OUTSIDE(at, count);                                                     \
            for (int64_t i = 0, next; i < count; i = next) {                                                            \
                for (next = i + 1; next < count && at[next] == at[i];) next++;                                          \
                if (at[i] < first || at[i] >= last) continue;                                                           \
                ADD_ROWS(table + (o * size + at[i]) * inner, from ? source : source + (o * count + i) * inner,          \
                         from ? from + i : NULL, next - i, inner);                                                      \
            }                                                                                                           \
        }                                                                                                               \
        return !outside;                                                                                                \
    }                                                                                                                   \
    /* table = x, or zeros without one; then table[o, at[o, i, k], k] = source[o, i, k], or += , in the order of i */   \
    static int mg_scatter_##type(const void *x, const void *values, const int64_t *at, void *out, int64_t outer,        \
                                 int64_t size, int64_t inner, int64_t count, int add, int threads) {                    \
        const NUMBER *source = values;                                                                                  \
        NUMBER *table = out;                                                                                            \
        int outside = 0;                                                                                                \
        MG_INDEX_THREADS                                                                                                \
        for (int64_t o = 0; o < outer; o++) {                                                                           \
            const NUMBER *from = source + o * count * inner;                                                            \
            const int64_t *places = at + o * count * inner, line = size * inner * sizeof(NUMBER);                       \
            NUMBER *to = table + o * size * inner;                                                                      \
            mg_start_table((char *)table, (const char *)x, o * line, line);                                             \
            if (MG_INDEX_OUTSIDE(places, count * inner)) { outside = 1; continue; }                                     \
            if (inner == 1 && add) { for (int64_t i = 0; i < count; i++) to[places[i]] += from[i]; continue; }          \
            if (inner == 1) { for (int64_t i = 0; i < count; i++) to[places[i]] = from[i]; continue; }                  \
            for (int64_t i = 0; i < count * inner; i += inner)                                                          \
                for (int64_t k = 0; k < inner; k++) {                                                                   \
                    NUMBER *element = to + places[i + k] * inner + k;                                                   \
                    *element = add ? *element + from[i + k] : from[i + k];                                              \
                }                                                                                                       \
        }                                                                                                               \
        return !outside;                                                                                                \
    }

typedef uint32_t __attribute__((may_alias)) mg_index_word32;
typedef uint64_t __attribute__((may_alias)) mg_index_word64;
MG_INDEX_WORDS(mg_index_word32, 32)
MG_INDEX_WORDS(mg_index_word64, 64)
MG_INDEX_NUMBERS(float, f32, add_rows_to)
MG_INDEX_NUMBERS(double, f64, add_rows_to)
MG_INDEX_NUMBERS(uint32_t, i32, mg_add_rows_to_i32)
MG_INDEX_NUMBERS(uint64_t, i64, mg_add_rows_to_i64)
#undef MG_INDEX_WORDS
#undef MG_INDEX_NUMBERS

/* table = x; then table[o, at[i], :] = source[o, i, :] in the order of i, in rows of so many bytes. */
static int mg_put_rows(const char *x, const char *source, const int64_t *at, char *table, int64_t outer, int64_t size, int64_t bytes,
                       int64_t count, int threads) {
    int outside = 0;
    MG_INDEX_THREADS
    for (int64_t task = 0; task < outer * threads; task++) {
        const int64_t o = task / threads, owner = task % threads;
        const int64_t first = mg_first_owned(size, owner, threads), last = mg_first_owned(size, owner + 1, threads);
        const char *const from = source + o * count * bytes;
        char *const to = table + o * size * bytes;
        if (owner == 0) outside |= MG_INDEX_OUTSIDE(at, count);
        mg_start_table(table, x, (o * size + first) * bytes, (last - first) * bytes);
        if (bytes == 4) mg_put_32((const mg_index_word32 *)from, at, (mg_index_word32 *)to, count, first, last);
        else if (bytes == 8) mg_put_64((const mg_index_word64 *)from, at, (mg_index_word64 *)to, count, first, last);
        else
            for (int64_t i = 0; i < count; i++)
                if (at[i] >= first && at[i] < last) memcpy(to + at[i] * bytes, from + i * bytes, bytes);
    }
    return !outside;
}

typedef int (*mg_rows_adder)(const void *x, const void *rows, const int64_t *from, const int64_t *at, void *out, int64_t outer,
                             int64_t size, int64_t inner, int64_t count, int threads);
typedef int (*mg_scatterer)(const void *x, const void *values, const int64_t *at, void *out, int64_t outer, int64_t size, int64_t inner,
                            int64_t count, int add, int threads);

/* The functions for floats or integers of 4 or 8 bytes. */
static mg_rows_adder mg_find_rows_adder(int floats, int64_t item) {
    if (floats) return item == 4 ? mg_add_rows_f32 : mg_add_rows_f64;
    return item == 4 ? mg_add_rows_i32 : mg_add_rows_i64;
}
static mg_scatterer mg_find_scatterer(int floats, int64_t item) {
    if (floats) return item == 4 ? mg_scatter_f32 : mg_scatter_f64;
    return item == 4 ? mg_scatter_i32 : mg_scatter_i64;
}

#endif
