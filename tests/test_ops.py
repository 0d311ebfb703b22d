"""Every row of the op table through every check.

A test covers all samples of its row: the note below a failure says which sample it was.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad._ext import threads
from minigrad._ext.engine import Function
from minigrad.autograd import gradcheck, gradgradcheck
from tests.conftest import HAVE_TORCH, MISSING, import_torch
from tests.op_table import ROWS
from tests.op_table.row import SAME, Buffer, Constant, Dtype, Op, Sample

needs_torch = pytest.mark.skipif(not HAVE_TORCH, reason=MISSING)


def rows(*, dtypes: bool = False, where: Callable[[Op], bool] = lambda row: True) -> pytest.MarkDecorator:
    """Parametrises a test over the rows, and each row's dtypes."""
    chosen = [row for row in ROWS if where(row)]
    if not dtypes:
        return pytest.mark.parametrize("row", chosen, ids=[row.name for row in chosen])
    pairs = [(row, dtype) for row in chosen for dtype in row.dtypes]
    return pytest.mark.parametrize(("row", "dtype"), pairs, ids=[f"{row.name}-{dtype}" for row, dtype in pairs])


def differentiable(row: Op) -> bool:
    return row.order > 0


def comparable(row: Op) -> bool:
    return row.torch_name is not None and not row.random


@functools.cache
def samples(name: str) -> list[Sample]:
    return next(row for row in ROWS if row.name == name).sample_list()


