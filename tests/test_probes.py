"""Small habits of PyTorch programs, run on both libraries: names, errors, printed forms."""

import importlib
import pickle
from collections import OrderedDict

import numpy as np
import pytest

from minigrad.utils import _pytree as our_pytree
from tests.probes import check, probes, says


def as_printed(lib, value):
    return repr(value).replace(f"{lib.__name__}.", "")


def probe_results_of_several_values_print_by_their_names(T):
    x = T.tensor([[2.0, 1.0], [0.0, 4.0]])
    results = [
        T.max(x, 1),
        T.min(x, 0),
        T.sort(x),
        T.topk(x, 1),
        T.median(x, 1),
        T.kthvalue(x, 1),
        T.mode(x, 0),
        T.cummax(x, 0),
    ]
    return [as_printed(T, r) for r in (*results, T.aminmax(x), T.nanmedian(x, 0), T.cummin(x, 1), T.linalg.slogdet(x))]


def probe_results_of_several_values_can_be_pickled(T):
    result = pickle.loads(pickle.dumps(T.max(T.tensor([[1.0, 2.0]]), 1)))
    return type(result) is T.return_types.max, result.values, result.indices


def probe_limits_of_types_print(T):
    return [as_printed(T, T.finfo(d)) for d in (T.float32, T.float64)] + [
        as_printed(T, T.iinfo(d)) for d in (T.int8, T.int32, T.int64)
    ]


def probe_types_that_only_programs_with_a_gpu_use_can_be_named(T):
    table = {"float32": T.float32, "float16": T.half, "bfloat16": T.bfloat16, "complex64": T.cfloat}
    return (
        [name for name, d in table.items() if T.ones(1).dtype in (d,)],
        [
            (d.is_floating_point, d.is_complex, d.is_signed, d.itemsize)
            for d in (T.float16, T.bfloat16, T.complex64, T.complex128)
        ],
        as_printed(T, T.bfloat16),
        pickle.loads(pickle.dumps(T.float16)) is T.float16,
    )


def probe_what_a_tensor_is_not(T):
    x = T.ones(2)
    flags = (
        x.is_cpu,
        x.is_cuda,
        x.is_mps,
        x.is_xpu,
        x.is_meta,
        x.is_sparse,
        x.is_sparse_csr,
        x.is_mkldnn,
        x.is_quantized,
        x.is_nested,
    )
    return flags, x.layout is T.strided


def probe_leading_ones_of_what_is_written_are_dropped(T):
    x = T.zeros(3, 2)
    x[T.tensor([True, False, True])] = T.tensor([[[1.0, 2.0]]])
    x[T.tensor([1])] = T.tensor([[[[5.0, 6.0]]]])
    return x


@says("can't assign a str")
def probe_a_string_is_no_element(T):
    T.zeros(3)[0] = "a"


@says("float")
def probe_a_float_is_no_index(T):
    T.zeros(3)[1.0]


@says("str")
def probe_a_string_is_no_index(T):
    T.zeros(3)["a"]


@says("only supports Tensor or scalar")
def probe_a_list_is_no_element(T):
    return [1, 2] in T.tensor([1, 2])


@says("Could not infer dtype of NoneType")
def probe_none_in_a_list(T):
    T.tensor([1, None])


@says("Could not infer dtype of dict")
def probe_a_tensor_of_a_dict(T):
    T.tensor({})


@says("Overflow when unpacking long long")
def probe_an_integer_that_is_too_large(T):
    T.tensor([2**70])


@says("'str'")
def probe_a_tensor_of_a_string(T):
    T.tensor("a")


@says("At least one of 'min' or 'max' must not be None")
def probe_clamp_without_bounds(T):
    T.clamp(T.ones(2))


@says("not implemented for")
def probe_bincount_of_floats(T):
    T.bincount(T.ones(2))


@pytest.mark.parametrize("name", ["int64", "bool", "uint8"])
def test_logits_with_targets_that_are_no_floats(torch, name):
    def classic(T):
        T.nn.functional.binary_cross_entropy_with_logits(T.ones(2), T.ones(2, dtype=getattr(T, name)))

    check(says("")(classic), torch)


def probe_a_state_dict_without_a_count_of_batches(T):
    model = T.nn.Sequential(T.nn.Linear(2, 2), T.nn.BatchNorm1d(2))
    model(T.ones(2, 2))
    plain = {key: value for key, value in model.state_dict().items() if "num_batches" not in key}
    return str(model.load_state_dict(plain)), model[1].num_batches_tracked


@says('Missing key(s) in state_dict: "num_batches_tracked"')
def probe_a_versioned_state_dict_without_a_count_of_batches(T):
    state = T.nn.BatchNorm1d(2).state_dict()
    del state["num_batches_tracked"]
    T.nn.BatchNorm1d(2).load_state_dict(state)


