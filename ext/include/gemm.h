/* Matrix products: one name for each entry point, for both real types and every instruction set. */
#ifndef MINIGRAD_GEMM_H
#define MINIGRAD_GEMM_H

#ifdef _OPENMP
#include <omp.h>
#endif

#include "thread_scratch.h"

#define GEMM_TILE_FLOPS 1e6 /* about 10 us of work on one core, what a thread of its own must be worth */
#define GEMM_TILE_BYTES 5e5 /* the same where memory is the limit, as for a matrix by a vector */
/* C of at most so many elements is summed in parts, where K is so many times as long as its sides: (32, 8192) @ (8192, 32) took
   368 us in tiles of C, and takes 100 in eight parts */
#define GEMM_DEEP_SIZE 4096
#define GEMM_DEEP_RATIO 16
#define GEMM_DEEP_K 512 /* the least length of a part */
#define KERNELS "gemm_parallel_kernels.h"
#include "multiversion.h"

#define gemm_block(M, N, K, A, ...) MG_CALL(gemm_block, A)(M, N, K, A, __VA_ARGS__)
#define gemm(batch, M, N, K, A, ...) MG_CALL(gemm, A)(batch, M, N, K, A, __VA_ARGS__)

#endif
