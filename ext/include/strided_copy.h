/* Copies between arrays of one shape and any strides, in threads: rows that are contiguous on both sides as memory, transposes in tiles,
   the rest element by element. Each element has one writer, so the result does not depend on the number of threads. */
#ifndef MINIGRAD_STRIDED_COPY_H
#define MINIGRAD_STRIDED_COPY_H

#include <stdint.h>
#include <string.h>

#define MG_COPY_DIMS 64
#define MG_COPY_SPAN 65536 /* bytes that one task copies, or a row of fewer */
#define MG_COPY_TILE 32    /* elements on a side of a transposed tile: two cache lines of floats on either side */

/* The loops of a copy, outermost first; strides in bytes. */
typedef struct {
    int ndim;
    int64_t shape[MG_COPY_DIMS], to[MG_COPY_DIMS], from[MG_COPY_DIMS];
} mg_copy_plan;

/* Drops dimensions of size 1 and merges neighbours that lie one after the other on both sides. */
static void mg_merge_copy(mg_copy_plan *p) {
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

static inline int64_t mg_copy_count(const mg_copy_plan *p, int dims, int skip) {
    int64_t count = 1;
    for (int d = 0; d < dims; d++)
        if (d != skip) count *= p->shape[d];
    return count;
}

#define MG_STRIDED_COPY(WORD, name)                                                                                       \
    /* rows x columns: `to` is contiguous along columns, `from` along rows */                                             \
    static void name##_tile(char *to, int64_t to_row, const char *from, int64_t from_column, int64_t rows, int64_t columns) { \
        WORD tile[MG_COPY_TILE][MG_COPY_TILE];                                                                            \
        for (int64_t c = 0; c < columns; c++) {                                                                           \
            const WORD *line = (const WORD *)(from + c * from_column);                                                    \
            for (int64_t r = 0; r < rows; r++) tile[r][c] = line[r];                                                      \
        }                                                                                                                 \
        for (int64_t r = 0; r < rows; r++) memcpy(to + r * to_row, tile[r], columns * sizeof(WORD));                      \
    }                                                                                                                     \
    static void name##_row(char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n) {                   \
        if (to_step == (int64_t)sizeof(WORD) && from_step == (int64_t)sizeof(WORD)) {                                     \
            memcpy(to, from, n * sizeof(WORD));                                                                           \
        } else if (to_step == (int64_t)sizeof(WORD) && from_step == -(int64_t)sizeof(WORD)) {                             \
            WORD *restrict a = (WORD *)to;                                                                                \
            const WORD *restrict b = (const WORD *)from - (n - 1);                                                        \
            for (int64_t i = 0; i < n; i++) a[i] = b[n - 1 - i];                                                          \
        } else if (to_step == (int64_t)sizeof(WORD) && from_step == 0) {                                                  \
            const WORD value = *(const WORD *)from;                                                                       \
            for (int64_t i = 0; i < n; i++) ((WORD *)to)[i] = value;                                                      \
        } else {                                                                                                          \
            for (int64_t i = 0; i < n; i++) *(WORD *)(to + i * to_step) = *(const WORD *)(from + i * from_step);          \
        }                                                                                                                 \
    }                                                                                                                     \
    static void name(char *to, const char *from, mg_copy_plan *p, int threads) {                                          \
        const int64_t item = sizeof(WORD);                                                                                \
        const int last = p->ndim - 1;                                                                                     \
        if (p->ndim == 0) { memcpy(to, from, item); return; }                                                             \
        const int64_t length = p->shape[last];                                                                            \
        int side = -1;                                                                                                    \
        for (int d = 0; d < last && p->from[last] != item; d++)                                                           \
            if (p->from[d] == item && p->shape[d] >= 8) side = d;                                                         \
        if (side >= 0 && p->to[last] == item && length >= 8) {                                                            \
            const int64_t outer = mg_copy_count(p, last, side), rows = p->shape[side];                                    \
            const int64_t blocks = (rows + MG_COPY_TILE - 1) / MG_COPY_TILE;                                              \
            _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                            \
            for (int64_t task = 0; task < outer * blocks; task++) {                                                       \
                char *a = to;                                                                                             \
                const char *b = from;                                                                                     \
                mg_copy_seek(p, last, side, task / blocks, &a, &b);                                                       \
                const int64_t row = task % blocks * MG_COPY_TILE, left = rows - row;                                      \
                const int64_t height = left < MG_COPY_TILE ? left : MG_COPY_TILE;                                         \
                for (int64_t c = 0; c < length; c += MG_COPY_TILE)                                                        \
                    name##_tile(a + row * p->to[side] + c * item, p->to[side], b + row * item + c * p->from[last],        \
                                p->from[last], height, length - c < MG_COPY_TILE ? length - c : MG_COPY_TILE);            \
            }                                                                                                             \
            return;                                                                                                       \
        }                                                                                                                 \
        /* tasks of about MG_COPY_SPAN bytes: some rows, or a piece of one */                                             \
        const int inner = last > 0 ? last - 1 : 0;                                                                        \
        const int64_t rows = mg_copy_count(p, last, -1), middle = last > 0 ? p->shape[inner] : 1, span = MG_COPY_SPAN / item; \
        const int64_t pieces = (length + span - 1) / span, group = length < span ? span / length : 1;                     \
        const int64_t to_step = p->to[last], from_step = p->from[last];                                                   \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                                \
        for (int64_t task = 0; task < (rows + group - 1) / group * pieces; task++) {                                      \
            const int64_t start = task % pieces * span, n = length - start < span ? length - start : span;                \
            const int64_t first = task / pieces * group, end = rows - first < group ? rows : first + group;               \
            for (int64_t row = first, run; row < end; row += run) {                                                       \
                char *a = to + start * to_step;                                                                           \
                const char *b = from + start * from_step;                                                                 \
                mg_copy_seek(p, last, -1, row, &a, &b);                                                                   \
                run = middle - row % middle < end - row ? middle - row % middle : end - row;                              \
                for (int64_t j = 0; j < run; j++)                                                                         \
                    name##_row(a + j * p->to[inner], to_step, b + j * p->from[inner], from_step, n);                      \
            }                                                                                                             \
        }                                                                                                                 \
    }

typedef uint32_t __attribute__((may_alias)) mg_word32;
typedef uint64_t __attribute__((may_alias)) mg_word64;
MG_STRIDED_COPY(mg_word32, mg_copy_32)
MG_STRIDED_COPY(mg_word64, mg_copy_64)
MG_STRIDED_COPY(uint8_t, mg_copy_8)
#undef MG_STRIDED_COPY

#endif
