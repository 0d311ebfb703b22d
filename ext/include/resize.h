/* Resizing, padding and sampling: one name for each kernel, for both real types and every instruction set. */
#ifndef MINIGRAD_RESIZE_H
#define MINIGRAD_RESIZE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* Aligned to a cache line, for vectors that are loaded over and over. */
static void *mg_aligned_alloc(size_t bytes) { return aligned_alloc(64, (bytes + 64) / 64 * 64); }

#define KERNELS "resize_kernels.h"
#include "multiversion.h"

#define map_planes(x, ...) MG_CALL(map_planes, x)(x, __VA_ARGS__)
#define sample(x, ...) MG_CALL(sample, x)(x, __VA_ARGS__)
#define sample_adjoint(g, ...) MG_CALL(sample_adjoint, g)(g, __VA_ARGS__)
#define sample_weights(g, ...) MG_CALL(sample_weights, g)(g, __VA_ARGS__)

#endif
