/* Stable sorting of lines, and the k first of each. Elements become unsigned keys in whose order they are sorted: NaN is the
   largest, -0 and 0 are equal. Sorting is by bytes from the lowest (LSD radix sort), leaving out bytes that all keys of a line
   share; see Knuth, The Art of Computer Programming 3, 5.2.5. Lines are independent, so the result does not depend on the number
   of threads. */
#ifndef MINIGRAD_SORT_LINES_H
#define MINIGRAD_SORT_LINES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MG_SORT_FEW 32       /* lines up to so long are sorted by insertion */
#define MG_SORT_FEW_FIRST 48 /* so many first elements are kept in order while a line is read; more are selected, then sorted */

static inline uint32_t mg_key_f32(float x) {
    union { float x; uint32_t bits; } u = {.x = x == 0 ? 0 : x};
    return x != x ? ~(uint32_t)0 : u.bits ^ (u.bits >> 31 ? ~(uint32_t)0 : (uint32_t)1 << 31);
}
static inline uint64_t mg_key_f64(double x) {
    union { double x; uint64_t bits; } u = {.x = x == 0 ? 0 : x};
    return x != x ? ~(uint64_t)0 : u.bits ^ (u.bits >> 63 ? ~(uint64_t)0 : (uint64_t)1 << 63);
}
static inline uint32_t mg_key_i32(int32_t x) { return (uint32_t)x ^ (uint32_t)1 << 31; }
static inline uint64_t mg_key_i64(int64_t x) { return (uint64_t)x ^ (uint64_t)1 << 63; }

