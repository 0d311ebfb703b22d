/* Resizing, padding and sampling: one name for each kernel, for both real types and every instruction set. */
#ifndef MINIGRAD_RESIZE_H
#define MINIGRAD_RESIZE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* Aligned to a cache line, for vectors that are loaded over and over. */
static void *mg_aligned_alloc(size_t bytes) { return aligned_alloc(64, (bytes + 64) / 64 * 64); }

static int32_t mg_largest(const int32_t *index, int64_t n) {
    int32_t most = -1;
    #pragma omp simd reduction(max : most)
    for (int64_t i = 0; i < n; i++) most = index[i] > most ? index[i] : most;
    return most;
}

/* What lies outside of an image that a grid samples. */
enum { MG_ZEROS, MG_BORDER, MG_REFLECTION };

#define MAP_SLOTS 8     /* rows whose columns are mapped and that a thread keeps */
#define MAP_BAND 64     /* rows of the result in one task */

#define KERNELS "resize_kernels.h"
#include "thread_scratch.h"
#include "multiversion.h"

#define map_planes(x, ...) MG_CALL(map_planes, x)(x, __VA_ARGS__)
#define sample(x, ...) MG_CALL(sample, x)(x, __VA_ARGS__)
#define sample_adjoint(g, ...) MG_CALL(sample_adjoint, g)(g, __VA_ARGS__)
#define grid_taps(g, ...) MG_CALL(grid_taps, g)(g, __VA_ARGS__)
#define sample_weights(g, ...) MG_CALL(sample_weights, g)(g, __VA_ARGS__)

#endif
