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


# ------------------------------------------------------------------------------------------------------------- tensor

cdef enum Origin:             # of a view
    RECORDED
    WITHOUT_GRAD
    IN_FUNCTION
    IN_INFERENCE


@cython.freelist(64)
@cython.final
cdef class Version:
    """How often a storage was written. Shared by a tensor, its views and its detached aliases."""

    def __cinit__(self):
        self.value = 0


cdef class TensorBase:
    """The compiled core of Tensor: an array, its place in the graph, its gradient, and the version of its storage."""

    @property
    def shape(self):
        """The size of each dimension, a tuple."""
        return size_class((<object> self._array).shape)

    @property
    def dtype(self):
        """The type of the elements, e.g. minigrad.float32."""
        return dtype_of_typenum[cnp.PyArray_TYPE(self._array)]

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return cnp.PyArray_NDIM(self._array)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded so that gradients can flow to it."""
        return needs_grad(self)

    @requires_grad.setter
    def requires_grad(self, bint value):
        if needs_grad(self) == value:
            return
        if self.node is not None:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
                "subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if value and not cnp.PyArray_ISFLOAT(self._array):
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, but this one has dtype {self.dtype}"
            )
        if value and self.inference and not mg_inference:
            raise RuntimeError("Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.")
        self.leaf_requires_grad = value

    @property
    def is_leaf(self) -> bool:
        """True for a tensor that no recorded operation made: the end of a gradient's way."""
        needs_grad(self)
        return self.node is None

    @property
    def grad_fn(self):
        """The node of the operation that made this tensor, None for a leaf."""
        needs_grad(self)
        return self.node

    @property
    def output_nr(self) -> int:
        """Which output of grad_fn this tensor is."""
        return self.nr

    @property
    def grad(self):
        """The gradient accumulated by backward(), None before the first. Warns for a non-leaf tensor that does not retain it."""
        if self._grad is None and self.node is not None and not self.retains:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute won't be populated "
                "during autograd.backward(). Call .retain_grad() on it first if you want it to be.",
                UserWarning,
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is None:
            self._grad = None
            return
        if not isinstance(value, TensorBase):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}")
        cdef TensorBase new = <TensorBase> value
        if new is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if cnp.PyArray_TYPE(new._array) != cnp.PyArray_TYPE(self._array):
            raise RuntimeError(f"assigned grad has data of a different type: expected {self.dtype}, got {new.dtype}")
        if not cnp.PyArray_SAMESHAPE(new._array, self._array):
            raise RuntimeError(
                f"assigned grad has data of a different size: expected {tuple(self.shape)}, got {tuple(new.shape)}"
            )
        self._grad = new

    @grad.deleter
    def grad(self):
        self._grad = None

    @property
    def data(self):
        """The same storage as a tensor outside the graph; writes to it escape the version counter."""
        return wrap(self._array)

    @data.setter
    def data(self, value):
        if not isinstance(value, TensorBase):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        if self.leaf_requires_grad and not cnp.PyArray_ISFLOAT((<TensorBase> value)._array):
            raise RuntimeError("data set to a tensor that requires gradients must be floating point dtype")
        self._array = (<TensorBase> value)._array

    @property
    def _version(self) -> int:
        """How often this tensor's storage was written by in-place operations. RuntimeError for an inference tensor."""
        if self.inference:
            raise RuntimeError("Inference tensors do not track version counter.")
        return 0 if self.version is None else self.version.value

    @property
    def _base(self):
        """The tensor that this one is a differentiable view of, None for any other tensor."""
        return self.base

    @property
    def retains_grad(self) -> bool:
        """Whether backward() keeps this non-leaf tensor's gradient in .grad."""
        return self.retains != 0

    def is_inference(self) -> bool:
        """Whether this tensor was made in inference mode: it takes no part in any graph."""
        return self.inference != 0

    def _is_view(self) -> bool:
        """Whether this tensor is a differentiable view of another."""
        return self.base is not None

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None) -> None:
        """Adds the gradient of this tensor (a scalar, or weighted by `gradient`) to .grad of every leaf it depends on.

        Frees the graph unless retain_graph (by default create_graph); create_graph=True makes the gradients differentiable.
        inputs: the only tensors to accumulate into. Raises RuntimeError for a tensor that does not require grad, and for one
        that is no scalar without a gradient. See minigrad.autograd.backward.
        """
        cdef Walk walk
        cdef bint create, retain
        if gradient is not None or inputs is not None or cnp.PyArray_SIZE(self._array) != 1 or not needs_grad(self):
            general_backward(self, gradient, retain_graph, create_graph, inputs)
            return
        create = create_graph
        retain = create if retain_graph is None else retain_graph
        walk = Walk.__new__(Walk)
        walk.queue = Queue()
        walk.retain_graph, walk.create_graph, walk.accumulate = retain, create, True
        walk.deliver(None, edge_of(self), ones_like(self), False)
        walk.run()

    def detach(self):
        """The same storage, cut from the graph. Writes to it are seen by the version check of the original."""
        cdef TensorBase out = wrap(self._array)
        out.version = shared_version(self)
        out.inference = self.inference
        return out

    def detach_(self):
        """Cuts this tensor from the graph, in place: it becomes a leaf that does not require grad."""
        if self.base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        self.node = None
        self.nr = 0
        self.leaf_requires_grad = False
        return self

    def requires_grad_(self, bint requires_grad=True):
        """Sets requires_grad and gives the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def retain_grad(self) -> None:
        """Has backward() keep this tensor's gradient in .grad, as it does for leaves."""
        if not needs_grad(self):
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.node is None or self.retains:
            return
        self.retains = True
        keep_gradient(self)

    def register_hook(self, hook):
        """Calls hook(gradient) when this tensor's gradient is complete; a Tensor it returns takes the gradient's place.

        Returns a handle whose remove() takes the hook away.
        """
        if not needs_grad(self):
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.node is None:
            if self.hooks is None:
                self.hooks = {}
            return HookHandle(self.hooks, hook)
        if extras_of(self.node).hooks is None:
            self.node.extras.hooks = {}
        return HookHandle(self.node.extras.hooks.setdefault(self.nr, {}), hook)

    def register_post_accumulate_grad_hook(self, hook):
        """Calls hook(tensor) after backward() has accumulated into this leaf's .grad."""
        if self.node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if not self.leaf_requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.post_hooks is None:
            self.post_hooks = {}
        return HookHandle(self.post_hooks, hook)

    # What the in-place operations (minigrad/ops/inplace.py) are made of.

    def _set_array(self, cnp.ndarray array) -> None:
        """Gives a tensor made by __new__ its array."""
        self._array = array
        self.inference = inference_was_used and mg_inference

    def _shadow(self):
        """The tensor as it is now, under another name: its node stays when an in-place operation gives the original a new one."""
        needs_grad(self)
        cdef TensorBase out = wrap(self._array)
        out.node, out.nr, out.leaf_requires_grad = self.node, self.nr, self.leaf_requires_grad
        out.version, out.base, out.seen, out.inference = shared_version(self), self.base, self.seen, self.inference
        return out

    def _own_storage(self) -> None:
        """Gives a shadow that a node has saved its own copy of the values, which the write to come does not reach."""
        cdef Version version = Version.__new__(Version)
        version.value = self.version.value
        self._array, self.version, self.base = self._array.copy(), version, None

    def _add_grad(self, TensorBase g) -> None:
        """Adds to .grad, for a tensor that need not be a leaf."""
        self._grad = g if self._grad is None else self._grad + g

    def _bump_version(self) -> None:
        """Notes that the storage was written."""
        cdef Version version = shared_version(self)
        version.value = version.value + 1

    def _rebind(self, TensorBase result) -> None:
        """Takes over the place of `result` in the graph, and counts a write of the storage."""
        drop_gradient(self)
        self.node, self.nr = result.node, result.nr
        if self.node is not None:
            self.leaf_requires_grad = False
            if self.retains:
                keep_gradient(self)
        self._bump_version()
        self.seen = self.version.value

    def _rearrange(self, TensorBase result, bint recorded) -> None:
        """Takes over the shape of `result`, a view of this tensor, and if `recorded` its place in the graph; counts a write."""
        drop_gradient(self)
        self._array = result._array
        if recorded:
            self.node, self.nr = result.node, result.nr
            if self.node is not None and self.retains:
                keep_gradient(self)
        self._bump_version()
        self.seen = self.version.value

    def _set_view_node(self, TensorBase result) -> None:
        """Gives a view whose base was written the node that derives it from the base as it is now."""
        self.node, self.nr = result.node, result.nr
        self.seen = self.version.value

    def _origin(self) -> int:
        """How this view was made: 0 recorded, 1 while grad mode was off, 2 by a user's autograd.Function, 3 in inference mode."""
        return self.origin


