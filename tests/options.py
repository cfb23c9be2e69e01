"""Objects of the options in conf/: a test says what it changes, the option's own YAML says the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from scenegen.config.build import make
from scenegen.config.compose import register_resolvers
from scenegen.config.groups import GROUPS
from scenegen.config.places import conf_folder

PLAIN = (bool, int, float, str, list, tuple, dict, type(None))

INIT_GAIN = float(OmegaConf.select(OmegaConf.load(conf_folder() / "train.yaml"), "init_gain"))
"""Gain of the initial weights of a run."""


def built(option: str, /, *, at: str = "", **changes: Any) -> Any:
    """The object that an option describes.

    Args:
        option: group/name, as in conf/; at published widths unless changed.
        at: place of the node within the option, where it holds several.
        changes: of its arguments, and those that the option leaves to the command; dicts are merged.
    """
    values = {name: value for name, value in changes.items() if isinstance(value, PLAIN)}
    objects = {name: value for name, value in changes.items() if name not in values}
    told = arguments(option, at=at, **values, **dict.fromkeys(objects))
    return make({name: value for name, value in told.items() if name not in objects}, **objects)


def arguments(option: str, /, *, at: str = "", **changes: Any) -> dict[str, Any]:
    """The resolved node of an option with some of its values changed, `_target_` included; see `built`."""
    group, name = option.split("/")
    own = loaded(conf_folder() / group, name)
    place = f"{group}.{at}" if at else group
    tree = OmegaConf.create({"weights": {"policy": "published", "dir": None}, group: own.get(group, own)})
    tree["size"] = {side: changes[side] for side in ("height", "width") if side in changes}
    published = OmegaConf.load(conf_folder() / "width" / "published.yaml")
    tree["width"] = {name: changes.get(str(name), width) for name, width in published.items()}
    OmegaConf.update(tree, place, changes, merge=True, force_add=True)
    found = OmegaConf.to_container(OmegaConf.select(tree, place), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def loaded(folder: Path, name: str) -> DictConfig:
    """An option's YAML over those of its own group that it starts from."""
    register_resolvers()
    own = OmegaConf.load(folder / f"{name}.yaml")
    assert isinstance(own, DictConfig)
    bases = [base for base in own.pop("defaults", []) if isinstance(base, str) and not base.startswith(("/", "_"))]
    found = OmegaConf.merge(*(loaded(folder, base) for base in bases), own)
    assert isinstance(found, DictConfig)
    return found


def loss_term(option: str, /, **changes: Any) -> Any:
    """The term of an option of loss=; see `replaced`."""
    (at,) = set(OmegaConf.load(conf_folder() / "loss" / f"{option}.yaml")) - {"defaults"}
    return replaced(f"loss/{option}/{at}", **changes)


def replaced(option: str, /, **changes: Any) -> Any:
    """As `built`, but what a test gives stands in place of the option's own value, dicts too.

    Args:
        option: group/name, or group/name/place where the option holds nodes by name.
        changes: arguments of the object.
    """
    group, name, *at = option.split("/")
    own = loaded(conf_folder() / group, name)
    weights = {"policy": "published", "dir": None}
    extractor = loaded(conf_folder() / "extractor", "vgg")
    tree = OmegaConf.create({"weights": weights, "extractor": extractor, group: own[at[0]] if at else own})
    for key in {*GROUPS[group].kept, *changes} & set(tree[group]):
        del tree[group][key]
    node = OmegaConf.to_container(tree[group], resolve=True)
    simple = {key: value for key, value in changes.items() if isinstance(value, bool | int | float | str | None)}
    assert isinstance(node, dict)
    own_values = {str(key): value for key, value in node.items()}
    if group == "data":
        simple = {"seed": 0, **simple}  # the command's
    return make({**own_values, **simple}, **{key: value for key, value in changes.items() if key not in simple})
