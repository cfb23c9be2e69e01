"""Interpolations of a config that others may have written: our own kinds alone, and no more than they may grow to.

`${a.b}`, `${.b}`, `${when:...}` and `${times:...}` are ours. Everything else that OmegaConf and Hydra would follow
(`${oc.env:...}`, `${oc.decode:...}`, `${hydra:...}`, `${now:...}`) reads the environment or more, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scenegen.base.refusal import Refusal

INNERMOST = re.compile(r"\$\{(?:(?P<key>\.*\w[\w.\-]*|\.*\w[\w.\-]*(?:\[\w+\])+)|(?P<function>when|times):[^${}]*)\}")

LARGEST = 100_000
"""Values and letters that a config may hold once its interpolations are followed."""

LONGEST = 12
"""Interpolations that lead on to each other."""

Place = tuple[Any, ...]


def require_own(tree: Any, *, what: str) -> None:
    """Look at every interpolation of a tree.

    Args:
        tree: plain containers.
        what: name of the file for the sentence.

    Raises:
        Refusal: another kind than ours, a circle, or a tree that grows beyond LARGEST.
    """
    _Sizes(tree, what).of((), 0)


def is_own(text: str) -> bool:
    """True for a text whose interpolations, if it has any, are of our kinds."""
    try:
        for _ in _Sizes({}, "").targets(text, ()):
            pass
    except Refusal:
        return False
    return True


class _Sizes:
    """Size of each place of a tree with its interpolations followed; every place is measured once."""

    def __init__(self, tree: Any, what: str) -> None:
        self.tree, self.what = tree, what
        self.known: dict[Place, int | None] = {}

    def of(self, place: Place, links: int) -> int:
        if place in self.known:
            size = self.known[place]
            if size is None:
                raise self._refusal(place, "leads back to itself")
            return size
        if links > LONGEST:
            raise self._refusal(place, f"lies behind more than {LONGEST} interpolations that lead on to each other")
        self.known[place] = None
        node = _at(self.tree, place)
        size = 1
        if isinstance(node, Mapping | list):
            keys = node if isinstance(node, Mapping) else range(len(node))
            size += sum(self.of((*place, key), links) for key in keys)
        elif isinstance(node, str):
            size += len(node) + sum(self.of(target, links + 1) for target in self.targets(node, place))
        if size > LARGEST:
            raise self._refusal(place, f"grows beyond {LARGEST} values with its interpolations")
        self.known[place] = size
        return size

    def targets(self, text: str, place: Place) -> Iterator[Place]:
        """Places that a text's interpolations name, the innermost first."""
        for _ in range(LONGEST * LONGEST):
            found = INNERMOST.search(text)
            if found is None:
                break
            said = "x"
            if key := found["key"]:
                target = _place(key, place)
                yield target
                said = str(_at(self.tree, target))
            text = text[: found.start()] + ("x" if "${" in said else said[:200]) + text[found.end() :]
        if "${" in text:
            start = text.index("${")
            raise self._refusal(place, f"holds {text[start : start + 60]!r}, and only ${{key.path}}, ${{when:...}} and "
                                "${times:...} are followed there")  # fmt: skip

    def _refusal(self, place: Place, fault: str) -> Refusal:
        where = ".".join(map(str, place)) or "the whole"
        return Refusal(f"{self.what}: {where} {fault}; write the value itself in its place")


def _place(key: str, place: Place) -> Place:
    """Place that a key names: from the root, or with n dots in front from the n-th mapping above."""
    steps = tuple(re.findall(r"[^.\[\]]+", key))
    dots = len(key) - len(key.lstrip("."))
    return (*place[: max(0, len(place) - dots)], *steps) if dots else steps


def _at(tree: Any, place: Place) -> Any:
    """Value at a place, None where there is none; a number in a key names an item of a list or a number's key."""
    node = tree
    for step in place:
        if isinstance(node, Mapping):
            named = step if step in node else int(step) if str(step).isdecimal() else step
            node = node.get(named)
        elif isinstance(node, Sequence) and not isinstance(node, str) and str(step).isdecimal():
            node = node[int(step)] if int(step) < len(node) else None
        else:
            return None
    return node
