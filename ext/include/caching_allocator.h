/* A caching allocator for large arrays, in the form of a memory handler of numpy's (NEP 49).

   A fresh page costs about a microsecond at its first touch: more than most kernels need to fill it. So a freed block is kept
   for the next request of its size class (four classes a power of two) or of one somewhat smaller, the most recently freed
   first. What is kept is bounded twice: by `limit` bytes, and so that live and kept blocks together stay near the largest total
   that was ever live at once; beyond either the block that has waited longest goes back to the system. A program whose shapes
   change at every step thus needs little more memory than it would without a cache.

   Blocks of HUGE_PAGE bytes and more are mapped, with their data at a multiple of HUGE_PAGE, and ask for huge pages. The data
   of smaller ones that may be kept starts a page: where a result lies 64 to 192 bytes behind its argument, modulo 4096, loads
   wait for stores that they only seem to depend on (neg of 1 MB takes 16.6 us instead of 11.8, a row added to 4 MB 75 instead
   of 49), and numpy's large arrays lie 16 bytes behind the start of a page, malloc's aligned to 64 and their header 128.
   A block's header stands in the 64 bytes before its data. One mutex guards everything, also across fork. */
#ifndef MINIGRAD_CACHING_ALLOCATOR_H
#define MINIGRAD_CACHING_ALLOCATOR_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sysinfo.h>
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#define MG_HEADER 64
#define MG_PAGE 4096
#define MG_HUGE_PAGE ((size_t)2 << 20)
#define MG_SMALLEST_CLASS ((size_t)1 << 16)         /* what is smaller is not kept */
#define MG_CLASSES 160
#define MG_FIT 5                                    /* a request takes a kept block of its class or of one of the next four */
#define MG_SLACK ((size_t)16 << 20)

typedef struct mg_block {
    size_t capacity;                    /* bytes of data */
    int size_class;                     /* -1: too small to keep */
    int mapped;
    struct mg_block *newer, *older;     /* kept blocks in the order in which they were freed */
    struct mg_block *above, *below;     /* kept blocks of the same class */
} mg_block;

typedef struct {
    pthread_mutex_t mutex;
    mg_block *kept[MG_CLASSES];         /* the most recently freed of each class */
    mg_block *newest, *oldest;
    size_t live, peak, cached, limit;   /* bytes of capacity; peak of `live` */
    size_t reused, fresh;               /* how many requests were served from the cache, and from the system */
} mg_memory_t;

static mg_memory_t mg_memory = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static mg_block *mg_header(void *data) { return (mg_block *)((char *)data - MG_HEADER); }
static void *mg_data(mg_block *block) { return (char *)block + MG_HEADER; }

/* The capacity of the class that holds n bytes, (5, 6, 7 or 8) / 8 of a power of two, and its number. */
static size_t mg_class_of(size_t n, int *size_class) {
    if (n < MG_SMALLEST_CLASS) {
        *size_class = -1;
        return n ? n : 1;
    }
    const int exponent = 63 - __builtin_clzll(n - 1);
    const size_t quarter = (size_t)1 << (exponent - 2), quarters = (n + quarter - 1) / quarter;
    *size_class = (exponent - 15) * 4 + (int)quarters - 5;
    return quarters * quarter;
}

/* ---- the system's side */

/* Whether the machine has that much memory at all. Linux by default promises more than there is, and kills whoever uses it. */
static int mg_is_possible(size_t bytes) {
#ifdef __linux__
    struct sysinfo info;
    if (bytes >= ((size_t)1 << 30) && sysinfo(&info) == 0)
        return bytes / info.mem_unit <= (size_t)info.totalram + info.totalswap;
#endif
    return bytes < (size_t)1 << 47;
}

/* How far the data of a block that is not mapped is behind its start. */
static size_t mg_lead(size_t capacity) { return capacity < MG_SMALLEST_CLASS ? MG_HEADER : MG_PAGE; }

static mg_block *mg_system_new(size_t capacity, int size_class) {
    mg_block *block;
    if (!mg_is_possible(capacity)) return NULL;
    if (capacity >= MG_HUGE_PAGE) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE), length = page + MG_HUGE_PAGE + capacity;
        char *const region = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (region == MAP_FAILED) return NULL;
        /* one page for the header, then the data: what is around them goes back */
        char *const data = (char *)(((uintptr_t)region + page + MG_HUGE_PAGE - 1) & ~(uintptr_t)(MG_HUGE_PAGE - 1));
        char *const end = data + (capacity + page - 1) / page * page;
        if (data - page > region) munmap(region, (size_t)(data - page - region));
        if (region + length > end) munmap(end, (size_t)(region + length - end));
#ifdef MADV_HUGEPAGE
        madvise(data, capacity, MADV_HUGEPAGE);
#endif
        block = mg_header(data);
    } else {
        void *memory;
        const size_t lead = mg_lead(capacity);
        if (posix_memalign(&memory, lead, lead + capacity) != 0) return NULL;
        block = mg_header((char *)memory + lead);
    }
    block->capacity = capacity;
    block->size_class = size_class;
    block->mapped = capacity >= MG_HUGE_PAGE;
    return block;
}

static void mg_system_free(mg_block *block) {
    if (block->mapped) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        munmap((char *)mg_data(block) - page, page + (block->capacity + page - 1) / page * page);
    } else {
        free((char *)mg_data(block) - mg_lead(block->capacity));
    }
}

/* ---- the cache; the caller holds the mutex */

