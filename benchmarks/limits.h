/* The machine's limits: multiply-adds in registers, and copies of arrays of a given size. Compiled by machine.py. */

#include <omp.h>
#include <stdint.h>
#include <string.h>

#define CHAINS 20
typedef float vector __attribute__((vector_size(64)));

/* Seconds that `rounds` rounds of CHAINS independent fused multiply-adds of 16 floats take on each of `threads` threads. */
double fma_seconds(int64_t rounds, int threads) {
    double longest = 0;
#pragma omp parallel num_threads(threads) reduction(max : longest)
    {
        vector a[CHAINS];
        volatile float one = 1.0f, tiny = 1e-9f;
        vector x = {0}, y = {0};
        x += one, y += tiny;
        for (int i = 0; i < CHAINS; i++) a[i] = x * (float)i;
#pragma omp barrier
        const double start = omp_get_wtime();
        for (int64_t round = 0; round < rounds; round++)
            for (int i = 0; i < CHAINS; i++) a[i] = a[i] * x + y;
        longest = omp_get_wtime() - start;
        volatile vector sink = a[0];
        for (int i = 1; i < CHAINS; i++) sink += a[i];
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
