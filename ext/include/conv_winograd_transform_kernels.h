/* The transforms of Winograd's minimal filtering (conv_winograd_kernels.h): along one axis, of vectors whose lanes are
   channels.

   F(m, r) makes m results from points = m + r - 1 inputs. Its matrices evaluate and interpolate polynomials at as many points;
   B depends on these alone, so F(4, 3) and F(2, 5) share it. Those of 6 are 0, +-3/4, +-3/2 and infinity: Barabasz, Anderson,
   Soodhalter and Gregg, "Error analysis and improving the accuracy of Winograd convolution for deep neural networks" (2018,
   arXiv:1803.10986) show how much the points matter; these lose a quarter of what the textbook's 0, +-1, +-2 do. Those of 4 are
   0, +-1 and infinity. */

#define WINO_P 0.75f
#define WINO_Q 1.5f
#define WINO_P2 (WINO_P * WINO_P)
#define WINO_Q2 (WINO_Q * WINO_Q)
#define WINO_NP (0.5f / (WINO_P2 * (WINO_P2 - WINO_Q2))) /* 1 / prod of differences of P to the other finite points */
#define WINO_NQ (0.5f / (WINO_Q2 * (WINO_Q2 - WINO_P2)))

/* y = B' x, `points` values from as many */
MG_INLINE void NAME(wino_input)(const int points, const VECTOR *x, VECTOR *y) {
    if (points == 6) {
        const VECTOR p_even = x[4] - WINO_Q2 * x[2], p_odd = WINO_P * (x[3] - WINO_Q2 * x[1]);
        const VECTOR q_even = x[4] - WINO_P2 * x[2], q_odd = WINO_Q * (x[3] - WINO_P2 * x[1]);
        y[0] = WINO_P2 * WINO_Q2 * x[0] + (x[4] - (WINO_P2 + WINO_Q2) * x[2]);
        y[1] = p_even + p_odd;
        y[2] = p_even - p_odd;
        y[3] = q_even + q_odd;
        y[4] = q_even - q_odd;
        y[5] = WINO_P2 * WINO_Q2 * x[1] + (x[5] - (WINO_P2 + WINO_Q2) * x[3]);
    } else {
        y[0] = x[0] - x[2];
        y[1] = x[1] + x[2];
        y[2] = x[2] - x[1];
        y[3] = x[3] - x[1];
    }
}

/* The even and the odd part of a polynomial of `n` coefficients at `point`, whose square is `square`. */
MG_INLINE VECTOR NAME(wino_even)(const int n, const VECTOR *x, REAL square) {
    VECTOR sum = x[0];
    if (n > 2) sum += square * x[2];
    if (n > 4) sum += square * square * x[4];
    return sum;
}

MG_INLINE VECTOR NAME(wino_odd)(const int n, const VECTOR *x, REAL point, REAL square) {
    VECTOR sum = point * x[1];
    if (n > 3) sum += square * point * x[3];
    return sum;
}

/* y = the polynomial of n coefficients x at the points, each times a number */
MG_INLINE void NAME(wino_evaluate)(const int points, const int n, const VECTOR *x, VECTOR *y, REAL at_0, REAL at_p, REAL at_q) {
    y[0] = at_0 * x[0];
    y[points - 1] = x[n - 1];
    if (points == 6) {
        const VECTOR p_even = at_p * NAME(wino_even)(n, x, WINO_P2), p_odd = at_p * NAME(wino_odd)(n, x, WINO_P, WINO_P2);
        const VECTOR q_even = at_q * NAME(wino_even)(n, x, WINO_Q2), q_odd = at_q * NAME(wino_odd)(n, x, WINO_Q, WINO_Q2);
        y[1] = p_even + p_odd;
        y[2] = p_even - p_odd;
        y[3] = q_even + q_odd;
        y[4] = q_even - q_odd;
    } else {
        const VECTOR even = at_p * NAME(wino_even)(n, x, 1), odd = at_p * x[1];
        y[1] = even + odd;
        y[2] = even - odd;
    }
}