@contextmanager
def told(sample: Sample) -> Iterator[None]:
    """Adds the sample to the report of whatever fails inside."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in {sample!r}")
        raise


# ------------------------------------------------------------------------------------------------------ running one sample


def plain(a: np.ndarray) -> np.ndarray:
    return a.copy()


def strided(a: np.ndarray) -> np.ndarray:
    """The same values, every second element of a larger array, which is filled with NaN."""
    if a.ndim == 0:
        return a.copy()
    room = np.full((*a.shape[:-1], 2 * a.shape[-1] + 1), np.nan if a.dtype.kind == "f" else 0, dtype=a.dtype)
    view = room[..., 1::2]
    view[...] = a
    return view


def column_major(a: np.ndarray) -> np.ndarray:
    return np.array(a, order="F")


def read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def convert(value: Any, leaf: Callable[[Any], Any]) -> Any:
    """`value` with `leaf` applied to each array, Constant, Buffer and Dtype in it, through lists, tuples and dicts."""
    if isinstance(value, (np.ndarray, Constant, Buffer, Dtype)):
        return leaf(value)
    if isinstance(value, dict):
        return {key: convert(item, leaf) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(convert(item, leaf) for item in value)
    return value


@dataclass
class Call:
    """The arguments of a sample in one library, and the tensors among them."""

    args: tuple
    kwargs: dict
    tensors: list
    arrays: list[np.ndarray]
    inputs: list
    buffers: list


def prepare(
    lib: ModuleType,
    sample: Sample,
    dtype: str,
    layout: Callable[[np.ndarray], np.ndarray] = plain,
    only: int | None = None,
    grad: bool = True,
    given: Sequence = (),
    rounded: str | None = None,
) -> Call:
    """Converts a sample.

    `only` is the number of the one input that requires grad, `grad` whether any does; `given` are the differentiable inputs
    themselves, where they have been made already. `rounded`: round the values to this dtype first.
    """
    call = Call((), {}, [], [], [], [])
    count = 0

    def leaf(value: Any) -> Any:
        nonlocal count
        if isinstance(value, Dtype):
            return getattr(lib, value.name)
        wrapped = isinstance(value, (Constant, Buffer))
        if given and not wrapped and value.dtype == np.float64:
            count += 1
            return given[count - 1]
        array = np.asarray(value.array if wrapped else value)
        if wrapped or array.dtype == np.float64:
            array = array.astype(rounded or dtype).astype(dtype)
        array = plain(array) if isinstance(value, Buffer) else layout(array)
        t = lib.from_numpy(array)
        call.tensors.append(t)
        call.arrays.append(array)
        if isinstance(value, Buffer):
            call.buffers.append(t)
        elif not wrapped and value.dtype == np.float64:
            if grad and (only is None or count == only):
                t.requires_grad_()
                call.inputs.append(t)
            count += 1
        return t

    call.args = convert(sample.args, leaf)
    call.kwargs = convert(sample.kwargs, leaf)
    return call


def reference_arguments(sample: Sample, dtype: str) -> tuple[tuple, dict]:
    """The arguments for row.reference: float64 arrays that hold the values the tensors held."""

    def leaf(value: Any) -> Any:
        if isinstance(value, Dtype):
            return np.dtype(value.name)
        wrapped = isinstance(value, (Constant, Buffer))
        array = np.asarray(value.array if wrapped else value)
        return array.astype(dtype).astype(np.float64) if wrapped or array.dtype == np.float64 else array.copy()

    return convert(sample.args, leaf), convert(sample.kwargs, leaf)


def flatten(result: Any) -> list:
    """The leaves of a nested result, tensors and others, in order."""
    if isinstance(result, (list, tuple)):
        return [leaf for item in result for leaf in flatten(item)]
    return [result]


def is_tensor(value: Any) -> bool:
    return hasattr(value, "requires_grad")


def to_numpy(value: Any) -> np.ndarray:
    return value.detach().numpy().copy() if is_tensor(value) else np.asarray(value)


def dtype_name(value: Any) -> str:
    return str(value.dtype).rpartition(".")[2] if is_tensor(value) else type(value).__name__


def execute(lib: ModuleType, row: Op, call: Call) -> list:
    """Calls the op and returns the leaves of its result."""
    if row.random:
        lib.manual_seed(0)
    return flatten(row.resolve(lib)(*call.args, **call.kwargs))


def incoming(row: Op, outputs: list) -> list[np.ndarray]:
    """A random gradient for each output that requires grad, the same for both libraries."""
    rng = row.rng()
    wanted = [y for y in outputs if is_tensor(y) and y.requires_grad]
    return [np.asarray(rng.standard_normal(tuple(y.shape)), dtype=dtype_name(y)) for y in wanted]


@dataclass
class Result:
    outputs: list[np.ndarray]
    dtypes: list[str]
    requires_grad: list[bool]
    buffers: list[np.ndarray]
    gradients: list[np.ndarray | None]
    gradient_dtypes: list[str]


def run(
    lib: ModuleType,
    row: Op,
    sample: Sample,
    dtype: str,
    layout: Callable[[np.ndarray], np.ndarray] = plain,
    only: int | None = None,
    grad: bool = True,
    rounded: str | None = None,
) -> Result:
    """Forward and, where any output requires grad, backward with a random incoming gradient."""
    call = prepare(lib, sample, dtype, layout, only, grad and differentiable(row), rounded=rounded)
    outputs = execute(lib, row, call)
    buffers = [to_numpy(b) for b in call.buffers]
    values = [to_numpy(y) for y in outputs]
    flags = [is_tensor(y) and y.requires_grad for y in outputs]
    gradients = []
    if any(flags):
        roots = [y for y, flag in zip(outputs, flags) if flag]
        gs = [lib.from_numpy(np.asarray(g.astype(rounded or g.dtype), g.dtype)) for g in incoming(row, outputs)]
        gradients = list(lib.autograd.grad(roots, call.inputs, gs, allow_unused=True))
    return Result(
        values,
        [dtype_name(y) for y in outputs],
        flags,
        buffers,
        [None if gx is None else to_numpy(gx) for gx in gradients],
        ["None" if gx is None else dtype_name(gx) for gx in gradients],
    )


@functools.cache
def torch_result(name: str, number: int, dtype: str) -> Result:
    row = next(row for row in ROWS if row.name == name)
    return run(import_torch(), row, samples(name)[number], dtype)


@functools.cache
def torch_error(name: str, number: int) -> tuple[list[float], list[float]]:
    """How far torch's float32 outputs and gradients are from what it computes in float64 from the same float32 values.

    Where an op cancels, two right float32 answers differ by about that much.
    """
    row = next(row for row in ROWS if row.name == name)
    rough = torch_result(name, number, "float32")
    precise = run(import_torch(), row, samples(name)[number], "float64", rounded="float32")

    def distance(a: np.ndarray | None, b: np.ndarray | None) -> float:
        if a is None or b is None or a.dtype.kind != "f" or a.shape != b.shape:
            return 0.0
        with np.errstate(invalid="ignore"):
            difference = np.abs(a.astype(np.float64) - b)
        return float(np.max(difference[np.isfinite(difference)], initial=0))

    outputs = [distance(a, b) for a, b in zip(rough.outputs + rough.buffers, precise.outputs + precise.buffers)]
    return outputs, [distance(a, b) for a, b in zip(rough.gradients, precise.gradients)]


def assert_close(found: np.ndarray, expected: np.ndarray, rtol: float, atol: float, what: str) -> None:
    """|found - expected| <= atol + rtol * max|expected|, with equal NaNs and infinities; exact for integers and bools."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    if found.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected, err_msg=what)
        return
    finite = np.isfinite(expected)
    scale = np.max(np.abs(expected[finite]), initial=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol + rtol * scale, err_msg=what)


