/* Connectionist temporal classification: one name for each kernel, for both real types and every instruction set. */
#ifndef MINIGRAD_CTC_H
#define MINIGRAD_CTC_H

#define KERNELS "ctc_kernels.h"
#include "multiversion.h"

#define ctc_losses(x, ...) MG_CALL(ctc_losses, x)(x, __VA_ARGS__)
#define ctc_gradient(x, ...) MG_CALL(ctc_gradient, x)(x, __VA_ARGS__)

#endif
