from libc.stdint cimport int64_t

cdef int plan_threads(int64_t nanoseconds) noexcept nogil