/* The adjoint of wino_evaluate: n values from `points`. */
MG_INLINE void NAME(wino_gather)(const int points, const int n, const VECTOR *x, VECTOR *y, REAL at_0, REAL at_p, REAL at_q) {
    if (points == 6) {
        const VECTOR p_even = at_p * (x[1] + x[2]), p_odd = at_p * WINO_P * (x[1] - x[2]);
        const VECTOR q_even = at_q * (x[3] + x[4]), q_odd = at_q * WINO_Q * (x[3] - x[4]);
        y[0] = at_0 * x[0] + (p_even + q_even);
        y[1] = p_odd + q_odd;
        if (n > 2) y[2] = WINO_P2 * p_even + WINO_Q2 * q_even;
        if (n > 3) y[3] = WINO_P2 * p_odd + WINO_Q2 * q_odd;
        if (n > 4) y[4] = WINO_P2 * WINO_P2 * p_even + WINO_Q2 * WINO_Q2 * q_even;
    } else {
        const VECTOR even = at_p * (x[1] + x[2]);
        y[0] = at_0 * x[0] + even;
        y[1] = at_p * (x[1] - x[2]);
        if (n > 2) y[2] = even;
    }
    y[n - 1] += x[points - 1];
}

/* The 1-d transforms by number: y = matrix @ x. */
MG_INLINE void NAME(wino_transform)(const int matrix, const int points, const int m, const VECTOR *x, VECTOR *y) {
    const int r = points + 1 - m;
    const REAL at_0 = points == 6 ? 1 / (WINO_P2 * WINO_Q2) : 1, at_p = points == 6 ? WINO_NP : 0.5f;
    if (matrix == WINO_INPUT) NAME(wino_input)(points, x, y);
    else if (matrix == WINO_KERNEL) NAME(wino_evaluate)(points, r, x, y, at_0, at_p, WINO_NQ);
    else if (matrix == WINO_KERNEL_BACK) NAME(wino_gather)(points, r, x, y, at_0, at_p, WINO_NQ);
    else if (matrix == WINO_OUTPUT) NAME(wino_gather)(points, m, x, y, 1, 1, 1);
    else NAME(wino_evaluate)(points, m, x, y, 1, 1, 1);
}

/* How many values a transform takes and makes. */
#define WINO_TAKES(matrix, points, m) \
    ((matrix) == WINO_KERNEL ? (points) + 1 - (m) : (matrix) == WINO_OUTPUT_BACK ? (m) : (points))
#define WINO_MAKES(matrix, points, m) \
    ((matrix) == WINO_KERNEL_BACK ? (points) + 1 - (m) : (matrix) == WINO_OUTPUT ? (m) : (points))

MG_INLINE void NAME(wino_pass_of)(const int matrix, const int points, const int m, const REAL *x, int64_t x_step,
                                  int64_t x_next, REAL *y, int64_t y_step, int64_t y_next, int64_t count) {
    const int takes = WINO_TAKES(matrix, points, m), makes = WINO_MAKES(matrix, points, m);
    for (int64_t n = 0; n < count; n++, x += x_next, y += y_next) {
        VECTOR in[6], out[6];
        _Pragma("GCC unroll 6") for (int i = 0; i < takes; i++) in[i] = *(const VECTOR *)(x + i * x_step);
        NAME(wino_transform)(matrix, points, m, in, out);
        _Pragma("GCC unroll 6") for (int i = 0; i < makes; i++) *(VECTOR *)(y + i * y_step) = out[i];
    }
}

/* One axis of a 2-d transform: `count` 1-d transforms of vectors, x_next and y_next apart, of values x_step apart into values
   y_step apart. It may be done in place. */
static void NAME(wino_pass)(int matrix, const wino_grid *g, const REAL *x, int64_t x_step, int64_t x_next, REAL *y,
                            int64_t y_step, int64_t y_next, int64_t count) {
#define WINO_CASE(matrix)                                                                                                    \
    case matrix:                                                                                                             \
        if (g->points == 4) NAME(wino_pass_of)(matrix, 4, 2, x, x_step, x_next, y, y_step, y_next, count);                   \
        else if (g->m == 4) NAME(wino_pass_of)(matrix, 6, 4, x, x_step, x_next, y, y_step, y_next, count);                   \
        else NAME(wino_pass_of)(matrix, 6, 2, x, x_step, x_next, y, y_step, y_next, count);                                  \
        break;
    switch (matrix) {
        WINO_CASE(WINO_INPUT)
        WINO_CASE(WINO_KERNEL)
        WINO_CASE(WINO_KERNEL_BACK)
        WINO_CASE(WINO_OUTPUT)
        WINO_CASE(WINO_OUTPUT_BACK)
    }
#undef WINO_CASE
}
