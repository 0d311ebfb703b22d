/* Matrix products. Compiled through multiversion.h: see there for REAL, NAME and VECTOR.

   Another family may use gemm_block inside its own parallel region: its foo_kernels.h starts with #include "gemm_kernels.h"
   (no include guard: it is compiled once for every instruction set and type, and one translation unit holds one such family).

   NAME(gemm_block)(M, N, K, A, a_row, a_col, B, b_row, b_col, C, c_row, accumulate, scratch):
       C = A @ B, or C += A @ B where accumulate is not 0;   (M, K) @ (K, N) -> (M, N)
       strides are in elements; A and B may have any (transposed, 0, negative), C has columns side by side (column stride 1).
       C must not overlap A or B. K == 0 gives zeros (or leaves C as it is).
       scratch: GEMM_SCRATCH REALs that belong to the calling thread (no alignment needed, contents are neither read before
       they are written nor of use afterwards).
       It runs on the calling thread and takes the sum over K for each element of C in an order that depends on M, N, K and the
       strides alone. */

#ifndef GEMM_SCRATCH
#define GEMM_SCRATCH 204800 /* REALs that gemm_block needs as scratch: 800 KB of float, 1.6 MB of double */
#endif

static void NAME(gemm_block)(int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_row, int64_t a_col, const REAL *B,
                             int64_t b_row, int64_t b_col, REAL *C, int64_t c_row, int accumulate, REAL *scratch) {
    (void)scratch;
    for (int64_t i = 0; i < M; i++) {
        REAL *c = C + i * c_row;
        if (!accumulate)
            for (int64_t j = 0; j < N; j++) c[j] = 0;
        for (int64_t k = 0; k < K; k++) {
            const REAL a = A[i * a_row + k * a_col];
            const REAL *b = B + k * b_row;
            if (b_col == 1)
                for (int64_t j = 0; j < N; j++) c[j] += a * b[j];
            else
                for (int64_t j = 0; j < N; j++) c[j] += a * b[j * b_col];
        }
    }
}