@cython.final
cdef class HookHandle:
    """Takes a hook away again: handle.remove(), or use it as a context manager."""
    cdef dict _hooks
    cdef object _key

    def __cinit__(self, dict hooks, object hook):
        if not callable(hook):
            raise TypeError(f"a hook must be callable, but got {type(hook).__name__}")
        self._hooks = hooks
        self._key = object()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


cdef TensorBase wrap(cnp.ndarray array):
    """A new leaf Tensor around the array."""
    cdef TensorBase t = <TensorBase> mg_new(tensor_type, no_arguments)
    t._array = array
    if inference_was_used and mg_inference:
        t.inference = True
    return t


cdef TensorBase ones_like(TensorBase t):
    """The incoming gradient of a scalar of any shape."""
    cdef cnp.ndarray one = empty(cnp.PyArray_NDIM(t._array), cnp.PyArray_DIMS(t._array), cnp.PyArray_TYPE(t._array))
    if cnp.PyArray_TYPE(one) == cnp.NPY_FLOAT32:
        (<float *> cnp.PyArray_DATA(one))[0] = 1
    else:
        (<double *> cnp.PyArray_DATA(one))[0] = 1
    return wrap(one)


def from_array(cnp.ndarray array):
    """A new leaf Tensor around the array (of a supported dtype): shared, not copied."""
    return wrap(array)


cdef inline Version shared_version(TensorBase t):
    if t.version is None:
        t.version = Version.__new__(Version)
    return t.version


cpdef raise_function_view(TensorBase t, str what):
    """Refuses the write of a view that a custom Function made, or of the base of one that is used afterwards."""
    maker = "a custom Function" if t.node is None else t.node.name()
    raise RuntimeError(
        f"Output {t.nr} of {maker} is a view and {what} modified inplace. This view was created inside a custom Function (or because an "
        "input was returned as-is) and the write would bypass the custom backward, leading to incorrect gradients. You can fix this by "
        "cloning the output of the custom Function."
    )


cdef inline bint late_base(TensorBase t) noexcept:
    """Whether the base of this view, which was made while the graph was recorded, has come to require grad since."""
    return t.base.leaf_requires_grad and t.origin == RECORDED


cdef inline bint needs_grad(TensorBase t) except -1:
    """requires_grad, after a view whose base was written has been given its new node."""
    if t.base is not None and (t.version.value != t.seen or (t.node is None and not t.leaf_requires_grad and late_base(t))):
        if t.origin == IN_FUNCTION:
            raise_function_view(t, "its base or another view of its base has been")
        refresh_view(t)
    return t.node is not None or t.leaf_requires_grad


# --------------------------------------------------------------------------------------------------------------- nodes

@cython.final
@cython.freelist(64)
cdef class Edge:
    """The way of a gradient to an output other than the first of a node with several."""

cdef object edge_of(TensorBase t):
    """Where the gradient of t goes: a node, an Edge, the leaf itself, or None."""
    if not needs_grad(t):
        return None
    if t.node is None:
        return t
    if t.nr == 0:
        return t.node
    cdef Edge edge = Edge.__new__(Edge)
    edge.node, edge.output_nr = t.node, t.nr
    return edge


class AccumulateGrad:
    """What grad_fn.next_functions shows for a leaf: its gradient is added to variable.grad."""

    next_functions = ()

    def __init__(self, variable):
        self.variable = variable

    def name(self) -> str:
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {hex(id(self.variable))}>"


cdef dict kept_by_class = {}


cdef tuple what_is_kept(type cls):
    """For each parameter of cls.backward after g: (its index in forward, or -1 for `out`; bit mask of the inputs whose gradient
    reads it). Read off the signatures once for each class."""
    cdef object known = kept_by_class.get(cls)
    if known is not None:
        return <tuple> known
    code = cls.forward.__code__
    forward = list(code.co_varnames[1:code.co_argcount])
    variadic = code.co_flags & 0x04                          # forward(self, *arrays)
    code = cls.backward.__code__
    named = list(code.co_varnames[2:code.co_argcount])
    reads = cls.reads or {}
    keeps = []
    for name in named:
        if name != "out" and (variadic or name not in forward):
            raise TypeError(f"{cls.__name__}.backward names {name!r}: neither `out` nor a parameter of forward {forward}")
        readers = 0
        for i, parameter in enumerate(forward):
            if name in reads.get(parameter, named):
                readers |= 1 << i
        keeps.append((-1 if name == "out" else forward.index(name), -1 if variadic else readers))
    kept_by_class[cls] = tuple(keeps)
    return kept_by_class[cls]


@cython.final
cdef class Extras:
    """What few nodes have: who waits for the gradient of an output, hooks, notes, and what was packed of what they save."""

    def __cinit__(self):
        self.captures = []           # (the walk that wants it, output_nr, place in its results) or (None, output_nr, weak tensor)


