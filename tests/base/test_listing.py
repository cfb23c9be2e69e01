"""Lists of names in a sentence, and chains of causes."""

from __future__ import annotations

import itertools

import pytest

from scenegen.base.listing import few
from scenegen.base.refusal import causes


@pytest.mark.parametrize(
    ("names", "text"),
    [([], ""), (["a"], "a"), (list("abcde"), "a, b, c, d, e"), (list("abcdefg"), "a, b, c, d, e and 2 more")],
)
def test_first_names_and_the_number_of_the_others(names: list[str], text: str) -> None:
    assert few(names) == text


def test_causes_come_once_each_also_from_a_circle() -> None:
    first, second, third = ValueError("1"), ValueError("2"), ValueError("3")
    first.__cause__, second.__cause__ = second, third
    assert list(causes(first)) == [first, second, third]
    third.__cause__ = first
    assert list(causes(first)) == [first, second, third]
    nobody = list(itertools.islice(causes(first, lambda _: None), 5))
    assert nobody == [first]
