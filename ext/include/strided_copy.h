/* Copies between arrays of one shape and any strides, several at once and in threads: rows that are contiguous on both sides as
   memory, transposes in tiles, the rest element by element. Each element has one writer, so the result does not depend on the number of
   threads. */
#ifndef MINIGRAD_STRIDED_COPY_H
#define MINIGRAD_STRIDED_COPY_H

#include <stdint.h>
#include <string.h>

#define KERNELS "lines_kernels.h"
#include "multiversion.h"
#define copy_line(to, ...) MG_CALL(copy_line, to)(to, __VA_ARGS__)
#define fill_line(to, ...) MG_CALL(fill_line, to)(to, __VA_ARGS__)
#define reverse_line(to, ...) MG_CALL(reverse_line, to)(to, __VA_ARGS__)

#define MG_COPY_DIMS 64
#define MG_COPY_SPAN 65536 /* bytes that one task copies, or a row of fewer */
#define MG_COPY_TILE 32    /* elements on a side of a transposed tile: two cache lines of floats on either side */

/* One copy: its loops, outermost first, with strides in bytes; and what mg_plan_copy makes of them. */
typedef struct {
    char *target;
    const char *source;
    int ndim;
    int64_t shape[MG_COPY_DIMS], to[MG_COPY_DIMS], from[MG_COPY_DIMS];
    int side;                   /* the dimension along which the source of a transpose is contiguous, -1 for a copy by rows */
    int64_t tasks;
} mg_copy_plan;

/* Drops dimensions of size 1 and merges neighbours that lie one after the other on both sides; one dimension stays. */
static void mg_merge_copy(mg_copy_plan *p, int64_t item) {
    int kept = 0;
    for (int d = 0; d < p->ndim; d++) {
        if (p->shape[d] == 1) continue;
        if (kept && p->to[kept - 1] == p->to[d] * p->shape[d] && p->from[kept - 1] == p->from[d] * p->shape[d]) {
            p->shape[kept - 1] *= p->shape[d];
            p->to[kept - 1] = p->to[d];
            p->from[kept - 1] = p->from[d];
            continue;
        }
        p->shape[kept] = p->shape[d], p->to[kept] = p->to[d], p->from[kept] = p->from[d];
        kept++;
    }
    if (kept == 0) p->shape[0] = 1, p->to[0] = p->from[0] = item, kept = 1;
    p->ndim = kept;
}

/* Moves both pointers to place `index` of the loops before dimension `dims`, leaving out dimension `skip`. */
static inline void mg_copy_seek(const mg_copy_plan *p, int dims, int skip, int64_t index, char **to, const char **from) {
    for (int d = dims - 1; d >= 0; d--) {
        if (d == skip) continue;
        const int64_t i = index % p->shape[d];
        index /= p->shape[d];
        *to += i * p->to[d];
        *from += i * p->from[d];
    }
}

/* Moves both pointers to a row, with its place in each of the loops around it. */
static inline void mg_copy_start(const mg_copy_plan *p, int last, int64_t row, int64_t *at, char **to, const char **from) {
    for (int d = last - 1; d >= 0; d--) {
        at[d] = row % p->shape[d];
        row /= p->shape[d];
        *to += at[d] * p->to[d];
        *from += at[d] * p->from[d];
    }
}

/* Moves both to the next row: without the divisions, which cost 6 us of 47 for 1024 rows of 3 KB. */
static inline void mg_copy_next(const mg_copy_plan *p, int last, int64_t *at, char **to, const char **from) {
    for (int d = last - 1; d >= 0; d--) {
        *to += p->to[d];
        *from += p->from[d];
        if (++at[d] < p->shape[d]) return;
        *to -= p->shape[d] * p->to[d];
        *from -= p->shape[d] * p->from[d];
        at[d] = 0;
    }
}

static inline int64_t mg_copy_count(const mg_copy_plan *p, int dims, int skip) {
    int64_t count = 1;
    for (int d = 0; d < dims; d++)
        if (d != skip) count *= p->shape[d];
    return count;
}

/* Elements of a row in one task, and rows of fewer in one. */
static inline int64_t mg_copy_piece(int64_t item) { return MG_COPY_SPAN / item; }
static inline int64_t mg_copy_group(int64_t length, int64_t item) {
    return length < mg_copy_piece(item) ? mg_copy_piece(item) / length : 1;
}

static inline int64_t mg_copy_parts(int64_t n, int64_t size) { return (n + size - 1) / size; }

/* Cuts a copy of elements of `item` bytes into tasks. */
static void mg_plan_copy(mg_copy_plan *p, int64_t item) {
    mg_merge_copy(p, item);
    const int last = p->ndim - 1;
    const int64_t length = p->shape[last];
    p->side = -1;
    if (p->from[last] != item && p->to[last] == item && length >= 8)
        for (int d = 0; d < last; d++)
            if (p->from[d] == item && p->shape[d] >= 8) p->side = d;
    if (p->side >= 0)
        p->tasks = mg_copy_count(p, last, p->side) * mg_copy_parts(p->shape[p->side], MG_COPY_TILE);
    else
        p->tasks = mg_copy_parts(mg_copy_count(p, last, -1), mg_copy_group(length, item))
                   * mg_copy_parts(length, mg_copy_piece(item));
}