def assert_same_bits(found: Result, expected: Result) -> None:
    for a, b in zip(found.outputs + found.buffers + found.gradients, expected.outputs + expected.buffers + expected.gradients):
        if b is None:
            assert a is None
        else:
            np.testing.assert_array_equal(a, b, strict=True)


# -------------------------------------------------------------------------------------------------------------- the checks


@rows(dtypes=True)
def test_forward_agrees_with_the_reference(row, dtype):
    if row.reference is None:
        assert comparable(row) or row.random, f"{row.name} has neither a reference nor a counterpart in torch"
        pytest.skip("torch is the oracle")
    for sample in samples(row.name):
        with told(sample):
            found = run(minigrad, row, sample, dtype, grad=False).outputs
            args, kwargs = reference_arguments(sample, dtype)
            with np.errstate(all="ignore"):
                expected = flatten(row.reference(*args, **kwargs))
            assert len(expected) <= len(found)
            for i, (y, e) in enumerate(zip(found, expected)):
                assert_close(y, e, row.rtol[dtype], row.atol[dtype], f"output {i}")


@needs_torch
@rows(dtypes=True, where=comparable)
def test_forward_agrees_with_torch(row, dtype):
    for number, sample in enumerate(samples(row.name)):
        with told(sample):
            found, expected = run(minigrad, row, sample, dtype), torch_result(row.name, number, dtype)
            assert found.dtypes == expected.dtypes
            assert found.requires_grad == expected.requires_grad
            errors = torch_error(row.name, number)[0] if dtype == "float32" else itertools.repeat(0.0)
            ours, theirs = found.outputs + found.buffers, expected.outputs + expected.buffers
            for i, (y, e, error) in enumerate(zip(ours, theirs, errors)):
                assert_close(y, e, row.rtol[dtype], row.atol[dtype] + 3 * error, f"output {i}")


@needs_torch
@rows(dtypes=True, where=lambda row: comparable(row) and differentiable(row))
def test_gradient_agrees_with_torch(row, dtype):
    for number, sample in enumerate(samples(row.name)):
        with told(sample):
            found, expected = run(minigrad, row, sample, dtype), torch_result(row.name, number, dtype)
            assert found.gradient_dtypes == expected.gradient_dtypes
            errors = torch_error(row.name, number)[1] if dtype == "float32" else itertools.repeat(0.0)
            for i, (gx, e, error) in enumerate(zip(found.gradients, expected.gradients, errors)):
                if e is not None:
                    assert_close(gx, e, row.gradient_rtol[dtype], row.atol[dtype] + 3 * error, f"gradient of input {i}")


def as_function(row: Op, sample: Sample) -> tuple[Callable[..., tuple], list]:
    """The op as a function of its differentiable inputs, for gradcheck; the other arguments are made anew for every call."""

    def function(*tensors: Any) -> tuple:
        call = prepare(minigrad, sample, "float64", given=tensors)
        return tuple(y for y in execute(minigrad, row, call) if is_tensor(y))

    function.__qualname__ = row.name
    return function, prepare(minigrad, sample, "float64").inputs


def tolerances(row: Op) -> dict[str, Any]:
    return {"atol": 1e-6, "rtol": 1e-5, **row.gradcheck}


@rows(where=differentiable)
def test_gradcheck(row):
    for sample in samples(row.name):
        with told(sample):
            function, inputs = as_function(row, sample)
            if inputs:
                gradcheck(function, inputs, check_grad_dtypes=True, **tolerances(row))


