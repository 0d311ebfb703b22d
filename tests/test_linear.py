"""Linear layers, embeddings and distances as Modules, beside PyTorch's."""

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

torch = pytest.importorskip("torch")

LAYERS = [
    ("Linear", (3, 5), {}),
    ("Linear", (3, 5), {"bias": False}),
    ("Bilinear", (3, 4, 5), {}),
    ("Bilinear", (3, 4, 5), {"bias": False}),
    ("Identity", (3,), {"anything": 1}),
    ("CosineSimilarity", (), {"dim": -1}),
    ("PairwiseDistance", (), {"p": 1.0, "keepdim": True}),
    ("Embedding", (6, 3), {}),
    ("Embedding", (6, 3), {"padding_idx": -2}),
    ("Embedding", (6, 3), {"scale_grad_by_freq": True, "padding_idx": 0}),
]


def inputs(name):
    rng = np.random.default_rng(4)
    if name == "Embedding":
        return [np.array([[4, 0, 2], [4, 4, 1]])]
    x, y = rng.standard_normal((2, 3)), rng.standard_normal((2, 4 if name == "Bilinear" else 3))
    return [x] if name in ("Linear", "Identity") else [x, y]


@pytest.mark.parametrize(("name", "args", "kwargs"), LAYERS, ids=lambda value: str(value))
def test_layer_agrees_with_torch(name, args, kwargs):
    layer, other = getattr(nn, name)(*args, **kwargs).double(), getattr(torch.nn, name)(*args, **kwargs).double()
    assert repr(layer) == repr(other)
    assert [(k, tuple(v.shape)) for k, v in layer.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in other.state_dict().items()
    ]
    other.load_state_dict({k: torch.tensor(v.numpy()) for k, v in layer.state_dict().items()})
    xs = inputs(name)
    out = layer(*[mg.tensor(x, requires_grad=x.dtype.kind == "f") for x in xs])
    expected = other(*[torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in xs])
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    g = np.random.default_rng(5).standard_normal(out.shape)
    out.backward(mg.tensor(g))
    expected.backward(torch.tensor(g))
    for p, q in zip(layer.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("layer", [lambda: nn.Linear(25, 400), lambda: nn.Bilinear(25, 4, 100)], ids=["Linear", "Bilinear"])
def test_parameters_start_uniform_within_one_over_the_root_of_the_inputs(layer):
    mg.manual_seed(0)
    made = layer()
    for p in (made.weight, made.bias):
        values = p.detach().numpy()
        assert np.abs(values).max() <= 0.2
        assert np.abs(values).max() > 0.18
        assert abs(values.mean()) < 0.03


def test_embedding_starts_normal_with_zeros_for_padding():
    mg.manual_seed(0)
    weight = nn.Embedding(300, 20, padding_idx=7).weight.detach().numpy()
    assert (weight[7] == 0).all()
    assert abs(weight.std() - 1) < 0.05


def test_embedding_from_pretrained():
    table = mg.tensor([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert layer(mg.tensor([1, 0])).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert nn.Embedding.from_pretrained(table, freeze=False, padding_idx=1).weight.requires_grad
    with pytest.raises(AssertionError, match="2-dimensional"):
        nn.Embedding.from_pretrained(mg.ones(3))


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda n: n.Bilinear(0, 3, 4), ValueError),
        (lambda n: n.Embedding(3, 4, padding_idx=3), AssertionError),
        (lambda n: n.Linear(3, 4)(n.Parameter(n.Linear(2, 2).weight.detach())), RuntimeError),
    ],
    ids=["Bilinear", "Embedding", "Linear"],
)
def test_errors_are_torch_s(make, error):
    for package in (nn, torch.nn):
        with pytest.raises(error):
            make(package)


def test_linear_of_a_wrong_size_says_where_and_what():
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(5, 2))
    with pytest.raises(RuntimeError, match=r"^1 \(Linear.*\): .*2x3 and 5x2"):
        net(mg.ones(2, 4))


def test_cosine_similarity_of_vectors_whose_lengths_multiply_beyond_the_floats():
    zero, huge = mg.zeros(1, 3), mg.full((1, 3), 1e20)
    assert mg.nn.functional.cosine_similarity(zero, zero, eps=1e-30).tolist() == [0.0]
    assert mg.nn.functional.cosine_similarity(huge, huge).tolist() == [0.0]  # the length is inf, as in PyTorch


def test_the_result_of_a_permuted_input_is_contiguous():
    """So that .view() fits it, as in PyTorch."""
    x = mg.randn(3, 4, 5).transpose(0, 1)
    assert mg.nn.Linear(5, 6)(x).is_contiguous()
    assert mg.nn.MultiheadAttention(5, 1)(x, x, x)[0].is_contiguous()


@pytest.mark.parametrize(
    ("name", "shapes"), [("addmm", "23 34"), ("addmv", "23 3"), ("addbmm", "523 534"), ("baddbmm", "523 534")]
)
@pytest.mark.parametrize("beta", [1, 0, 0.5])
def test_alpha_0_ignores_the_product(name, shapes, beta):
    left, right = (mg.ones(*map(int, shape)).requires_grad_() for shape in shapes.split())
    wanted = getattr(mg, name)(mg.ones(()), left, right).detach() * 0 + beta
    with mg.no_grad():
        left.fill_(float("nan"))
    for alpha in (0, 0.0):
        out = getattr(mg, name)(mg.ones(()), left, right, beta=beta, alpha=alpha)
        np.testing.assert_array_equal(out.detach().numpy(), wanted.numpy())
        np.testing.assert_array_equal(mg.autograd.grad(out.sum(), left)[0].numpy(), np.zeros(left.shape))