static void mg_take(mg_block *block) {
    *(block->newer ? &block->newer->older : &mg_memory.newest) = block->older;
    *(block->older ? &block->older->newer : &mg_memory.oldest) = block->newer;
    *(block->above ? &block->above->below : &mg_memory.kept[block->size_class]) = block->below;
    if (block->below) block->below->above = block->above;
    mg_memory.cached -= block->capacity;
}

static void mg_keep(mg_block *block) {
    block->newer = NULL;
    block->older = mg_memory.newest;
    *(block->older ? &block->older->newer : &mg_memory.oldest) = block;
    mg_memory.newest = block;
    block->above = NULL;
    block->below = mg_memory.kept[block->size_class];
    if (block->below) block->below->above = block;
    mg_memory.kept[block->size_class] = block;
    mg_memory.cached += block->capacity;
}

static void mg_shrink_to(size_t bytes) {
    while (mg_memory.cached > bytes) {
        mg_block *const block = mg_memory.oldest;
        mg_take(block);
        mg_system_free(block);
    }
}

static mg_block *mg_get(size_t bytes, int *is_zero) {
    int size_class;
    const size_t capacity = mg_class_of(bytes, &size_class);
    mg_block *block = NULL;
    *is_zero = 0;
    if (size_class >= 0)
        for (int i = size_class; i < size_class + MG_FIT && !block; i++) block = mg_memory.kept[i];
    if (block) {
        mg_take(block);
        mg_memory.reused++;
    } else {
        const size_t peak = mg_memory.live + capacity > mg_memory.peak ? mg_memory.live + capacity : mg_memory.peak;
        const size_t room = peak + peak / 8 + MG_SLACK - mg_memory.live;
        mg_shrink_to(room > capacity ? room - capacity : 0);
        block = mg_system_new(capacity, size_class);
        if (!block) {
            mg_shrink_to(0);
            block = mg_system_new(capacity, size_class);
        }
        if (!block) return NULL;
        *is_zero = block->mapped;
        if (size_class >= 0) mg_memory.fresh++;
    }
    mg_memory.live += block->capacity;
    if (mg_memory.live > mg_memory.peak) mg_memory.peak = mg_memory.live;
    return block;
}

/* ---- numpy's side. It does not tell realloc the old size, and free is not told of a resize: the header knows. */

static void *mg_malloc(void *context, size_t bytes) {
    int is_zero;
    (void)context;
    if (bytes >= (size_t)1 << 48) return NULL;
    pthread_mutex_lock(&mg_memory.mutex);
    mg_block *const block = mg_get(bytes, &is_zero);
    pthread_mutex_unlock(&mg_memory.mutex);
    return block ? mg_data(block) : NULL;
}

static void *mg_calloc(void *context, size_t count, size_t size) {
    size_t bytes;
    int is_zero;
    (void)context;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes >= (size_t)1 << 48) return NULL;
    pthread_mutex_lock(&mg_memory.mutex);
    mg_block *const block = mg_get(bytes, &is_zero);
    pthread_mutex_unlock(&mg_memory.mutex);
    if (!block) return NULL;
    return is_zero ? mg_data(block) : memset(mg_data(block), 0, bytes);
}

static void mg_free(void *context, void *data, size_t bytes) {
    (void)context, (void)bytes;
    if (!data) return;
    mg_block *const block = mg_header(data);
    pthread_mutex_lock(&mg_memory.mutex);
    mg_memory.live -= block->capacity;
    if (block->size_class >= 0 && block->capacity <= mg_memory.limit) {
        mg_shrink_to(mg_memory.limit - block->capacity);
        mg_keep(block);
    } else {
        mg_system_free(block);
    }
    pthread_mutex_unlock(&mg_memory.mutex);
}

static void *mg_realloc(void *context, void *data, size_t bytes) {
    if (!data) return mg_malloc(context, bytes);
    const size_t capacity = mg_header(data)->capacity;
    if (bytes <= capacity && bytes >= capacity / 2) return data;
    void *const moved = mg_malloc(context, bytes);
    if (!moved) return NULL;
    memcpy(moved, data, bytes < capacity ? bytes : capacity);
    mg_free(context, data, capacity);
    return moved;
}

static void mg_lock_memory(void) { pthread_mutex_lock(&mg_memory.mutex); }
static void mg_unlock_memory(void) { pthread_mutex_unlock(&mg_memory.mutex); }

/* ---- what memory.pyx offers */

/* Half of what a thread forks in the middle of an update would be no cache: it is consistent on both sides. */
static void mg_start_memory(size_t limit) {
    mg_memory.limit = limit;
    pthread_atfork(mg_lock_memory, mg_unlock_memory, mg_unlock_memory);
}

static void mg_empty_cache(void) {
    mg_lock_memory();
    mg_shrink_to(0);
    mg_unlock_memory();
}

static void mg_reset_peak(void) {
    mg_lock_memory();
    mg_memory.peak = mg_memory.live;
    mg_unlock_memory();
}

static void mg_set_limit(size_t limit) {
    mg_lock_memory();
    mg_memory.limit = limit;
    mg_shrink_to(limit);
    mg_unlock_memory();
}

/* Whether freed memory is to go back at once, so that a checker of memory errors sees every use after it. */
static int mg_memory_is_checked(void) {
#ifdef MINIGRAD_CHECKED                 /* a build with bounds checks or sanitizers: setup.py */
    return 1;
#else
    const char *const preloaded = getenv("LD_PRELOAD");
    return preloaded && (strstr(preloaded, "vgpreload") || strstr(preloaded, "libasan"));       /* valgrind, a sanitizer */
#endif
}

static PyDataMem_Handler mg_handler = {"minigrad_caching", 1, {NULL, mg_malloc, mg_calloc, mg_realloc, mg_free}};

#endif
