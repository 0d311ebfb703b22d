/* Batched matrix products over tiles in parallel, upon gemm_block_add. Compiled through multiversion.h. */

#include "gemm_kernels.h"

/* C = A @ B + E for each of `batch` products, (batch, M, K) @ (batch, K, N) -> (batch, M, N). Strides are in elements, a batch
   stride of 0 repeats an operand; C is contiguous; E is NULL or has column stride 1. Tiles are cut by the shape alone. */
static void NAME(gemm)(int64_t batch, int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_batch, int64_t a_row,
                       int64_t a_col, const REAL *B, int64_t b_batch, int64_t b_row, int64_t b_col, REAL *C, const REAL *E,
                       int64_t e_batch, int64_t e_row, int threads) {
    if (batch <= 0 || M <= 0 || N <= 0) return;
    /* Halve the longer side until there is a tile for each GEMM_TILE_FLOPS or GEMM_TILE_BYTES, at most 16. The sides stay long
       enough for the register tile to be full. */
    const double flops = 2.0 * M * N * K / GEMM_TILE_FLOPS;
    const double bytes = (double)sizeof(REAL) * (M * K + K * N + M * N) / GEMM_TILE_BYTES;
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
    const int64_t unit = 2 * LANES, m_size = (M + m_tiles - 1) / m_tiles;
    const int64_t n_size = ((N + n_tiles - 1) / n_tiles + unit - 1) / unit * unit;
    m_tiles = (M + m_size - 1) / m_size;
    n_tiles = (N + n_size - 1) / n_size;
    const int64_t tiles = m_tiles * n_tiles;
    /* An operand is packed anew for each block, so the tiles that a thread has side by side are one block to it: where that
       leaves every element's sum as it is, since no tile is so small that it is computed in a way of its own. */
    const int join = (m_tiles == 1 || (M - 1) % m_size >= GEMM_DOT_ROWS) && (n_tiles == 1 || (N - 1) % n_size > 0);
    if (threads > batch * tiles) threads = (int)(batch * tiles);
    #pragma omp parallel num_threads(threads) if (threads > 1)
    {
        REAL *const scratch = mg_thread_scratch(GEMM_SCRATCH * sizeof(REAL));
#ifdef _OPENMP
        const int64_t team = omp_get_num_threads(), member = omp_get_thread_num();
#else
        const int64_t team = 1, member = 0;
#endif
        const int64_t end = batch * tiles * (member + 1) / team;
        for (int64_t t = batch * tiles * member / team, next; t < end; t = next) {
            const int64_t n = t / tiles, y = t % tiles / n_tiles, x = t % n_tiles;
            int64_t down = 1, right = 1;
            if (join && x == 0 && end - t >= n_tiles) {
                down = (end - t) / n_tiles < m_tiles - y ? (end - t) / n_tiles : m_tiles - y;
                right = n_tiles;
            } else if (join)
                right = end - t < n_tiles - x ? end - t : n_tiles - x;
            next = t + down * right;
            const int64_t i = y * m_size, j = x * n_size, rows = M - i < down * m_size ? M - i : down * m_size;
            const int64_t columns = N - j < right * n_size ? N - j : right * n_size;
            NAME(gemm_block_add)(rows, columns, K, A + n * a_batch + i * a_row, a_row, a_col, B + n * b_batch + j * b_col, b_row,
                                 b_col, C + (n * M + i) * N + j, N, E ? E + n * e_batch + i * e_row + j : 0, e_row, 1, scratch);
        }
    }
}
