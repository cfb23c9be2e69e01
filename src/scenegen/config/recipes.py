"""Recipes, experiments/<slug>/recipe.yaml, read as plain values that choose among what conf/ offers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scenegen.base.documents import read_yaml
from scenegen.base.interpolations import require_own
from scenegen.base.refusal import Refusal
from scenegen.config.groups import COMMON
from scenegen.config.targets import faults_of_names

CURE = "take the recipe as its author published it, or mend that place"

LARGEST = 1 << 18
"""Bytes of a recipe that are read."""

SEALED = ("hydra", *COMMON)
"""Keys that only a command line sets: Hydra's own, with which a file could start programs, and code of the user's."""


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe's values and its defaults list.

    Raises:
        Refusal: no plain YAML, a foreign interpolation, a name that conf/ does not offer, or a key of Hydra's own.
    """
    what = "the recipe"
    content = read_yaml(path, what=what, cure=CURE, largest=LARGEST)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise Refusal(f"{what} {path} holds no mapping of options; {CURE}")
    strange = [entry for entry in content.get("defaults") or () if "hydra" in str(entry)]
    for key in (*(key for key in SEALED if key in content), *map(str, strange)):
        raise Refusal(f"{what} {path} sets {key}, which only the command line may set; leave it out of the recipe")
    require_own(content, what=f"{what} {path}")
    for fault in faults_of_names(content, resolved=False):
        raise Refusal(f"{what} {path}: {fault}")
    return content
