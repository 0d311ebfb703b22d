/* exp, tanh, sigmoid and the normal distribution of 16 floats with AVX-512: included by elementwise_kernels.h where it compiles
   float for x86-64-v4.

   The same reduction and polynomials as vecmath.h, within the same bounds, in a third fewer instructions: vscalefps multiplies by
   a power of two with correct overflow and denormals, and a quotient is one Newton step from the 14-bit reciprocal, corrected by
   its remainder. NaN goes through, since min and max give their second operand if one is NaN. */

#ifndef MINIGRAD_EXP512_H
#define MINIGRAD_EXP512_H

#define MG_512(x) _mm512_set1_ps(x)
#define MG_UNARY_512(name, expression)                                                                        \
    static void NAME(name##_span)(const float *x, float *out, int64_t n) {                                    \
        int64_t i = 0;                                                                                        \
        for (; i + 16 <= n; i += 16) {                                                                        \
            const __m512 a = _mm512_loadu_ps(x + i);                                                          \
            _mm512_storeu_ps(out + i, expression);                                                            \
        }                                                                                                     \
        if (i < n) {                                                                                          \
            const __mmask16 rest = (__mmask16)((1u << (n - i)) - 1);                                          \
            const __m512 a = _mm512_maskz_loadu_ps(rest, x + i);                                              \
            _mm512_mask_storeu_ps(out + i, rest, expression);                                                 \
        }                                                                                                     \
    }                                                                                                         \
    static void NAME(name)(const float *x, float *out, int64_t n, int threads) {                              \
        if (threads <= 1) { NAME(name##_span)(x, out, n); return; }                                           \
        MG_FOR_SPANS NAME(name##_span)(x + at, out + at, MG_MIN(n - at, MG_SPAN));                            \
    }

/* The rows of MG_BINARY (elementwise_kernels.h), a = x[i] and b = y[i], for MG_BINARY_LOOPS. */
#define MG_BINARY_512(name, expression)                                                                                       \
    static void NAME(name##_rows)(const float *x, int64_t x_row, int64_t x_step, const float *y, int64_t y_row, int64_t y_step, \
                                  float *out, int64_t rows, int64_t n) {                                                      \
        MG_ROWS for (int64_t i = 0; i < n; i += 16) {                                                                         \
            const __mmask16 rest = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : (__mmask16)0xffff;                          \
            const __m512 a = x_step ? _mm512_maskz_loadu_ps(rest, x + i) : MG_512(*x);                                        \
            const __m512 b = y_step ? _mm512_maskz_loadu_ps(rest, y + i) : MG_512(*y);                                        \
            _mm512_mask_storeu_ps(out + i, rest, expression);                                                                 \
        }                                                                                                                     \
    }                                                                                                                         \
    MG_BINARY_LOOPS(name)

/* x = n ln 2 + r: n, with r in *rest. */
MG_INLINE __m512 mg_reduce512(__m512 x, __m512 *rest) {
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, MG_512(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    *rest = _mm512_fnmadd_ps(n, MG_512(-2.12194440e-4f), _mm512_fnmadd_ps(n, MG_512(0.693359375f), x));
    return n;
}

MG_INLINE __m512 mg_exp512(__m512 x) {
    __m512 r, q = MG_512(1.381443104e-03f);
    const __m512 n = mg_reduce512(_mm512_min_ps(MG_512(100.0f), _mm512_max_ps(MG_512(-110.0f), x)), &r);
    q = _mm512_fmadd_ps(q, r, MG_512(8.368796892e-03f));
    q = _mm512_fmadd_ps(q, r, MG_512(4.166839584e-02f));
    q = _mm512_fmadd_ps(q, r, MG_512(1.666651997e-01f));
    q = _mm512_fmadd_ps(q, r, MG_512(4.999999340e-01f));
    const __m512 p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r);
    return _mm512_scalef_ps(_mm512_add_ps(p, MG_512(1.0f)), n);
}

/* exp(x) - 1 for 0 <= x <= 20 or NaN */
MG_INLINE __m512 mg_expm1_512(__m512 x) {
    __m512 r, q = MG_512(1.984588623e-04f);
    const __m512 n = mg_reduce512(x, &r);
    q = _mm512_fmadd_ps(q, r, MG_512(1.394074421e-03f));
    q = _mm512_fmadd_ps(q, r, MG_512(8.333389627e-03f));
    q = _mm512_fmadd_ps(q, r, MG_512(4.166635953e-02f));
    q = _mm512_fmadd_ps(q, r, MG_512(1.666666637e-01f));
    q = _mm512_fmadd_ps(q, r, MG_512(5.000000044e-01f));
    const __m512 p = _mm512_fmadd_ps(_mm512_mul_ps(r, r), q, r), s = _mm512_scalef_ps(MG_512(1.0f), n);
    return _mm512_fmadd_ps(s, p, _mm512_sub_ps(s, MG_512(1.0f)));
}

/* a / b for 1 <= b <= 2^30 or NaN */
MG_INLINE __m512 mg_quotient512(__m512 a, __m512 b) {
    const __m512 rough = _mm512_rcp14_ps(b);
    const __m512 inverse = _mm512_fmadd_ps(rough, _mm512_fnmadd_ps(rough, b, MG_512(1.0f)), rough);
    const __m512 q = _mm512_mul_ps(a, inverse);
    return _mm512_fmadd_ps(_mm512_fnmadd_ps(q, b, a), inverse, q);
}

/* tanh |x| = e / (e + 2) with e = exp(2 |x|) - 1, the sign of x put back; beyond 10 it rounds to 1. */
MG_INLINE __m512 mg_tanh512(__m512 x) {
    const __m512 size = _mm512_abs_ps(x);
    const __m512 e = mg_expm1_512(_mm512_min_ps(MG_512(20.0f), _mm512_add_ps(size, size)));
    const __m512i sign = _mm512_and_epi32(_mm512_castps_si512(x), _mm512_set1_epi32((int)0x80000000u));
    const __m512 y = mg_quotient512(e, _mm512_add_ps(e, MG_512(2.0f)));
    const __mmask16 tiny = _mm512_cmp_ps_mask(size, MG_512(0x1p-24f), _CMP_LT_OQ);
    return _mm512_mask_mov_ps(_mm512_castsi512_ps(_mm512_or_epi32(_mm512_castps_si512(y), sign)), tiny, x);
}

/* 1 / (1 + e^-x) = e^x / (1 + e^x), the one with the exponential that is at most 1. */
MG_INLINE __m512 mg_sigmoid512(__m512 x) {
    const __m512 e = mg_exp512(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_abs_ps(x)));
    const __m512 top = _mm512_mask_mov_ps(MG_512(1.0f), _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), e);
    return mg_quotient512(top, _mm512_add_ps(e, MG_512(1.0f)));
}

/* The normal distribution function. Its lower tail is exp of a polynomial of |x|, a minimax fit of log Phi(-|x|) up to 5.5 by what it
   costs Phi: within 8e-8. Beyond, its last coefficient takes it to 0. */
MG_INLINE __m512 mg_normal512(__m512 x) {
    const __m512 size = _mm512_abs_ps(x);
    __m512 p = MG_512(-1.795929052e-06f);
    p = _mm512_fmadd_ps(p, size, MG_512(2.540502101e-05f));
    p = _mm512_fmadd_ps(p, size, MG_512(-1.207119640e-04f));
    p = _mm512_fmadd_ps(p, size, MG_512(-1.135568164e-04f));
    p = _mm512_fmadd_ps(p, size, MG_512(4.918508232e-03f));
    p = _mm512_fmadd_ps(p, size, MG_512(-3.640209511e-02f));
    p = _mm512_fmadd_ps(p, size, MG_512(-3.182942569e-01f));
    p = _mm512_fmadd_ps(p, size, MG_512(-7.978858948e-01f));
    p = _mm512_fmadd_ps(p, size, MG_512(-6.931471825e-01f));
    const __m512 tail = mg_exp512(p);
    const __mmask16 above = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GE_OQ);
    return _mm512_mask_sub_ps(tail, above, MG_512(1.0f), tail);
}

/* The slope of x Phi(x): Phi(x) + x phi(x). */
MG_INLINE __m512 mg_gelu_slope512(__m512 x) {
    const __m512 density = _mm512_mul_ps(mg_exp512(_mm512_mul_ps(_mm512_mul_ps(MG_512(-0.5f), x), x)), MG_512(0.398942280f));
    return _mm512_fmadd_ps(x, density, mg_normal512(x));
}

/* The slope of x sigmoid(x): s (1 + x (1 - s)). */
MG_INLINE __m512 mg_silu_slope512(__m512 x) {
    const __m512 s = mg_sigmoid512(x), one = MG_512(1.0f);
    return _mm512_mul_ps(s, _mm512_fmadd_ps(x, _mm512_sub_ps(one, s), one));
}

#endif
