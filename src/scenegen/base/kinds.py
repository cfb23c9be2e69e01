"""Kinds of pictures; without torch, so that --help and --cfg job answer before it is loaded."""

from __future__ import annotations

from typing import Literal, get_args

Kind = Literal["photographs", "rendered"]
"""What the pictures of a data set are."""

KINDS: tuple[Kind, ...] = get_args(Kind)
