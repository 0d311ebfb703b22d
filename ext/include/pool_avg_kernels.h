/* Average pooling and its adjoint: the second half of pool_kernels.h, which includes this file and holds the macros it uses. */

/* The windows along W of one row, already summed over the other axes: y[c] = (sum of the taps of c) / (divisor * divisor along
   W). row[i] is column i - padding, zeros in the padding. */
MG_INLINE void NAME(avg_columns)(const REAL *row, int64_t kernel, int64_t s, const REAL *divisor, int64_t OW, REAL *y) {
    int64_t c = 0;
    for (; c + LANES <= OW; c += LANES) {
        VECTOR sum = NAME(pool_load)(row + c * s, s);
        for (int64_t j = 1; j < kernel; j++) sum += NAME(pool_load)(row + c * s + j, s);
        POOL_STORE(y + c, sum / POOL_LOAD(divisor + c));
    }
    for (; c < OW; c++) {
        REAL sum = row[c * s];
        for (int64_t j = 1; j < kernel; j++) sum += row[c * s + j];
        y[c] = sum / divisor[c];
    }
}

/* The sum over the rows of a window at one column. */
MG_INLINE VECTOR NAME(avg_sum_rows)(const REAL *x, int64_t W, int n_rows) {
    VECTOR sum = POOL_LOAD(x);
    for (int r = 1; r < n_rows; r++) sum += POOL_LOAD(x + r * W);
    return sum;
}

/* Outputs first <= c < end, in vectors, of windows with stride 2 in n_rows neighbouring rows of W elements from x on (the element of
   the first tap of output 0). Whole vectors are read and written past the end. */
MG_INLINE void NAME(avg_direct)(const REAL *x, int64_t W, int n_rows, int64_t kernel, const REAL *divisor, int64_t first,
                                int64_t end, REAL *y) {
    for (int64_t c = first; c < end; c += LANES) {
        const REAL *p = x + 2 * c;
        const VECTOR a = NAME(avg_sum_rows)(p, W, n_rows), b = NAME(avg_sum_rows)(p + LANES, W, n_rows);
        VECTOR sum = __builtin_shuffle(a, b, (IVECTOR){POOL_EVEN}) + __builtin_shuffle(a, b, (IVECTOR){POOL_ODD});
        if (kernel == 3) {
            const VECTOR d = NAME(avg_sum_rows)(p + 2, W, n_rows), e = NAME(avg_sum_rows)(p + LANES + 2, W, n_rows);
            sum += __builtin_shuffle(d, e, (IVECTOR){POOL_EVEN});
        }
        POOL_STORE(y + c, sum / POOL_LOAD(divisor + c));
    }
}

/* One output of a row of windows of n_rows neighbouring rows, the rows summed first. */
MG_INLINE REAL NAME(avg_one)(const REAL *x, int64_t W, int n_rows, const pool_axis *aw, const REAL *divisor, int64_t c) {
    REAL total = 0;
    for (int64_t w = aw->start[c]; w < aw->stop[c]; w++) {
        REAL sum = x[w];
        for (int r = 1; r < n_rows; r++) sum += x[w + r * W];
        total += sum;
    }
    return total / divisor[c];
}

/* avg_row for windows of 2 or 3 columns with stride 2, up to 3 rows, read where they lie. Outputs whose windows reach into the padding
   are computed one by one, and so are those of which a whole vector cannot be read before x_end or written before y_end. */
static void NAME(avg_row_direct)(const REAL *x, const REAL *x_end, const pool_axis *aw, int n_rows, const REAL *divisor,
                                 REAL *y, const REAL *y_end) {
    const int64_t W = aw->size, OW = aw->out, kernel = aw->kernel;
    const int64_t first = pool_min(OW, (aw->padding + 1) / 2);
    const int64_t inside = pool_min(OW, (pool_max(W + aw->padding - kernel, -2) + 2) / 2);
    const REAL *start = x - aw->padding, *last = x + (n_rows - 1) * W - aw->padding;
    int64_t end = pool_max(first, inside);
    const int64_t rounded = first + POOL_ROUND_UP(end - first);
    if (y + rounded > y_end || last + 2 * rounded + 2 > x_end) end = first + (end - first) / LANES * LANES;
    if (end > first && last + 2 * end + 2 > x_end) end = pool_max(first, end - LANES);
    if (n_rows == 3 && kernel == 3) NAME(avg_direct)(start, W, 3, 3, divisor, first, end, y);
    else if (n_rows == 2 && kernel == 2) NAME(avg_direct)(start, W, 2, 2, divisor, first, end, y);
    else NAME(avg_direct)(start, W, n_rows, kernel, divisor, first, end, y);
    for (int64_t c = 0; c < first; c++) y[c] = NAME(avg_one)(x, W, n_rows, aw, divisor, c);
    for (int64_t c = pool_min(end, inside); c < OW; c++) y[c] = NAME(avg_one)(x, W, n_rows, aw, divisor, c);
}

