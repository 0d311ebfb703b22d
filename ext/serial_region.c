/* A parallel region of one thread, without the runtime.

   `#pragma omp parallel ... if (threads > 1)` enters libgomp also where the condition is false: with one thread it makes a team, takes
   it down again, and makes system calls for both, half a microsecond in all. That is as much as a small kernel takes. The linker
   (setup.py: --wrap) sends every region of this library here first. The body runs as it would outside of any region, which OpenMP
   allows for all that a body can hold: there omp_get_num_threads() is 1 and barriers pass. */
#include <omp.h>

void __real_GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
void __wrap_GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);

__attribute__((visibility("hidden"))) void __wrap_GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags) {
    if (threads == 1 && omp_get_num_threads() == 1) body(data);
    else __real_GOMP_parallel(body, data, threads, flags);
}