cdef class Function:
    """A node of the graph: one differentiable operation, with what its backward reads.

    A subclass defines `forward(self, *arrays)`, which gives an array or a tuple of arrays, and
    `backward(self, g, ...)`, which gives a Tensor or None for each of forward's parameters. Operation parameters (a
    dimension, a stride) go to the constructor. `apply(XFunction(...), x, w)` runs it.

    Class attributes:
        reads          {"x": ("y",), ...}: the gradient for parameter x reads y and no more. What no gradient that is
                       asked for reads is not kept, and arrives in backward as None.
        returns_view   forward gives a view of its first array.
        label          the name that the node is shown by, where it is not the class's.
        frees          names of attributes (of arrays, not differentiable) to delete when the graph is freed.
    """
    reads = None
    label = None
    returns_view = False
    frees = ()

    def forward(self, *arrays):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, g):
        raise NotImplementedError(f"the derivative of {self.name()} is not implemented")

    def name(self) -> str:
        """The operation's name, as PyTorch spells it: MulBackward0."""
        return self.own_name() if self.extras is None or self.extras.label is None else self.extras.label

    def own_name(self) -> str:
        """name(), unless the operation is a part of one that is shown by a name of its own."""
        return self.label or type(self).__name__.removesuffix("Function") + "Backward0"

    def __repr__(self) -> str:
        return f"<{self.name()} object at {hex(id(self))}>"

    @property
    def needs_input_grad(self) -> tuple:
        """For each of forward's parameters, whether its gradient is asked for."""
        if self.edges is None:
            return (False,) * 64
        return tuple([self.needs(i) for i in range(len(self.edges))])

    @property
    def next_functions(self) -> tuple:
        """The nodes that this node's gradients flow to, with the number of their output."""
        found = []
        for edge in self.edges or ():
            if edge is None:
                found.append((None, 0))
            elif isinstance(edge, TensorBase):
                found.append((AccumulateGrad(edge), 0))
            elif type(edge) is Edge:
                found.append(((<Edge> edge).node, (<Edge> edge).output_nr))
            else:
                found.append((edge, 0))
        return tuple(found)

    @property
    def metadata(self) -> dict:
        """What has been noted about this node; empty unless somebody wrote into it."""
        if extras_of(self).metadata is None:
            self.extras.metadata = {}
        return self.extras.metadata

    def register_prehook(self, hook):
        """Calls hook(grad_outputs) before this node's rule runs; a tuple that it returns takes their place. Returns a handle."""
        if extras_of(self).pre_hooks is None:
            self.extras.pre_hooks = {}
        return HookHandle(self.extras.pre_hooks, hook)

    def register_hook(self, hook):
        """Calls hook(grad_inputs, grad_outputs) after this node's rule has run; a tuple that it returns takes the place of grad_inputs.

        Returns a handle whose remove() takes the hook away.
        """
        if extras_of(self).post_hooks is None:
            self.extras.post_hooks = {}
        return HookHandle(self.extras.post_hooks, hook)

    @property
    def saved_arrays(self) -> tuple:
        """The arrays kept for backward."""
        found = [(<TensorBase> kept)._array for kept in self.saved or () if kept is not None]
        found.extend(self.saved_out if type(self.saved_out) is tuple else (self.saved_out,))
        found.extend([getattr(self, name, None) for name in type(self).frees])
        return tuple([array for array in found if isinstance(array, np.ndarray)])

    @property
    def saved_bytes(self) -> int:
        """The bytes of the arrays kept for backward."""
        return sum([array.nbytes for array in self.saved_arrays])

    @property
    def output_shape(self):
        """The shape of the output; None for a node with several."""
        if self.edges is None or self.n_outputs != 1 or self.out_ndim > 8:
            return None
        return size_class([self.out_dims[i] for i in range(self.out_ndim)])

    @property
    def output_dtype(self):
        """The dtype of the output; None for a node with several."""
        return None if self.output_shape is None else dtype_of_typenum[self.out_typenum]

    cdef bint needs(self, int i) noexcept:
        # Bits are shared from the 64th input on: a gradient too many may be computed, and is then dropped.
        return self.edges is not None and self.edges[i] is not None and (self.mask >> (i & 63)) & 1

    cdef int keep(self, TensorBase x, TensorBase y) except -1:
        """Keeps two inputs (or None) for a compiled rule, stamped with their versions."""
        self.saved = (x, y)
        cdef long x_version = 0 if x is None else stamp_of(x), y_version = 0 if y is None else stamp_of(y)
        if x_version or y_version:
            self.stamps = (x_version, y_version)
        if saving_hooks_were_used and mg_saving_hooks != NULL:
            pack(self)
        return 0

    cdef int check_saved(self) except -1:
        """Raises if what was kept has been freed, or written since."""
        cdef Py_ssize_t i
        cdef long expected
        if self.freed:
            raise_freed(self)
        for i in range(0 if self.saved is None else len(self.saved)):
            kept = self.saved[i]
            if kept is not None:
                expected = 0 if self.stamps is None else self.stamps[i]
                if (<TensorBase> kept).version is not None and (<TensorBase> kept).version.value != expected:
                    raise_modified(self, <TensorBase> kept, expected)
        return 0

    cdef void describe_output(self, cnp.ndarray array) noexcept:
        cdef int i
        self.out_ndim = cnp.PyArray_NDIM(array)
        self.out_typenum = cnp.PyArray_TYPE(array)
        for i in range(min(self.out_ndim, 8)):
            self.out_dims[i] = cnp.PyArray_DIM(array, i)

    cdef object run_backward(self, object g, bint create_graph):
        """Runs the rule on what was kept. Compiled nodes override this."""
        cdef list arguments = [g]
        cdef Py_ssize_t i = 0
        if self.saved is None and self.saved_out is None:
            if self.freed:
                raise_freed(self)
        else:
            self.check_saved()
        for where, _ in what_is_kept(type(self)):
            if where >= 0:
                arguments.append(self.saved[i])
                i += 1
            else:
                arguments.append(unpack_out(self, create_graph))
        return self.backward(*arguments)


cdef raise_freed(Function node):
    raise RuntimeError(
        f"Trying to backward through the graph a second time, at {node.name()}: what it had saved was freed by the first "
        "backward(). Specify retain_graph=True in the first call if you need to backward through the graph a second time."
    )


cdef raise_modified(Function node, TensorBase kept, long expected):
    made_by = "" if kept.node is None or kept.node is node else f", which is output {kept.nr} of {kept.node.name()},"
    raise RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[{kept.dtype} {list((<object> kept._array).shape)}]{made_by} saved for {node.name()}, is at version {kept._version}; expected "
        f"version {expected} instead. Hint: use the out-of-place form of the operation that wrote it, or clone() it first."
    )


cdef inline void stamp_out(Function node, TensorBase out) noexcept:
    node.saved_out = out._array
    node.out_versions = (shared_version(out), out.version.value)


cdef int keep_out(Function node, TensorBase out) except -1:
    """Keeps the output for a compiled rule, stamped with its version; unpack_out gives it back."""
    stamp_out(node, out)
    if saving_hooks_were_used and mg_saving_hooks != NULL:
        pack(node)
    return 0


