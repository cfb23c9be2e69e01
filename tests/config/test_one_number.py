"""One number in one place: what an option of conf/ gives, the constructor that it names has no default for."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator
from typing import Any

from hydra.utils import get_object
from omegaconf import OmegaConf

from scenegen.config.flat import flat_records, named_records
from scenegen.config.places import conf_folder
from tests.options import loaded


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping with a `_target_`, however deep."""
    if isinstance(tree, dict):
        if "_target_" in tree:
            yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def options() -> dict[str, list[dict[str, Any]]]:
    """Target -> its nodes in all files of conf/, each with what it takes over from the options it starts from."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(conf_folder().rglob("*.yaml")):
        for node in nodes(OmegaConf.to_container(loaded(path.parent, path.stem))):
            found.setdefault(node["_target_"], []).append(node)
    return found


def filled(target: Any, node: dict[str, Any]) -> Iterator[tuple[Any, Collection[str]]]:
    """The constructor that a node fills, and the option records in its signature, each with the keys that it gets."""
    yield target, node
    for parameter, record in named_records(target, node).items():
        yield record, node[parameter]
    for record in flat_records(target, given=node).values():
        yield record, node


def test_what_conf_gives_has_no_second_default() -> None:
    second, targets = set(), options()
    for name, given in targets.items():
        for node in given:
            for constructor, keys in filled(get_object(name), node):
                defaults = {one.name for one in inspect.signature(constructor).parameters.values()
                            if one.default is not one.empty}  # fmt: skip
                second |= {f"{constructor.__module__}.{constructor.__qualname__}({key}=)" for key in defaults & {*keys}}
    assert not second, f"conf/ gives these, so that their constructors need no default: {', '.join(sorted(second))}"
    assert len(targets) > 100
