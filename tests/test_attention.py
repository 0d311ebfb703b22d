"""MultiheadAttention and the transformer beside PyTorch's from equal weights; copies, masks and errors."""

import copy
import pickle

import numpy as np
import pytest

import minigrad as mg
from tests.twins import compare, twins

CAUSAL = np.triu(np.full((4, 4), -np.inf), 1)
PADDING = np.array([[False, False, True, True], [False] * 4, [False, False, False, True]])


@pytest.mark.parametrize(
    "options",
    [{}, {"bias": False, "batch_first": True}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 3, "vdim": 5, "bias": False},
     {"kdim": 3, "vdim": 5, "batch_first": True}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention(torch, rng, options, need_weights):
    ours, theirs = twins(torch, "MultiheadAttention", 6, 2, **options)
    kdim, vdim = options.get("kdim", 6), options.get("vdim", 6)
    arrays = [rng.standard_normal((4, 3, size)) for size in (6, kdim, vdim)]
    padding = PADDING[:, : 3 if options.get("batch_first") else 4]
    batch = 4 if options.get("batch_first") else 3
    padding = np.resize(padding, (batch, padding.shape[1]))

    def masked(lib, module, q, k, v):
        return module(q, k, v, key_padding_mask=lib.tensor(padding), need_weights=need_weights, average_attn_weights=False)

    compare(torch, ours, theirs, masked, arrays)
    compare(torch, ours, theirs, lambda lib, module, q, k, v: module(q[0], k[0], v[0], need_weights=need_weights), arrays)
    if kdim == 6:
        compare(torch, ours, theirs, lambda lib, module, x: module(x, x, x, need_weights=need_weights), arrays[:1])
        compare(torch, ours, theirs, lambda lib, module, x, y: module(x, y, y, need_weights=need_weights), arrays[:2])
        length = arrays[0].shape[1 if options.get("batch_first") else 0]
        mask = CAUSAL[:length, :length]
        compare(
            torch, ours, theirs,
            lambda lib, module, x: module(x, x, x, attn_mask=lib.tensor(mask), is_causal=True, need_weights=need_weights),
            arrays[:1],
        )  # fmt: skip


def test_a_query_that_may_look_at_nothing(torch, rng):
    ours, theirs = twins(torch, "MultiheadAttention", 4, 2)
    x = rng.standard_normal((3, 1, 4))
    nothing = np.ones((3, 3), bool)
    for lib, module in ((mg, ours), (torch, theirs)):
        out, weights = module(*[lib.tensor(x)] * 3, attn_mask=lib.tensor(nothing))
        assert lib.isnan(out).all()
        assert lib.isnan(weights).all()
        out, _ = module(*[lib.tensor(x)] * 3, attn_mask=lib.tensor(nothing), need_weights=False)
        np.testing.assert_allclose(out.detach().numpy()[:, 0], [module.out_proj.bias.detach().numpy()] * 3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"norm_first": True, "activation": "gelu"}, {"batch_first": True, "bias": False, "layer_norm_eps": 1e-3}],
    ids=str,
)
def test_transformer_layers(torch, rng, options, training):
    kind = {"d_model": 6, "nhead": 2, "dim_feedforward": 5, "dropout": 0.0, **options}
    x, memory = rng.standard_normal((4, 4, 6)), rng.standard_normal((4, 4, 6))
    padding = np.resize(PADDING, (4, 4))
    ours, theirs = twins(torch, "TransformerEncoderLayer", **kind)
    ours.train(training)
    theirs.train(training)

    def encode(lib, module, x):
        return module(x, lib.tensor(CAUSAL), lib.tensor(np.where(padding, -np.inf, 0)))

    compare(torch, ours, theirs, encode, [x])
    compare(torch, ours, theirs, lambda lib, module, x: module(x, lib.tensor(CAUSAL), is_causal=True), [x])
    ours, theirs = twins(torch, "TransformerDecoderLayer", **kind)

    def decode(lib, module, x, memory):
        return module(x, memory, lib.tensor(CAUSAL), memory_key_padding_mask=lib.tensor(padding), tgt_is_causal=True)

    compare(torch, ours, theirs, decode, [x, memory])


