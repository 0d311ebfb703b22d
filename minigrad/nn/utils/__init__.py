"""Helpers for networks and their parameters."""

from . import rnn as rnn
