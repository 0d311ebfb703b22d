/* Elementwise kernels. Compiled through multiversion.h: see there for REAL and NAME.

   Each kernel is one expression, and each of these macros makes entry points of it:

       MG_UNARY      f(x, out, n, threads)                                  x[i]
       MG_UNARY_3    f(x, out, n, p, q, r, threads)                         x[i] and up to three parameters
       MG_BINARY     f(x, x_step, y, y_step, out, n, threads)               a = x[i], b = y[i]; a step of 0 (not 1): a scalar
                     f_3d(x, x_steps, y, y_steps, out, shape, threads)      over a box, the last steps 0 or 1, out contiguous
       MG_GRAD_3     f(g, x, out, n, p, q, r, threads)                      a = g[i], b = x[i] and up to three parameters

   out may be x or y itself. Threads take spans of fixed size, so that vector lanes, and with them the bits, do not depend on
   them. In a comparison the branch for NaN is the one that lets it through. */

#include "vecmath.h"

#ifndef MG_SPAN
#define MG_SPAN 8192
#define MG_MIN(x, y) ((x) < (y) ? (x) : (y))
#define MG_SIMD _Pragma("omp simd")
#define MG_FOR_SPANS                                                                  \
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)") \
    for (int64_t at = 0; at < n; at += MG_SPAN)
#endif

