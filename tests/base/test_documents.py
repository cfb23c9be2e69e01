"""Shapes of small files: what is plain is told without pydantic, and told alike."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from scenegen.base.documents import _is_plainly, of_shape
from scenegen.base.refusal import Refusal


@dataclass(frozen=True)
class Point:
    x: int


CONTENTS = (
    None, True, 3, 10**30, 2.5, float("inf"), "", "sky", "Lärche", "two\nlines", "\ud800", [], [1, 2], [1, 2.5],
    [1, "a"], [[1], []], {}, {"a": 1}, {"a": None}, {"a": [1, {"b": "c"}]}, {1: "a"}, {"a": {1: 2}}, {"x": 1},
    [{"x": 1}], (1, 2), {"a": object},
)  # fmt: skip
SHAPES = (
    str, int, float, bool, type(None), list[int], list[float], list[Any], list[list[int]], list[str] | None,
    dict[str, Any], dict[str, int], dict[str, int | None], dict[int, str], dict[str, Any] | None, Point, list[Point],
    tuple[int, int], list, dict,
)  # fmt: skip


def validated(content: Any, shape: Any) -> tuple[bool, Any]:
    """Whether pydantic takes the content, and as what."""
    try:
        return True, TypeAdapter(shape).validate_json(json.dumps(content, default=str), strict=True)
    except ValidationError:
        return False, None


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_plainly_of_a_shape_is_what_pydantic_makes_of_it(shape: Any) -> None:
    for content in CONTENTS:
        if _is_plainly(content, shape):
            assert (True, content) == validated(content, shape), content
            assert type(content) is type(validated(content, shape)[1])


def test_usual_files_are_plain() -> None:
    plain = [(c, s) for c, s in product(CONTENTS, SHAPES) if _is_plainly(c, s)]
    for pair in (({"a": [1, {"b": "c"}]}, dict[str, Any]), (None, list[str] | None), ([1, 2], list[int])):
        assert pair in plain


@pytest.mark.parametrize(("content", "shape"), [([1, "a"], list[int]), ({"a": 1.5}, dict[str, int]), (True, int)])
def test_what_is_not_is_refused_as_before(content: Any, shape: Any) -> None:
    with pytest.raises(Refusal, match="should be a whole number"):
        of_shape(content, shape, what="the file", cure="write it anew")
