/* The inner loops of index_rows.h. Compiled through multiversion.h: see there for REAL and NAME. */

#if !REAL_IS_FLOAT
/* Whether all of n indices are in [0, size). */
static int NAME(are_inside)(const int64_t *at, int64_t n, int64_t size) {
    uint64_t outside = 0;
    _Pragma("omp simd reduction(| : outside)")
    for (int64_t i = 0; i < n; i++) outside |= (uint64_t)at[i] | (uint64_t)(size - 1 - at[i]);
    return !(outside >> 63);
}

/* at = at * size + next, where negative ones of `next` count from the end. Whether all are in range. */
static int NAME(merge)(int64_t *restrict at, const int64_t *restrict next, int64_t n, int64_t size) {
    uint64_t outside = 0;
    _Pragma("omp simd reduction(| : outside)")
    for (int64_t i = 0; i < n; i++) {
        const int64_t place = next[i] < 0 ? next[i] + size : next[i];
        outside |= (uint64_t)place | (uint64_t)(size - 1 - place);
        at[i] = at[i] * size + place;
    }
    return !(outside >> 63);
}

static int64_t NAME(largest)(const int64_t *x, int64_t n) {
    int64_t most = 0, all = 0;
    _Pragma("omp simd reduction(max : most) reduction(| : all)")
    for (int64_t i = 0; i < n; i++) {
        most = x[i] > most ? x[i] : most;
        all |= x[i];
    }
    return all < 0 ? -1 : most;
}
#endif

/* to += rows[at[0]] + rows[at[1]] + ..., of n rows one after the other; without `at`, of the first n. */
static void NAME(add_rows_to)(REAL *restrict to, const REAL *restrict rows, const int64_t *at, int64_t n, int64_t inner) {
    int64_t i = 0;
    for (; i + 4 * LANES <= inner; i += 4 * LANES) {
        VECTOR *const out = (VECTOR *)(to + i);
        VECTOR a = out[0], b = out[1], c = out[2], d = out[3];
        for (int64_t k = 0; k < n; k++) {
            const VECTOR *const row = (const VECTOR *)(rows + (at ? at[k] : k) * inner + i);
            a += row[0], b += row[1], c += row[2], d += row[3];
        }
        out[0] = a, out[1] = b, out[2] = c, out[3] = d;
    }
    for (; i + LANES <= inner; i += LANES) {
        VECTOR a = *(VECTOR *)(to + i);
        for (int64_t k = 0; k < n; k++) a += *(const VECTOR *)(rows + (at ? at[k] : k) * inner + i);
        *(VECTOR *)(to + i) = a;
    }
    for (; i < inner; i++) {
        REAL sum = to[i];
        for (int64_t k = 0; k < n; k++) sum += rows[(at ? at[k] : k) * inner + i];
        to[i] = sum;
    }
}
