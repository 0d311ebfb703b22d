"""The engine: the tensor's core, the graph's nodes, and the backward pass.

A `Function` is a node of the graph. Its `forward` sees arrays and gives arrays; its `backward` sees Tensors and uses only
differentiable operations. The engine runs that one rule with grad mode off (the usual case: nothing is recorded, nothing is
lost) or on (create_graph=True: the gradient is itself a graph, so derivatives of any order come from the same line of code).

The parameters that `backward` names after `g` are what the node keeps: names of forward's parameters, and `out`.
"""
import functools
import threading
import warnings
import weakref

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc, realloc

from minigrad._ext.memory cimport CACHED_FROM, copied, empty, enter_cache, leave_cache
from minigrad._ext.threads cimport plan_threads

cnp.import_array()


cdef extern from "elementwise.h" nogil:
    void binary_add(...)


cdef extern from "Python.h":
    PyObject *PyTuple_GET_ITEM(tuple t, Py_ssize_t i)      # borrowed


cdef extern from *:
    """
    static _Thread_local int mg_grad_mode = 1;
    static _Thread_local int mg_inference = 0;
    static _Thread_local int mg_asked_for_grad = 1;        /* is_grad_enabled() while mg_inference */
    static _Thread_local PyObject *mg_saving_hooks = NULL; /* a stack of (pack, unpack): a list, or NULL */
    static long mg_sequence = 0;
    static PyObject *mg_new(PyTypeObject *type, PyObject *no_arguments) { return type->tp_new(type, no_arguments, NULL); }
    """
    int mg_grad_mode
    int mg_inference
    int mg_asked_for_grad
    PyObject *mg_saving_hooks
    long mg_sequence
    object mg_new(PyTypeObject *type, object no_arguments)


cdef object tensor_class = None          # minigrad.Tensor, a subclass of TensorBase: what wrap() makes
cdef PyTypeObject *tensor_type = NULL
cdef tuple no_arguments = ()
cdef list dtype_of_typenum = [None] * 32
cdef object size_class = tuple
cdef object add_op = None                # differentiable addition, for create_graph
cdef object cast_op = None
cdef object refresh_view = None
cdef object general_backward = None


def configure(*, tensor, size, dtypes, add, cast, refresh, backward):
    """Tells the engine about the Python half of the library. Called once, by minigrad/tensor.py.

    tensor: the class of every result. size: the class of shapes. dtypes: {numpy type number: dtype object}.
    add(x, y), cast(x, dtype): differentiable ops. refresh(view): gives a view whose base was written a node of its own.
    backward: minigrad.autograd.backward.
    """
    global tensor_class, tensor_type, size_class, add_op, cast_op, refresh_view, general_backward
    tensor_class, size_class, add_op, cast_op, refresh_view = tensor, size, add, cast, refresh
    tensor_type = <PyTypeObject *> tensor_class
    general_backward = backward
    for typenum, dtype in dtypes.items():
        dtype_of_typenum[typenum] = dtype


# ---------------------------------------------------------------------------------------------------------- grad mode

cdef bint grad_enabled() noexcept:
    return mg_grad_mode


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread."""
    return mg_asked_for_grad != 0 if mg_inference else mg_grad_mode != 0


def _set_grad_enabled(bint mode) -> bool:
    """Sets this thread's grad mode and gives the one before. In inference mode nothing is recorded whatever is asked for."""
    global mg_grad_mode, mg_asked_for_grad
    cdef bint before = is_grad_enabled()
    mg_asked_for_grad = mode
    mg_grad_mode = mode and not mg_inference
    return before


cdef bint inference_was_used = False     # the one test that a new tensor pays before anybody asks for inference mode


def is_inference_mode_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return mg_inference != 0


def _set_inference_mode(bint inference, bint mode):
    """Sets this thread's inference mode, and grad mode with it; gives both as they were before."""
    global mg_inference, inference_was_used
    before = mg_inference != 0, is_grad_enabled()
    inference_was_used = inference_was_used or inference
    mg_inference = inference
    _set_grad_enabled(mode)
    return before


def _push_saving_hooks(pack, unpack) -> None:
    """Has what nodes of this thread save go through pack from now on, and through unpack when it is needed."""
    global mg_saving_hooks, saving_hooks_were_used
    saving_hooks_were_used = True
    if mg_saving_hooks == NULL:
        stack = []
        Py_INCREF(stack)
        mg_saving_hooks = <PyObject *> stack
    (<list> mg_saving_hooks).append((pack, unpack))


def _pop_saving_hooks() -> None:
    """Takes away the hooks that were pushed last."""
    global mg_saving_hooks
    (<list> mg_saving_hooks).pop()
    if not <list> mg_saving_hooks:
        Py_DECREF(<list> mg_saving_hooks)
        mg_saving_hooks = NULL


cdef bint saving_hooks_were_used = False


# ----------------------------------------------------------------------------------------------------------- observers

cdef bint watching = False               # the one test that an operation pays while nobody watches
cdef tuple observers = ()


def _set_observers(tuple wanted) -> None:
    """Who is told of every operation: see minigrad/autograd/observer.py."""
    global watching, observers
    observers = wanted
    watching = len(wanted) > 0


cdef begin(object operation, tuple inputs):
    """Tells the observers that an operation (a node, or the name of a compiled one) starts."""
    for observer in observers:
        observer.begin(operation, inputs)


cdef end(object operation, tuple inputs, object outputs):
    """Tells the observers that an operation has ended; outputs: None after an error."""
    for observer in observers[::-1]:
        observer.end(operation, inputs, outputs)


# One module, so that the C compiler sees through the calls of one part into another, in a file for each part.
include "engine_tensor.pxi"
include "engine_node.pxi"
include "engine_backward.pxi"
