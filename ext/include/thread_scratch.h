/* A scratch buffer that belongs to the calling thread. */
#ifndef MINIGRAD_THREAD_SCRATCH_H
#define MINIGRAD_THREAD_SCRATCH_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_key_t mg_thread_scratch_key;
static pthread_once_t mg_thread_scratch_once = PTHREAD_ONCE_INIT;
static __thread size_t mg_thread_scratch_size = 0;

static void mg_thread_scratch_make_key(void) { pthread_key_create(&mg_thread_scratch_key, free); }

/* At least `bytes` bytes, aligned to 64, valid until the thread's next call or its end. Fresh memory costs more in page faults
   (0.25-1 us for 4 KB) than a small product does in work, so the thread keeps its buffer, as large as it was ever asked for. */
static void *mg_thread_scratch(size_t bytes) {
    pthread_once(&mg_thread_scratch_once, mg_thread_scratch_make_key);
    if (bytes > mg_thread_scratch_size) {
        void *memory = NULL;
        free(pthread_getspecific(mg_thread_scratch_key));
        if (posix_memalign(&memory, 64, bytes) != 0) {
            fprintf(stderr, "minigrad: out of memory for %zu bytes of scratch\n", bytes);
            abort();
        }
        pthread_setspecific(mg_thread_scratch_key, memory);
        mg_thread_scratch_size = bytes;
    }
    return pthread_getspecific(mg_thread_scratch_key);
}

#endif
