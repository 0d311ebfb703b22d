/* Elementwise kernels: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_ELEMENTWISE_H
#define MINIGRAD_ELEMENTWISE_H

#define KERNELS "elementwise_kernels.h"
#include "multiversion.h"

#define binary_add(x, ...) MG_CALL(binary_add, x)(x, __VA_ARGS__)
#define binary_sub(x, ...) MG_CALL(binary_sub, x)(x, __VA_ARGS__)
#define binary_mul(x, ...) MG_CALL(binary_mul, x)(x, __VA_ARGS__)
#define binary_div(x, ...) MG_CALL(binary_div, x)(x, __VA_ARGS__)

#endif
