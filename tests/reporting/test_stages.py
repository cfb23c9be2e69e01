"""Scores before and after each post, in one sentence each."""

from __future__ import annotations

from typing import Any

from scenegen.reporting.stages import Stage, compared, resizes_before
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.record import Number, Score
from tests.options import replaced


def stage(after: str, *, total: float | None, fid: float) -> Stage:
    rows: Any = PerPicture.__new__(PerPicture)  # never looked at here
    parts = {"fid": Number("FID(x)", fid, 4, "judge")}
    return Stage(after, Score("jittor2022", total, parts, 4, {"id": "p"}, rows))


def test_a_post_that_lowers_the_total_is_named_with_both_totals() -> None:
    stages = [stage("", total=0.5, fid=40.0), stage("a", total=0.55, fid=38.0), stage("b", total=0.4, fid=60.0)]
    assert compared(stages) == [
        "post a raises the total: 0.5000 -> 0.5500 (FID(x) 40.0000 -> 38.0000)",
        "post b LOWERS the total: 0.5500 -> 0.4000 (FID(x) 38.0000 -> 60.0000); post=none, or the others without b, "
        "scores more",
    ]


def test_without_a_total_the_parts_stand_beside_each_other() -> None:
    stages = [stage("", total=None, fid=40.0), stage("a", total=None, fid=41.0)]
    assert compared(stages) == ["post a: FID(x) 40.0000 -> 41.0000"]


def test_without_posts_nothing_is_said() -> None:
    assert compared([stage("", total=0.5, fid=40.0)]) == []


def test_pictures_before_a_post_are_resized_only_where_they_have_another_size_than_the_scored_one() -> None:
    double, back = replaced("post/bicubic_x2/bicubic_x2"), replaced("post/bicubic_192x256/bicubic_192x256")
    assert resizes_before([double, back], size=(192, 256), scored=[192, 256]) == ["none", "squash"]
    assert resizes_before([double], size=(96, 128), scored=(192, 256)) == ["squash"]
