/* exp, log and their relatives: branch-free inline functions of one REAL, which GCC vectorises in `#pragma omp simd` loops.

   Included at the top of a *_kernels.h (under multiversion.h, see there for REAL, NAME and ISA_LEVEL); several families may
   share a translation unit. Use: `for (...) out[i] = NAME(v_exp)(x[i]);`

   v_exp v_log v_expm1 v_log1p v_tanh v_sigmoid v_erf: within 2 ulp (v_tanh 2.3) of the exact value over all arguments, denormal
   arguments and results included, IEEE at +-inf, NaN, +-0 and on overflow (tests/test_elementwise_kernels.py measures it). The
   method is the usual one (Cody and Waite, "Software Manual for the Elementary Functions", 1980; the argument reductions of
   FreeBSD's msun): reduce by powers of two, then a polynomial. For double v_erf is libm's erf. */

#if REAL_IS_FLOAT && ISA_LEVEL == 4 && !defined(MG_VECMATH_F32_V4)
#define MG_VECMATH_F32_V4
#define MG_VECMATH_NEW
#elif REAL_IS_FLOAT && ISA_LEVEL == 3 && !defined(MG_VECMATH_F32_V3)
#define MG_VECMATH_F32_V3
#define MG_VECMATH_NEW
#elif REAL_IS_FLOAT && ISA_LEVEL == 2 && !defined(MG_VECMATH_F32_V2)
#define MG_VECMATH_F32_V2
#define MG_VECMATH_NEW
#elif !REAL_IS_FLOAT && ISA_LEVEL == 4 && !defined(MG_VECMATH_F64_V4)
#define MG_VECMATH_F64_V4
#define MG_VECMATH_NEW
#elif !REAL_IS_FLOAT && ISA_LEVEL == 3 && !defined(MG_VECMATH_F64_V3)
#define MG_VECMATH_F64_V3
#define MG_VECMATH_NEW
#elif !REAL_IS_FLOAT && ISA_LEVEL == 2 && !defined(MG_VECMATH_F64_V2)
#define MG_VECMATH_F64_V2
#define MG_VECMATH_NEW
#endif

#ifdef MG_VECMATH_NEW
#undef MG_VECMATH_NEW
#include <math.h>
#include <stdint.h>

#if REAL_IS_FLOAT
#define VM_BITS uint32_t
#define VM_MANTISSA 23
#define VM_BIAS 127
#define VM_ROUND 12582912.0f           /* 1.5 * 2^23: adding it rounds to an integer, held in the low bits */
#define VM_TINY 0x1p-24f               /* below it expm1(x), log1p(x) and tanh(x) round to x */
#define VM_MIN_NORMAL 0x1p-126f
#define VM_UP 0x1p24f                  /* brings a denormal into the normal range */
#define VM_UP_LOG2 24
#define VM_EXP_MIN -105.0f             /* exp rounds to 0 below, to inf above VM_EXP_MAX */
#define VM_EXP_MAX 89.0f
#define VM_EXP_DEEP -80.0f            /* the result may be denormal below */
#define VM_EXPM1_MIN -20.0f            /* expm1 rounds to -1 below, tanh(x / 2) to 1 above minus this */
#define VM_SQRT_HALF_BITS 0x3f3504f3u
#define VM_LN2_HI 0.693359375f         /* ln 2 in two parts; the first has so few bits that an exponent times it is exact */
#define VM_LN2_LO -2.12194440e-4f
#define VM_LOG2_E 1.44269504f
#else
#define VM_BITS uint64_t
#define VM_MANTISSA 52
#define VM_BIAS 1023
#define VM_ROUND 6755399441055744.0
#define VM_TINY 0x1p-54
#define VM_MIN_NORMAL 0x1p-1022
#define VM_UP 0x1p54
#define VM_UP_LOG2 54
#define VM_EXP_MIN -746.0
#define VM_EXP_MAX 710.0
#define VM_EXP_DEEP -700.0
#define VM_EXPM1_MIN -40.0
#define VM_SQRT_HALF_BITS 0x3fe6a09e667f3bcdull
#define VM_LN2_HI 6.93147180369123816490e-01
#define VM_LN2_LO 1.90821492927058770002e-10
#define VM_LOG2_E 1.44269504088896338700
#endif