def probe_results_are_written_to_out(T):
    x, y = T.tensor([[1.0, 2.0], [3.0, 4.0]]), T.tensor([[2.0, 0.5], [1.0, -1.0]])
    out, empty, double = T.zeros(2, 2), T.empty(0), T.zeros(2, 2, dtype=T.float64)
    view = T.zeros(4, 2)[1:3]
    values, indices = T.empty(0), T.empty(0, dtype=T.int64)
    found = [
        T.add(x, y, out=out) is out, out.clone(), T.matmul(x, y, out=out).clone(), T.mul(x, 2, out=view) is view, view,
        T.add(x, 1, out=double),
        T.sum(x, 1, out=empty) is empty, empty, T.cat([x, y], out=T.empty(0)), T.eq(x, y, out=T.empty(0, dtype=T.bool)),
        T.clamp(x, min=2, out=x) is x, x, T.add(out.detach(), T.ones(2, 2, requires_grad=True).detach(), out=out),
    ]  # fmt: skip
    pair = T.sort(y, descending=True, out=(values, indices))
    with T.no_grad():
        leaf = T.ones(2, requires_grad=True)
        T.add(leaf, 1, out=leaf)
    return found, pair.values is values, indices, leaf


@says("don't support automatic differentiation")
def probe_out_of_what_requires_grad(T):
    T.add(T.ones(2, requires_grad=True), 1, out=T.empty(2))


@says("don't support automatic differentiation")
def probe_out_that_requires_grad(T):
    T.stack([T.ones(2), T.ones(2)], out=T.empty(2, 2, requires_grad=True))


@says("can't be cast to the desired output type")
def probe_out_of_a_lesser_type(T):
    T.exp(T.ones(2), out=T.zeros(2, dtype=T.int64))


@says("argument 'out' must be")
def probe_out_that_is_no_tensor(T):
    T.add(T.ones(2), 1, out="a")


def test_out_of_another_shape_is_resized(lib):
    out = lib.zeros(3)
    with pytest.warns(UserWarning, match="was resized since it had shape"):
        lib.add(lib.ones(2, 2), 1, out=out)
    assert out.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def probe_the_graph_ends_at_the_leaves(T):
    x = T.ones(2, requires_grad=True)
    end = (x * 2).grad_fn.next_functions[0][0]
    return end.next_functions, end.variable is x


def close(T, actual, expected, **options):
    """What assert_close says, without the rounding of the differences."""
    try:
        T.testing.assert_close(actual, expected, **options)
    except AssertionError as error:
        return [line.partition(" difference: ")[0] for line in str(error).splitlines()]
    return "close"


def probe_assert_close(T):
    x = T.tensor([1.0, 2.0, float("nan")])
    return [
        close(T, x, x),
        close(T, x, x, equal_nan=True),
        close(T, x[:2], T.tensor([1.0, 2.1])),
        close(T, x[:2], x[:2] + 1e-6),
        close(T, x[:2], x[:2] + 0.05, rtol=0.0, atol=0.1),
        close(T, T.tensor([[1, 2], [3, 4]]), T.tensor([[1, 2], [3, 5]])),
        close(T, T.ones(2, dtype=T.float64), T.ones(2, dtype=T.float64) + 1e-6),
        close(T, T.ones(2), T.ones(2, dtype=T.float64), check_dtype=False),
        close(T, [T.ones(2), {"a": x[0]}], [T.ones(2), {"a": x[1]}])[:3],
        close(T, [1], [1, 2])[0].partition(":")[0],
        close(T, 1.0, 1.0 + 1e-9),
        close(T, 1.0, 1.1),
        close(T, 3, 3),
        close(T, np.ones(2), np.ones(2)),
        close(T, T.ones(2), T.zeros(2), msg="differ"),
        close(T, T.ones(2), T.ones(3))[0].partition("match")[0],
        close(T, T.ones(2), T.ones(2, dtype=T.int64))[0].partition("match")[0],
        close(T, {"a": 1}, {"b": 1})[0].partition(" ")[0],
        close(T, T.ones(2, 3).T, T.ones(3, 2)),
        close(T, T.ones(2, 3).T, T.ones(3, 2), check_stride=True)[0].partition("match")[0],
    ]


@says("No comparison pair")
def probe_assert_close_of_a_tensor_and_a_list(T):
    T.testing.assert_close(T.ones(1), [1.0])


@says("'atol' must be")
def probe_assert_close_with_half_of_the_tolerances(T):
    T.testing.assert_close(1.0, 1.0, rtol=0.1)


