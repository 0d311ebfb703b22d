"""Nests of tuples, lists, dicts and named tuples taken apart and put together, as PyTorch's torch.utils._pytree."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any


class TreeSpec:
    """The shape of a nest: the kind of a container, what it needs to be made again, and its children. A leaf has no kind."""

    __slots__ = ("children", "context", "kind")

    def __init__(self, kind: type | None, context: Any, children: list[TreeSpec]) -> None:
        self.kind = kind
        self.context = context
        self.children = children

    @property
    def num_leaves(self) -> int:
        """How many leaves the nest has."""
        return 1 if self.kind is None else sum(child.num_leaves for child in self.children)

    def is_leaf(self) -> bool:
        """Whether it is a leaf."""
        return self.kind is None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeSpec) and (self.kind, self.context, self.children) == (
            other.kind,
            other.context,
            other.children,
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.num_leaves))

    def __repr__(self) -> str:
        return "*" if self.kind is None else f"TreeSpec({self.kind.__name__}, {self.context}, {self.children})"


def _children(tree: Any) -> tuple[Any, list] | None:
    """(what a container needs to be made again, its children); None for a leaf."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree), list(tree)
    if type(tree) in (tuple, list):
        return None, list(tree)
    if type(tree) is defaultdict:
        return (tree.default_factory, list(tree)), list(tree.values())
    if type(tree) in (dict, OrderedDict):
        return list(tree), list(tree.values())
    return None


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list, TreeSpec]:
    """(the leaves in order, the shape of the nest); is_leaf(node) tells what else is not to be taken apart."""
    found = None if is_leaf is not None and is_leaf(tree) else _children(tree)
    if found is None:
        return [tree], TreeSpec(None, None, [])
    leaves: list = []
    specs = []
    for child in found[1]:
        part, spec = tree_flatten(child, is_leaf)
        leaves += part
        specs.append(spec)
    return leaves, TreeSpec(type(tree), found[0], specs)


def tree_unflatten(leaves: Iterable, treespec: TreeSpec) -> Any:
    """The nest of this shape with these leaves. Raises ValueError unless there are as many as it has."""
    values = list(leaves)
    if len(values) != treespec.num_leaves:
        raise ValueError(f"tree_unflatten: {len(values)} leaves were given for a tree of {treespec.num_leaves}")
    return _built(iter(values), treespec)


def _built(leaves: Any, spec: TreeSpec) -> Any:
    if spec.kind is None:
        return next(leaves)
    children = [_built(leaves, child) for child in spec.children]
    if spec.kind is defaultdict:
        factory, keys = spec.context
        return defaultdict(factory, zip(keys, children, strict=True))
    if spec.kind in (dict, OrderedDict):
        return spec.kind(zip(spec.context, children, strict=True))
    return spec.kind(children) if spec.context is None else spec.kind(*children)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list:
    """The leaves in order."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The shape of the nest."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(func: Callable, tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """The nest with func(leaf, the leaf of each of rests at the same place) for each leaf. ValueError if the shapes differ."""
    leaves, spec = tree_flatten(tree, is_leaf)
    others = []
    for rest in rests:
        part, shape = tree_flatten(rest, is_leaf)
        if shape != spec:
            raise ValueError(f"tree_map: the trees differ: {spec} and {shape}")
        others.append(part)
    return tree_unflatten(map(func, leaves, *others), spec)


def tree_map_only(type_or_types: Any, func: Callable, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """tree_map where the leaves of other types stay as they are."""
    return tree_map(lambda leaf: func(leaf) if isinstance(leaf, type_or_types) else leaf, tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether pred(leaf) holds for all leaves."""
    return all(map(pred, tree_leaves(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether pred(leaf) holds for a leaf."""
    return any(map(pred, tree_leaves(tree, is_leaf)))
