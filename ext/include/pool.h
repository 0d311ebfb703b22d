/* Pooling: one name for each entry point, for both real types and every instruction set. */
#ifndef MINIGRAD_POOL_H
#define MINIGRAD_POOL_H

#include <stdint.h>
#ifdef _OPENMP
#include <omp.h>
#define POOL_THREAD omp_get_thread_num()
#else
#define POOL_THREAD 0
#endif

/* The windows along one axis. Output o reads the elements start[o], start[o] + dilation, ... below stop[o]; there is at least
   one, and all of them lie in the input. Where stride > 0 these are the taps o * stride - padding + j * dilation, j < kernel,
   that lie in the input; stride == 0 means windows without such a rule (adaptive pooling), for which dilation is 1. */
typedef struct {
    int64_t size, out;                              /* elements of the input and of the output */
    int64_t kernel, stride, padding, dilation;
    const int32_t *start, *stop;                    /* out of each, and POOL_SLACK readable elements more behind start */
    const double *divisor;                          /* average pooling: a sum is divided by the product over the three axes */
} pool_axis;

#define POOL_SLACK 16           /* at least the LANES of any instruction set */
#define POOL_COLUMNS 1024       /* outputs of a row that are computed at once: bounds the scratch */
#define POOL_LARGE 32           /* columns of a window that repay a maximum in vectors, whose lanes are compared at the end */
#define POOL_BLOCK 8192         /* elements, about, in a block: the unit of work that threads share out */

static inline int64_t pool_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t pool_max(int64_t a, int64_t b) { return a > b ? a : b; }

/* Rows of outputs (one for each output index along the first two axes) in a block; the rows of all planes are cut into such
   blocks. */
static inline int64_t pool_block_rows(const pool_axis *axes) { return pool_max(1, POOL_BLOCK / pool_max(1, axes[2].out)); }

/* How many taps output o has along this axis. */
static inline int64_t pool_taps(const pool_axis *axis, int64_t o) {
    if (axis->dilation == 1) return axis->stop[o] - axis->start[o];
    return (axis->stop[o] - axis->start[o] + axis->dilation - 1) / axis->dilation;
}

/* Whether the windows are the disjoint pairs (0, 1), (2, 3), ..., none of them cut off. */
static inline int pool_is_pairs(const pool_axis *axis) {
    return axis->kernel == 2 && axis->stride == 2 && axis->padding == 0 && axis->dilation == 1 && 2 * axis->out <= axis->size;
}

/* Whether the windows are such pairs along H and W, and D has one element. */
static inline int pool_is_2x2(const pool_axis *axes) {
    return axes[0].size == 1 && axes[0].out == 1 && pool_is_pairs(&axes[1]) && pool_is_pairs(&axes[2]);
}

/* Columns that POOL_COLUMNS outputs of a row can reach, with room for whole vectors at the end. */
static inline int64_t pool_reach(const pool_axis *axis) {
    if (axis->stride == 0) return axis->size + POOL_SLACK;
    const int64_t count = pool_min(axis->out, POOL_COLUMNS) + POOL_SLACK;
    return (count - 1) * axis->stride + (axis->kernel - 1) * axis->dilation + 1 + 2 * POOL_SLACK;
}

/* Whether max pooling takes windows one by one, a row of each in vectors: where they are wide, and few or far from each
   other. */
static inline int pool_by_windows(const pool_axis *axis) {
    const int close = axis->stride == 1 || axis->stride == 2;
    return axis->dilation == 1 && axis->kernel >= POOL_LARGE && (!close || axis->out <= 2);
}

/* `size` REALs and a gap behind them, so that no two threads' scratch shares a cache line, nor two neighbouring lines, which
   are fetched together. */
static inline int64_t pool_apart(int64_t size) { return (size + 255) / 128 * 128; }

/* REALs of scratch for each thread: for max pooling the maxima of the columns and where they are. */
static inline int64_t pool_max_scratch(const pool_axis *axes) {
    return pool_by_windows(&axes[2]) || pool_is_2x2(axes) ? 0 : pool_apart(2 * pool_reach(&axes[2]));
}

/* The windows first <= o < *end of an axis that hold element i, moved on from those of i - 1; whether they differ from them
   (those of element 0 always do). */
static inline int pool_holders(const pool_axis *axis, int64_t i, int64_t *first, int64_t *end) {
    const int64_t old_first = *first, old_end = *end;
    while (*first < axis->out && axis->stop[*first] <= i) ++*first;
    while (*end < axis->out && axis->start[*end] <= i) ++*end;
    return i == 0 || *first != old_first || *end != old_end;
}

/* REALs for the sums of a row of gradients, and zeros behind it as far as vectors over the padded row may read. */
static inline int64_t pool_avg_sums(const pool_axis *axis) { return axis->out + axis->size + axis->padding + 2 * POOL_SLACK; }

/* For average pooling the divisors of a row of outputs, one row of the input with its padding, and backward such sums before
   it. */
static inline int64_t pool_avg_scratch(const pool_axis *axes) {
    const int64_t row = axes[2].size + 2 * axes[2].padding + axes[2].kernel + axes[2].out * axes[2].stride + 3 * POOL_SLACK;
    return pool_apart(row + axes[2].out + pool_avg_sums(&axes[2]));
}

#define KERNELS "pool_kernels.h"
#include "multiversion.h"

#define max_pool_forward(x, ...) MG_CALL(max_pool_forward, x)(x, __VA_ARGS__)
#define avg_pool_forward(x, ...) MG_CALL(avg_pool_forward, x)(x, __VA_ARGS__)
#define avg_pool_backward(g, ...) MG_CALL(avg_pool_backward, g)(g, __VA_ARGS__)
#define gather_planes(x, ...) MG_CALL(gather_planes, x)(x, __VA_ARGS__)
#define scatter_planes(g, ...) MG_CALL(scatter_planes, g)(g, __VA_ARGS__)
#define scatter_2x2(g, ...) MG_CALL(scatter_2x2, g)(g, __VA_ARGS__)

#endif
