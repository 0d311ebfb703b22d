"""Recurrent layers and cells: outputs, states and gradients are PyTorch's from equal weights; packing and padding; errors."""

import copy
import pickle

import pytest

import minigrad as mg
from minigrad.nn.utils import rnn as packing
from tests.twins import compare, twins

KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"proj_size": 2})]
OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True, "num_layers": 2},
    {"batch_first": True, "bidirectional": True, "dropout": 0.5, "num_layers": 3},
]


def states_of(rng, name, extra, options, batch):
    """Arrays of the initial states (h, or h and c), without a batch dimension for batch=None."""
    count = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    sizes = [extra.get("proj_size", 4)] + ([4] if name == "LSTM" else [])
    return [rng.standard_normal((count, *(() if batch is None else (batch,)), size)) for size in sizes]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("name", "extra"), KINDS, ids=str)
@pytest.mark.parametrize("case", ["batch", "unbatched", "states", "unbatched states"])
def test_networks_are_those_of_torch(torch, rng, name, extra, options, case):
    ours, theirs = twins(torch, name, 3, 4, **extra, **options)
    ours.eval()  # without dropout, whose random numbers differ
    theirs.eval()
    batch = None if "unbatched" in case else 2
    x = rng.standard_normal((5, 3) if batch is None else (2, 5, 3) if options.get("batch_first") else (5, 2, 3))
    states = states_of(rng, name, extra, options, batch) if "states" in case else []

    def call(lib, module, x, *hx):
        return module(x, *([hx] if name == "LSTM" else hx) if hx else [])

    compare(torch, ours, theirs, call, [x, *states])


@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("enforce_sorted", [False, True])
@pytest.mark.parametrize(("name", "extra"), KINDS, ids=str)
def test_packed_sequences(torch, rng, name, extra, enforce_sorted, with_states):
    options = {"num_layers": 2, "bidirectional": True}
    ours, theirs = twins(torch, name, 3, 4, **extra, **options)
    lengths = [5, 3, 3, 1] if enforce_sorted else [3, 5, 1, 3]
    x = rng.standard_normal((5, 4, 3))

    def call(lib, module, x, *hx):
        utils = lib.nn.utils.rnn
        packed = utils.pack_padded_sequence(x, lengths, enforce_sorted=enforce_sorted)
        out, states = module(packed, *([hx] if name == "LSTM" else hx) if hx else [])
        padded, found = utils.pad_packed_sequence(out)
        assert found.tolist() == lengths
        return out, padded, states

    compare(torch, ours, theirs, call, [x, *(states_of(rng, name, extra, options, 4) if with_states else [])])


@pytest.mark.parametrize(
    ("name", "options"),
    [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu", "bias": False}), ("GRUCell", {}), ("LSTMCell", {"bias": False}),
     ("LSTMCell", {}), ("GRUCell", {"bias": False})],
    ids=str,
)  # fmt: skip
def test_cells_are_those_of_torch(torch, rng, name, options):
    ours, theirs = twins(torch, name, 3, 4, **options)

    def call(lib, module, x, *hx):
        return module(x, *([hx] if name == "LSTMCell" else hx) if hx else [])

    for lead in ((), (2,)):
        x = rng.standard_normal((*lead, 3))
        states = [rng.standard_normal((*lead, 4)) for _ in range(2 if name == "LSTMCell" else 1)]
        compare(torch, ours, theirs, call, [x])
        compare(torch, ours, theirs, call, [x, *states])


def test_a_gradient_of_second_order(rng):
    lstm = mg.nn.LSTM(2, 3, bidirectional=True).double()
    x = mg.tensor(rng.standard_normal((3, 1, 2)), requires_grad=True)
    assert mg.autograd.gradgradcheck(lambda x: lstm(x)[0], [x])
    gru = mg.nn.GRU(2, 2).double()
    assert mg.autograd.gradgradcheck(lambda x: gru(x)[0], [x])


