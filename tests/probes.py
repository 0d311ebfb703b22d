"""Probes: small functions of a library module, whose outcome on minigrad must be what it is on PyTorch.

An outcome is a value (tensors as dtype, values and requires_grad, inside any nest) or the type of an exception. A probe that is
decorated with `@says("word")` must raise, and the message of both libraries must hold the word.
"""

import numpy as np

import minigrad


def says(pattern):
    """Marks a probe that must raise an error whose text, on either library, has these words in it."""

    def mark(function):
        function.says = pattern
        return function

    return mark


def plain(value):
    """The value with tensors, shapes and nodes replaced by what compares across libraries."""
    if hasattr(value, "detach"):
        return str(value.dtype).rpartition(".")[2], value.detach().tolist(), value.requires_grad
    if hasattr(value, "next_functions"):
        return value.name()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def outcome(lib, function):
    """What the probe gives on a library, and the text of its error if it raised one."""
    try:
        return plain(function(lib)), ""
    except Exception as error:  # the outcome of a probe may be any error
        return f"raises {type(error).__name__}", str(error)


def check(function, torch):
    """Asserts that the probe comes to the same on both libraries."""
    found, our_text = outcome(minigrad, function)
    expected, their_text = outcome(torch, function)
    assert not isinstance(found, np.ndarray)
    assert found == expected, f"minigrad: {found} {our_text}\ntorch:    {expected} {their_text}"
    words = getattr(function, "says", None)
    if words is None:
        assert not their_text, f"a probe that raises must say what: @says(...): {their_text}"
    else:
        assert words in our_text, f"{words!r} is not in {our_text!r}"
        assert words in their_text, f"{words!r} is not in {their_text!r}"


def probes(namespace):
    """The functions named probe_* of a test module."""
    return [value for name, value in namespace.items() if name.startswith("probe_")]


def name(probe):
    return probe.__name__.removeprefix("probe_")