cdef object unpack_out(Function node, bint create_graph):
    """The saved output, bound to its own node again when the gradient is to be differentiated. None if no gradient reads it."""
    cdef Py_ssize_t i
    if node.saved_out is None:
        return None
    if type(node.saved_out) is tuple:
        outs = []
        for i, array in enumerate(node.saved_out):
            version, stamp = node.out_versions[i]
            outs.append(bind_out(node, array, <Version> version, stamp, i, create_graph))
        return tuple(outs)
    version, stamp = node.out_versions
    return bind_out(node, node.saved_out, <Version> version, stamp, 0, create_graph)


cdef TensorBase bind_out(Function node, cnp.ndarray array, Version version, long stamp, int i, bint create_graph):
    cdef TensorBase t = wrap(array)
    t.version = version
    if version.value != stamp:
        t.node, t.nr = node, i
        raise_modified(node, t, stamp)
    if create_graph and cnp.PyArray_ISFLOAT(array):
        t.node, t.nr = node, i
    return t


cdef inline long stamp_of(TensorBase t) except -1:
    """The version of a tensor that a node is about to save."""
    if t.inference:
        raise RuntimeError(
            "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked "
            "by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use no_grad() "
            "instead of inference_mode()."
        )
    return 0 if t.version is None else t.version.value


cdef inline void attach(TensorBase out, Function node, tuple edges) noexcept:
    """Makes `node` the maker of `out`: the end of every differentiable operation that is recorded."""
    global mg_sequence
    mg_sequence += 1
    node.seq = mg_sequence
    node.edges = edges
    node.mask = <unsigned long> -1
    node.n_outputs = 1
    node.describe_output(out._array)
    out.node = node


def apply(Function node, *inputs):
    """Runs node.forward on the arrays of the inputs (Tensors, or None for an absent one) and records it if need be.

    Returns a Tensor, or a tuple of Tensors where forward gave a tuple.
    """
    if not watching:
        return run_forward(node, inputs)
    outs = None
    begin(node, inputs)
    try:
        outs = run_forward(node, inputs)
    finally:
        end(node, inputs, outs)
    return outs


cdef object run_forward(Function node, tuple inputs):
    cdef list arrays = []
    cdef bint recorded = False, large = False
    cdef TensorBase t
    for x in inputs:
        if x is None:
            arrays.append(None)
            continue
        if not isinstance(x, TensorBase):
            raise TypeError(f"{type(node).__name__.removesuffix('Function')}: expected a Tensor, but got {type(x).__name__}")
        t = <TensorBase> x
        arrays.append(t._array)
        large = large or cnp.PyArray_NBYTES(t._array) >= CACHED_FROM
        if mg_grad_mode and needs_grad(t):
            recorded = True
    if recorded:
        node.mask = <unsigned long> -1
        node.edges = tuple([None if x is None else edge_of(<TensorBase> x) for x in inputs])
    if large:
        before = enter_cache()
        try:
            y = node.forward(*arrays)
        finally:
            leave_cache(before)
    else:
        y = node.forward(*arrays)
    cls = type(node)
    if type(y) is tuple:
        outs = tuple([as_output(part) for part in y])
    else:
        outs = as_output(y)
    if cls.returns_view:
        if type(outs) is tuple:
            for out in outs:
                set_view(<TensorBase> out, <TensorBase> inputs[0])
        else:
            set_view(<TensorBase> outs, <TensorBase> inputs[0])
    if recorded:
        record(node, inputs, outs, what_is_kept(cls))
    return outs


cdef TensorBase as_output(object y):
    if type(y) is not np.ndarray:
        y = np.asarray(y)
    return wrap(<cnp.ndarray> y)


cdef set_view(TensorBase out, TensorBase source):
    out.base = source if source.base is None else source.base
    out.version = shared_version(source)
    out.seen = out.version.value
    out.origin = RECORDED if mg_grad_mode else IN_INFERENCE if mg_inference else WITHOUT_GRAD
    out.inference = source.inference


cdef record(Function node, tuple inputs, object outs, tuple keeps):
    """Gives the outputs their node, and the node what its backward reads."""
    global mg_sequence
    cdef TensorBase out, t
    cdef long wanted = 0
    cdef Py_ssize_t i
    cdef list saved = [], stamps = []
    cdef bint stamped = False, keeps_out = False
    mg_sequence += 1
    node.seq = mg_sequence
    for i in range(len(inputs)):
        if node.edges[i] is not None:
            wanted |= <long> 1 << (i & 63)
    for where, readers in keeps:
        if where < 0:
            keeps_out = keeps_out or (readers & wanted) != 0
            continue
        if inputs[where] is None or not (readers & wanted):
            saved.append(None)
            stamps.append(0)
            continue
        t = <TensorBase> inputs[where]
        saved.append(t)
        stamps.append(stamp_of(t))
        stamped = stamped or stamps[len(stamps) - 1] != 0
    if saved:
        node.saved = tuple(saved)
        if stamped:
            node.stamps = tuple(stamps)
    if type(outs) is tuple:
        node.n_outputs = len(outs)
        node.gives_tuple = True
        for i in range(len(outs)):
            out = <TensorBase> outs[i]
            if cnp.PyArray_ISFLOAT(out._array):
                out.node, out.nr = node, i
        if keeps_out:
            node.saved_out = tuple([(<TensorBase> o)._array for o in outs])
            node.out_versions = tuple([(shared_version(<TensorBase> o), (<TensorBase> o)._version) for o in outs])
        if len(outs) == 1:
            node.describe_output((<TensorBase> outs[0])._array)
        else:
            node.out_ndim = -1
    else:
        out = <TensorBase> outs
        node.n_outputs = 1
        node.describe_output(out._array)
        if cnp.PyArray_ISFLOAT(out._array):
            out.node = node
        if keeps_out:
            stamp_out(node, out)
    if saving_hooks_were_used and mg_saving_hooks != NULL:
        pack(node)


# What saved_tensors_hooks change: a node keeps what `pack` gave for each tensor, and asks `unpack` for it when its rule runs.

cdef inline Extras extras_of(Function node):
    if node.extras is None:
        node.extras = Extras.__new__(Extras)
    return node.extras


cdef pack(Function node):
    """Puts what pack gives in the place of each tensor that the node has saved."""
    cdef Extras extras
    cdef TensorBase t
    if node.saved is None and node.saved_out is None:
        return
    pack_hook, unpack_hook = (<list> mg_saving_hooks)[len(<list> mg_saving_hooks) - 1]
    extras = extras_of(node)
    extras.unpack = unpack_hook
    saved, arrays = node.saved or (), node.saved_out if type(node.saved_out) is tuple else (node.saved_out,)
    node.saved = node.saved_out = None
    extras.packed = tuple([None if t is None else (edge_of(t), pack_hook(t)) for t in saved])
    extras.packed_out = tuple([None if array is None else pack_hook(wrap(array)) for array in arrays])


