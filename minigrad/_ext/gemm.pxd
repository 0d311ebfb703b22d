cimport numpy as cnp

cdef cnp.ndarray product(cnp.ndarray a, bint transpose_a, cnp.ndarray b, bint transpose_b, cnp.ndarray bias)
cdef cnp.ndarray sum_of_rows(cnp.ndarray x)
cdef cnp.ndarray inner(cnp.ndarray x, cnp.ndarray y)
