/* Optimizer updates: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_OPTIM_H
#define MINIGRAD_OPTIM_H

#include <math.h>

#define KERNELS "optim_kernels.h"
#include "multiversion.h"

#define optim_sgd(p, ...) MG_CALL(optim_sgd, p)(p, __VA_ARGS__)
#define optim_adam(p, ...) MG_CALL(optim_adam, p)(p, __VA_ARGS__)
#define optim_rmsprop(p, ...) MG_CALL(optim_rmsprop, p)(p, __VA_ARGS__)
#define optim_adagrad(p, ...) MG_CALL(optim_adagrad, p)(p, __VA_ARGS__)
#define optim_adadelta(p, ...) MG_CALL(optim_adadelta, p)(p, __VA_ARGS__)

#endif
