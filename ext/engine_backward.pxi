# The backward pass: a part of engine.pyx.


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
