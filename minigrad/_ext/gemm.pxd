cimport numpy as cnp

cdef cnp.ndarray product(cnp.ndarray a, bint transpose_a, cnp.ndarray b, bint transpose_b, cnp.ndarray bias)
cdef cnp.ndarray sum_of_rows(cnp.ndarray x)
cdef cnp.ndarray matrix_by_vector(cnp.ndarray a, bint transpose, cnp.ndarray x)
cdef cnp.ndarray outer_product(cnp.ndarray x, cnp.ndarray y)
cdef cnp.ndarray inner_product(cnp.ndarray x, cnp.ndarray y)