MG_INLINE VM_BITS NAME(v_to_bits)(REAL x) {
    union { REAL x; VM_BITS bits; } u = {.x = x};
    return u.bits;
}

MG_INLINE REAL NAME(v_from_bits)(VM_BITS bits) {
    union { VM_BITS bits; REAL x; } u = {.bits = bits};
    return u.x;
}

MG_INLINE REAL NAME(v_abs)(REAL x) { return NAME(v_from_bits)(NAME(v_to_bits)(x) & (~(VM_BITS)0 >> 1)); }

/* |x| with the sign of s. */
MG_INLINE REAL NAME(v_copysign)(REAL x, REAL s) {
    const VM_BITS magnitude = ~(VM_BITS)0 >> 1;
    return NAME(v_from_bits)((NAME(v_to_bits)(x) & magnitude) | (NAME(v_to_bits)(s) & ~magnitude));
}

/* exp(r) = 1 + r + r^2 q(r) for |r| <= ln(2) / 2: q for exp (float: minimax, relative to exp; double: Taylor). */
MG_INLINE REAL NAME(v_exp_q)(REAL r) {
#if REAL_IS_FLOAT
    return 4.999999340e-01f + r * (1.666651997e-01f + r * (4.166839584e-02f + r * (8.368796892e-03f + r * 1.381443104e-03f)));
#else
    return 0.5 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r * (1.0 / 720 + r * (1.0 / 5040 + r * (1.0 / 40320
        + r * (1.0 / 362880 + r * (1.0 / 3628800 + r * (1.0 / 39916800 + r * (1.0 / 479001600
        + r * (1.0 / 6227020800.0)))))))))));
#endif
}

/* The same for expm1, whose relative error near 0 asks for one more term in float. */
MG_INLINE REAL NAME(v_expm1_q)(REAL r) {
#if REAL_IS_FLOAT
    return 5.000000044e-01f + r * (1.666666637e-01f + r * (4.166635953e-02f + r * (8.333389627e-03f
        + r * (1.394074421e-03f + r * 1.984588623e-04f))));
#else
    return NAME(v_exp_q)(r);
#endif
}

/* exp(x) for -80 <= x <= 80; for NaN anything. */
MG_INLINE REAL NAME(v_exp_bounded)(REAL x) {
    const REAL rounded = x * VM_LOG2_E + VM_ROUND, n = rounded - VM_ROUND;
    const REAL r = (x - n * VM_LN2_HI) - n * VM_LN2_LO;
    const REAL y = 1 + (r + r * r * NAME(v_exp_q)(r));
    return NAME(v_from_bits)(NAME(v_to_bits)(y) + (NAME(v_to_bits)(rounded) << VM_MANTISSA)); /* its low bits are n */
}

/* The ends are set last, over whatever came out: a clamp of x at the start makes GCC 12 carry masks through the whole body. */
MG_INLINE REAL NAME(v_exp)(REAL x) {
    const REAL rounded = x * VM_LOG2_E + VM_ROUND, n = rounded - VM_ROUND;
    const REAL r = (x - n * VM_LN2_HI) - n * VM_LN2_LO;
    const REAL y = 1 + (r + r * r * NAME(v_exp_q)(r));
    /* times 2^n in two factors, neither of which over- or underflows: a denormal result is rounded once, by the last product */
    const int deep = x < VM_EXP_DEEP;
    const VM_BITS exponent = (VM_BITS)(deep ? VM_BIAS - 1 + 64 : VM_BIAS - 1) << VM_MANTISSA;
    const REAL scaled = y * NAME(v_from_bits)((NAME(v_to_bits)(rounded) << VM_MANTISSA) + exponent);
    const REAL finite = scaled * (deep ? (REAL)0x1p-63 : 2);
    const REAL high = x > VM_EXP_MAX ? (REAL)INFINITY : finite;
    return x < VM_EXP_MIN ? 0 : high;
}

