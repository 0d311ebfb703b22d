/* Convolutions: the algorithms, one file each, and the two entry points that run what the planner (conv_plan.h) chose. Compiled
   through multiversion.h: see there for REAL, NAME and VECTOR. */

#include "gemm_kernels.h"

/* Which elements j < n of a row, start + j * step in the source, lie in [0, size): those from *from up to *to. */
static void NAME(conv_inside)(int64_t n, int64_t start, int64_t step, int64_t size, int64_t *from, int64_t *to) {
    *from = start < 0 ? conv_min(n, (-start + step - 1) / step) : 0;
    *to = start < size ? conv_min(n, (size - 1 - start) / step + 1) : 0;
    if (*to < *from) *to = *from;
}

/* The lanes from `first` up to `end`, which may both lie outside of a vector, as bits. */
static uint32_t NAME(conv_lanes)(int64_t first, int64_t end) {
    const uint32_t below = first <= 0 ? 0 : first >= LANES ? (1u << LANES) - 1 : (1u << first) - 1;
    return (end <= 0 ? 0 : end >= LANES ? (1u << LANES) - 1 : (1u << end) - 1) & ~below;
}

/* Lanes l of p with bit l of the mask, 0 elsewhere; other lanes are not read. */
MG_INLINE VECTOR NAME(conv_masked)(uint32_t mask, const REAL *p) {
#if ISA_LEVEL == 4 && REAL_IS_FLOAT
    return (VECTOR)_mm512_maskz_loadu_ps((__mmask16)mask, p);
#elif ISA_LEVEL == 4
    return (VECTOR)_mm512_maskz_loadu_pd((__mmask8)mask, p);
#else
    if (mask == (1u << LANES) - 1) return *(const VECTOR *)p;
    IVECTOR bit;
    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) bit[l] = 1 << l;
    const IVECTOR chosen = ((bit & (MG_INT)mask) != 0);
#if ISA_LEVEL == 3 && REAL_IS_FLOAT
    return (VECTOR)_mm256_maskload_ps(p, (__m256i)chosen);
#elif ISA_LEVEL == 3
    return (VECTOR)_mm256_maskload_pd(p, (__m256i)chosen);
#else
    VECTOR x = {0};
    for (int l = 0; l < LANES; l++)
        if (chosen[l]) x[l] = p[l];
    return x;
#endif
#endif
}

/* Every second lane of two vectors that follow each other, from the first (0) or the second one (1) on. */
MG_INLINE VECTOR NAME(conv_every_second)(VECTOR low, VECTOR high, const int first) {
    IVECTOR lane;
    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) lane[l] = 2 * l + first;
    return __builtin_shuffle(low, high, lane);
}

/* The inverse: the lanes of `even` and `odd` in turn, the lower (0) or the upper half (1) of them. */
MG_INLINE VECTOR NAME(conv_in_turn)(VECTOR even, VECTOR odd, const int half) {
    IVECTOR lane;
    _Pragma("GCC unroll 16") for (int l = 0; l < LANES; l++) lane[l] = (l + half * LANES) / 2 + (l & 1) * LANES;
    return __builtin_shuffle(even, odd, lane);
}

/* row[j] = source[j * step] for j < n */
MG_INLINE void NAME(conv_take_row)(REAL *row, const REAL *source, int64_t n, int64_t step) {
    int64_t j = 0;
    if (step == 1) {
        for (; j + LANES <= n; j += LANES) *(VECTOR *)(row + j) = *(const VECTOR *)(source + j);
        if (j < n) NAME(gemm_store)(row + j, NAME(gemm_load)(source + j, n - j), n - j);
    } else if (step == 2) {
        for (; j + LANES < n; j += LANES)
            *(VECTOR *)(row + j) =
                NAME(conv_every_second)(*(const VECTOR *)(source + 2 * j), *(const VECTOR *)(source + 2 * j + LANES), 0);
#if ISA_LEVEL == 4
        if (j < n) {
            const int64_t reach = 2 * (n - j) - 1; /* elements up to the last one that is taken */
            const VECTOR low = NAME(gemm_load)(source + 2 * j, conv_min(reach, LANES));
            const VECTOR high = reach > LANES ? NAME(gemm_load)(source + 2 * j + LANES, reach - LANES) : low;
            NAME(gemm_store)(row + j, NAME(conv_every_second)(low, high, 0), n - j);
        }
#else
        for (; j < n; j++) row[j] = source[2 * j];
#endif
    } else if (step == 4) {
        for (; j < n; j += LANES) {
            const int64_t reach = 4 * (conv_min(n - j, LANES) - 1) + 1; /* elements up to the last one that is taken */
            VECTOR from[4];
            _Pragma("GCC unroll 4") for (int u = 0; u < 4; u++)
                from[u] = NAME(conv_masked)(NAME(conv_lanes)(0, reach - u * LANES), source + 4 * j + u * LANES);
            const VECTOR low = NAME(conv_every_second)(from[0], from[1], 0);
            const VECTOR high = NAME(conv_every_second)(from[2], from[3], 0);
            NAME(gemm_store)(row + j, NAME(conv_every_second)(low, high, 0), conv_min(n - j, LANES));
        }
    } else
        for (; j < n; j++) row[j] = source[j * step];
}