/* One row of outputs (od, oh) of a plane x: rows are summed first, columns afterwards. The scratch begins with the row's divisors,
   which hold for rows of one product of the other axes' divisors: *known says for which. */
static void NAME(avg_row)(const REAL *x, const REAL *x_end, const pool_axis *axes, int64_t od, int64_t oh, REAL *y,
                          const REAL *y_end, REAL *scratch, double *known) {
    const pool_axis *ad = &axes[0], *ah = &axes[1], *aw = &axes[2];
    const int64_t W = aw->size, OW = aw->out;
    REAL *restrict divisor = scratch, *restrict row = scratch + OW + aw->padding;
    const double outer = ad->divisor[od] * ah->divisor[oh];
    int first = 1;
    if (*known != outer) {
        for (int64_t c = 0; c < OW; c++) divisor[c] = (REAL)(outer * aw->divisor[c]);
        *known = outer;
    }
    if (aw->stride == 2 && (aw->kernel == 2 || aw->kernel == 3) && ad->stop[od] - ad->start[od] == 1
        && ah->stop[oh] - ah->start[oh] <= 3) {
        const REAL *corner = x + (ad->start[od] * ah->size + ah->start[oh]) * W;
        NAME(avg_row_direct)(corner, x_end, aw, ah->stop[oh] - ah->start[oh], divisor, y, y_end);
        return;
    }
    for (int64_t d = ad->start[od]; d < ad->stop[od]; d++)
        for (int64_t h = ah->start[oh]; h < ah->stop[oh]; h++, first = 0) {
            const REAL *restrict in = x + (d * ah->size + h) * W;
            if (first && h + 1 < ah->stop[oh]) {
                const REAL *restrict next = in + W;
                for (int64_t w = 0; w < W; w++) row[w] = in[w] + next[w];
                h++;
            } else if (first)
                for (int64_t w = 0; w < W; w++) row[w] = in[w];
            else
                for (int64_t w = 0; w < W; w++) row[w] += in[w];
        }
    if (aw->stride == 0) {
        for (int64_t c = 0; c < OW; c++) {
            REAL sum = 0;
#pragma omp simd reduction(+ : sum)
            for (int64_t w = aw->start[c]; w < aw->stop[c]; w++) sum += row[w];
            y[c] = sum / divisor[c];
        }
        return;
    }
    row -= aw->padding;
    if (aw->stride == 2 && aw->kernel == 2)
        NAME(avg_columns)(row, 2, 2, divisor, OW, y);
    else if (aw->stride == 2)
        NAME(avg_columns)(row, aw->kernel, 2, divisor, OW, y);
    else if (aw->stride == 1)
        NAME(avg_columns)(row, aw->kernel, 1, divisor, OW, y);
    else
        NAME(avg_columns)(row, aw->kernel, aw->stride, divisor, OW, y);
}

/* y (planes, OD, OH, OW) = sum over the windows of x (planes, D, H, W), divided by the product of the axes' divisors. */
static void NAME(avg_pool_forward)(const REAL *x, REAL *y, int64_t planes, const pool_axis *axes, REAL *scratch, int threads) {
    const int64_t OH = axes[1].out, OW = axes[2].out, rows = axes[0].out * OH;
    const int64_t plane = axes[0].size * axes[1].size * axes[2].size, scratch_size = pool_avg_scratch(axes);
    const int64_t block_rows = pool_block_rows(axes), blocks = (rows + block_rows - 1) / block_rows;
    for (int64_t i = 0; i < threads * scratch_size; i++) scratch[i] = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t b = 0; b < planes * blocks; b++) {
        const int64_t p = b / blocks, r0 = b % blocks * block_rows, r1 = pool_min(rows, r0 + block_rows);
        double known = 0;
        for (int64_t r = r0; r < r1; r++)
            NAME(avg_row)(x + p * plane, x + planes * plane, axes, r / OH, r % OH, y + (p * rows + r) * OW,
                          y + (p * rows + r1) * OW, scratch + POOL_THREAD * scratch_size, &known);
    }
}

/* out[w] = sum over the windows c that hold column w of sums[c], for windows of 2 or 3 columns with stride 2: of the padded
   columns the odd ones lie in one window, the even ones in one or (where windows are 3 wide) two. sums is 0 outside of [0, OW). Whole
   vectors are written up to out_end. */