/* expm1(x) for VM_EXPM1_MIN <= x <= VM_EXP_MAX and |x| >= VM_TINY (or NaN): 2^n (1 + p) - 1, with half of 2^n so that n may be
   the largest exponent plus one. */
MG_INLINE REAL NAME(v_expm1_bounded)(REAL x) {
    const REAL rounded = x * VM_LOG2_E + VM_ROUND, n = rounded - VM_ROUND;
    const REAL r = (x - n * VM_LN2_HI) - n * VM_LN2_LO;
    const REAL p = r + r * r * NAME(v_expm1_q)(r);
    const VM_BITS exponent = (VM_BITS)(VM_BIAS - 1) << VM_MANTISSA;
    const REAL s = NAME(v_from_bits)((NAME(v_to_bits)(rounded) << VM_MANTISSA) + exponent);
    return 2 * (s * p + (s - (REAL)0.5));
}

MG_INLINE REAL NAME(v_expm1)(REAL x) {
    const REAL y = NAME(v_expm1_bounded)(x);
    const REAL high = x > VM_EXP_MAX ? (REAL)INFINITY : y;
    const REAL low = x < VM_EXPM1_MIN ? -1 : high;
    return NAME(v_abs)(x) < VM_TINY ? x : low;
}

/* log(x) + c for a normal x > 0 and a small c. With x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), s = f / (2 + f):
   log(1 + f) = 2 atanh(s) = f - f^2 / 2 + s (f^2 / 2 + R(s^2)). */
MG_INLINE REAL NAME(v_log_reduced)(REAL x, REAL c, REAL k_offset) {
    const VM_BITS one = (VM_BITS)VM_BIAS << VM_MANTISSA;
    const VM_BITS bits = NAME(v_to_bits)(x) + (one - VM_SQRT_HALF_BITS);
    const REAL f = NAME(v_from_bits)((bits & (((VM_BITS)1 << VM_MANTISSA) - 1)) + VM_SQRT_HALF_BITS) - 1;
    const REAL k = NAME(v_from_bits)((bits >> VM_MANTISSA) + NAME(v_to_bits)(VM_ROUND)) - (VM_ROUND + VM_BIAS) - k_offset;
    const REAL s = f / (2 + f), z = s * s, half_square = (REAL)0.5 * f * f;
#if REAL_IS_FLOAT
    const REAL R = z * (0.66666662693f + z * (0.40000972152f + z * (0.28498786688f + z * 0.24279078841f)));
#else
    const REAL R = z * (6.666666666666735130e-01 + z * (3.999999999940941908e-01 + z * (2.857142874366239149e-01
        + z * (2.222219843214978396e-01 + z * (1.818357216161805012e-01 + z * (1.531383769920937332e-01
        + z * 1.479819860511658591e-01))))));
#endif
    return k * VM_LN2_HI - ((half_square - (s * (half_square + R) + (k * VM_LN2_LO + c))) - f);
}

MG_INLINE REAL NAME(v_log)(REAL x) {
    const int small = x < VM_MIN_NORMAL;
    const REAL y = NAME(v_log_reduced)(small ? x * VM_UP : x, 0, small ? VM_UP_LOG2 : 0);
    const REAL high = x < (REAL)INFINITY ? y : x;                   /* inf and NaN stay */
    const REAL low = x < 0 ? (REAL)NAN : high;
    return x == 0 ? -(REAL)INFINITY : low;
}

