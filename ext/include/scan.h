/* Running sums and products along the middle axis of (outer, n, inner), of floats in double. Each line has one owner and a fixed order. */
#ifndef MINIGRAD_SCAN_H
#define MINIGRAD_SCAN_H

#include <stdint.h>
#include <string.h>

#define MG_SCAN_LINES 8 /* lines side by side, so that an addition need not wait for the last one */
/* Rows come by so many elements: read before any result is written. Element by element, where x and the result lie at the same place
   in their pages, each load waits for the store of a neighbouring row: 256 rows of 1024 floats took 600 us instead of 78. */
#define MG_SCAN_SPAN 16
#define MG_IS_FLOAT(TYPE) ((TYPE)0.5 != 0)

/* A sum of integers need not wait, so rows of them come one by one (256 of 1024: 64 us, side by side 88).
   out[o, k, i] = x[o, 0, i] OP ... OP x[o, k, i]; backwards from the end if `reverse`. */
#define MG_SCAN(NUMBER, TOTAL, OP, identity, name)                                                                       \
    static void name##_rows(const NUMBER *x, NUMBER *out, int64_t n, int reverse) {                                      \
        NUMBER part[MG_SCAN_LINES][MG_SCAN_SPAN];                                                                        \
        TOTAL total[MG_SCAN_LINES];                                                                                      \
        for (int l = 0; l < MG_SCAN_LINES; l++) total[l] = identity;                                                     \
        for (int64_t k = 0; k < n; k += MG_SCAN_SPAN) {                                                                  \
            const int size = n - k < MG_SCAN_SPAN ? (int)(n - k) : MG_SCAN_SPAN;                                         \
            const int64_t from = reverse ? n - k - size : k;                                                             \
            for (int l = 0; l < MG_SCAN_LINES; l++) memcpy(part[l], x + l * n + from, size * sizeof(NUMBER));            \
            for (int j = 0; j < size; j++) {                                                                             \
                const int here = reverse ? size - 1 - j : j;                                                             \
                _Pragma("GCC unroll 8") for (int l = 0; l < MG_SCAN_LINES; l++) {                                        \
                    total[l] = total[l] OP part[l][here];                                                                \
                    part[l][here] = (NUMBER)total[l];                                                                    \
                }                                                                                                        \
            }                                                                                                            \
            for (int l = 0; l < MG_SCAN_LINES; l++) memcpy(out + l * n + from, part[l], size * sizeof(NUMBER));          \
        }                                                                                                                \
    }                                                                                                                    \
    static void name(const NUMBER *x, NUMBER *out, int64_t outer, int64_t n, int64_t inner, int reverse, int threads) {  \
        const int64_t lines = outer * inner, groups = (lines + MG_SCAN_LINES - 1) / MG_SCAN_LINES;                       \
        const int64_t step = reverse ? -inner : inner;                                                                   \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                               \
        for (int64_t group = 0; group < groups; group++) {                                                               \
            const int64_t first = group * MG_SCAN_LINES, left = lines - first;                                           \
            const int count = left < MG_SCAN_LINES ? (int)left : MG_SCAN_LINES;                                          \
            if (inner == 1 && count == MG_SCAN_LINES && MG_IS_FLOAT(TOTAL)) {                                            \
                name##_rows(x + first * n, out + first * n, n, reverse);                                                 \
                continue;                                                                                                \
            }                                                                                                            \
            int64_t at[MG_SCAN_LINES];                                                                                   \
            TOTAL total[MG_SCAN_LINES];                                                                                  \
            for (int l = 0; l < MG_SCAN_LINES; l++) {                                                                    \
                const int64_t line = first + (l < count ? l : 0);                                                        \
                at[l] = (line / inner * n + (reverse ? n - 1 : 0)) * inner + line % inner;                               \
                total[l] = identity;                                                                                     \
            }                                                                                                            \
            if (count == MG_SCAN_LINES && inner > 1) {                                                                   \
                for (int64_t k = 0, move = 0; k < n; k++, move += step)                                                  \
                    _Pragma("GCC unroll 8") for (int l = 0; l < MG_SCAN_LINES; l++) {                                    \
                        total[l] = total[l] OP x[at[l] + move];                                                          \
                        out[at[l] + move] = (NUMBER)total[l];                                                            \
                    }                                                                                                    \
            } else {                                                                                                     \
                for (int l = 0; l < count; l++) {                                                                        \
                    TOTAL sum = identity;                                                                                \
                    for (int64_t k = 0, place = at[l]; k < n; k++, place += step) {                                      \
                        sum = sum OP x[place];                                                                           \
                        out[place] = (NUMBER)sum;                                                                        \
                    }                                                                                                    \
                }                                                                                                        \
            }                                                                                                            \
        }                                                                                                                \
    }

MG_SCAN(float, double, +, 0, mg_cumsum_f32)
MG_SCAN(double, double, +, 0, mg_cumsum_f64)
MG_SCAN(uint64_t, uint64_t, +, 0, mg_cumsum_i64) /* unsigned: it wraps */
MG_SCAN(float, double, *, 1, mg_cumprod_f32)
MG_SCAN(double, double, *, 1, mg_cumprod_f64)
MG_SCAN(uint64_t, uint64_t, *, 1, mg_cumprod_i64)
#undef MG_SCAN
#undef MG_IS_FLOAT

#endif
