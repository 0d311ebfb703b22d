/* softmax and loss kernels: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_LOSS_H
#define MINIGRAD_LOSS_H

#define KERNELS "loss_kernels.h"
#include "multiversion.h"

#define softmax_forward(x, ...) MG_CALL(softmax_forward, x)(x, __VA_ARGS__)
#define softmax_backward(x, ...) MG_CALL(softmax_backward, x)(x, __VA_ARGS__)
#define cross_entropy_forward(x, ...) MG_CALL(cross_entropy_forward, x)(x, __VA_ARGS__)
#define cross_entropy_backward(x, ...) MG_CALL(cross_entropy_backward, x)(x, __VA_ARGS__)
#define nll_forward(x, ...) MG_CALL(nll_forward, x)(x, __VA_ARGS__)
#define nll_backward(x, ...) MG_CALL(nll_backward, x)(x, __VA_ARGS__)
#define log_sum_exp(x, ...) MG_CALL(log_sum_exp, x)(x, __VA_ARGS__)
#define multilabel_margin(x, ...) MG_CALL(multilabel_margin, x)(x, __VA_ARGS__)
#define multi_margin(x, ...) MG_CALL(multi_margin, x)(x, __VA_ARGS__)
#define squared_error(x, ...) MG_CALL(squared_error, x)(x, __VA_ARGS__)
#define absolute_error(x, ...) MG_CALL(absolute_error, x)(x, __VA_ARGS__)
#define absolute_error_gradient(x, ...) MG_CALL(absolute_error_gradient, x)(x, __VA_ARGS__)
#define huber_error(x, ...) MG_CALL(huber_error, x)(x, __VA_ARGS__)
#define huber_error_gradient(x, ...) MG_CALL(huber_error_gradient, x)(x, __VA_ARGS__)
#define logit_error(x, ...) MG_CALL(logit_error, x)(x, __VA_ARGS__)
#define logit_error_gradient(x, ...) MG_CALL(logit_error_gradient, x)(x, __VA_ARGS__)
#define scaled_difference(x, ...) MG_CALL(scaled_difference, x)(x, __VA_ARGS__)

#endif