def test_a_small_weight_is_uniform_and_dropout_acts_between_layers():
    mg.manual_seed(0)
    net = mg.nn.GRU(6, 100, num_layers=2, dropout=0.9)
    bound = max(abs(p).max().item() for p in net.parameters())
    assert 0.0999 < bound <= 0.1
    x = mg.randn(3, 2, 6)
    a, b = net(x)[0], net(x)[0]
    assert not mg.equal(a, b)
    net.eval()
    assert mg.equal(net(x)[0], net(x)[0])


def test_networks_copy_and_pickle():
    net = mg.nn.LSTM(2, 3, num_layers=2)
    x = mg.randn(4, 1, 2)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert mg.equal(other(x)[0], net(x)[0])
        assert [len(weights) for weights in other.all_weights] == [4, 4]
        with mg.no_grad():
            other.weight_ih_l0.zero_()
        assert not mg.equal(other(x)[0], net(x)[0])


def test_the_initial_state_does_not_change(rng):
    h = mg.zeros(1, 2, 3)
    mg.nn.RNN(2, 3)(mg.ones(4, 2, 2), h)
    assert h.tolist() == mg.zeros(1, 2, 3).tolist()


CALLS = [
    (ValueError, "dropout should be a number", lambda lib: lib.nn.RNN(1, 1, dropout=2)),
    (ValueError, "dropout should be a number", lambda lib: lib.nn.RNN(1, 1, dropout=True)),
    (TypeError, "hidden_size should be of type int, got: float", lambda lib: lib.nn.GRU(1, 1.5)),
    (TypeError, "bias should be of type bool", lambda lib: lib.nn.GRU(1, 1, bias=1)),
    (ValueError, "hidden_size must be greater than zero", lambda lib: lib.nn.LSTM(1, 0)),
    (ValueError, "num_layers must be greater than zero", lambda lib: lib.nn.LSTM(1, 1, 0)),
    (ValueError, "proj_size has to be smaller than hidden_size", lambda lib: lib.nn.LSTM(1, 2, proj_size=2)),
    (ValueError, "proj_size should be a positive integer", lambda lib: lib.nn.LSTM(1, 2, proj_size=-1)),
    (ValueError, "proj_size argument is only supported for LSTM", lambda lib: lib.nn.GRU(1, 2, proj_size=1)),
    (ValueError, "Unknown nonlinearity 'elu'", lambda lib: lib.nn.RNN(1, 1, nonlinearity="elu")),
    (ValueError, "Expected input to be 2D or 3D, got 1D", lambda lib: lib.nn.LSTM(1, 2)(lib.ones(3))),
    (RuntimeError, "must be equal to input_size. Expected 2, got 3", lambda lib: lib.nn.GRU(2, 2)(lib.ones(4, 1, 3))),
    (ValueError, "does not match weight dtype", lambda lib: lib.nn.RNN(2, 2)(lib.ones(4, 1, 2).double())),
    (RuntimeError, "hx should also be 2-D but got 3-D", lambda lib: lib.nn.RNN(2, 2)(lib.ones(4, 2), lib.ones(1, 1, 2))),
    (RuntimeError, "Expected hidden size (1, 1, 2)", lambda lib: lib.nn.RNN(2, 2)(lib.ones(4, 1, 2), lib.ones(1, 2, 2))),
    (RuntimeError, "Expected hidden[1] size (1, 1, 2)",
     lambda lib: lib.nn.LSTM(2, 2)(lib.ones(4, 1, 2), (lib.ones(1, 1, 2), lib.ones(1, 1, 3)))),
    (RuntimeError, "Expected sequence length to be larger than 0", lambda lib: lib.nn.RNN(2, 2)(lib.ones(0, 1, 2))),
    (ValueError, "RNNCell: Expected input to be 1D or 2D, got 3D", lambda lib: lib.nn.RNNCell(2, 2)(lib.ones(1, 1, 2))),
    (ValueError, "LSTMCell: Expected hx[0] to be 1D or 2D",
     lambda lib: lib.nn.LSTMCell(2, 2)(lib.ones(1, 2), (lib.ones(1, 1, 2), lib.ones(1, 2)))),
    (RuntimeError, "input has inconsistent input_size: got 3", lambda lib: lib.nn.GRUCell(2, 2)(lib.ones(1, 3))),
    (RuntimeError, "hidden0 has inconsistent hidden_size: got 3",
     lambda lib: lib.nn.GRUCell(2, 2)(lib.ones(1, 2), lib.ones(1, 3))),
    (RuntimeError, "Unknown nonlinearity: elu", lambda lib: lib.nn.RNNCell(2, 2, nonlinearity="elu")(lib.ones(1, 2))),
    (RuntimeError, "must be sorted in decreasing order",
     lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(4, 2, 1), [2, 4])),
    (RuntimeError, "greater than 0", lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(4, 2, 1), [2, 0])),
    (RuntimeError, "equal to batch_size", lambda lib: lib.nn.utils.rnn.pack_padded_sequence(lib.ones(4, 2, 1), [2])),
    (RuntimeError, "Expected iterable for input sequences", lambda lib: lib.nn.utils.rnn.pad_sequence(3)),
    (ValueError, "Expected total_length to be at least",
     lambda lib: lib.nn.utils.rnn.pad_packed_sequence(lib.nn.utils.rnn.pack_sequence([lib.ones(3)]), total_length=2)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "call"), CALLS, ids=[f"{kind.__name__} {text}" for kind, text, _ in CALLS])
