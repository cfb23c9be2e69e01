"""Options that do not exist, do not fit or cannot be read."""

from __future__ import annotations

from tests.table import Row, check, each

ROWS = [
    Row("unknown-group", "train modle=gaugan", words=("modle",)),
    Row("unknown-option", "train model=spade2", words=("model=spade2", "gaugan")),
    Row("size-40", "train size=tiny size.height=40 weights=random evaluate=false", words=("divisible by 32", "40")),
]


@each(ROWS)
def test_refused(row: Row) -> None:
    check(row)
