/* Batched matrix products over tiles in parallel, upon gemm_block_add. Compiled through multiversion.h. */

#include "gemm_kernels.h"

/* gemm where C is too small to be cut: each of `pieces` parts of the sum over K is a product of its own, and they are added in
   order. */
static void NAME(gemm_deep)(int64_t pieces, int64_t batch, int64_t M, int64_t N, int64_t K, const REAL *A, int64_t a_batch,
                            int64_t a_row, int64_t a_col, const REAL *B, int64_t b_batch, int64_t b_row, int64_t b_col, REAL *C,
                            const REAL *E, int64_t e_batch, int64_t e_row, int threads) {
    const int64_t size = M * N;
    /* behind the scratch of this thread's own part */
    REAL *const parts = (REAL *)mg_thread_scratch((GEMM_SCRATCH + batch * pieces * size) * sizeof(REAL)) + GEMM_SCRATCH;
    if (threads > batch * pieces) threads = (int)(batch * pieces);
    #pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t t = 0; t < batch * pieces; t++) {
        const int64_t n = t / pieces, k = K * (t % pieces) / pieces, end = K * (t % pieces + 1) / pieces;
        NAME(gemm_block)(M, N, end - k, A + n * a_batch + k * a_col, a_row, a_col, B + n * b_batch + k * b_row, b_row, b_col,
                         parts + t * size, N, 0, mg_thread_scratch(GEMM_SCRATCH * sizeof(REAL)));
    }
    for (int64_t n = 0; n < batch; n++)
        for (int64_t i = 0; i < M; i++)
            for (int64_t j = 0; j < N; j++) {
                const REAL *const part = parts + n * pieces * size + i * N + j;
                REAL sum = part[0];
                for (int64_t p = 1; p < pieces; p++) sum += part[p * size];
                C[n * size + i * N + j] = E ? sum + E[n * e_batch + i * e_row + j] : sum;
            }
}

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
    if (M * N <= GEMM_DEEP_SIZE && K >= GEMM_DEEP_RATIO * (M > N ? M : N)) {
        int64_t pieces = 1;
        while (pieces < wanted && K / (2 * pieces) >= GEMM_DEEP_K) pieces *= 2;
        if (pieces > 1) {
            NAME(gemm_deep)(pieces, batch, M, N, K, A, a_batch, a_row, a_col, B, b_batch, b_row, b_col, C, E, e_batch, e_row,
                            threads);
            return;
        }
    }
    while (m_tiles * n_tiles < wanted) {
        const int64_t m_half = M / (2 * m_tiles), n_half = N / (2 * n_tiles);
        if (n_half >= m_half && n_half >= 2 * LANES) n_tiles *= 2;
        else if (m_half >= 4) m_tiles *= 2;
        else if (n_half >= 2 * LANES) n_tiles *= 2;
        else break;
    }
    const int64_t unit = 2 * LANES, units = (N + unit - 1) / unit, tiles = m_tiles * n_tiles;
    /* An operand is packed anew for each block, so the tiles that a thread has side by side are one block to it: where that
       leaves every element's sum as it is, since no tile is so low that it is computed in a way of its own. */
    const int join = m_tiles == 1 || M / m_tiles > GEMM_DOT_ROWS;
    /* Lines of tiles run along the shorter side, so that the larger operand is cut between threads and not packed by each. */
    const int down = N > M;
    const int64_t length = down ? m_tiles : n_tiles, count = down ? n_tiles : m_tiles;
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
            if (tiles == 1) { /* no divisions: they take as long as a product of 4x4 */
                NAME(gemm_block_add)(M, N, K, A + t * a_batch, a_row, a_col, B + t * b_batch, b_row, b_col, C + t * M * N, N,
                                     E ? E + t * e_batch : 0, e_row, 1, scratch);
                next = t + 1;
                continue;
            }
            const int64_t n = t / tiles, line = t % tiles / length, at = t % length;
            int64_t here = end - t < length - at ? end - t : length - at, lines = 1;
            if (!join) here = 1;
            else if (here == length) lines = (end - t) / length < count - line ? (end - t) / length : count - line;
            next = t + lines * here;
            const int64_t y = down ? at : line, x = down ? line : at, tall = down ? here : lines, broad = down ? lines : here;
            const int64_t i = M * y / m_tiles, rows = M * (y + tall) / m_tiles - i, j = units * x / n_tiles * unit;
            const int64_t columns = (x + broad == n_tiles ? N : units * (x + broad) / n_tiles * unit) - j;
            NAME(gemm_block_add)(rows, columns, K, A + n * a_batch + i * a_row, a_row, a_col, B + n * b_batch + j * b_col, b_row,
                                 b_col, C + (n * M + i) * N + j, N, E ? E + n * e_batch + i * e_row + j : 0, e_row, 1, scratch);
        }
    }
}
