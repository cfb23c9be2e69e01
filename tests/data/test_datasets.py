"""The datasets by name find their files, split them, translate their ids, and refuse what they cannot use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data import datasets
from scenegen.data.classes import LANDSCAPE
from scenegen.data.own_maps import Target, own_maps
from scenegen.data.pairs import Files, match_files
from scenegen.data.samples import collate
from tests.data import files
from tests.options import replaced

SIZE: dict[str, Any] = {"height": 8, "width": 16}


def given(tensor: torch.Tensor | None) -> torch.Tensor:
    """A part of a sample that has to be there."""
    assert tensor is not None
    return tensor


def names(data) -> list[str]:
    return list(data.names)


def test_files_match_by_stem_in_natural_order(tmp_path):
    for name in ("img10", "img2", "img1"):
        files.photo(tmp_path / "images" / f"{name}.jpg")
        files.label(tmp_path / "labels" / f"{name}.png")
    files.photo(tmp_path / "images/lonely.jpg")
    files.label(tmp_path / "labels/widow.png")
    files.photo(tmp_path / "images/img2.png")
    (tmp_path / "labels/._img1.png").write_text("left by another system")
    pairs, unmatched = match_files(tmp_path / "labels", tmp_path / "images")
    assert [p.name for p in pairs] == ["img1", "img2", "img10"]
    found = sorted(str(f).removeprefix(str(tmp_path)) for f in unmatched)
    assert [line.partition(":")[0] for line in found] == ["/images/img2.png", "/images/lonely.jpg", "/labels/widow.png"]
    assert "keep one of them" in found[0]
    assert "no label map of that name" in found[1]
    assert "no photograph of that name" in found[2]


def test_one_sample_becomes_a_batch_within_the_contract(tmp_path):
    root = files.dataset(tmp_path, ["a", "b"])
    data = replaced("data/folder", split="test", root=str(root), val_fraction=0, **SIZE)
    batch = collate([data[(0, 0)], data[(0, 1)]])
    label, image = batch.require("label"), batch.require("image")
    assert label.shape == (2, 8, 16)
    assert label.dtype == torch.int64
    assert set(label.unique().tolist()) == {0, 1, 2, 3}
    assert image.shape == (2, 3, 8, 16)
    assert image.dtype == torch.float32
    assert -1 <= float(image.min()) < -0.5
    assert 0.5 < float(image.max()) <= 1
    assert batch.name == ("a", "b")
    assert batch.instance is None


def test_an_unscaled_photograph_arrives_pixel_for_pixel(tmp_path):
    files.photo(tmp_path / "images/a.png")
    files.label(tmp_path / "labels/a.png")
    data = replaced(
        "data/folder", split="test", root=str(tmp_path), classes=list("abcd"), val_fraction=0, height=12, width=16
    )
    expected = np.asarray(Image.open(tmp_path / "images/a.png")) / 127.5 - 1
    np.testing.assert_allclose(collate([data[0]]).require("image")[0].permute(1, 2, 0), expected, atol=1e-6)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_the_split_depends_on_names_alone(tmp_path, fraction):
    every = [f"p{i}" for i in range(20)]
    root = files.dataset(tmp_path, every)
    train, test = (
        replaced("data/folder", split=s, root=str(root), val_fraction=fraction, **SIZE) for s in ("train", "test")
    )
    assert len(test) == round(20 * fraction)
    assert sorted(names(train) + names(test)) == sorted(every)
    again = replaced("data/folder", split="test", root=str(root), val_fraction=fraction, seed=9, **SIZE)
    assert names(again) == names(test)


def test_a_list_of_names_is_held_out(tmp_path):
    root = files.dataset(tmp_path, ["a", "b", "c"])
    (tmp_path / "held.txt").write_text("b.png\n\n")
    held = str(tmp_path / "held.txt")
    assert names(replaced("data/folder", split="test", root=str(root), test_list=held, **SIZE)) == ["b"]
    assert names(replaced("data/folder", split="train", root=str(root), test_list=held, **SIZE)) == ["a", "c"]
    (tmp_path / "held.txt").write_text("z")
    with pytest.raises(Refusal, match="names 1 pictures that are not there: z"):
        replaced("data/folder", split="test", root=str(root), test_list=held, **SIZE)


def test_train_alone_is_divided_and_train_with_val_is_not(tmp_path):
    files.dataset(tmp_path / "train", [f"p{i}" for i in range(10)])
    (tmp_path / "train/classes.json").rename(tmp_path / "classes.json")
    assert len(replaced("data/folder", split="test", root=str(tmp_path), val_fraction=0.2, **SIZE)) == 2
    files.dataset(tmp_path / "val", ["v0", "v1", "v2"])
    assert names(replaced("data/folder", split="test", root=str(tmp_path), **SIZE)) == ["v0", "v1", "v2"]
    assert len(replaced("data/folder", split="train", root=str(tmp_path), **SIZE)) == 10


def test_the_contest_layout_and_its_29_classes(tmp_path):
    for name in ("1_a_b", "2_c_b"):
        files.photo(tmp_path / f"train_img/{name}.jpg")
        files.label(tmp_path / f"train_label/{name}.png", np.full((12, 16), 28, dtype=np.uint16))
    data = replaced("data/scene", split="train", root=str(tmp_path), val_fraction=0.5, **SIZE)
    assert data.classes is LANDSCAPE
    assert given(data[(0, 0)].label).unique().tolist() == [28]


def test_coco_stuff_ids_and_instances(tmp_path):
    ids = np.array([[0, 181, 255, 156]], dtype=np.uint8).repeat(4, axis=0).repeat(2, axis=1)
    files.photo(tmp_path / "train_img/a.jpg", height=4, width=8)
    files.label(tmp_path / "train_label/a.png", ids)
    files.label(tmp_path / "train_inst/a.png", ids.astype(np.uint16) + 300)
    options: dict[str, Any] = {"root": str(tmp_path), "val_fraction": 0, "height": 4, "width": 8, "split": "test"}
    data = replaced("data/coco_stuff", scale=1.0, **options)
    assert (len(data.classes), data.classes.ignore, data.has_instances) == (183, 182, True)
    sample = data[0]
    assert given(sample.label)[0].tolist() == [0, 0, 181, 181, 182, 182, 156, 156]
    assert torch.equal(given(sample.instance), torch.from_numpy(ids.astype(np.int64)) + 300)
    assert not replaced("data/coco_stuff", scale=1.0, instances=False, **options).has_instances
    bridged = replaced("data/coco_stuff", scale=1.0, landscape=True, **options)
    assert [bridged.classes.names[i] for i in given(bridged[0].label)[0, ::2]] == ["person", "other", "other", "sky"]


def test_label_instance_and_photograph_stay_together_under_augmentation(tmp_path):
    ids = np.random.default_rng(0).integers(0, 4, (24, 40), dtype=np.uint8)
    files.label(tmp_path / "labels/a.png", ids)
    files.label(tmp_path / "instances/a.png", ids.astype(np.uint16) + 500)
    (tmp_path / "images").mkdir()
    Image.fromarray(np.stack([ids * 60] * 3, axis=-1)).save(tmp_path / "images/a.png")
    options: dict[str, Any] = {"root": str(tmp_path), "classes": list("abcd"), "val_fraction": 0}
    data = replaced(
        "data/folder", split="train", height=24, width=32, **options
    )  # no resampling: the photograph tells ids
    scaled = replaced("data/folder", split="train", height=24, width=32, scale=1.3, **options)
    for epoch in range(10):
        sample, other = data[(epoch, 0)], scaled[(epoch, 0)]
        assert torch.equal(given(sample.instance), given(sample.label) + 500)
        assert torch.equal(given(sample.image)[0].long(), given(sample.label) * 60)
        assert torch.equal(given(other.instance), given(other.label) + 500)


def test_ade20k_raw_ids(tmp_path):
    ids = np.array([[0, 1, 3, 150]], dtype=np.uint8).repeat(2, axis=0)
    for split in ("training", "validation"):
        files.photo(tmp_path / f"images/{split}/a.jpg", height=2, width=4)
        files.label(tmp_path / f"annotations/{split}/a.png", ids)
    options: dict[str, Any] = {"root": str(tmp_path), "height": 2, "width": 4, "split": "test"}
    data = replaced("data/ade20k", scale=1.0, **options)
    assert [data.classes.names[i] for i in given(data[0].label)[0]] == ["unknown", "wall", "sky", "flag"]
    bridged = replaced("data/ade20k", scale=1.0, landscape=True, **options)
    assert [bridged.classes.names[i] for i in given(bridged[0].label)[0]] == ["other", "wall", "sky", "other"]


def test_label_maps_alone_can_be_sampled_from(tmp_path):
    files.label(tmp_path / "x2.png")
    files.label(tmp_path / "x10.png")
    data = replaced("data/labels", split="test", root=str(tmp_path), **SIZE)
    assert names(data) == ["x2", "x10"]
    batch = collate([data[0], data[1]])
    assert batch.image is None
    assert data.offers == {"label"}
    own = own_maps(str(tmp_path), classes=LANDSCAPE, target=Target(**SIZE, fit="crop"))
    assert names(own) == ["x2", "x10"]
    with pytest.raises(Refusal, match="no photographs to train on"):
        replaced("data/labels", split="train", root=str(tmp_path), **SIZE)


def test_label_only_needs_no_photographs(tmp_path):
    files.label(tmp_path / "labels/a.png")
    data = replaced(
        "data/folder", split="test", root=str(tmp_path), classes=list("abcd"), label_only=True, val_fraction=0, **SIZE
    )
    assert data[0].image is None


def test_grey_photographs_become_rgb_and_a_style_fills_the_size(tmp_path):
    Image.new("L", (10, 6), 200).save(tmp_path / "grey.png")
    style = datasets.read_style(tmp_path / "grey.png", height=8, width=8)
    assert style.shape == (1, 3, 8, 8)
    torch.testing.assert_close(style, torch.full((1, 3, 8, 8), 200 / 127.5 - 1))
    assert datasets.read_style(tmp_path / "grey.png").shape == (1, 3, 6, 10)


def test_the_world_needs_no_files_and_holds_its_test_pictures_apart():
    options: dict[str, Any] = {"height": 32, "width": 48, "count": 3, "test_count": 2, "flip": 0.0}
    train, test = (replaced("data/procedural", split=s, **options) for s in ("train", "test"))
    assert (len(train), len(test)) == (3, 2)
    assert not set(names(train)) & set(names(test))
    assert not set(names(test)) & set(names(replaced("data/procedural", split="train", **{**options, "count": 4000})))
    first = train[(0, 0)]
    assert first.image is not None
    assert first.image.shape == (3, 32, 48)
    assert torch.equal(first.image, given(train[(5, 0)].image))  # from memory
    other = replaced("data/procedural", split="train", **{**options, "world": 1})[(0, 0)]
    assert not torch.equal(first.image, given(other.image))
    uncached = replaced("data/procedural", split="train", cache_mib=0, **options)
    assert torch.equal(first.image, given(uncached[(0, 0)].image))


def test_the_world_knows_the_style_of_its_pictures():
    data = replaced("data/procedural", split="test", height=32, width=48, test_count=3)
    assert data.styles is not None
    assert [style.keys() for style in data.styles] == [data.styles[0].keys()] * 3
    assert data.styles[0] != data.styles[1]


def test_files_know_no_style(tmp_path):
    root = files.dataset(tmp_path, ["a"])
    assert replaced("data/folder", split="test", root=str(root), val_fraction=0, **SIZE).styles is None


@pytest.mark.parametrize("option", ["folder", "scene", "coco_stuff", "ade20k"])
@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        (None, "data.root is missing: write data.root=PATH; it should hold .*(label|annotations)"),
        ("nowhere", "data.root=.*nowhere: there is no such folder; it should hold"),
        (".", "(found something.txt there, but it should hold)|(what do the ids mean.*classes.json)"),
    ],
)
def test_a_wrong_root_is_answered_with_the_layout(option, root, sentence, tmp_path):
    (tmp_path / "something.txt").write_text("")
    with pytest.raises(Refusal, match=sentence):
        replaced(f"data/{option}", split="train", root=root and str(tmp_path / root), **SIZE)


def empty_folders(root: Path) -> None:
    (root / "images").mkdir()
    (root / "labels").mkdir()
    (root / "classes.json").write_text('{"classes": ["a"]}')


def nothing_matches(root: Path) -> None:
    files.photo(root / "images/a.jpg")
    files.label(root / "labels/b.png")
    (root / "classes.json").write_text('{"classes": ["a"]}')


def broken_classes(root: Path) -> None:
    files.dataset(root, ["a", "b"])
    (root / "classes.json").write_text('["a"')


def repeated_classes(root: Path) -> None:
    files.dataset(root, ["a", "b"], classes=["sky", "sky"])


def wrong_unlabelled(root: Path) -> None:
    files.dataset(root, ["a", "b"])
    (root / "classes.json").write_text(json.dumps({"classes": ["a"], "unlabelled": "255"}))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (empty_folders, "labels: holds no pictures; it should hold train/images"),
        (nothing_matches, "not one of 2 files has its partner .first: .*b.png: no photograph of that name"),
        (broken_classes, "classes.json is no JSON .line 1, column 5"),
        (repeated_classes, "class names repeat: sky"),
        (wrong_unlabelled, "classes.json, unlabelled: .* should be a whole number, and is .255.; write"),
        (lambda root: files.dataset(root, ["a"]), "1 pair cannot be split in two; data.val_fraction=0"),
    ],
)
def test_unusable_folders_are_refused(tmp_path, make, sentence):
    make(tmp_path)
    with pytest.raises(Refusal, match=sentence):
        replaced("data/folder", split="train", root=str(tmp_path), **SIZE)


def other_size(root: Path) -> None:
    files.label(root / "labels/a.png", height=6, width=8)


def foreign_id(root: Path) -> None:
    files.label(root / "labels/a.png", np.full((12, 16), 9, dtype=np.uint8))


def short_photo(root: Path) -> None:
    files.truncate(root / "images/a.jpg")


def deep_photo(root: Path) -> None:
    (root / "images/a.jpg").unlink()
    files.label(root / "images/a.png", np.zeros((12, 16), dtype=np.uint16))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            other_size,
            "a.png: the label map is 8x6 but its photograph is 16x12 .width x height.; data.label_size=nearest",
        ),
        (foreign_id, r"a.png: label id 9 \(192 pixels\) lies outside the 4 classes"),
        (short_photo, "a.jpg: unreadable or truncated"),
        (deep_photo, "a.png: a photograph with pixels of kind I;16.*8-bit RGB"),
    ],
)
def test_a_bad_file_is_refused_by_name_when_it_is_read(tmp_path, spoil, sentence):
    root = files.dataset(tmp_path, ["a"])
    spoil(root)
    data = replaced("data/folder", split="train", root=str(root), val_fraction=0, **SIZE)
    with pytest.raises(Refusal, match=sentence):
        data[(0, 0)]


@pytest.mark.shared
def test_camvid(shared):
    options: dict[str, Any] = {"root": str(shared / "data/camvid"), "height": 96, "width": 128}
    train, test = (replaced("data/folder", split=s, **options) for s in ("train", "test"))
    assert (len(train), len(test)) == (367, 101)
    assert (len(train.classes), train.classes.ignore) == (12, 11)
    sample = train[(0, 7)]
    assert given(sample.label).shape == (96, 128)
    assert int(given(sample.label).max()) <= 11


@pytest.mark.shared
def test_coco_stuff_sample(shared):
    options: dict[str, Any] = {"root": str(shared / "data/coco_stuff_sample"), "height": 64, "width": 64}
    train, test = (replaced("data/coco_stuff", scale=1.0, split=s, **options) for s in ("train", "test"))
    assert len(train) + len(test) == 13
    batch = collate([train[(0, i)] for i in range(4)])
    assert batch.instance is not None
    label = batch.require("label")
    assert int(label.max()) <= 182
    # The instance maps start as copies of the label maps, so unknown pixels keep their 255 there,
    # save where a thing was drawn over them.
    assert bool((batch.instance[label == 182] == 255).float().mean() > 0.9)


@pytest.mark.shared
def test_contest_sample(shared):
    data = replaced(
        "data/scene", split="train", root=str(shared / "data/scene_sample"), val_fraction=0, height=192, width=256
    )
    assert isinstance(data.source, Files)
    assert given(data[(0, 0)].label).unique().tolist() == [2]


def moved(root: Path, images: str, labels: str, image: str, label: str) -> Path:
    """Four pairs under the given patterns of paths, with the class list."""
    for i, name in enumerate("abcd"):
        files.photo(root / images / image.format(name=name), seed=i)
        files.label(root / labels / label.format(name=name))
    (root / "classes.json").write_text(json.dumps({"classes": ["sky", "tree", "sea", "rock"]}))
    return root


@pytest.mark.parametrize(
    ("images", "labels", "image", "label", "options"),
    [
        ("images", "masks", "{name}.jpg", "{name}.png", {}),
        ("JPEGImages", "SegmentationClass", "{name}.jpg", "{name}.png", {}),
        ("images", "labels", "{name}.jpg", "{name}_mask.png", {}),
        ("images", "labels", "city/{name}.jpg", "city/{name}.png", {}),
        ("images", "labels", "{name}.jpg", "{name}.tif", {}),
        ("shots", "drawn", "{name}.jpg", "{name}.png", {"images": "shots", "labels": "drawn"}),
        ("images", "labels", "{name}-x.jpg", "{name}-y.png", {"image_end": "-x", "label_end": "-y"}),
    ],
)
def test_folders_of_other_names_are_read(tmp_path, images, labels, image, label, options):
    root = moved(tmp_path, images, labels, image, label)
    data = replaced("data/folder", split="train", root=str(root), val_fraction=0, **options, **SIZE)
    assert names(data) == ["a", "b", "c", "d"]
    assert data[(0, 0)].label.unique().tolist() == [0, 1, 2, 3]


def test_cityscapes_folders_are_read_as_they_are(tmp_path):
    for split in ("train", "val"):
        moved(tmp_path, f"leftImg8bit/{split}", f"gtFine/{split}", "aachen/{name}_leftImg8bit.png",
              "aachen/{name}_gtFine_labelIds.png")  # fmt: skip
        files.photo(tmp_path / f"gtFine/{split}/aachen/a_gtFine_color.png")
    for split in ("train", "test"):
        data = replaced("data/folder", split=split, root=str(tmp_path), **SIZE)
        assert names(data) == ["a", "b", "c", "d"]
        assert not data.source.unmatched


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, r"not one of 8 files has its partner .*data.image_end=_leftImg8bit data.label_end=_gtFine_labelIds"),
        ({"images": "images"}, r"data.images and data.labels go together"),
        ({"images": "gone", "labels": "labels"}, r"data.images=gone: there is no such folder below data.root="),
        ({"images": "../x", "labels": "labels"}, r"data.images=../x: there is no such folder below data.root="),
    ],
)
def test_names_that_do_not_match_are_refused_with_the_option(tmp_path, options, words):
    root = moved(tmp_path, "images", "labels", "{name}-x.jpg", "{name}-y.png")
    with pytest.raises(Refusal, match=words):
        replaced("data/folder", split="train", root=str(root), val_fraction=0, **options, **SIZE)