#define MG_SORT(TYPE, KEY, t)                                                                                            \
    typedef struct { KEY key; uint32_t at; } mg_pair_##t;                                                                \
    /* Sorts a[n]; b[n] is scratch. The result is in a. */                                                               \
    static void mg_sort_pairs_##t(mg_pair_##t *a, mg_pair_##t *b, int64_t n) {                                           \
        if (n <= MG_SORT_FEW) {                                                                                          \
            for (int64_t i = 1; i < n; i++) {                                                                            \
                const mg_pair_##t x = a[i];                                                                              \
                int64_t j = i;                                                                                           \
                for (; j > 0 && a[j - 1].key > x.key; j--) a[j] = a[j - 1];                                              \
                a[j] = x;                                                                                                \
            }                                                                                                            \
            return;                                                                                                      \
        }                                                                                                                \
        uint32_t counts[sizeof(KEY)][256];                                                                               \
        memset(counts, 0, sizeof counts);                                                                                \
        for (int64_t i = 0; i < n; i++)                                                                                  \
            for (unsigned d = 0; d < sizeof(KEY); d++) counts[d][a[i].key >> (8 * d) & 255]++;                           \
        mg_pair_##t *from = a, *to = b;                                                                                  \
        for (unsigned d = 0; d < sizeof(KEY); d++) {                                                                     \
            uint32_t *count = counts[d], sum = 0;                                                                        \
            if (count[from[0].key >> (8 * d) & 255] == n) continue;                                                      \
            for (int v = 0; v < 256; v++) { const uint32_t c = count[v]; count[v] = sum; sum += c; }                     \
            for (int64_t i = 0; i < n; i++) to[count[from[i].key >> (8 * d) & 255]++] = from[i];                         \
            mg_pair_##t *other = from;                                                                                   \
            from = to, to = other;                                                                                       \
        }                                                                                                                \
        if (from != a) memcpy(a, from, n * sizeof *a);                                                                   \
    }                                                                                                                    \
    /* Moves the k first to the front, in their order: those below a key found byte by byte from the highest, and as many */\
    /* of its equals as there is room for. 0 < k <= n. */                                                                \
    static void mg_select_pairs_##t(mg_pair_##t *a, int64_t n, int64_t k) {                                              \
        KEY known = 0, mask = 0; /* the bytes of the k-th key that are known */                                          \
        int64_t equal = k;       /* how many of those that share them are among the first k */                           \
        for (int d = sizeof(KEY) - 1; d >= 0; d--) {                                                                     \
            uint32_t counts[256] = {0};                                                                                  \
            int byte = 0;                                                                                                \
            for (int64_t i = 0; i < n; i++)                                                                              \
                if ((a[i].key & mask) == known) counts[a[i].key >> (8 * d) & 255]++;                                     \
            for (; equal > counts[byte]; byte++) equal -= counts[byte];                                                  \
            known |= (KEY)byte << (8 * d);                                                                               \
            mask |= (KEY)255 << (8 * d);                                                                                 \
            if (equal == counts[byte]) break;                                                                            \
        }                                                                                                                \
        for (int64_t i = 0, kept = 0; kept < k; i++) {                                                                   \
            const KEY top = a[i].key & mask;                                                                             \
            if (top < known || (top == known && equal-- > 0)) a[kept++] = a[i];                                          \
        }                                                                                                                \
    }                                                                                                                    \
    /* The places of the k first in a[n], in order: those that a stable sort puts first. */                              \
    static void mg_first_pairs_##t(mg_pair_##t *a, mg_pair_##t *b, int64_t n, int64_t k) {                               \
        if (k > MG_SORT_FEW_FIRST) {                                                                                     \
            if (k < n) mg_select_pairs_##t(a, n, k);                                                                     \
            mg_sort_pairs_##t(a, b, k);                                                                                  \
            return;                                                                                                      \
        }                                                                                                                \
        mg_sort_pairs_##t(a, b, k);                                                                                      \
        for (int64_t i = k; i < n; i++) {                                                                                \
            const mg_pair_##t x = a[i];                                                                                  \
            if (k == 0 || x.key >= a[k - 1].key) continue;                                                               \
            int64_t j = k - 1;                                                                                           \
            for (; j > 0 && a[j - 1].key > x.key; j--) a[j] = a[j - 1];                                                  \
            a[j] = x;                                                                                                    \
        }                                                                                                                \
    }                                                                                                                    \
    /* values[l, j] = x[l, order[l, j]] for the elements first <= j < last of each sorted line; 0 if memory was short */ \
    static int mg_sort_lines_##t(const TYPE *x, TYPE *values, int64_t *order, int64_t lines, int64_t n, int64_t first,   \
                                 int64_t last, int descending, int threads) {                                            \
        int good = 1;                                                                                                    \
        const int64_t taken = last - first;                                                                              \
        _Pragma("omp parallel num_threads(threads) if (threads > 1) reduction(&& : good)")                               \
        {                                                                                                                \
            mg_pair_##t *a = malloc(2 * (n + 1) * sizeof *a), *b = a + n + 1;                                            \
            good = a != NULL;                                                                                            \
            _Pragma("omp for schedule(static)")                                                                          \
            for (int64_t l = 0; l < lines; l++) {                                                                        \
                if (!a) continue;                                                                                        \
                const TYPE *line = x + l * n;                                                                            \
                const KEY turned = descending ? ~(KEY)0 : 0;                                                             \
                for (int64_t i = 0; i < n; i++) a[i] = (mg_pair_##t){mg_key_##t(line[i]) ^ turned, (uint32_t)i};         \
                mg_first_pairs_##t(a, b, n, last);                                                                       \
                for (int64_t j = 0; j < taken; j++) {                                                                    \
                    order[l * taken + j] = a[first + j].at;                                                              \
                    values[l * taken + j] = line[a[first + j].at];                                                       \
                }                                                                                                        \
            }                                                                                                            \
            free(a);                                                                                                     \
        }                                                                                                                \
        return good;                                                                                                     \
    }

MG_SORT(float, uint32_t, f32)
MG_SORT(double, uint64_t, f64)
MG_SORT(int32_t, uint32_t, i32)
MG_SORT(int64_t, uint64_t, i64)
#undef MG_SORT

#endif
