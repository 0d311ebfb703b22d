/* Convolutions: geometry shared by every instruction set and type, and one name for each entry point.

   The three kernels relate an image (N, C, D, H, W), a kernel (O, C / groups, KD, KH, KW) and an output (N, O, OD, OH, OW):

       out[n, o, m] = sum over c, k of image[n, c, m * stride - padding + k * dilation] * kernel[o, c, k]

   conv_plan.h chooses among the algorithms; each of them is a file, conv_<algorithm>_kernels.h. */
#ifndef MINIGRAD_CONV_H
#define MINIGRAD_CONV_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t N, C, O, groups;
    int64_t winograd; /* tiles of Winograd's algorithm for 3x3 where the planner may choose it: 4, 2, or 0 for never */
    int64_t image[3], kernel[3], out[3], stride[3], padding[3], dilation[3];
} conv_geometry;

static inline int64_t conv_ceil_div(int64_t a, int64_t b) { return a / b + (a % b > 0); } /* b > 0, a of any sign */
static inline int64_t conv_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
static inline int64_t conv_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t conv_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* Takes `bytes` from the front of a scratch buffer, in whole cache lines. From a NULL buffer it only counts. */
typedef struct {
    char *base;
    int64_t used;
} conv_arena;

static void *conv_take(conv_arena *arena, int64_t bytes) {
    void *taken = arena->base ? arena->base + arena->used : NULL;
    arena->used += conv_round_up(bytes, 64);
    return taken;
}

#ifdef _OPENMP
#include <omp.h>
#define CONV_THREAD omp_get_thread_num()
#else
#define CONV_THREAD 0
#endif

#include "conv_plan.h"
#include "conv_strip.h"
#include "conv_winograd.h"
#include "thread_scratch.h"

#define KERNELS "conv_kernels.h"
#include "multiversion.h"

#define correlate(x, ...) MG_CALL(correlate, x)(x, __VA_ARGS__)
#define correlate_weight(x, ...) MG_CALL(correlate_weight, x)(x, __VA_ARGS__)
#define unfold(x, ...) MG_CALL(unfold, x)(x, __VA_ARGS__)
#define fold(columns, ...) MG_CALL(fold, columns)(columns, __VA_ARGS__)

#endif
