/* The machine's limits: multiply-adds in registers, and copies of arrays of a given size. Compiled by machine.py. */

#include <omp.h>
#include <stdint.h>
#include <string.h>

/* Enough chains to hide the latency of two units, few enough for the machine's registers. */
#ifdef __AVX512F__
#define BYTES 64
#define CHAINS 24
#else
#define BYTES 32
#define CHAINS 12
#endif
#define FOR_EACH_CHAIN _Pragma("GCC unroll 32") for (int i = 0; i < CHAINS; i++)
typedef float vector __attribute__((vector_size(BYTES)));

/* Multiplications and additions of one round. */
const int fma_round = 2 * CHAINS * BYTES / sizeof(float);

/* Seconds that `rounds` rounds of CHAINS independent fused multiply-adds of a vector take on each of `threads` threads. */
double fma_seconds(int64_t rounds, int threads) {
    double longest = 0;
#pragma omp parallel num_threads(threads) reduction(max : longest)
    {
        vector a[CHAINS];
        volatile float one = 1.0f, tiny = 1e-9f;
        vector x = {0}, y = {0};
        x += one, y += tiny;
        FOR_EACH_CHAIN a[i] = x * (float)i;
#pragma omp barrier
        const double start = omp_get_wtime();
        for (int64_t round = 0; round < rounds; round++)
            FOR_EACH_CHAIN a[i] = a[i] * x + y; /* unrolled, so that the sums are in registers: in memory they took twice as long */
        longest = omp_get_wtime() - start;
        vector sum = {0};
        FOR_EACH_CHAIN sum += a[i];
        __asm__ volatile("" : : "m"(sum)); /* somebody reads it */
    }
    return longest;
}

/* Seconds that `rounds` copies of n bytes take, cut evenly among the threads. */
double copy_seconds(char *to, const char *from, int64_t n, int64_t rounds, int threads) {
    double longest = 0;
#pragma omp parallel num_threads(threads) reduction(max : longest)
    {
        const int64_t t = omp_get_thread_num(), begin = n * t / threads, end = n * (t + 1) / threads;
#pragma omp barrier
        const double start = omp_get_wtime();
        for (int64_t round = 0; round < rounds; round++) {
            memcpy(to + begin, from + begin, end - begin);
            __asm__ volatile("" ::: "memory");
        }
        longest = omp_get_wtime() - start;
    }
    return longest;
}
