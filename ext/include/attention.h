/* Attention: one name for each entry point, for both real types and every instruction set. */
#ifndef MINIGRAD_ATTENTION_H
#define MINIGRAD_ATTENTION_H

#include <stdint.h>

#include "thread_scratch.h"

/* q (B, H, L, E), k (B, H, S, E), v (B, H, S, V), out (B, H, L, V) and the gradients of q, k and v, whose last axis is
   contiguous: the strides of the others, in elements. bias: those of all axes of (B, H, L, S). */
typedef struct {
    int64_t B, H, L, S, E, V, q[3], k[3], v[3], out[3], bias[4], gq[3], gk[3], gv[3];
    double scale;
    int causal; /* query i sees keys 0 to i */
} attention_shape;

#define KERNELS "attention_kernels.h"
#include "multiversion.h"

#define attention_forward(x, ...) MG_CALL(attention_forward, x)(x, __VA_ARGS__)
#define attention_backward(x, ...) MG_CALL(attention_backward, x)(x, __VA_ARGS__)

#endif
