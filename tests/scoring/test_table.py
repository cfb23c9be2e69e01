"""The table and the JSON of a score: nothing shown without its marks, JSON whole or not at all."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from scenegen.scoring.contest import Jittor2022, Row
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.table import line, show, show_rows, write_json

from .fakes import MeanColour, World, scorer


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    world = World(45)
    folder = world.write(tmp_path_factory.mktemp("out"), suffix=".jpg")
    return scorer(fid=MeanColour(stand_in=True, stamp="colour RANDOM WEIGHTS")).score(folder, world)


def printed(draw, *arguments) -> str:
    stream = io.StringIO()
    draw(*arguments, Console(file=stream, width=110, no_color=True))
    return stream.getvalue()


def test_table_shows_parts_total_classes_floor_and_marks(score):
    text = printed(show, score)
    for part in ("mask_acc", "aesthetic(brightness)", "floor, real vs real", f"{score.total:.4f}", "0.075"):
        assert part in text
    low, high = score.total_interval
    for part in (f"[{low:.4f}, {high:.4f}]", "-1 fid", "+0.01 mask_acc", "KID(colour", "infinite N"):
        assert part in text
    for mark in ("RANDOM WEIGHTS", "not comparable with", score.protocol["id"], "sky", "%"):
        assert mark in text


def test_classes_are_sorted_by_iou(score):
    ranked = sorted(score.iou, key=lambda name: -score.iou[name][0])
    text = printed(show, score)
    assert text.index(f" {ranked[0]} ") < text.index(f" {ranked[1]} ")


def test_the_line_carries_every_number_and_mark(score):
    text = line(score)
    assert "\n" not in text
    for part in (f"total {score.total:.4f}", "mask_acc", "RANDOM WEIGHTS", "N 45", score.protocol["id"]):
        assert part in text
    assert "| FID " not in text


def test_json_is_the_whole_record(score, tmp_path):
    write_json(score, tmp_path / "deep" / "score.json")
    read = json.loads((tmp_path / "deep" / "score.json").read_text())
    assert read == json.loads(json.dumps(score.as_dict()))
    assert read["parts"]["mask_acc"]["value"] == score.parts["mask_acc"].value
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["score.json", "score.npz"]
    assert PerPicture.load(tmp_path / "deep" / "score.npz").names.tolist() == score.per_picture.names.tolist()
    assert read["total_interval95"] == list(score.total_interval)
    assert read["waterfall"]["fid"]["step"] == -1


def test_a_failed_write_leaves_the_old_file(score, tmp_path, monkeypatch):
    path = tmp_path / "score.json"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_json(score, path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["score.json"]


def test_rows_table_names_the_difference():
    parts = {"mask_acc": 0.8808, "aesthetic": 4.9649, "fid": 47.3168}
    rows = [Row("good", parts, 0.4507, 0.45066), Row("bad", parts, 0.4607, 0.45066)]
    text = printed(show_rows, rows, Jittor2022())
    assert "DIFFERS" in text
    assert "2 rows, 1 differ" in text
    assert "-0.01004" in text
