/* Reductions: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_REDUCE_H
#define MINIGRAD_REDUCE_H

#define KERNELS "reduce_kernels.h"
#include "multiversion.h"

#define reduce_sum(x, ...) MG_CALL(reduce_sum, x)(x, __VA_ARGS__)
#define reduce_prod(x, ...) MG_CALL(reduce_prod, x)(x, __VA_ARGS__)
#define reduce_deviation(x, ...) MG_CALL(reduce_deviation, x)(x, __VA_ARGS__)
#define reduce_square_deviation(x, ...) MG_CALL(reduce_square_deviation, x)(x, __VA_ARGS__)
#define reduce_max(x, ...) MG_CALL(reduce_max, x)(x, __VA_ARGS__)
#define reduce_min(x, ...) MG_CALL(reduce_min, x)(x, __VA_ARGS__)

#endif
