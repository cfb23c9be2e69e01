"""Kind of a data set's pictures, and the options that suit it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from scenegen.base.kinds import KINDS, Kind
from scenegen.config.places import conf_folder

_NAMED = re.compile(r"^kind: (\w+)$", re.MULTILINE)


def suited(data: str, photographs: str, rendered: str) -> str:
    """`${suited:${data},PHOTOGRAPHS,RENDERED}` in a defaults list: the option that suits an option of data=.

    Options of --config-dir stand for photographs; where they say `kind: rendered`, the judges are marked.
    """
    file = conf_folder() / "data" / f"{data}.yaml"
    named = _NAMED.search(file.read_text(encoding="utf-8")) if file.is_file() else None
    return rendered if named and named[1] == "rendered" else photographs


def kind_of(config: Mapping[str, Any]) -> Kind:
    """Kind of the pictures that a checked config's data hold; data of one's own are photographs unless they say."""
    return config["data"].get("kind", "photographs")


def kind_faults(tree: Mapping[str, Any]) -> Iterator[str]:
    """A kind that is none."""
    data = tree.get("data")
    if isinstance(data, dict) and (kind := data.get("kind", KINDS[0])) not in KINDS:
        yield f"data.kind={kind} is no kind of pictures; give {' or '.join(KINDS)}"