#define MG_STRIDED_COPY(WORD, name, COPY, FILL, REVERSE)                                                                           \
    /* rows x columns: `to` is contiguous along columns, `from` along rows */                                                 \
    static void name##_tile(char *to, int64_t to_row, const char *from, int64_t from_column, int64_t rows, int64_t columns) { \
        WORD tile[MG_COPY_TILE][MG_COPY_TILE];                                                                                \
        for (int64_t c = 0; c < columns; c++) {                                                                               \
            const WORD *line = (const WORD *)(from + c * from_column);                                                        \
            for (int64_t r = 0; r < rows; r++) tile[r][c] = line[r];                                                          \
        }                                                                                                                     \
        for (int64_t r = 0; r < rows; r++) memcpy(to + r * to_row, tile[r], columns * sizeof(WORD));                          \
    }                                                                                                                         \
    /* a strip of MG_COPY_TILE rows of a transpose */                                                                         \
    static void name##_strip(const mg_copy_plan *p, int64_t task) {                                                           \
        const int last = p->ndim - 1;                                                                                         \
        const int64_t item = sizeof(WORD), rows = p->shape[p->side], length = p->shape[last];                                 \
        const int64_t strips = mg_copy_parts(rows, MG_COPY_TILE), row = task % strips * MG_COPY_TILE, left = rows - row;      \
        char *to = p->target;                                                                                                 \
        const char *from = p->source;                                                                                         \
        mg_copy_seek(p, last, p->side, task / strips, &to, &from);                                                            \
        for (int64_t c = 0; c < length; c += MG_COPY_TILE)                                                                    \
            name##_tile(to + row * p->to[p->side] + c * item, p->to[p->side], from + row * item + c * p->from[last], p->from[last],\
                        left < MG_COPY_TILE ? left : MG_COPY_TILE, length - c < MG_COPY_TILE ? length - c : MG_COPY_TILE);    \
    }                                                                                                                         \
    static void name##_row(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n) {                       \
        const int64_t item = sizeof(WORD);                                                                                    \
        if (to_step == item && from_step == item) COPY((WORD *)to, (const WORD *)from, n);                                    \
        else if (to_step == item && from_step == -item) REVERSE((WORD *)to, (const WORD *)from - (n - 1), n);                 \
        else if (to_step == item && from_step == 0) FILL((WORD *)to, *(const WORD *)from, n);                                 \
        else for (int64_t i = 0; i < n; i++) *(WORD *)(to + i * to_step) = *(const WORD *)(from + i * from_step);             \
    }                                                                                                                         \
    /* about MG_COPY_SPAN bytes: some rows, or a piece of one */                                                              \
    static void name##_rows(const mg_copy_plan *p, int64_t task) {                                                            \
        const int last = p->ndim - 1;                                                                                         \
        const int64_t length = p->shape[last], piece = mg_copy_piece(sizeof(WORD)), group = mg_copy_group(length, sizeof(WORD));\
        const int64_t rows = mg_copy_count(p, last, -1), pieces = mg_copy_parts(length, piece), start = task % pieces * piece;\
        const int64_t n = length - start < piece ? length - start : piece;                                                    \
        const int64_t first = task / pieces * group, end = rows - first < group ? rows : first + group;                       \
        char *to = p->target + start * p->to[last];                                                                           \
        const char *from = p->source + start * p->from[last];                                                                 \
        int64_t at[MG_COPY_DIMS];                                                                                             \
        mg_copy_start(p, last, first, at, &to, &from);                                                                        \
        for (int64_t row = first; row < end; row++) {                                                                         \
            name##_row(to, p->to[last], from, p->from[last], n);                                                              \
            mg_copy_next(p, last, at, &to, &from);                                                                            \
        }                                                                                                                     \
    }                                                                                                                         \
    static void name(const mg_copy_plan *p, int64_t task) {                                                                   \
        if (p->side >= 0) name##_strip(p, task);                                                                              \
        else name##_rows(p, task);                                                                                            \
    }

static inline void mg_copy_bytes(uint8_t *to, const uint8_t *from, int64_t n) { memcpy(to, from, n); }
static inline void mg_fill_bytes(uint8_t *to, uint8_t value, int64_t n) { memset(to, value, n); }
static inline void mg_reverse_bytes(uint8_t *restrict to, const uint8_t *restrict from, int64_t n) {
    for (int64_t i = 0; i < n; i++) to[i] = from[n - 1 - i];
}
MG_STRIDED_COPY(float, mg_copy_32, copy_line, fill_line, reverse_line)
MG_STRIDED_COPY(double, mg_copy_64, copy_line, fill_line, reverse_line)
MG_STRIDED_COPY(uint8_t, mg_copy_8, mg_copy_bytes, mg_fill_bytes, mg_reverse_bytes)
#undef MG_STRIDED_COPY

/* Makes copies of elements of 1, 4 or 8 bytes, which mg_plan_copy has seen. All are cut into as many slices, and a thread makes the same
   slices of each: pieces of one row are then written by one thread (two matrices of 512 KB side by side: 71 us by whole copies, 14 so). */
static void mg_copy(const mg_copy_plan *plans, int count, int64_t item, int threads) {
    int64_t slices = 0;
    for (int i = 0; i < count; i++)
        if (plans[i].tasks > slices) slices = plans[i].tasks;
    #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t t = 0; t < slices * count; t++) {
        const mg_copy_plan *p = plans + t % count;
        const int64_t slice = t / count, end = (slice + 1) * p->tasks / slices;
        for (int64_t task = slice * p->tasks / slices; task < end; task++) {
            if (item == 4) mg_copy_32(p, task);
            else if (item == 8) mg_copy_64(p, task);
            else mg_copy_8(p, task);
        }
    }
}

#endif
