/* Recurrent kernels: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_RECURRENT_H
#define MINIGRAD_RECURRENT_H

#include "thread_scratch.h"

#define KERNELS "recurrent_kernels.h"
#include "multiversion.h"

#define lstm_forward(x, ...) MG_CALL(lstm_forward, x)(x, __VA_ARGS__)
#define lstm_backward(x, ...) MG_CALL(lstm_backward, x)(x, __VA_ARGS__)
#define gru_step(x, ...) MG_CALL(gru_step, x)(x, __VA_ARGS__)
#define gru_step_backward(x, ...) MG_CALL(gru_step_backward, x)(x, __VA_ARGS__)

#endif