/* row[j] = source[j * step] for from <= j < to, 0 for other j < n */
MG_INLINE void NAME(conv_fill_row)(REAL *row, int64_t n, const REAL *source, int64_t step, int64_t from, int64_t to) {
    if (from > 0 || to < n)
        for (int64_t j = 0; j < n; j += LANES) NAME(gemm_store)(row + j, (VECTOR){0}, conv_min(LANES, n - j));
    NAME(conv_take_row)(row + from, source + from * step, to - from, step);
}

/* row[j * step] = source[j] + add for j < n */
MG_INLINE void NAME(conv_put_row)(REAL *row, const REAL *source, REAL add, int64_t n, int64_t step) {
    int64_t j = 0;
    if (step == 1) {
        for (; j + LANES <= n; j += LANES) *(VECTOR *)(row + j) = *(const VECTOR *)(source + j) + add;
        if (j < n) NAME(gemm_store)(row + j, NAME(gemm_load)(source + j, n - j) + add, n - j);
        return;
    }
#if ISA_LEVEL == 4 && REAL_IS_FLOAT /* other steps leave elements alone that another thread may be writing */
    if (step == 2)
        for (; j + LANES <= n; j += LANES) {
            const __m512 x = (__m512)(*(const VECTOR *)(source + j) + add);
            _mm512_mask_storeu_ps(row + 2 * j, 0x5555, _mm512_maskz_expand_ps(0x5555, x));
            const __m512 high = _mm512_shuffle_f32x4(x, x, 0xEE); /* lanes 8 to 15 */
            _mm512_mask_storeu_ps(row + 2 * j + LANES, 0x5555, _mm512_maskz_expand_ps(0x5555, high));
        }
#endif
    for (; j < n; j++) row[j * step] = source[j] + add;
}

#include "conv_depthwise_kernels.h"
#include "conv_patches_kernels.h"
#include "conv_pointwise_kernels.h"
#include "conv_small_kernels.h"
#include "conv_strip_kernels.h"
#include "conv_unfold_kernels.h"
#include "conv_winograd_kernels.h"

/* y = correlation of x with w over the geometry, plus bias (NULL: none).
   adjoint 0: x (N, C, image) -> y (N, O, out); adjoint 1: x (N, O, out) -> y (N, C, image); w (O, C / groups, kernel).
   With scratch NULL nothing is computed, and the answer is how many bytes of scratch are needed. Otherwise it is
   CONV_NOT_FINITE where an element of y is not finite and the algorithm cannot tell which ones by definition would be,
   CONV_NO_MEMORY, or else >= 0. */
static int64_t NAME(correlate)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s, int adjoint,
                               int threads, char *scratch) {
    switch (conv_plan(s, adjoint ? CONV_ADJOINT : CONV_FORWARD, REAL_IS_FLOAT)) {
    case CONV_DEPTHWISE: return NAME(conv_depthwise)(x, w, bias, y, s, adjoint, threads, scratch);
    case CONV_SMALL: return NAME(conv_small)(x, w, bias, y, s, adjoint, threads, scratch);
#if REAL_IS_FLOAT
    case CONV_COLUMNS: return NAME(conv_columns)(x, w, bias, y, s, threads, scratch);
    case CONV_PATCHES:
        return adjoint ? NAME(patches_adjoint)(x, w, bias, y, s, threads, scratch)
                       : NAME(patches_forward)(x, w, bias, y, s, threads, scratch);
    case CONV_POINTWISE: return NAME(conv_pointwise)(x, w, bias, y, s, adjoint, threads, scratch);
    case CONV_WINOGRAD: return NAME(conv_winograd)(x, w, bias, y, s, adjoint, threads, scratch);
#endif
    default: return NAME(conv_strip)(x, w, bias, y, s, adjoint, threads, scratch);
    }
}

/* gw (O, C / groups, kernel) = the gradient of w: x (N, C, image), g (N, O, out). Scratch and answer as those of correlate. */
static int64_t NAME(correlate_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *s, int threads,
                                      char *scratch) {
    switch (conv_plan(s, CONV_WEIGHT, REAL_IS_FLOAT)) {
    case CONV_DEPTHWISE: return NAME(conv_depthwise_weight)(x, g, gw, s, threads, scratch);
#if REAL_IS_FLOAT
    case CONV_WINOGRAD: return NAME(conv_winograd_weight)(x, g, gw, s, threads, scratch);
#endif
    default: return NAME(conv_strip_weight)(x, g, gw, s, threads, scratch);
    }
}
