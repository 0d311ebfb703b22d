"""tests/op_table/row.py and the table itself."""

import types

import numpy as np

from tests.op_table import ROWS
from tests.op_table.row import Op, Sample


def test_names_are_unique():
    names = [row.name for row in ROWS]
    assert sorted(names) == sorted(set(names))


def test_resolve_follows_the_path():
    functional = types.SimpleNamespace(relu=abs)
    row = Op("nn.functional.relu", samples=lambda rng: [Sample(rng.standard_normal(3))])
    assert row.resolve(types.SimpleNamespace(__name__="lib", nn=types.SimpleNamespace(functional=functional))) is abs


def test_samples_are_the_same_every_time():
    row = Op("relu", samples=lambda rng: [Sample(rng.standard_normal(3))])
    np.testing.assert_array_equal(row.sample_list()[0].args[0], row.sample_list()[0].args[0])
