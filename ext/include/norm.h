/* Normalisation kernels: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_NORM_H
#define MINIGRAD_NORM_H

#define KERNELS "norm_kernels.h"
#include "multiversion.h"

#define batch_norm_forward(x, ...) MG_CALL(batch_norm_forward, x)(x, __VA_ARGS__)
#define batch_norm_backward(x, ...) MG_CALL(batch_norm_backward, x)(x, __VA_ARGS__)
#define row_norm_forward(x, ...) MG_CALL(row_norm_forward, x)(x, __VA_ARGS__)
#define row_norm_backward(x, ...) MG_CALL(row_norm_backward, x)(x, __VA_ARGS__)

#endif
