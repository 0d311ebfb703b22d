/* Connectionist temporal classification: the forward and backward variables of Graves et al. 2006, equations 6 to 10, as
   logarithms in double precision. Compiled through multiversion.h: see there for REAL and NAME.

   A sequence of labels has `width` states: a blank before, between and after its labels. State s of a step is reached from states s
   and s - 1 of the step before, and from s - 2 between two labels that differ. The states of a step are lanes: their arrays are
   padded with impossible ones to whole vectors, and with two more where a neighbour is read. Sequences are independent, so the
   result does not depend on the number of threads. */

#include "vecmath.h"
#include <stdlib.h>

#ifndef MG_CTC_LANES
#define MG_CTC_LANES 16
#define MG_CTC_SIMD _Pragma("omp simd")
#endif

/* A thread's scratch memory: one sequence at a time. */
typedef struct {
    int64_t padded, row;         /* states with those that fill a vector, and with two more */
    double *alpha;               /* of each step, `row` apart, after two impossible ones; or of two steps in turn */
    double *beta, *after, *base; /* of one step */
    double *skips;               /* 1 where state s is reached from s - 2, else 0 */
    REAL *emitted, *terms;       /* scores of the states' labels; three arrays one after the other */
} NAME(ctc);

static int NAME(ctc_allocate)(NAME(ctc) *ctc, int64_t width, int64_t steps) {
    const int64_t padded = (width + MG_CTC_LANES - 1) / MG_CTC_LANES * MG_CTC_LANES, row = padded + 2;
    double *memory = malloc((size_t)((steps + 8) * row) * sizeof *memory);
    ctc->padded = padded, ctc->row = row, ctc->alpha = memory;
    if (!memory) return 0;
    ctc->beta = memory + steps * row, ctc->after = ctc->beta + row, ctc->base = ctc->after + row, ctc->skips = ctc->base + row;
    ctc->emitted = (REAL *)(ctc->skips + row), ctc->terms = (REAL *)(ctc->skips + 2 * row);
    for (int64_t step = 0; step < steps; step++) ctc->alpha[step * row] = ctc->alpha[step * row + 1] = -INFINITY;
    return 1;
}

/* What is known of a sequence's states before its first step. */
static void NAME(ctc_begin)(const NAME(ctc) *ctc, const int64_t *labels, int64_t width, int64_t blank) {
    for (int64_t s = 0; s < ctc->row; s++)
        ctc->skips[s] = s >= 2 && s < width && labels[s] != blank && labels[s] != labels[s - 2];
    for (int64_t s = width; s < ctc->padded; s++) ctc->emitted[s] = -(REAL)INFINITY;
}

MG_INLINE void NAME(ctc_emit)(const NAME(ctc) *ctc, const REAL *scores, const int64_t *labels, int64_t width) {
    for (int64_t s = 0; s < width; s++) ctc->emitted[s] = scores[labels[s]];
}

/* out[s] = log(e^a[s] + e^b[s] + (skips[s] ? e^c[s] : 0)), what is added to the largest in the precision of REAL. */
static void NAME(ctc_join)(const NAME(ctc) *ctc, const double *a, const double *b, const double *c, const double *skips,
                           double *out) {
    const int64_t n = ctc->padded;
    double *base = ctc->base;
    REAL *first = ctc->terms, *second = first + n, *third = second + n;
    MG_CTC_SIMD for (int64_t s = 0; s < n; s++) {
        const double far = skips[s] > 0 ? c[s] : -INFINITY, near = a[s] > b[s] ? a[s] : b[s], top = near > far ? near : far;
        base[s] = top == -INFINITY ? 0 : top;
        first[s] = (REAL)(a[s] - base[s]), second[s] = (REAL)(b[s] - base[s]), third[s] = (REAL)(far - base[s]);
    }
    MG_CTC_SIMD for (int64_t s = 0; s < n; s++)
        first[s] = NAME(v_log)(NAME(v_exp)(first[s]) + NAME(v_exp)(second[s]) + NAME(v_exp)(third[s]));
    MG_CTC_SIMD for (int64_t s = 0; s < n; s++) out[s] = base[s] + first[s];
}

/* The forward variables of one sequence, whose step is at scores + step * stride, in `kept` rows in turn; gives log p(labels). */
static double NAME(ctc_forward)(const NAME(ctc) *ctc, const REAL *scores, int64_t stride, const int64_t *labels, int64_t steps,
                                int64_t width, int64_t kept) {
    if (steps == 0) return width == 1 ? 0 : -INFINITY;
    double *now = ctc->alpha + 2;
    NAME(ctc_emit)(ctc, scores, labels, width);
    for (int64_t s = 0; s < ctc->padded; s++) now[s] = s < 2 ? ctc->emitted[s] : -INFINITY;
    for (int64_t step = 1; step < steps; step++) {
        const double *before = now;
        now = ctc->alpha + step % kept * ctc->row + 2;
        NAME(ctc_join)(ctc, before, before - 1, before - 2, ctc->skips, now);
        NAME(ctc_emit)(ctc, scores + step * stride, labels, width);
        MG_CTC_SIMD for (int64_t s = 0; s < ctc->padded; s++) now[s] += ctc->emitted[s];
    }
    const double last = now[width - 1], other = width > 1 ? now[width - 2] : -INFINITY, top = last > other ? last : other;
    return top == -INFINITY ? last + other : top + log(exp(last - top) + exp(other - top));
}