MG_INLINE void NAME(avg_spread_direct)(const REAL *sums, int64_t kernel, int64_t padding, int64_t W, REAL *out,
                                       const REAL *out_end) {
    const int64_t odd = padding & 1;
    int64_t w = 0;
    for (; w < W; w += 2 * LANES) {
        const REAL *s = sums + (w + padding) / 2;
        const VECTOR one = POOL_LOAD(s);
        VECTOR two = POOL_LOAD(s + odd);
        if (kernel == 3) two += POOL_LOAD(s + odd - 1);
        const VECTOR a = odd ? one : two, b = odd ? two : one;
        const VECTOR low = __builtin_shuffle(a, b, (IVECTOR){POOL_LOW}), high = __builtin_shuffle(a, b, (IVECTOR){POOL_HIGH});
        if (out_end - (out + w) >= 2 * LANES) {
            POOL_STORE(out + w, low);
            POOL_STORE(out + w + LANES, high);
        } else {
            const VECTOR both[2] = {low, high};
            memcpy(out + w, both, (W - w) * sizeof(REAL));
        }
    }
}

/* The same for any windows; row has room for the padded columns. */
static void NAME(avg_spread)(const REAL *restrict sums, const pool_axis *aw, REAL *restrict row, REAL *restrict out) {
    const int64_t OW = aw->out, W = aw->size;
    if (aw->stride == 1) {
        for (int64_t w = 0; w < W + 2 * aw->padding + aw->kernel; w++) row[w] = 0;
        for (int64_t j = 0; j < aw->kernel; j++)
            for (int64_t c = 0; c < OW; c++) row[c + j] += sums[c];
        memcpy(out, row + aw->padding, W * sizeof(REAL));
        return;
    }
    for (int64_t w = 0; w < W; w++) out[w] = 0;
    for (int64_t c = 0; c < OW; c++)
        for (int64_t w = aw->start[c]; w < aw->stop[c]; w++) out[w] += sums[c];
}

/* One row of the adjoint: the quotients of the rows of g whose windows hold it (d0 <= od < d1, h0 <= oh < h1) are summed first,
   and spread over the columns afterwards. The scratch begins with divisors, as in avg_row, and zeros. */
static void NAME(avg_row_backward)(const REAL *g, const pool_axis *axes, int64_t d0, int64_t d1, int64_t h0, int64_t h1, REAL *out,
                                   const REAL *out_end, REAL *scratch, double *known) {
    const pool_axis *aw = &axes[2];
    const int64_t OW = aw->out;
    REAL *restrict divisor = scratch, *restrict sums = scratch + OW + POOL_SLACK;
    for (int64_t c = 0; c < OW; c++) sums[c] = 0;
    for (int64_t od = d0; od < d1; od++)
        for (int64_t oh = h0; oh < h1; oh++) {
            const REAL *restrict row = g + (od * axes[1].out + oh) * OW;
            const double outer = axes[0].divisor[od] * axes[1].divisor[oh];
            if (*known != outer)
                for (int64_t c = 0; c < OW; c++) divisor[c] = (REAL)(outer * aw->divisor[c]);
            *known = outer;
            for (int64_t c = 0; c < OW; c++) sums[c] += row[c] / divisor[c];
        }
    if (aw->stride == 2 && aw->kernel == 3)
        NAME(avg_spread_direct)(sums, 3, aw->padding, aw->size, out, out_end);
    else if (aw->stride == 2 && aw->kernel == 2)
        NAME(avg_spread_direct)(sums, 2, aw->padding, aw->size, out, out_end);
    else
        NAME(avg_spread)(sums, aw, sums + pool_avg_sums(aw), out);
}

/* The adjoint of avg_pool_forward: gx (planes, D, H, W) from g (planes, OD, OH, OW). Every row is written once, in order; what lies
   in the same windows as its neighbour before is a copy of it. */
static void NAME(avg_pool_backward)(const REAL *g, REAL *gx, int64_t planes, const pool_axis *axes, REAL *scratch,
                                    int threads) {
    const int64_t D = axes[0].size, H = axes[1].size, W = axes[2].size, rows = axes[0].out * axes[1].out;
    const int64_t scratch_size = pool_avg_scratch(axes);
    for (int64_t i = 0; i < threads * scratch_size; i++) scratch[i] = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int64_t p = 0; p < planes; p++) {
        const REAL *gp = g + p * rows * axes[2].out, *end = gx + (p + 1) * D * H * W;
        double known = 0;
        int64_t d0 = 0, d1 = 0;
        for (int64_t d = 0; d < D; d++) {
            REAL *out = gx + (p * D + d) * H * W, *held = out;
            int64_t h0 = 0, h1 = 0;
            if (!pool_holders(&axes[0], d, &d0, &d1)) {
                memcpy(out, out - H * W, H * W * sizeof(REAL));
                continue;
            }
            for (int64_t h = 0; h < H; h++, out += W) {
                if (pool_holders(&axes[1], h, &h0, &h1)) {
                    NAME(avg_row_backward)(gp, axes, d0, d1, h0, h1, out, end, scratch + POOL_THREAD * scratch_size, &known);
                    held = out;
                } else {
                    /* memcpy of the row just written waits for its stores: 1.6 times as long (56x56 from 1x1) */
                    _Pragma("omp simd")
                    for (int64_t w = 0; w < W; w++) out[w] = held[w];
                }
            }
        }
    }
}
