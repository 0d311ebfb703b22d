/* Batched matrix products over tiles in parallel, upon gemm_block_add. Compiled through multiversion.h. */

#include "gemm_kernels.h"

/* C = A @ B + E for each of `batch` products, (batch, M, K) @ (batch, K, N) -> (batch, M, N). Strides are in elements, a batch
   stride of 0 repeats an operand; C is contiguous; E is NULL or has column stride 1. Tiles are cut by the shape alone. */
static void NAME(gemm)(int64_t batch, int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_batch, int64_t a_row,
                       int64_t a_col, const REAL *B, int64_t b_batch, int64_t b_row, int64_t b_col, REAL *C, const REAL *E,
                       int64_t e_batch, int64_t e_row, int threads) {
    if (batch <= 0 || M <= 0 || N <= 0) return;
    /* Halve the longer side until there is a tile for each GEMM_TILE_FLOPS or GEMM_TILE_BYTES, at most 16; an operand is packed anew for each
       tile, so few large tiles are best. The sides stay long enough for the register tile to be full. */
    const double flops = 2.0 * M * N * K / GEMM_TILE_FLOPS, bytes = (double)sizeof(REAL) * (M * K + K * N + M * N) / GEMM_TILE_BYTES;
    const double work = flops > bytes ? flops : bytes;
    int64_t wanted = work >= 16 ? 16 : (int64_t)work + 1, m_tiles = 1, n_tiles = 1;
    wanted = (wanted + batch - 1) / batch;
    while (m_tiles * n_tiles < wanted) {
        const int64_t m_half = M / (2 * m_tiles), n_half = N / (2 * n_tiles);
        if (n_half >= m_half && n_half >= 2 * LANES) n_tiles *= 2;
        else if (m_half >= 4) m_tiles *= 2;
        else if (n_half >= 2 * LANES) n_tiles *= 2;
        else break;
    }
    const int64_t m_size = (M + m_tiles - 1) / m_tiles, unit = 2 * LANES;
    const int64_t n_size = ((N + n_tiles - 1) / n_tiles + unit - 1) / unit * unit;
    const int64_t tiles = m_tiles * n_tiles;
    #pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const scratch = mg_thread_scratch(GEMM_SCRATCH * sizeof(REAL));
        #pragma omp for schedule(static)
        for (int64_t t = 0; t < batch * tiles; t++) {
            const int64_t n = t / tiles, i = t % tiles / n_tiles * m_size, j = t % n_tiles * n_size;
            const int64_t rows = M - i < m_size ? M - i : m_size, columns = N - j < n_size ? N - j : n_size;
            NAME(gemm_block_add)(rows, columns, K, A + n * a_batch + i * a_row, a_row, a_col, B + n * b_batch + j * b_col, b_row,
                                 b_col, C + (n * M + i) * N + j, N, E ? E + n * e_batch + i * e_row + j : 0, e_row, scratch);
        }
    }
}
