/* Masks from random words. Compiled through multiversion.h: see there for REAL and NAME. */

/* Each element is `scale` where its half of a word is below `limit`, else 0. */
static void NAME(stream_keep)(REAL *out, int64_t n, const mg_stream *stream, uint32_t limit, double scale, int threads) {
    const REAL kept = (REAL)scale;
    _Pragma("omp parallel for num_threads(threads) if (threads > 1) schedule(static)")
    for (int64_t first = 0; first < n; first += 2 * MG_STREAM_SPAN) {
        const int64_t here = n - first < 2 * MG_STREAM_SPAN ? n - first : 2 * MG_STREAM_SPAN;
        uint64_t words[MG_STREAM_SPAN];
        mg_stream_draw(mg_stream_after(*stream, first / 2), (here + 1) / 2, words);
        const mg_half *const halves = (const mg_half *)words;
        for (int64_t i = 0; i < here; i++) out[first + i] = halves[i] < limit ? kept : 0;
    }
}