MG_INLINE REAL NAME(v_log1p)(REAL x) {
    const REAL u = 1 + x;
    const REAL lost = x < 1 ? x - (u - 1) : 1 - (u - x);            /* u + lost = 1 + x exactly */
    const REAL y = NAME(v_log_reduced)(u, lost / u, 0);
    const REAL high = x < (REAL)INFINITY ? y : x;
    const REAL low = u < 0 ? (REAL)NAN : high;
    const REAL edge = u == 0 ? -(REAL)INFINITY : low;
    return NAME(v_abs)(x) < VM_TINY ? x : edge;
}

/* log(1 + e^-t) for t >= 0. With e = e^-t in [0, 1] and s = e / (2 + e): 2 atanh(s) = e - s (e - R), for float with a minimax fit of R.
   v_log1p, which must find the exponent of any 1 + x and what rounding took from it, takes three times as long. */
MG_INLINE REAL NAME(v_log1p_exp)(REAL t) {
    const REAL e = NAME(v_exp)(-t);
#if REAL_IS_FLOAT
    const REAL s = e / (2 + e), z = s * s;
    return e - s * (e - z * (0.66666638851f + z * (0.40007671714f + z * (0.28233954310f + z * 0.26867553592f))));
#else
    return NAME(v_log1p)(e);
#endif
}

/* With q = expm1(2 |x|) / 2: tanh |x| = q / (q + 1) = q - q^2 / (q + 1); the second form is the better one for small q. */
MG_INLINE REAL NAME(v_tanh)(REAL x) {
    const REAL a = 2 * NAME(v_abs)(x);
    const REAL q = (REAL)0.5 * NAME(v_expm1_bounded)(a);
    const REAL w = q / (q + 1);
    const REAL t = q < (REAL)0.35 ? q - q * w : w;
    const REAL y = NAME(v_copysign)(a > -VM_EXPM1_MIN ? 1 : t, x);
    return NAME(v_abs)(x) < VM_TINY ? x : y;
}

/* 1 / (1 + exp(-x)), relatively accurate in the lower tail as well. With e = exp(-|x|):
   sigmoid(-|x|) = e / (1 + e) = e - e^2 / (1 + e). */
MG_INLINE REAL NAME(v_sigmoid)(REAL x) {
    const REAL e = NAME(v_exp)(-NAME(v_abs)(x));
    const REAL w = e / (1 + e);
    const REAL lower = e < (REAL)0.35 ? e - e * w : w;
    return x < 0 ? lower : 1 - w;
}

/* float: x + x P(x^2) below 0.93, 1 - exp(-t + t Q(t)) above it (both minimax fits; t is cut at 4, where erf rounds to 1). */
MG_INLINE REAL NAME(v_erf)(REAL x) {
#if REAL_IS_FLOAT
    const REAL a = NAME(v_abs)(x), t = a > 4 ? 4 : a, z = x * x;
    const REAL P = 1.283791477e-01f + z * (-3.761248110e-01f + z * (1.128168253e-01f + z * (-2.676171946e-02f
        + z * (4.985940065e-03f + z * -5.953739238e-04f))));
    const REAL Q = -1.286536463e-01f + t * (-6.351304114e-01f + t * (-1.062713973e-01f + t * (2.379175336e-02f
        + t * (-3.656478057e-03f + t * (3.262474232e-04f + t * -1.157495035e-05f)))));
    const REAL large = NAME(v_copysign)(1 - NAME(v_exp_bounded)(t * Q - t), x);
    return a >= 0.93f ? large : x + x * P;
#else
    return erf(x);
#endif
}

#undef VM_BITS
#undef VM_MANTISSA
#undef VM_BIAS
#undef VM_ROUND
#undef VM_TINY
#undef VM_MIN_NORMAL
#undef VM_UP
#undef VM_UP_LOG2
#undef VM_EXP_MIN
#undef VM_EXP_MAX
#undef VM_EXP_DEEP
#undef VM_EXPM1_MIN
#undef VM_SQRT_HALF_BITS
#undef VM_LN2_HI
#undef VM_LN2_LO
#undef VM_LOG2_E
#endif
