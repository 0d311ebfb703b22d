/* Elementwise kernels: one name for each, for both real types and every instruction set. */
#ifndef MINIGRAD_ELEMENTWISE_H
#define MINIGRAD_ELEMENTWISE_H

#include <stdint.h>

#define MG_BOX_DIMS 8

/* The loops of a binary operation, outermost first: at least two, with the steps of its operands in elements. */
typedef struct {
    int ndim;
    int64_t size, shape[MG_BOX_DIMS], x[MG_BOX_DIMS], y[MG_BOX_DIMS];
} mg_box;

/* Where the operands of a row are, and how many rows are left in the innermost loop over rows. */
typedef struct { int64_t x, y, left; } mg_box_place;

static inline mg_box_place mg_box_row(const mg_box *box, int64_t row) {
    mg_box_place at = {0, 0, 0};
    for (int d = box->ndim - 2; d >= 0; d--) {
        const int64_t i = row % box->shape[d];
        row /= box->shape[d];
        at.x += i * box->x[d], at.y += i * box->y[d];
        if (d == box->ndim - 2) at.left = box->shape[d] - i;
    }
    return at;
}

#define KERNELS "elementwise_kernels.h"
#include "multiversion.h"

/* A kernel as a value: its two functions for this machine. MG_KERNEL(unary_kernel, unary_exp) is exp's. */
typedef struct {
    void (*f32)(const float *, float *, int64_t, int);
    void (*f64)(const double *, double *, int64_t, int);
} unary_kernel;

typedef struct {
    void (*f32)(const float *, float *, int64_t, double, double, double, int);
    void (*f64)(const double *, double *, int64_t, double, double, double, int);
} unary_3_kernel;

typedef struct {
    void (*f32)(const float *, const float *, float *, int64_t, double, double, double, int);
    void (*f64)(const double *, const double *, double *, int64_t, double, double, double, int);
} grad_3_kernel;

typedef struct {
    void (*f32)(const float *, const float *, float *, const mg_box *, int);
    void (*f64)(const double *, const double *, double *, const mg_box *, int);
    void (*flat_f32)(const float *, int64_t, const float *, int64_t, float *, int64_t, int);
    void (*flat_f64)(const double *, int64_t, const double *, int64_t, double *, int64_t, int);
} binary_kernel;

typedef struct {
    void (*f32)(const float *, int64_t, const float *, int64_t, const float *, int64_t, float *, int64_t, double, int);
    void (*f64)(const double *, int64_t, const double *, int64_t, const double *, int64_t, double *, int64_t, double, int);
} ternary_kernel;