#define MG_UNARY(name, expression)                                                          \
    static void NAME(name##_span)(const REAL *x, REAL *out, int64_t n) {                    \
        MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; } \
    }                                                                                       \
    static void NAME(name)(const REAL *x, REAL *out, int64_t n, int threads) {              \
        if (threads <= 1) { NAME(name##_span)(x, out, n); return; }                         \
        MG_FOR_SPANS NAME(name##_span)(x + at, out + at, MG_MIN(n - at, MG_SPAN));          \
    }

#define MG_UNARY_3(name, expression)                                                                            \
    static void NAME(name##_span)(const REAL *x, REAL *out, int64_t n, const REAL p, const REAL q, const REAL r) { \
        (void)p, (void)q, (void)r;                                                                              \
        MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; }                   \
    }                                                                                                           \
    static void NAME(name)(const REAL *x, REAL *out, int64_t n, double p, double q, double r, int threads) {    \
        if (threads <= 1) { NAME(name##_span)(x, out, n, (REAL)p, (REAL)q, (REAL)r); return; }                  \
        MG_FOR_SPANS NAME(name##_span)(x + at, out + at, MG_MIN(n - at, MG_SPAN), (REAL)p, (REAL)q, (REAL)r);   \
    }

#define MG_BINARY(name, expression)                                                                                  \
    static void NAME(name##_span)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, REAL *out, int64_t n) { \
        if (x_step == 0) {                                                                                           \
            const REAL a = x[0];                                                                                     \
            MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL b = y[i * y_step]; out[i] = expression; }           \
        } else if (y_step == 0) {                                                                                    \
            const REAL b = y[0];                                                                                     \
            MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; }                    \
        } else {                                                                                                     \
            MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i], b = y[i]; out[i] = expression; }          \
        }                                                                                                            \
    }                                                                                                                \
    static void NAME(name)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, REAL *out, int64_t n,      \
                           int threads) {                                                                            \
        if (threads <= 1) { NAME(name##_span)(x, x_step, y, y_step, out, n); return; }                               \
        MG_FOR_SPANS NAME(name##_span)(x + at * x_step, x_step, y + at * y_step, y_step, out + at, MG_MIN(n - at, MG_SPAN)); \
    }                                                                                                                \
    static void NAME(name##_3d)(const REAL *x, const int64_t *x_steps, const REAL *y, const int64_t *y_steps, REAL *out, \
                                const int64_t *shape, int threads) {                                                 \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                           \
        for (int64_t row = 0; row < shape[0] * shape[1]; row++) {                                                    \
            const int64_t j = row / shape[1], k = row % shape[1];                                                    \
            NAME(name##_span)(x + j * x_steps[0] + k * x_steps[1], x_steps[2], y + j * y_steps[0] + k * y_steps[1], \
                              y_steps[2], out + row * shape[2], shape[2]);                                           \
        }                                                                                                            \
    }

#define MG_GRAD_3(name, expression)                                                                                     \
    static void NAME(name##_span)(const REAL *g, const REAL *x, REAL *out, int64_t n, const REAL p, const REAL q,      \
                                  const REAL r) {                                                                       \
        (void)p, (void)q, (void)r;                                                                                      \
        MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = g[i], b = x[i]; out[i] = expression; }                 \
    }                                                                                                                   \
    static void NAME(name)(const REAL *g, const REAL *x, REAL *out, int64_t n, double p, double q, double r, int threads) { \
        if (threads <= 1) { NAME(name##_span)(g, x, out, n, (REAL)p, (REAL)q, (REAL)r); return; }                       \
        MG_FOR_SPANS NAME(name##_span)(g + at, x + at, out + at, MG_MIN(n - at, MG_SPAN), (REAL)p, (REAL)q, (REAL)r);   \
    }

#define MG_SQRT_1_2 (REAL)0.70710678118654752440
#define MG_SQRT_2_PI (REAL)0.79788456080286535588           /* sqrt(2 / pi) */
#define MG_RSQRT_2_PI (REAL)0.39894228040143267794          /* 1 / sqrt(2 pi) */
#define MG_GELU_CUBE (REAL)0.044715

#if REAL_IS_FLOAT
#define MG_LIBM(name) name##f
#else
#define MG_LIBM(name) name
#endif

/* The shapes behind the expressions below. */

MG_INLINE REAL NAME(gelu_cdf)(REAL x) { return (REAL)0.5 * (1 + NAME(v_erf)(x * MG_SQRT_1_2)); }
MG_INLINE REAL NAME(gelu_slope)(REAL x) {
    return NAME(gelu_cdf)(x) + x * (MG_RSQRT_2_PI * NAME(v_exp)((REAL)-0.5 * x * x));
}
MG_INLINE REAL NAME(gelu_tanh_of)(REAL x) { return NAME(v_tanh)(MG_SQRT_2_PI * (x + MG_GELU_CUBE * x * x * x)); }
MG_INLINE REAL NAME(gelu_tanh_slope)(REAL x) {
    const REAL t = NAME(gelu_tanh_of)(x);
    return (REAL)0.5 * (1 + t + x * (1 - t * t) * (MG_SQRT_2_PI * (1 + 3 * MG_GELU_CUBE * x * x)));
}
MG_INLINE REAL NAME(silu_slope)(REAL x) {
    const REAL s = NAME(v_sigmoid)(x);
    return s * (1 + x * (1 - s));
}
/* tanh(softplus(x)) = w / (w + 2) with w = e^x (e^x + 2); beyond 40 it rounds to 1. */
MG_INLINE REAL NAME(mish_tanh)(REAL x) {
    const REAL e = NAME(v_exp)(x > 40 ? 40 : x), w = e * (e + 2);
    return w / (w + 2);
}
MG_INLINE REAL NAME(mish_slope)(REAL x) {
    const REAL t = NAME(mish_tanh)(x);
    return t + x * NAME(v_sigmoid)(x) * (1 - t * t);
}
MG_INLINE REAL NAME(clamped)(REAL x, REAL low, REAL high) {
    const REAL y = x < low ? low : x;
    return y > high ? high : y;
}
MG_INLINE REAL NAME(softplus_of)(REAL x, REAL beta, REAL threshold) {
    const REAL z = x * beta;
    return z > threshold ? x : NAME(v_log1p)(NAME(v_exp)(z)) / beta;
}
MG_INLINE REAL NAME(logsigmoid_of)(REAL x) {
    return (x > 0 ? 0 : x) - NAME(v_log1p)(NAME(v_exp)(-NAME(v_abs)(x)));
}

MG_BINARY(binary_add, a + b)
MG_BINARY(binary_sub, a - b)
MG_BINARY(binary_mul, a * b)
MG_BINARY(binary_div, a / b)
MG_BINARY(binary_maximum, (a > b) | (a != a) ? a : b)
MG_BINARY(binary_minimum, (a < b) | (a != a) ? a : b)
MG_BINARY(binary_prelu, a > 0 ? a : a * b)

MG_UNARY(unary_neg, -a)
MG_UNARY(unary_abs, NAME(v_abs)(a))
MG_UNARY(unary_sign, a > 0 ? 1 : (a < 0 ? -1 : a))
MG_UNARY(unary_square, a * a)
MG_UNARY(unary_reciprocal, 1 / a)
MG_UNARY(unary_sqrt, MG_LIBM(sqrt)(a))
MG_UNARY(unary_rsqrt, 1 / MG_LIBM(sqrt)(a))
MG_UNARY(unary_exp, NAME(v_exp)(a))
MG_UNARY(unary_expm1, NAME(v_expm1)(a))
MG_UNARY(unary_log, NAME(v_log)(a))
MG_UNARY(unary_log1p, NAME(v_log1p)(a))
MG_UNARY(unary_tanh, NAME(v_tanh)(a))
MG_UNARY(unary_sigmoid, NAME(v_sigmoid)(a))
MG_UNARY(unary_erf, NAME(v_erf)(a))

MG_UNARY(unary_relu, a <= 0 ? 0 : a)
MG_UNARY(unary_gelu, a * NAME(gelu_cdf)(a))
MG_UNARY(unary_gelu_tanh, (REAL)0.5 * a * (1 + NAME(gelu_tanh_of)(a)))
MG_UNARY(unary_silu, a * NAME(v_sigmoid)(a))
MG_UNARY(unary_mish, a * NAME(mish_tanh)(a))
MG_UNARY(unary_softsign, a / (1 + NAME(v_abs)(a)))
MG_UNARY(unary_logsigmoid, NAME(logsigmoid_of)(a))
MG_UNARY(unary_hardsigmoid, NAME(clamped)(a + 3, 0, 6) / 6)
MG_UNARY(unary_hardswish, a * NAME(clamped)(a + 3, 0, 6) / 6)
MG_UNARY_3(unary_leaky_relu, a > 0 ? a : a * p)
MG_UNARY_3(unary_elu, a <= 0 ? p * NAME(v_expm1)(a * r) : a * q)
MG_UNARY_3(unary_hardtanh, NAME(clamped)(a, p, q))
MG_UNARY_3(unary_softplus, NAME(softplus_of)(a, p, q))
MG_UNARY_3(unary_threshold, a <= p ? q : a)
MG_UNARY_3(unary_hardshrink, (a >= -p) & (a <= p) ? 0 : a)
MG_UNARY_3(unary_softshrink, a > p ? a - p : (a < -p ? a + p : a * 0))

/* Backward kernels: a is the incoming gradient, b the output for tanh, sigmoid and relu and the input for the others. */
MG_BINARY(binary_tanh_backward, a * (1 - b * b))
MG_BINARY(binary_sigmoid_backward, a * (1 - b) * b)
MG_BINARY(binary_relu_backward, b <= 0 ? 0 : a)
MG_BINARY(binary_gelu_backward, a * NAME(gelu_slope)(b))
MG_BINARY(binary_gelu_tanh_backward, a * NAME(gelu_tanh_slope)(b))
MG_BINARY(binary_silu_backward, a * NAME(silu_slope)(b))
MG_BINARY(binary_mish_backward, a * NAME(mish_slope)(b))
MG_BINARY(binary_logsigmoid_backward, a * NAME(v_sigmoid)(-b))
MG_BINARY(binary_hardsigmoid_backward, (b > -3) & (b < 3) ? a / 6 : 0)
MG_BINARY(binary_hardswish_backward, b <= -3 ? 0 : (b < 3 ? a * (b / 3 + (REAL)0.5) : a))
MG_GRAD_3(grad_leaky_relu, b > 0 ? a : a * p)
MG_GRAD_3(grad_elu, b <= 0 ? a * (p * r * NAME(v_exp)(b * r)) : a * q)
MG_GRAD_3(grad_hardtanh, (b <= p) | (b >= q) ? 0 : a)
MG_GRAD_3(grad_softplus, b * p > q ? a : a * NAME(v_sigmoid)(b * p))
MG_GRAD_3(grad_threshold, b <= p ? 0 : a)
MG_GRAD_3(grad_shrink, (b >= -p) & (b <= p) ? 0 : a)

#undef MG_UNARY
#undef MG_UNARY_3
#undef MG_BINARY
#undef MG_GRAD_3
#undef MG_LIBM
#undef MG_SQRT_1_2
#undef MG_SQRT_2_PI
#undef MG_RSQRT_2_PI
#undef MG_GELU_CUBE
