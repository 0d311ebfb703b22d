/* Elementwise kernels over contiguous arrays. Compiled through multiversion.h: see there for REAL and NAME.
   A step of 0 instead of 1 makes an operand a scalar. */

#define MG_BINARY(name, expression)                                                                             \
    static void NAME(name)(const REAL *x, int64_t x_step, const REAL *y, int64_t y_step, REAL *out, int64_t n, \
                           int threads) {                                                                       \
        if (x_step == 0) {                                                                                      \
            const REAL a = x[0];                                                                                \
            _Pragma("omp parallel for simd num_threads(threads) if (threads > 1) schedule(static)")             \
            for (int64_t i = 0; i < n; i++) { const REAL b = y[i * y_step]; out[i] = expression; }              \
        } else if (y_step == 0) {                                                                               \
            const REAL b = y[0];                                                                                \
            _Pragma("omp parallel for simd num_threads(threads) if (threads > 1) schedule(static)")             \
            for (int64_t i = 0; i < n; i++) { const REAL a = x[i]; out[i] = expression; }                       \
        } else {                                                                                                \
            _Pragma("omp parallel for simd num_threads(threads) if (threads > 1) schedule(static)")             \
            for (int64_t i = 0; i < n; i++) { const REAL a = x[i], b = y[i]; out[i] = expression; }             \
        }                                                                                                       \
    }

MG_BINARY(binary_add, a + b)
MG_BINARY(binary_sub, a - b)
MG_BINARY(binary_mul, a * b)
MG_BINARY(binary_div, a / b)

#undef MG_BINARY