cdef unpack(Function node, bint create_graph):
    """Gives the node what it had saved for the time that its rule runs."""
    cdef Extras extras = node.extras
    saved = []
    for packed in extras.packed:
        saved.append(None if packed is None else bind_unpacked(unpacked(extras.unpack, packed[1]), packed[0], create_graph))
    node.saved = tuple(saved) if saved else None
    node.stamps = tuple([0 if t is None else stamp_of(<TensorBase> t) for t in saved])
    arrays, versions = [], []
    for packed in extras.packed_out:
        t = None if packed is None else unpacked(extras.unpack, packed)
        arrays.append(None if t is None else (<TensorBase> t)._array)
        versions.append(None if t is None else (shared_version(<TensorBase> t), (<TensorBase> t).version.value))
    if type(node.out_versions) is tuple and len(arrays) and arrays[0] is not None:
        several = type((<tuple> node.out_versions)[0]) is tuple
        node.saved_out = tuple(arrays) if several else arrays[0]
        node.out_versions = tuple(versions) if several else versions[0]


cdef TensorBase unpacked(object hook, object packed):
    t = hook(packed)
    if not isinstance(t, TensorBase):
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}")
    return <TensorBase> t


cdef class UnpackedFunction(Function):
    """The identity: what was unpacked, in the place of the tensor that was saved."""

    cdef object run_backward(self, object g, bint create_graph):
        return g


cdef TensorBase bind_unpacked(TensorBase t, object edge, bint create_graph):
    """The unpacked tensor, with the way of the original's gradient where that is to be differentiated."""
    cdef TensorBase out
    if not create_graph:
        return t
    out = wrap(t._array)
    if edge is not None:
        attach(out, UnpackedFunction.__new__(UnpackedFunction), (edge,))
    return out


cdef class ContextNode(Function):
    """The node of a user's autograd.Function (minigrad/autograd/function.py). It has an edge for each Tensor among the arguments; its rule
    `run_rule(gradients)` gives a tuple with a gradient or None for each, and asks for what was kept itself.
    """

    def run_rule(self, g: tuple) -> tuple:
        raise NotImplementedError(f"{type(self).__name__} has no rule")

    cdef object run_backward(self, object g, bint create_graph):
        return self.run_rule(g)

    def _begin(self, tensors: tuple) -> bool:
        """Notes the ways of the gradients to the input tensors; gives whether the operation is recorded."""
        if not mg_grad_mode:
            return False
        edges = tuple([edge_of(<TensorBase> t) for t in tensors])
        for edge in edges:
            if edge is not None:
                self.edges = edges
                self.mask = <unsigned long> -1
                return True
        return False

    def _number(self, outputs: tuple) -> None:
        """Gives the node its place in the order of the graph, after all that its forward recorded."""
        global mg_sequence
        mg_sequence += 1
        self.seq = mg_sequence
        self.n_outputs = len(outputs)
        self.gives_tuple = True
        if len(outputs) == 1 and isinstance(outputs[0], TensorBase):
            self.describe_output((<TensorBase> outputs[0])._array)

    def _bind(self, TensorBase out, int nr) -> None:
        """Makes the tensor output `nr` of this node; a view among the outputs may not be written from now on."""
        out.node, out.nr = self, nr
        if out.base is not None:
            out.origin = IN_FUNCTION

    def _alias(self, TensorBase source):
        """The same elements as a view of their own, which can have another place in the graph."""
        cdef TensorBase out = wrap(source._array)
        set_view(out, source)
        return out

    def _keep(self, tensors: tuple) -> None:
        """Keeps tensors (or None) for backward, stamped with their versions; outputs of this node without a reference to themselves."""
        cdef TensorBase t
        cdef Py_ssize_t i
        inputs, stamps, places, arrays, versions = [], [], [], [], []
        for i, kept in enumerate(tensors):
            t = <TensorBase> kept
            if t is not None and t.node is self:
                places.append((i, t.nr))
                arrays.append(t._array)
                versions.append((shared_version(t), t.version.value))
                t = None
            inputs.append(t)
            stamps.append(0 if t is None else stamp_of(t))
        self.saved, self.stamps = tuple(inputs), tuple(stamps)
        if places:
            self.places, self.saved_out, self.out_versions = tuple(places), tuple(arrays), tuple(versions)
        if saving_hooks_were_used and mg_saving_hooks != NULL:
            pack(self)

    def _kept(self) -> tuple:
        """What was kept. Raises RuntimeError if it was freed, or written since."""
        cdef Py_ssize_t i
        cdef bint packed = self.saved is None and self.extras is not None and self.extras.packed is not None
        if packed:
            unpack(self, True)
        self.check_saved()
        found = list(self.saved or ())
        for i in range(len(self.places or ())):
            place, nr = self.places[i]
            version, stamp = self.out_versions[i]
            found[place] = bind_out(self, self.saved_out[i], <Version> version, stamp, nr, True)
        if packed:
            self.saved = self.saved_out = None
        return tuple(found)


# ------------------------------------------------------------------------------------------------------- backward pass

cdef struct Entry:
    long seq
    PyObject *node


@cython.final
cdef class Queue:
    """Nodes by sequence number, the latest first: a binary heap of C structs. A node's users all have higher numbers than the
    node itself, so that its gradient is complete when it comes out; and the walk needs no recursion."""
    cdef Entry *entries
    cdef Py_ssize_t n, room

    def __cinit__(self):
        self.n, self.room = 0, 64
        self.entries = <Entry *> malloc(self.room * sizeof(Entry))
        if self.entries == NULL:
            raise MemoryError()

    def __dealloc__(self):
        while self.n:
            self.n -= 1
            Py_DECREF(<object> self.entries[self.n].node)
        free(self.entries)

    cdef int push(self, Function node) except -1:
        cdef Py_ssize_t i = self.n, parent
        cdef Entry *grown
        if self.n == self.room:
            grown = <Entry *> realloc(self.entries, 2 * self.room * sizeof(Entry))
            if grown == NULL:
                raise MemoryError()
            self.entries = grown
            self.room *= 2
        Py_INCREF(node)
        self.n += 1
        while i > 0:
            parent = (i - 1) >> 1
            if self.entries[parent].seq >= node.seq:
                break
            self.entries[i] = self.entries[parent]
            i = parent
        self.entries[i].seq = node.seq
        self.entries[i].node = <PyObject *> node
        return 0

    cdef Function pop(self):
        cdef Function top = <Function> self.entries[0].node
        cdef Py_ssize_t i = 0, child
        cdef Entry last
        Py_DECREF(top)        # `top` holds its own reference; this one was the queue's
        self.n -= 1
        last = self.entries[self.n]
        while True:
            child = 2 * i + 1
            if child >= self.n:
                break
            if child + 1 < self.n and self.entries[child + 1].seq > self.entries[child].seq:
                child += 1
            if last.seq >= self.entries[child].seq:
                break
            self.entries[i] = self.entries[child]
            i = child
        self.entries[i] = last
        return top