/* out[step][class] = what the class has of the probability of all alignments, whose logarithm is `total`. */
static void NAME(ctc_occupancy)(const NAME(ctc) *ctc, const REAL *scores, int64_t stride, const int64_t *labels, int64_t steps,
                                int64_t width, int64_t blank, double total, int64_t classes, REAL *out) {
    double *beta = ctc->beta, *after = ctc->after;
    REAL *share = ctc->terms;
    for (int64_t s = 0; s < ctc->row; s++) beta[s] = -INFINITY;
    for (int64_t step = steps - 1; step >= 0; step--) {
        const double *alpha = ctc->alpha + step * ctc->row + 2;
        if (step < steps - 1) NAME(ctc_join)(ctc, beta, beta + 1, beta + 2, ctc->skips + 2, after);
        else for (int64_t s = 0; s < ctc->padded; s++) after[s] = s >= width - 2 && s < width ? 0 : -INFINITY;
        NAME(ctc_emit)(ctc, scores + step * stride, labels, width);
        MG_CTC_SIMD for (int64_t s = 0; s < ctc->padded; s++) {
            share[s] = (REAL)(alpha[s] + after[s] - total);
            beta[s] = after[s] + ctc->emitted[s];
        }
        MG_CTC_SIMD for (int64_t s = 0; s < ctc->padded; s++) share[s] = NAME(v_exp)(share[s]);
        REAL *row = out + step * stride, blanks = share[0];
        for (int64_t c = 0; c < classes; c++) row[c] = 0;
        for (int64_t s = 1; s < width; s += 2) row[labels[s]] += share[s], blanks += share[s + 1];
        row[blank] += blanks;
    }
}

/* losses[n] = -log p(labels n); 0 if memory was short. Sequence n has steps[n] of the T steps and counts[n] labels. */
static int NAME(ctc_losses)(const REAL *scores, const int64_t *labels, const int64_t *steps, const int64_t *counts, int64_t T,
                            int64_t N, int64_t C, int64_t width, int64_t blank, REAL *losses, int threads) {
    int good = 1;
    (void)T;
    _Pragma("omp parallel num_threads(threads) if (threads > 1) reduction(&& : good)")
    {
        NAME(ctc) ctc;
        good = NAME(ctc_allocate)(&ctc, width, 2);
        _Pragma("omp for schedule(static)")
        for (int64_t n = 0; n < N; n++) {
            if (!good) continue;
            const int64_t *states = labels + n * width, states_n = 2 * counts[n] + 1;
            NAME(ctc_begin)(&ctc, states, states_n, blank);
            losses[n] = (REAL)-NAME(ctc_forward)(&ctc, scores + n * C, N * C, states, steps[n], states_n, 2);
        }
        free(ctc.alpha);
    }
    return good;
}

/* out = d (sum of g[n] losses[n]) / d what log_softmax made the scores of; 0 where a loss is infinite */
static int NAME(ctc_gradient)(const REAL *scores, const int64_t *labels, const int64_t *steps, const int64_t *counts, int64_t T,
                              int64_t N, int64_t C, int64_t width, int64_t blank, const REAL *g, REAL *out, int threads) {
    int good = 1;
    _Pragma("omp parallel num_threads(threads) if (threads > 1) reduction(&& : good)")
    {
        NAME(ctc) ctc;
        good = NAME(ctc_allocate)(&ctc, width, T);
        _Pragma("omp for schedule(static)")
        for (int64_t n = 0; n < N; n++) {
            if (!good) continue;
            const REAL *from = scores + n * C;
            REAL *to = out + n * C;
            const int64_t *states = labels + n * width, states_n = 2 * counts[n] + 1, stride = N * C;
            NAME(ctc_begin)(&ctc, states, states_n, blank);
            const double total = NAME(ctc_forward)(&ctc, from, stride, states, steps[n], states_n, T);
            const int64_t used = total == -INFINITY ? 0 : steps[n];
            NAME(ctc_occupancy)(&ctc, from, stride, states, used, states_n, blank, total, C, to);
            for (int64_t step = 0; step < used; step++) {
                const REAL *score = from + step * stride, factor = g[n];
                REAL *row = to + step * stride;
                MG_CTC_SIMD for (int64_t c = 0; c < C; c++) row[c] = factor * (NAME(v_exp)(score[c]) - row[c]);
            }
            for (int64_t step = used; step < T; step++)
                for (int64_t c = 0; c < C; c++) to[step * stride + c] = 0;
        }
        free(ctc.alpha);
    }
    return good;
}
