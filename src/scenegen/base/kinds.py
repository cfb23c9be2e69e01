"""Kinds of pictures; without torch, so that --help and --cfg job answer before it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, get_args

Kind = Literal["photographs", "rendered"]
"""What the pictures of a data set are."""

KINDS: tuple[Kind, ...] = get_args(Kind)


def trained_on(facts: Mapping[str, str]) -> frozenset[Kind]:
    """Kind of pictures that a net of this project was trained on, and so reads and ranks, by the header of its file.

    Headers of release 0.1 say no kind: their command is one on photographs where it names data that are not rendered.
    """
    named = re.search(r"\bdata=(\w+)", facts.get("command", ""))
    usual = "rendered" if named is None or named[1] == "procedural" else "photographs"
    return frozenset({"photographs" if facts.get("kind", usual) == "photographs" else "rendered"})