cdef inline bint exclusive(TensorBase t, Py_ssize_t references) noexcept:
    """Whether only these references to the tensor exist, all of them the engine's, and no other to its memory: then the engine may
    write it or give it away."""
    return (
        (<PyObject *> t).ob_refcnt == references
        and (<PyObject *> t._array).ob_refcnt == 1
        and t.version is None
        and t.node is None
        and cnp.PyArray_CHKFLAGS(t._array, cnp.NPY_ARRAY_OWNDATA | cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_WRITEABLE)
    )


cdef object addition = threading.Lock()
cdef int additions = 0                   # how many threads are in an addition during which other threads run


cdef add_into(cnp.ndarray total, cnp.ndarray g):
    """total += g, on the same bits for any number of threads. Safe against other Python threads that add into the same total."""
    global additions
    cdef int64_t n = cnp.PyArray_SIZE(total), step = 1
    cdef int typenum = cnp.PyArray_TYPE(total), i
    cdef int threads
    cdef float *f
    cdef double *d
    cdef bint fast = (
        typenum == cnp.PyArray_TYPE(g) and (typenum == cnp.NPY_FLOAT32 or typenum == cnp.NPY_FLOAT64)
        and cnp.PyArray_IS_C_CONTIGUOUS(total) and n > 0
    )
    if fast and not cnp.PyArray_IS_C_CONTIGUOUS(g):
        step = 0                         # one value, expanded: the gradient of a sum
        for i in range(cnp.PyArray_NDIM(g)):
            fast = fast and (cnp.PyArray_STRIDE(g, i) == 0 or cnp.PyArray_DIM(g, i) == 1)
    if not fast:                         # numpy lets other threads run
        additions += 1
        try:
            with addition:
                np.add(total, g, out=total)
        finally:
            additions -= 1
        return
    if additions:
        with addition:
            pass
    threads = plan_threads(n >> 1)
    if typenum == cnp.NPY_FLOAT32:
        f = <float *> cnp.PyArray_DATA(total)
        binary_add(f, <int64_t> 1, <float *> cnp.PyArray_DATA(g), step, f, n, threads)
    else:
        d = <double *> cnp.PyArray_DATA(total)
        binary_add(d, <int64_t> 1, <double *> cnp.PyArray_DATA(g), step, d, n, threads)


cdef int add_to_grad(TensorBase total, TensorBase g) except -1:
    """total += g, a .grad, counted as a write."""
    if not cnp.PyArray_SAMESHAPE(total._array, g._array):
        raise RuntimeError(
            f"a gradient of shape {list(g.shape)} cannot be added to a .grad of shape {list(total.shape)}: the tensor's .data was given "
            "another shape; set .grad to None first"
        )
    cdef Version version = shared_version(total)
    add_into(total._array, g._array)
    version.value = version.value + 1
    return 0


cdef raise_bad_gradient(Function node, str what):
    raise RuntimeError(f"{node.name()} returned an invalid gradient: {what}")


cdef TensorBase checked(Function maker, TensorBase g, int ndim, cnp.npy_intp *dims, int typenum):
    """The gradient, of the shape and dtype of what it belongs to."""
    cdef int i
    cdef bint right = cnp.PyArray_NDIM(g._array) == ndim
    if right:
        for i in range(min(ndim, 8)):
            if cnp.PyArray_DIM(g._array, i) != dims[i]:
                right = False
                break
    if not right:
        raise_bad_gradient(
            maker, f"got shape {list((<object> g._array).shape)} but expected shape {[dims[i] for i in range(min(ndim, 8))]}"
        )
    if cnp.PyArray_TYPE(g._array) != typenum:
        return <TensorBase> cast_op(g, dtype_of_typenum[typenum])
    return g


