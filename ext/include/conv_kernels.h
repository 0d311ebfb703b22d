/* Convolutions: the algorithms, one file each, and the two entry points that run what the planner (conv_plan.h) chose. Compiled
   through multiversion.h: see there for REAL, NAME and VECTOR. */

#include "gemm_kernels.h"

/* Which elements j < n of a row, start + j * step in the source, lie in [0, size): those from *from up to *to. */
static void NAME(conv_inside)(int64_t n, int64_t start, int64_t step, int64_t size, int64_t *from, int64_t *to) {
    *from = start < 0 ? conv_min(n, (-start + step - 1) / step) : 0;
    *to = start < size ? conv_min(n, (size - 1 - start) / step + 1) : 0;
    if (*to < *from) *to = *from;
}

/* row[j] = source[j * step] for from <= j < to, 0 elsewhere */
MG_INLINE void NAME(conv_fill_row)(REAL *row, int64_t n, const REAL *source, int64_t step, int64_t from, int64_t to) {
    for (int64_t j = 0; j < from; j++) row[j] = 0;
    if (step == 1)
        for (int64_t j = from; j < to; j++) row[j] = source[j];
    else
        for (int64_t j = from; j < to; j++) row[j] = source[j * step];
    for (int64_t j = to; j < n; j++) row[j] = 0;
}

#include "conv_strip_kernels.h"
#include "conv_unfold_kernels.h"
#include "conv_winograd_kernels.h"

/* y = correlation of x with w over the geometry, plus bias (NULL: none).
   adjoint 0: x (N, C, image) -> y (N, O, out); adjoint 1: x (N, O, out) -> y (N, C, image); w (O, C / groups, kernel).
   With scratch NULL nothing is computed, and the answer is how many bytes of scratch are needed. Otherwise it is CONV_NOT_FINITE where
   an element of y is not finite and the algorithm cannot tell which ones by definition would be, CONV_NO_MEMORY, or else >= 0. */
static int64_t NAME(correlate)(const REAL *x, const REAL *w, const REAL *bias, REAL *y, const conv_geometry *s, int adjoint,
                               int threads, char *scratch) {
    switch (conv_plan(s, adjoint ? CONV_ADJOINT : CONV_FORWARD, REAL_IS_FLOAT)) {
#if REAL_IS_FLOAT
    case CONV_WINOGRAD: return NAME(conv_winograd)(x, w, bias, y, s, adjoint, threads, scratch);
#endif
    default: return NAME(conv_strip)(x, w, bias, y, s, adjoint, threads, scratch);
    }
}

/* gw (O, C / groups, kernel) = the gradient of w: x (N, C, image), g (N, O, out). Scratch and answer as those of correlate. */
static int64_t NAME(correlate_weight)(const REAL *x, const REAL *g, REAL *gw, const conv_geometry *s, int threads, char *scratch) {
    switch (conv_plan(s, CONV_WEIGHT, REAL_IS_FLOAT)) {
#if REAL_IS_FLOAT
    case CONV_WINOGRAD: return NAME(conv_winograd_weight)(x, g, gw, s, threads, scratch);
#endif
    default: return NAME(conv_strip_weight)(x, g, gw, s, threads, scratch);
    }
}
