/* Elementwise kernels. Compiled through multiversion.h: see there for REAL and NAME.

   Each kernel is one expression, and each of these macros makes entry points of it:

       MG_UNARY      f(x, out, n, threads)                                  x[i]
       MG_UNARY_3    f(x, out, n, p, q, r, threads)                         x[i] and up to three parameters
       MG_BINARY     f(x, x_step, y, y_step, out, n, threads)               a = x[i], b = y[i]; a step of 0 (not 1): a scalar
                     f_box(x, y, out, box, threads)                         over a box, the last steps 0 or 1, out contiguous
       MG_GRAD_3     f(g, x, out, n, p, q, r, threads)                      a = g[i], b = x[i] and up to three parameters
       MG_TERNARY    f(x, x_step, y, y_step, z, z_step, out, n, p, threads) a = x[i], b = y[i], c = z[i], steps 0 or 1, a parameter

   out may be x or y itself. Threads take spans of fixed size, so that vector lanes, and with them the bits, do not depend on
   them. In a comparison the branch for NaN is the one that lets it through. */

#include "vecmath.h"
#include <string.h>

#ifndef MG_SPAN
#define MG_SPAN 8192
#define MG_MIN(x, y) ((x) < (y) ? (x) : (y))
#define MG_SIMD _Pragma("omp simd")
#define MG_FOR_SPANS_FROM(first)                                                      \
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)") \
    for (int64_t at = first; at < n; at += MG_SPAN)
#define MG_FOR_SPANS MG_FOR_SPANS_FROM(0)
/* How many elements lie before the first cache line of an array that is written where it is read, if that is worth the
   while. Vectors that cross two lines, as all do in the arrays of numpy's malloc, take half as long again: relu_ of 1 MB 9.4
   instead of 7.2 us, add_ of 4 MB 55 instead of 46. Bits do not depend on where a vector starts (tests/test_overwrite.py). */
#define MG_HEAD(x, out) (x == out && n > MG_SPAN ? (int64_t)(-(uintptr_t)out % 64 / sizeof(REAL)) : 0)
#endif

