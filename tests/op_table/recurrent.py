"""Recurrent networks over sequences of equal lengths, as functions of their weights too."""

import numpy as np

from tests.op_table.row import Op, Sample

_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _layer(name):
    """lib -> (x, first states, forward and maybe backward weights) -> the outputs of one layer and its last states."""

    def of(lib):
        def call(x, states, *directions):
            inputs, hidden, bias = x.shape[-1], states[0].shape[-1], len(directions[0]) == 4
            module = getattr(lib.nn, name)(inputs, hidden, bias=bias, bidirectional=len(directions) == 2)
            for suffix, weights in zip(("", "_reverse"), directions, strict=False):
                for key, value in zip(_NAMES, weights, strict=False):
                    delattr(module, f"{key}_l0{suffix}")
                    setattr(module, f"{key}_l0{suffix}", value)
            out, last = module(x, tuple(states) if name == "LSTM" else states[0])
            return (out, *last) if name == "LSTM" else (out, last)

        return call

    return of


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _lstm_step(x, y, h, c):
    i, f, g, o = np.split(x + y, 4, 1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


def _gru_step(x, y, h):
    (xr, xz, xn), (yr, yz, yn) = np.split(x, 3, 1), np.split(y, 3, 1)
    z, n = _sigmoid(xz + yz), np.tanh(xn + _sigmoid(xr + yr) * yn)
    return ((1 - z) * n + z * h,)


def _naive(step):
    def call(x, states, *directions):
        outputs, ends = [], []
        for d, weights in enumerate(directions):
            w_ih, w_hh, b_ih, b_hh = [*weights, 0, 0][:4]
            now, found = [s[d] for s in states], []
            for part in x[::-1] if d else x:
                now = step(part @ w_ih.T + b_ih, now[0] @ w_hh.T + b_hh, *now)
                found.append(now[0])
            outputs.append(np.stack(found[::-1] if d else found))
            ends.append(now)
        return (np.concatenate(outputs, 2), *(np.stack(parts) for parts in zip(*ends, strict=True)))

    return call


def _samples(gates, states):
    def of(rng):
        def sample(length, batch, inputs, hidden, directions=1, bias=True):
            shapes = [(gates * hidden, inputs), (gates * hidden, hidden), *([(gates * hidden,)] * 2 if bias else [])]
            return Sample(
                rng.standard_normal((length, batch, inputs)),
                [rng.standard_normal((directions, batch, hidden)) for _ in range(states)],
                *([0.5 * rng.standard_normal(shape) for shape in shapes] for _ in range(directions)),
            )

        return [
            sample(3, 2, 2, 3),
            sample(2, 1, 3, 2, directions=2),
            sample(1, 3, 2, 1, bias=False),
            sample(2, 9, 1, 1, bias=False),
        ]

    return of


ROWS = [
    Op(name="nn.LSTM", function=_layer("LSTM"), samples=_samples(4, 2), reference=_naive(_lstm_step)),
    Op(name="nn.GRU", function=_layer("GRU"), samples=_samples(3, 1), reference=_naive(_gru_step)),
]