def test_errors(lib, kind, text, call):
    with pytest.raises(kind) as caught:
        call(lib)
    assert text in str(caught.value)


def test_a_length_beyond_the_padding_is_refused():
    with pytest.raises(RuntimeError, match="a length is 5, but the input has 4 time steps"):
        packing.pack_padded_sequence(mg.ones(4, 2, 1), [5, 1])


def test_dropout_of_a_single_layer_warns(lib):
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        lib.nn.GRU(2, 2, dropout=0.5)


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_and_packing_round_trips(lib, batch_first):
    utils = lib.nn.utils.rnn
    sequences = [lib.arange(n * 2).reshape(n, 2).float() for n in (2, 4, 1)]
    padded = utils.pad_sequence(sequences, batch_first, padding_value=-1)
    assert tuple(padded.shape) == ((3, 4, 2) if batch_first else (4, 3, 2))
    assert (padded == -1).sum().item() == 2 * (2 + 3)
    lengths = lib.tensor([2, 4, 1])
    for found, wanted in zip(utils.unpad_sequence(padded, lengths, batch_first), sequences, strict=True):
        assert found.tolist() == wanted.tolist()
    left = utils.pad_sequence(sequences, batch_first, padding_side="left")
    assert (left if batch_first else left.transpose(0, 1))[0].tolist() == [[0, 0], [0, 0], [0, 1], [2, 3]]
    packed = utils.pack_sequence(sequences, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert packed.unsorted_indices.tolist() == [1, 0, 2]
    for found, wanted in zip(utils.unpack_sequence(packed), sequences, strict=True):
        assert found.tolist() == wanted.tolist()
    full, found = utils.pad_packed_sequence(packed, batch_first, padding_value=9, total_length=6)
    assert tuple(full.shape) == ((3, 6, 2) if batch_first else (6, 3, 2))
    assert found.tolist() == [2, 4, 1]
    assert (full == 9).sum().item() == 2 * (4 + 2 + 5)
    assert utils.pad_sequence([lib.tensor([1, 2]), lib.tensor([3])]).tolist() == [[1, 3], [2, 0]]


def test_packed_sequences_convert():
    packed = packing.pack_sequence([mg.ones(2), mg.ones(1)])
    assert packed.double().data.dtype is mg.float64
    assert packed.to(mg.float64).long().data.tolist() == [1, 1, 1]
    assert packed.to(mg.float32) is packed
    assert packed.cpu() is packed
    assert not packed.is_cuda
    assert repr(packing.PackedSequence((mg.ones(1), mg.tensor([1])))).startswith("PackedSequence(data=tensor([1.])")
    assert packing.invert_permutation(mg.tensor([2, 0, 1])).tolist() == [1, 2, 0]