#define MG_UNARY(name, expression)                                                          \
    static void NAME(name##_span)(const REAL *x, REAL *out, int64_t n) {                    \
        MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; } \
    }                                                                                       \
    static void NAME(name)(const REAL *x, REAL *out, int64_t n, int threads) {              \
        const int64_t head = MG_HEAD(x, out);                                               \
        if (head) NAME(name##_span)(x, out, head);                                          \
        if (threads <= 1) { NAME(name##_span)(x + head, out + head, n - head); return; }    \
        MG_FOR_SPANS_FROM(head) NAME(name##_span)(x + at, out + at, MG_MIN(n - at, MG_SPAN)); \
    }

#define MG_UNARY_3(name, expression)                                                                            \
    static void NAME(name##_span)(const REAL *x, REAL *out, int64_t n, const REAL p, const REAL q, const REAL r) { \
        (void)p, (void)q, (void)r;                                                                              \
        MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; }                   \
    }                                                                                                           \
    static void NAME(name)(const REAL *x, REAL *out, int64_t n, double p, double q, double r, int threads) {    \
        const int64_t head = MG_HEAD(x, out);                                                                   \
        if (head) NAME(name##_span)(x, out, head, (REAL)p, (REAL)q, (REAL)r);                                   \
        if (threads <= 1) { NAME(name##_span)(x + head, out + head, n - head, (REAL)p, (REAL)q, (REAL)r); return; } \
        MG_FOR_SPANS_FROM(head) NAME(name##_span)(x + at, out + at, MG_MIN(n - at, MG_SPAN), (REAL)p, (REAL)q, (REAL)r); \
    }

/* The entry points of a binary kernel, whose rows(...) are there: rows of n elements, those of out one after the other. A task has about
   MG_SPAN elements: some rows, or a piece of one. */
#define MG_BINARY_LOOPS(name)                                                                                           \
    static void NAME(name)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, REAL *out, int64_t n,          \
                           int threads) {                                                                               \
        const int64_t head = MG_HEAD(x, out);                                                                           \
        if (head) NAME(name##_rows)(x, 0, x_step, y, 0, y_step, out, 1, head);                                          \
        if (threads <= 1) {                                                                                             \
            NAME(name##_rows)(x + head * x_step, 0, x_step, y + head * y_step, 0, y_step, out + head, 1, n - head);     \
            return;                                                                                                     \
        }                                                                                                               \
        MG_FOR_SPANS_FROM(head) NAME(name##_rows)(x + at * x_step, 0, x_step, y + at * y_step, 0, y_step, out + at, 1,  \
                                                  MG_MIN(n - at, MG_SPAN));                                             \
    }                                                                                                                   \
    static void NAME(name##_box)(const REAL *x, const REAL *y, REAL *out, const mg_box *box, int threads) {             \
        const int last = box->ndim - 1;                                                                                 \
        const int64_t n = box->shape[last], x_step = box->x[last], y_step = box->y[last];                               \
        const int64_t rows = box->size / n, pieces = (n + MG_SPAN - 1) / MG_SPAN, group = n < MG_SPAN ? MG_SPAN / n : 1; \
        _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")                              \
        for (int64_t task = 0; task < (rows + group - 1) / group * pieces; task++) {                                    \
            const int64_t start = task % pieces * MG_SPAN, length = MG_MIN(n - start, MG_SPAN);                         \
            const int64_t first = task / pieces * group, end = MG_MIN(first + group, rows);                             \
            for (int64_t row = first, run; row < end; row += run) {                                                     \
                const mg_box_place at = mg_box_row(box, row);                                                           \
                run = MG_MIN(at.left, end - row);                                                                       \
                NAME(name##_rows)(x + at.x + start * x_step, box->x[last - 1], x_step, y + at.y + start * y_step,       \
                                  box->y[last - 1], y_step, out + row * n + start, run, length);                        \
            }                                                                                                           \
        }                                                                                                               \
    }

#define MG_ROWS for (int64_t r = 0; r < rows; r++, x += x_row, y += y_row, out += n)
#define MG_BINARY(name, expression)                                                                                     \
    static void NAME(name##_rows)(const REAL *x, int64_t x_row, int64_t x_step, const REAL *y, int64_t y_row, int64_t y_step, \
                                  REAL *out, int64_t rows, int64_t n) {                                                 \
        if (x_step == 0 && y_step == 0) {                                                                               \
            MG_ROWS { const REAL a = x[0], b = y[0]; MG_SIMD for (int64_t i = 0; i < n; i++) out[i] = expression; }     \
        } else if (x_step == 0) {                                                                                       \
            MG_ROWS { const REAL a = x[0]; MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL b = y[i]; out[i] = expression; } } \
        } else if (y_step == 0) {                                                                                       \
            MG_ROWS { const REAL b = y[0]; MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; } } \
        } else {                                                                                                        \
            MG_ROWS { MG_SIMD for (int64_t i = 0; i < n; i++) { const REAL a = x[i], b = y[i]; out[i] = expression; } } \
        }                                                                                                               \
    }                                                                                                                   \
    MG_BINARY_LOOPS(name)

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

#define MG_TERNARY(name, expression)                                                                                 \
    MG_INLINE void NAME(name##_steps)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, const REAL *z,   \
                                      int64_t z_step, REAL *out, int64_t n, const REAL p) {                          \
        (void)p;                                                                                                     \
        MG_SIMD for (int64_t i = 0; i < n; i++) {                                                                    \
            const REAL a = x[i * x_step], b = y[i * y_step], c = z[i * z_step];                                      \
            out[i] = expression;                                                                                     \
        }                                                                                                            \
    }                                                                                                                \
    static void NAME(name##_span)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, const REAL *z, int64_t z_step, \
                                  REAL *out, int64_t n, const REAL p) {                                              \
        if (x_step & y_step & z_step) NAME(name##_steps)(x, 1, y, 1, z, 1, out, n, p);                               \
        else if (x_step & y_step) NAME(name##_steps)(x, 1, y, 1, z, 0, out, n, p);                                   \
        else if (y_step & z_step) NAME(name##_steps)(x, 0, y, 1, z, 1, out, n, p);                                   \
        else NAME(name##_steps)(x, x_step, y, y_step, z, z_step, out, n, p);                                         \
    }                                                                                                                \
    static void NAME(name)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, const REAL *z, int64_t z_step, \
                           REAL *out, int64_t n, double p, int threads) {                                            \
        const int64_t head = MG_HEAD(x, out);                                                                        \
        if (head) NAME(name##_span)(x, x_step, y, y_step, z, z_step, out, head, (REAL)p);                            \
        MG_FOR_SPANS_FROM(head) NAME(name##_span)(x + at * x_step, x_step, y + at * y_step, y_step, z + at * z_step, z_step, \
                                                  out + at, MG_MIN(n - at, MG_SPAN), (REAL)p);                       \
    }

#define MG_SQRT_1_2 (REAL)0.70710678118654752440
#define MG_SQRT_2_PI (REAL)0.79788456080286535588           /* sqrt(2 / pi) */
#define MG_RSQRT_2_PI (REAL)0.39894228040143267794          /* 1 / sqrt(2 pi) */
#define MG_GELU_CUBE (REAL)0.044715

#if REAL_IS_FLOAT
#define MG_LIBM(name) name##f
typedef uint32_t __attribute__((may_alias)) NAME(elementwise_bits);
#else
#define MG_LIBM(name) name
typedef uint64_t __attribute__((may_alias)) NAME(elementwise_bits);
#endif
#define MG_BITS NAME(elementwise_bits)

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
/* c (x - c / 2), c = x clamped to [-delta, delta] */
MG_INLINE REAL NAME(huber_of)(REAL x, REAL delta) {
    const REAL c = NAME(clamped)(x, -delta, delta);
    return c * (x - (REAL)0.5 * c);
}
MG_INLINE REAL NAME(softplus_of)(REAL x, REAL beta, REAL threshold) {
    const REAL z = x * beta;
    return z > threshold ? x : ((z > 0 ? z : 0) + NAME(v_log1p_exp)(NAME(v_abs)(z))) / beta;
}
MG_INLINE REAL NAME(logsigmoid_of)(REAL x) {
    return (x > 0 ? 0 : x) - NAME(v_log1p_exp)(NAME(v_abs)(x));
}

/* log(e^x + e^y) = max + log1p(e^-|x - y|), where the difference of equal infinities is 0. */
MG_INLINE REAL NAME(logaddexp_of)(REAL x, REAL y) {
    const REAL d = x == y ? 0 : NAME(v_abs)(x - y);
    return (x > y ? x : y) + NAME(v_log1p_exp)(d);
}

MG_BINARY(binary_add, a + b)
MG_BINARY(binary_sub, a - b)
MG_BINARY(binary_mul, a * b)
MG_BINARY(binary_div, a / b)
MG_BINARY(binary_maximum, (a > b) | (a != a) ? a : b)
MG_BINARY(binary_minimum, (a < b) | (a != a) ? a : b)
MG_BINARY(binary_prelu, a > 0 ? a : a * b)
MG_BINARY(binary_same, (a == b) | ((a != a) & (b != b)) ? 1 : 0)

/* 1 / (x^2 + y^2), 0 at the origin */
MG_INLINE REAL NAME(inverse_square_of)(REAL x, REAL y) {
    const REAL square = x * x + y * y;
    return square == 0 ? 0 : 1 / square;
}

MG_BINARY(binary_inverse_square, NAME(inverse_square_of)(a, b))
MG_BINARY(binary_logaddexp, NAME(logaddexp_of)(a, b))
MG_BINARY(binary_xlogy, (a == 0) & (b == b) ? 0 : a * NAME(v_log)(b))

#if REAL_IS_FLOAT
/* sin(x + shift * pi / 2) for |x| <= 2^20, to 1.5 ulp: x less a multiple of pi / 2, in double and in two parts (Cody and Waite; the
   first part has 33 bits, so that its product with the multiple is exact), then the polynomials of Cephes's sinf and cosf. */
MG_INLINE float NAME(v_sine)(float x, uint32_t shift) {
    const double rounded = x * 0.63661977236758134308 + 6755399441055744.0, n = rounded - 6755399441055744.0;
    const float r = (float)((x - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11), z = r * r;
    union { double x; uint64_t bits; } low = {.x = rounded};
    const uint32_t quadrant = (uint32_t)low.bits + shift;
    const float s = r + r * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
    const float c = 1 - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
    const float y = quadrant & 1 ? c : s;
    return NAME(v_from_bits)(NAME(v_to_bits)(y) ^ (quadrant & 2) << 30);
}

/* sin and cos: elements beyond 2^20 are libm's. */
#define MG_SINE(name, shift, exact)                                                          \
    static void NAME(name##_span)(const float *x, float *out, int64_t n) {                   \
        float largest = 0;                                                                   \
        _Pragma("omp simd reduction(max : largest)")                                         \
        for (int64_t i = 0; i < n; i++) {                                                    \
            const float a = x[i], size = NAME(v_abs)(a);                                     \
            out[i] = NAME(v_sine)(a, shift);                                                 \
            largest = size > largest ? size : largest;                                       \
        }                                                                                    \
        if (largest > 0x1p20f)                                                               \
            for (int64_t i = 0; i < n; i++)                                                  \
                if (NAME(v_abs)(x[i]) > 0x1p20f) out[i] = exact(x[i]);                       \
    }                                                                                        \
    static void NAME(name)(const float *x, float *out, int64_t n, int threads) {             \
        MG_FOR_SPANS NAME(name##_span)(x + at, out + at, MG_MIN(n - at, MG_SPAN));           \
    }
MG_SINE(unary_sin, 0, sinf)
MG_SINE(unary_cos, 1, cosf)
#undef MG_SINE

/* out[n] normal, from n random words (one more if n is odd): in a span of m, words i and i + (m + 1) / 2 make a pair of numbers
   r cos(2 pi v), r sin(2 pi v) with r = sqrt(-2 log u), u in (0, 1) and v in [0, 1). */
static void NAME(normal_pairs)(const uint32_t *bits, float *out, int64_t n, int threads) {
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t at = 0; at < n; at += 1024) {
        const int64_t m = MG_MIN(n - at, 1024), half = (m + 1) / 2;
        const uint32_t *words = bits + at;
        float pair[1024];
        MG_SIMD for (int64_t i = 0; i < half; i++) {
            const float u = ((float)(int32_t)(words[i] >> 8) + 0.5f) * 0x1p-24f;
            const float v = (float)(int32_t)(words[half + i] >> 8) * (6.28318530717958647692f * 0x1p-24f);
            const float radius = __builtin_sqrtf(-2 * NAME(v_log)(u));
            pair[i] = radius * NAME(v_sine)(v, 1);
            pair[512 + i] = radius * NAME(v_sine)(v, 0);
        }
        memcpy(out + at, pair, half * sizeof(float));
        memcpy(out + at + half, pair + 512, (m - half) * sizeof(float));
    }
}

MG_INLINE float NAME(hypot_of)(float x, float y) {
    const double a = x, b = y;
    const float size = (float)__builtin_sqrt(a * a + b * b);
    return (NAME(v_abs)(x) == INFINITY) | (NAME(v_abs)(y) == INFINITY) ? INFINITY : size;
}

/* x / y rounded towards zero, in double, where fmod and floor division need it exact: below 2^28 it is, because the quotient of
   two floats is no closer to an integer than 2^-52 of itself. Beyond, and where y is no finite number, MG_QUOTIENT calls libm. */
static float NAME(floor_divide)(float x, float y) {
    if (y == 0) return x / y;
    const float rest = fmodf(x, y), quotient = (x - rest) / y - (rest != 0 && (rest < 0) != (y < 0));
    const float whole = floorf(quotient);
    return whole + (quotient - whole > 0.5f);
}
static float NAME(remainder)(float x, float y) {
    const float rest = fmodf(x, y);
    return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
MG_INLINE float NAME(fast_rest)(float x, float y, double quotient) {
    return NAME(v_copysign)((float)(x - __builtin_trunc(quotient) * y), x);
}
MG_INLINE float NAME(fast_remainder)(float x, float y, double quotient) {
    const float rest = NAME(fast_rest)(x, y, quotient);
    return (rest != 0) & ((rest < 0) != (y < 0)) ? rest + y : rest;
}

#define MG_QUOTIENT(name, fast, exact)                                                                                  \
    MG_INLINE int NAME(name##_fast)(const float *x, int64_t x_step, const float *y, int64_t y_step, float *out, int64_t n) { \
        int far = 0;                                                                                                    \
        _Pragma("omp simd reduction(| : far)")                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                                               \
            const float a = x[i * x_step], b = y[i * y_step];                                                           \
            const double q = (double)a / b;                                                                             \
            out[i] = (float)(fast);                                                                                     \
            far |= !(NAME(v_abs)((float)q) < 0x1p28f) | !(NAME(v_abs)(b) < INFINITY);                                   \
        }                                                                                                               \
        return far;                                                                                                     \
    }                                                                                                                   \
    static void NAME(name##_span)(const float *x, int64_t x_step, const float *y, int64_t y_step, float *out, int64_t n) { \
        const int far = x_step == 0 ? NAME(name##_fast)(x, 0, y, y_step, out, n)                                        \
                      : y_step == 0 ? NAME(name##_fast)(x, 1, y, 0, out, n) : NAME(name##_fast)(x, 1, y, 1, out, n);     \
        if (far)                                                                                                        \
            for (int64_t i = 0; i < n; i++) {                                                                           \
                const float a = x[i * x_step], b = y[i * y_step], q = (float)((double)a / b);                           \
                if (!(NAME(v_abs)(q) < 0x1p28f) | !(NAME(v_abs)(b) < INFINITY)) out[i] = exact(a, b);                   \
            }                                                                                                           \
    }                                                                                                                   \
    static void NAME(name##_rows)(const float *x, int64_t x_row, int64_t x_step, const float *y, int64_t y_row, int64_t y_step, \
                                  float *out, int64_t rows, int64_t n) {                                                \
        MG_ROWS NAME(name##_span)(x, x_step, y, y_step, out, n);                                                        \
    }                                                                                                                   \
    MG_BINARY_LOOPS(name)

MG_QUOTIENT(binary_floor_divide, __builtin_floor(q), NAME(floor_divide))
MG_QUOTIENT(binary_fmod, NAME(fast_rest)(a, b, q), fmodf)
MG_QUOTIENT(binary_remainder, NAME(fast_remainder)(a, b, q), NAME(remainder))
MG_BINARY(binary_hypot, NAME(hypot_of)(a, b))
#undef MG_QUOTIENT
#endif

/* One choice after the other: of nested ones GCC 12 makes six comparisons instead of three (1 MB: 19.4 instead of 14 us). */
MG_INLINE REAL NAME(finite_of)(REAL a, REAL nan, REAL above, REAL below) {
    REAL b = a == (REAL)INFINITY ? above : a;
    b = a == -(REAL)INFINITY ? below : b;
    return a != a ? nan : b;
}

MG_UNARY(unary_neg, -a)
MG_UNARY(unary_abs, NAME(v_abs)(a))
MG_UNARY(unary_sign, (REAL)(a > 0) - (REAL)(a < 0))
MG_UNARY(unary_floor, MG_LIBM(__builtin_floor)(a))
MG_UNARY(unary_ceil, MG_LIBM(__builtin_ceil)(a))
MG_UNARY(unary_trunc, MG_LIBM(__builtin_trunc)(a))
MG_UNARY(unary_frac, a - MG_LIBM(__builtin_trunc)(a))
MG_UNARY(unary_rint, MG_LIBM(__builtin_rint)(a))
MG_UNARY(unary_square, a * a)
MG_UNARY(unary_cube, a * a * a)
MG_UNARY(unary_inverse_of_square, 1 / (a * a))
MG_UNARY(unary_logit, NAME(v_log)(a / (1 - a)))
MG_UNARY(unary_reciprocal, 1 / a)
MG_UNARY(unary_sqrt, MG_LIBM(sqrt)(a))
MG_UNARY(unary_rsqrt, 1 / MG_LIBM(sqrt)(a))
#if REAL_IS_FLOAT && ISA_LEVEL == 4
#include "exp512.h"
MG_UNARY_512(unary_exp, mg_exp512(a))
MG_UNARY_512(unary_tanh, mg_tanh512(a))
MG_UNARY_512(unary_sigmoid, mg_sigmoid512(a))
MG_UNARY_512(unary_silu, _mm512_mul_ps(a, mg_sigmoid512(a)))
MG_UNARY_512(unary_gelu, _mm512_mul_ps(a, mg_normal512(a)))
MG_BINARY_512(binary_glu, _mm512_mul_ps(a, mg_sigmoid512(b)))
MG_BINARY_512(binary_gelu_backward, _mm512_mul_ps(a, mg_gelu_slope512(b)))
MG_BINARY_512(binary_silu_backward, _mm512_mul_ps(a, mg_silu_slope512(b)))
#undef MG_UNARY_512
#undef MG_BINARY_512
#else
MG_UNARY(unary_exp, NAME(v_exp)(a))
MG_UNARY(unary_tanh, NAME(v_tanh)(a))
MG_UNARY(unary_sigmoid, NAME(v_sigmoid)(a))
MG_UNARY(unary_silu, a * NAME(v_sigmoid)(a))
MG_UNARY(unary_gelu, a * NAME(gelu_cdf)(a))
MG_BINARY(binary_glu, a * NAME(v_sigmoid)(b))
MG_BINARY(binary_gelu_backward, a * NAME(gelu_slope)(b))
MG_BINARY(binary_silu_backward, a * NAME(silu_slope)(b))
#endif
MG_UNARY(unary_expm1, NAME(v_expm1)(a))
MG_UNARY(unary_log, NAME(v_log)(a))
MG_UNARY(unary_log1p, NAME(v_log1p)(a))
MG_UNARY(unary_erf, NAME(v_erf)(a))

MG_UNARY(unary_relu, a <= 0 ? 0 : a)
MG_UNARY(unary_gelu_tanh, (REAL)0.5 * a * (1 + NAME(gelu_tanh_of)(a)))
MG_UNARY(unary_mish, a * NAME(mish_tanh)(a))
MG_UNARY(unary_softsign, a / (1 + NAME(v_abs)(a)))
MG_UNARY(unary_logsigmoid, NAME(logsigmoid_of)(a))
MG_UNARY(unary_hardsigmoid, NAME(clamped)(a + 3, 0, 6) / 6)
MG_UNARY(unary_hardswish, a * NAME(clamped)(a + 3, 0, 6) / 6)
MG_UNARY_3(unary_leaky_relu, a > 0 ? a : a * p)
MG_UNARY_3(unary_elu, a <= 0 ? p * NAME(v_expm1)(a * r) : a * q)
MG_UNARY_3(unary_hardtanh, NAME(clamped)(a, p, q))
MG_UNARY_3(unary_huber, NAME(huber_of)(a, p))
MG_UNARY_3(unary_softplus, NAME(softplus_of)(a, p, q))
MG_UNARY_3(unary_threshold, a <= p ? q : a)
MG_UNARY_3(unary_nan_to_num, NAME(finite_of)(a, p, q, r))
MG_UNARY_3(unary_hardshrink, (a >= -p) & (a <= p) ? 0 : a)
MG_UNARY_3(unary_softshrink, a > p ? a - p : (a < -p ? a + p : a * 0))

/* Backward kernels: a is the incoming gradient, b the output for tanh, sigmoid and relu and the input for the others. */
MG_BINARY(binary_tanh_backward, a * (1 - b * b))
MG_BINARY(binary_sigmoid_backward, a * (1 - b) * b)
MG_BINARY(binary_relu_backward, b <= 0 ? 0 : a)
MG_BINARY(binary_logit_backward, (b < 0) | (b > 1) ? (REAL)NAN : a / (b * (1 - b)))
MG_BINARY(binary_abs_backward, a * ((REAL)(b > 0) - (REAL)(b < 0)))
MG_BINARY(binary_gelu_tanh_backward, a * NAME(gelu_tanh_slope)(b))
MG_BINARY(binary_mish_backward, a * NAME(mish_slope)(b))
MG_BINARY(binary_logsigmoid_backward, a * NAME(v_sigmoid)(-b))
MG_BINARY(binary_hardsigmoid_backward, (b > -3) & (b < 3) ? a / 6 : 0)
MG_BINARY(binary_hardswish_backward, b <= -3 ? 0 : (b < 3 ? a * (b / 3 + (REAL)0.5) : a))
MG_GRAD_3(grad_leaky_relu, b > 0 ? a : a * p)
MG_GRAD_3(grad_elu, b <= 0 ? a * (p * r * NAME(v_exp)(b * r)) : a * q)
MG_GRAD_3(grad_hardtanh, (b <= p) | (b >= q) ? 0 : a)
MG_GRAD_3(grad_clamp, (b >= p) & (b <= q) ? a : 0)
MG_GRAD_3(grad_huber, a * NAME(clamped)(b, -p, p))
MG_GRAD_3(grad_softplus, b * p > q ? a : a * NAME(v_sigmoid)(b * p))
MG_GRAD_3(grad_threshold, b <= p ? 0 : a)
MG_GRAD_3(grad_shrink, (b >= -p) & (b <= p) ? 0 : a)

/* from the nearer end, so that it is met exactly */
MG_TERNARY(ternary_lerp, (c < (REAL)0.5) & (c > (REAL)-0.5) ? a + c * (b - a) : b - (b - a) * (1 - c))
MG_TERNARY(ternary_addcmul, a + p * (b * c))
MG_TERNARY(ternary_addcdiv, a + p * (b / c))
MG_TERNARY(ternary_prelu_backward, b > 0 ? a : a * c)
/* the gradient a for the larger (smaller) b of the pair b, c: halved at a tie, a NaN beside b lets it through */
MG_TERNARY(ternary_maximum_backward, b < c ? 0 : (b == c ? a * (REAL)0.5 : a))
MG_TERNARY(ternary_minimum_backward, b > c ? 0 : (b == c ? a * (REAL)0.5 : a))

/* out[i] = mask[i] ? x[i] : y[i], chosen in integers: GCC 12 does not vectorise a choice of floats by bytes. */
MG_INLINE void NAME(choose_span)(const uint8_t *mask, const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, REAL *out,
                                 int64_t n) {
    const MG_BITS *a = (const MG_BITS *)x, *b = (const MG_BITS *)y;
    MG_BITS *to = (MG_BITS *)out;
    MG_SIMD for (int64_t i = 0; i < n; i++) {
        const MG_BITS keep = (MG_BITS)0 - mask[i];
        to[i] = (a[i * x_step] & keep) | (b[i * y_step] & ~keep);
    }
}

static void NAME(choose)(const uint8_t *mask, const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, REAL *out, int64_t n,
                         int threads) {
    MG_FOR_SPANS {
        const int64_t count = MG_MIN(n - at, MG_SPAN);
        if (x_step && y_step) NAME(choose_span)(mask + at, x + at, 1, y + at, 1, out + at, count);
        else if (x_step) NAME(choose_span)(mask + at, x + at, 1, y, 0, out + at, count);
        else if (y_step) NAME(choose_span)(mask + at, x, 0, y + at, 1, out + at, count);
        else NAME(choose_span)(mask + at, x, 0, y, 0, out + at, count);
    }
}

#undef MG_BITS
#undef MG_TERNARY
#undef MG_UNARY
#undef MG_UNARY_3
#undef MG_BINARY
#undef MG_BINARY_LOOPS
#undef MG_ROWS
#undef MG_GRAD_3
#undef MG_LIBM
#undef MG_SQRT_1_2
#undef MG_SQRT_2_PI
#undef MG_RSQRT_2_PI
#undef MG_GELU_CUBE

/* The gated linear unit of rows of twice `half`: a sigmoid(b) for their halves a and b. Rows are cut into spans of MG_SPAN. */
static void NAME(glu)(const REAL *x, REAL *out, int64_t rows, int64_t half, int threads) {
    const int64_t pieces = (half + MG_SPAN - 1) / MG_SPAN;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t task = 0; task < rows * pieces; task++) {
        const int64_t row = task / pieces, start = task % pieces * MG_SPAN, n = MG_MIN(half - start, MG_SPAN);
        const REAL *a = x + row * 2 * half + start;
        NAME(binary_glu_rows)(a, 0, 1, a + half, 0, 1, out + row * half + start, 1, n);
    }
}

/* Its gradient: g s for a and g a s (1 - s) for b, with s = sigmoid(b). */
static void NAME(glu_backward)(const REAL *g, const REAL *x, REAL *gx, int64_t rows, int64_t half, int threads) {
    const int64_t pieces = (half + MG_SPAN - 1) / MG_SPAN;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t task = 0; task < rows * pieces; task++) {
        const int64_t row = task / pieces, start = task % pieces * MG_SPAN, n = MG_MIN(half - start, MG_SPAN);
        const REAL *h = g + row * half + start, *a = x + row * 2 * half + start, *b = a + half;
        REAL *ga = gx + row * 2 * half + start, *gb = ga + half;
        MG_SIMD for (int64_t i = 0; i < n; i++) {
            const REAL s = NAME(v_sigmoid)(b[i]), of_a = h[i] * s;
            ga[i] = of_a;
            gb[i] = of_a * a[i] * (1 - s);
        }
    }
}