def test_the_whole_transformer(torch, rng):
    kind = {"d_model": 4, "nhead": 2, "num_encoder_layers": 2, "num_decoder_layers": 2, "dim_feedforward": 3, "dropout": 0.0}
    ours, theirs = twins(torch, "Transformer", **kind, batch_first=True)

    def translate(lib, module, source, target):
        mask = module.generate_square_subsequent_mask(3, dtype=lib.float64)
        padding = lib.tensor(PADDING[:2])
        masks = {"tgt_mask": mask, "src_key_padding_mask": padding, "memory_key_padding_mask": padding}
        return module(source, target, **masks), module.encoder(source, mask=lib.tensor(CAUSAL))

    compare(torch, ours, theirs, translate, [rng.standard_normal((2, 4, 4)), rng.standard_normal((2, 3, 4))])


def test_masks_and_weights_to_start_with(lib):
    mask = lib.nn.Transformer.generate_square_subsequent_mask(3)
    assert mask.tolist() == [[0, -np.inf, -np.inf], [0, 0, -np.inf], [0, 0, 0]]
    heads = lib.nn.MultiheadAttention(16, 4)
    bound = (6 / (16 + 48)) ** 0.5
    assert 0.9 * bound < abs(heads.in_proj_weight).max().item() <= bound
    assert heads.in_proj_bias.tolist() == [0] * 48
    assert heads.out_proj.bias.tolist() == [0] * 16
    layer = lib.nn.TransformerEncoderLayer(4, 1, activation=lib.nn.GELU())
    assert "activation" in dict(layer.named_children())
    assert layer.activation_relu_or_gelu == 2


def test_layers_of_a_stack_are_copies():
    layer = mg.nn.TransformerEncoderLayer(4, 2, 3)
    stack = mg.nn.TransformerEncoder(layer, 2)
    first, second = stack.layers
    assert first.linear1.weight is not second.linear1.weight
    assert mg.equal(first.linear1.weight, layer.linear1.weight)
    x = mg.randn(3, 1, 4)
    stack.eval()
    for other in (copy.deepcopy(stack), pickle.loads(pickle.dumps(stack))):
        assert mg.equal(other(x), stack(x))


def test_dropout_acts_in_training_alone():
    mg.manual_seed(0)
    heads = mg.nn.MultiheadAttention(4, 2, dropout=0.5)
    x = mg.randn(3, 2, 4)
    assert not mg.equal(heads(x, x, x)[0], heads(x, x, x)[0])
    heads.eval()
    assert mg.equal(heads(x, x, x)[0], heads(x, x, x)[0])
    q = mg.randn(1, 200, 4)
    weights = mg.nn.functional.scaled_dot_product_attention(q, q, mg.eye(200)[None], dropout_p=0.25)
    assert 0.2 < (weights == 0).float().mean().item() < 0.3
    torch_like = weights.sum(-1).mean().item()
    assert 0.9 < torch_like < 1.1


def call_heads(lib, **options):
    x = lib.ones(3, 2, 4)
    return lib.nn.MultiheadAttention(4, 2)(x, x, x, **options)


CALLS = [
    (AssertionError, "embed_dim must be divisible by num_heads", lambda lib: lib.nn.MultiheadAttention(5, 2)),
    (ValueError, "must be greater than 0", lambda lib: lib.nn.MultiheadAttention(4, 0)),
    (AssertionError, "only bool and floating types of attn_mask", lambda lib: call_heads(lib, attn_mask=lib.ones(3, 3).long())),
    (RuntimeError, "Need attn_mask if specifying the is_causal hint", lambda lib: call_heads(lib, is_causal=True)),
    (RuntimeError, "activation should be relu/gelu, not tanh",
     lambda lib: lib.nn.TransformerEncoderLayer(4, 2, activation="tanh")),
    (RuntimeError, "the batch number of src and tgt must be equal",
     lambda lib: lib.nn.Transformer(4, 1, 1, 1, 4)(lib.ones(3, 2, 4), lib.ones(3, 1, 4))),
    (RuntimeError, "the feature number of src and tgt must be equal to d_model",
     lambda lib: lib.nn.Transformer(4, 1, 1, 1, 4)(lib.ones(3, 1, 5), lib.ones(3, 1, 5))),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(("kind", "text", "call"), CALLS, ids=[text for _, text, _ in CALLS])
def test_errors(lib, kind, text, call):
    with pytest.raises(kind) as caught:
        call(lib)
    assert text in str(caught.value)


def test_masks_of_two_kinds_warn(lib):
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask is deprecated"):
        call_heads(lib, attn_mask=lib.zeros(3, 3), key_padding_mask=lib.zeros(2, 3).bool())