@rows(where=lambda row: row.order > 1)
def test_gradgradcheck(row):
    for sample in samples(row.name):
        with told(sample):
            function, inputs = as_function(row, sample)
            if inputs:
                gradgradcheck(function, inputs, check_grad_dtypes=True, **tolerances(row))


@rows(where=lambda row: row.order > 1 and row.dtypes[0] == "float32")
def test_second_order_stays_float32(row):
    """The gradient of <g, gradient> in float32: its dtype, and its value against the same in float64."""

    def second(sample: Sample, dtype: str) -> list[tuple]:
        call = prepare(minigrad, sample, dtype)
        outputs = execute(minigrad, row, call)
        roots = [y for y in outputs if is_tensor(y) and y.requires_grad]
        if not roots:
            return []
        gs = [minigrad.from_numpy(g).requires_grad_() for g in incoming(row, outputs)]
        first = minigrad.autograd.grad(roots, call.inputs, gs, create_graph=True, allow_unused=True)
        products = [(gx * gx).sum() for gx in first if gx is not None and gx.requires_grad]
        if not products:
            return []
        wanted = [*call.inputs, *gs]
        return list(zip(wanted, minigrad.autograd.grad(sum(products[1:], products[0]), wanted, allow_unused=True)))

    for sample in samples(row.name):
        with told(sample):
            for i, ((x, a), (_, b)) in enumerate(zip(second(sample, "float32"), second(sample, "float64"))):
                if b is not None:
                    assert a.dtype == x.dtype, f"second gradient {i} is {a.dtype}"
                    assert_close(to_numpy(a), to_numpy(b), 50 * row.gradient_rtol["float32"], 1e-5, f"second gradient {i}")


@rows(dtypes=True)
def test_memory_layout_does_not_matter(row, dtype):
    """Non-contiguous and read-only inputs give equal results, and no input is written to."""
    for sample in samples(row.name):
        with told(sample):
            expected = run(minigrad, row, sample, dtype)
            for layout in (read_only,) if row.contiguous_only else (read_only, strided, column_major):
                found = run(minigrad, row, sample, dtype, layout)
                assert found.dtypes == expected.dtypes
                assert found.gradient_dtypes == expected.gradient_dtypes
                for i, (a, b) in enumerate(zip(found.outputs + found.buffers, expected.outputs + expected.buffers)):
                    assert_close(a, b, row.rtol[dtype], row.atol[dtype], f"output {i}, {layout.__name__} inputs")
                for i, (a, b) in enumerate(zip(found.gradients, expected.gradients)):
                    if b is not None:
                        what = f"gradient of input {i}, {layout.__name__} inputs"
                        assert_close(a, b, row.gradient_rtol[dtype], row.atol[dtype], what)


@rows(dtypes=True)
def test_inputs_and_incoming_gradient_are_left_unchanged(row, dtype):
    """Also: a non-contiguous incoming gradient is as good as a contiguous one."""
    for sample in samples(row.name):
        with told(sample):
            call = prepare(minigrad, sample, dtype, grad=differentiable(row))
            before = [a.copy() for a in call.arrays]
            outputs = execute(minigrad, row, call)
            roots = [y for y in outputs if is_tensor(y) and y.requires_grad]
            gs = incoming(row, outputs)
            if roots:
                results = []
                for layout in (plain, strided, column_major):
                    arrays = [layout(g) for g in gs]
                    kept = [a.copy() for a in arrays]
                    grads = [minigrad.from_numpy(a) for a in arrays]
                    results.append(minigrad.autograd.grad(roots, call.inputs, grads, retain_graph=True, allow_unused=True))
                    for a, b in zip(arrays, kept):
                        np.testing.assert_array_equal(a, b, err_msg="the incoming gradient was written to")
                for other in results[1:]:
                    for i, (a, b) in enumerate(zip(other, results[0])):
                        if b is not None:
                            what = f"gradient of input {i} from a non-contiguous incoming gradient"
                            assert_close(to_numpy(a), to_numpy(b), row.gradient_rtol[dtype], row.atol[dtype], what)
            for t, a, b in zip(call.tensors, call.arrays, before):
                if not any(t is buffer for buffer in call.buffers):
                    np.testing.assert_array_equal(a, b, err_msg="an input was written to")


