"""Plan of a composed config: resolved, checked, hashed. Nothing is built, read or downloaded here."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from scenegen.base.refusal import Refusal
from scenegen.config.compose import register_resolvers
from scenegen.config.faults import faults_of, gathered
from scenegen.config.groups import ADDITIVE, GROUPS, LATER, ORDERED, VOLATILE
from scenegen.config.places import conf_folder


@dataclass(frozen=True)
class Plan:
    """A checked choice.

    Attributes:
        config: the resolved config as plain containers.
        digest: 12 hex digits of its content; two runs with one digest are the same experiment.
    """

    config: dict[str, Any]
    digest: str


def plan(cfg: DictConfig, *, settings: type | None = None) -> Plan:
    """Resolve, check and hash a config.

    Args:
        cfg: the composed config.
        settings: a dataclass that names and types the scalars at the root of this verb's config.

    Raises:
        Refusal: with every fault of the config in one report.
    """
    tree = resolve(cfg)
    if faults := faults_of(tree, settings):
        head = [f"{len(faults)} faults in the config:"] if len(faults) > 1 else []
        raise Refusal("\n  ".join([*head, *gathered(faults)]))
    return Plan(config=tree, digest=digest(tree))


def resolve(cfg: DictConfig) -> dict[str, Any]:
    """A composed config as plain containers; what is not set stays "???".

    Raises:
        Refusal: an interpolation that leads nowhere.
    """
    register_resolvers()
    try:
        config = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
    except InterpolationKeyError as error:
        raise Refusal(_leads_nowhere(error)) from error
    except OmegaConfBaseException as error:
        place = getattr(error, "full_key", None) or "a value"  # OmegaConf's errors may have no place
        said = (getattr(error, "msg", None) or str(error)).splitlines()[0]  # type names and keys follow below it
        if found := re.match(r"(\w+) (?:raised )?while resolving interpolation: (.*)", said):
            said = "its function has no use for the values that it is given" if found[1] == "TypeError" else found[2]
        if "denote a config key" in said:
            said = "its ${...} is built of a value that is no key's name"
        raise Refusal(f"the config does not resolve: {place}: {said}; write the value itself in its place") from error
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


def _leads_nowhere(error: InterpolationKeyError) -> str:
    """Sentence about a value that reads a key which no chosen option has, with the options that have it."""
    said = " ".join(str(error).split())
    found = re.search(r"Interpolation key '([\w.]+)' not found full_key: (\S+)", said)
    if found is None:
        return f"the config does not resolve: {said}"
    wanted, reader = found.groups()
    group, _, below = wanted.partition(".")
    files = sorted((conf_folder() / group).glob("*.yaml")) if below else []
    keys = [re.compile(rf"^ *{key}:", re.MULTILINE) for key in below.split(".")]
    having = [path.stem for path in files if all(key.search(path.read_text(encoding="utf-8")) for key in keys)]
    more = " (it adds up with '+')" if group in ADDITIVE else ""
    cure = f"add {group}={' or '.join(having)}{more}" if having else f"give {wanted}="
    return f"the config does not resolve: {reader} reads {wanted}, which no chosen option has; {cure}"


def digest(config: dict[str, Any]) -> str:
    """12 hex digits that name the content of a config, whatever the run is called."""
    content = {key: value for key, value in config.items() if key not in VOLATILE and (value or key not in LATER)}
    if isinstance(content.get("data"), dict):
        content["data"] = {key: value for key, value in content["data"].items() if key not in GROUPS["data"].kept}
    content |= {f"{name} in order": list(config[name]) for name in ORDERED if config.get(name)}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:12]


def read_settings(settings: type, config: dict[str, Any]) -> Any:
    """Scalars at the root of a checked config, as the verb's own record."""
    return settings(**{field.name: config[field.name] for field in dataclasses.fields(settings)})
