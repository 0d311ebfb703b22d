/* Matrix products: one name for each entry point, for both real types and every instruction set. */
#ifndef MINIGRAD_GEMM_H
#define MINIGRAD_GEMM_H

#ifdef _OPENMP
#include <omp.h>
#endif

#include "thread_scratch.h"

#define GEMM_TILE_FLOPS 3e6 /* about 20 us of work on one core, what a thread of its own must be worth */
#define GEMM_TILE_BYTES 1e6 /* the same where memory is the limit, as for a matrix by a vector */
#define KERNELS "gemm_parallel_kernels.h"
#include "multiversion.h"

#define gemm_block(M, N, K, A, ...) MG_CALL(gemm_block, A)(M, N, K, A, __VA_ARGS__)
#define gemm(batch, M, N, K, A, ...) MG_CALL(gemm, A)(batch, M, N, K, A, __VA_ARGS__)

#endif