def watch(outputs: list) -> list[str]:
    """Makes every Python node of the graph below `outputs` report gradients that it computed though nobody asked."""
    wasted: list[str] = []
    seen = set()
    stack = [y.grad_fn for y in outputs if is_tensor(y) and y.grad_fn is not None]
    while stack:
        node = stack.pop()
        if id(node) in seen or not isinstance(node, Function):
            continue
        seen.add(id(node))
        stack.extend(next_node for next_node, _ in node.next_functions if next_node is not None)
        if "backward" not in type(node).__dict__ or not hasattr(node, "__dict__"):
            continue

        def backward(*args, node=node, rule=node.backward):
            result = rule(*args)
            gradients = result if isinstance(result, tuple) else (result,)
            for i, (needed, gx) in enumerate(zip(node.needs_input_grad, gradients)):
                if gx is not None and not needed:
                    wasted.append(f"{node.name()} computed the gradient of its input {i}")
            return result

        node.backward = backward
    return wasted


@rows(where=differentiable)
def test_unneeded_gradients_are_not_computed(row):
    """With one input requiring grad at a time, its gradient is the same bits and no other is computed."""
    dtype = row.dtypes[0]
    for sample in samples(row.name):
        count = len(prepare(minigrad, sample, dtype).inputs)
        if count < 2:
            continue
        with told(sample):
            together = run(minigrad, row, sample, dtype)
            for only in range(count):
                call = prepare(minigrad, sample, dtype, only=only)
                outputs = execute(minigrad, row, call)
                roots = [y for y in outputs if is_tensor(y) and y.requires_grad]
                if not roots:
                    continue
                wasted = watch(roots)
                flags = [is_tensor(y) and y.requires_grad for y in outputs]
                if flags != together.requires_grad:
                    continue  # another input makes another output differentiable: the incoming gradients differ
                gs = [minigrad.from_numpy(g) for g in incoming(row, outputs)]
                (alone,) = minigrad.autograd.grad(roots, call.inputs, gs, allow_unused=True)
                assert not wasted, wasted
                expected = together.gradients[only]
                if expected is None:
                    assert alone is None
                else:
                    np.testing.assert_array_equal(to_numpy(alone), expected, err_msg=f"input {only} alone", strict=True)


@rows(dtypes=True)
def test_no_grad_gives_the_same_values(row, dtype):
    for sample in samples(row.name):
        with told(sample):
            expected = run(minigrad, row, sample, dtype)
            call = prepare(minigrad, sample, dtype, grad=differentiable(row))
            with minigrad.no_grad():
                outputs = execute(minigrad, row, call)
            for i, (y, e) in enumerate(zip(outputs, expected.outputs)):
                np.testing.assert_array_equal(to_numpy(y), e, err_msg=f"output {i}", strict=True)
                if is_tensor(y) and not row.aliases:  # in torch a view of a leaf made here requires grad
                    assert not y.requires_grad
                    assert y.grad_fn is None


@rows(dtypes=True)
def test_threads_do_not_change_bits(row, dtype):
    """1 thread against 2 (and 3 and 7), with the threshold below which work stays on one thread taken away."""
    before, threshold = minigrad.get_num_threads(), threads.set_parallel_threshold(0)
    try:
        minigrad.set_num_threads(1)
        expected = [run(minigrad, row, sample, dtype) for sample in samples(row.name)]
        for number in (2, 3, 7) if dtype == "float32" else (2,):
            minigrad.set_num_threads(number)
            for sample, result in zip(samples(row.name), expected, strict=True):
                with told(sample):
                    assert_same_bits(run(minigrad, row, sample, dtype), result)
    finally:
        threads.set_parallel_threshold(threshold)
        minigrad.set_num_threads(before)


@rows(where=lambda row: bool(row.errors))
def test_errors(row):
    for error in row.error_list():
        with told(error.sample):
            call = prepare(minigrad, error.sample, row.dtypes[0], grad=differentiable(row))
            with pytest.raises(error.exception, match=error.match or None):
                execute(minigrad, row, call)


@needs_torch
@rows(where=lambda row: bool(row.errors) and row.torch_name is not None)
def test_errors_are_those_of_torch(row):
    torch = import_torch()
    for error in row.error_list():
        if error.torch == SAME:
            with told(error.sample), pytest.raises(error.exception):
                execute(torch, row, prepare(torch, error.sample, row.dtypes[0], grad=differentiable(row)))