cdef class Walk:
    """One backward pass: what is asked for, and what is waiting."""
    cdef Queue queue
    cdef bint create_graph, retain_graph, accumulate
    cdef dict wanted             # id(leaf) -> indices of `results`; None: every leaf accumulates into .grad
    cdef set useful              # with `wanted`: the nodes on a way to what is wanted
    cdef list results
    cdef dict elsewhere          # node -> [pending, owned], for nodes that another walk, of another thread or around this one, has in hand
    cdef dict hooked             # id(leaf) -> [leaf, sum of its gradients], for leaves with hooks: these see the whole gradient, once

    cdef int deliver(self, Function maker, object edge, TensorBase gradient, bint owned) except -1:
        """Adds a gradient to what waits at a node, or to a leaf. `owned`: nobody but the engine can see its memory."""
        cdef TensorBase g
        cdef Function node = None
        cdef TensorBase leaf
        cdef int nr = 0
        cdef list pending
        if isinstance(edge, TensorBase):
            leaf = <TensorBase> edge
            if self.wanted is not None and id(leaf) not in self.wanted:
                return 0
            g = checked(
                maker, gradient, cnp.PyArray_NDIM(leaf._array), cnp.PyArray_DIMS(leaf._array), cnp.PyArray_TYPE(leaf._array)
            )
            if leaf.hooks or leaf.post_hooks:
                self.gather(leaf, g)
                return 0
            return self.reach_leaf(leaf, g, owned)
        if type(edge) is Edge:
            node, nr = (<Edge> edge).node, (<Edge> edge).output_nr
        else:
            node = <Function> edge
        if self.useful is not None and node not in self.useful:
            return 0
        if node.walker != <void *> self and (node.walker != NULL or self.elsewhere is not None):
            return self.deliver_elsewhere(maker, node, nr, gradient)
        if node.n_outputs == 1:
            g = checked(maker, gradient, node.out_ndim, node.out_dims, node.out_typenum)
            if node.pending is None:
                node.pending, node.pending_owned = g, owned
                node.walker = <void *> self
                self.queue.push(node)
            elif node.pending_owned and not self.create_graph:
                add_into((<TensorBase> node.pending)._array, g._array)
            else:
                node.pending, node.pending_owned = add_op(node.pending, g), True
        else:
            if node.pending is None:
                node.pending = [None] * node.n_outputs
                node.walker = <void *> self
                self.queue.push(node)
            pending = <list> node.pending
            pending[nr] = gradient if pending[nr] is None else add_op(pending[nr], gradient)
        return 0

    cdef int deliver_elsewhere(self, Function maker, Function node, int nr, TensorBase gradient) except -1:
        """deliver, for a node that another walk has in hand: what waits is this walk's own."""
        if node.n_outputs == 1:
            gradient = checked(maker, gradient, node.out_ndim, node.out_dims, node.out_typenum)
        if self.elsewhere is None:
            self.elsewhere = {}
        pending = self.elsewhere.get(node)
        if pending is None:
            pending = self.elsewhere[node] = [None] * node.n_outputs
            self.queue.push(node)
        pending[nr] = gradient if pending[nr] is None else add_op(pending[nr], gradient)
        return 0

    cdef object take(self, Function node):
        """What waits at the node, which is then free for other walks."""
        if node.walker != <void *> self:
            pending = self.elsewhere.pop(node)
            return pending if node.n_outputs > 1 else pending[0]
        pending = node.pending
        node.pending, node.walker = None, NULL
        return pending

    cdef int abandon(self) except -1:
        """After an error: no half-summed gradient may stay behind."""
        while self.queue.n:
            self.take(self.queue.pop())
        return 0

    cdef gather(self, TensorBase leaf, TensorBase g):
        """Adds to what waits for a leaf with hooks until the end of the walk."""
        if self.hooked is None:
            self.hooked = {}
        entry = self.hooked.get(id(leaf))
        if entry is None:
            self.hooked[id(leaf)] = [leaf, g]
        else:
            entry[1] = add_op(entry[1], g)

    cdef int reach_leaf(self, TensorBase leaf, TensorBase g, bint owned) except -1:
        if leaf.hooks:
            g, owned = run_hooks(leaf.hooks, g), False
        if self.wanted is not None and id(leaf) in self.wanted:
            for i in self.wanted[id(leaf)]:
                self.results[i] = g if self.results[i] is None else add_op(self.results[i], g)
            if not self.accumulate:
                return 0
            owned = False
        cdef TensorBase before = leaf._grad
        if before is None and owned:
            leaf._grad = g
        elif before is None or self.create_graph or not cnp.PyArray_ISWRITEABLE(before._array):
            self.replace_grad(leaf, g)
        else:
            add_to_grad(before, g)
        if leaf.post_hooks:
            for hook in list(leaf.post_hooks.values()):
                hook(leaf)
        return 0

    cdef int replace_grad(self, TensorBase leaf, TensorBase g) except -1:
        """leaf.grad + g, or a copy of g, as the new leaf.grad. Once more if another thread has changed leaf.grad in between."""
        cdef TensorBase before, total
        cdef long version
        while True:
            before = leaf._grad
            if before is None:
                total = g.clone() if self.create_graph else wrap(copied(g._array))
                if leaf._grad is None:
                    leaf._grad = total
                    return 0
            elif not self.create_graph and cnp.PyArray_ISWRITEABLE(before._array):
                return add_to_grad(before, g)
            else:
                version = shared_version(before).value
                total = add_op(before, g)
                if leaf._grad is before and before.version.value == version:
                    leaf._grad = total
                    return 0

    cdef int find_useful(self, list roots) except -1:
        """Marks every node from which a wanted tensor can be reached, without recursion: nodes in the order of their numbers,
        the earliest first, so that a node is judged after all that it leads to."""
        cdef list stack = [root for root in roots if isinstance(root, Function)]
        cdef set seen = set(stack)
        cdef Function node = None
        while stack:
            node = <Function> stack.pop()
            for edge in node.edges or ():
                target = (<Edge> edge).node if type(edge) is Edge else edge
                if isinstance(target, Function) and target not in seen:
                    seen.add(target)
                    stack.append(target)
        self.useful = set()
        for found in sorted(seen, key=sequence_of):
            node = <Function> found
            useful = node.extras is not None and self in [capture[0] for capture in node.extras.captures]
            for edge in node.edges or ():
                if useful:
                    break
                target = (<Edge> edge).node if type(edge) is Edge else edge
                useful = target in self.useful if isinstance(target, Function) else target is not None and id(target) in self.wanted
            if useful:
                self.useful.add(node)
        return 0

    cdef int restrict(self, Function node) except -1:
        """Has the node compute only the gradients on a way to what is wanted; gives whether there are any.

        A node that another walk is running as well computes them all: what is not wanted is dropped on its way.
        """
        cdef unsigned long mask = 0
        cdef Py_ssize_t i
        for i in range(len(node.edges)):
            edge = node.edges[i]
            target = (<Edge> edge).node if type(edge) is Edge else edge
            if target is None:
                continue
            if (target in self.useful) if isinstance(target, Function) else (id(target) in self.wanted):
                mask |= (<unsigned long> 1) << (i & 63)
        if mask and not node.running:
            node.mask = mask
        return mask != 0

    cdef int run(self) except -1:
        global mg_grad_mode
        cdef Function node
        cdef int before = mg_grad_mode
        cdef Py_ssize_t i
        cdef bint alone
        cdef PyObject *item
        mg_grad_mode = self.create_graph
        try:
            while self.queue.n:
                node = self.queue.pop()
                if node.walker == <void *> self:
                    g = node.pending
                    node.pending, node.walker = None, NULL
                else:
                    g = self.take(node)
                if node.extras is not None:
                    if node.extras.hooks is not None:
                        g = run_tensor_hooks(node, g)
                    self.capture(node, g)
                if self.useful is not None and not self.restrict(node):
                    continue
                if node.gives_tuple:
                    g = tuple(g) if node.n_outputs > 1 else (g,)
                if node.running:
                    node.mask = <unsigned long> -1
                node.running += 1
                try:
                    if node.extras is not None or watching:
                        gs = run_with_extras(node, g, self.create_graph)
                    else:
                        gs = node.run_backward(g, self.create_graph)
                finally:
                    node.running -= 1
                    node.mask = <unsigned long> -1
                g = None
                if not self.retain_graph:
                    release(node)
                if type(gs) is tuple:
                    if len(<tuple> gs) != len(node.edges):
                        raise_bad_gradient(node, f"{len(<tuple> gs)} gradients for {len(node.edges)} inputs")
                    alone = (<PyObject *> gs).ob_refcnt == 1
                    for i in range(len(<tuple> gs)):
                        item = PyTuple_GET_ITEM(<tuple> gs, i)
                        self.give(node, <PyObject *> PyTuple_GET_ITEM(node.edges, i), item, alone)
                elif gs is not None:
                    if len(node.edges) != 1:
                        raise_bad_gradient(node, f"one gradient for {len(node.edges)} inputs")
                    self.give(node, <PyObject *> PyTuple_GET_ITEM(node.edges, 0), <PyObject *> gs, True)
                gs = None
            if self.hooked is not None:
                for leaf, g in self.hooked.values():
                    self.reach_leaf(<TensorBase> leaf, <TensorBase> g, False)
        finally:
            mg_grad_mode = before
            self.abandon()
        return 0

    cdef int give(self, Function maker, PyObject *edge, PyObject *g, bint alone) except -1:
        """Passes on what a rule gave for one input. Borrowed references, so that counting them tells who else has the gradient."""
        cdef bint owned
        if <object> edge is None or <object> g is None:
            return 0
        if not isinstance(<object> g, TensorBase):
            raise_bad_gradient(maker, f"a {type(<object> g).__name__} instead of a Tensor")
        owned = alone and g.ob_refcnt == 1 and exclusive(<TensorBase> g, 1)
        return self.deliver(maker, <object> edge, <TensorBase> g, owned)

    cdef int capture(self, Function node, object g) except -1:
        """Hands a completed gradient to the non-leaf tensors that asked for it."""
        cdef TensorBase t
        for walk, nr, target in node.extras.captures:
            part = g[nr] if node.n_outputs > 1 else g
            if part is None:
                continue
            if walk is None:                 # retain_grad
                tensor = target()
                if tensor is not None:
                    t = <TensorBase> tensor
                    if t._grad is None:
                        t._grad = part if self.create_graph else wrap((<TensorBase> part)._array)
                    else:
                        t._grad = add_op(t._grad, part)
            elif walk is self:
                self.results[target] = part
        return 0


