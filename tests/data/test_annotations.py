"""Annotations of other tools: what each reader paints, word by word and pixel by pixel, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.data.annotations.importing import FORMATS, Annotations, Wishes, coloured, import_annotations
from scenegen.data.annotations.sources import Source
from scenegen.data.annotations.words import SHIPPED, class_of, plain, read_rules
from scenegen.data.classes import LANDSCAPE

WIDE, HIGH = 40, 30
RULES = read_rules(SHIPPED, classes=LANDSCAPE.names)
ID = {name: i for i, name in enumerate(LANDSCAPE.names)}
UNLABELLED = 29


def photograph(path: Path, *, size: tuple[int, int] = (WIDE, HIGH), turn: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if turn is not None:
        exif[0x0112] = turn
    Image.fromarray(np.arange(size[0] * size[1] * 3, dtype=np.uint8).reshape(size[1], size[0], 3)).save(path, exif=exif)


def run(source: Path, out: Path, *, kind: str = "labelme_xml", **changes) -> dict[str, np.ndarray]:
    """Label maps by their path below `out`."""
    table = changes.pop("table", None)
    form = coloured(table, tolerance=changes.pop("tolerance", 0)) if table else FORMATS[kind]
    skip = changes.pop("skip_broken", False)
    wishes = Wishes(**{"classes": LANDSCAPE.names, "rules": RULES, "fill": False, "snap": 0.0, **changes})
    import_annotations(Annotations(Source(source), kind, form, skip_broken=skip), out, wishes, track=lambda x, _: x)
    return {str(p.relative_to(out)): np.asarray(Image.open(p)) for p in sorted(out.rglob("labels/*.png"))}


def xml(objects: list[tuple[str, list[tuple[float, float]]]], *, name: str = "a", deleted: str = "0") -> str:
    things = "".join(
        f"<object><name>{word}</name><deleted>{deleted}</deleted><polygon>"
        + "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
        + "</polygon></object>"
        for word, points in objects
    )
    return f"<annotation><filename>{name}.jpg</filename>{things}</annotation>"


def box(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def labelme(root: Path, text: str, *, name: str = "a", **photo) -> Path:
    photograph(root / "images" / f"{name}.jpg", **photo)
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"{name}.xml").write_text(text)
    return root


def test_labelme_small_things_lie_on_large_ones_and_the_rest_is_unlabelled(tmp_path: Path) -> None:
    shapes = [("sailing boat", box(10, 22, 14, 25)), ("Sea (occluded)", box(0, 20, 39, 29)),
              ("clouds", box(0, 0, 39, 9)), ("thing_x", box(0, 12, 39, 14))]  # fmt: skip
    found = run(labelme(tmp_path / "src", xml(shapes)), tmp_path / "out")["labels/a.png"]
    assert (found[0:10] == ID["sky"]).all()
    assert (found[22:26, 10:15] == ID["boat"]).all()
    assert (found[20:22] == ID["sea"]).all()
    assert (found[12:15] == UNLABELLED).all()
    assert (found[16:19] == UNLABELLED).all()
    account = json.loads((tmp_path / "out/import.json").read_text())
    assert account["unknown"] == {"thing_x": 120}
    assert account["classes"]["boat"] == {"sailing boat": 20}
    assert json.loads((tmp_path / "out/classes.json").read_text())["unlabelled"] == UNLABELLED
    assert (tmp_path / "out/images/a.jpg").read_bytes() == (tmp_path / "src/images/a.jpg").read_bytes()


def test_gaps_take_the_nearest_class_and_outlines_reach_the_frame(tmp_path: Path) -> None:
    root = labelme(tmp_path / "src", xml([("sky", box(3, 3, 36, 12)), ("grass", box(3, 20, 36, 27))]))
    found = run(root, tmp_path / "out", fill=True, snap=4.0)["labels/a.png"]
    assert (found[:16] == ID["sky"]).all()
    assert (found[17:] == ID["grass"]).all()


def test_deleted_objects_and_polygons_without_area_or_outside_are_left_out(tmp_path: Path) -> None:
    shapes = [("sky", box(0, 0, 39, 9)), ("sea", [(1, 1), (5, 5)]), ("rock", box(100, 100, 120, 120))]
    run(labelme(tmp_path / "src", xml(shapes)), tmp_path / "out")
    account = json.loads((tmp_path / "out/import.json").read_text())
    assert account["polygons_without_area"] == ["a: sea"]
    assert account["polygons_outside"] == ["a: rock"]
    with pytest.raises(Refusal, match="no annotated picture"):
        run(labelme(tmp_path / "gone", xml([("sky", box(0, 0, 39, 9))], deleted="1")), tmp_path / "out2")


def test_annotations_on_the_turned_view_are_kept_by_turning_the_photograph(tmp_path: Path) -> None:
    root = labelme(tmp_path / "src", xml([("sky", box(0, 0, HIGH - 1, 9))]), turn=6)  # a quarter turn: 30 x 40 as seen
    found = run(root, tmp_path / "out")["labels/a.png"]
    assert found.shape == (WIDE, HIGH)
    with Image.open(tmp_path / "out/images/a.png") as picture:
        assert picture.size == (HIGH, WIDE)
        assert 0x0112 not in picture.getexif()


def test_labelme_json_with_rectangles_and_circles(tmp_path: Path) -> None:
    photograph(tmp_path / "src/p.jpg")
    shapes = [{"label": "sky", "shape_type": "rectangle", "points": [[0, 0], [39, 9]]},
              {"label": "balloon", "shape_type": "circle", "points": [[20, 5], [23, 5]]},
              {"label": "road", "points": [[0, 20], [39, 20], [39, 29], [0, 29]]},
              {"label": "tree", "shape_type": "point", "points": [[1, 15]]}]  # fmt: skip
    (tmp_path / "src/p.json").write_text(
        json.dumps({"imagePath": "..\\..\\etc\\p.jpg", "shapes": shapes}).replace("\\\\", "/")
    )
    found = run(tmp_path / "src", tmp_path / "out", kind="labelme_json")["labels/p.png"]
    assert found[1, 1] == ID["sky"]
    assert found[5, 20] == ID["other"]
    assert (found[20:] == ID["road"]).all()
    assert found[15, 1] == UNLABELLED


def coco(root: Path, annotations: list[dict], *, name: str = "instances_val2017") -> Path:
    photograph(root / "val2017/7.jpg")
    content = {
        "images": [{"id": 7, "file_name": "7.jpg", "height": HIGH, "width": WIDE}],
        "annotations": [{"image_id": 7, **a} for a in annotations],
        "categories": [{"id": 1, "name": "sky-other-merged"}, {"id": 2, "name": "boat"}],
    }
    (root / f"{name}.json").write_text(json.dumps(content))
    return root


def test_coco_polygons_and_run_lengths(tmp_path: Path) -> None:
    column = [0, 5, HIGH * WIDE - 5]  # the first five pixels of the first column
    root = coco(tmp_path / "src", [
        {"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]},
        {"category_id": 1, "segmentation": {"counts": column, "size": [HIGH, WIDE]}},
    ])  # fmt: skip
    rules = {**RULES, plain("sky-other-merged"): "sky"}
    found = run(root, tmp_path / "out", kind="coco", rules=rules)["val/labels/7.png"]
    assert (found[10:16, 10:21] == ID["boat"]).all()
    assert (found[:5, 0] == ID["sky"]).all()
    assert (found == ID["sky"]).sum() == 5


def test_a_picture_of_coco_that_cannot_be_used_is_left_out_alone(tmp_path: Path) -> None:
    root = coco(tmp_path / "src", [{"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]}])
    content = json.loads((root / "instances_val2017.json").read_text())
    content["images"].insert(0, {"id": 1, "file_name": "gone.jpg", "height": HIGH, "width": WIDE})
    content["images"].insert(0, {"id": 2, "file_name": "gone too.jpg", "height": HIGH, "width": WIDE})
    (root / "instances_val2017.json").write_text(json.dumps(content))
    with pytest.raises(Refusal, match="no photograph gone too") as refused:
        run(root, tmp_path / "out", kind="coco")
    assert "no photograph gone.*" in str(refused.value)
    assert list(run(root, tmp_path / "out", kind="coco", skip_broken=True)) == ["val/labels/7.png"]


def test_a_photograph_of_another_size_is_left_out_where_that_was_asked_for(tmp_path: Path) -> None:
    photograph(tmp_path / "s/val2017/7.jpg", size=(WIDE, HIGH + 2))
    root = coco(tmp_path / "src", [{"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]}])
    (tmp_path / "s/val2017/7.jpg").replace(root / "val2017/7.jpg")
    with pytest.raises(Refusal, match="was drawn on 40x30"):
        run(root, tmp_path / "out", kind="coco")
    with pytest.raises(Refusal, match=r"no picture could be used \(7\.jpg is 40x32"):
        run(root, tmp_path / "out", kind="coco", skip_broken=True)


def test_a_turned_tiff_and_a_turned_picture_that_follows_its_stored_pixels(tmp_path: Path) -> None:
    """Pillow turns a TIFF by itself; COCO's regions follow the stored pixels."""
    root = labelme(tmp_path / "src", xml([("sky", box(0, 0, HIGH - 1, 9))]))
    (root / "images/a.jpg").unlink()
    photograph(root / "images/a.tif", turn=6)
    assert run(root, tmp_path / "out")["labels/a.png"].shape == (WIDE, HIGH)
    stored = coco(tmp_path / "coco", [{"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]}])
    photograph(stored / "val2017/7.jpg", turn=6)
    assert run(stored, tmp_path / "out2", kind="coco")["val/labels/7.png"].shape == (HIGH, WIDE)
    with Image.open(tmp_path / "out2/val/images/7.png") as picture:
        assert picture.size == (WIDE, HIGH)
    assert json.loads((tmp_path / "out2/import.json").read_text())["turned"] == 0


def test_a_thin_region_at_the_frame_keeps_its_width(tmp_path: Path) -> None:
    found = run(labelme(tmp_path / "src", xml([("sky", box(5, 0, 30, 3))])), tmp_path / "out", snap=4.0)
    assert (found["labels/a.png"][:4, 5:31] == ID["sky"]).all()


def test_coco_panoptic_by_its_colours(tmp_path: Path) -> None:
    segments = [{"id": 300, "category_id": 1}, {"id": 70000, "category_id": 2}]
    root = coco(tmp_path / "src", [{"file_name": "7.png", "segments_info": segments}], name="panoptic_val2017")
    ids = np.full((HIGH, WIDE), 300)
    ids[20:] = 70000
    (root / "panoptic_val2017").mkdir()
    rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    Image.fromarray(rgb).save(root / "panoptic_val2017/7.png")
    found = run(root, tmp_path / "out", kind="coco", classes=None)["val/labels/7.png"]
    assert json.loads((tmp_path / "out/classes.json").read_text())["classes"] == [
        "boat",
        "sky-other-merged",
        "unlabelled",
    ]
    assert (found[:20] == 1).all()
    assert (found[20:] == 0).all()


def test_cityscapes_and_ade20k_by_their_names(tmp_path: Path) -> None:
    photograph(tmp_path / "c/leftImg8bit/train/ulm/ulm_0_0_leftImg8bit.png")
    ids = np.full((HIGH, WIDE), 23, np.uint8)
    ids[20:] = 7
    ids[29:] = 0
    target = tmp_path / "c/gtFine/train/ulm/ulm_0_0_gtFine_labelIds.png"
    target.parent.mkdir(parents=True)
    Image.fromarray(ids).save(target)
    found = run(tmp_path / "c", tmp_path / "co", kind="cityscapes")["train/labels/ulm_0_0.png"]
    assert (found[:20] == ID["sky"]).all()
    assert (found[20:29] == ID["road"]).all()
    assert (found[29:] == UNLABELLED).all()

    photograph(tmp_path / "a/images/validation/x.jpg")
    (tmp_path / "a/annotations/validation").mkdir(parents=True)
    Image.fromarray(np.full((HIGH, WIDE), 17, np.uint8)).save(tmp_path / "a/annotations/validation/x.png")
    assert (run(tmp_path / "a", tmp_path / "ao", kind="ade20k")["val/labels/x.png"] == ID["mountain"]).all()


def test_colour_maps_by_a_table_and_strange_colours_with_their_nearest(tmp_path: Path) -> None:
    photograph(tmp_path / "s/images/p.jpg")
    rgb = np.full((HIGH, WIDE, 3), (128, 128, 128), np.uint8)
    rgb[20:] = (128, 0, 0)
    (tmp_path / "s/labels").mkdir()
    Image.fromarray(rgb).save(tmp_path / "s/labels/p_L.png")
    table = tmp_path / "classes.csv"
    table.write_text("\ufeffname,r,g,b\nsky,128,128,128\nbuilding,128,0,0\n", encoding="utf-8")
    found = run(tmp_path / "s", tmp_path / "out", table=table)["labels/p.png"]
    assert (found[:20] == ID["sky"]).all()
    assert (found[20:] == ID["building"]).all()
    rgb[0, 0] = (126, 128, 129)
    Image.fromarray(rgb).save(tmp_path / "s/labels/p_L.png")
    with pytest.raises(Refusal, match=r"\(126, 128, 129\) on 1 pixels \(nearest: sky, 2 away\)"):
        run(tmp_path / "s", tmp_path / "out2", table=table)
    assert not (tmp_path / "out2").exists()
    assert (run(tmp_path / "s", tmp_path / "out3", table=table, tolerance=2)["labels/p.png"] == found).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotation><object>", "no XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>', "entities"),
        (xml([("sky", [("a", 1), ("b", 2), ("c", 3)])]), "point without numbers"),  # pyright: ignore[reportArgumentType]
        (xml([("sky", box(0, 0, 9, 9))], name="other"), "no photograph other"),
    ],
)
def test_broken_files_are_named_all_at_once_or_skipped(tmp_path: Path, text: str, words: str) -> None:
    root = labelme(tmp_path / "src", xml([("sky", box(0, 0, 39, 9))]))
    labelme(root, text, name="bad")
    with pytest.raises(Refusal, match="1 of 2 files cannot be read") as refused:
        run(root, tmp_path / "out")
    assert words in str(refused.value)
    assert not (tmp_path / "out").exists()
    assert list(run(root, tmp_path / "out", skip_broken=True)) == ["labels/a.png"]


@pytest.mark.parametrize(
    ("word", "name"),
    [("Snowy Mountains_02", "mountain"), ("tree trunk", "tree"), ("beaches", "sand"), ("PALM TREE (occluded)", "tree"),
     ("grass", "grass"), ("houses", "house"), ("crops", "plant"), ("tree crop", "tree"), ("bushes", "plant"),
     ("buses", "other"), ("horses", "other"), ("skies", "sky"), ("guard rails", "railing"), ("bus", "other"),
     ("spaceship x", None)],
)  # fmt: skip
def test_words_by_their_longest_known_end(word: str, name: str | None) -> None:
    assert class_of(word, RULES) == name


def test_word_rules_are_refused_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    for text, words in (
        ("meer: [x]", "meer is no class"),
        ("sky: x", "should be a valid array"),
        ("sky: [blue]\nsea: [blue]", "stands under sky and under sea"),
        ("sky: [a", "no YAML"),
    ):
        file.write_text(text)
        with pytest.raises(Refusal, match=words):
            read_rules(file, classes=LANDSCAPE.names)
