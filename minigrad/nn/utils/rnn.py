"""Sequences of different lengths: padded to one tensor, or packed without padding for recurrent layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minigrad._ext.engine import from_array
from minigrad.creation import as_tensor, empty_like, full
from minigrad.nn.functional.padding import pad
from minigrad.ops.index import index_copy, index_select
from minigrad.ops.reduce import sort
from minigrad.ops.shape import narrow, reshape, stack, transpose
from minigrad.tensor import Tensor


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences of different lengths without padding, sorted by falling length.

    `data` (R, *) holds the first elements of all sequences, then the second ones, and so on; `batch_sizes` (T,), int64, tells how
    many each time step has. `sorted_indices` tells where the sequences were before they were sorted, `unsorted_indices` how to
    bring them back; None where nothing was sorted. Made by `pack_padded_sequence` or `pack_sequence`.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            if not (isinstance(data, list | tuple) and len(data) == 2):
                raise AssertionError("PackedSequence: expected data and batch_sizes, or a pair of them")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences with their data converted as by `Tensor.to`."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def cpu(self) -> PackedSequence:
        """Returns self: everything is on the CPU."""
        return self

    def double(self) -> PackedSequence:
        """The data as float64."""
        return self._with(self.data.double())

    def float(self) -> PackedSequence:
        """The data as float32."""
        return self._with(self.data.float())

    def long(self) -> PackedSequence:
        """The data as int64."""
        return self._with(self.data.long())

    def int(self) -> PackedSequence:
        """The data as int32."""
        return self._with(self.data.int())

    def _with(self, data: Tensor) -> PackedSequence:
        return type(self)(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False

    def is_pinned(self) -> bool:
        """False."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one, a vector of indices; None for None."""
    if permutation is None:
        return None
    inverse = empty_like(permutation)
    inverse._array[permutation._array] = np.arange(permutation.numel())
    return inverse


def _places(batch_sizes: np.ndarray, batch: int) -> Tensor:
    """Where in a padded (T * batch) the rows of a packed sequence are."""
    return from_array(np.concatenate([t * batch + np.arange(n) for t, n in enumerate(batch_sizes)]))


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Takes the padding out of a batch of sequences.

    Args:
        input: (T, N, *), or (N, T, *) with batch_first.
        lengths: of each sequence, N of them.
        enforce_sorted: the lengths fall already; else the sequences are sorted, and `pad_packed_sequence` undoes it.

    Raises RuntimeError for lengths that rise where they must not, are not N, or are not in 1..T.
    """
    given = as_tensor(lengths).long()
    sorted_indices = None
    if not enforce_sorted:
        given, sorted_indices = sort(given, descending=True)
        input = index_select(input, 0 if batch_first else 1, sorted_indices)
    if batch_first:
        input = transpose(input, 0, 1)
    longest, batch = input._array.shape[:2]
    counts = given._array
    if counts.shape != (batch,):
        raise RuntimeError(
            f"pack_padded_sequence: expected `len(lengths)` to be equal to batch_size, but got {counts.size} (batch_size={batch})"
        )
    if (counts[1:] > counts[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass `enforce_sorted=False` "
            "to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if batch == 0 or counts[-1] <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if counts[0] > longest:
        raise RuntimeError(f"pack_padded_sequence: a length is {counts[0]}, but the input has {longest} time steps")
    batch_sizes = (counts > np.arange(counts[0])[:, None]).sum(1)
    rows = reshape(input, longest * batch, *input._array.shape[2:])
    data = index_select(rows, 0, _places(batch_sizes, batch))
    return PackedSequence(data, from_array(batch_sizes), sorted_indices)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The inverse of `pack_padded_sequence`: (T, N, *), or (N, T, *) with batch_first, and the lengths (N,), int64.

    `total_length` asks for a larger T than the longest sequence has: ValueError for a smaller one.
    """
    batch_sizes = sequence.batch_sizes._array
    longest, batch = len(batch_sizes), int(batch_sizes[0])
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {longest}"
            )
        longest = total_length
    data = sequence.data
    inner = data._array.shape[1:]
    padded = index_copy(full((longest * batch, *inner), padding_value, dtype=data.dtype), 0, _places(batch_sizes, batch), data)
    padded = reshape(padded, longest, batch, *inner)
    if batch_first:
        padded = transpose(padded, 0, 1)
    lengths = from_array((batch_sizes[:, None] > np.arange(batch)).sum(0))
    if sequence.unsorted_indices is not None:
        padded = index_select(padded, 0 if batch_first else 1, sequence.unsorted_indices)
        lengths = index_select(lengths, 0, sequence.unsorted_indices)
    return padded, lengths


def pad_sequence(
    sequences: Iterable[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stacks sequences (L_i, *) into (T, N, *), or (N, T, *) with batch_first; shorter ones are padded at the side named.

    RuntimeError for what is not iterable, no sequence at all, other sizes that differ, or a side that is neither "left" nor
    "right".
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"pad_sequence: padding_side must be 'left' or 'right', but got {padding_side!r}")
    parts = list(sequences)
    if not parts:
        raise RuntimeError("pad_sequence: received an empty list of sequences")
    longest = max(part._array.shape[0] for part in parts)
    padded = []
    for part in parts:
        missing = longest - part._array.shape[0]
        both = [missing, 0] if padding_side == "left" else [0, missing]
        padded.append(pad(part, [0, 0] * (part.ndim - 1) + both, value=padding_value) if missing else part)
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The inverse of `pad_sequence`, padded on the right: the first lengths[i] elements of each sequence."""
    if not batch_first:
        padded_sequences = transpose(padded_sequences, 0, 1)
    return [narrow(sequence, 0, 0, length) for sequence, length in zip(padded_sequences, lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (L_i, *). RuntimeError unless their lengths fall, or `enforce_sorted=False` lets them be sorted."""
    lengths = [sequence._array.shape[0] for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The inverse of `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
