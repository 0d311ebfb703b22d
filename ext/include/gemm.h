/* Matrix products: one name for each entry point, for both real types and every instruction set. */
#ifndef MINIGRAD_GEMM_H
#define MINIGRAD_GEMM_H

#define KERNELS "gemm_kernels.h"
#include "multiversion.h"

#define gemm_block(M, N, K, A, ...) MG_CALL(gemm_block, A)(M, N, K, A, __VA_ARGS__)

#endif
