"""Annotations of other tools: what each reader paints, word by word and pixel by pixel, and what is refused."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.refusal import Refusal
from scenegen.data.annotations.annotated import centres_inside
from scenegen.data.annotations.importing import FORMATS, Annotations, Wishes, coloured, import_annotations
from scenegen.data.annotations.painted import colour_maps
from scenegen.data.annotations.sources import Source
from scenegen.data.annotations.words import SHIPPED, class_of, plain, read_rules
from scenegen.data.bridges import ADE20K, COCO_STUFF, bridge
from scenegen.data.classes import LANDSCAPE, ClassList

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
    assert (found[10:15, 10:20] == ID["boat"]).all()
    assert (found == ID["boat"]).sum() == 5 * 10
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
    with pytest.raises(Refusal, match="1 of 2 files cannot be used") as refused:
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
        ("sky: x", "should be a list"),
        ("sky: [blue]\nsea: [blue]", "stands under sky and under sea"),
        ("sky: [a", "no YAML"),
        ("sky: [a]\nno: [b]", "line 2: the key 'no' is no text in YAML, but a bool: put it in quotes"),
        ("sky: [off]", "sky.0 should be a text, and is false"),
    ):
        file.write_text(text)
        with pytest.raises(Refusal, match=words):
            read_rules(file, classes=LANDSCAPE.names)


@pytest.mark.parametrize("source", [COCO_STUFF, ADE20K], ids=["coco_stuff", "ade20k"])
def test_words_of_public_sets_go_where_their_bridge_brings_them(source: ClassList) -> None:
    """The bridge is by name and knows no synonyms; where it finds a landscape class, the words must find that one."""
    for name, place in zip(source.names, bridge(source).tolist(), strict=True):
        if LANDSCAPE.names[place] != "other":
            assert class_of(name, RULES) == LANDSCAPE.names[place], name


@pytest.mark.parametrize(
    ("word", "name"),
    [("sky-other-merged", "sky"), ("tree-merged", "tree"), ("wall-stone", "wall"), ("wall-wood", "wall"),
     ("building-other-merged", "building"), ("water-other", "water"), ("dirt-merged", "earth"),
     ("playingfield", "field"),
     ("floor-wood", "other"), ("floor-other-merged", "other"), ("rock-merged", "rock"), ("leaves", "plant"),
     ("stone wall", "wall"), ("another", None), ("merged", None)],
)  # fmt: skip
def test_words_of_coco(word: str, name: str | None) -> None:
    """Categories of COCO's panoptic and stuff files, as their authors list them."""
    assert class_of(word, RULES) == name


def test_compressed_run_lengths_by_pycocotools(tmp_path: Path) -> None:
    mask = pytest.importorskip("pycocotools.mask")
    ids = np.zeros((HIGH, WIDE), np.uint8)
    ids[3:9, 5:30] = ids[20:, ::3] = 1
    packed = mask.encode(np.asfortranarray(ids))
    shape = {"size": packed["size"], "counts": packed["counts"].decode()}
    root = coco(tmp_path / "src", [{"category_id": 2, "segmentation": shape}])
    found = run(root, tmp_path / "out", kind="coco")["val/labels/7.png"]
    assert ((found == ID["boat"]) == ids.astype(bool)).all()


def test_polygons_of_coco_are_the_pixels_that_pycocotools_finds_in_them() -> None:
    """Stars and crossing outlines; pycocotools rounds an outline to fifths of a pixel, so that a few centres differ."""
    mask, draw = pytest.importorskip("pycocotools.mask"), np.random.default_rng(0)
    differ = total = 0
    for case in range(60):
        corners = int(draw.integers(3, 9))
        turn, reach = np.sort(draw.uniform(0, 2 * np.pi, corners)), draw.uniform(3, 25, corners)
        points = np.stack([30 + reach * np.cos(turn), 22 + reach * np.sin(turn)], 1)
        points = draw.permutation(points) if case % 3 == 0 else points
        runs = mask.frPyObjects([points.flatten().tolist()], 45, 60)
        expected = mask.decode(runs)[..., 0].astype(bool)
        differ += int((centres_inside(points, (45, 60)) != expected).sum())
        total += int(expected.sum())
    assert differ < 0.03 * total