cdef object run_with_extras(Function node, object g, bint create_graph):
    """node.run_backward with what was packed unpacked, and the node's own hooks and the observers before and after."""
    cdef Extras extras = extras_of(node)
    cdef bint packed = extras.packed is not None and node.saved is None
    if extras.pre_hooks:
        outputs = g if node.gives_tuple else (g,)
        for hook in list(extras.pre_hooks.values()):
            outputs = changed_by(hook, hook(outputs), outputs)
        g = outputs if node.gives_tuple else outputs[0]
    if packed:
        unpack(node, create_graph)
    try:
        gs = watched_backward(node, g, create_graph) if watching else node.run_backward(g, create_graph)
    finally:
        if packed:
            node.saved = node.saved_out = None
    if extras.post_hooks:
        inputs = gs if type(gs) is tuple else (gs,)
        for hook in list(extras.post_hooks.values()):
            inputs = changed_by(hook, hook(inputs, g if node.gives_tuple else (g,)), inputs)
        gs = inputs
    return gs


cdef tuple changed_by(object hook, object new, tuple old):
    """What a node's hook made of the gradients."""
    if new is None:
        return old
    new = new if type(new) is tuple else (new,)
    if len(<tuple> new) != len(old):
        name = getattr(hook, "__name__", type(hook).__name__)
        raise RuntimeError(f"hook '{name}' has returned an incorrect number of values (got {len(<tuple> new)}, but expected {len(old)})")
    return <tuple> new


cdef object watched_backward(Function node, object g, bint create_graph):
    """node.run_backward, with the observers told before and after."""
    gs = None
    for observer in observers:
        observer.begin_backward(node, g)
    try:
        gs = node.run_backward(g, create_graph)
    except Exception as error:
        for observer in observers:
            observer.failed_backward(node, error)
        raise
    finally:
        for observer in observers[::-1]:
            observer.end_backward(node, gs)
    return gs


def shown_as(str label, function):
    """An operation made of others, the node of whose result (or of each result) is shown by this name.

    Compiled, so that it has no frame of its own: a warning's stacklevel counts the user's.
    """
    @functools.wraps(function)
    def named(*args, **kwargs):
        cdef long newest = mg_sequence
        result = function(*args, **kwargs)
        if isinstance(result, tuple):
            for out in result:
                relabel(out, label, newest)
        else:
            relabel(result, label, newest)
        return result
    return named


def newest_node() -> int:
    """The number of the node that was made last."""
    return mg_sequence


cpdef relabel(object out, str label, long newest):
    """Has the node of a tensor shown by another name, if it was made after node number `newest`."""
    if isinstance(out, TensorBase) and (<TensorBase> out).node is not None and (<TensorBase> out).node.seq > newest:
        extras_of((<TensorBase> out).node).label = label


def sequence_of(Function node):
    """When the node was made."""
    return node.seq


cdef release(Function node):
    """Frees what the node kept for its backward."""
    cdef tuple frees = type(node).frees
    if node.extras is not None and node.extras.packed is not None:
        node.freed = True
        node.extras.packed = node.extras.packed_out = node.extras.unpack = None
    if node.saved is not None or node.saved_out is not None or frees:
        node.freed = True
        node.saved = None
        node.saved_out = None
        node.out_versions = None
        for name in frees:
            if hasattr(node, name):
                delattr(node, name)


cdef drop_gradient(TensorBase t):
    """Takes keep_gradient back, before t gets another node."""
    if t.retains and t.node is not None and t.node.extras is not None:
        t.node.extras.captures = [c for c in t.node.extras.captures if c[0] is not None or c[2]() is not t]


cdef keep_gradient(TensorBase t):
    """Has the node of t hand it its gradient."""
    extras_of(t.node).captures.append((None, t.nr, weakref.ref(t)))


cdef TensorBase run_hooks(dict hooks, TensorBase g):
    for hook in list(hooks.values()):
        new = hook(g)
        if new is not None:
            if not isinstance(new, TensorBase):
                raise TypeError(f"a tensor hook must return a Tensor or None, but got {type(new).__name__}")
            if cnp.PyArray_TYPE((<TensorBase> new)._array) != cnp.PyArray_TYPE(g._array):
                raise RuntimeError(f"hook has changed the type of value: was {g.dtype}, got {(<TensorBase> new).dtype}")
            if not cnp.PyArray_SAMESHAPE((<TensorBase> new)._array, g._array):
                raise RuntimeError(
                    f"hook has changed the size of value: expected {tuple(g.shape)}, got {tuple((<TensorBase> new).shape)}"
                )
            g = <TensorBase> new
    return g


cdef object run_tensor_hooks(Function node, object g):
    if node.n_outputs == 1:
        hooks = node.extras.hooks.get(0)
        return run_hooks(hooks, g) if hooks else g
    g = list(g)
    for nr, hooks in node.extras.hooks.items():
        if hooks and g[nr] is not None:
            g[nr] = run_hooks(hooks, g[nr])
    return g


def run_backward(tensors, gradients, bint retain_graph, bint create_graph, inputs, bint accumulate):
    """The backward pass from `tensors` (all requiring grad) with the given incoming gradients (Tensors of their shapes).

    inputs: None, to accumulate into .grad of every leaf; or the tensors whose gradients alone are wanted. They are
    returned as a list (None for one that was not reached) and, if `accumulate`, also added to .grad.
    """
    cdef Walk walk = Walk.__new__(Walk)
    cdef TensorBase t, g
    cdef Function node
    cdef Py_ssize_t i
    walk.queue = Queue()
    walk.retain_graph, walk.create_graph, walk.accumulate = retain_graph, create_graph, accumulate
    edges = []
    for tensor in tensors:
        edges.append(edge_of(<TensorBase> tensor))
    captured = []
    try:
        if inputs is not None:
            walk.wanted = {}
            walk.results = [None] * len(inputs)
            for i, tensor in enumerate(inputs):
                t = <TensorBase> tensor
                needs_grad(t)
                if t.node is None:
                    walk.wanted.setdefault(id(t), []).append(i)
                else:
                    extras_of(t.node).captures.append((walk, t.nr, i))
                    captured.append(t.node)
            walk.find_useful([(<Edge> edge).node if type(edge) is Edge else edge for edge in edges])
        for i in range(len(edges)):
            g = <TensorBase> gradients[i]
            maker = edges[i] if isinstance(edges[i], Function) else None
            walk.deliver(<Function> maker, edges[i], g, False)
        walk.run()
    finally:
        walk.abandon()
        for found in captured:
            node = <Function> found
            node.extras.captures = [capture for capture in node.extras.captures if capture[0] is not walk]
    return walk.results