def probe_a_functional_call(T):
    model = T.nn.Sequential(T.nn.Linear(2, 2), T.nn.BatchNorm1d(2))
    weight = T.tensor([[1.0, 2.0], [0.5, -1.0]], requires_grad=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    values = {"0.weight": weight * 2, "0.bias": T.zeros(2), "1.running_mean": T.zeros(2)}
    x = T.tensor([[1.0, 2.0], [3.0, 0.0], [1.0, 1.0]])
    out = T.func.functional_call(model, (values, {"1.bias": T.ones(2)}), x)
    (out * T.arange(6.0).view(3, 2)).sum().backward()
    model.eval()
    again = T.func.functional_call(model, {**values, "1.num_batches_tracked": T.tensor(0)}, (x,), {})
    unchanged = [T.equal(model.state_dict()[n], before[n]) for n in ("0.weight", "0.bias", "1.bias", "1.running_mean")]
    return (
        out.detach() * 1e3 // 1,
        again.detach() * 1e3 // 1,
        (weight.grad * 1e3).round(),
        unchanged,
        (values["1.running_mean"] * 1e3).round(),
    )


def probe_a_functional_call_of_tied_weights(T):
    model = T.nn.Sequential(T.nn.Linear(2, 2, bias=False), T.nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    new = {"0.weight": T.tensor([[0.0, 2.0], [2.0, 0.0]])}
    call = T.func.functional_call
    return (
        call(model, new, T.ones(1, 2)),
        call(model, new, T.ones(1, 2), strict=False, tie_weights=True),
        model[1].weight is model[0].weight,
    )


@says("Unexpected key(s)")
def probe_a_functional_call_with_an_unknown_name(T):
    layer = T.nn.Linear(1, 1)
    assert T.func.functional_call(layer, {"foo": T.ones(1)}, T.ones(1, 1)) == layer(T.ones(1, 1))
    T.func.functional_call(layer, {"foo": T.ones(1), "weight": T.ones(1, 1), "bias": T.ones(1)}, T.ones(1, 1), strict=True)


@says("Missing key")
def probe_a_functional_call_that_must_name_all(T):
    T.func.functional_call(T.nn.Linear(1, 1), {"weight": T.ones(1, 1)}, T.ones(1, 1), strict=True)


@says("multiple dictionaries")
def probe_a_functional_call_with_a_name_twice(T):
    T.func.functional_call(T.nn.Linear(1, 1), ({"bias": T.ones(1)}, {"bias": T.ones(1)}), T.ones(1, 1))


def probe_the_kernels_of_attention_are_named(T):
    from_torch = importlib.import_module(f"{T.__name__}.nn.attention")
    q = T.arange(12.0).reshape(1, 2, 3, 2) / 10
    with from_torch.sdpa_kernel([from_torch.SDPBackend.MATH, from_torch.SDPBackend.FLASH_ATTENTION]):
        out = T.nn.functional.scaled_dot_product_attention(q, q, q)
    return (out * 1e4).round(), from_torch.SDPBackend.EFFICIENT_ATTENTION.value


@says("SDPBackend")
def probe_a_kernel_of_attention_that_does_not_exist(T):
    with importlib.import_module(f"{T.__name__}.nn.attention").sdpa_kernel("math"):
        pass


TREE = {"b": [1, (2, None)], "a": OrderedDict(x=3, y=[])}


@pytest.fixture(params=["minigrad", "torch"])
def pytree(request):
    return our_pytree if request.param == "minigrad" else pytest.importorskip("torch.utils._pytree")


def test_trees(pytree):
    leaves, spec = pytree.tree_flatten(TREE)
    assert leaves == [1, 2, None, 3]
    assert (spec.num_leaves, spec.is_leaf(), spec == pytree.tree_structure(TREE)) == (4, False, True)
    assert spec != pytree.tree_structure([1, 2, 3, 4])
    assert pytree.tree_unflatten("abcd", spec) == {"b": ["a", ("b", "c")], "a": OrderedDict(x="d", y=[])}
    assert pytree.tree_map(lambda x, y: (x, y), [1, {"k": 2}], [3, {"k": 4}]) == [(1, 3), {"k": (2, 4)}]
    assert pytree.tree_map_only(int, lambda x: -x, {"a": [1, "s"]}) == {"a": [-1, "s"]}
    assert pytree.tree_leaves([1, (2, 3)], is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, 3)]
    assert pytree.tree_all(bool, [1, [2]])
    assert not pytree.tree_any(bool, [0, (0,)])
    with pytest.raises(ValueError, match="leaves"):
        pytree.tree_unflatten([1], spec)


@pytest.mark.parametrize("function", probes(globals()), ids=lambda f: f.__name__)
def test_probe(function, torch):
    check(function, torch)