#define MG_KERNEL(type, f) ((type){MG_PICK(f, f32), MG_PICK(f, f64)})
#define MG_BINARY_KERNEL(f) \
    ((binary_kernel){MG_PICK(f##_box, f32), MG_PICK(f##_box, f64), MG_PICK(f, f32), MG_PICK(f, f64)})

/* Those that exist for float only: numpy's loops serve double. */
#define MG_FLOAT_KERNEL(f) ((unary_kernel){MG_PICK(f, f32), NULL})
#define MG_FLOAT_BINARY_KERNEL(f) ((binary_kernel){MG_PICK(f##_box, f32), NULL, MG_PICK(f, f32), NULL})

#define glu(x, ...) MG_CALL(glu, x)(x, __VA_ARGS__)
#define glu_backward(x, ...) MG_CALL(glu_backward, x)(x, __VA_ARGS__)
#define binary_add(x, ...) MG_CALL(binary_add, x)(x, __VA_ARGS__)
#define binary_sub(x, ...) MG_CALL(binary_sub, x)(x, __VA_ARGS__)
#define binary_mul(x, ...) MG_CALL(binary_mul, x)(x, __VA_ARGS__)
#define binary_div(x, ...) MG_CALL(binary_div, x)(x, __VA_ARGS__)
#define binary_maximum(x, ...) MG_CALL(binary_maximum, x)(x, __VA_ARGS__)
#define binary_minimum(x, ...) MG_CALL(binary_minimum, x)(x, __VA_ARGS__)
#define binary_prelu(x, ...) MG_CALL(binary_prelu, x)(x, __VA_ARGS__)
#define unary_neg(x, ...) MG_CALL(unary_neg, x)(x, __VA_ARGS__)
#define unary_abs(x, ...) MG_CALL(unary_abs, x)(x, __VA_ARGS__)
#define unary_sign(x, ...) MG_CALL(unary_sign, x)(x, __VA_ARGS__)
#define unary_square(x, ...) MG_CALL(unary_square, x)(x, __VA_ARGS__)
#define unary_reciprocal(x, ...) MG_CALL(unary_reciprocal, x)(x, __VA_ARGS__)
#define unary_sqrt(x, ...) MG_CALL(unary_sqrt, x)(x, __VA_ARGS__)
#define unary_rsqrt(x, ...) MG_CALL(unary_rsqrt, x)(x, __VA_ARGS__)
#define unary_exp(x, ...) MG_CALL(unary_exp, x)(x, __VA_ARGS__)
#define unary_expm1(x, ...) MG_CALL(unary_expm1, x)(x, __VA_ARGS__)
#define unary_log(x, ...) MG_CALL(unary_log, x)(x, __VA_ARGS__)
#define unary_log1p(x, ...) MG_CALL(unary_log1p, x)(x, __VA_ARGS__)
#define unary_tanh(x, ...) MG_CALL(unary_tanh, x)(x, __VA_ARGS__)
#define unary_sigmoid(x, ...) MG_CALL(unary_sigmoid, x)(x, __VA_ARGS__)
#define unary_erf(x, ...) MG_CALL(unary_erf, x)(x, __VA_ARGS__)
#define unary_relu(x, ...) MG_CALL(unary_relu, x)(x, __VA_ARGS__)
#define unary_gelu(x, ...) MG_CALL(unary_gelu, x)(x, __VA_ARGS__)
#define unary_gelu_tanh(x, ...) MG_CALL(unary_gelu_tanh, x)(x, __VA_ARGS__)
#define unary_silu(x, ...) MG_CALL(unary_silu, x)(x, __VA_ARGS__)
#define unary_mish(x, ...) MG_CALL(unary_mish, x)(x, __VA_ARGS__)
#define unary_softsign(x, ...) MG_CALL(unary_softsign, x)(x, __VA_ARGS__)
#define unary_logsigmoid(x, ...) MG_CALL(unary_logsigmoid, x)(x, __VA_ARGS__)
#define unary_hardsigmoid(x, ...) MG_CALL(unary_hardsigmoid, x)(x, __VA_ARGS__)
#define unary_hardswish(x, ...) MG_CALL(unary_hardswish, x)(x, __VA_ARGS__)
#define unary_leaky_relu(x, ...) MG_CALL(unary_leaky_relu, x)(x, __VA_ARGS__)
#define unary_elu(x, ...) MG_CALL(unary_elu, x)(x, __VA_ARGS__)
#define unary_hardtanh(x, ...) MG_CALL(unary_hardtanh, x)(x, __VA_ARGS__)
#define unary_softplus(x, ...) MG_CALL(unary_softplus, x)(x, __VA_ARGS__)
#define unary_threshold(x, ...) MG_CALL(unary_threshold, x)(x, __VA_ARGS__)
#define unary_nan_to_num(x, ...) MG_CALL(unary_nan_to_num, x)(x, __VA_ARGS__)
#define unary_hardshrink(x, ...) MG_CALL(unary_hardshrink, x)(x, __VA_ARGS__)
#define unary_softshrink(x, ...) MG_CALL(unary_softshrink, x)(x, __VA_ARGS__)
#define binary_tanh_backward(x, ...) MG_CALL(binary_tanh_backward, x)(x, __VA_ARGS__)
#define binary_sigmoid_backward(x, ...) MG_CALL(binary_sigmoid_backward, x)(x, __VA_ARGS__)
#define binary_relu_backward(x, ...) MG_CALL(binary_relu_backward, x)(x, __VA_ARGS__)
#define binary_gelu_backward(x, ...) MG_CALL(binary_gelu_backward, x)(x, __VA_ARGS__)
#define binary_gelu_tanh_backward(x, ...) MG_CALL(binary_gelu_tanh_backward, x)(x, __VA_ARGS__)
#define binary_silu_backward(x, ...) MG_CALL(binary_silu_backward, x)(x, __VA_ARGS__)
#define binary_mish_backward(x, ...) MG_CALL(binary_mish_backward, x)(x, __VA_ARGS__)
#define binary_logsigmoid_backward(x, ...) MG_CALL(binary_logsigmoid_backward, x)(x, __VA_ARGS__)
#define binary_hardsigmoid_backward(x, ...) MG_CALL(binary_hardsigmoid_backward, x)(x, __VA_ARGS__)
#define binary_hardswish_backward(x, ...) MG_CALL(binary_hardswish_backward, x)(x, __VA_ARGS__)
#define grad_leaky_relu(x, ...) MG_CALL(grad_leaky_relu, x)(x, __VA_ARGS__)
#define grad_elu(x, ...) MG_CALL(grad_elu, x)(x, __VA_ARGS__)
#define grad_hardtanh(x, ...) MG_CALL(grad_hardtanh, x)(x, __VA_ARGS__)
#define grad_softplus(x, ...) MG_CALL(grad_softplus, x)(x, __VA_ARGS__)
#define grad_threshold(x, ...) MG_CALL(grad_threshold, x)(x, __VA_ARGS__)
#define grad_shrink(x, ...) MG_CALL(grad_shrink, x)(x, __VA_ARGS__)

#endif