NESTED = {
    "sky": (0, 0, WIDE, HIGH), "mountain": (0, 12, 30, 30), "lake": (8, 16, 40, 29), "tree": (2, 3, 9, 18),
    "boat": (20, 20, 27, 25),
}  # fmt: skip
"""Word -> left, top, right, bottom along the edges of pixels; later ones lie on earlier ones, and are smaller."""


def nested() -> np.ndarray:
    label = np.zeros((HIGH, WIDE), np.int64)
    for word, (left, top, right, bottom) in NESTED.items():
        label[top:bottom, left:right] = ID[word]
    return label


def as_coco(root: Path, form: str) -> Path:
    """The nested regions as a COCO file: a panoptic map, polygons, or run lengths (packed: by pycocotools)."""
    words, content = list(NESTED), []
    for category, (left, top, right, bottom) in enumerate(NESTED.values()):
        inside = np.zeros((HIGH, WIDE), np.uint8)
        inside[top:bottom, left:right] = 1
        shape: object = [[left, top, right, top, right, bottom, left, bottom]]
        if form == "packed":
            packed = pytest.importorskip("pycocotools.mask").encode(np.asfortranarray(inside))
            shape = {"size": packed["size"], "counts": packed["counts"].decode()}
        if form == "counted":
            ends = np.flatnonzero(np.diff(inside.T.flatten(), prepend=0, append=2))
            shape = {"size": [HIGH, WIDE], "counts": np.diff(ends, prepend=0).tolist()}
        content.append({"category_id": category, "segmentation": shape})
    coco(root, content)
    if form == "panoptic":
        segment = {ID[word]: 1000 * (i + 1) for i, word in enumerate(words)}
        ids = np.vectorize(segment.__getitem__)(nested())
        (root / "masks").mkdir()
        Image.fromarray(np.stack([ids % 256, ids // 256, ids * 0], -1).astype(np.uint8)).save(root / "masks/7.png")
        info = [{"id": 1000 * (i + 1), "category_id": i} for i in range(len(words))]
        coco(root, [{"file_name": "7.png", "segments_info": info}])
    file = root / "instances_val2017.json"
    names = [{"id": i, "name": word} for i, word in enumerate(words)]
    file.write_text(json.dumps({**json.loads(file.read_text()), "categories": names}))
    return root


def as_labelme(root: Path, form: str) -> Path:
    """The nested regions as LabelMe's outlines (through the middles of their border's pixels) or masks."""
    outlines = {word: box(left, top, right - 1, bottom - 1) for word, (left, top, right, bottom) in NESTED.items()}
    if form == "xml":
        return labelme(root, xml(list(outlines.items())))
    shapes: list[dict] = [{"label": word, "points": points} for word, points in outlines.items()]
    for shape in shapes if form == "masks" else ():
        (left, top), _, (right, bottom), _ = shape["points"]
        content = io.BytesIO()
        Image.fromarray(np.ones((bottom - top + 1, right - left + 1), bool)).save(content, format="PNG")
        shape |= {"shape_type": "mask", "points": [[left, top], [right, bottom]],
                  "mask": base64.b64encode(content.getvalue()).decode()}  # fmt: skip
    return shapes_json(root, shapes)


@pytest.mark.parametrize(
    ("kind", "form", "write"),
    [*[("coco", form, as_coco) for form in ("panoptic", "polygons", "packed", "counted")],
     *[("labelme_json", form, as_labelme) for form in ("outlines", "masks")], ("labelme_xml", "xml", as_labelme)],
)  # fmt: skip
def test_a_label_map_comes_back_from_every_form_of_annotation(tmp_path: Path, kind: str, form: str, write) -> None:
    (tmp_path / "src").mkdir()
    (found,) = run(write(tmp_path / "src", form), tmp_path / "out", kind=kind).values()
    assert (found == nested()).all()


def test_one_file_of_a_folder_and_files_that_speak_of_one_picture(tmp_path: Path) -> None:
    """COCO's folder holds captions and several kinds of annotations of the same pictures."""
    shape = [{"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]}]
    root = coco(tmp_path / "src", shape)
    (root / "captions_val2017.json").write_text(json.dumps({"images": [], "annotations": [{"caption": "a boat"}]}))
    with pytest.raises(Refusal, match=r"1 of 2 files cannot be used:\n.*captions_val2017.json.*annotations=FILE.json"):
        run(root, tmp_path / "out", kind="coco")
    assert list(run(root / "instances_val2017.json", tmp_path / "out", kind="coco")) == ["val/labels/7.png"]
    (root / "captions_val2017.json").unlink()
    coco(root, shape, name="stuff_val2017")
    with pytest.raises(Refusal, match=r"two annotations are of a picture called 7; .*one folder or one file"):
        run(root, tmp_path / "out2", kind="coco")
    with pytest.raises(
        Refusal, match=r"no file of format=ade20k, which reads annotations/\*/\*.png of its scene parsing"
    ):
        run(root, tmp_path / "out3", kind="ade20k")
    with pytest.raises(Refusal, match=r"annotations=.*gone.json: there is no such folder or file"):
        run(root / "gone.json", tmp_path / "out3", kind="coco")


def shapes_json(root: Path, shapes: list[dict], **more) -> Path:
    """A picture of LabelMe's desktop tool."""
    photograph(root / "p.jpg", turn=more.pop("turn", None))
    (root / "p.json").write_text(json.dumps({"imagePath": "p.jpg", "shapes": shapes, **more}))
    return root


def test_masks_of_labelme_reach_over_the_frame_and_words_for_nothing_are_nothing(tmp_path: Path) -> None:
    inside = np.zeros((10, 12), bool)
    inside[2:8, 3:11] = True
    content = io.BytesIO()
    Image.fromarray(inside).save(content, format="PNG")
    mask = {"label": "boat", "shape_type": "mask", "points": [[-4, 5], [7, 14]],
            "mask": base64.b64encode(content.getvalue()).decode()}  # fmt: skip
    nothing = [{"label": word, "points": box(20, 0, 39, 29)} for word in ("__ignore__", "_background_", "")]
    found = run(shapes_json(tmp_path / "s", [mask, *nothing]), tmp_path / "out", kind="labelme_json", classes=None)
    expected = np.zeros((HIGH, WIDE), bool)
    expected[7:13, 0:7] = True
    assert ((found["labels/p.png"] == 0) == expected).all()
    assert json.loads((tmp_path / "out/classes.json").read_text())["classes"] == ["boat", "unlabelled"]


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            {"label": "a", "shape_type": "mask", "points": [[0, 0], [3, 3]], "mask": "no base 64"},
            "a mask that is no PNG",
        ),
        ({"label": "a", "shape_type": "mask", "points": [[0, 0]], "mask": ""}, "a mask that is no PNG"),
        ({"label": "a", "shape_type": "mask", "points": [[1e999, 0], [1, 1]], "mask": ""}, "1e999 is larger than any"),
        ({"label": "a", "shape_type": "cuboid", "points": []}, "the kind 'cuboid'.*broken=skip"),
        ({"label": "a", "points": [[1, 2, 3]]}, "no pairs of numbers"),
    ],
)
def test_broken_shapes_of_labelme(tmp_path: Path, shape: dict, words: str) -> None:
    text = json.dumps({"shapes": [shape]}).replace("Infinity", "1e999")
    shapes_json(tmp_path / "s", [])
    (tmp_path / "s/p.json").write_text(text)
    with pytest.raises(Refusal, match=words):
        run(tmp_path / "s", tmp_path / "out", kind="labelme_json")


def test_a_photograph_that_was_resized_after_its_annotation_is_refused(tmp_path: Path) -> None:
    """Both tools state the size that they drew on; outlines would land elsewhere without a word."""
    sky = [{"label": "sky", "points": box(0, 0, 39, 9)}]
    root = shapes_json(tmp_path / "s", sky, imageHeight=2 * HIGH, imageWidth=2 * WIDE)
    with pytest.raises(Refusal, match=f"p.jpg is {WIDE}x{HIGH}, and its annotation was drawn on {2 * WIDE}x{2 * HIGH}"):
        run(root, tmp_path / "out", kind="labelme_json")
    size = f"<imagesize><nrows>{HIGH + 1}</nrows><ncols>{WIDE}</ncols></imagesize>"
    text = xml([("sky", box(0, 0, 39, 9))]).replace("</filename>", f"</filename>{size}")
    with pytest.raises(Refusal, match=f"drawn on {WIDE}x{HIGH + 1}"):
        run(labelme(tmp_path / "x", text), tmp_path / "out")


@pytest.mark.parametrize(("height", "width", "shape"), [(WIDE, HIGH, (WIDE, HIGH)), (HIGH, WIDE, (HIGH, WIDE))])
def test_the_stated_size_tells_which_view_was_drawn_on(tmp_path: Path, height: int, width: int, shape) -> None:
    sky = [{"label": "sky", "points": box(0, 0, 9, 9)}]
    root = shapes_json(tmp_path / "s", sky, imageHeight=height, imageWidth=width, turn=6)
    assert run(root, tmp_path / "out", kind="labelme_json")["labels/p.png"].shape == shape


def test_pictures_without_a_labelled_pixel_are_left_out_and_named(tmp_path: Path) -> None:
    """Cityscapes' test split has no labels: its maps are void."""
    for split, value in (("train", 23), ("test", 1)):
        photograph(tmp_path / f"c/leftImg8bit/{split}/ulm/{split}_leftImg8bit.png")
        target = tmp_path / f"c/gtFine/{split}/ulm/{split}_gtFine_labelIds.png"
        target.parent.mkdir(parents=True)
        Image.fromarray(np.full((HIGH, WIDE), value, np.uint8)).save(target)
    assert list(run(tmp_path / "c", tmp_path / "out", kind="cityscapes", classes=None)) == ["train/labels/train.png"]
    account = json.loads((tmp_path / "out/import.json").read_text())
    assert (account["blank"], account["classes"]) == (["test"], {"sky": {"sky": HIGH * WIDE}})
    outside = labelme(tmp_path / "x", xml([("sky", box(100, 100, 120, 120))]))
    with pytest.raises(Refusal, match="none of the 1 pictures has a labelled pixel: 1 polygons lie outside"):
        run(outside, tmp_path / "out2")


def test_strange_colours_of_many_maps_are_one_line_with_counts(tmp_path: Path) -> None:
    (tmp_path / "s/masks").mkdir(parents=True)
    rgb = np.full((HIGH, WIDE, 3), (128, 128, 128), np.uint8)
    rgb[0] = (0, 0, 7)
    for i in range(25):
        photograph(tmp_path / f"s/images/p{i}.jpg")
        Image.fromarray(rgb).save(tmp_path / f"s/masks/p{i}.png")
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nsky,128,128,128\nbuilding,128,0,0\n")
    with pytest.raises(Refusal) as refused:
        run(tmp_path / "s", tmp_path / "out", table=table)
    said = str(refused.value).splitlines()
    assert len(said) == 2
    assert said[0] == "25 of 25 files cannot be used:"
    assert f"25 colour maps: 1 colours are no class': (0, 0, 7) on {25 * WIDE} pixels of 25 maps" in said[1]
    assert "(nearest: sky, 128 away)" in said[1]
    assert "tolerance=128 takes all" in said[1]


def test_colour_maps_that_were_saved_as_jpeg_need_a_tolerance(tmp_path: Path) -> None:
    photograph(tmp_path / "s/images/p.jpg", size=(64, 48))
    rgb = np.full((48, 64, 3), (128, 128, 128), np.uint8)
    rgb[20:] = (128, 0, 0)
    (tmp_path / "s/gt").mkdir()
    Image.fromarray(rgb).save(tmp_path / "s/gt/p.jpg", quality=80)
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nsky,128,128,128\nbuilding,128,0,0\n")
    with pytest.raises(Refusal, match=r"colours are no class'.*; and \d+ more; add them to the table"):
        run(tmp_path / "s", tmp_path / "out", table=table)
    found = run(tmp_path / "s", tmp_path / "out", table=table, tolerance=120)["labels/p.png"]
    assert (found[:16] == ID["sky"]).all()
    assert (found[24:] == ID["building"]).all()


@pytest.mark.parametrize(
    ("folder", "speaks"),
    [("labels", True), ("trainannot", True), ("gtFine", True), ("SegmentationClass", True), ("label_colors", True),
     ("color_maps", True), ("daylight", False), ("images", False), ("length", False), ("train", False)],
)  # fmt: skip
def test_folders_that_speak_of_labels(tmp_path: Path, folder: str, speaks: bool) -> None:
    photograph(tmp_path / folder / "p.png")
    assert len(list(colour_maps(Source(tmp_path)))) == speaks


@pytest.mark.parametrize(
    ("folder", "split"),
    [("train", "train"), ("train_labels", "train"), ("valannot", "val"), ("Test-Masks", "val"), ("train_gt", "train"),
     ("train_station", ""), ("labels", ""), ("testimony", "")],
)  # fmt: skip
def test_splits_by_the_folder_of_the_labels(tmp_path: Path, folder: str, split: str) -> None:
    """CamVid's own folders are train and train_labels, SegNet's train and trainannot."""
    assert Source(tmp_path).split_of(tmp_path / folder / "p.png") == split


def test_a_photograph_is_chosen_by_what_the_annotation_says_and_by_its_place(tmp_path: Path) -> None:
    """Ending, folders, case, form of accents, split; the first of several was taken once."""
    for name in ("a.jpg", "a.png", "seq1/b.jpg", "seq2/b.jpg", "IMG_1.JPG", "cafe\u0301.jpg", "labels/a.png"):
        photograph(tmp_path / name)
    for side in ("train", "val"):
        photograph(tmp_path / f"images/{side}/c.png")
    source, near = Source(tmp_path), tmp_path / "a.json"
    for named, file in (("a.png", "a.png"), ("C:\\old\\a.jpg", "a.jpg"), ("x\\seq2\\b.jpg", "seq2/b.jpg"),
                        ("img_1.jpg", "IMG_1.JPG"), ("caf\u00e9", "cafe\u0301.jpg")):  # fmt: skip
        assert source.photograph(named, near=near) == tmp_path / file
    for side in ("train", "val"):
        found = source.photograph("c", near=tmp_path / f"labels/{side}/c.png")
        assert found == tmp_path / f"images/{side}/c.png"
    with pytest.raises(Refusal, match=r"2 photographs could be meant \(.*seq1/b.jpg, .*seq2/b.jpg\); .*images=FOLDER"):
        source.photograph("b", near=near)
    with pytest.raises(Refusal, match=r"2 photographs could be meant \(.*a.jpg, .*a.png\)"):
        source.photograph("a", near=tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("file", "split"),
    [("instances_val2017.json", "val"), ("train/_annotations.coco.json", "train"), ("my-testset.json", "val"),
     ("latest.json", ""), ("constrained.json", ""), ("interval/x.json", "")],
)  # fmt: skip
def test_splits_by_the_name_of_an_annotation_file(tmp_path: Path, file: str, split: str) -> None:
    assert Source(tmp_path).split_of_file(tmp_path / file) == split


def test_pictures_of_a_split_beside_pictures_of_none_are_refused(tmp_path: Path) -> None:
    """data=folder reads train/ and val/, or images/: the others would be lost."""
    for folder in ("train", "more"):
        photograph(tmp_path / f"s/{folder}/{folder}.jpg")
        (tmp_path / f"s/{folder}/{folder}.xml").write_text(xml([("sky", box(0, 0, 39, 9))], name=folder))
    with pytest.raises(Refusal, match=r"1 pictures lie below no folder of a split \(such as more\), beside 1 of train"):
        run(tmp_path / "s", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("exif", "turned"), [("ask", False), ("apply", True), ("ignore", False)])
def test_a_half_turn_is_counted_and_can_be_chosen(tmp_path: Path, exif: str, turned: bool) -> None:
    root = coco(tmp_path / "src", [{"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]}])
    photograph(root / "val2017/7.jpg", turn=3)
    stored = np.asarray(Image.open(root / "val2017/7.jpg"))
    run(root, tmp_path / "out", kind="coco", exif=exif)
    written = np.asarray(Image.open(tmp_path / "out/val/images/7.png"))
    assert (written == (stored[::-1, ::-1] if turned else stored)).all()
    account = json.loads((tmp_path / "out/import.json").read_text())
    assert (account["turned"], account["stored"]) == (int(turned), int(not turned))


def test_a_quarter_turn_that_the_stated_size_shows_is_taken(tmp_path: Path) -> None:
    root = coco(tmp_path / "src", [{"category_id": 2, "segmentation": [[10, 10, 20, 10, 20, 15, 10, 15]]}])
    photograph(root / "val2017/7.jpg", size=(HIGH, WIDE), turn=6)
    assert run(root, tmp_path / "out", kind="coco")["val/labels/7.png"].shape == (HIGH, WIDE)
    assert Image.open(tmp_path / "out/val/images/7.png").size == (WIDE, HIGH)


@pytest.mark.parametrize(
    ("mode", "words"), [("I;16", "pixels of kind I;16"), ("LA", "kind LA"), ("RGBA", "transparent")]
)
def test_colour_maps_that_lose_something_as_rgb_are_refused(tmp_path: Path, mode: str, words: str) -> None:
    """16 bits would be clipped to white, and colours under transparent pixels mean nothing."""
    photograph(tmp_path / "s/images/p.jpg")
    (tmp_path / "s/labels").mkdir()
    table = tmp_path / "classes.csv"
    table.write_text("name,r,g,b\nsky,255,255,255\n")
    shown = Image.new(mode, (WIDE, HIGH), {"I;16": 300, "LA": (255, 0), "RGBA": (255, 255, 255, 0)}[mode])
    shown.save(tmp_path / "s/labels/p.png")
    with pytest.raises(Refusal, match=words):
        run(tmp_path / "s", tmp_path / "out", table=table)


@pytest.mark.parametrize("counts", ["garbage!!", "", "0" * 50, "\u5929", "oooooooooooooooooooo0"])
def test_damaged_run_lengths(tmp_path: Path, counts: str) -> None:
    root = coco(tmp_path / "src", [{"category_id": 2, "segmentation": {"size": [HIGH, WIDE], "counts": counts}}])
    with pytest.raises(Refusal, match=r"7.jpg: COCO file .*: run lengths do not add up"):
        run(root, tmp_path / "out", kind="coco")


def test_photographs_of_other_sizes_are_named_all_at_once(tmp_path: Path) -> None:
    for name in "ab":
        labelme(tmp_path / "src", xml([("sky", box(0, 0, 39, 9))], name=name).replace(
            "<object>", "<imagesize><nrows>7</nrows><ncols>9</ncols></imagesize><object>", 1), name=name)  # fmt: skip
    with pytest.raises(Refusal, match=r"2 of 2 files cannot be used:\n  a.jpg is 40x30.*\n  b.jpg is 40x30"):
        run(tmp_path / "src", tmp_path / "out")
